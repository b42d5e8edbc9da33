"""LightXML's published settings and figures on its five data sets, as data.

The tables are those of Jiang et al., "LightXML: Transformer with Dynamic Negative Sampling for
High-Performance Extreme Multi-label Text Classification", AAAI 2021, and of the scripts released
with it. Where a run of ours differs from theirs is told in docs/reproduce.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

BERT, ROBERTA, XLNET = "bert-base-uncased", "roberta-base", "xlnet-base-cased"

# The same on all sets. All are named here, defaults of LightXMLClassifier too, so that another
# default never changes a recipe. The paper has one rate for encoder and head.
COMMON: Mapping[str, Any] = {
    "n_feature_layers": 5,
    "dropout": 0.5,
    "learning_rate": 1e-4,
    "head_learning_rate": 1e-4,
    "weight_decay": 0.01,
    "schedule": "constant",
    "rankers": ("network",),
    "threshold": 0.5,
}
MAX_CLUSTER_SIZE = 100
EXTRA_EPOCHS = 5  # that the released code trains beyond what it is told; the recipes do not

IMPROVEMENTS: Mapping[str, Mapping[str, Any]] = {
    "se_block": {"se_block": True},
    "loss_correction": {"loss_correction": True},
    "random_negatives": {"n_random_negatives": 200},
}
NEED_CLUSTERS = ("loss_correction", "random_negatives")


@dataclass(frozen=True)
class Member:
    """What one model of an ensemble has of its own; the names are `LightXMLClassifier`'s."""

    encoder: str
    swa_every: int
    batch_size: int = 16
    accumulate: int = 1
    max_length: int = 512


@dataclass(frozen=True)
class Published:
    """Published P@1, P@3 and P@5, in percent.

    `from_memory`: noted without the paper at hand, and not checked since.
    """

    precision: tuple[float, float, float]
    from_memory: bool = False


@dataclass(frozen=True)
class Recipe:
    """How LightXML was trained on one data set, and what came out.

    Attributes
    ----------
    name : str
        The data set's, as papers have it.
    folders : tuple of str
        What it or its folder is called elsewhere: in the downloads of AttentionXML (which
        LightXML shares) and of PECOS, in the Extreme Classification Repository.
    members : tuple of Member
        The ensemble: three encoders, or one encoder and three clusterings of the labels.
    max_epochs : int
        What the released scripts ask for; their code trains `EXTRA_EPOCHS` more.
    swa_from_epoch : int
        Epochs, all members alike, before the mean of the weights begins.
    one_model, three_models : Published
    label_dim, n_candidate_clusters : int or None
        None where all labels are ranked.
    propensity : tuple of two floats
        A and B of Jain et al., KDD 2016, for PSP.
    """

    name: str
    folders: tuple[str, ...]
    members: tuple[Member, ...]
    max_epochs: int
    swa_from_epoch: int
    one_model: Published
    three_models: Published
    label_dim: int | None = None
    n_candidate_clusters: int | None = None
    propensity: tuple[float, float] = (0.55, 1.5)

    @property
    def has_clusters(self) -> bool:
        """Whether a document is ranked against the labels of its best clusters only."""
        return self.n_candidate_clusters is not None

    @property
    def selected_on(self) -> str:
        """What the released code chooses the best epoch on; the recipes choose none."""
        return "4,000 held-out training documents" if self.has_clusters else "the test set"


@dataclass(frozen=True)
class Smoke:
    """What a smoke test has in place of a recipe's settings, so that it takes a minute.

    `n_documents` are the first ones of train and of test. The clusters are so small that the few
    labels of these documents have several. The rates are those of an encoder without pretraining.
    """

    n_documents: int = 400
    encoder: str = "tiny"
    max_length: int = 64
    max_epochs: int = 4
    swa_every: int = 5
    learning_rate: float = 5e-4
    head_learning_rate: float = 1e-3
    max_cluster_size: int = 8
    n_candidate_clusters: int = 2
    n_random_negatives: int = 5


