"""From the estimator's arguments and the caller's data to a fitted model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import metrics, parameters, prediction
from lightxml.clustered import ClusteredHead
from lightxml.devices import choose_autocast, choose_device
from lightxml.documents import Documents, tokenize
from lightxml.encoders import build_encoder, choose_attention
from lightxml.features import feature_embedding
from lightxml.fitted import FittedModel
from lightxml.footprint import warn_if_short
from lightxml.frozen import cache_folder, summarise_all
from lightxml.heads import INITIAL_BIAS, start_at_centroids
from lightxml.label_clusters import make_label_clusters
from lightxml.labels import Labels, encode, encode_known
from lightxml.matrices import FeatureMatrix, check_matrix, is_numeric
from lightxml.neighbours import make_neighbours
from lightxml.network import LightXMLNetwork
from lightxml.texts import check_texts, holds_texts
from lightxml.training import seeded, train


@dataclass(frozen=True)
class Inputs:
    """The training documents, checked; what is not there is None.

    Attributes
    ----------
    texts : list of str, or None
    matrix : csr_array or ndarray of float32, shape (n_documents, n_features), or None
    encoder : what `build_encoder` takes, or None
    vectorizer : fitted transformer, or None
    """

    texts: list[str] | None
    matrix: FeatureMatrix | None
    encoder: Any
    vectorizer: Any

    def __len__(self) -> int:
        if self.texts is not None:
            return len(self.texts)
        assert self.matrix is not None
        return int(self.matrix.shape[0])


def fit_model(
    params: dict[str, Any], X: Any, y: Any, X_val: Any = None, y_val: Any = None
) -> FittedModel:
    """Check arguments and data, build the network and train it.

    Parameters
    ----------
    params : dict
        The arguments of `LightXMLClassifier`, by name.
    X, y, X_val, y_val
        As `LightXMLClassifier.fit` takes them, with its errors.
    """
    parameters.check_params(params)
    if (X_val is None) != (y_val is None):
        raise ValueError("X_val and y_val go together; pass both or neither.")
    inputs = check_inputs(X, params["encoder"], params["features"])
    labels = encode(y, len(inputs))
    device = choose_device(params["device"])
    seed = parameters.draw_seed(params["random_state"])
    folder = cache_folder(params["memory"])
    clusters = _cluster_labels(params, inputs, labels, seed)
    with seeded(seed, device):
        model = _build(params, inputs, labels, clusters)
        place(model, params["precision"], device)
    network = model.network

    def encoded(documents: Documents) -> Documents:
        if not network.is_frozen:
            return documents
        assert documents.tokens is not None
        summaries = summarise_all(network, documents.tokens, folder, verbose=params["verbose"])
        return replace(documents, summaries=summaries)

    weight = parameters.neighbor_weight(
        params, labels.matrix, trains_encoder=network.trains_encoder
    )

    def remember() -> None:
        if weight:
            representations = prediction.represent_all(network, documents)
            network.neighbours = make_neighbours(
                representations, labels.matrix, network.widths, weight
            )

    validate = None
    if X_val is not None:
        documents_val = model.read(X_val, name="X_val")
        n_val = len(documents_val)
        y_val = encode_known(y_val, labels.classes, labels.form, n_val, name="y_val")
        documents_val = encoded(documents_val)

        def validate(network: LightXMLNetwork) -> dict[str, float]:
            remember()
            ks = [k for k in (1, 3, 5) if k <= len(labels.classes)]
            columns, _ = prediction.predict_topk(network, documents_val, ks[-1])
            return {f"precision_at_{k}": metrics.precision_at_k(y_val, columns, k) for k in ks}

    tokens = features = None
    if model.tokenizer is not None:
        assert inputs.texts is not None
        tokens = tokenize(inputs.texts, model.tokenizer)
    if network.features is not None:
        features = network.features.prepare(inputs.matrix)
    documents = encoded(Documents(tokens, features))
    if network.standardise is not None:
        assert documents.summaries is not None
        network.standardise.fit(documents.summaries)
    if not network.trains_encoder:
        # The encoder's later changes would take the labels' first directions away again.
        _start_head(network, documents, labels.matrix)
    # Seeded anew: what an argument adds to the network does not shift the dropout.
    with seeded(seed, device):
        config = parameters.training_config(
            params,
            seed,
            len(inputs),
            len(labels.classes),
            trains_encoder=network.trains_encoder,
        )
        averages = config.swa_start is not None
        longest = int(documents.lengths.max())
        warn_if_short(network, config.batch_size, longest, averages=averages)
        history = train(network, documents, labels.matrix, config, validate)
    remember()
    return replace(model, history=history)


def check_inputs(X: Any, encoder: Any, features: Any) -> Inputs:
    """Tell documents from a numeric matrix, and fit the vectorizer on the documents.

    Raises
    ------
    TypeError, ValueError
        If `X` is neither, or does not go with `encoder` and `features`.
    """
    is_auto = parameters.is_auto(encoder)
    if encoder is None and features is None and holds_texts(X):
        raise ValueError(
            "X holds documents, but encoder is None and features is None: nothing reads them. "
            "Pass features=TfidfVectorizer(), an encoder, or a numeric matrix as X."
        )
    if is_numeric(X) or (encoder is None and features is None):
        if encoder is not None and not is_auto:
            raise ValueError(
                f"X is a numeric matrix, but encoder={_shown(encoder)} reads documents. Pass "
                "documents (a list of str), or encoder=None to learn from the matrix alone."
            )
        if features is not None:
            raise ValueError(
                "X is a numeric matrix, but features is a vectorizer, which reads documents. "
                "Pass documents (a list of str), or features=None."
            )
        return Inputs(None, check_matrix(X), None, None)
    texts = check_texts(X)
    vectorizer = matrix = None
    if features is not None:
        vectorizer = clone(features)
        matrix = check_matrix(vectorizer.fit_transform(texts), name="the output of features")
    return Inputs(texts, matrix, "bert-base-uncased" if is_auto else encoder, vectorizer)


def place(model: FittedModel, precision: str, device: torch.device) -> None:
    """Put the network on the device, ready to compute in this precision."""
    network = model.network
    network.autocast_dtype = choose_autocast(precision, device)
    if network.encoder is not None:
        bf16 = network.autocast_dtype is not None
        choose_attention(network.encoder, model.max_length, device, bf16)
    network.to(device)


def _cluster_labels(
    params: dict[str, Any], inputs: Inputs, labels: Labels, seed: int
) -> np.ndarray | None:
    """Return each label's cluster, or None where labels are not to be clustered."""
    n_labels = len(labels.classes)
    if not parameters.wants_clusters(params, n_labels):
        for name, without in (("loss_correction", False), ("n_random_negatives", 0)):
            if params[name] != without:
                warnings.warn(
                    f"{name}={params[name]} has no effect: without label clusters there is no "
                    "generator, and every label is a negative already. Pass label_clusters=True, "
                    f"or leave {name} out.",
                    UserWarning,
                    stacklevel=4,
                )
        return None
    given = params["label_clusters"]
    matrix = inputs.matrix
    if matrix is None and (isinstance(given, (bool, np.bool_, BaseEstimator)) or given == "auto"):
        matrix = sp.csr_array(TfidfVectorizer(sublinear_tf=True).fit_transform(inputs.texts))
    clusters = make_label_clusters(
        True if isinstance(given, (str, np.bool_)) else given,
        matrix,
        labels.matrix,
        max_cluster_size=params["max_cluster_size"],
        random_state=seed,
        n_jobs=params["n_jobs"],
    )
    sizes = np.sort(np.bincount(clusters))[::-1]
    n_taken, n_random = params["n_candidate_clusters"], params["n_random_negatives"]
    if n_taken > len(sizes):
        warnings.warn(
            f"n_candidate_clusters={n_taken} is more than the {len(sizes)} clusters of labels; "
            "all are taken. Lower it, or max_cluster_size.",
            UserWarning,
            stacklevel=4,
        )
    n_left = int(sizes[n_taken:].sum())
    if n_random > n_left:
        raise ValueError(
            f"n_random_negatives={n_random} is more than the {n_left} labels that are left beside "
            f"{n_taken} clusters of {sizes[0]}. Lower it, or n_candidate_clusters."
        )
    return clusters


