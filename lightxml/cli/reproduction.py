"""What ``lightxml reproduce`` does: a recipe's data, its ensemble, and figures beside figures."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from lightxml.classifier import LightXMLClassifier
from lightxml.cli.recipes import (
    EXTRA_EPOCHS,
    Published,
    Recipe,
    Smoke,
    arguments,
    wanted,
)
from lightxml.datasets import load_xmc
from lightxml.ensemble import LightXMLEnsemble
from lightxml.metrics.measures import propensities
from lightxml.metrics.tables import format_table, rank_metrics
from lightxml.network.encoders import build_encoder
from lightxml.runtime.terminal import WIDTH
from lightxml.version import __version__

_SHOWN = ("P@1", "P@3", "P@5", "PSP@1", "PSP@3", "PSP@5")
_LONGEST_NAME = 26  # beside six columns of 9 in a terminal of 80


def read_data(recipe: Recipe, folder: Path, smoke: Smoke | None = None) -> Bunch:
    """Read the texts and labels of a recipe's data set; for a smoke test the first of them.

    Parameters
    ----------
    recipe : Recipe
    folder : path
    smoke : Smoke, optional

    Returns
    -------
    Bunch
        As `load_xmc`; cut to a smoke test, only `X_train`, `y_train`, `X_test`, `y_test` and
        `labels`, the labels being those of the first training documents.

    Raises
    ------
    FileNotFoundError
        If there is no such folder or it holds no data; the message names data set and files.
    ValueError
        As `load_xmc`; also if the folder holds features in place of texts, or no test part.
    """
    try:
        bunch = load_xmc(folder)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error} {wanted(recipe)}") from error
    if not isinstance(bunch.X_train, list):
        raise ValueError(
            f"{folder} holds features, but an encoder reads texts. {wanted(recipe)} To learn from"
            f" features: lightxml train {folder} --encoder none --output MODEL."
        )
    if bunch.X_test is None:
        raise ValueError(f"{folder} holds no test part to measure on. {wanted(recipe)}")
    if smoke is None:
        return bunch
    n = smoke.n_documents
    y_train, y_test = bunch.y_train[:n], bunch.y_test[:n]
    used = np.unique(y_train.indices)
    return Bunch(
        X_train=bunch.X_train[:n],
        y_train=y_train[:, used],
        X_test=bunch.X_test[:n],
        y_test=y_test[:, used],
        labels=bunch.labels[used],
    )


def make_ensemble(
    recipe: Recipe,
    *,
    encoders: Sequence[str] = (),
    n_members: int | None = None,
    improvements: Collection[str] = (),
    smoke: Smoke | None = None,
    checkpoint_dir: Path | None = None,
    device: str = "auto",
    seed: int = 0,
    verbose: int = 0,
) -> LightXMLEnsemble:
    """Return a recipe's ensemble, unfitted.

    Parameters
    ----------
    recipe : Recipe
    encoders : sequence of str
        In place of the recipe's, also in a smoke test: one for all members, or one for each.
    n_members : int, optional
        Only so many of the first members.
    improvements : collection of str
        As `choose_improvements` gives them.
    smoke : Smoke, optional
    checkpoint_dir : path, optional
        For every member.
    device : str
    seed : int
        Every member's own is made of it.
    verbose : int

    Returns
    -------
    LightXMLEnsemble

    Raises
    ------
    ValueError
        If `n_members` or the number of encoders is out of range.
    """
    most = len(recipe.members)
    if n_members is not None and not 1 <= n_members <= most:
        raise ValueError(f"--members {n_members}: expected 1 to {most}.")
    members = recipe.members[:n_members]
    if encoders and len(encoders) not in (1, len(members)):
        raise ValueError(
            f"--encoder is given {len(encoders)} times for {len(members)} members; give it once,"
            " or once for each member."
        )
    estimators = []
    for i, member in enumerate(members):
        params = arguments(recipe, member, improvements=improvements, smoke=smoke)
        if encoders:
            params["encoder"] = encoders[min(i, len(encoders) - 1)]
        params |= {"checkpoint_dir": checkpoint_dir, "device": device, "verbose": verbose}
        estimators.append(LightXMLClassifier(**params))
    return LightXMLEnsemble(estimators=estimators, random_state=seed)


def check_encoders(model: LightXMLEnsemble) -> None:
    """Load every pretrained encoder once: the last one's absence would be found after days.

    Raises
    ------
    EncoderUnavailableError
    """
    for encoder in sorted({str(member.encoder) for member in model.estimators or []} - {"tiny"}):
        build_encoder(encoder, [], max_length=128)


def measure(model: LightXMLEnsemble, bunch: Bunch, recipe: Recipe) -> dict[str, dict[str, float]]:
    """Return the figures of each member, and of their mean where there are several.

    Parameters
    ----------
    model : LightXMLEnsemble
        Fitted on the labels of `bunch` by name.
    bunch : Bunch
        As `read_data` gives it.
    recipe : Recipe

    Returns
    -------
    dict of str to dict of str to float
        By row: P, nDCG, R, PSP and PSnDCG at 1, 3 and 5, on the test part, from 0 to 1.
    """
    a, b = recipe.propensity
    weights = propensities(bunch.y_train, a=a, b=b)
    k = min(5, len(bunch.labels))
    rankers: list[LightXMLClassifier | LightXMLEnsemble] = [*model.estimators_]
    if len(rankers) > 1:
        rankers.append(model)
    return {
        name: rank_metrics(
            bunch.y_test, ranker.predict_topk(bunch.X_test, k), weights, classes=bunch.labels
        )
        for name, ranker in zip(row_names(model), rankers, strict=True)
    }


def row_names(model: LightXMLEnsemble) -> list[str]:
    """Return what the rows of a fitted ensemble's figures are called: members, then their mean."""
    names = [f"{i} {_short(str(member.encoder))}" for i, member in enumerate(model.estimators_, 1)]
    return names if len(names) == 1 else [*names, f"mean of the {len(names)}"]