RECIPES: Mapping[str, Recipe] = {
    "eurlex4k": Recipe(
        name="EURLex-4K",
        folders=("EUR-Lex", "eurlex-4k"),
        members=(
            Member(BERT, swa_every=200),
            Member(ROBERTA, swa_every=200),
            Member(XLNET, swa_every=400, batch_size=8, accumulate=2),
        ),
        max_epochs=20,
        swa_from_epoch=10,
        one_model=Published((86.1, 74.0, 61.9), from_memory=True),
        three_models=Published((87.63, 75.89, 63.36), from_memory=True),
    ),
    "wiki31k": Recipe(
        name="Wiki10-31K",
        folders=("Wiki10-31K", "wiki10-31k"),
        members=(
            Member(BERT, swa_every=300),
            Member(ROBERTA, swa_every=400, batch_size=8, accumulate=2),
            Member(XLNET, swa_every=400, batch_size=8, accumulate=2),
        ),
        max_epochs=30,
        swa_from_epoch=10,
        one_model=Published((87.8, 77.3, 68.1), from_memory=True),
        three_models=Published((89.45, 78.96, 69.85)),
    ),
    "amazoncat13k": Recipe(
        name="AmazonCat-13K",
        folders=("AmazonCat-13K", "amazoncat-13k"),
        members=(
            Member(BERT, swa_every=10_000),
            Member(ROBERTA, swa_every=10_000),
            Member(XLNET, swa_every=10_000, batch_size=32, max_length=128),
        ),
        max_epochs=5,
        swa_from_epoch=2,
        one_model=Published((96.6, 83.7, 68.5), from_memory=True),
        three_models=Published((96.77, 84.02, 68.70)),
    ),
    "amazon670k": Recipe(
        name="Amazon-670K",
        folders=("Amazon-670K", "amazon-670k"),
        members=(Member(BERT, swa_every=3_000, max_length=128),) * 3,
        max_epochs=15,
        swa_from_epoch=4,
        one_model=Published((47.3, 42.2, 38.5)),
        three_models=Published((49.10, 43.83, 39.85)),
        label_dim=400,
        n_candidate_clusters=75,
        propensity=(0.6, 2.6),
    ),
    "wiki500k": Recipe(
        name="Wiki-500K",
        folders=("Wiki-500K", "Wikipedia-500K", "wiki-500k"),
        members=(Member(BERT, swa_every=3_000, batch_size=32, max_length=128),) * 3,
        max_epochs=10,
        swa_from_epoch=4,
        one_model=Published((76.19, 57.22, 44.12)),
        three_models=Published((77.78, 58.85, 45.57)),
        label_dim=500,
        n_candidate_clusters=32,
        propensity=(0.5, 0.4),
    ),
}


def arguments(
    recipe: Recipe,
    member: Member,
    *,
    improvements: Collection[str] = (),
    smoke: Smoke | None = None,
) -> dict[str, Any]:
    """Return the arguments of the `LightXMLClassifier` that is one member.

    Parameters
    ----------
    recipe : Recipe
    member : Member
    improvements : collection of str
        Keys of `IMPROVEMENTS`; those of `NEED_CLUSTERS` for a recipe with clusters only.
    smoke : Smoke, optional
        Cuts to a smoke test.

    Returns
    -------
    dict of str to any
        All but `device`, `random_state` and `verbose`.
    """
    values = {
        **COMMON,
        "encoder": member.encoder,
        "max_length": member.max_length,
        "batch_size": member.batch_size,
        "accumulate": member.accumulate,
        "max_epochs": recipe.max_epochs,
        "swa_start": recipe.swa_from_epoch / recipe.max_epochs,
        "swa_every": member.swa_every,
        "label_clusters": recipe.has_clusters,
    }
    if recipe.has_clusters:
        values |= {
            "label_dim": recipe.label_dim,
            "max_cluster_size": MAX_CLUSTER_SIZE,
            "n_candidate_clusters": recipe.n_candidate_clusters,
        }
    for name in improvements:
        values |= IMPROVEMENTS[name]
    if smoke is None:
        return values
    values |= {
        "encoder": smoke.encoder,
        "max_length": min(member.max_length, smoke.max_length),
        "max_epochs": smoke.max_epochs,
        "swa_every": smoke.swa_every,
        "learning_rate": smoke.learning_rate,
        "head_learning_rate": smoke.head_learning_rate,
    }
    for name in ("max_cluster_size", "n_candidate_clusters", "n_random_negatives"):
        if name in values:
            values[name] = getattr(smoke, name)
    return values


def wanted(recipe: Recipe) -> str:
    """Return which data a recipe expects, for a message."""
    names = ", ".join(dict.fromkeys([recipe.name, *recipe.folders]))
    return (
        f"Expected the texts of {recipe.name}, from the Extreme Classification Repository or the"
        f" downloads of AttentionXML, LightXML or PECOS (called {names}), a part for training and"
        " one for test: train_texts.txt or train_raw_texts.txt with train_labels.txt, and the same"
        " for test; or X.trn.txt with Y.trn.npz, and the same for tst; or trn.json.gz or"
        " trn.raw.json.gz, and the same for tst."
    )


def choose_improvements(recipe: Recipe, names: str) -> tuple[list[str], list[str]]:
    """Return the improvements that are named, with commas, and of them those without effect.

    Returns
    -------
    chosen, idle : list of str
        Keys of `IMPROVEMENTS`; `idle` would change nothing without label clusters.

    Raises
    ------
    ValueError
        If a name is not known.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in IMPROVEMENTS:
            raise ValueError(
                f"--improvements: {name!r} is none; expected some of {','.join(IMPROVEMENTS)}."
            )
    idle = [name for name in wanted if name in NEED_CLUSTERS and not recipe.has_clusters]
    return [name for name in wanted if name not in idle], idle
