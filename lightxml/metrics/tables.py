"""The metrics of a ranking side by side, and as a table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import scipy.sparse as sp

from lightxml.metrics import measures
from lightxml.metrics.probabilities import Average, calibration_error, f1_of
from lightxml.metrics.rankings import read_ranking, read_truth

CUTS = (1, 3, 5)


def rank_metrics(
    y_true: sp.csr_array, topk: np.ndarray, propensities: np.ndarray | None, *, classes: Any = None
) -> dict[str, float]:
    """Return P, nDCG, R, PSP and PSnDCG at 1, 3 and 5, as far as the ranking goes.

    Parameters
    ----------
    y_true : csr_array of shape (n_documents, n_labels)
    topk : ndarray of shape (n_documents, k)
        Column numbers, or labels if `classes` is given, best first.
    propensities : ndarray of shape (n_labels,), or None
        None leaves PSP and PSnDCG out.
    classes : ndarray of shape (n_labels,), optional

    Returns
    -------
    dict of str to float
        ``{"P@1": ..., "P@3": ..., "P@5": ..., "nDCG@1": ..., ...}``, between 0 and 1.
    """
    cuts = [k for k in CUTS if k <= topk.shape[1]]
    truth, columns = read_ranking(y_true, topk, cuts[-1], classes)
    plain = {"P": measures.precision_of, "nDCG": measures.ndcg_of, "R": measures.recall_of}
    scored = {"PSP": measures.psp_of, "PSnDCG": measures.psndcg_of}
    figures = {f"{name}@{k}": of(truth, columns[:, :k]) for name, of in plain.items() for k in cuts}
    if propensities is not None:
        for name, of_rare in scored.items():
            for k in cuts:
                figures[f"{name}@{k}"] = of_rare(truth, columns[:, :k], propensities)
    return figures


def decision_metrics(
    y_true: sp.csr_array, columns: np.ndarray, scores: np.ndarray, threshold: float | np.ndarray
) -> dict[str, float]:
    """Return what a threshold makes of a ranking, and whether its probabilities keep their word.

    Parameters
    ----------
    y_true : csr_array of shape (n_documents, n_labels)
    columns : ndarray of int64, shape (n_documents, k)
        Best first.
    scores : ndarray of float32, shape (n_documents, k)
        Their probabilities.
    threshold : float, or ndarray of float32, shape (n_labels,)

    Returns
    -------
    dict of str to float
        ``"micro_f1"``, ``"macro_f1"``, ``"samples_f1"``; ``"labels_given"`` and ``"labels_true"``
        a document; the numbers of ``"documents_given_none"`` and ``"documents_without_labels"``;
        ``"calibration_error"`` of the five best.
    """
    truth = read_truth(y_true, None, "y_true")
    least = np.asarray(threshold, dtype=np.float32)
    given = scores >= (least[columns] if least.ndim else least)
    rows, places = np.nonzero(given)
    figures = {
        f"{average}_f1": f1_of(truth, rows, columns[rows, places], average)
        for average in get_args(Average)
    }
    k = min(CUTS[-1], columns.shape[1])
    return {
        **figures,
        "labels_given": float(given.sum(axis=1).mean()),
        "labels_true": float(truth.n_true.mean()),
        "documents_given_none": int((~given.any(axis=1)).sum()),
        "documents_without_labels": int((truth.n_true == 0).sum()),
        "calibration_error": calibration_error(y_true, columns, scores, k),
    }


def most_possible(y_true: sp.csr_array, k: int) -> float:
    """Return the largest P@k that any ranking has: many documents have fewer than k labels."""
    n_true = read_truth(y_true, None, "y_true").n_true
    return float(np.minimum(n_true, k).mean() / k)


def frequency_ranking(y_train: sp.csr_array, n_documents: int, k: int) -> np.ndarray:
    """Return the baseline that knows no text: the most frequent labels, for every document.

    Returns
    -------
    ndarray of int64, shape (n_documents, k)
        Column numbers; of labels equally frequent the first comes first.
    """
    counts = np.bincount(y_train.indices, minlength=y_train.shape[1])
    best = np.argsort(-counts, kind="stable")[:k]
    return np.tile(best, (n_documents, 1))


def format_table(rows: Mapping[str, Mapping[str, float | None]]) -> str:
    """Return fractions as a table of percentages; the first row names the columns, None is "-".

    Examples
    --------
    >>> from lightxml.metrics.tables import format_table
    >>> print(format_table({"a": {"P@1": 0.5, "P@3": 0.25}, "b": {"P@1": 1.0, "P@3": 0.75}}))
    %      P@1      P@3
    a    50.00    25.00
    b   100.00    75.00
    """
    width = max(map(len, rows))
    lines = [f"{'%':<{width}}" + "".join(f"{column:>9}" for column in next(iter(rows.values())))]
    for name, figures in rows.items():
        cells = ("-" if value is None else f"{100 * value:.2f}" for value in figures.values())
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines)
