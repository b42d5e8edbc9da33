from __future__ import annotations

import math
import pickle
import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, clone
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import ndcg_score, precision_score, recall_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline

from lightxml.metrics import (
    make_topk_scorer,
    ndcg_at_k,
    precision_at_k,
    propensities,
    psndcg_at_k,
    psp_at_k,
    recall_at_k,
)

PLAIN = [precision_at_k, recall_at_k, ndcg_at_k]
SCORED = [psp_at_k, psndcg_at_k]
FORMATS = ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"]

# --- a small example, worked by hand ---------------------------------------------------------

Y = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
TOPK = np.array([[0, 1], [3, 1], [2, 0]])
LABELS = np.array(["ape", "bee", "cat", "dog"])
LISTS = [["ape", "cat"], ["bee"], []]


def test_ndcg_compares_with_the_best_order_and_counts_documents_without_labels_as_zero():
    second = 1 / math.log2(3)
    assert ndcg_at_k(Y, TOPK, k=2) == pytest.approx((1 / (1 + second) + second + 0) / 3)


def test_psndcg_is_a_ratio_of_sums_of_normalised_gains():
    p = [0.5, 0.25, 0.1, 1.0]
    second = 1 / math.log2(3)
    reached = 2 / (1 + second) + 4 * second
    best = (10 + 2 * second) / (1 + second) + 4
    assert psndcg_at_k(Y, TOPK, k=2, propensities=p) == pytest.approx(reached / best)


def test_k_is_5_by_default():
    y = np.eye(6, dtype=int)[:1]
    assert precision_at_k(y, [[1, 2, 3, 4, 0, 5]]) == pytest.approx(1 / 5)


def test_results_are_python_floats():
    assert {type(m(Y, TOPK, k=2)) for m in PLAIN} == {float}
    assert {type(m(Y, TOPK, k=2, propensities=np.ones(4))) for m in SCORED} == {float}


# --- labels instead of column numbers --------------------------------------------------------


@pytest.mark.parametrize("metric", PLAIN)
@pytest.mark.parametrize("y_true", [Y, sp.csr_array(Y), LISTS], ids=["dense", "sparse", "lists"])
def test_labels_give_what_column_numbers_give(metric, y_true):
    expected = metric(Y, TOPK, k=2)
    assert metric(y_true, LABELS[TOPK], k=2, classes=LABELS) == expected
    assert metric(y_true, LABELS[TOPK].tolist(), k=2, classes=LABELS.tolist()) == expected
    objects = LABELS.astype(object)
    assert metric(y_true, objects[TOPK], k=2, classes=objects) == expected


@pytest.mark.parametrize(
    "y_true",
    [
        [{"ape", "cat"}, {"bee"}, set()],
        [("cat", "ape", "ape"), ("bee",), ()],
        [np.array(["ape", "cat"]), np.array(["bee"]), np.array([], dtype=str)],
        pd.Series(LISTS, index=[7, 8, 9]),
        np.array([*LISTS, None], dtype=object)[:3],
    ],
    ids=["sets", "tuples-with-a-repeat", "arrays", "series", "object-array"],
)
def test_collections_of_labels_may_be_of_any_kind(y_true):
    expected = recall_at_k(Y, TOPK, k=2)
    assert recall_at_k(y_true, LABELS[TOPK], k=2, classes=LABELS) == expected


def test_labels_outside_classes_are_positives_that_cannot_be_hit():
    y_true = [["ape", "yak"], ["zho"]]
    topk = [["ape", "bee"], ["cat", "dog"]]
    assert precision_at_k(y_true, topk, k=2, classes=LABELS) == pytest.approx(1 / 4)
    assert recall_at_k(y_true, topk, k=2, classes=LABELS) == pytest.approx((1 / 2 + 0) / 2)
    second = 1 / math.log2(3)
    assert ndcg_at_k(y_true, topk, k=2, classes=LABELS) == pytest.approx(1 / (1 + second) / 2)


def test_labels_outside_classes_have_no_weight_in_the_propensity_scored_metrics():
    y_true = [["ape", "yak"], ["zho"]]
    topk = [["ape", "bee"], ["cat", "dog"]]
    for metric in SCORED:
        assert metric(y_true, topk, k=2, classes=LABELS, propensities=[0.5] * 4) == 1.0


