"""Gradient-boosted trees as plain arrays, evaluated without scikit-learn and without OpenMP.

Every condition of a tree is looked at, and each that fails crosses out the leaves to its left;
the leftmost leaf that is left is the one that a walk from the root ends in (QuickScorer: Lucchese
et al., SIGIR 2015). What all conditions on one column cross out, for a value between two
thresholds, is a row of a table made beforehand. So a pair of document and label costs a row of
each column's table, and no walk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

MAX_LEAVES = 32  # a bit each
_MAX_TREES = 1000
LARGEST = 1e30  # of a number that a logit is made of; as many as there may be fit into float32
_MAX_TABLE = 2**26  # entries of 4 bytes; 300 trees on 20 columns have some 2**21
_PAIRS_AT_ONCE = 256


@dataclass(frozen=True)
class Trees:
    """Regression trees whose values are summed.

    Attributes
    ----------
    n_columns : int
    baseline : float
        What the sum begins with.
    starts : ndarray of int32, shape (n_trees + 1,)
        Tree i has the nodes ``starts[i]:starts[i + 1]``, its root first.
    column : ndarray of int32, shape (n_nodes,)
        What a node asks about; -1 for a leaf.
    threshold : ndarray of float64, shape (n_nodes,)
        Values up to it go left, larger ones right.
    left, right : ndarray of int32, shape (n_nodes,)
        Children, counted from the tree's root and behind their parent; 0 for a leaf.
    value : ndarray of float64, shape (n_nodes,)
        Of leaves.
    """

    n_columns: int
    baseline: float
    starts: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray

    def __post_init__(self) -> None:
        """Raise ValueError where these are not trees."""
        self._check()

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        """Return the sum of the trees' values.

        Parameters
        ----------
        columns : ndarray of float, shape (n_pairs, n_columns)
            No NaN.

        Returns
        -------
        ndarray of float64, shape (n_pairs,)
        """
        n_trees = len(self.starts) - 1
        total = np.full(len(columns), self.baseline, dtype=np.float64)
        if n_trees == 0:
            return total
        offset = np.arange(n_trees, dtype=np.int32) * MAX_LEAVES
        row = np.empty((min(_PAIRS_AT_ONCE, len(columns)), n_trees), dtype=np.uint32)
        for begin in range(0, len(columns), _PAIRS_AT_ONCE):
            some = columns[begin : begin + _PAIRS_AT_ONCE].astype(np.float64)
            row = row[: len(some)]
            alive = np.full(row.shape, -1, dtype=np.int64).astype(np.uint32)
            for column, thresholds, table in self._tables:
                between = np.searchsorted(thresholds, some[:, column])
                np.take(table, between, axis=0, out=row, mode="clip")
                alive &= row
            # The place of the lowest bit: the exponent of that power of two.
            lowest = (alive & (~alive + np.uint32(1))).astype(np.float32)
            leaf = (lowest.view(np.int32) >> 23) - 127
            leaf += offset
            total[begin : begin + len(some)] += self._leaves.take(leaf).sum(axis=1)
        return total

    def scaled(self, slope: float, offset: float) -> Trees:
        """Return trees that say `slope` times what these say, plus `offset`."""
        return replace(self, baseline=slope * self.baseline + offset, value=slope * self.value)

    @cached_property
    def _first_leaf(self) -> tuple[np.ndarray, np.ndarray]:
        """The first leaf below each node, from the tree's left, and how many there are."""
        count = (self.column < 0).astype(np.int64)
        first = np.zeros(len(self.column), dtype=np.int64)
        for begin, end in zip(self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True):
            inner = begin + np.flatnonzero(self.column[begin:end] >= 0)
            for node in inner[::-1].tolist():
                count[node] = count[begin + self.left[node]] + count[begin + self.right[node]]
            for node in inner.tolist():
                first[begin + self.left[node]] = first[node]
                first[begin + self.right[node]] = first[node] + count[begin + self.left[node]]
        return first, count

    @cached_property
    def _leaves(self) -> np.ndarray:
        """The values of leaves in the order of their bits, shape (n_trees * MAX_LEAVES,)."""
        tree = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        values = np.zeros((len(self.starts) - 1, MAX_LEAVES))
        leaf = np.flatnonzero(self.column < 0)
        values[tree[leaf], self._first_leaf[0][leaf]] = self.value[leaf]
        return values.ravel()

    @cached_property
    def _tables(self) -> list[tuple[int, np.ndarray, np.ndarray]]:
        """For each column that is asked about: its thresholds, and the leaves that stay.

        Row i of a table, uint32 of shape (n_thresholds + 1, n_trees), is for values above the
        first i thresholds.
        """
        tree = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        first, count = self._first_leaf
        tables = []
        for column in np.unique(self.column[self.column >= 0]).tolist():
            node = np.flatnonzero(self.column == column)
            thresholds, place = np.unique(self.threshold[node], return_inverse=True)
            left = self.starts[tree[node]] + self.left[node]
            crossed = ((np.int64(1) << count[left]) - 1) << first[left]
            table = np.full((len(thresholds) + 1, len(self.starts) - 1), 2**32 - 1, np.uint32)
            np.bitwise_and.at(table, (place + 1, tree[node]), ~crossed.astype(np.uint32))
            tables.append((column, thresholds, np.bitwise_and.accumulate(table, axis=0)))
        return tables

    def _check(self) -> None:
        n_nodes = len(self.column)
        expected = [
            (self.starts, np.int32, (len(self.starts),)),
            (self.column, np.int32, (n_nodes,)),
            (self.left, np.int32, (n_nodes,)),
            (self.right, np.int32, (n_nodes,)),
            (self.threshold, np.float64, (n_nodes,)),
            (self.value, np.float64, (n_nodes,)),
        ]
        if any(each.dtype != dtype or each.shape != shape for each, dtype, shape in expected):
            raise ValueError("the arrays of its trees have other types or lengths than they should")
        if not 1 <= len(self.starts) <= _MAX_TREES + 1:
            raise ValueError(f"it has more than {_MAX_TREES} trees, or not even a start")
        sizes: np.ndarray = np.diff(self.starts.astype(np.int64))
        if self.starts[0] != 0 or self.starts[-1] != n_nodes or (sizes < 1).any():
            raise ValueError("its trees do not begin where they should")
        if (sizes > 2 * MAX_LEAVES - 1).any():
            raise ValueError(f"one of its trees has more than {MAX_LEAVES} leaves")
        if n_nodes and not -1 <= self.column.min() <= self.column.max() < self.n_columns:
            raise ValueError("its trees ask about a column that is not there")
        numbers = (self.threshold, self.value, np.array(self.baseline))
        if not all(np.isfinite(each).all() for each in numbers):
            raise ValueError("its trees hold numbers that are not finite")
        if not max(np.abs(each).max(initial=0) for each in numbers[1:]) <= LARGEST:
            raise ValueError(f"its trees hold numbers above {LARGEST}")
        inner = self.column >= 0
        if (n_nodes + self.n_columns) * (len(self.starts) - 1) > _MAX_TABLE:
            raise ValueError("its trees are too many for their columns")
        # Every node but the root is a child of one node before it: then it is a tree.
        begin = np.repeat(self.starts[:-1], sizes)
        own = np.arange(n_nodes) - begin
        children = np.stack([self.left, self.right])[:, inner].astype(np.int64)
        if ((children <= own[inner]) | (children >= np.repeat(sizes, sizes)[inner])).any():
            raise ValueError("a node of its trees comes before its parent, or is not there")
        times = np.bincount((children + begin[inner]).ravel(), minlength=n_nodes)
        if (times != (own > 0)).any():
            raise ValueError("a node of its trees has no parent, or two")


def read_out(classifier: Any) -> Trees:
    """Return the trees of a fitted `HistGradientBoostingClassifier` of two classes.

    It was fitted on numbers without NaN, with at most `MAX_LEAVES` leaves a tree. Their sum is
    its `decision_function`.
    """
    predictors: Sequence[np.ndarray] = [each[0].nodes for each in classifier._predictors]
    nodes = np.concatenate(predictors)
    is_leaf = nodes["is_leaf"].astype(bool)
    return Trees(
        n_columns=int(classifier.n_features_in_),
        baseline=float(np.ravel(classifier._baseline_prediction)[0]),
        starts=np.cumsum([0, *map(len, predictors)]).astype(np.int32),
        column=np.where(is_leaf, -1, nodes["feature_idx"]).astype(np.int32),
        threshold=np.where(is_leaf, 0.0, nodes["num_threshold"]),
        left=np.where(is_leaf, 0, nodes["left"]).astype(np.int32),
        right=np.where(is_leaf, 0, nodes["right"]).astype(np.int32),
        value=np.where(is_leaf, nodes["value"], 0.0),
    )
