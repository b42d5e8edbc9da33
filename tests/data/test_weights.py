"""The weights of documents: what is refused, and what a weight of 0 leaves out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from lightxml.data.inputs import Inputs
from lightxml.data.labels import Labels, encode
from lightxml.data.weights import check_sample_weight, without_weightless

INPUTS = Inputs(["one", "two", "three"], None)
ROWS = [["a", "b"], ["c"], ["b"]]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([1, 2], ValueError, r"shape \(2,\); expected a number for each of the 3 documents"),
        (np.ones((3, 1)), ValueError, r"shape \(3, 1\)"),
        ([1, np.nan, 2], ValueError, r"sample_weight\[1\] is nan"),
        ([1, 2, np.inf], ValueError, r"sample_weight\[2\] is inf"),
        ([1, -0.5, 2], ValueError, r"sample_weight\[1\] is -0.5; expected a finite number, 0 or"),
        ([0, 0, 0], ValueError, "is 0 for every document"),
        (["much", "little", "none"], TypeError, "holds what is no number"),
        ([1, None, {}], TypeError, "holds what is no number"),
    ],
    ids=["too few", "a column", "NaN", "infinite", "negative", "all 0", "words", "objects"],
)
def test_what_is_no_weight_is_refused(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_sample_weight(given, 3)


def left(weights: list[float], y: Any = ROWS, n_known: int = 0) -> tuple[Inputs, Labels, Any]:
    return without_weightless(INPUTS, encode(y, 3), np.array(weights, float), n_known=n_known)


def test_a_document_of_weight_0_goes_with_the_labels_that_it_alone_has() -> None:
    inputs, labels, weights = left([2, 0, 1])
    assert inputs.texts == ["one", "three"]
    assert inputs.numbers.tolist() == [0, 2]
    assert labels.classes.tolist() == ["a", "b"]
    assert labels.matrix.toarray().tolist() == [[1, 1], [0, 1]]
    assert weights.tolist() == [2, 1]


def test_known_classes_and_columns_stay() -> None:
    assert left([0, 1, 0], n_known=1)[1].classes.tolist() == ["a", "c"]
    matrix = sp.csr_array(np.eye(3, dtype=int))
    assert left([0, 1, 0], matrix)[1].classes.tolist() == [0, 1, 2]


@pytest.mark.parametrize("weights", [[1, 1, 1], [1, 0, 1]])
def test_weights_of_1_are_none(weights: list[float]) -> None:
    assert left(weights)[2] is None
