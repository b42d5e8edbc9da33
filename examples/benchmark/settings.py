"""What the names of settings mean: arguments of `LightXMLClassifier`, and other learners."""

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
LEFT_OUT = {"no_linear": "linear", "no_neighbors": "neighbors"}
MEMBERS = {"three": 3}  # of an ensemble of seeds
# What is read: pairs of words, titles as a field; of an encoder, no features. Label texts: of
# labels with a training document; the whole labels.txt, a closed list; and names of other sets, an
# open one. For ours they are label texts, for peers one more document each.
INPUTS = ("pairs", "titles", "text")
TEXTS = ("trained_names", "names", "open")
# Of no effect without an encoder, and without a network: features alone have one with +network.
OF_ENCODERS = {"text", "se", "layers1", "layers3", "length64", "length256", "head5e-3"}
OF_NETWORKS = {
    "clusters", "bottleneck", "correction", "random50", "random200", "random1000", "no_averaging",
    "dropout0", "dropout0.3", "constant", "epochs12", "batch64", "wide",
}  # fmt: skip
OURS = {*VARIANTS, *LEFT_OUT, *MEMBERS, *INPUTS, *TEXTS, "with_network"}
# Other learners: where each is (module and function, imported in the process that runs it), and
# what of it there is beside the default.
_TFIDF = {"pairs", "titles", *TEXTS}
PEERS: dict[str, tuple[str, str, set[str]]] = {
    "omikuji": ("peers.trees", "omikuji", {*_TFIDF, "bonsai"}),
    "napkinxc": ("peers.trees", "napkinxc", _TFIDF),
    "one_vs_rest": ("peers.sklearn_peers", "one_vs_rest", {*_TFIDF, "logistic"}),
    "nearest": ("peers.sklearn_peers", "nearest", _TFIDF),
    "pecos": ("peers.elsewhere", "pecos", _TFIDF),
    "libmultilabel": ("peers.elsewhere", "libmultilabel", {*_TFIDF, "trees"}),
    "names": ("peers.mentions", "names", set(TEXTS)),
    "fine_tuning": ("peers.fine_tuning", "run", set()),
}
WITH_ENCODER = ("frozen", "trained", "fine_tuning")


def rankers_of(name: str, *, has_names: bool) -> tuple[str, ...]:
    """Return the rankers of a learner with features, as ``rankers="auto"`` has them."""
    more = ("label_texts",) if has_names else ()
    return ("linear", "neighbors", *more, *(("network",) if name == "trained" else ()))


def texts_of(setting: str) -> str | None:
    """Return which label texts a setting is given; `names` alone is given the closed list."""
    name, *variants = setting.split("+")
    given = [variant for variant in variants if variant in TEXTS]
    return given[0] if given else ("names" if name == "names" else None)


def mistake(setting: str, arguments: Any) -> str | None:
    """Return what is wrong with a setting, or None.

    Parameters
    ----------
    setting : str
    arguments : argparse.Namespace
        Of run.py: `encoder`, `others` and `title_ends` count.
    """
    name, *variants = setting.split("+")
    if name not in {**LEARNERS, **PEERS}:
        return f"{setting}: expected a learner among {', '.join({**LEARNERS, **PEERS})}."
    known = PEERS[name][2] if name in PEERS else OURS
    if name == "features":
        known = known - OF_ENCODERS
    if unknown := [variant for variant in variants if variant not in known]:
        return f"{setting}: {unknown[0]} is not among {', '.join(sorted(known)) or 'its variants'}."
    if name in LEARNERS and (wrong := _mistake_of_ours(setting, name, set(variants))):
        return wrong
    if len([variant for variant in variants if variant in TEXTS]) > 1:
        return f"{setting}: expected one of {', '.join(TEXTS)}."
    if texts_of(setting) == "open" and not arguments.others:
        return f"{setting} needs --others, folders of other sets."
    if "titles" in variants and arguments.title_ends is None:
        return f"{setting} needs --title-ends."
    if name in WITH_ENCODER and arguments.encoder is None:
        return f"{setting} needs --encoder."
    return None


def _mistake_of_ours(setting: str, name: str, variants: set[str]) -> str | None:
    has_network = name == "trained" or variants & {"network", "with_network", "text"}
    if not has_network and OF_NETWORKS & variants:
        return f"{setting}: there is no network. Add +network or +with_network."
    if "network" in variants and {*LEFT_OUT, *TEXTS, "mean", "logistic"} & variants:
        return f"{setting}: the network alone ranks, so no ranker can be left out or added."
    if "text" in variants and {"pairs", "titles", *LEFT_OUT} & variants:
        return f"{setting}: text leaves the features out, so none of theirs has an effect."
    if "with_network" in variants and (name == "trained" or variants & {"network", "text"}):
        return f"{setting}: with_network is of features, or of a frozen encoder beside them."
    return None
