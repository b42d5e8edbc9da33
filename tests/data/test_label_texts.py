"""The texts of labels, as the caller gives them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from lightxml.data.label_texts import check_label_rows, check_label_texts

CLASSES = np.array(["b", "d"], dtype=object)
COLUMNS = np.arange(2)


def test_a_label_that_only_has_a_text_becomes_a_class() -> None:
    found = check_label_texts({"d": "dog", "a": ["ape", "monkey"]}, CLASSES, indicator=False)
    assert found.classes.tolist() == ["a", "b", "d"]
    assert found.columns.tolist() == [1, 2]
    assert found.texts == (("ape", "monkey"), (), ("dog",))


def test_numbers_stay_numbers() -> None:
    found = check_label_texts({7: "x", np.int64(3): "y"}, np.array([5, 7]), indicator=False)
    assert found.classes.dtype == np.int64
    assert found.classes.tolist() == [3, 5, 7]


def test_columns_of_an_indicator_take_a_sequence() -> None:
    found = check_label_texts([None, "dog"], COLUMNS, indicator=True)
    assert found.texts == ((), ("dog",))
    assert found.classes is COLUMNS


def test_empty_and_repeated_texts_count_for_nothing() -> None:
    found = check_label_texts({"b": ["", "x", " \t", "x"], "d": None}, CLASSES, indicator=False)
    assert found.texts == (("x",), ())


@pytest.mark.parametrize(
    ("label_texts", "indicator", "error", "message"),
    [
        (["x", "y"], False, TypeError, "is of type list; expected a mapping"),
        ("xy", True, TypeError, "is of type str"),
        (["x"], True, ValueError, "has 1 entries, but y has 2 columns"),
        ({2: "x"}, True, ValueError, "the label 2, which is no column of y"),
        ({3: "x"}, False, ValueError, "the label 3 (int), but y's labels are of type str"),
        ({None: "x"}, False, ValueError, "the label None (NoneType)"),
        ({"b": 3}, False, TypeError, "label_texts['b'] is 3 (int); expected a str"),
        ({"b": ["x", None]}, False, TypeError, "label_texts['b'][1] is None"),
        ({"b": b"x"}, False, TypeError, "label_texts['b'] is b'x' (bytes)"),
        ({"b": "x\ud800"}, False, ValueError, "lone surrogate at character 1"),
        ({"b": ""}, False, ValueError, "gives no label any text"),
    ],
)
def test_what_is_wrong_is_named(
    label_texts: Any, indicator: bool, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        check_label_texts(label_texts, COLUMNS if indicator else CLASSES, indicator=indicator)


def test_nothing_that_a_terminal_obeys_enters_a_message() -> None:
    label = "\x1b[31m" + "x" * 10**6 + "\u202e"
    with pytest.raises(TypeError) as raised:
        check_label_texts({label: {"\x1b]0;": 1}}, CLASSES, indicator=False)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 200


def test_a_numeric_X_takes_a_matrix() -> None:
    rows = check_label_rows(np.array([[0, 2.0, 0], [0, 0, 0]]), 2, 3)
    assert rows.dtype == np.float32
    assert rows.nnz == 1
    with pytest.raises(TypeError, match=r"X is numeric, so expected a matrix of shape \(2, 3\)"):
        check_label_rows({0: "dog"}, 2, 3)
    with pytest.raises(ValueError, match=r"has shape \(2, 2\)"):
        check_label_rows(np.ones((2, 2)), 2, 3)
    with pytest.raises(ValueError, match=r"label_texts\[1, 2\] is nan"):
        check_label_rows(sp.csr_array([[0, 1, 0], [0, 0, np.nan]]), 2, 3)