def _short(encoder: str) -> str:
    name, room = Path(encoder).name or encoder, _LONGEST_NAME - 2
    return name if len(name) <= room else name[: room - 3] + "..."


def published_figures(recipe: Recipe) -> dict[str, dict[str, float]]:
    """Return the published figures by row, from 0 to 1; a row from memory ends in "(m)"."""
    rows = {"published, one model": recipe.one_model, "published, three": recipe.three_models}
    return {
        name + (" (m)" if row.from_memory else ""): _by_metric(row) for name, row in rows.items()
    }


def _by_metric(row: Published) -> dict[str, float]:
    return {f"P@{k}": round(v / 100, 6) for k, v in zip((1, 3, 5), row.precision, strict=True)}


def comparison(
    recipe: Recipe,
    figures: dict[str, dict[str, float]],
    *,
    improvements: Collection[str] = (),
    smoke: Smoke | None = None,
) -> str:
    """Return our figures above the published ones, as lines of up to 80 columns.

    Parameters
    ----------
    recipe : Recipe
    figures : dict
        As `measure` gives them.
    improvements, smoke
        As `make_ensemble` took them.

    Returns
    -------
    str
    """
    published = published_figures(recipe)
    rows = {**figures, **published}
    table = format_table({n: {c: row.get(c) for c in _SHOWN} for n, row in rows.items()})
    if smoke is not None:
        opening = [
            f"A SMOKE TEST on up to {smoke.n_documents} documents: it shows that the recipe runs."
            " Its figures are not comparable with the published ones."
        ]
        notes = []
    else:
        opening = []
        notes = [
            f"The published figures are of {recipe.name}; ours compare only if this was that data"
            f" set. The released code trains {EXTRA_EPOCHS} epochs more than it is told, and keeps"
            f" the epoch with the best P@5 on {recipe.selected_on}; ours are the averaged weights"
            " after the last epoch, and nothing was selected on the test part."
        ]
    if improvements:
        notes.append(f"Ours have {', '.join(improvements)}, which the published ones have not.")
    if any(name.endswith("(m)") for name in published):
        notes.append("(m): from memory, not checked against the paper.")
    above, below = ("\n".join(fill(note, WIDTH) for note in part) for part in (opening, notes))
    return "\n\n".join(part for part in (above, table, below) if part)


def record(
    recipe: Recipe,
    model: LightXMLEnsemble,
    figures: dict[str, dict[str, float]],
    *,
    improvements: Collection[str] = (),
    smoke: Smoke | None = None,
) -> dict[str, Any]:
    """Return what was run and what came out, for a JSON file; parameters as `comparison`."""
    return {
        "data_set": recipe.name,
        "smoke_test": smoke is not None,
        "improvements": list(improvements),
        "figures": figures,
        "published": published_figures(recipe),
        "propensity": list(recipe.propensity),
        "n_labels": len(model.classes_),
        "members": [
            {k: v for k, v in member.get_params(deep=False).items() if k != "checkpoint_dir"}
            for member in model.estimators_
        ],
        "lightxml": __version__,
    }
