"""The metrics of a ranking side by side, and as a table for a terminal."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from lightxml import metrics

CUTS = (1, 3, 5)


def rank_metrics(
    y_true: sp.csr_array, topk: np.ndarray, propensities: np.ndarray, *, classes: Any = None
) -> dict[str, dict[int, float]]:
    """Return P, nDCG, R, PSP and PSnDCG at 1, 3 and 5, as far as the ranking goes.

    Parameters
    ----------
    y_true : csr_array of shape (n_documents, n_labels)
    topk : ndarray of shape (n_documents, k)
        Column numbers, or labels if `classes` is given, best first.
    propensities : ndarray of shape (n_labels,)
    classes : ndarray of shape (n_labels,), optional

    Returns
    -------
    dict of metric name to dict of cut to value
    """
    cuts = [k for k in CUTS if k <= topk.shape[1]]
    plain = {"P": metrics.precision_at_k, "nDCG": metrics.ndcg_at_k, "R": metrics.recall_at_k}
    scored = {"PSP": metrics.psp_at_k, "PSnDCG": metrics.psndcg_at_k}
    found = {
        name: {k: f(y_true, topk, k, classes=classes) for k in cuts} for name, f in plain.items()
    }
    for name, g in scored.items():
        found[name] = {
            k: g(y_true, topk, k, propensities=propensities, classes=classes) for k in cuts
        }
    return found


def frequency_ranking(y_train: sp.csr_array, n_documents: int, k: int) -> np.ndarray:
    """Return the baseline that knows no text: the most frequent labels, for every document.

    Returns
    -------
    ndarray of int64, shape (n_documents, k)
    """
    counts = np.bincount(y_train.indices, minlength=y_train.shape[1])
    best = np.argsort(-counts, kind="stable")[:k]
    return np.tile(best, (n_documents, 1))


def format_table(rows: dict[str, dict[str, dict[int, float]]], names: tuple[str, ...]) -> str:
    """Return a table with a row for each ranking and a column for each metric and cut.

    Parameters
    ----------
    rows : dict of row name to what `rank_metrics` returned
    names : tuple of str
        The metrics to show, in order.
    """
    width = max(len(row) for row in rows)
    cuts = list(next(iter(rows.values()))[names[0]])
    heads = [f"{name}@{k}" for name in names for k in cuts]
    lines = [" " * width + "".join(f"{head:>9}" for head in heads)]
    for row, values in rows.items():
        cells = [values[name][k] for name in names for k in cuts]
        lines.append(f"{row:<{width}}" + "".join(f"{100 * cell:9.2f}" for cell in cells))
    return "\n".join(lines)