def test_labels_are_never_cast_to_another_type():
    classes = np.array([1, "1", 2], dtype=object)
    assert precision_at_k([[1], ["1"]], [[1], [1]], k=1, classes=classes) == 0.5


def test_integer_labels_are_not_column_numbers():
    classes = np.array([20, 10, 0])
    assert precision_at_k([[10], [0]], [[10], [20]], k=1, classes=classes) == 0.5


# --- oracles ---------------------------------------------------------------------------------


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int, np.ndarray]:
    """Truth, scores without ties, k, and propensities."""
    n, n_labels = draw(st.integers(1, 6)), draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density = draw(st.sampled_from([0.0, 0.1, 0.4, 0.9]))
    y_true = (rng.random((n, n_labels)) < density).astype(np.int8)
    scores = rng.permuted(np.tile(np.arange(1.0, n_labels + 1), (n, 1)), axis=1)
    return y_true, scores, draw(st.integers(1, n_labels)), rng.uniform(0.05, 1.0, n_labels)


def ranking(scores: np.ndarray) -> np.ndarray:
    return np.argsort(-scores, axis=1)


def naive(y_true: np.ndarray, topk: np.ndarray, k: int, p: np.ndarray) -> dict[Any, float]:
    """All metrics, one document and one position at a time."""
    precision, recall, ndcg = [], [], []
    psp = best_psp = psdcg = best_psdcg = 0.0
    for truth, predicted in zip(y_true.tolist(), topk.tolist(), strict=True):
        true = [label for label, one in enumerate(truth) if one]
        hits = [i for i in range(k) if predicted[i] in true]
        ideal = sum(1 / math.log2(i + 2) for i in range(min(k, len(true))))
        precision.append(len(hits) / k)
        if true:
            recall.append(len(hits) / len(true))
        ndcg.append(sum(1 / math.log2(i + 2) for i in hits) / ideal if true else 0.0)
        rarest = sorted((1 / p[label] for label in true), reverse=True)[:k]
        psp += sum(1 / p[predicted[i]] for i in hits)
        best_psp += sum(rarest)
        if true:
            psdcg += sum(1 / p[predicted[i]] / math.log2(i + 2) for i in hits) / ideal
            best_psdcg += sum(w / math.log2(i + 2) for i, w in enumerate(rarest)) / ideal
    return {
        precision_at_k: sum(precision) / len(precision),
        recall_at_k: sum(recall) / len(recall) if recall else 0.0,
        ndcg_at_k: sum(ndcg) / len(ndcg),
        psp_at_k: psp / best_psp if best_psp else 0.0,
        psndcg_at_k: psdcg / best_psdcg if best_psdcg else 0.0,
    }


@settings(max_examples=80, deadline=None)
@given(problems(), st.sampled_from(["dense", *FORMATS]))
def test_all_metrics_equal_plain_loops(problem, form):
    y_true, scores, k, p = problem
    topk = ranking(scores)
    given_y = y_true if form == "dense" else sp.coo_array(y_true).asformat(form)
    for metric, expected in naive(y_true, topk, k, p).items():
        arguments = {"propensities": p} if metric in SCORED else {}
        found = metric(given_y, topk, k, **arguments)
        assert found == pytest.approx(expected, abs=1e-12)
        assert 0.0 <= found <= 1.0 + 1e-12


@settings(max_examples=40, deadline=None)
@given(problems())
def test_a_perfect_ranking_scores_one(problem):
    y_true, _, k, p = problem
    y_true[:, 0] = 1
    topk = ranking(y_true / p)  # true labels first, the rarest of them first
    assert ndcg_at_k(y_true, topk, k) == pytest.approx(1.0)
    assert psp_at_k(y_true, topk, k, propensities=p) == pytest.approx(1.0)
    assert psndcg_at_k(y_true, topk, k, propensities=p) == pytest.approx(1.0)


