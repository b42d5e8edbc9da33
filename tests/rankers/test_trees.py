"""Trees read out of scikit-learn, and trees from strangers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from lightxml.rankers.trees import MAX_LEAVES, Trees, read_out


def task(n: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(n, 6)).astype(np.float32)
    columns[:, 2] = np.round(columns[:, 2])
    return columns, columns[:, 0] * columns[:, 1] + columns[:, 2] > rng.normal(size=n)


def fitted(max_leaf_nodes: int = MAX_LEAVES) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=20, max_leaf_nodes=max_leaf_nodes, early_stopping=False, random_state=0
    ).fit(*task())


@pytest.mark.parametrize("max_leaf_nodes", [2, 7, MAX_LEAVES])
def test_they_say_what_scikit_learn_says(max_leaf_nodes: int) -> None:
    model = fitted(max_leaf_nodes)
    columns, _ = task()
    trees = read_out(model)
    thresholds = np.resize(trees.threshold[trees.column == 2], len(columns))
    columns[:, 2] = thresholds  # values on the thresholds themselves go left
    np.testing.assert_allclose(
        trees(columns), model.decision_function(columns), rtol=1e-12, atol=1e-12
    )
    assert trees(columns[:0]).shape == (0,)


def test_a_pair_says_the_same_whatever_is_beside_it() -> None:
    columns, _ = task()
    trees = read_out(fitted(8))
    alone = np.concatenate([trees(columns[i : i + 1]) for i in range(100)])
    np.testing.assert_array_equal(alone, trees(columns)[:100])


def test_scaled() -> None:
    columns, _ = task()
    trees = read_out(fitted(8))
    np.testing.assert_allclose(trees.scaled(0.5, 2.0)(columns), 0.5 * trees(columns) + 2)


def small() -> Trees:
    return Trees(
        n_columns=2,
        baseline=0.0,
        starts=np.array([0, 3, 4], np.int32),
        column=np.array([1, -1, -1, -1], np.int32),
        threshold=np.array([0.5, 0, 0, 0]),
        left=np.array([1, 0, 0, 0], np.int32),
        right=np.array([2, 0, 0, 0], np.int32),
        value=np.array([0, 1.0, 2.0, 4.0]),
    )


def test_a_tree_by_hand() -> None:
    assert small()(np.array([[9, 0.5], [9, 0.6]])).tolist() == [5, 6]


def with_item(name: str, at: int, value: float) -> Callable[[Trees], Trees]:
    def change(trees: Trees) -> Trees:
        array = getattr(trees, name).copy()
        array[at] = value
        return replace(trees, **{name: array})

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_item("column", 0, 2), "a column that is not there"),
        (with_item("column", 0, -2), "a column that is not there"),
        (with_item("left", 0, 0), "before its parent"),  # a circle
        (with_item("left", 0, -1), "before its parent"),
        (with_item("right", 0, 3), "before its parent, or is not there"),  # of the next tree
        (with_item("right", 0, 1), "no parent, or two"),
        (with_item("column", 0, -1), "no parent, or two"),
        (with_item("threshold", 0, np.nan), "not finite"),
        (with_item("value", 2, np.inf), "not finite"),
        (lambda trees: replace(trees, baseline=np.nan), "not finite"),
        (with_item("value", 2, -1e300), "numbers above 1e"),
        (lambda trees: replace(trees, baseline=1e300), "numbers above 1e"),
        (with_item("starts", 0, 1), "do not begin where they should"),
        (with_item("starts", 1, 0), "do not begin where they should"),
        (with_item("starts", 2, 9), "do not begin where they should"),
        (lambda trees: replace(trees, starts=np.empty(0, np.int32)), "not even a start"),
        (lambda trees: replace(trees, starts=np.arange(2000, dtype=np.int32)), "more than 1000"),
        (lambda trees: replace(trees, value=trees.value[:-1]), "other types or lengths"),
        (lambda trees: replace(trees, left=trees.left.astype(float)), "other types or lengths"),
        (lambda trees: replace(trees, column=trees.column[None]), "other types or lengths"),
    ],
)
def test_what_are_no_trees_is_refused(change: Callable[[Trees], Trees], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        change(small())


def test_too_many_leaves_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 32 leaves"):
        read_out(fitted(MAX_LEAVES + 1))
