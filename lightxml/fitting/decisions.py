"""The estimator's arguments: checked before a fit, and what is ``"auto"`` decided by the data."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import has_fit_parameter

from lightxml.arguments import ARGUMENTS, RANKER_NAMES, Setting, is_auto
from lightxml.exceptions import warn
from lightxml.training.config import TrainingConfig

# Of the size of BERT-base; docs/choosing.md says why.
DEFAULT_ENCODER = "Alibaba-NLP/gte-modernbert-base"
# The paper's, for a trained encoder.
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

COMPARE = {"neighbors", "label_texts"}  # which read an encoder's vectors, where there are any
HELD_OUT = 0.1  # of the documents, for early stopping where the network alone ranks


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


def of_encoder(params: dict[str, Any]) -> dict[str, Any]:
    """Return what `build_encoder` is told of how texts are read."""
    return {
        "max_length": int(params["max_length"]),
        "pooling": params["pooling"],
        "prompt": params["prompt"],
    }


def setting(
    params: dict[str, Any],
    y: sp.csr_array,
    *,
    has_encoder: bool,
    has_features: bool,
    rankers: tuple[str, ...],
    has_validation: bool,
    has_clusters: bool | None = None,
) -> Setting:
    """Return what the arguments' effects depend on.

    `has_clusters` is told where a fit goes on with a network, whose clusters take new labels in.
    """
    trains_encoder = has_encoder and not params["freeze_encoder"]
    has_network = "network" in rankers
    goes_on = has_clusters is not None
    if has_clusters is None:
        has_clusters = has_network and wants_clusters(params, y.shape[1])
    says_how = isinstance(params["label_clusters"], (bool, np.bool_, str))
    has_final_ranker = rankers != ("network",)
    learns_final_ranker = has_final_ranker and params["final_ranker"] is not None
    stops_early = bool(params["early_stopping"])
    return Setting(
        has_encoder=has_encoder,
        trains_encoder=trains_encoder,
        compares_vectors=has_encoder and not COMPARE.isdisjoint(rankers),
        has_features=has_features,
        has_network=has_network,
        has_clusters=has_clusters,
        makes_clusters=has_clusters and (goes_on or says_how),
        fits_linear="linear" in rankers,
        averages=params["swa_start"] is not None,
        stops_early=stops_early,
        holds_out=(stops_early or learns_final_ranker) and not has_validation,
        has_final_ranker=has_final_ranker,
        learns_final_ranker=learns_final_ranker,
        keeps_checkpoints=params["checkpoint_dir"] is not None,
    )


def rankers(
    params: dict[str, Any],
    *,
    has_encoder: bool,
    has_sparse_features: bool,
    has_label_texts: bool,
) -> tuple[str, ...]:
    """Return who proposes and scores labels, with what is ``"auto"`` decided.

    Linear classifiers and neighbors where there are sparse features; neighbors by its vectors
    where an encoder is frozen; label texts where there are any; the network where an encoder is
    trained, and where there are no sparse features. Beside those and a frozen encoder it added
    nothing (docs/experiments/rankers.md).

    Raises
    ------
    ValueError
        If a ranker is asked for that has nothing to read, or something is given that none reads.
    """
    is_frozen = has_encoder and bool(params["freeze_encoder"])
    given = params["rankers"]
    if is_auto(given):
        wanted = {
            "linear": has_sparse_features,
            "neighbors": has_sparse_features or is_frozen,
            "label_texts": has_label_texts,
            "network": not has_sparse_features or (has_encoder and not is_frozen),
        }
        return tuple(name for name in RANKER_NAMES if wanted[name])
    for name, is_there, needed in (
        ("linear", has_sparse_features, "sparse features: pass features=TfidfVectorizer()"),
        (
            "neighbors",
            has_sparse_features or has_encoder,
            "sparse features, or an encoder: pass features=TfidfVectorizer()",
        ),
        ("label_texts", has_label_texts, "the texts of labels: pass label_texts to fit"),
    ):
        if name in given and not is_there:
            raise ValueError(f"rankers has {name!r}, which needs {needed}, or leave it out.")
    compares = is_frozen and not COMPARE.isdisjoint(given)
    for argument, is_there, name in (
        ("encoder", has_encoder and not compares, "network"),
        ("label_texts", has_label_texts, "label_texts"),
    ):
        if is_there and name not in given:
            raise ValueError(
                f"rankers={given!r} reads no {argument}, and there is one here. Add {name!r} to "
                f"rankers, or pass {argument}=None."
            )
    return tuple(name for name in RANKER_NAMES if name in given)


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


def check_takes_weights(final_ranker: Any) -> None:
    """Refuse a final ranker of the user's own that cannot weigh documents.

    Raises
    ------
    ValueError
    """
    own = final_ranker is not None and not is_auto(final_ranker)
    if own and not has_fit_parameter(final_ranker, "sample_weight"):
        raise ValueError(
            f"sample_weight is given, but final_ranker={type(final_ranker).__name__} takes none "
            "in its fit. Pass a classifier that does, X_val and y_val (which have no weights), or "
            "no sample_weight."
        )


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
