"""The test part that ``train --test-size`` splits off."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sklearn.utils import Bunch

TestSize = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Measure on documents that are not learnt from: a fraction such as 0.1, or a number.",
    ),
]


def check_test_size(size: str | None, data: Path, *, refit: bool) -> None:
    """Refuse a size that is none, and one where there is a test part.

    Raises
    ------
    ValueError
    """
    if size is None:
        if refit:
            raise ValueError("--refit is about --test-size. Give it too, or leave --refit out.")
        return
    n_or_share(size)
    if data.is_dir():
        raise ValueError(
            f"--test-size is about a table; {data} is a folder. Measure on its test part with"
            " lightxml evaluate."
        )


def n_or_share(size: str) -> float:
    """Return a number of documents, or a fraction of them.

    Raises
    ------
    ValueError
        If it is neither.
    """
    try:
        value = float(size)
    except ValueError:
        value = 0.0
    if not (0 < value < 1 or (value >= 1 and value.is_integer())):
        raise ValueError(
            f"--test-size {size}: expected a fraction between 0 and 1, or a number of documents."
        )
    return value


def with_test_part(bunch: Bunch, size: str, seed: int | None) -> Bunch:
    """Return the documents in two parts, and the whole; of equal texts all are in one.

    Parameters
    ----------
    bunch : Bunch
        With a training part alone, of texts.
    size : str
        Of the test part.
    seed : int or None
        Which documents are drawn: None is 0.

    Raises
    ------
    ValueError
        If no document would be left to learn from, or to measure on.
    """
    import numpy as np
    from sklearn.utils import Bunch

    from lightxml.rankers.base import Documents
    from lightxml.rankers.held_out import draw_held_out

    X, y = bunch.X_train, bunch.y_train
    value = n_or_share(size)
    n = round(value * len(X)) if value < 1 else int(value)
    if not 0 < n < len(X):
        raise ValueError(
            f"--test-size {size} leaves {len(X) - n:,} of {len(X):,} documents to learn from, and"
            f" {n:,} to measure on; expected some of both."
        )
    drawn = draw_held_out(Documents(None, X), n, np.random.default_rng(seed or 0))
    kept = np.setdiff1d(np.arange(len(X)), drawn)
    if not len(kept) or y[kept].nnz == 0:
        raise ValueError(f"--test-size {size} leaves no document with a label to learn from.")
    parts: dict[str, Any] = {
        "X_train": [X[i] for i in kept],
        "y_train": y[kept],
        "X_test": [X[i] for i in drawn],
        "y_test": y[drawn],
        "X_whole": X,
        "y_whole": y,
    }
    return Bunch(**{**bunch, **parts})
