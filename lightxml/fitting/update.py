"""How a fitted model goes on without a new fit: more documents, labels that come and go.

Each function makes a new model and leaves the old one as it is, so that a call that fails, or is
killed, has changed nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp

from lightxml.data.inputs import Inputs
from lightxml.data.label_lists import check_label_list
from lightxml.data.label_texts import check_label_rows, check_label_texts, shown
from lightxml.data.labels import Labels, encode_more, extended
from lightxml.data.random import draw_seed
from lightxml.data.vocabulary import with_new_words
from lightxml.data.weights import check_sample_weight, without_weightless
from lightxml.exceptions import warn
from lightxml.fitting.rankers import threshold_of
from lightxml.fitting.rare_labels import preference
from lightxml.predicting.fitted import FittedModel, represented
from lightxml.rankers.base import Documents
from lightxml.rankers.label_texts import LabelTexts
from lightxml.rankers.neighbors import Neighbors
from lightxml.rankers.panel import Panel
from lightxml.rankers.update_panel import (
    NewTexts,
    keeps_documents,
    relabeled,
    widened,
    with_documents,
    with_final,
    with_texts,
)
from lightxml.rankers.vectors import Vectors
from lightxml.rankers.words import split


def with_more(
    params: dict[str, Any],
    model: FittedModel,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    label_texts: Any = None,
) -> FittedModel:
    """Return the model with more documents, their labels and other texts of labels.

    Parameters
    ----------
    params : dict
        The arguments of `LightXMLClassifier`, by name.
    model : FittedModel
    X, y, sample_weight, label_texts
        As `LightXMLClassifier.partial_fit` takes them, with its errors.
    """
    panel = _panel_of(model, "partial_fit")
    if not keeps_documents(panel):
        raise ValueError(
            "partial_fit needs the training documents, and this model has not kept them: the "
            'ranker "neighbors" does, up to 200,000 documents. Call fit with all documents.'
        )
    inputs = model.reader.check(X)
    labels = encode_more(y, model.classes, model.label_form, len(inputs))
    weights = check_sample_weight(sample_weight, len(inputs))
    n_known = len(model.classes)
    inputs, labels, weights = without_weightless(inputs, labels, weights, n_known=n_known)
    if sp.issparse(label_texts) or (label_texts is not None and not model.reads_texts):
        grown = _with_label_rows(model, labels.classes, label_texts)
    else:
        grown, labels = _with_labels(params, model, labels, label_texts, inputs)
    grown = _with_new_words(grown, inputs)
    assert grown.panel is not None
    if not len(inputs):  # none has a weight
        return _finished(grown, grown.panel, params)
    read = represented(grown, grown.documents(grown.reader.featurize(inputs)))
    more: dict[str, Any] = {"seed": draw_seed(params["random_state"]), "sample_weight": weights}
    judged = with_final(grown.panel, read, labels.matrix, params["final_ranker"], **more)
    documents = replace(read, memo={})  # of the rankers as they were
    panel = with_documents(judged.panel, documents, labels.matrix, n_jobs=params["n_jobs"], **more)
    _warn_of_network(panel)
    finished = _finished(grown, panel, params)
    if judged.scored is None:
        return finished
    assert finished.panel is not None
    threshold = threshold_of(params["threshold"], judged, finished.panel.raised)
    return replace(finished, threshold=threshold)


def with_labels(params: dict[str, Any], model: FittedModel, label_texts: Any) -> FittedModel:
    """Return the model with labels that have a text and no document.

    Parameters
    ----------
    params, model
        As `with_more` takes them.
    label_texts
        As `LightXMLClassifier.add_labels` takes them, with its errors.
    """
    _panel_of(model, "add_labels")
    if not model.reads_texts:
        raise ValueError(
            "add_labels takes texts, but the model was fitted on a numeric X. Call partial_fit "
            "with a row of label_texts for each label, the new ones last."
        )
    if label_texts is None:
        raise TypeError("label_texts is of type NoneType; expected a mapping of label to text.")
    n_old = len(model.classes)
    is_sequence = hasattr(label_texts, "__getitem__") and not isinstance(label_texts, str | Mapping)
    if is_sequence and model.label_form != "collections":  # of the next columns
        label_texts = dict(enumerate(label_texts, n_old))
    given = list(label_texts) if isinstance(label_texts, Mapping) else []
    classes = extended(model.classes, given, model.label_form, name="label_texts")
    nothing = Inputs([], None)
    empty = Labels(sp.csr_array((0, len(classes)), dtype=np.int8), classes, model.label_form)
    grown, _ = _with_labels(params, model, empty, label_texts, nothing)
    assert grown.label_texts is not None
    for label, texts in zip(classes[n_old:].tolist(), grown.label_texts[n_old:], strict=True):
        if not texts:
            raise ValueError(
                f"label_texts[{shown(label)}] is empty; expected a text. Without one, and "
                "without a document, nothing is known of a label."
            )
    assert grown.panel is not None
    return _finished(grown, grown.panel, params)


def without_labels(params: dict[str, Any], model: FittedModel, labels: Any) -> FittedModel:
    """Return the model without some labels.

    Parameters
    ----------
    params, model
        As `with_more` takes them.
    labels
        As `LightXMLClassifier.remove_labels` takes them, with its errors.
    """
    panel = _panel_of(model, "remove_labels")
    gone = check_label_list(labels, model.classes, name="labels")
    if not isinstance(gone, np.ndarray):
        raise TypeError("labels is a matrix; expected a list of labels.")
    n_labels = len(model.classes)
    stay = np.setdiff1d(np.arange(n_labels), gone)
    if not len(stay):
        raise ValueError("labels are all labels of the model; at least one must stay.")
    if model.label_form == "collections":
        source = stay
    else:  # the columns of y stay where they are
        source = np.arange(n_labels)
        source[gone] = -1
    texts = model.label_texts
    if texts is not None:
        texts = tuple(texts[i] if i >= 0 else () for i in source.tolist())
    classes = model.classes[stay] if model.label_form == "collections" else model.classes
    threshold = model.threshold
    if isinstance(threshold, np.ndarray) and len(stay) == len(source):
        threshold = threshold[stay]
    left = replace(model, classes=classes, label_texts=texts, threshold=threshold)
    return _finished(left, relabeled(panel, source), params)


def _with_new_words(model: FittedModel, inputs: Inputs) -> FittedModel:
    """Return the model with a vectorizer that knows the new documents' words.

    Not where a network reads the features: its embedding has a row for each.
    """
    assert model.panel is not None
    reads_features = model.network is not None and model.network.features is not None
    if inputs.texts is None or reads_features:
        return model
    n_documents = model.panel.n_documents + len(inputs)
    wider = with_new_words(model.vectorizer, inputs.texts, n_documents)
    if wider is model.vectorizer:
        return model
    panel = widened(model.panel, len(wider.vocabulary_))
    return replace(model, reader=replace(model.reader, vectorizer=wider), panel=panel)


def _panel_of(model: FittedModel, name: str) -> Panel:
    if model.panel is None:
        raise ValueError(
            f'{name} goes on with the rankers, and here rankers=("network",): the network alone. '
            'Add "linear" or "neighbors" to the rankers and call fit, or call fit with '
            "warm_start=True."
        )
    return model.panel


def _grown(panel: Panel, n_labels: int) -> Panel:
    """Return the panel with labels appended, of which nothing is known."""
    source = np.full(n_labels, -1)
    source[: len(panel.counts)] = np.arange(len(panel.counts))
    return relabeled(panel, source)


def _with_labels(
    params: dict[str, Any], model: FittedModel, labels: Labels, label_texts: Any, inputs: Inputs
) -> tuple[FittedModel, Labels]:
    """Return the model with more labels and other texts, and `labels` with labels of a text alone.

    The words of the documents that come at the same time are counted.
    """
    assert model.panel is not None
    changed: dict[Any, tuple[str, ...]] = {}
    if label_texts is not None:
        _check_has_texts(model.panel)
        checked = check_label_texts(
            label_texts, labels.classes, indicator=labels.form != "collections"
        )
        given = label_texts if isinstance(label_texts, Mapping) else labels.classes.tolist()
        changed = {
            label: texts
            for label, texts in zip(checked.classes.tolist(), checked.texts, strict=True)
            if label in given
        }
    classes = extended(model.classes, [*labels.classes.tolist(), *changed], labels.form)
    place = {label: i for i, label in enumerate(classes.tolist())}
    matrix = labels.matrix
    columns = np.array([place[label] for label in labels.classes.tolist()], dtype=np.int64)
    entries = (matrix.data, columns[matrix.indices], matrix.indptr)
    matrix = sp.csr_array(entries, shape=(matrix.shape[0], len(classes))).sorted_indices()
    labels = replace(labels, matrix=matrix, classes=classes)
    panel = _grown(model.panel, len(classes))
    if model.label_texts is None:
        return replace(model, classes=classes, panel=panel), labels
    texts = [*model.label_texts, *(() for _ in range(len(classes) - len(model.classes)))]
    for label, of_label in changed.items():
        texts[place[label]] = of_label
    if inputs.texts or changed:
        numbers = np.sort(np.array([place[label] for label in changed], dtype=np.int64))
        new = NewTexts(texts, numbers, _vectors(model, [texts[i] for i in numbers], params))
        seen = partial(_documents_with, model)
        panel = with_texts(panel, new, _of_texts(inputs), seen)
    return replace(model, classes=classes, panel=panel, label_texts=tuple(texts)), labels


def _check_has_texts(panel: Panel) -> None:
    if not any(isinstance(each, LabelTexts) for each in panel.rankers):
        raise ValueError(
            "label_texts came with none of the earlier documents, and what weighs the rankers "
            "knows none by texts. Call fit with all documents and label_texts."
        )


def _with_label_rows(model: FittedModel, classes: np.ndarray, label_texts: Any) -> FittedModel:
    """Return the model with more labels, described by rows like those of a numeric X."""
    assert model.panel is not None
    _check_has_texts(model.panel)
    if model.reads_texts:
        raise TypeError("label_texts is a matrix, but X is documents; expected texts.")
    assert model.reader.n_features is not None
    rows = check_label_rows(label_texts, len(classes), model.reader.n_features)
    new = NewTexts(rows, np.arange(len(classes)))
    panel = with_texts(_grown(model.panel, len(classes)), new, _of_texts(Inputs([], None)), _none)
    return replace(model, classes=classes, panel=panel)


def _vectors(
    model: FittedModel, texts: Sequence[tuple[str, ...]], params: dict[str, Any]
) -> np.ndarray | None:
    reader = model.text_reader
    if reader is None or not model.compares_vectors:
        return None
    from lightxml.fitting.network import vectors_of

    flat = [text for each in texts for text in each]
    if not flat:
        return np.empty((0, reader.encoder.config.hidden_size), dtype=np.float16)
    return vectors_of(model, flat, params)


def _of_texts(inputs: Inputs) -> Documents:
    n_documents = len(inputs)
    return Documents(sp.csr_array((n_documents, 0), dtype=np.float32), inputs.texts)


def _documents_with(model: FittedModel, words: Sequence[str]) -> np.ndarray:
    """Return in how many training documents each word stands, as far as their features tell.

    The texts are not kept. Their features are, and those of a vectorizer of words are words.
    """
    found = dict.fromkeys(words, 0)
    assert model.panel is not None
    memory = next((each for each in model.panel.rankers if isinstance(each, Neighbors)), None)
    names = getattr(model.vectorizer, "get_feature_names_out", None)
    if found and memory is not None and names is not None:
        counts = np.bincount(memory.rows.indices, minlength=memory.rows.shape[1])
        for name, n in zip(names(), counts.tolist(), strict=True):
            of_name = split(str(name))
            if len(of_name) == 1 and of_name[0] in found:
                found[of_name[0]] += n
    n_documents = model.panel.n_documents
    return np.array([min(found[word], n_documents) for word in words], dtype=np.int64)


def _none(words: Sequence[str]) -> np.ndarray:
    return np.zeros(len(words), dtype=np.int64)


def _finished(model: FittedModel, panel: Panel, params: dict[str, Any]) -> FittedModel:
    """Return the model with this panel; a new label's threshold is the median of the others'.

    What `fit` measured is of another model.
    """
    threshold = model.threshold
    if isinstance(threshold, np.ndarray):
        n_new = len(model.classes) - len(threshold)
        threshold = np.append(threshold, np.full(n_new, np.median(threshold), np.float32))
    return replace(model, panel=_preferring(panel, params), threshold=threshold, measured=None)


def _preferring(panel: Panel, params: dict[str, Any]) -> Panel:
    """Return the panel with a preference for labels that are rare now."""
    weight = float(params["propensity_weight"])
    if not weight:
        return panel
    y = next(each.y for each in panel.rankers if isinstance(each, Neighbors | Vectors))
    return replace(panel, raised=preference(y, weight, unseen_as_one=True))


def _warn_of_network(panel: Panel) -> None:
    for ranker in panel.rankers:
        n_learned = getattr(ranker, "n_documents", 0)
        if ranker.name == "network" and 2 * n_learned < panel.n_documents:
            warn(
                f"The network has learned from {n_learned:,} of {panel.n_documents:,} documents; "
                "partial_fit leaves it as it is. Call fit with all documents; with "
                "warm_start=True it goes on from the network's weights."
            )
