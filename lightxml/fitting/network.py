"""How the network is built and trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from lightxml.data.documents import EncodedDocuments, tokenize
from lightxml.data.inputs import Inputs, Reader
from lightxml.data.labels import Labels
from lightxml.fitting import decisions
from lightxml.fitting.clusters import cluster_labels
from lightxml.fitting.continued import go_on
from lightxml.fitting.footprint import warn_if_short
from lightxml.fitting.joined_clusters import clusters_with_new
from lightxml.fitting.measurement import Measurement, lift
from lightxml.fitting.rare_labels import preference
from lightxml.fitting.task import Task
from lightxml.fitting.validation import hold_out
from lightxml.network import prediction
from lightxml.network.config import NetworkConfig
from lightxml.network.encoders import build_encoder
from lightxml.network.features import describe_features
from lightxml.network.heads.kinds import choose_head
from lightxml.network.network import LightXMLNetwork
from lightxml.network.ranker import ranker_of as ranker_of_network
from lightxml.predicting.fitted import FittedModel, place
from lightxml.predicting.frozen import cache_folder, summarise_all
from lightxml.predicting.measured import KS, Measured
from lightxml.rankers.base import Ranker
from lightxml.runtime.devices import choose_device, seeded
from lightxml.runtime.forks import use_one_thread_if_forked
from lightxml.runtime.ranks import ALONE, Ranks
from lightxml.training.checkpoints import Checkpoints
from lightxml.training.loop import train


@dataclass(frozen=True)
class Trained:
    """A trained network, and the documents as it read them.

    Attributes
    ----------
    model : FittedModel
    learned : EncodedDocuments
        For training.
    new : EncodedDocuments or None
        Those that it did not learn from: of the task's validation.
    """

    model: FittedModel
    learned: EncodedDocuments
    new: EncodedDocuments | None


def fit_network_alone(task: Task, seed: int, checkpoints: Checkpoints | None) -> FittedModel:
    """Learn what LightXML's network alone is to rank."""
    is_given = task.validation is not None
    task = with_held_out(task, seed)
    task, inputs = task.read()
    weight = float(task.params["propensity_weight"])
    preferred = preference(task.labels.matrix, weight) if weight else None
    model = fit_network(task, inputs, seed, checkpoints, preferred).model
    if not isinstance(threshold := task.params["threshold"], str):  # else that of a new model, 0.5
        model = replace(model, threshold=float(threshold))
    if preferred is not None:
        assert model.network is not None
        lift(model.network.head, preferred)
    return replace(model, measured=_measured(model, task, is_given))


def _measured(model: FittedModel, task: Task, is_given: bool) -> Measured | None:
    """Return what the history says of the epoch whose weights are kept, if it was measured."""
    # A network that goes on may have learned from documents that are held out now.
    if task.validation is None or not (is_given or task.start is None):
        return None
    y, history = task.validation[1], model.history
    kept = history[-1]
    if task.params["early_stopping"]:
        name = f"precision_at_{decisions.stopping_k(y.shape[1])}"
        kept = max(history, key=lambda epoch: epoch[name])  # of equal ones the first
    figures = {k: kept[f"precision_at_{k}"] for k in KS if f"precision_at_{k}" in kept}
    return Measured("X_val" if is_given else "held out", y.shape[0], figures)


def fit_network(
    task: Task,
    inputs: Inputs,
    seed: int,
    checkpoints: Checkpoints | None,
    preferred: np.ndarray | None,
) -> Trained:
    """Train the network on documents with their features, or go on where its checkpoints end.

    Anew each time, on resume too: the documents held out, the features, the network's first
    weights. Kept in checkpoints: the clusters, the batches of a step, and what `train` keeps.
    """
    use_one_thread_if_forked()
    device = choose_device(task.params["device"])
    kept = {} if checkpoints is None else checkpoints.extra
    clusters = clusters_of(task, inputs, seed, kept)
    # With another number of processes, too, a fit goes on with the steps that it began with.
    batches = kept.setdefault(
        "batches_a_step", np.array(task.params["accumulate"] * task.ranks.size)
    )
    params = {**task.params, "accumulate": int(batches)}
    with seeded(seed, device):
        if task.start is None:
            model = build(params, task.reader, inputs, task.labels, clusters)
        else:
            model = go_on(params, task.start, task.reader, inputs, task.labels, clusters)
        place(model, params["precision"], device)
    network = model.network
    assert network is not None
    documents = encoded(model, inputs, params, task.ranks)
    begin_labels(network, documents, task)
    new = after_epoch = None
    if task.validation is not None:
        new = encoded(model, task.reader.featurize(task.validation[0]), params, task.ranks)
        after_epoch = Measurement(new, task.validation[1], preferred, task.ranks)
    history = train_network(
        network, task, params, documents, inputs.numbers, seed, after_epoch, checkpoints
    )
    return Trained(replace(model, history=history), documents, new)


