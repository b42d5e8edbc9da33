"""From the estimator's arguments and the caller's data to a fitted model."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from lightxml.data.documents import Documents, tokenize
from lightxml.data.inputs import (
    Inputs,
    Validation,
    check_inputs,
    check_validation,
    hold_out,
    with_features,
)
from lightxml.data.labels import Labels, encode
from lightxml.data.random import draw_seed
from lightxml.exceptions import DeviceMemoryError
from lightxml.fitting import arguments as parameters
from lightxml.fitting.clusters import cluster_labels
from lightxml.fitting.fingerprints import common_ground, fingerprint
from lightxml.fitting.footprint import warn_if_short
from lightxml.fitting.rare_labels import RareLabels
from lightxml.fitting.support_vectors import N_CANDIDATES, fit_classifiers
from lightxml.metrics import measures as metrics
from lightxml.network.encoders import build_encoder, choose_attention
from lightxml.network.features import feature_embedding
from lightxml.network.heads.base import INITIAL_BIAS, start_at_centroids
from lightxml.network.heads.chunked import ChunkedHead
from lightxml.network.heads.clustered import ClusteredHead
from lightxml.network.linear import LinearClassifiers
from lightxml.network.neighbours import make_neighbours
from lightxml.network.network import LightXMLNetwork
from lightxml.predicting import prediction
from lightxml.predicting.fitted import FittedModel
from lightxml.predicting.frozen import cache_folder, summarise_all
from lightxml.runtime.devices import choose_autocast, choose_device, seeded
from lightxml.runtime.distributed import Ranks, joined
from lightxml.training.checkpoints import Checkpoints, checkpoints_in
from lightxml.training.loop import train


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
    with out_of_memory_as_advice():
        parameters.check_params(params)
        with joined(params["device"]) as ranks:
            if not ranks.is_first:
                params = {**params, "verbose": 0}
            return _fit_model(params, X, y, X_val, y_val, ranks)


def _fit_model(
    params: dict[str, Any], X: Any, y: Any, X_val: Any, y_val: Any, ranks: Ranks
) -> FittedModel:
    if (X_val is None) != (y_val is None):
        raise ValueError("X_val and y_val go together; pass both or neither.")
    inputs = check_inputs(X, params["encoder"], params["features"])
    labels = encode(y, len(inputs))
    device = choose_device(params["device"])
    validation = None
    if X_val is not None:
        validation = check_validation(X_val, y_val, inputs, labels)
    if ranks.size > 1:
        ranks.check_same(common_ground(params, inputs.given, labels, validation))
    seed = ranks.from_first(lambda: draw_seed(params["random_state"]))
    folder = None
    if params["checkpoint_dir"] is not None:
        known = None if params["random_state"] is None else seed
        name = fingerprint(params, known, inputs.given, labels, validation)
        folder = Path(params["checkpoint_dir"]) / name
    seconds = 60 * params["checkpoint_minutes"]
    with checkpoints_in(folder, seconds, seed, ranks) as checkpoints:
        if checkpoints is not None:
            seed = checkpoints.seed
        if params["early_stopping"] and validation is None:
            inputs, labels, validation = hold_out(
                inputs, labels, params["validation_fraction"], seed
            )
        inputs = with_features(inputs)
        model = _train_model(params, inputs, labels, validation, device, seed, checkpoints, ranks)
        ranks.gather(None)  # all are done before the checkpoints are deleted
        return model


def _train_model(
    params: dict[str, Any],
    inputs: Inputs,
    labels: Labels,
    validation: Validation | None,
    device: torch.device,
    seed: int,
    checkpoints: Checkpoints | None,
    ranks: Ranks,
) -> FittedModel:
    folder = cache_folder(params["memory"])
    kept = {} if checkpoints is None else checkpoints.extra
    clusters = kept.get("clusters")
    if clusters is None:
        clusters = ranks.from_first(lambda: cluster_labels(params, inputs, labels, seed))
    if clusters is not None:
        kept["clusters"] = clusters
    # With another number of processes, too, a fit goes on with the steps that it began with.
    batches = kept.setdefault("batches_a_step", np.array(params["accumulate"] * ranks.size))
    params = {**params, "accumulate": int(batches)}
    with seeded(seed, device):
        model = _build(params, inputs, labels, clusters)
        linear_weight = parameters.linear_weight(
            params,
            labels.matrix,
            has_sparse_features=isinstance(inputs.matrix, sp.sparray),
            trains_encoder=model.network.trains_encoder,
            has_clusters=clusters is not None,
        )
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

    rare = RareLabels(labels.matrix, w) if (w := float(params["propensity_weight"])) else None

    def remember() -> None:
        if weight:
            representations = prediction.represent_all(network, documents)
            network.neighbours = make_neighbours(
                representations, labels.matrix, network.widths, weight
            )

    def with_linear() -> LinearClassifiers:
        assert isinstance(documents.features, sp.csr_array)
        k = min(N_CANDIDATES, len(labels.classes))
        candidates, _ = prediction.predict_topk(network, documents, k)
        weights, bias = fit_classifiers(
            documents.features,
            labels.matrix,
            candidates,
            seed=seed,
            n_jobs=params["n_jobs"],
            verbose=params["verbose"],
        )
        return LinearClassifiers(weights, bias, linear_weight)

    validate = None
    if validation is not None:
        X_val, y_val = validation
        documents_val = encoded(model.read(X_val, name="X_val"))

        def validate(network: LightXMLNetwork) -> dict[str, float]:
            remember()
            ks = [k for k in (1, 3, 5) if k <= len(labels.classes)]
            begin, end = (
                len(documents_val) * n // ranks.size for n in (ranks.rank, ranks.rank + 1)
            )
            with nullcontext() if rare is None else rare.lifted(network.head):
                own, _ = prediction.predict_topk(network, documents_val.part(begin, end), ks[-1])
            columns = np.concatenate(ranks.gather(own))
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
        head = network.head
        with head.in_training() if isinstance(head, ChunkedHead) else nullcontext():
            history = train(
                network,
                documents,
                labels.matrix,
                config,
                validate,
                checkpoints,
                inputs.numbers,
                ranks,
            )
    remember()
    if linear_weight:
        network.linear = ranks.from_first(with_linear)
    if rare is not None:
        # Raised is the logit that comes out in the end.
        rare.lift(network.head, 1 / (1 - linear_weight))
    return replace(model, history=history)


@contextmanager
def out_of_memory_as_advice() -> Iterator[None]:
    """Say what helps where a GPU's memory is not enough, and free what the fit held there.

    Raises
    ------
    DeviceMemoryError
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        # The frames that the error came through hold the network and the batch.
        traceback.clear_frames(error.__traceback__)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise DeviceMemoryError(
            "The GPU's memory is not enough for this fit. Lower batch_size and raise accumulate "
            "by as much (the steps stay the same), or lower max_length; a smaller encoder or "
            f"feature_dim helps too. Cause: {str(error).strip().splitlines()[0]}"
        ) from error


def place(model: FittedModel, precision: str, device: torch.device) -> None:
    """Put the network on the device, ready to compute in this precision."""
    network = model.network
    network.autocast_dtype = choose_autocast(precision, device)
    if network.encoder is not None:
        bf16 = network.autocast_dtype is not None
        choose_attention(network.encoder, model.max_length, device, bf16)
    network.to(device)


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