@settings(max_examples=40, deadline=None)
@given(problems())
def test_precision_recall_and_ndcg_equal_scikit_learn(problem):
    y_true, scores, k, _ = problem
    topk = ranking(scores)
    decided = np.zeros_like(y_true)
    np.put_along_axis(decided, topk[:, :k], 1, axis=1)
    labelled = y_true.any(axis=1)
    # One column is binary for scikit-learn, not multilabel: an empty one makes it two.
    y_two, decided_two = (np.pad(a, ((0, 0), (0, 1))) for a in (y_true, decided))
    options: dict[str, Any] = {"average": "samples", "zero_division": 0}
    expected = precision_score(y_two, decided_two, **options)
    assert precision_at_k(y_true, topk, k) == pytest.approx(expected)
    expected = (
        recall_score(y_two[labelled], decided_two[labelled], **options) if any(labelled) else 0
    )
    assert recall_at_k(y_true, topk, k) == pytest.approx(expected)
    if y_true.shape[1] > 1:
        assert ndcg_at_k(y_true, topk, k) == pytest.approx(ndcg_score(y_true, scores, k=k))


@settings(max_examples=40, deadline=None)
@given(problems())
def test_all_metrics_equal_napkinxc(problem):
    theirs = pytest.importorskip("napkinxc.metrics", exc_type=ImportError)
    y_true, scores, k, p = problem
    topk = ranking(scores)
    lists = [np.flatnonzero(row).tolist() for row in y_true]
    labelled = y_true.any(axis=1)
    assert precision_at_k(y_true, topk, k) == pytest.approx(
        theirs.precision_at_k(lists, topk.tolist(), k)[-1]
    )
    assert ndcg_at_k(y_true, topk, k) == pytest.approx(
        theirs.ndcg_at_k(lists, topk.tolist(), k)[-1]
    )
    # napkinXC counts documents without labels in recall, and divides by 0 where we return 0.
    assert recall_at_k(y_true, topk, k) * labelled.mean() == pytest.approx(
        theirs.recall_at_k(lists, topk.tolist(), k)[-1]
    )
    if labelled.any():
        assert psp_at_k(y_true, topk, k, propensities=p) == pytest.approx(
            theirs.psprecision_at_k(lists, topk.tolist(), 1 / p, k)[-1]
        )
        assert psndcg_at_k(y_true, topk, k, propensities=p) == pytest.approx(
            theirs.psndcg_at_k(lists, topk.tolist(), 1 / p, k)[-1]
        )


def test_unknown_labels_weigh_as_in_napkinxc():
    theirs = pytest.importorskip("napkinxc.metrics", exc_type=ImportError)
    y_true = [["ape", "yak"], ["bee", "cat", "zho"], ["gnu"]]
    topk = [["bee", "ape"], ["dog", "cat"], ["ape", "cat"]]
    p = np.array([0.5, 0.25, 0.1, 1.0])
    weights = dict(zip(LABELS.tolist(), 1 / p, strict=True))
    ours = psndcg_at_k(y_true, topk, 2, propensities=p, classes=LABELS)
    assert ours == pytest.approx(theirs.psndcg_at_k(y_true, topk, weights, k=2)[-1])
    ours = psp_at_k(y_true, topk, 2, propensities=p, classes=LABELS)
    assert ours == pytest.approx(theirs.psprecision_at_k(y_true, topk, weights, k=2)[-1])


# --- propensities ----------------------------------------------------------------------------


def test_propensities_follow_the_formula():
    y_train = np.zeros((100, 3), dtype=int)
    y_train[:40, 0] = 1
    y_train[0, 1] = 1
    found = propensities(y_train, a=0.5, b=0.4)
    c = (math.log(100) - 1) * 1.4**0.5
    expected = [1 / (1 + c * (count + 0.4) ** -0.5) for count in (40, 1, 0)]
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert found.dtype == np.float64
    c = (math.log(100) - 1) * 2.5**0.55
    assert propensities(y_train)[1] == pytest.approx(1 / (1 + c * 2.5**-0.55))


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 50), st.floats(0.1, 2.0), st.floats(0.1, 5.0), st.integers(0, 2**32 - 1))
def test_propensities_lie_between_0_and_1_and_grow_with_the_count(n, a, b, seed):
    y_train = np.random.default_rng(seed).random((n, 6)) < 0.3
    found = propensities(y_train, a=a, b=b)
    assert np.all((found > 0) & (found < 1))
    by_count = np.argsort(y_train.sum(axis=0), kind="stable")
    assert np.all(np.diff(found[by_count]) >= 0)


