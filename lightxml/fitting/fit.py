"""From the estimator's arguments and the caller's data to a fitted model."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from lightxml.data.documents import Documents
from lightxml.data.inputs import Inputs, Reader, reader_of
from lightxml.data.labels import Labels, encode
from lightxml.data.matrices import FeatureMatrix
from lightxml.data.random import draw_seed
from lightxml.exceptions import DeviceMemoryError
from lightxml.fitting import arguments
from lightxml.fitting.additions import Additions
from lightxml.fitting.clusters import check_given_clusters, cluster_labels
from lightxml.fitting.fingerprints import common_ground, fingerprint
from lightxml.fitting.footprint import warn_if_short
from lightxml.fitting.held_out import Measurement, Validation, check_validation, hold_out
from lightxml.fitting.rare_labels import RareLabels
from lightxml.network import prediction
from lightxml.network.config import NetworkConfig
from lightxml.network.encoders import build_encoder, check_encoder
from lightxml.network.features import describe_features
from lightxml.network.heads.kinds import choose_head
from lightxml.network.network import LightXMLNetwork
from lightxml.predicting.fitted import FittedModel, place
from lightxml.predicting.frozen import cache_folder, summarise_all
from lightxml.runtime.devices import choose_device, seeded
from lightxml.runtime.distributed import Ranks, joined
from lightxml.training.checkpoints import Checkpoints, checkpoints_in
from lightxml.training.loop import train


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
    device : torch.device
    ranks : Ranks
        The processes that train together.
    """

    params: dict[str, Any]
    reader: Reader
    inputs: Inputs
    labels: Labels
    validation: Validation | None
    device: torch.device
    ranks: Ranks


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
        arguments.check_params(params)
        with joined(params["device"]) as ranks:
            if not ranks.is_first:
                params = {**params, "verbose": 0}
            task = check_task(params, X, y, X_val, y_val, ranks)
            seed = ranks.from_first(lambda: draw_seed(params["random_state"]))
            with checkpoints_of(task, seed) as checkpoints:
                if checkpoints is not None:
                    seed = checkpoints.seed
                model = fit_task(task, seed, checkpoints)
                ranks.gather(None)  # all are done before the checkpoints are deleted
                return model


def check_task(
    params: dict[str, Any], X: Any, y: Any, X_val: Any, y_val: Any, ranks: Ranks
) -> Task:
    """Check the data, before anything takes long; errors as `LightXMLClassifier.fit`."""
    if (X_val is None) != (y_val is None):
        raise ValueError("X_val and y_val go together; pass both or neither.")
    reader, inputs = reader_of(X, params["encoder"], params["features"])
    labels = encode(y, len(inputs))
    device = choose_device(params["device"])
    validation = None
    if X_val is not None:
        validation = check_validation(X_val, y_val, reader, labels)
    encoder = arguments.encoder(params, reads_texts=reader.reads_texts)
    setting = arguments.setting(
        params,
        labels.matrix,
        has_encoder=encoder is not None,
        has_features=not reader.reads_texts or reader.vectorizer is not None,
        has_sparse_features=reader.vectorizer is not None or isinstance(inputs.matrix, sp.sparray),
        has_validation=validation is not None,
    )
    arguments.check_effects(params, setting)
    check_given_clusters(params["label_clusters"], len(labels.classes))
    check_encoder(encoder)
    task = Task(params, reader, inputs, labels, validation, device, ranks)
    if ranks.size > 1:
        ranks.check_same(common_ground(params, inputs.given, labels, _given(validation)))
    return task


def checkpoints_of(task: Task, seed: int) -> AbstractContextManager[Checkpoints | None]:
    """Return the checkpoints of this fit, as a context; None without a folder for them."""
    params, folder = task.params, None
    if params["checkpoint_dir"] is not None:
        known = None if params["random_state"] is None else seed
        validation = _given(task.validation)
        name = fingerprint(params, known, task.inputs.given, task.labels, validation)
        folder = Path(params["checkpoint_dir"]) / name
    return checkpoints_in(folder, 60 * params["checkpoint_minutes"], seed, task.ranks)


def fit_task(task: Task, seed: int, checkpoints: Checkpoints | None) -> FittedModel:
    """Learn a task, or go on learning it where its checkpoints end.

    Anew each time, on resume too: the documents held out, the features, the network's first
    weights. Kept in checkpoints: the clusters, the batches of a step, and what `train` keeps.
    """
    task = with_held_out(task, seed)
    inputs = task.reader.fit(task.inputs)
    kept = {} if checkpoints is None else checkpoints.extra
    clusters = clusters_of(task, inputs, seed, kept)
    # With another number of processes, too, a fit goes on with the steps that it began with.
    batches = kept.setdefault(
        "batches_a_step", np.array(task.params["accumulate"] * task.ranks.size)
    )
    params = {**task.params, "accumulate": int(batches)}
    with seeded(seed, task.device):
        model = build(params, task.reader, inputs, task.labels, clusters)
        place(model, params["precision"], task.device)
    linear_weight = arguments.linear_weight(
        params,
        task.labels.matrix,
        has_sparse_features=isinstance(inputs.matrix, sp.sparray),
        trains_encoder=model.network.trains_encoder,
        has_clusters=clusters is not None,
    )
    documents = encoded(model, inputs, params)
    start(model.network, documents, task.labels.matrix)
    additions = additions_of(params, model.network, documents, task.labels.matrix, linear_weight)
    after_epoch = None
    if task.validation is not None:
        held_out = encoded(model, task.reader.featurize(task.validation[0]), params)
        after_epoch = Measurement(held_out, task.validation[1], additions, task.ranks)
    # Seeded anew: what an argument adds to the network does not shift the dropout.
    with seeded(seed, task.device):
        history = train_network(
            model.network, task, params, documents, inputs.numbers, seed, after_epoch, checkpoints
        )
    additions.complete(
        model.network, task.ranks, seed=seed, n_jobs=params["n_jobs"], verbose=params["verbose"]
    )
    return replace(model, history=history)


