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

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.pipeline import Pipeline

__all__ = [
    "make_topk_scorer",
    "ndcg_at_k",
    "precision_at_k",
    "propensities",
    "psndcg_at_k",
    "psp_at_k",
    "recall_at_k",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


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
    >>> from lightxml.metrics import precision_at_k
    >>> y_true = np.array([[1, 0, 1], [0, 1, 0]])
    >>> precision_at_k(y_true, [[0, 1], [1, 2]], k=2)
    0.5
    """
    truth, columns = _read(y_true, topk, k, classes)
    return float(truth.hits(columns).mean())


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
    truth, columns = _read(y_true, topk, k, classes)
    labelled = truth.n_true > 0
    if not labelled.any():
        return 0.0
    n_hits = truth.hits(columns).sum(axis=1)
    return float((n_hits[labelled] / truth.n_true[labelled]).mean())


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
    truth, columns = _read(y_true, topk, k, classes)
    gains = truth.hits(columns).astype(np.float64)
    return float(_discounted(gains, truth.n_true).mean())


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
    truth, columns = _read(y_true, topk, k, classes)
    weights = _inverse(propensities, truth.n_labels)
    return _ratio(truth.gains(columns, weights).sum(), truth.best_gains(weights, k).sum())


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
    truth, columns = _read(y_true, topk, k, classes)
    weights = _inverse(propensities, truth.n_labels)
    reached = _discounted(truth.gains(columns, weights), truth.n_true)
    best = _discounted(truth.best_gains(weights, k), truth.n_true)
    return _ratio(reached.sum(), best.sum())


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
    if not _is_matrix(y_train):
        raise TypeError(
            f"y_train is a {type(y_train).__name__}; expected a 2-D indicator matrix. "
            "MultiLabelBinarizer(sparse_output=True) makes one of collections of labels."
        )
    _, columns, (n, n_labels) = _positives(y_train, "y_train")
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

    Examples
    --------
    >>> from lightxml.metrics import make_topk_scorer, ndcg_at_k
    >>> make_topk_scorer(ndcg_at_k, k=5)
    make_topk_scorer(ndcg_at_k, k=5)
    """
    _check_k(k)
    return _TopKScorer(metric, k, metric_arguments)


# Equality by identity: the arguments may be arrays, which have no truth value.
@dataclass(frozen=True, eq=False, repr=False)
class _TopKScorer:
    metric: Callable[..., float]
    k: int
    metric_arguments: dict[str, Any]

    def __call__(self, estimator: Any, X: Any, y: Any) -> float:
        # A Pipeline has no predict_topk of its own.
        if isinstance(estimator, Pipeline):
            if len(estimator) > 1:
                X = estimator[:-1].transform(X)
            estimator = estimator[-1]
        if not hasattr(estimator, "predict_topk"):
            raise TypeError(
                f"estimator is a {type(estimator).__name__}, which has no predict_topk; expected "
                "a fitted LightXMLClassifier or a Pipeline that ends in one."
            )
        topk = estimator.predict_topk(X, k=self.k)
        return self.metric(y, topk, k=self.k, classes=estimator.classes_, **self.metric_arguments)

    def __repr__(self) -> str:
        name = getattr(self.metric, "__name__", repr(self.metric))
        arguments = {"k": self.k, **self.metric_arguments}
        return f"make_topk_scorer({name}, {', '.join(f'{a}={v!r}' for a, v in arguments.items())})"


@dataclass(frozen=True, eq=False)
class _Truth:
    """True labels, as sorted pairs of row and column, each once."""

    rows: IntArray  # (n_positives,), ascending
    columns: IntArray  # (n_positives,), ascending in each row
    n_true: IntArray  # (n,), positives of each document, those outside the columns included
    n_labels: int

    def hits(self, topk: IntArray) -> BoolArray:
        """Whether each predicted column is a true one; the shape is that of `topk`."""
        positives = self.rows * self.n_labels + self.columns  # ascending
        predicted = np.arange(len(topk))[:, None] * self.n_labels + topk  # (n, k)
        places = np.searchsorted(positives, predicted)
        # One more entry, which equals no prediction, for the places past the end.
        return np.append(positives, -1)[places] == predicted

    def gains(self, topk: IntArray, weights: FloatArray) -> FloatArray:
        """The weights of the predicted columns that are true, else 0, of the shape of `topk`."""
        return np.where(self.hits(topk), weights[topk], 0.0)

    def best_gains(self, weights: FloatArray, k: int) -> FloatArray:
        """The k largest weights of each document's true columns, descending, (n, k)."""
        order = np.lexsort((-weights[self.columns], self.rows))
        rows, columns = self.rows[order], self.columns[order]
        ranks = np.arange(len(rows)) - np.searchsorted(rows, rows)
        first = ranks < k
        best = np.zeros((len(self.n_true), k))
        best[rows[first], ranks[first]] = weights[columns[first]]
        return best


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


def _read(y_true: Any, topk: Any, k: int, classes: Any) -> tuple[_Truth, IntArray]:
    """Check the arguments of a metric; the truth and the first k predicted columns, (n, k)."""
    _check_k(k)
    index = None if classes is None else _index(classes)
    truth = _read_truth(y_true, index)
    return truth, _read_topk(topk, k, truth, index)


def _check_k(k: int) -> None:
    if not isinstance(k, Integral) or isinstance(k, bool):
        raise TypeError(f"k is {k!r}; expected an int of at least 1.")
    if k < 1:
        raise ValueError(f"k is {k}; expected at least 1.")


def _index(classes: Any) -> dict[Any, int]:
    """The column of each label.

    A dict, not a sorted array: it takes labels of any type, and never casts 1 to "1".
    """
    if isinstance(classes, np.ndarray) and classes.ndim != 1:
        raise ValueError(f"classes has {classes.ndim} dimension(s); expected 1, (n_labels,).")
    labels = classes.tolist() if isinstance(classes, np.ndarray) else list(classes)
    index: dict[Any, int] = {}
    for column, label in enumerate(labels):
        if index.setdefault(label, column) != column:
            raise ValueError(
                f"classes[{column}] is {label!r}, as is classes[{index[label]}]; "
                "expected each label once."
            )
    return index


def _read_truth(y_true: Any, index: dict[Any, int] | None) -> _Truth:
    if not _is_matrix(y_true):
        return _read_collections(y_true, index)
    rows, columns, (n, n_labels) = _positives(y_true, "y_true")
    if index is not None and len(index) != n_labels:
        raise ValueError(
            f"classes has {len(index)} labels and y_true {n_labels} columns; expected one label "
            "for each column."
        )
    return _Truth(rows, columns, np.bincount(rows, minlength=n), n_labels)


def _is_matrix(y: Any) -> bool:
    """Whether y is to be read as an indicator matrix, and not as a row of collections."""
    return sp.issparse(y) or getattr(y, "ndim", 1) > 1


def _positives(y: Any, name: str) -> tuple[IntArray, IntArray, tuple[int, int]]:
    """Rows and columns of the ones of an indicator matrix, sorted, each once, and its shape."""
    if y.ndim != 2:
        raise ValueError(f"{name} has {y.ndim} dimension(s); expected 2, (n, n_labels).")
    n, n_labels = y.shape
    if sp.issparse(y):
        entries = y.tocoo()
        rows, columns, values = entries.row, entries.col, entries.data
    else:
        dense = np.asarray(y)
        rows, columns = np.nonzero(dense)  # NaN is not zero
        values = dense[rows, columns]
    ones = values == 1
    wrong = np.flatnonzero(~(ones | (values == 0)))
    if wrong.size:
        i = wrong[0]
        raise ValueError(
            f"{name}[{rows[i]}, {columns[i]}] is {values[i]}; expected 0 or 1, as in an "
            "indicator matrix."
        )
    keys = np.unique(rows[ones].astype(np.int64) * n_labels + columns[ones])
    return keys // max(n_labels, 1), keys % max(n_labels, 1), (n, n_labels)


def _read_collections(y_true: Any, index: dict[Any, int] | None) -> _Truth:
    if index is None:
        raise ValueError(
            f"y_true is a {type(y_true).__name__}, not 2-D, and classes is None; expected a 2-D "
            "indicator matrix (np.asarray makes one of nested lists of 0 and 1). Collections of "
            "labels need classes, the label of each column."
        )
    rows: list[int] = []
    columns: list[int] = []
    n_true: list[int] = []
    for i, labels in enumerate(y_true):
        if isinstance(labels, str | bytes) or not isinstance(labels, Collection):
            raise TypeError(
                f"y_true[{i}] is {labels!r}; expected a collection of labels, such as a list."
            )
        labels = set(labels)
        known = sorted(index[label] for label in labels if label in index)
        rows.extend([i] * len(known))
        columns.extend(known)
        n_true.append(len(labels))
    return _Truth(
        np.array(rows, dtype=np.int64),
        np.array(columns, dtype=np.int64),
        np.array(n_true, dtype=np.int64),
        len(index),
    )


def _read_topk(topk: Any, k: int, truth: _Truth, index: dict[Any, int] | None) -> IntArray:
    found = _as_array(topk, labels=index is not None)
    if found.ndim != 2:
        raise ValueError(
            f"topk has {found.ndim} dimension(s), or rows of different lengths; expected 2, "
            "(n, at least k)."
        )
    if len(found) != len(truth.n_true):
        raise ValueError(
            f"y_true has {len(truth.n_true)} rows and topk {len(found)}; expected one row of each "
            "for each document."
        )
    if not len(found):
        raise ValueError("y_true and topk have no rows; expected at least one document.")
    if found.shape[1] < k:
        raise ValueError(
            f"topk has {found.shape[1]} columns and k is {k}; expected at least k. Predict more "
            "labels or lower k."
        )
    found = found[:, :k]
    columns = _columns_of_numbers(found, truth) if index is None else _columns_of(found, index)
    ordered = np.sort(columns, axis=1)
    repeated = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    if repeated.size:
        raise ValueError(
            f"topk[{repeated[0]}] holds a label twice among its first {k}: "
            f"{found[repeated[0]].tolist()}; expected each label at most once."
        )
    return columns


def _as_array(topk: Any, *, labels: bool) -> npt.NDArray[Any]:
    if hasattr(topk, "__array__"):
        return np.asarray(topk)
    # As objects, 1 stays apart from "1", and ragged rows end in one dimension.
    objects = np.array(topk, dtype=object)
    return objects if labels or objects.ndim != 2 else np.asarray(topk)


def _columns_of_numbers(found: npt.NDArray[Any], truth: _Truth) -> IntArray:
    if found.dtype.kind not in "iu":
        raise TypeError(
            f"topk holds {found.dtype}; expected integer column numbers. Give classes if it holds "
            "labels."
        )
    wrong = np.argwhere((found < 0) | (found >= truth.n_labels))
    if len(wrong):
        i, j = wrong[0]
        raise ValueError(
            f"topk[{i}, {j}] is {found[i, j]}; expected a column number of y_true, from 0 to "
            f"{truth.n_labels - 1}."
        )
    return found.astype(np.int64)


def _columns_of(found: npt.NDArray[Any], index: dict[Any, int]) -> IntArray:
    labels: Sequence[Any] = found.ravel().tolist()
    columns = np.array([index.get(label, -1) for label in labels], np.int64).reshape(found.shape)
    wrong = np.argwhere(columns < 0)
    if len(wrong):
        i, j = wrong[0]
        raise ValueError(
            f"topk[{i}, {j}] is {labels[i * found.shape[1] + j]!r}, which is not in classes."
        )
    return columns
