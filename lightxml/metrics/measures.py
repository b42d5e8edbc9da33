"""Metrics at the top of a ranking, plain and propensity-scored, and scorers made from them.

Every metric has the same face, ``metric(y_true, topk, k)``: the true labels, the predicted
ones best first, and how many of these count. Nothing is ever as large as documents x labels,
apart from a dense `y_true` that the caller brings.

`y_true` is an indicator matrix of shape (n, n_labels) with values 0 and 1: a dense array or
any SciPy sparse format. Stored zeros are no positives, and repeated entries of a sparse matrix
count once. Where `classes` is given it may also be a list of n collections of labels; a label
that is not in `classes` is then a positive which cannot be hit.

`topk` holds column numbers of shape (n, at least k), best first, or, where `classes` is given,
labels, as `LightXMLClassifier.predict_topk` returns them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lightxml.metrics.pipelines import rank_labels
from lightxml.metrics.rankings import (
    FloatArray,
    IntArray,
    Truth,
    check_k,
    is_matrix,
    positives,
    read_ranking,
)

__all__ = [
    "make_topk_scorer",
    "ndcg_at_k",
    "precision_at_k",
    "propensities",
    "psndcg_at_k",
    "psp_at_k",
    "recall_at_k",
]


def precision_at_k(y_true: Any, topk: Any, k: int = 5, *, classes: Any = None) -> float:
    """Precision at k: the part of the first k predicted labels that are true.

    The number of hits is divided by k for every document, so a document with fewer than k
    true labels cannot reach 1, and one without any counts 0.

    Parameters
    ----------
    y_true : {ndarray, sparse matrix, sparse array} of shape (n, n_labels), or list of n \
            collections of labels (with `classes`)
        The true labels; an indicator matrix holds 0 and 1 only.
    topk : array of int of shape (n, >= k), or of labels (with `classes`)
        Column numbers of the predicted labels, best first.
    k : int, default=5
        How many predicted labels of each document count.
    classes : array of shape (n_labels,), default=None
        The labels of the columns of `y_true`, each once. Give it when `topk` holds labels.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    TypeError
        If `k` is not an int, or an argument is of a kind that cannot be read.
    ValueError
        If `k` is below 1 or above the width of `topk`; if `y_true` and `topk` differ in
        length, have no rows, or are not 2-D; if `y_true` holds anything but 0 and 1; if the
        first k entries of a row of `topk` hold a label twice or one that is not a column of
        `y_true` (or not in `classes`); if `classes` holds a label twice or does not fit
        `y_true`.

    Examples
    --------
    >>> import numpy as np
    >>> from lightxml.metrics.measures import precision_at_k
    >>> y_true = np.array([[1, 0, 1], [0, 1, 0]])
    >>> precision_at_k(y_true, [[0, 1], [1, 2]], k=2)
    0.5
    """
    return precision_of(*read_ranking(y_true, topk, k, classes))


def recall_at_k(y_true: Any, topk: Any, k: int = 5, *, classes: Any = None) -> float:
    """Recall at k: the part of the true labels that are among the first k predicted ones.

    The number of hits is divided by the number of true labels, so a document with more than k
    of them cannot reach 1. Documents without labels have no recall and are left out of the
    mean (0.0 if no document has a label); napkinXC, and scikit-learn's `recall_score` with
    ``average="samples"``, count them as 0 by default.

    Parameters
    ----------
    y_true, topk, k, classes
        As in `precision_at_k`. Labels that are not in `classes` count as true labels.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    TypeError, ValueError
        As in `precision_at_k`.
    """
    return recall_of(*read_ranking(y_true, topk, k, classes))


def ndcg_at_k(y_true: Any, topk: Any, k: int = 5, *, classes: Any = None) -> float:
    """Normalised discounted cumulative gain at k (Järvelin and Kekäläinen, 2002).

    A hit at position i = 1 .. k gains 1 / log2(i + 1). The sum is divided by its largest
    possible value, that of min(k, number of true labels) hits at the head of the list.
    Documents without labels count 0, as in scikit-learn's `ndcg_score` and in napkinXC (where
    `recall_at_k` leaves them out).

    Parameters
    ----------
    y_true, topk, k, classes
        As in `precision_at_k`. Labels that are not in `classes` count as true labels.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    TypeError, ValueError
        As in `precision_at_k`.
    """
    return ndcg_of(*read_ranking(y_true, topk, k, classes))


def psp_at_k(
    y_true: Any, topk: Any, k: int = 5, *, propensities: npt.ArrayLike, classes: Any = None
) -> float:
    """Propensity-scored precision at k (Jain et al., 2016), normalised.

    A hit on label l gains 1 / p_l, so that rare labels, which annotators often miss, weigh
    more. The gains of all documents together are divided by the largest sum that any ranking
    could reach on the same documents. It is a ratio of sums, not a mean of ratios, as in the
    evaluation of the Extreme Classification Repository and in napkinXC with
    ``normalize=True``. 0.0 if no document has a label with a propensity.

    Parameters
    ----------
    y_true, topk, k, classes
        As in `precision_at_k`. The propensity of a label that is not in `classes`, thus never
        seen in training, is not known: it has no weight.
    propensities : array of shape (n_labels,)
        The probability p_l that a true label l is observed, above 0 and at most 1, one for
        each column of `y_true`: see `propensities`, the function.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    TypeError, ValueError
        As in `precision_at_k`; also ValueError if `propensities` has not one value for each
        label or holds one outside (0, 1].

    References
    ----------
    H. Jain, Y. Prabhu, M. Varma. Extreme multi-label loss functions for recommendation,
    tagging, ranking & other missing label applications. KDD 2016.
    """
    return psp_of(*read_ranking(y_true, topk, k, classes), propensities)


def psndcg_at_k(
    y_true: Any, topk: Any, k: int = 5, *, propensities: npt.ArrayLike, classes: Any = None
) -> float:
    """Propensity-scored nDCG at k (Jain et al., 2016), normalised.

    A hit on label l at position i gains 1 / (p_l log2(i + 1)); the sum of a document is
    divided by that of 1 / log2(i + 1) over i = 1 .. min(k, number of true labels). The total
    over all documents is then divided by the largest one that any ranking could reach, a ratio
    of sums as in `psp_at_k` and in napkinXC with ``normalize=True``.

    Parameters
    ----------
    y_true, topk, k, classes, propensities
        As in `psp_at_k`. Labels that are not in `classes` gain nothing, but are among the
        number of true labels.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    TypeError, ValueError
        As in `psp_at_k`.
    """
    return psndcg_of(*read_ranking(y_true, topk, k, classes), propensities)


def propensities(y_train: Any, *, a: float = 0.55, b: float = 1.5) -> FloatArray:
    """Propensities of labels after the model of Jain et al. (2016).

    With N training documents, N_l of which have label l::

        p_l = 1 / (1 + C (N_l + b)^-a),    C = (ln N - 1) (b + 1)^a

    Always take them from the training part, also to judge predictions on another.

    Parameters
    ----------
    y_train : {ndarray, sparse matrix, sparse array} of shape (N, n_labels)
        Indicator matrix of the training labels.
    a, b : float, default=0.55, 1.5
        Constants of the data set. The field uses 0.5 and 0.4 for WikiLSHTC-325K and
        Wiki-500K, 0.6 and 2.6 for Amazon-670K and Amazon-3M, and the defaults for all others,
        Wiki10-31K and AmazonCat-13K included.

    Returns
    -------
    ndarray of shape (n_labels,), float64
        Above 0 and below 1, larger for more frequent labels.

    Raises
    ------
    TypeError
        If `y_train` is not an indicator matrix.
    ValueError
        If it is not 2-D, has fewer than 3 rows (C is negative there) or holds anything but 0
        and 1; if `a` or `b` is not positive and finite.

    References
    ----------
    H. Jain, Y. Prabhu, M. Varma. Extreme multi-label loss functions for recommendation,
    tagging, ranking & other missing label applications. KDD 2016.
    """
    for name, value in (("a", a), ("b", b)):
        if not 0 < value < np.inf:
            raise ValueError(f"{name} is {value!r}; expected a positive finite number.")
    if not is_matrix(y_train):
        raise TypeError(
            f"y_train is a {type(y_train).__name__}; expected a 2-D indicator matrix. "
            "MultiLabelBinarizer(sparse_output=True) makes one of collections of labels."
        )
    _, columns, (n, n_labels) = positives(y_train, "y_train")
    if n < 3:
        raise ValueError(f"y_train has {n} rows; the propensity model needs at least 3.")
    counts = np.bincount(columns, minlength=n_labels)  # (n_labels,)
    c = (np.log(n) - 1.0) * (b + 1.0) ** a
    return np.asarray(1.0 / (1.0 + c * (counts + b) ** -a), dtype=np.float64)


def make_topk_scorer(
    metric: Callable[..., float] = precision_at_k, *, k: int = 1, **metric_arguments: Any
) -> Callable[[Any, Any, Any], float]:
    """Make a scorer of a metric, for ``scoring=`` in `GridSearchCV` and `cross_val_score`.

    Parameters
    ----------
    metric : callable, default=precision_at_k
        A metric of this module, or a function with the same face.
    k : int, default=1
        How many predicted labels of each document count.
    **metric_arguments
        Further keyword arguments of the metric, such as `propensities`. One value for each
        label asks for an indicator `y`: with lists of labels, the classes may differ from one
        fold to the next.

    Returns
    -------
    callable
        ``scorer(estimator, X, y)`` -> float, picklable. The fitted estimator, or the last step
        of a fitted `Pipeline`, has `predict_topk` and `classes_`; `y` is an indicator matrix,
        whose columns are the positions in `classes_`, or a list of collections of labels.

    Raises
    ------
    TypeError, ValueError
        If `k` is not an int, or below 1. The scorer raises TypeError if the estimator has no
        `predict_topk`, and what the metric raises.

    Notes
    -----
    With a list of lists as `y`, give `GridSearchCV` and `cross_val_score` a splitter, as in
    ``cv=KFold(5)``: for a classifier and ``cv=5`` scikit-learn inspects `y` and refuses it.
    A sparse `y` is taken by `GridSearchCV`; scikit-learn's `cross_val_score` and
    `cross_validate` refuse it: give them a dense one, or a list of lists.

    Examples
    --------
    >>> from lightxml.metrics.measures import make_topk_scorer, ndcg_at_k
    >>> make_topk_scorer(ndcg_at_k, k=5)
    make_topk_scorer(ndcg_at_k, k=5)
    """
    check_k(k)
    return _TopKScorer(metric, k, metric_arguments)


# Equality by identity: the arguments may be arrays, which have no truth value.
@dataclass(frozen=True, eq=False, repr=False)
class _TopKScorer:
    metric: Callable[..., float]
    k: int
    metric_arguments: dict[str, Any]

    def __call__(self, estimator: Any, X: Any, y: Any) -> float:
        topk, classes = rank_labels(estimator, X, self.k)
        return self.metric(y, topk, k=self.k, classes=classes, **self.metric_arguments)

    def __repr__(self) -> str:
        name = getattr(self.metric, "__name__", repr(self.metric))
        arguments = {"k": self.k, **self.metric_arguments}
        return f"make_topk_scorer({name}, {', '.join(f'{a}={v!r}' for a, v in arguments.items())})"


# The same of what is read already, so that several measures read it once: the truth, and the first
# k predicted columns, (n, k).


def precision_of(truth: Truth, columns: IntArray) -> float:
    return float(truth.hits(columns).mean())


def recall_of(truth: Truth, columns: IntArray) -> float:
    labelled = truth.n_true > 0
    if not labelled.any():
        return 0.0
    n_hits = truth.hits(columns).sum(axis=1)
    return float((n_hits[labelled] / truth.n_true[labelled]).mean())


def ndcg_of(truth: Truth, columns: IntArray) -> float:
    gains = truth.hits(columns).astype(np.float64)
    return float(_discounted(gains, truth.n_true).mean())


def psp_of(truth: Truth, columns: IntArray, propensities: npt.ArrayLike) -> float:
    weights = _inverse(propensities, truth.n_labels)
    best = truth.best_gains(weights, columns.shape[1])
    return _ratio(truth.gains(columns, weights).sum(), best.sum())


def psndcg_of(truth: Truth, columns: IntArray, propensities: npt.ArrayLike) -> float:
    weights = _inverse(propensities, truth.n_labels)
    reached = _discounted(truth.gains(columns, weights), truth.n_true)
    best = _discounted(truth.best_gains(weights, columns.shape[1]), truth.n_true)
    return _ratio(reached.sum(), best.sum())


def _discounted(gains: FloatArray, n_true: IntArray) -> FloatArray:
    """Discounted gains of each document over those of min(k, n_true) hits of gain 1, (n,)."""
    k = gains.shape[1]
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    norms = np.cumsum(discounts)[np.clip(n_true, 1, k) - 1]  # no labels: 0 / 1
    return (gains * discounts).sum(axis=1) / norms


def _ratio(reached: float, best: float) -> float:
    return float(reached / best) if best > 0 else 0.0


def _inverse(propensities: npt.ArrayLike, n_labels: int) -> FloatArray:
    values = np.asarray(propensities, dtype=np.float64)
    if values.shape != (n_labels,):
        raise ValueError(
            f"propensities has shape {values.shape}; expected ({n_labels},), one for each label."
        )
    wrong = np.flatnonzero(~((values > 0) & (values <= 1)))
    if wrong.size:
        raise ValueError(
            f"propensities[{wrong[0]}] is {values[wrong[0]]}; expected above 0 and at most 1 "
            "(propensities, not their inverses)."
        )
    return 1.0 / values
