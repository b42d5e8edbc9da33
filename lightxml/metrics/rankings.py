"""True labels and predicted ones, checked and brought to column numbers for the metrics."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from lightxml.data.frames import array_of, is_frame, listed, places_of
from lightxml.exceptions import warn

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Truth:
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


def read_ranking(y_true: Any, topk: Any, k: int, classes: Any) -> tuple[Truth, IntArray]:
    """Check the arguments of a metric; the truth and the first k predicted columns, (n, k)."""
    check_k(k)
    index = None if classes is None else _index(classes)
    truth = _read_truth(y_true, index, "y_true")
    return truth, _read_topk(topk, k, truth, index)


def read_truth(y: Any, classes: Any, name: str) -> Truth:
    """Check true labels, which an error calls by `name`, and bring them to column numbers."""
    return _read_truth(y, None if classes is None else _index(classes), name)


def check_k(k: int) -> None:
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


def _read_truth(y: Any, index: dict[Any, int] | None, name: str) -> Truth:
    if not is_matrix(y):
        return _read_collections(y, index, name)
    rows, columns, (n, n_labels) = positives(y, name)
    if index is not None and len(index) != n_labels:
        raise ValueError(
            f"classes has {len(index)} labels and {name} {n_labels} columns; expected one label "
            "for each column."
        )
    if (
        index is not None
        and is_frame(y)
        and (places := places_of(y, list(index), name)) is not None
    ):
        columns = np.argsort(places)[columns]
        order = np.lexsort((columns, rows))
        rows, columns = rows[order], columns[order]
    return Truth(rows, columns, np.bincount(rows, minlength=n), n_labels)


def is_matrix(y: Any) -> bool:
    """Whether y is to be read as an indicator matrix, and not as a row of collections."""
    return sp.issparse(y) or is_frame(y) or getattr(y, "ndim", 1) > 1


def positives(y: Any, name: str) -> tuple[IntArray, IntArray, tuple[int, int]]:
    """Rows and columns of the ones of an indicator matrix, sorted, each once, and its shape."""
    if is_frame(y):
        y = array_of(y)
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


def _read_collections(y: Any, index: dict[Any, int] | None, name: str) -> Truth:
    if index is None:
        raise ValueError(
            f"{name} is a {type(y).__name__}, not 2-D, and classes is None; expected a 2-D "
            "indicator matrix (np.asarray makes one of nested lists of 0 and 1). Collections of "
            "labels need classes, the label of each column."
        )
    rows: list[int] = []
    columns: list[int] = []
    n_true: list[int] = []
    example: Any = None
    for i, labels in enumerate(listed(y)):
        if isinstance(labels, str | bytes) or not isinstance(labels, Collection):
            raise TypeError(
                f"{name}[{i}] is {labels!r}; expected a collection of labels, such as a list."
            )
        labels = set(labels)
        known = sorted(index[label] for label in labels if label in index)
        rows.extend([i] * len(known))
        columns.extend(known)
        n_true.append(len(labels))
        example = next(iter(labels), example)
    if any(n_true) and not rows and index:
        warn(
            f"None of the labels of {name} (such as {example!r}) is in classes (such as "
            f"{next(iter(index))!r}), so that none can be hit. If the model was fitted on an "
            "indicator matrix, its classes are column numbers: give such a matrix here too."
        )
    return Truth(
        np.array(rows, dtype=np.int64),
        np.array(columns, dtype=np.int64),
        np.array(n_true, dtype=np.int64),
        len(index),
    )


def _read_topk(topk: Any, k: int, truth: Truth, index: dict[Any, int] | None) -> IntArray:
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


def _columns_of_numbers(found: npt.NDArray[Any], truth: Truth) -> IntArray:
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