def ranker_of(model: FittedModel, n_documents: int) -> Callable[[np.ndarray], Ranker]:
    """Return what makes the ranker "network", given which labels have a training document."""
    assert model.network is not None
    return partial(ranker_of_network, model.network, n_documents)


def with_held_out(task: Task, seed: int) -> Task:
    """Set documents aside for early stopping, where none were given."""
    if not task.params["early_stopping"] or task.validation is not None:
        return task
    fraction = task.params["validation_fraction"]
    if decisions.is_auto(fraction):
        fraction = decisions.HELD_OUT
    learned, held = hold_out(task.labels.matrix, fraction, seed)
    validation = task.inputs.only(held), task.labels.matrix[held]
    return replace(task.only(learned), inputs=task.inputs.only(learned), validation=validation)


def clusters_of(
    task: Task, inputs: Inputs, seed: int, kept: dict[str, np.ndarray]
) -> np.ndarray | None:
    """Return each label's cluster, of this fit's checkpoint if it has them; None without."""
    clusters = kept.get("clusters")
    if clusters is None:
        clusters = task.ranks.from_first(lambda: _clusters(task, inputs, seed))
    if clusters is not None:
        kept["clusters"] = clusters
    return clusters


def _clusters(task: Task, inputs: Inputs, seed: int) -> np.ndarray | None:
    if task.start is None:
        return cluster_labels(task.params, inputs, task.labels, seed)
    earlier, source = task.start.network.head.label_clusters, task.start.source
    if earlier is None:
        return None
    kept = np.where(source < 0, -1, earlier[source])
    return clusters_with_new(task.params, inputs, task.labels, kept, seed)


def build(
    params: dict[str, Any],
    reader: Reader,
    inputs: Inputs,
    labels: Labels,
    clusters: np.ndarray | None,
) -> FittedModel:
    """Return the model before training; random weights come from torch's current generator."""
    encoder = None
    source = decisions.encoder(params, reads_texts=reader.reads_texts)
    if source is not None:
        assert inputs.texts is not None
        encoder = build_encoder(source, inputs.texts, **decisions.of_encoder(params))
    n_labels, features, width = len(labels.classes), None, 0
    if inputs.matrix is not None:
        width = decisions.feature_dim(params, n_labels)
        features = describe_features(inputs.matrix, width)
    if encoder is not None:
        of_encoder = encoder.model.config
        n_layers = min(int(params["n_feature_layers"]), of_encoder.num_hidden_layers)
        width += n_layers * of_encoder.hidden_size
    head = choose_head(
        decisions.label_dim(params, width, n_labels, clustered=clusters is not None),
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
    return FittedModel(reader, labels.classes, labels.form, network, tokenizer, [])


def encoded(
    model: FittedModel, inputs: Inputs, params: dict[str, Any], ranks: Ranks
) -> EncodedDocuments:
    """Return documents as the network reads them; a frozen encoder's pass is made here, once."""
    documents: EncodedDocuments = model.documents(inputs).encoded
    assert model.network is not None
    if not model.network.is_frozen:
        return documents
    assert documents.tokens is not None
    folder = cache_folder(params["memory"])
    summaries = summarise_all(
        model.network, documents.tokens, folder, verbose=params["verbose"], ranks=ranks
    )
    return replace(documents, summaries=summaries)


def vectors_of(
    model: FittedModel, texts: list[str], params: dict[str, Any], ranks: Ranks = ALONE
) -> np.ndarray:
    """Return the encoder's vectors of some texts, float16 of shape (n_texts, width).

    Of several processes, each encodes its share. Those of a frozen encoder are kept in `memory`.
    """
    reader = model.vector_reader
    assert reader is not None
    assert model.tokenizer is not None
    tokens = tokenize(texts, model.tokenizer, reader.reading.prompt)
    folder = cache_folder(params["memory"]) if reader is model.text_reader else None
    verbose = params["verbose"]
    found = summarise_all(reader, tokens, folder, verbose=verbose, ranks=ranks)
    return found[:, -1].copy()  # and the layers' vectors go


def begin_labels(network: LightXMLNetwork, documents: EncodedDocuments, task: Task) -> None:
    """Give the network what it takes from the training documents before the first step.

    Of one that goes on, this is where new labels begin.
    """
    new = None if task.start is None else np.flatnonzero(task.start.source < 0)
    if network.standardise is not None and new is None:
        assert documents.summaries is not None
        network.standardise.fit(documents.summaries[:, : network.n_feature_layers])
    if not network.trains_encoder:
        # The encoder's later changes would take the labels' first directions away again.
        y = task.labels.matrix
        network.head.start(lambda: prediction.representations(network, documents), y, new)


def train_network(
    network: LightXMLNetwork,
    task: Task,
    params: dict[str, Any],
    documents: EncodedDocuments,
    numbers: np.ndarray | None,
    seed: int,
    after_epoch: Measurement | None,
    checkpoints: Checkpoints | None,
) -> list[dict[str, float]]:
    """Train the network in place, and return the history."""
    config = decisions.training_config(
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
            task.sample_weight,
        )