def test_propensities_need_three_documents():
    with pytest.raises(ValueError, match=r"y_train has 2 rows; .* at least 3"):
        propensities(Y[:2])


def test_propensities_need_a_matrix():
    with pytest.raises(TypeError, match="y_train is a list; expected a 2-D indicator matrix"):
        propensities(LISTS)


@pytest.mark.parametrize("constant", ["a", "b"])
@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf])
def test_propensities_need_positive_finite_constants(constant, value):
    with pytest.raises(ValueError, match=f"{constant} is {value!r}; expected a positive finite"):
        propensities(Y, **{constant: value})


# --- indicator matrices ----------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("container", [sp.coo_matrix, sp.coo_array])
@pytest.mark.parametrize("dtype", [bool, np.int8, np.float32, np.uint64])
def test_every_sparse_format_gives_what_the_dense_array_gives(form, container, dtype):
    y_true = container(Y.astype(dtype)).asformat(form)
    for metric in PLAIN:
        assert metric(y_true, TOPK, k=2) == metric(Y, TOPK, k=2)


@pytest.mark.parametrize("y_true", [Y.astype(bool), Y.astype(float), pd.DataFrame(Y)])
def test_dense_arrays_of_other_types_are_read(y_true):
    assert recall_at_k(y_true, TOPK, k=2) == recall_at_k(Y, TOPK, k=2)


def test_repeated_coo_entries_count_once():
    rows, columns = [0, 0, 0, 1], [0, 2, 0, 1]
    y_true = sp.coo_array((np.ones(4), (rows, columns)), shape=Y.shape)
    assert recall_at_k(y_true, TOPK, k=2) == recall_at_k(Y, TOPK, k=2)
    np.testing.assert_array_equal(propensities(y_true), propensities(Y))
    assert y_true.nnz == 4


def test_stored_zeros_are_not_positives():
    y_true = sp.csr_array(Y)
    y_true.data[1] = 0
    without = Y.copy()
    without[0, 2] = 0
    assert recall_at_k(y_true, TOPK, k=2) == recall_at_k(without, TOPK, k=2)
    np.testing.assert_array_equal(propensities(y_true), propensities(without))
    assert y_true.nnz == 3


def test_unsorted_column_numbers_do_no_harm():
    y_true = sp.csr_array((np.ones(3), [2, 0, 1], [0, 2, 3, 3]), shape=Y.shape)
    assert ndcg_at_k(y_true, TOPK, k=2) == ndcg_at_k(Y, TOPK, k=2)
    assert y_true.indices.tolist() == [2, 0, 1]


def test_arguments_are_left_unchanged():
    y_true, topk, p = Y.copy(), LABELS[TOPK], np.full(4, 0.5)
    coo = sp.coo_matrix(([1, 1, 0], ([0, 0, 1], [2, 2, 1])), shape=Y.shape)
    lists = [list(labels) for labels in LISTS]
    for array in (y_true, topk, p, coo.data, coo.row, coo.col):
        array.flags.writeable = False
    for truth in (y_true, coo, lists):
        psndcg_at_k(truth, topk, 2, propensities=p, classes=LABELS)
        recall_at_k(truth, topk, 2, classes=LABELS)
    assert lists == LISTS
    assert coo.nnz == 3


# --- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "error", "message"),
    [(k, TypeError, r"k is .*; expected an int") for k in (2.0, "2", None, True)]
    + [(k, ValueError, f"k is {k}; expected at least 1") for k in (0, -1)],
)
def test_k_is_an_int_of_at_least_1(k, error, message):
    with pytest.raises(error, match=message):
        precision_at_k(Y, TOPK, k)
    with pytest.raises(error, match=message):
        make_topk_scorer(k=k)


def test_numpy_integers_are_ints():
    assert precision_at_k(Y, TOPK, np.int32(2)) == precision_at_k(Y, TOPK, 2)


def test_a_label_predicted_again_after_the_first_k_is_no_matter():
    assert precision_at_k(Y, [[0, 0], [3, 3], [2, 2]], 1) == pytest.approx(1 / 3)


APE_BEE = ["ape", "bee"]


