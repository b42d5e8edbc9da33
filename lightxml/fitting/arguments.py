"""The estimator's arguments, checked together at the start of `fit`."""

from __future__ import annotations

import math
import os
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from joblib import Memory
from sklearn.utils.validation import check_scalar

from lightxml.network.encoders import EncoderConfig
from lightxml.training.loop import TrainingConfig

EXPECTED_CLUSTERS = (
    "True, a clusterer (an instance), or an array with a cluster number for each label"
)

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
    for name in ("max_length", "n_feature_layers", "accumulate", "n_iter_no_change",
                 "max_cluster_size", "n_candidate_clusters"):  # fmt: skip
        check_scalar(params[name], name, Integral, min_val=1)
    if params["n_jobs"] is not None:
        check_scalar(params["n_jobs"], "n_jobs", Integral)
    check_scalar(params["n_random_negatives"], "n_random_negatives", Integral, min_val=0)
    for name in ("max_epochs", "batch_size", "swa_every", "feature_dim", "label_dim"):
        if not is_auto(params[name]):
            check_scalar(params[name], name, Integral, min_val=1)
    check_scalar(params["verbose"], "verbose", Integral, min_val=0)
    fractions = ["dropout"]
    if not is_auto(params["linear_weight"]):
        fractions.append("linear_weight")
    for name in fractions:
        check_scalar(params[name], name, Real, min_val=0, max_val=1, include_boundaries="left")
    check_scalar(
        params["learning_rate"], "learning_rate", Real, min_val=0, include_boundaries="neither"
    )
    if not is_auto(params["head_learning_rate"]):
        check_scalar(
            params["head_learning_rate"],
            "head_learning_rate",
            Real,
            min_val=0,
            include_boundaries="neither",
        )
    weights = ["weight_decay", "propensity_weight"]
    if not is_auto(params["neighbor_weight"]):
        weights.append("neighbor_weight")
    for name in weights:
        check_scalar(params[name], name, Real, min_val=0)
    for name, value in params.items():
        if isinstance(value, (float, np.floating)) and not math.isfinite(value):
            raise ValueError(f"{name} is {value}; expected a finite number.")
    if params["swa_start"] is not None:
        check_scalar(
            params["swa_start"], "swa_start", Real, min_val=0, max_val=1, include_boundaries="left"
        )
    _check_fraction(params["validation_fraction"])
    check_scalar(
        params["checkpoint_minutes"],
        "checkpoint_minutes",
        Real,
        min_val=0,
        include_boundaries="neither",
    )
    folder = params["checkpoint_dir"]
    if folder is not None and not isinstance(folder, (str, os.PathLike)):
        raise TypeError(
            f"checkpoint_dir is {folder!r} ({type(folder).__name__}); expected a folder or None."
        )
    for name in ("se_block", "freeze_encoder", "early_stopping", "loss_correction"):
        if not isinstance(params[name], (bool, np.bool_)):
            raise TypeError(f"{name} is {params[name]!r}; expected True or False.")
    _check_choice(params, "schedule", ("linear", "constant"))
    _check_choice(params, "precision", ("auto", "bf16", "fp32"))
    encoder = params["encoder"]
    if encoder is not None and not isinstance(encoder, (str, os.PathLike, EncoderConfig)):
        raise TypeError(
            f"encoder is {encoder!r} ({type(encoder).__name__}); expected 'auto', 'tiny', a hub "
            "name, a local folder, a transformers config or None."
        )
    if params["freeze_encoder"] and (encoder == "tiny" or isinstance(encoder, EncoderConfig)):
        raise ValueError(
            "freeze_encoder=True would keep the random weights that 'tiny' and a config begin "
            "with; pass a pretrained encoder (a hub name or a local folder)."
        )
    clusters = params["label_clusters"]
    if isinstance(clusters, (str, type)) and not is_auto(clusters):
        raise TypeError(
            f"label_clusters is {clusters!r}; expected 'auto', False, {EXPECTED_CLUSTERS}."
        )
    features = params["features"]
    if isinstance(features, type) or not (
        features is None or (hasattr(features, "fit_transform") and hasattr(features, "transform"))
    ):
        raise TypeError(
            f"features is {features!r}; expected a vectorizer such as TfidfVectorizer(), or None."
        )
    memory = params["memory"]
    if memory is not None and not isinstance(memory, (str, os.PathLike, Memory)):
        raise TypeError(
            f"memory is {memory!r} ({type(memory).__name__}); expected a folder, a joblib.Memory "
            "or None."
        )
    if not isinstance(params["device"], (str, torch.device)):
        raise TypeError(
            f"device is {params['device']!r}; expected 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'."
        )


def check_k(k: Any, n_labels: int) -> None:
    """Check the number of labels asked for.

    Raises
    ------
    TypeError, ValueError
    """
    if isinstance(k, bool):
        raise TypeError("k is a bool; expected an int.")
    check_scalar(k, "k", Integral, min_val=1)
    if k > n_labels:
        raise ValueError(f"k={k} is more than the {n_labels} labels of the model.")


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
    return clusters is not False and clusters is not None


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
            raise ValueError(
                f"linear_weight={params['linear_weight']} is about sparse features, such as "
                "features=TfidfVectorizer() gives, and there are none here."
            )
        return float(params["linear_weight"])
    many = y.shape[0] > MOST_DOCUMENTS_FOR_LINEAR or y.shape[1] > MOST_LABELS_FOR_LINEAR
    if not has_sparse_features or many or trains_encoder or has_clusters:
        return 0.0
    return LINEAR_WEIGHT


def is_auto(value: Any) -> bool:
    """Tell the string ``"auto"`` from a number."""
    return isinstance(value, str) and value == "auto"


def _check_fraction(value: Any) -> None:
    if isinstance(value, Integral) and not isinstance(value, bool):
        check_scalar(value, "validation_fraction", Integral, min_val=1)
    else:
        check_scalar(
            value, "validation_fraction", Real, min_val=0, max_val=1, include_boundaries="neither"
        )


def _check_choice(params: dict[str, Any], name: str, choices: tuple[str, ...]) -> None:
    if not isinstance(params[name], str) or params[name] not in choices:
        expected = ", ".join(map(repr, choices))
        raise ValueError(f"{name} is {params[name]!r}; expected one of {expected}.")
