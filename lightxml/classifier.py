"""The estimator: scikit-learn's face over the network, its training and its prediction."""

from __future__ import annotations

import os
from typing import Any, Literal, Self

import numpy as np
import torch
from joblib import Memory
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from lightxml.base import DocumentedEstimator
from lightxml.data.documents import Documents
from lightxml.data.labels import decode, encode_known
from lightxml.exceptions import BundleError
from lightxml.files.bundle import Bundle, load_bundle, save_bundle
from lightxml.fitting import arguments as parameters
from lightxml.fitting import fit as fitting
from lightxml.metrics import measures as metrics
from lightxml.network.encoders import EncoderConfig
from lightxml.predicting import frozen, prediction
from lightxml.predicting.fitted import FittedModel, place
from lightxml.runtime.devices import choose_device, use_one_thread_if_forked
from lightxml.storage import estimator as persistence

# The largest dense array of documents x labels that is made when asked for: 1 GiB of float32.
MAX_DENSE_SCORES = 2**28


class LightXMLClassifier(ClassifierMixin, DocumentedEstimator):
    """Extreme multi-label text classification with a transformer.

    Documents are ranked against thousands to millions of labels by LightXML [1]_: the summary
    vectors of an encoder's last layers, joined, feed one logistic output for each label, or for
    each label of the best label clusters, and encoder and outputs are trained together.

    Parameters
    ----------
    encoder : str, path, transformers config or None, default="auto"
        A hub name, a local folder saved with ``save_pretrained``, a transformers config (trained
        from scratch), or ``"tiny"``: a BERT of 4 layers, width 256 and 4 heads with a vocabulary
        of up to 8,000 word pieces, both learnt from the training documents alone; it needs no
        download. None: no encoder, features alone. ``"auto"`` is ``"bert-base-uncased"`` for
        documents, and None for a numeric `X`.
    features : scikit-learn vectorizer or None, default=None
        Such as ``TfidfVectorizer(sublinear_tf=True, min_df=2)``, or a ``FeatureUnion`` of
        several: cloned and fitted on the training documents. It reads whole documents, however
        long, and its output is embedded and joined to the encoder's representation.
    feature_dim : int or "auto", default="auto"
        Width of that embedding, and of a numeric `X`'s. ``"auto"`` is 512, and 1024 for more
        than 10,000 labels.
    freeze_encoder : bool, default=False
        Leave a pretrained encoder as it is: each document goes through it once, its summary
        vectors are kept in half precision, standardised over the training documents, and the
        rest is trained on them.
    memory : str, path, joblib.Memory or None, default=None
        A folder that keeps a frozen encoder's vectors across fits, document by document. They
        are read again where encoder, number of layers, precision and tokens are the same.
    max_length : int, default=512
        Tokens a document, special ones included; what is longer is cut. At most the encoder's
        own number of positions.
    n_feature_layers : int, default=5
        The last hidden layers whose summary ([CLS]) vectors make the text representation; all
        layers, if the encoder has fewer.
    neighbor_weight : float or "auto", default="auto"
        What is added to the network's logit of a label if the training documents most like this
        one all have it; in proportion, if some do. The training documents' representations are
        kept in the model for that. 0: off. Without a trained encoder, and with at most 200,000
        training documents, ``"auto"`` is 1, and 3 where a label has fewer than 20 of them on
        average; else 0.
    linear_weight : float in [0, 1) or "auto", default="auto"
        With sparse features: when the training is done, a linear support vector machine of its
        own is fitted on them for each label, which tells its documents from those for which the
        network takes it for likely [5]_. A label's logit is then ``1 - linear_weight`` times the
        network's plus `linear_weight` times the classifier's (4 times its margin). 0: off.
        ``"auto"`` is 2/3 without a trained encoder; 0 with one, with label clusters, and with
        more than 200,000 training documents or 100,000 labels (docs/features.md).
    propensity_weight : float, default=0
        How much rare labels are preferred: when the training is done, each label's logit is
        raised by this times ``-ln p`` of its propensity p [4]_, as `lightxml.metrics.propensities`
        has it. It trades P@k for PSP@k: on EURLEX57K, 1 cost next to nothing, and 2 a third of a
        point of P@1 for four of PSP@1 (docs/features.md). Scores, `predict` and `predict_proba`
        are raised with it.
    dropout : float in [0, 1), default=0.5
        On the text representation, in training.
    se_block : bool, default=False
        Weigh the joined layers against each other with a squeeze-and-excitation block [2]_.
    loss_correction : bool, default=False
        With label clusters: give the gradient that the clusters' loss sends to the text
        representation the length of the one that the labels' loss sends, batch by batch.
    n_random_negatives : int, default=0
        With label clusters: labels drawn anew at each step from outside a document's candidates,
        which join them as negatives.
    label_clusters : "auto", bool, clusterer or array of int, default="auto"
        Whether a document is ranked against the labels of its best clusters only, as in the
        paper, and how labels are clustered: True takes `lightxml.clustering.BalancedKMeans`, a
        scikit-learn clusterer is cloned and fitted on the label features (the normalised sum of
        the TF-IDF rows, or of the features, of a label's documents), an array has a cluster
        number for each label of `classes_`. False ranks all labels. ``"auto"``: True for more
        than 100,000 labels.
    max_cluster_size : int, default=100
        Labels of a cluster with ``label_clusters=True``.
    n_candidate_clusters : int, default=32
        Clusters whose labels a document is ranked against. In training its own labels' clusters
        are among them, however many.
    label_dim : int or "auto", default="auto"
        Width of the label embeddings. Without clusters, an int puts a layer of this width before
        the labels, which are then worked through in chunks, and have neither gradients nor
        moments kept. ``"auto"`` is 400 with clusters; without them there is no such layer until
        the output layer would pass 2**27 weights, and then it is 400 too.
    max_epochs : int or "auto", default="auto"
        ``"auto"`` is 20 for a trained encoder. Without one, as many as make 1,000 steps, but at
        least 8 and at most 20.
    batch_size : int or "auto", default="auto"
        Documents a batch. ``"auto"`` is 16 for a trained encoder; without one 128, and 256 for
        more than 10,000 labels.
    accumulate : int, default=1
        Batches whose gradients make one optimizer step, as if they were one large batch.
    learning_rate : float, default=1e-4
        Of the encoder, with AdamW.
    head_learning_rate : float or "auto", default="auto"
        Of everything else, with AdamW, but for tables, whose row-wise Adagrad has 40 times this
        rate for sparse features and 10 times for label embeddings. ``"auto"`` is 2e-3 beside a
        trained encoder, and 5e-3 without one.
    weight_decay : float, default=0.01
        Of all weights but biases, layer norms and tables.
    schedule : {"linear", "constant"}, default="linear"
        ``"linear"``: rates rise over the first 5 % of the steps and then fall to zero;
        ``"constant"`` as in the paper.
    swa_start : float in [0, 1) or None, default=0.5
        The fraction of the training after which the mean of the weights is kept (stochastic
        weight averaging [3]_); it is what predicts. None: off.
    swa_every : int or "auto", default="auto"
        Steps between two additions to that mean; ``"auto"``: ten an epoch, and one without a
        trained encoder.
    precision : {"auto", "bf16", "fp32"}, default="auto"
        Of the encoder; ``"auto"`` is bf16 where the hardware computes in it. Scores are always
        computed in float32 from the text representation on.
    early_stopping : bool, default=False
        End the training when it no longer helps, and keep the weights of the best epoch: by P@5
        of validation documents, scored with the averaged weights (P@3 with 4 or 5 labels, P@1
        with fewer).
    validation_fraction : float in (0, 1) or int, default=0.1
        With early stopping and no `X_val`: the fraction, or number, of the training documents that
        are drawn for validation and not trained on.
    n_iter_no_change : int, default=3
        Epochs without a better one after which early stopping ends the training.
    checkpoint_dir : str, path or None, default=None
        A folder for checkpoints. `fit` with the same arguments and data then goes on where it was
        killed or interrupted, to the same weights (docs/checkpoints.md). They are deleted when
        the fit is done.
    checkpoint_minutes : float, default=10
        From one checkpoint to the next within an epoch; there is one at each epoch's end as well.
        Where writing takes long there are fewer: it costs at most 2 % of the time.
    device : str or torch.device, default="auto"
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; ``"auto"`` takes a GPU where there is one.
    random_state : int, RandomState or None, default=None
        Decides initial weights, the order of documents, dropout, and which documents are set
        aside for validation. A ``RandomState`` is copied,
        never changed.
    n_jobs : int or None, default=None
        Threads that make label clusters, with ``label_clusters=True``, and processes that fit
        linear classifiers; the result does not depend on it.
    verbose : int, default=0
        1 shows a progress bar with documents a second, time left, loss and validation P@1.

    Attributes
    ----------
    classes_ : ndarray of shape (n_labels,)
        The labels; ``arange(n_labels)`` if `y` was an indicator matrix.
    label_clusters_ : ndarray of int64, shape (n_labels,), or None
        The cluster of each label; None without clusters.
    network_ : torch.nn.Module
        The trained network, in evaluation mode.
    tokenizer_ : tokenizers.Tokenizer or None
        Turns documents into token numbers, if there is an encoder.
    vectorizer_ : fitted vectorizer or None
        The clone of `features` that turns documents into features.
    n_features_in_ : int
        Columns of a numeric `X`; not there if `X` was documents.
    feature_names_in_ : ndarray of str
        Their names, if `X` was a data frame.
    history_ : list of dict, one an epoch
        ``"epoch"`` (from 1), ``"loss"`` (sum over labels, mean over documents), and with
        validation data ``"precision_at_1"``, ``"precision_at_3"`` and ``"precision_at_5"``, as
        far as there are that many labels: of the network, before it has linear classifiers.
    n_iter_ : int
        Epochs trained: with early stopping, those after the best one included.

    References
    ----------
    .. [1] Jiang, Wang, Sun, Yang, Zhao, Zhuang, "LightXML: Transformer with Dynamic Negative
       Sampling for High-Performance Extreme Multi-label Text Classification", AAAI 2021.
    .. [2] Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018.
    .. [3] Izmailov et al., "Averaging Weights Leads to Wider Optima and Better
       Generalization", UAI 2018.
    .. [4] Jain, Prabhu, Varma, "Extreme Multi-label Loss Functions for Recommendation, Tagging,
       Ranking & Other Missing Label Applications", KDD 2016.
    .. [5] Zhang, Chang, Yu, Dhillon, "Fast Multi-Resolution Transformer Fine-tuning for Extreme
       Multi-label Text Classification", NeurIPS 2021.

    Examples
    --------
    >>> from lightxml import LightXMLClassifier
    >>> texts = ["cats purr and sleep", "dogs bark and run", "cats and dogs are pets"] * 8
    >>> labels = [["cat"], ["dog"], ["cat", "dog"]] * 8
    >>> model = LightXMLClassifier("tiny", max_epochs=8, learning_rate=1e-3, random_state=0)
    >>> model.fit(texts, labels).predict_topk(["dogs bark"], k=1)
    array([['dog']], dtype=object)
    """

    def __init__(
        self,
        encoder: str | os.PathLike[str] | EncoderConfig | None = "auto",
        *,
        features: Any = None,
        feature_dim: int | Literal["auto"] = "auto",
        freeze_encoder: bool = False,
        memory: str | os.PathLike[str] | Memory | None = None,
        max_length: int = 512,
        n_feature_layers: int = 5,
        neighbor_weight: float | Literal["auto"] = "auto",
        linear_weight: float | Literal["auto"] = "auto",
        propensity_weight: float = 0,
        dropout: float = 0.5,
        se_block: bool = False,
        loss_correction: bool = False,
        n_random_negatives: int = 0,
        label_clusters: Any = "auto",
        max_cluster_size: int = 100,
        n_candidate_clusters: int = 32,
        label_dim: int | Literal["auto"] = "auto",
        max_epochs: int | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        accumulate: int = 1,
        learning_rate: float = 1e-4,
        head_learning_rate: float | Literal["auto"] = "auto",
        weight_decay: float = 0.01,
        schedule: Literal["linear", "constant"] = "linear",
        swa_start: float | None = 0.5,
        swa_every: int | Literal["auto"] = "auto",
        precision: Literal["auto", "bf16", "fp32"] = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 3,
        checkpoint_dir: str | os.PathLike[str] | None = None,
        checkpoint_minutes: float = 10,
        device: str | torch.device = "auto",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.encoder = encoder
        self.features = features
        self.feature_dim = feature_dim
        self.freeze_encoder = freeze_encoder
        self.memory = memory
        self.max_length = max_length
        self.n_feature_layers = n_feature_layers
        self.neighbor_weight = neighbor_weight
        self.linear_weight = linear_weight
        self.propensity_weight = propensity_weight
        self.dropout = dropout
        self.se_block = se_block
        self.loss_correction = loss_correction
        self.n_random_negatives = n_random_negatives
        self.label_clusters = label_clusters
        self.max_cluster_size = max_cluster_size
        self.n_candidate_clusters = n_candidate_clusters
        self.label_dim = label_dim
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.accumulate = accumulate
        self.learning_rate = learning_rate
        self.head_learning_rate = head_learning_rate
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.swa_start = swa_start
        self.swa_every = swa_every
        self.precision = precision
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.checkpoint_dir = checkpoint_dir
        self.checkpoint_minutes = checkpoint_minutes
        self.device = device
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: Any, *, X_val: Any = None, y_val: Any = None) -> Self:
        """Learn to rank labels for documents.

        An exception leaves a previous fit as it was.

        Parameters
        ----------
        X : list, tuple, 1-D array or Series of str, length n_documents; or numeric matrix
            The documents, or with ``encoder=None`` and ``"auto"`` a sparse or dense matrix of
            shape (n_documents, n_features).
        y : indicator matrix of shape (n_documents, n_labels), or list of collections of labels
            The matrix may be dense or in any scipy sparse format, with entries 0 and 1.
        X_val, y_val : optional
            Validation documents and their labels, in the same forms: measured after each epoch
            into `history_`, never learnt from. Early stopping goes by them.

        Returns
        -------
        self : LightXMLClassifier

        Raises
        ------
        TypeError, ValueError
            If an argument, a document or a label is not what is expected; the message names it.
        EncoderUnavailableError
            If the encoder cannot be loaded.
        NonFiniteLossError
            If the training diverges; with the step and its documents.
        DeviceMemoryError
            If a GPU's memory is not enough.
        CheckpointError
            If there are checkpoints of this fit, but none that can be used.
        OSError
            If `checkpoint_dir` cannot be written at the start.
        KeyboardInterrupt, SystemExit
            With `checkpoint_dir`, after Ctrl-C or SIGTERM and one more checkpoint.

        Warns
        -----
        LongFitWarning
            If the first steps show that the fit takes over an hour on a CPU.
        UserWarning
            If the training may take more memory than is free, if label clusters are far out of
            balance or fewer than `n_candidate_clusters`, or if an argument has no effect.
        CheckpointWarning
            If a checkpoint is damaged, could not be written, or the disk has no room for two.
        """
        use_one_thread_if_forked()
        fitted = fitting.fit_model(self.get_params(deep=False), X, y, X_val, y_val)
        self._keep(fitted)
        if not fitted.reads_texts:
            validate_data(self, X, skip_check_array=True)  # keeps a data frame's column names
        return self

    def predict_topk(self, X: Any, k: int = 5, *, return_scores: bool = False) -> Any:
        """Rank the labels of each document.

        Parameters
        ----------
        X : documents or numeric matrix, as at `fit`
        k : int, default=5
            Labels a document, from 1 to the number of labels.
        return_scores : bool, default=False

        Returns
        -------
        labels : ndarray of shape (n_documents, k), of `classes_`'s dtype
            Best first; equal scores in the order of `classes_`. With label clusters, those of the
            `n_candidate_clusters` best, or of as many more as it takes to have `k`.
        scores : ndarray of float32, shape (n_documents, k)
            Only with `return_scores`: each label's probability, by itself.

        Raises
        ------
        TypeError, ValueError
            If a document is no str, or `k` is not in range.
        NotFittedError
            Before `fit`.
        """
        check_is_fitted(self, "network_")
        parameters.check_k(k, len(self.classes_))
        columns, logits = prediction.predict_topk(self.network_, self._read(X), k)
        labels = self.classes_[columns]
        return (labels, prediction.sigmoid(logits)) if return_scores else labels

    def predict(self, X: Any) -> Any:
        """Return the labels with a score of at least 0.5.

        Parameters
        ----------
        X : documents or numeric matrix, as at `fit`

        Returns
        -------
        y : ndarray, csr_matrix or csr_array of shape (n_documents, n_labels), or list of tuples
            In the form that `y` had at `fit`.
        """
        check_is_fitted(self, "network_")
        matrix = prediction.predict_positive(self.network_, self._read(X))
        return decode(matrix, self.classes_, self._label_form)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of every label for every document.

        With label clusters, that of the label times that of its cluster, of all clusters.

        Parameters
        ----------
        X : documents or numeric matrix, as at `fit`

        Returns
        -------
        ndarray of float32, shape (n_documents, n_labels)

        Raises
        ------
        ValueError
            If that array would pass 2**28 entries (1 GiB); `predict_topk` has no such limit.
        """
        return prediction.sigmoid(self.decision_function(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logit of every label for every document; as `predict_proba` otherwise."""
        check_is_fitted(self, "network_")
        documents = self._read(X)
        check_dense(len(documents), len(self.classes_))
        return prediction.predict_logits(self.network_, documents)

    def score(self, X: Any, y: Any) -> float:
        """Return the mean precision at 1: how often the first label is a true one.

        Parameters
        ----------
        X : documents or numeric matrix, as at `fit`
        y : the true labels, in the form that `y` had at `fit`

        Returns
        -------
        float in [0, 1]
        """
        check_is_fitted(self, "network_")
        documents = self._read(X)
        truth = encode_known(y, self.classes_, self._label_form, len(documents))
        columns, _ = prediction.predict_topk(self.network_, documents, 1)
        return metrics.precision_at_k(truth, columns, 1)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the fitted estimator to a folder of JSON and safetensors files.

        A save replaces an earlier one at the same path as one step: killed anywhere, the old
        model or the new one is there, whole. An absolute path given as `encoder` is reduced to
        its last part, and a ``RandomState`` to None (with a warning).

        Parameters
        ----------
        path : str or path
            A folder; made if missing.

        Raises
        ------
        TypeError
            If a label is neither an int nor a str; pickle keeps those.
        OSError
            If the folder cannot be written; an earlier model there is kept.
        NotFittedError
            Before `fit`.
        """
        check_is_fitted(self, "network_")
        save_bundle(self._to_bundle(), path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str | torch.device = "auto") -> Self:
        """Load what `save` wrote. Nothing in the folder is run, and no network is used.

        A pickle, in contrast, runs code when it is loaded: unpickle only what you wrote yourself.

        Parameters
        ----------
        path : str or path
        device : str or torch.device, default="auto"
            Where the model is put; it becomes the estimator's `device`.

        Returns
        -------
        LightXMLClassifier

        Raises
        ------
        BundleError
            If the folder is no whole, unchanged model of a known format.
        """
        return cls._from_bundle(load_bundle(path), device)

    def _to_bundle(self) -> Bundle:
        params = self.get_params(deep=False)
        return persistence.pack(type(self).__name__, params, self._fitted())

    @classmethod
    def _from_bundle(cls, bundle: Bundle, device: str | torch.device) -> Self:
        persistence.check_class(bundle, cls.__name__)
        params, fitted = persistence.unpack(bundle)
        try:
            model = cls(**{**params, "device": device})
            parameters.check_params(model.get_params(deep=False))
        except (TypeError, ValueError) as error:
            raise BundleError(
                f"{persistence.RECORD}: its arguments are wrong ({error})."
            ) from error
        place(fitted, model.precision, choose_device(device))
        model._keep(fitted)
        return model

    def __getstate__(self) -> dict[str, Any]:
        """Return arguments as they are, and the fitted parts in the form that `save` writes."""
        state = super().__getstate__()
        if "network_" not in state:
            return state
        fitted = self._fitted()
        params = {k: v for k, v in state.items() if k not in _FITTED}
        bundle = persistence.pack_model(fitted)
        return {
            **params,
            "classes_": fitted.classes,
            "vectorizer_": fitted.vectorizer,
            "feature_names_in_": fitted.feature_names,
            "_bundle": bundle,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        bundle = state.pop("_bundle", None)
        super().__setstate__(state)
        if bundle is None:
            return
        fitted = persistence.unpack_model(
            bundle, state["classes_"], state.get("vectorizer_"), state.get("feature_names_in_")
        )
        try:
            device = choose_device(self.device)
        except ValueError:  # trained on a device that this machine lacks
            device = choose_device("auto")
        place(fitted, self.precision, device)
        self._keep(fitted)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = True
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        tags.classifier_tags.multi_label = True
        tags.classifier_tags.multi_class = False
        return tags

    def _keep(self, fitted: FittedModel) -> None:
        self.classes_ = fitted.classes
        self.label_clusters_ = fitted.label_clusters
        self.network_ = fitted.network
        self.tokenizer_ = fitted.tokenizer
        self.vectorizer_ = fitted.vectorizer
        self._reader = fitted.reader
        self.history_ = fitted.history
        self.n_iter_ = len(fitted.history)
        self._label_form = fitted.label_form
        for name in ("n_features_in_", "feature_names_in_"):  # of an earlier fit
            self.__dict__.pop(name, None)
        if not fitted.reads_texts and fitted.network.features is not None:
            self.n_features_in_ = fitted.network.features.n_features
        if fitted.feature_names is not None:
            self.feature_names_in_ = fitted.feature_names

    def _fitted(self) -> FittedModel:
        return FittedModel(
            self.network_,
            self.tokenizer_,
            self._reader,
            self.classes_,
            self._label_form,
            self.history_,
        )

    def _read(self, X: Any) -> Documents:
        fitted = self._fitted()
        documents = fitted.read(X)
        if not fitted.reads_texts:
            validate_data(self, X, skip_check_array=True, reset=False)  # a data frame's names
        return frozen.with_kept_summaries(self.network_, documents, self.memory)


_FITTED = (
    "classes_", "label_clusters_", "network_", "tokenizer_", "vectorizer_", "history_",
    "n_iter_", "_label_form", "_reader", "n_features_in_", "feature_names_in_",
)  # fmt: skip


def check_dense(n_documents: int, n_labels: int) -> None:
    """Refuse an array of documents x labels that is too large.

    Raises
    ------
    ValueError
    """
    if n_documents * n_labels > MAX_DENSE_SCORES:
        raise ValueError(
            f"The scores of {n_documents} documents x {n_labels} labels would pass "
            f"{MAX_DENSE_SCORES} entries. Use predict_topk(X, k, return_scores=True), or fewer "
            "documents at a time."
        )
