"""Metrics of probabilities: what a threshold makes of them, and whether they keep their word.

True labels come in the forms that `lightxml.metrics.measures` takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from lightxml.arguments import whole
from lightxml.metrics.rankings import FloatArray, IntArray, Truth, read_ranking, read_truth

__all__ = ["calibration_error", "f1_at_threshold"]

Average = Literal["micro", "macro", "samples"]


def f1_at_threshold(
    y_true: Any,
    y_score: Any,
    threshold: npt.ArrayLike = 0.5,
    *,
    average: Average = "micro",
    classes: Any = None,
) -> float:
    """F1 of the labels whose score is at least a threshold.

    With h labels rightly given of n given, where m are true, F1 is ``2 h / (n + m)``; 0 where
    neither is any, as scikit-learn's `f1_score` has it with ``zero_division=0``.

    Parameters
    ----------
    y_true : {ndarray, sparse matrix, sparse array} of shape (n, n_labels), or list of n \
            collections of labels (with `classes`)
        The true labels; an indicator matrix holds 0 and 1 only.
    y_score : {ndarray, sparse matrix, sparse array} of shape (n, n_labels)
        Such as `predict_proba` gives. What a sparse one has no entry for is never given.
    threshold : float or array of float, shape (n_labels,), default=0.5
        One number, or one for each label: such as ``threshold_`` of a fitted model. It is compared
        in the type of `y_score`. Above 0 where `y_score` is sparse.
    average : {"micro", "macro", "samples"}, default="micro"
        Of all pairs of document and label together; the mean over all labels, in which one that is
        neither given nor true counts 0; or the mean over all documents, likewise.
    classes : array of shape (n_labels,), default=None
        The labels of the columns, each once. Of a true label that is not in `classes` no one can
        give: it is missed, but has no part in the mean over labels.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a kind that cannot be read, or of another shape; if a score or a
        threshold is NaN; if `average` is not known.

    Examples
    --------
    >>> import numpy as np
    >>> from lightxml.metrics import f1_at_threshold
    >>> y_true = np.array([[1, 0, 1], [0, 1, 0]])
    >>> y_score = np.array([[0.9, 0.2, 0.3], [0.1, 0.4, 0.6]])
    >>> f1_at_threshold(y_true, y_score, 0.4)
    0.6666666666666666
    """
    if average not in ("micro", "macro", "samples"):
        raise ValueError(f"average is {average!r}; expected 'micro', 'macro' or 'samples'.")
    truth = read_truth(y_true, classes, "y_true")
    rows, columns = _given(y_score, threshold, (len(truth.n_true), truth.n_labels))
    return f1_of(truth, rows, columns, average)


def calibration_error(
    y_true: Any, topk: Any, scores: Any, k: int = 5, *, n_bins: int = 15, classes: Any = None
) -> float:
    """Return the expected calibration error of the first k predicted labels.

    The pairs of document and label are put into bins of equal width by their score [1]_. With n_b
    of n pairs in bin b, of mean score c_b, and a_b the fraction of them that is true, it is [2]_ ::

        sum over b of n_b / n |a_b - c_b|

    Parameters
    ----------
    y_true, topk, k, classes
        As in `precision_at_k`.
    scores : array of float of shape (n, >= k)
        The probabilities of `topk`, as ``predict_topk(X, k, return_scores=True)`` gives them.
    n_bins : int, default=15

    Returns
    -------
    float
        Between 0 and 1; 0 where of the labels with a score of 0.8 every 8 of 10 are true.

    Raises
    ------
    TypeError, ValueError
        As in `precision_at_k`; also if `scores` has another shape than `topk`, or a number outside
        [0, 1], or if `n_bins` is below 1.

    References
    ----------
    .. [1] Naeini, Cooper, Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian
       Binning", AAAI 2015.
    .. [2] Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
       equation 3.

    Examples
    --------
    >>> import numpy as np
    >>> from lightxml.metrics import calibration_error
    >>> y_true = np.array([[1, 0, 1], [0, 1, 0]])
    >>> round(calibration_error(y_true, [[0, 1], [1, 2]], [[0.9, 0.3], [0.7, 0.1]], k=2), 2)
    0.2
    """
    return error_of(reliability(y_true, topk, scores, k, n_bins=n_bins, classes=classes))


@dataclass(frozen=True, eq=False)
class Reliability:
    """Of each bin of scores that is not empty: how many pairs, their mean score, how many true.

    Attributes
    ----------
    counts : ndarray of int64, shape (n_filled,)
    scores : ndarray of float64, shape (n_filled,)
        The mean score of each bin, rising.
    true : ndarray of float64, shape (n_filled,)
        The fraction of its pairs that is true.
    """

    counts: IntArray
    scores: FloatArray
    true: FloatArray


def reliability(
    y_true: Any, topk: Any, scores: Any, k: int, *, n_bins: int, classes: Any = None
) -> Reliability:
    """Put the first k predicted labels of each document into bins; as `calibration_error`."""
    whole(1).check("n_bins", n_bins)
    truth, columns = read_ranking(y_true, topk, k, classes)
    p = np.asarray(scores, dtype=np.float64)
    if p.ndim != 2 or len(p) != len(columns) or p.shape[1] < k:
        raise ValueError(
            f"scores has shape {p.shape}; expected ({len(columns)}, at least {k}), a score for "
            "each label of topk."
        )
    p = p[:, :k]
    wrong = np.argwhere(~((p >= 0) & (p <= 1)))
    if len(wrong):
        i, j = wrong[0]
        raise ValueError(f"scores[{i}, {j}] is {p[i, j]}; expected a probability, from 0 to 1.")
    bins = np.maximum(np.ceil(p * n_bins).astype(np.int64) - 1, 0).ravel()
    counts = np.bincount(bins, minlength=n_bins)
    filled = np.flatnonzero(counts)
    means = (
        np.bincount(bins, values.ravel(), minlength=n_bins)[filled] / counts[filled]
        for values in (p, truth.hits(columns))
    )
    return Reliability(counts[filled], *means)


def error_of(found: Reliability) -> float:
    """Return the mean distance of score and truth, each bin weighed by its pairs."""
    return float(np.average(np.abs(found.true - found.scores), weights=found.counts))


def f1_of(truth: Truth, rows: IntArray, columns: IntArray, average: Average) -> float:
    """Return the F1 of some labels given, pairs of row and column, each once."""
    keys = truth.rows * truth.n_labels + truth.columns
    hit = np.isin(rows * truth.n_labels + columns, keys)
    if average == "micro":
        return float(_f1(hit.sum(), len(rows), truth.n_true.sum()))
    if average == "samples":
        n = len(truth.n_true)
        hits, given = (np.bincount(of, minlength=n) for of in (rows[hit], rows))
        return float(_f1(hits, given, truth.n_true).mean())
    counted = (columns[hit], columns, truth.columns)
    return float(_f1(*(np.bincount(of, minlength=truth.n_labels) for of in counted)).mean())


def _f1(hits: Any, n_given: Any, n_true: Any) -> Any:
    return 2 * hits / np.maximum(n_given + n_true, 1)


def _given(
    y_score: Any, threshold: npt.ArrayLike, shape: tuple[int, int]
) -> tuple[IntArray, IntArray]:
    """Return the rows and columns of the scores that reach the threshold."""
    scores = sp.coo_array(sp.csr_array(y_score)) if sp.issparse(y_score) else np.asarray(y_score)
    if scores.shape != shape:
        raise ValueError(f"y_score has shape {scores.shape}; expected {shape}, as y_true.")
    if scores.dtype.kind not in "fiub":
        raise TypeError(f"y_score holds {scores.dtype}; expected numbers.")
    kind = scores.dtype if scores.dtype.kind == "f" else np.float64
    least = np.asarray(threshold, dtype=kind)
    if least.shape not in ((), (shape[1],)):
        raise ValueError(
            f"threshold has shape {least.shape}; expected a number, or ({shape[1]},), one for each "
            "label."
        )
    if np.isnan(least).any():
        raise ValueError("threshold is NaN, or holds it; expected numbers.")
    if np.isnan(scores.data if isinstance(scores, sp.coo_array) else scores).any():
        raise ValueError("y_score holds NaN; expected numbers.")
    if not isinstance(scores, sp.coo_array):
        rows, columns = np.nonzero(scores >= least)
    elif (least <= 0).any():
        raise ValueError(
            "threshold is not above 0, and y_score is sparse: what it has no entry for would be "
            "given too. Pass a threshold above 0, or a dense y_score."
        )
    else:
        reached = scores.data >= (least[scores.col] if least.ndim else least)
        rows, columns = scores.row[reached], scores.col[reached]
    return rows.astype(np.int64), columns.astype(np.int64)