@pytest.mark.parametrize(
    ("y_true", "topk", "message"),
    [
        (Y, TOPK[:, :1], "topk has 1 columns and k is 2"),
        (Y, [[0, 1], [3, 3], [2, 0]], r"topk\[1\] holds a label twice .*: \[3, 3\]"),
        (Y, [[0, 1], [-1, 2], [1, 0]], r"topk\[1, 0\] is -1; .* from 0 to 3"),
        (Y, [[0, 1], [4, 2], [1, 0]], r"topk\[1, 0\] is 4; .* from 0 to 3"),
        (Y, TOPK[0], r"topk has 1 dimension\(s\), or rows of different"),
        (Y, 3, r"topk has 0 dimension\(s\), or rows of different"),
        (Y, TOPK[None], r"topk has 3 dimension\(s\), or rows of different"),
        (Y, [[0, 1], [2], [1, 0]], r"topk has \d dimension\(s\), or rows of different"),
        (Y, TOPK[:2], "y_true has 3 rows and topk 2"),
        (Y[:0], TOPK[:0], "y_true and topk have no rows"),
        (Y[0], TOPK, r"y_true is a \w+, not 2-D, and classes is None"),
        (Y.tolist(), TOPK, r"y_true is a \w+, not 2-D, and classes is None"),
        (pd.Series(LISTS), TOPK, r"y_true is a \w+, not 2-D, and classes is None"),
        (None, TOPK, r"y_true is a \w+, not 2-D, and classes is None"),
        (Y[None], TOPK, r"y_true has 3 dimension\(s\); expected 2"),
        (sp.coo_array(Y[0]), TOPK, r"y_true has 1 dimension\(s\); expected 2"),
    ],
)
def test_what_is_no_truth_or_no_ranking_is_named_with_its_place(y_true, topk, message):
    with pytest.raises(ValueError, match=message):
        precision_at_k(y_true, topk, 2)


@pytest.mark.parametrize("topk", [TOPK.astype(float), LABELS[TOPK], TOPK.astype(bool)])
def test_topk_without_classes_must_hold_integers(topk):
    with pytest.raises(TypeError, match=r"topk holds .*; expected integer column numbers"):
        precision_at_k(Y, topk, 2)


@pytest.mark.parametrize(
    ("y_true", "topk", "classes", "message"),
    [
        (Y, [APE_BEE] * 2 + [["ape"] * 2], LABELS, r"topk\[2\] holds a label twice .*'ape'\]"),
        (Y, [APE_BEE] * 2 + [["ape", "emu"]], LABELS, r"topk\[2, 1\] is 'emu', which is not in"),
        (LISTS[:2], LABELS[TOPK], LABELS, "y_true has 2 rows and topk 3"),
        (Y, LABELS[TOPK], LABELS[None], r"classes has 2 dimension\(s\); expected 1"),
        (Y, LABELS[TOPK], ["ape", "bee", "ape", "dog"], r"classes\[2\] is 'ape', as is classes"),
        (Y, LABELS[TOPK], LABELS[:3], "classes has 3 labels and y_true 4 columns"),
    ],
)
def test_labels_that_are_not_among_the_classes_are_named(y_true, topk, classes, message):
    with pytest.raises(ValueError, match=message):
        precision_at_k(y_true, topk, 2, classes=classes)


@pytest.mark.parametrize("element", ["ape", 3, None])
def test_an_element_that_is_no_collection_is_refused_with_its_position(element):
    with pytest.raises(TypeError, match=rf"y_true\[1\] is {element!r}; expected a collection"):
        precision_at_k([["ape"], element, []], LABELS[TOPK], 2, classes=LABELS)


@pytest.mark.parametrize("value", [2, -1, 0.5, math.nan, math.inf])
@pytest.mark.parametrize("form", ["dense", *FORMATS])
def test_values_other_than_0_and_1_are_refused_with_their_position(value, form):
    y_true = Y.astype(float)
    y_true[1, 3] = value
    given_y = y_true if form == "dense" else sp.coo_matrix(y_true).asformat(form)
    with pytest.raises(ValueError, match=r"y_true\[1, 3\] is .*; expected 0 or 1"):
        precision_at_k(given_y, TOPK, 2)
    with pytest.raises(ValueError, match=r"y_train\[1, 3\] is .*; expected 0 or 1"):
        propensities(given_y)