def _start_head(network: LightXMLNetwork, documents: Documents, y: sp.csr_array) -> None:
    """Begin each label, and each cluster of labels, at its documents."""
    head = network.head

    def queries() -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        for rows, represented in prediction.representations(network, documents):
            with torch.no_grad():
                yield rows, head.query(represented)

    if not isinstance(head, ClusteredHead):
        start_at_centroids(head.weight, queries(), y)
        return
    start_at_centroids(head.embeddings, queries(), y)
    head.embeddings.data[:, -1] = INITIAL_BIAS
    clusters = head.cluster_of.cpu().numpy()
    membership = sp.csr_array(
        (np.ones(len(clusters), dtype=np.float32), (np.arange(len(clusters)), clusters))
    )
    of_all = prediction.representations(network, documents)
    start_at_centroids(head.generator.weight, of_all, sp.csr_array(y @ membership))


def _build(
    params: dict[str, Any], inputs: Inputs, labels: Labels, clusters: np.ndarray | None
) -> FittedModel:
    """Return the model before training; random weights come from torch's current generator."""
    if inputs.encoder is None:
        for name in ("se_block", "freeze_encoder"):
            if params[name]:
                raise ValueError(f"{name}=True is about an encoder, and there is none here.")
    encoder = None
    if inputs.encoder is not None:
        assert inputs.texts is not None
        encoder = build_encoder(inputs.encoder, inputs.texts, int(params["max_length"]))
    features = None
    if inputs.matrix is not None:
        features = feature_embedding(
            inputs.matrix, parameters.feature_dim(params, len(labels.classes))
        )
    width = 0 if features is None else features.width
    if encoder is not None:
        config = encoder.model.config
        n_layers = min(int(params["n_feature_layers"]), config.num_hidden_layers)
        width += n_layers * config.hidden_size
    network = LightXMLNetwork(
        encoder,
        len(labels.classes),
        label_dim=parameters.label_dim(
            params, width, len(labels.classes), clustered=clusters is not None
        ),
        label_clusters=clusters,
        n_candidate_clusters=int(params["n_candidate_clusters"]),
        n_random_negatives=int(params["n_random_negatives"]),
        loss_correction=bool(params["loss_correction"]),
        features=features,
        n_feature_layers=int(params["n_feature_layers"]),
        dropout=float(params["dropout"]),
        se_block=bool(params["se_block"]),
        frozen=bool(params["freeze_encoder"]),
    )
    tokenizer = None if encoder is None else encoder.tokenizer
    return FittedModel(network, tokenizer, inputs.vectorizer, labels.classes, labels.form, [])


def _shown(encoder: Any) -> str:
    return repr(encoder) if isinstance(encoder, str) else type(encoder).__name__
