"""What is to be learnt, checked before anything takes long."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from lightxml.data.inputs import Inputs, Reader, reader_of
from lightxml.data.label_texts import check_label_rows, check_label_texts
from lightxml.data.labels import Labels, encode
from lightxml.data.matrices import FeatureMatrix
from lightxml.data.vocabulary import with_words_of
from lightxml.data.weights import check_sample_weight, without_weightless
from lightxml.exceptions import warn
from lightxml.fitting import decisions
from lightxml.fitting.clusters import check_given_clusters
from lightxml.fitting.fingerprints import common_ground, fingerprint
from lightxml.fitting.validation import Validation, check_validation
from lightxml.fitting.warm import Start, start_of
from lightxml.predicting.fitted import FittedModel
from lightxml.runtime.ranks import Ranks

if TYPE_CHECKING:
    from lightxml.training.checkpoints import Checkpoints


@dataclass(frozen=True)
class Task:
    """What is to be learnt, checked.

    Attributes
    ----------
    params : dict
        The arguments of `LightXMLClassifier`, by name.
    reader : Reader
        Its vectorizer is fitted on the way.
    inputs : Inputs
        The training documents.
    labels : Labels
    validation : documents and labels that are not learnt from, or None
    rankers : tuple of str
        Who proposes and scores labels.
    label_texts : tuple of tuples of str, csr_array or None
        The texts of each label; where X is numeric, a row for each.
    sample_weight : ndarray of float64, shape (n_documents,), or None
        Above 0: documents of weight 0 are none of `inputs`. None: 1 each.
    ranks : Ranks
        The processes that train together.
    start : Start or None
        What the network goes on from; None: it begins anew.
    """

    params: dict[str, Any]
    reader: Reader
    inputs: Inputs
    labels: Labels
    validation: Validation | None
    rankers: tuple[str, ...]
    label_texts: tuple[tuple[str, ...], ...] | sp.csr_array | None
    sample_weight: np.ndarray | None
    ranks: Ranks
    start: Start | None = None

    def read(self) -> tuple[Task, Inputs]:
        """Give the training documents their features, by a vectorizer that is fitted on them.

        Where a network goes on, which knows the columns of the last fit, its vectorizer stays, and
        has new words behind the others.

        Returns
        -------
        task : Task
            With this vectorizer.
        inputs : Inputs
        """
        if self.start is None:
            return self, self.reader.fit(self.inputs)
        reader = self.reader
        if reader.vectorizer is not None:
            assert self.inputs.texts is not None
            vectorizer = with_words_of(reader.vectorizer, self.inputs.texts)
            reader = replace(reader, vectorizer=vectorizer)
        return replace(self, reader=reader), reader.featurize(self.inputs)

    def only(self, rows: np.ndarray) -> Task:
        """Return the task with the labels and weights of these documents.

        The documents go apart: they may have been read further than `inputs`.
        """
        weights = None if self.sample_weight is None else self.sample_weight[rows]
        labels = replace(self.labels, matrix=self.labels.matrix[rows])
        return replace(self, labels=labels, sample_weight=weights)


def check_task(
    params: dict[str, Any],
    X: Any,
    y: Any,
    X_val: Any,
    y_val: Any,
    label_texts: Any,
    sample_weight: Any,
    ranks: Ranks,
    earlier: FittedModel | None = None,
) -> Task:
    """Check the data, before anything takes long; errors as `LightXMLClassifier.fit`.

    With `earlier`, the model of the last fit, a network is to go on from that.
    """
    if (X_val is None) != (y_val is None):
        raise ValueError("X_val and y_val go together; pass both or neither.")
    reader, inputs = reader_of(X, params["encoder"], params["features"])
    labels = encode(y, len(inputs))
    weights = check_sample_weight(sample_weight, len(inputs))
    inputs, labels, weights = without_weightless(inputs, labels, weights)
    if labels.matrix.nnz == 0:
        raise ValueError(
            "y gives a label to documents of sample_weight 0 only; nothing can be learnt from it."
        )
    _warn_of_labels(labels)
    texts = None
    if label_texts is not None:
        labels, texts = with_label_texts(labels, label_texts, inputs)
    validation = None
    if X_val is not None:
        validation = check_validation(X_val, y_val, reader, labels)
    if weights is not None and validation is None:
        decisions.check_takes_weights(params["final_ranker"])
    encoder = decisions.encoder(params, reads_texts=reader.reads_texts)
    # A vectorizer that is not fitted yet is taken for one of sparse features: most are.
    has_sparse = reader.vectorizer is not None or isinstance(inputs.matrix, sp.sparray)
    rankers = decisions.rankers(
        params,
        has_encoder=encoder is not None,
        has_sparse_features=has_sparse,
        has_label_texts=label_texts is not None,
    )
    start, has_clusters = None, None
    if earlier is not None and "network" in rankers:
        start = start_of(earlier, params, reader, inputs, labels)
        reader = replace(reader, vectorizer=start.model.vectorizer)
        has_clusters = start.network.head.label_clusters is not None
    setting = decisions.setting(
        params,
        labels.matrix,
        has_encoder=encoder is not None,
        has_features=not reader.reads_texts or reader.vectorizer is not None,
        rankers=rankers,
        has_validation=validation is not None,
        has_clusters=has_clusters,
    )
    decisions.check_effects(params, setting)
    if "network" in rankers and start is None:
        check_given_clusters(params["label_clusters"], len(labels.classes))
    if encoder is not None or "network" in rankers:
        check_network(encoder if start is None else None, params["device"])
    task = Task(params, reader, inputs, labels, validation, rankers, texts, weights, ranks, start)
    if ranks.size > 1:
        common = common_ground(params, inputs.given, labels, _given(validation), texts, weights)
        common["the model of the last fit"] = None if start is None else start.digest
        ranks.check_same(common)
    return task


def check_network(encoder: Any, device: Any) -> None:
    """Check an encoder, and where it or a network is to be: here torch is first imported."""
    from lightxml.network.encoders import check_encoder
    from lightxml.runtime.devices import choose_device

    choose_device(device)
    check_encoder(encoder)


def _warn_of_labels(labels: Labels) -> None:
    """Warn of labels that `save` will refuse, such as codes that pandas has made floats."""
    for label in labels.classes.tolist():
        if type(label) not in (int, str):
            warn(
                f"The label {label!r} is a {type(label).__name__}. A model of such labels can be "
                "pickled, but not saved: make them int or str first (pandas makes floats of whole "
                "numbers where some are missing)."
            )
            return


def with_label_texts(
    labels: Labels, label_texts: Any, inputs: Inputs
) -> tuple[Labels, tuple[tuple[str, ...], ...] | sp.csr_array]:
    """Return the labels, those that only have a text among them, and the texts of each.

    Raises
    ------
    TypeError, ValueError
        As `lightxml.data.label_texts` does.
    """
    if inputs.texts is None:
        assert inputs.matrix is not None
        return labels, check_label_rows(label_texts, labels.matrix.shape[1], inputs.matrix.shape[1])
    checked = check_label_texts(label_texts, labels.classes, indicator=labels.form != "collections")
    matrix = labels.matrix
    entries = (matrix.data, checked.columns[matrix.indices], matrix.indptr)
    matrix = sp.csr_array(entries, shape=(matrix.shape[0], len(checked.classes)))
    return replace(labels, matrix=matrix, classes=checked.classes), checked.texts


def checkpoints_of(
    task: Task, seed: int, kept: list[Path] | None = None
) -> AbstractContextManager[Checkpoints | None]:
    """Return the checkpoints of this fit, as a context; None without a folder for them.

    Where `kept` is a list, their folder stays when the fit is done, and is added to it.
    """
    params = task.params
    if params["checkpoint_dir"] is None or not {"network", "linear"} & set(task.rankers):
        return nullcontext()
    from lightxml.training.checkpoints import checkpoints_in

    known = None if params["random_state"] is None else seed
    validation = _given(task.validation)
    name = fingerprint(
        params,
        known,
        task.inputs.given,
        task.labels,
        validation,
        task.label_texts,
        task.sample_weight,
        None if task.start is None else task.start.digest,
    )
    folder = Path(params["checkpoint_dir"]) / name
    if kept is not None:
        kept.append(folder)
    seconds, more_follows = 60 * params["checkpoint_minutes"], task.rankers != ("network",)
    return checkpoints_in(
        folder, seconds, seed, task.ranks, more_follows=more_follows, is_kept=kept is not None
    )


def _given(
    validation: Validation | None,
) -> tuple[list[str] | FeatureMatrix, sp.csr_array] | None:
    return None if validation is None else (validation[0].given, validation[1])
