"""The estimator's arguments: checked before a fit, and what is ``"auto"`` decided by the data."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import scipy.sparse as sp

from lightxml.exceptions import warn
from lightxml.fitting.table import ARGUMENTS, Setting, is_auto
from lightxml.training.config import TrainingConfig

# The paper's, for a trained encoder.
DEFAULT_ENCODER = "bert-base-uncased"
DEFAULT_EPOCHS = 20
DEFAULT_BATCH_SIZE = 16
# A head trained from nothing wants a larger rate than an encoder that is already good.
DEFAULT_HEAD_LEARNING_RATE = 2e-3

# Without a trained encoder, chosen on validation documents (docs/features.md): some 1,000 steps
# are enough for few documents, and a few epochs for many. A large output layer's update costs
# as much as a small batch.
STEPS_WITHOUT_ENCODER = 1_000
EPOCHS_WITHOUT_ENCODER = (8, 20)
BATCH_SIZE_WITHOUT_ENCODER = 128
BATCH_SIZE_FOR_MANY_LABELS = 256
MANY_LABELS = 10_000
FEATURE_DIM, FEATURE_DIM_FOR_MANY_LABELS = 512, 1024
HEAD_LEARNING_RATE_WITHOUT_ENCODER = 5e-3

# Above so many labels the paper's clusters, and above so many weights in the output layer a
# bottleneck before it.
MOST_LABELS_WITHOUT_CLUSTERS = 100_000
LARGEST_OUTPUT_LAYER = 2**27
LABEL_DIM = 400

NEIGHBOR_WEIGHT, NEIGHBOR_WEIGHT_FOR_RARE_LABELS = 1.0, 3.0
RARE_LABELS = 20  # training documents a label, on average
# More training documents than these are compared with a new one only where it is asked for.
MOST_NEIGHBOURS = 200_000

LINEAR_WEIGHT = 2 / 3  # chosen on validation documents (docs/features.md)
# With more training documents or labels, a classifier for each label only where it is asked for.
MOST_DOCUMENTS_FOR_LINEAR, MOST_LABELS_FOR_LINEAR = 200_000, 100_000


def check_params(params: dict[str, Any]) -> None:
    """Check every constructor argument that can be judged before the data is seen.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what was found and what is expected.
    """
    for name, argument in ARGUMENTS.items():
        argument.kind.check(name, params[name])
    encoder = params["encoder"]
    has_random_weights = encoder is not None and not isinstance(encoder, (str, os.PathLike))
    if params["freeze_encoder"] and (encoder == "tiny" or has_random_weights):
        raise ValueError(
            "freeze_encoder=True would keep the random weights that 'tiny' and a config begin "
            "with; pass a pretrained encoder (a hub name or a local folder)."
        )


def encoder(params: dict[str, Any], *, reads_texts: bool) -> Any:
    """Return what `build_encoder` makes the encoder of, with what is ``"auto"`` decided."""
    if not reads_texts:
        return None
    return DEFAULT_ENCODER if is_auto(params["encoder"]) else params["encoder"]


def setting(
    params: dict[str, Any],
    y: sp.csr_array,
    *,
    has_encoder: bool,
    has_features: bool,
    has_sparse_features: bool,
    has_validation: bool,
) -> Setting:
    """Return what the arguments' effects depend on.

    A vectorizer that is not fitted yet is taken for one of sparse features: most are.
    """
    trains_encoder = has_encoder and not params["freeze_encoder"]
    has_clusters = wants_clusters(params, y.shape[1])
    given = params["label_clusters"]
    weight = 0.0
    if has_sparse_features:
        weight = linear_weight(
            params,
            y,
            has_sparse_features=True,
            trains_encoder=trains_encoder,
            has_clusters=has_clusters,
        )
    return Setting(
        has_encoder=has_encoder,
        trains_encoder=trains_encoder,
        has_features=has_features,
        has_sparse_features=has_sparse_features,
        has_clusters=has_clusters,
        makes_clusters=has_clusters and isinstance(given, (bool, np.bool_, str)),
        fits_linear=weight > 0,
        averages=params["swa_start"] is not None,
        stops_early=bool(params["early_stopping"]),
        holds_out=bool(params["early_stopping"]) and not has_validation,
        keeps_checkpoints=params["checkpoint_dir"] is not None,
    )


def check_effects(params: dict[str, Any], setting: Setting) -> None:
    """Check that every argument that asks for something has an effect here.

    Raises
    ------
    ValueError
        If one is refused without what it needs.

    Warns
    -----
    UserWarning
        If one has no effect: its name, why, and what to do.
    """
    idle = [a for name, a in ARGUMENTS.items() if a.is_idle(params[name], setting)]
    for argument in sorted(idle, key=lambda argument: not argument.is_refused):
        message = argument.idle_message(params[argument.name])
        if argument.is_refused:
            raise ValueError(message)
        warn(message)


def training_config(
    params: dict[str, Any], seed: int, n_documents: int, n_labels: int, *, trains_encoder: bool
) -> TrainingConfig:
    """Return how to train, with what is ``"auto"`` decided."""
    epochs, batch_size, rate = DEFAULT_EPOCHS, DEFAULT_BATCH_SIZE, DEFAULT_HEAD_LEARNING_RATE
    if not trains_encoder:
        many = n_labels > MANY_LABELS
        batch_size = BATCH_SIZE_FOR_MANY_LABELS if many else BATCH_SIZE_WITHOUT_ENCODER
        rate = HEAD_LEARNING_RATE_WITHOUT_ENCODER
    if not is_auto(params["batch_size"]):
        batch_size = int(params["batch_size"])
    if not trains_encoder:
        few, most = EPOCHS_WITHOUT_ENCODER
        documents_a_step = batch_size * int(params["accumulate"])
        epochs = round(STEPS_WITHOUT_ENCODER * documents_a_step / n_documents)
        epochs = min(max(epochs, few), most)
    averages_an_epoch = 10 if trains_encoder else 1  # the rate falls to zero: the end is smooth

    def or_default(name: str, default: Any) -> Any:
        return default if is_auto(params[name]) else params[name]

    steps_an_epoch = math.ceil(math.ceil(n_documents / batch_size) / int(params["accumulate"]))
    return TrainingConfig(
        max_epochs=or_default("max_epochs", epochs),
        batch_size=batch_size,
        accumulate=params["accumulate"],
        learning_rate=params["learning_rate"],
        head_learning_rate=or_default("head_learning_rate", rate),
        weight_decay=params["weight_decay"],
        schedule=params["schedule"],
        swa_start=params["swa_start"],
        swa_every=or_default("swa_every", max(1, steps_an_epoch // averages_an_epoch)),
        seed=seed,
        verbose=params["verbose"],
        stop_on=f"precision_at_{stopping_k(n_labels)}" if params["early_stopping"] else None,
        n_iter_no_change=params["n_iter_no_change"],
    )


def stopping_k(n_labels: int) -> int:
    """Return the k of the P@k that early stopping goes by.

    Of all the labels' ranks no ranking is better than another, so k is less than their number.
    """
    return max(k for k in (1, 3, 5) if k < max(n_labels, 2))


def feature_dim(params: dict[str, Any], n_labels: int) -> int:
    """Return the width of the feature embedding, with what is ``"auto"`` decided."""
    if not is_auto(params["feature_dim"]):
        return int(params["feature_dim"])
    return FEATURE_DIM_FOR_MANY_LABELS if n_labels > MANY_LABELS else FEATURE_DIM


def wants_clusters(params: dict[str, Any], n_labels: int) -> bool:
    """Tell whether labels are to be clustered, with what is ``"auto"`` decided."""
    clusters = params["label_clusters"]
    if is_auto(clusters):
        return n_labels > MOST_LABELS_WITHOUT_CLUSTERS
    if clusters is None or isinstance(clusters, (bool, np.bool_)):
        return bool(clusters)
    return True


def label_dim(params: dict[str, Any], width: int, n_labels: int, *, clustered: bool) -> int | None:
    """Return the width of the label embeddings; None for a plain output layer on `width`."""
    if not is_auto(params["label_dim"]):
        return int(params["label_dim"])
    return LABEL_DIM if clustered or width * n_labels > LARGEST_OUTPUT_LAYER else None


def neighbor_weight(params: dict[str, Any], y: sp.csr_array, *, trains_encoder: bool) -> float:
    """Return the weight of the neighbours' say, with what is ``"auto"`` decided."""
    if not is_auto(params["neighbor_weight"]):
        return float(params["neighbor_weight"])
    if trains_encoder or y.shape[0] > MOST_NEIGHBOURS:
        return 0.0
    documents_a_label = y.nnz / len(np.unique(y.indices))
    rare = documents_a_label < RARE_LABELS
    return NEIGHBOR_WEIGHT_FOR_RARE_LABELS if rare else NEIGHBOR_WEIGHT


def linear_weight(
    params: dict[str, Any],
    y: sp.csr_array,
    *,
    has_sparse_features: bool,
    trains_encoder: bool,
    has_clusters: bool,
) -> float:
    """Return the weight of the labels' linear classifiers, with what is ``"auto"`` decided.

    Raises
    ------
    ValueError
        Where there are no sparse features for them.
    """
    if not is_auto(params["linear_weight"]):
        if params["linear_weight"] and not has_sparse_features:
            raise ValueError(ARGUMENTS["linear_weight"].idle_message(params["linear_weight"]))
        return float(params["linear_weight"])
    many = y.shape[0] > MOST_DOCUMENTS_FOR_LINEAR or y.shape[1] > MOST_LABELS_FOR_LINEAR
    if not has_sparse_features or many or trains_encoder or has_clusters:
        return 0.0
    return LINEAR_WEIGHT
