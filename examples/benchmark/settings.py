"""What the names of our settings mean, as arguments of `LightXMLClassifier`."""

from __future__ import annotations

from typing import Any

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# What a learner's name means, and what a variant of it adds. Each variant is also an ablation:
# it changes one thing of the setting before it.
LEARNERS: dict[str, dict[str, Any]] = {
    "features": {"encoder": None},
    "frozen": {"freeze_encoder": True},
    "trained": {},
}
VARIANTS: dict[str, dict[str, Any]] = {
    "network": {"rankers": ("network",)},
    "mean": {"final_ranker": None},
    "logistic": {
        "final_ranker": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    },
    "clusters": {"label_clusters": True},
    "bottleneck": {"label_dim": 400},
    "se": {"se_block": True},
    "correction": {"loss_correction": True},
    "random50": {"n_random_negatives": 50},
    "random200": {"n_random_negatives": 200},
    "random1000": {"n_random_negatives": 1000},
    "no_averaging": {"swa_start": None},
    "rare1": {"propensity_weight": 1.0},
    "rare2": {"propensity_weight": 2.0},
    "layers1": {"n_feature_layers": 1},
    "layers3": {"n_feature_layers": 3},
    "dropout0": {"dropout": 0.0},
    "dropout0.3": {"dropout": 0.3},
    "length64": {"max_length": 64},
    "length256": {"max_length": 256},
    "constant": {"schedule": "constant"},
    "head5e-3": {"head_learning_rate": 5e-3},
    "epochs12": {"max_epochs": 12},
    "batch64": {"batch_size": 64},
    "wide": {"feature_dim": 1024},
}
# The rankers of a learner with features, and which of them a variant leaves out.
RANKERS: dict[str, tuple[str, ...]] = {
    "features": ("linear", "neighbors"),
    "frozen": ("linear", "neighbors", "network"),
    "trained": ("linear", "neighbors", "network"),
}
LEFT_OUT = {"no_linear": "linear", "no_neighbors": "neighbors"}
MEMBERS = {"three": 3}  # of an ensemble of seeds
INPUTS = ("pairs", "text")  # pairs of words; of an encoder: without features
# Of no effect without an encoder, and without a network: features alone have one with +network.
OF_ENCODERS = {"text", "se", "layers1", "layers3", "length64", "length256", "head5e-3"}
OF_NETWORKS = {
    "clusters", "bottleneck", "correction", "random50", "random200", "random1000", "no_averaging",
    "dropout0", "dropout0.3", "constant", "epochs12", "batch64", "wide",
}  # fmt: skip