@pytest.mark.parametrize("metric", SCORED)
@pytest.mark.parametrize(
    ("p", "message"),
    [
        ([0.5] * 3, r"propensities has shape \(3,\); expected \(4,\)"),
        (np.ones((4, 1)), r"propensities has shape \(4, 1\)"),
        *(([0.5, 1.0, wrong, 0.5], r"propensities\[2\] is .*; expected above 0")
          for wrong in (0.0, -0.5, 1.5, math.nan, math.inf)),
    ],
)  # fmt: skip
def test_propensities_must_fit_the_labels_and_lie_in_their_range(metric, p, message):
    with pytest.raises(ValueError, match=message):
        metric(Y, TOPK, 2, propensities=p)


# --- scorers ---------------------------------------------------------------------------------


class MostFrequentLabels(BaseEstimator):
    """Predicts the labels that are most frequent in training, from place `skip` on."""

    def __init__(self, skip: int = 0) -> None:
        self.skip = skip

    def fit(self, X: Any, y: Any) -> MostFrequentLabels:
        if hasattr(y, "shape"):
            self.classes_ = np.arange(y.shape[1])
            counts = np.asarray(y.sum(axis=0)).ravel()
        else:
            self.classes_, counts = np.unique(np.concatenate(y), return_counts=True)
        self.order_ = np.argsort(-counts, kind="stable")
        self.n_features_seen_ = X.shape[1] if hasattr(X, "shape") else None
        return self

    def predict_topk(self, X: Any, k: int = 5) -> np.ndarray:
        n = X.shape[0] if hasattr(X, "shape") else len(X)
        assert (X.shape[1] if hasattr(X, "shape") else None) == self.n_features_seen_
        return np.tile(self.classes_[self.order_[self.skip : self.skip + k]], (n, 1))


TEXTS = [f"text {i}" for i in range(12)]
# Column 0 is never used; 1 is in every document, 2 in every second, 3 in every third.
INDICATOR = np.array([[0, 1, i % 2 == 0, i % 3 == 0] for i in range(12)], dtype=int)
LABEL_LISTS = [LABELS[row.astype(bool)].tolist() for row in INDICATOR]


@pytest.mark.parametrize("y", [INDICATOR, sp.csr_matrix(INDICATOR), sp.coo_array(INDICATOR)])
def test_a_scorer_equals_its_metric(y):
    estimator = MostFrequentLabels().fit(TEXTS, y)
    topk = estimator.predict_topk(TEXTS, k=3)
    p = propensities(y)
    assert make_topk_scorer()(estimator, TEXTS, y) == precision_at_k(y, topk, 1) == 1.0
    assert make_topk_scorer(ndcg_at_k, k=3)(estimator, TEXTS, y) == ndcg_at_k(y, topk, 3)
    scorer = make_topk_scorer(psp_at_k, k=2, propensities=p)
    assert scorer(estimator, TEXTS, y) == psp_at_k(y, topk, 2, propensities=p)


def test_a_scorer_takes_lists_of_labels():
    estimator = MostFrequentLabels().fit(TEXTS, LABEL_LISTS)
    assert estimator.classes_.tolist() == ["bee", "cat", "dog"]
    assert make_topk_scorer(k=2)(estimator, TEXTS, LABEL_LISTS) == pytest.approx((1 + 1 / 2) / 2)


@pytest.mark.parametrize("y", [INDICATOR, sp.csr_array(INDICATOR)], ids=["dense", "sparse"])
def test_a_scorer_chooses_in_grid_search(y):
    search = GridSearchCV(MostFrequentLabels(), {"skip": [1, 0, 2]}, scoring=make_topk_scorer())
    search.set_params(cv=3, error_score="raise").fit(TEXTS, y)
    assert search.best_params_ == {"skip": 0}
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], [1 / 2, 1, 1 / 3])


def test_lists_of_labels_are_cross_validated_with_a_splitter():
    scores = cross_val_score(
        MostFrequentLabels(),
        TEXTS,
        LABEL_LISTS,
        scoring=make_topk_scorer(k=2),
        cv=KFold(3),
        error_score="raise",
    )
    np.testing.assert_allclose(scores, [3 / 4] * 3)


