"""F1 at a threshold beside scikit-learn's, the calibration error beside a plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import f1_score

from lightxml.metrics import calibration_error, f1_at_threshold

AVERAGES = ("micro", "macro", "samples")
RNG = np.random.default_rng(0)
# A document and a label without a true one, and a label that is never given besides.
Y = (RNG.random((30, 7)) < 0.3).astype(int)
Y[4], Y[:, 5:] = 0, 0
P = np.round(RNG.random(Y.shape), 1)
P[:, 6] = 0
EACH = np.linspace(0.2, 0.8, 7)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("threshold", [0.3, 1.0, EACH])
def test_f1_is_scikit_learns(average: Any, threshold: Any) -> None:
    expected = f1_score(Y, threshold <= P, average=average, zero_division=0)
    assert f1_at_threshold(Y, P, threshold, average=average) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil"])
def test_sparse_scores_and_truth_are_as_dense_ones(average: Any, form: str) -> None:
    p, y = sp.csr_array(P).asformat(form), sp.csr_matrix(Y).asformat(form)
    expected = f1_at_threshold(Y, P, EACH, average=average)
    assert f1_at_threshold(y, p, EACH, average=average) == expected


def test_what_predict_gives_is_taken_as_scores() -> None:
    given = sp.csr_array((P >= 0.4).astype(np.int8))
    assert f1_at_threshold(Y, given) == f1_at_threshold(Y, P, 0.4)


def test_scores_are_compared_in_their_own_type() -> None:
    p = np.full((1, 2), 0.1, dtype=np.float32)  # a little above 0.1
    assert f1_at_threshold(np.ones((1, 2), int), p, 0.1) == 1


def test_collections_with_labels_that_nobody_knows() -> None:
    y, classes = [["a", "new"], ["b"], []], ["a", "b"]
    p = np.array([[0.9, 0.1], [0.8, 0.7], [0.2, 0.1]])
    measured = {a: f1_at_threshold(y, p, 0.5, average=a, classes=classes) for a in AVERAGES}
    assert measured["micro"] == pytest.approx(2 * 2 / (3 + 3))
    assert measured["macro"] == pytest.approx((2 / 3 + 1) / 2)
    assert measured["samples"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"average": "weighted"}, "average is 'weighted'; expected 'micro', 'macro' or 'samples'"),
        ({"y_score": P[:, :6]}, r"y_score has shape \(30, 6\); expected \(30, 7\)"),
        ({"y_score": P[:9]}, "y_score has shape"),
        ({"y_score": np.where(P > 0.8, np.nan, P)}, "y_score holds NaN"),
        ({"y_score": sp.csr_array(np.where(P > 0.8, np.nan, P))}, "y_score holds NaN"),
        ({"threshold": [0.5, 0.5]}, r"threshold has shape \(2,\); expected a number, or \(7,\)"),
        ({"threshold": np.nan}, "threshold is NaN"),
        ({"threshold": 0, "y_score": sp.csr_array(P)}, "threshold is not above 0, and y_score is"),
        ({"y_true": Y + 1}, r"y_true\[0, \d\] is 2; expected 0 or 1"),
    ],
)
def test_what_cannot_be_measured_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        f1_at_threshold(**{"y_true": Y, "y_score": P, **arguments})


def test_scores_that_are_texts_are_refused() -> None:
    with pytest.raises(TypeError, match="y_score holds <U3; expected numbers"):
        f1_at_threshold(Y, P.astype("U3"))


# The calibration error -------------------------------------------------------------------------

TOPK = np.argsort(-P, axis=1, kind="stable")
SCORES = np.take_along_axis(P, TOPK, axis=1)


def by_loop(k: int, n_bins: int) -> float:
    pairs = [(SCORES[i, j], Y[i, TOPK[i, j]]) for i in range(len(Y)) for j in range(k)]
    error = 0.0
    for b in range(n_bins):
        low, high = b / n_bins, (b + 1) / n_bins
        inside = [(p, y) for p, y in pairs if low < p <= high or (b == 0 and p == 0)]
        if inside:
            p, y = np.mean(inside, axis=0)
            error += len(inside) / len(pairs) * abs(p - y)
    return error


@pytest.mark.parametrize(("k", "n_bins"), [(1, 15), (5, 15), (7, 4), (5, 1)])
def test_the_calibration_error_is_that_of_a_plain_loop(k: int, n_bins: int) -> None:
    expected = pytest.approx(by_loop(k, n_bins), rel=1e-12)
    assert calibration_error(Y, TOPK, SCORES, k, n_bins=n_bins) == expected
    named = np.array([*"abcdefg"])
    labels = [named[row == 1].tolist() for row in Y]
    found = calibration_error(labels, named[TOPK], SCORES, k, n_bins=n_bins, classes=named)
    assert found == expected


def test_certain_and_right_is_no_error_and_certain_and_wrong_is_all() -> None:
    y = np.eye(3, dtype=int)
    assert calibration_error(y, [[0], [1], [2]], np.ones((3, 1)), 1) == 0
    assert calibration_error(y, [[1], [2], [0]], np.ones((3, 1)), 1) == 1


@pytest.mark.parametrize(
    ("scores", "more", "message"),
    [
        (SCORES[:, :3], {}, r"scores has shape \(30, 3\); expected \(30, at least 5\)"),
        (SCORES[:9], {}, "scores has shape"),
        (SCORES + 1, {}, r"scores\[0, 0\] is 1.\d+; expected a probability"),
        (np.where(SCORES > 0.9, np.nan, SCORES), {}, r"scores\[\d, 0\] is nan; expected"),
        (SCORES, {"n_bins": 0}, "n_bins is 0; expected an int of at least 1"),
        (SCORES, {"k": 8}, "topk has 7 columns and k is 8"),
    ],
)
def test_what_are_no_probabilities_is_named(
    scores: Any, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        calibration_error(Y, TOPK, scores, **more)
