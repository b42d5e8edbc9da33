"""The estimator: scikit-learn's face over the network, its training and its prediction."""

from __future__ import annotations

import os
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, check_scalar

from lightxml import metrics, parameters, persistence, prediction
from lightxml.batches import TokenStore, tokenize
from lightxml.bundle import load_bundle, save_bundle
from lightxml.devices import choose_autocast, choose_device, use_one_thread_if_forked
from lightxml.encoders import EncoderConfig, build_encoder, choose_attention
from lightxml.exceptions import BundleError
from lightxml.labels import decode, encode, encode_known
from lightxml.network import LightXMLNetwork
from lightxml.persistence import FittedModel
from lightxml.texts import check_texts
from lightxml.training import TrainingConfig, seeded, train

# The largest dense array of documents x labels that is made when asked for: 1 GiB of float32.
MAX_DENSE_SCORES = 2**28


class LightXMLClassifier(ClassifierMixin, BaseEstimator):
    """Extreme multi-label text classification with a transformer.

    Documents are ranked against thousands of labels by LightXML [1]_: the summary vectors of
    an encoder's last layers, joined, feed one logistic output for each label, and encoder and
    outputs are trained together.

    Parameters
    ----------
    encoder : str, path or transformers config, default="auto"
        A hub name, a local folder saved with ``save_pretrained``, a transformers config (trained
        from scratch), or ``"tiny"``: a BERT of 4 layers, width 256 and 4 heads with a vocabulary
        of up to 8,000 word pieces, both learnt from the training documents alone; it needs no
        download. ``"auto"`` is ``"bert-base-uncased"``.
    max_length : int, default=512
        Tokens a document, special ones included; what is longer is cut. At most the encoder's
        own number of positions.
    n_feature_layers : int, default=5
        The last hidden layers whose summary ([CLS]) vectors make the text representation; all
        layers, if the encoder has fewer.
    dropout : float in [0, 1), default=0.5
        On the text representation, in training.
    se_block : bool, default=False
        Weigh the joined layers against each other with a squeeze-and-excitation block [2]_.
    max_epochs : int or "auto", default="auto"
        ``"auto"`` is 20.
    batch_size : int or "auto", default="auto"
        Documents a batch; ``"auto"`` is 16.
    accumulate : int, default=1
        Batches whose gradients make one optimizer step, as if they were one large batch.
    learning_rate : float, default=1e-4
        Of the encoder, with AdamW.
    head_learning_rate : float or "auto", default="auto"
        Of everything else; ``"auto"`` is 2e-3.
    weight_decay : float, default=0.01
        Of all weights but biases and layer norms.
    schedule : {"linear", "constant"}, default="linear"
        ``"linear"``: rates rise over the first 5 % of the steps and then fall to zero;
        ``"constant"`` as in the paper.
    swa_start : float in [0, 1) or None, default=0.5
        The fraction of the training after which the mean of the weights is kept (stochastic
        weight averaging [3]_); it is what predicts. None: off.
    swa_every : int or "auto", default="auto"
        Steps between two additions to that mean; ``"auto"``: ten an epoch.
    precision : {"auto", "bf16", "fp32"}, default="auto"
        Of the encoder; ``"auto"`` is bf16 where the hardware computes in it. Scores are always
        computed in float32 from the text representation on.
    device : str or torch.device, default="auto"
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; ``"auto"`` takes a GPU where there is one.
    random_state : int, RandomState or None, default=None
        Decides initial weights, the order of documents and dropout. A ``RandomState`` is copied,
        never changed.
    verbose : int, default=0
        1 shows a progress bar with documents a second, time left, loss and validation P@1.

    Attributes
    ----------
    classes_ : ndarray of shape (n_labels,)
        The labels; ``arange(n_labels)`` if `y` was an indicator matrix.
    network_ : torch.nn.Module
        The trained network, in evaluation mode.
    tokenizer_ : tokenizers.Tokenizer
        Turns documents into token numbers.
    history_ : list of dict, one an epoch
        ``"epoch"`` (from 1), ``"loss"`` (sum over labels, mean over documents), and with
        validation data ``"precision_at_1"``, ``"precision_at_3"`` and ``"precision_at_5"``, as
        far as there are that many labels.
    n_iter_ : int
        Epochs trained.

    References
    ----------
    .. [1] Jiang, Wang, Sun, Yang, Zhao, Zhuang, "LightXML: Transformer with Dynamic Negative
       Sampling for High-Performance Extreme Multi-label Text Classification", AAAI 2021.
    .. [2] Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018.
    .. [3] Izmailov et al., "Averaging Weights Leads to Wider Optima and Better
       Generalization", UAI 2018.

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
        encoder: str | os.PathLike[str] | EncoderConfig = "auto",
        *,
        max_length: int = 512,
        n_feature_layers: int = 5,
        dropout: float = 0.5,
        se_block: bool = False,
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
        device: str | torch.device = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.encoder = encoder
        self.max_length = max_length
        self.n_feature_layers = n_feature_layers
        self.dropout = dropout
        self.se_block = se_block
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
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, *, X_val: Any = None, y_val: Any = None) -> Self:
        """Learn to rank labels for documents.

        An exception leaves a previous fit as it was.

        Parameters
        ----------
        X : list, tuple, 1-D array or Series of str, length n_documents
            The documents.
        y : indicator matrix of shape (n_documents, n_labels), or list of collections of labels
            The matrix may be dense or in any scipy sparse format, with entries 0 and 1.
        X_val, y_val : optional
            Validation documents and their labels, in the same forms: measured after each epoch
            into `history_`, never learnt from.

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
            If the training diverges.

        Warns
        -----
        LongFitWarning
            If the first steps show that the fit takes over an hour on a CPU.
        """
        use_one_thread_if_forked()
        parameters.check_params(self.get_params(deep=False))
        texts = check_texts(X)
        labels = encode(y, len(texts))
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val go together; pass both or neither.")
        if X_val is not None:
            texts_val = check_texts(X_val, name="X_val")
            y_val = encode_known(y_val, labels.classes, labels.form, len(texts_val), name="y_val")
        device = choose_device(self.device)
        seed = parameters.draw_seed(self.random_state)
        with seeded(seed, device):
            encoder = build_encoder(self._encoder(), texts, int(self.max_length))
            network = LightXMLNetwork(
                encoder,
                len(labels.classes),
                n_feature_layers=int(self.n_feature_layers),
                dropout=float(self.dropout),
                se_block=bool(self.se_block),
            )
            self._place(network, encoder.max_length, device)
        validate = None
        if X_val is not None:
            store_val = tokenize(texts_val, encoder.tokenizer)

            def validate(trained: LightXMLNetwork) -> dict[str, float]:
                ks = [k for k in (1, 3, 5) if k <= len(labels.classes)]
                columns, _ = prediction.predict_topk(trained, store_val, ks[-1])
                return {f"precision_at_{k}": metrics.precision_at_k(y_val, columns, k) for k in ks}

        # Seeded anew: what an argument adds to the network does not shift the dropout.
        with seeded(seed, device):
            network, history = train(
                network,
                tokenize(texts, encoder.tokenizer),
                labels.matrix,
                self._training_config(seed),
                validate,
            )
        self._keep(FittedModel(network, encoder.tokenizer, labels.classes, labels.form, history))
        return self

    def predict_topk(self, X: Any, k: int = 5, *, return_scores: bool = False) -> Any:
        """Rank the labels of each document.

        Parameters
        ----------
        X : list, tuple, 1-D array or Series of str, length n_documents
        k : int, default=5
            Labels a document, from 1 to the number of labels.
        return_scores : bool, default=False

        Returns
        -------
        labels : ndarray of shape (n_documents, k), of `classes_`'s dtype
            Best first; equal scores in the order of `classes_`.
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
        if isinstance(k, bool):
            raise TypeError("k is a bool; expected an int.")
        check_scalar(k, "k", Integral, min_val=1)
        if k > len(self.classes_):
            raise ValueError(f"k={k} is more than the {len(self.classes_)} labels of the model.")
        columns, logits = prediction.predict_topk(self.network_, self._tokenize(X), k)
        labels = self.classes_[columns]
        return (labels, prediction.sigmoid(logits)) if return_scores else labels

    def predict(self, X: Any) -> Any:
        """Return the labels with a score of at least 0.5.

        Parameters
        ----------
        X : list, tuple, 1-D array or Series of str, length n_documents

        Returns
        -------
        y : ndarray, csr_matrix or csr_array of shape (n_documents, n_labels), or list of tuples
            In the form that `y` had at `fit`.
        """
        check_is_fitted(self, "network_")
        matrix = prediction.predict_positive(self.network_, self._tokenize(X))
        return decode(matrix, self.classes_, self._label_form)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of every label for every document.

        Parameters
        ----------
        X : list, tuple, 1-D array or Series of str, length n_documents

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
        texts = check_texts(X)
        if len(texts) * len(self.classes_) > MAX_DENSE_SCORES:
            raise ValueError(
                f"The scores of {len(texts)} documents x {len(self.classes_)} labels would pass "
                f"{MAX_DENSE_SCORES} entries. Use predict_topk(X, k, return_scores=True), or "
                "fewer documents at a time."
            )
        return prediction.predict_logits(self.network_, tokenize(texts, self.tokenizer_))

    def score(self, X: Any, y: Any) -> float:
        """Return the mean precision at 1: how often the first label is a true one.

        Parameters
        ----------
        X : list, tuple, 1-D array or Series of str, length n_documents
        y : the true labels, in the form that `y` had at `fit`

        Returns
        -------
        float in [0, 1]
        """
        check_is_fitted(self, "network_")
        store = self._tokenize(X)
        truth = encode_known(y, self.classes_, self._label_form, len(store))
        return metrics.precision_at_k(truth, prediction.predict_topk(self.network_, store, 1)[0], 1)

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
        params = self.get_params(deep=False)
        save_bundle(persistence.pack(type(self).__name__, params, self._fitted()), path)

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
        name, params, fitted = persistence.unpack(load_bundle(path))
        if name != cls.__name__:
            raise BundleError(
                f"{persistence.RECORD}: holds a {name}, not a {cls.__name__}; use lightxml.load."
            )
        try:
            model = cls(**{**params, "device": device})
            parameters.check_params(model.get_params(deep=False))
        except (TypeError, ValueError) as error:
            raise BundleError(
                f"{persistence.RECORD}: its arguments are wrong ({error})."
            ) from error
        model._place(fitted.network, fitted.max_length, choose_device(device))
        model._keep(fitted)
        return model

    def __getstate__(self) -> dict[str, Any]:
        """Return arguments as they are, and the fitted parts in the form that `save` writes."""
        state = super().__getstate__()
        if "network_" not in state:
            return state
        fitted = self._fitted()
        params = {k: v for k, v in state.items() if k not in _FITTED}
        return {**params, "classes_": fitted.classes, "_bundle": persistence.pack_model(fitted)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        bundle = state.pop("_bundle", None)
        super().__setstate__(state)
        if bundle is None:
            return
        fitted = persistence.unpack_model(bundle, state["classes_"])
        try:
            device = choose_device(self.device)
        except ValueError:  # trained on a device that this machine lacks
            device = choose_device("auto")
        self._place(fitted.network, fitted.max_length, device)
        self._keep(fitted)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        tags.classifier_tags.multi_label = True
        tags.classifier_tags.multi_class = False
        return tags

    def _encoder(self) -> Any:
        is_auto = isinstance(self.encoder, str) and self.encoder == "auto"
        return "bert-base-uncased" if is_auto else self.encoder

    def _training_config(self, seed: int) -> TrainingConfig:
        def or_default(value: Any, default: Any) -> Any:
            return default if parameters.is_auto(value) else value

        return TrainingConfig(
            max_epochs=or_default(self.max_epochs, parameters.DEFAULT_EPOCHS),
            batch_size=or_default(self.batch_size, parameters.DEFAULT_BATCH_SIZE),
            accumulate=self.accumulate,
            learning_rate=self.learning_rate,
            head_learning_rate=or_default(
                self.head_learning_rate, parameters.DEFAULT_HEAD_LEARNING_RATE
            ),
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            swa_start=self.swa_start,
            swa_every=or_default(self.swa_every, None),
            seed=seed,
            verbose=self.verbose,
        )

    def _place(self, network: LightXMLNetwork, max_length: int, device: torch.device) -> None:
        network.autocast_dtype = choose_autocast(self.precision, device)
        bf16 = network.autocast_dtype is not None
        choose_attention(network.encoder, max_length, device, bf16)
        network.to(device)

    def _keep(self, fitted: FittedModel) -> None:
        self.classes_ = fitted.classes
        self.network_ = fitted.network
        self.tokenizer_ = fitted.tokenizer
        self.history_ = fitted.history
        self.n_iter_ = len(fitted.history)
        self._label_form = fitted.label_form

    def _fitted(self) -> FittedModel:
        return FittedModel(
            self.network_, self.tokenizer_, self.classes_, self._label_form, self.history_
        )

    def _tokenize(self, X: Any) -> TokenStore:
        return tokenize(check_texts(X), self.tokenizer_)


_FITTED = ("classes_", "network_", "tokenizer_", "history_", "n_iter_", "_label_form")


def load(path: str | os.PathLike[str], device: str | torch.device = "auto") -> LightXMLClassifier:
    """Load a saved estimator; as `LightXMLClassifier.load`."""
    return LightXMLClassifier.load(path, device)