def test_a_scorer_finds_the_estimator_at_the_end_of_a_pipeline():
    steps = [("count", CountVectorizer()), ("same", "passthrough"), ("top", MostFrequentLabels())]
    scores = cross_val_score(
        Pipeline(steps), TEXTS, INDICATOR, scoring=make_topk_scorer(), cv=3, error_score="raise"
    )
    assert scores.tolist() == [1.0] * 3
    alone = make_pipeline(MostFrequentLabels()).fit(TEXTS, INDICATOR)
    assert make_topk_scorer()(alone, TEXTS, INDICATOR) == 1.0


def test_a_scorer_pickles():
    scorer = make_topk_scorer(psndcg_at_k, k=2, propensities=np.full(4, 0.5))
    again = pickle.loads(pickle.dumps(scorer))
    estimator = MostFrequentLabels(skip=1).fit(TEXTS, INDICATOR)
    assert again(estimator, TEXTS, INDICATOR) == scorer(estimator, TEXTS, INDICATOR) > 0


def test_a_search_with_a_scorer_clones():
    scorer = make_topk_scorer(psp_at_k, propensities=np.full(4, 0.5))
    search = clone(GridSearchCV(MostFrequentLabels(), {"skip": [0, 1]}, scoring=scorer, cv=3))
    assert search.fit(TEXTS, INDICATOR).best_score_ == 1.0


def test_scorers_with_arrays_can_be_compared_and_hashed():
    one, other = (make_topk_scorer(psp_at_k, propensities=np.ones(4)) for _ in range(2))
    assert len({one, other, one}) == 2


def test_a_scorer_shows_its_metric_and_arguments():
    assert repr(make_topk_scorer()) == "make_topk_scorer(precision_at_k, k=1)"
    found = repr(make_topk_scorer(psp_at_k, k=3, propensities=[0.5]))
    assert found == "make_topk_scorer(psp_at_k, k=3, propensities=[0.5])"


def test_a_scorer_cannot_be_changed():
    scorer: Any = make_topk_scorer()
    with pytest.raises(AttributeError):
        scorer.k = 2


def test_an_estimator_without_predict_topk_is_refused():
    with pytest.raises(TypeError, match="CountVectorizer, which has no predict_topk"):
        make_topk_scorer()(CountVectorizer(), TEXTS, INDICATOR)


# --- size ------------------------------------------------------------------------------------


def test_memory_grows_with_the_positives_not_with_the_labels_times_the_documents():
    n, n_labels, k = 20_000, 670_000, 5  # as bool the product would take 13 GB
    rng = np.random.default_rng(0)
    topk = (rng.integers(0, n_labels, (n, 1)) + np.arange(k)) % n_labels
    y_true = sp.csr_array(
        (np.ones(2 * n, dtype=np.int8), topk[:, [0, 3]].ravel(), np.arange(0, 2 * n + 1, 2)),
        shape=(n, n_labels),
    )
    tracemalloc.start()
    try:
        assert precision_at_k(y_true, topk, k) == pytest.approx(2 / 5)
        assert recall_at_k(y_true, topk, k) == 1.0
        assert ndcg_at_k(y_true, topk, k) == pytest.approx(
            (1 + 1 / math.log2(5)) / (1 + 1 / math.log2(3))
        )
        p = propensities(y_true)
        assert psp_at_k(y_true, topk, k, propensities=p) == pytest.approx(1.0)
        assert 0.5 < psndcg_at_k(y_true, topk, k, propensities=p) < 1.0
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100e6


def test_32_bit_indices_do_not_overflow():
    n, n_labels = 10_000, 670_000
    rows = np.arange(n, dtype=np.int32)
    y_true = sp.coo_matrix((np.ones(n), (rows, rows)), shape=(n, n_labels))
    assert y_true.row.dtype == np.int32
    assert precision_at_k(y_true, rows[:, None], k=1) == 1.0


def test_labels_of_which_none_is_a_class_are_no_silent_zero() -> None:
    topk = np.array([[0, 1], [1, 0]])
    with pytest.warns(UserWarning, match=r"None of the labels of y_true \(such as 'cat'\) is in"):
        assert precision_at_k([["cat"], ["cat"]], topk, 1, classes=np.arange(2)) == 0
    assert precision_at_k([[], []], topk, 1, classes=np.arange(2)) == 0
    assert precision_at_k([["cat"], [1]], topk, 1, classes=np.arange(2)) == 0.5