def with_held_out(task: Task, seed: int) -> Task:
    """Set documents aside for early stopping, where none were given."""
    if not task.params["early_stopping"] or task.validation is not None:
        return task
    fraction = task.params["validation_fraction"]
    inputs, labels, validation = hold_out(task.inputs, task.labels, fraction, seed)
    return replace(task, inputs=inputs, labels=labels, validation=validation)


def clusters_of(
    task: Task, inputs: Inputs, seed: int, kept: dict[str, np.ndarray]
) -> np.ndarray | None:
    """Return each label's cluster, of this fit's checkpoint if it has them; None without."""
    clusters = kept.get("clusters")
    if clusters is None:
        clusters = task.ranks.from_first(
            lambda: cluster_labels(task.params, inputs, task.labels, seed)
        )
    if clusters is not None:
        kept["clusters"] = clusters
    return clusters


def build(
    params: dict[str, Any],
    reader: Reader,
    inputs: Inputs,
    labels: Labels,
    clusters: np.ndarray | None,
) -> FittedModel:
    """Return the model before training; random weights come from torch's current generator."""
    encoder = None
    source = arguments.encoder(params, reads_texts=reader.reads_texts)
    if source is not None:
        assert inputs.texts is not None
        encoder = build_encoder(source, inputs.texts, int(params["max_length"]))
    n_labels, features, width = len(labels.classes), None, 0
    if inputs.matrix is not None:
        width = arguments.feature_dim(params, n_labels)
        features = describe_features(inputs.matrix, width)
    if encoder is not None:
        of_encoder = encoder.model.config
        n_layers = min(int(params["n_feature_layers"]), of_encoder.num_hidden_layers)
        width += n_layers * of_encoder.hidden_size
    head = choose_head(
        arguments.label_dim(params, width, n_labels, clustered=clusters is not None),
        clusters,
        n_candidate_clusters=int(params["n_candidate_clusters"]),
        n_random_negatives=int(params["n_random_negatives"]),
        loss_correction=bool(params["loss_correction"]),
    )
    config = NetworkConfig(
        n_labels=n_labels,
        head=head,
        features=features,
        n_feature_layers=int(params["n_feature_layers"]),
        dropout=float(params["dropout"]),
        se_block=bool(params["se_block"]),
        frozen=bool(params["freeze_encoder"]),
    )
    network = LightXMLNetwork(config, encoder)
    if network.features is not None:
        network.features.fit(inputs.matrix)
    if clusters is not None:
        network.head.set_clusters(clusters)
    tokenizer = None if encoder is None else encoder.tokenizer
    return FittedModel(network, tokenizer, reader, labels.classes, labels.form, [])


def encoded(model: FittedModel, inputs: Inputs, params: dict[str, Any]) -> Documents:
    """Return documents as the network reads them; a frozen encoder's pass is made here, once."""
    documents = model.documents(inputs)
    if not model.network.is_frozen:
        return documents
    assert documents.tokens is not None
    folder = cache_folder(params["memory"])
    summaries = summarise_all(model.network, documents.tokens, folder, verbose=params["verbose"])
    return replace(documents, summaries=summaries)


def start(network: LightXMLNetwork, documents: Documents, y: sp.csr_array) -> None:
    """Give the network what it takes from the training documents before the first step."""
    if network.standardise is not None:
        assert documents.summaries is not None
        network.standardise.fit(documents.summaries)
    if not network.trains_encoder:
        # The encoder's later changes would take the labels' first directions away again.
        network.head.start(lambda: prediction.representations(network, documents), y)


def additions_of(
    params: dict[str, Any],
    network: LightXMLNetwork,
    documents: Documents,
    y: sp.csr_array,
    linear_weight: float,
) -> Additions:
    """Decide what is added to the network's logits beside its training."""
    trains_encoder = network.trains_encoder
    weight = float(params["propensity_weight"])
    return Additions(
        documents,
        y,
        arguments.neighbor_weight(params, y, trains_encoder=trains_encoder),
        linear_weight,
        RareLabels(y, weight) if weight else None,
    )


def train_network(
    network: LightXMLNetwork,
    task: Task,
    params: dict[str, Any],
    documents: Documents,
    numbers: np.ndarray | None,
    seed: int,
    after_epoch: Measurement | None,
    checkpoints: Checkpoints | None,
) -> list[dict[str, float]]:
    """Train the network in place, and return the history."""
    config = arguments.training_config(
        params,
        seed,
        len(documents),
        task.labels.matrix.shape[1],
        trains_encoder=network.trains_encoder,
    )
    longest = int(documents.lengths.max())
    warn_if_short(network, config.batch_size, longest, averages=config.swa_start is not None)
    with network.head.in_training():
        return train(
            network,
            documents,
            task.labels.matrix,
            config,
            after_epoch,
            checkpoints,
            numbers,
            task.ranks,
        )


def _given(
    validation: Validation | None,
) -> tuple[list[str] | FeatureMatrix, sp.csr_array] | None:
    return None if validation is None else (validation[0].given, validation[1])


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
