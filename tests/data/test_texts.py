"""What counts as documents: one table of inputs that are taken, one of those that are refused."""

from __future__ import annotations

import pickle
from array import array
from collections import UserList
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from lightxml.data.texts import check_texts, is_missing


class Text(str):
    """A str that prints as something else."""

    def __str__(self) -> str:
        return "printed"


class Colour(str, Enum):  # noqa: UP042 - its own __str__ gives the member's name, not its value
    RED = "red"


class Shade(StrEnum):
    DARK = "dark"


AB = ["a", "b"]

# id, X, the documents that it is read as
TAKEN: list[tuple[str, Any, list[str]]] = [
    ("list", ["a", "b"], AB),
    ("UserList", UserList(AB), AB),
    ("str array", np.array(AB), AB),
    ("Series of dtype category", pd.Series(AB, dtype="category"), AB),
    ("Series with a repeated index", pd.Series(AB, index=["x", "x"]), AB),
    ("Index", pd.Index(AB), AB),
    ("pandas array", pd.array(AB, dtype="string"), AB),
    ("str subclass", [Text("a")], ["a"]),
    ("str enum", [Colour.RED], ["red"]),
    ("StrEnum", [Shade.DARK], ["dark"]),
    ("empty document", ["", "a"], ["", "a"]),
    ("blanks", [" \t\r\n "], [" \t\r\n "]),
    ("control characters", ["\x01\x07\x1b\x7f\x85"], ["\x01\x07\x1b\x7f\x85"]),
    ("emoji with modifiers", ["👩🏽‍🚀👍🏿"], ["👩🏽‍🚀👍🏿"]),
    ("accents left as they are", ["é", "e\u0301"], ["é", "e\u0301"]),
    ("the words for missing", ["nan", "None", "<NA>"], ["nan", "None", "<NA>"]),
]

KINDS = "a list, tuple, 1-D array or Series of str"
DROP = "; expected str. Drop or fill missing documents first."
CONVERT = "; expected str. Convert it to a string first."
DECODE = "; expected str. Decode it first."
JOIN = "; expected str. Join its parts into one string first."
SINGLE = f"; expected {KINDS}. Pass [X] to give one document."
OTHER = f"; expected {KINDS}."
COLUMN = f"; expected {KINDS}. Select the one column that holds the documents."
EMPTY = "X is empty; expected at least one document."
LONE = "has a lone surrogate"
UNICODE = (
    "; it is not valid Unicode. Decode the source with errors='replace', or remove the character."
)

# id, X, error, message
REFUSED: list[tuple[str, Any, type[Exception], str]] = [
    # X itself
    ("str", "a b", TypeError, f"X is a single str{SINGLE}"),
    ("np.str_", np.str_("a"), TypeError, f"X is a single str_{SINGLE}"),
    ("bytes", b"a", TypeError, f"X is a single bytes{SINGLE}"),
    ("bytearray", bytearray(b"a"), TypeError, f"X is a single bytearray{SINGLE}"),
    ("None", None, TypeError, f"X is of type NoneType{OTHER}"),
    ("NaN", float("nan"), TypeError, f"X is of type float{OTHER}"),
    ("dict", {"a": 1}, TypeError, f"X is of type dict{OTHER}"),
    ("set", {"a"}, TypeError, f"X is of type set{OTHER}"),
    ("csr_matrix", sp.csr_matrix([[1, 0]]), TypeError,
     f"X is a sparse matrix of shape (1, 2){OTHER}"),
    ("0-D array", np.array("a"), ValueError, f"X has 0 dimensions{OTHER}"),
    ("2-D array of str", np.array([["a"], ["b"]]), ValueError, f"X has 2 dimensions{COLUMN}"),
    ("DataFrame", pd.DataFrame({"t": ["a"], "u": ["b"]}), ValueError,
     f"X has 2 dimensions{COLUMN}"),
    ("empty list", [], ValueError, EMPTY),
    ("empty array", np.array([]), ValueError, EMPTY),
    # a missing document
    ("None entry", ["a", None], TypeError, f"X[1] is None{DROP}"),
    ("NaN entry", [float("nan"), "a"], TypeError, f"X[0] is nan{DROP}"),
    ("Decimal NaN entry", ["a", Decimal("NaN")], TypeError, f"X[1] is NaN{DROP}"),
    ("pd.NA entry", ["a", pd.NA], TypeError, f"X[1] is <NA>{DROP}"),
    ("np NaT entry", ["a", np.datetime64("NaT")], TypeError, f"X[1] is NaT{DROP}"),
    ("masked entry", np.ma.array(["a", "b"], mask=[0, 1]), TypeError, f"X[1] is --{DROP}"),
    ("place, not index, is named", pd.Series(["a", None], index=[9, 0], dtype=object), TypeError,
     f"X[1] is None{DROP}"),
    # a document of another type
    ("int entry", ["a", 3], TypeError, f"X[1] is 3 (int){CONVERT}"),
    ("int array", np.array([3, 4]), TypeError, f"X[0] is np.int64(3) (int64){CONVERT}"),
    ("array.array", array("i", [3]), TypeError, f"X[0] is 3 (int){CONVERT}"),
    ("number of many digits", [10**100], TypeError,
     f"X[0] is 100000000000000000...0000000000000000000 (int){CONVERT}"),
    ("bytes entry", ["a", b"b"], TypeError, f"X[1] is of type bytes{DECODE}"),
    ("bytearray entry", [bytearray(b"b")], TypeError, f"X[0] is of type bytearray{DECODE}"),
    ("bytes array", np.array([b"a"]), TypeError, f"X[0] is of type bytes_{DECODE}"),
    ("nested list", [["a", "b"], ["c"]], TypeError, f"X[0] is of type list{JOIN}"),
    ("text pair", ["a", ("b", "c")], TypeError, f"X[1] is of type tuple{JOIN}"),
    ("0-D array entry", [np.array("b")], TypeError, f"X[0] is of type ndarray{JOIN}"),
    ("sparse entry", [sp.csr_array([[1]])], TypeError, f"X[0] is of type csr_array{JOIN}"),
    # a document that is not valid Unicode
    ("surrogate in a str subclass", [Text("\ud800")], ValueError,
     f"X[0] {LONE} ('\\ud800') at character 0{UNICODE}"),
]  # fmt: skip


@pytest.mark.parametrize(("X", "documents"), [row[1:] for row in TAKEN], ids=[r[0] for r in TAKEN])
def test_documents_become_a_list_of_plain_str(X: Any, documents: list[str]) -> None:
    before = pickle.dumps(X)
    result = check_texts(X)
    assert result == documents
    assert {type(document) for document in result} == {str}
    assert pickle.dumps(X) == before


@pytest.mark.parametrize(
    ("X", "error", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_is_no_documents_is_refused_by_name(
    X: Any, error: type[Exception], message: str
) -> None:
    before = pickle.dumps(X)
    with pytest.raises(error) as caught:
        check_texts(X)
    assert type(caught.value) is error
    assert str(caught.value) == message
    assert pickle.dumps(X) == before


@pytest.mark.parametrize("make", [lambda: (t for t in AB), lambda: iter(AB), lambda: map(str, AB)])
def test_what_can_be_read_only_once_is_refused_unread(make: Any) -> None:
    X = make()
    with pytest.raises(TypeError) as caught:
        check_texts(X)
    kind = type(X).__name__
    assert str(caught.value) == f"X is of type {kind}; expected {KINDS}. Pass list(X)."
    assert list(X) == AB


def test_messages_use_the_name_of_the_argument() -> None:
    with pytest.raises(TypeError, match=r"^X_val\[0\] is None; expected str"):
        check_texts([None], name="X_val")
    with pytest.raises(TypeError, match=r"Pass \[X_val\] to give one document\.$"):
        check_texts("a", name="X_val")


def test_the_result_is_not_the_callers_list() -> None:
    X = ["a", "b"]
    check_texts(X).append("c")
    assert X == ["a", "b"]


@pytest.mark.parametrize("value", [None, float("nan"), np.float64("nan"), pd.NA, pd.NaT])
def test_missing_values_are_known(value: Any) -> None:
    assert is_missing(value)


@pytest.mark.parametrize("value", ["None", "nan", np.str_("nan"), "", 0, False, 0.0, (), [None]])
def test_other_values_are_not_missing(value: Any) -> None:
    assert not is_missing(value)


# --- properties ------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
# numpy's fixed-width strings end at the last character that is no NUL.
CONTAINERS = {
    "StringDType array": lambda X: np.array(X, dtype=np.dtypes.StringDType()),
    "Series of dtype string": lambda X: pd.Series(X, dtype="string"),
    "list of a subclass": lambda X: [Text(text) for text in X],
}


@settings(max_examples=60, deadline=None)
@given(st.lists(texts, min_size=1, max_size=6), st.sampled_from(sorted(CONTAINERS)))
def test_any_container_of_any_strings_gives_the_same_documents(X: list[str], kind: str) -> None:
    contained = CONTAINERS[kind](X)
    before = pickle.dumps(contained)
    assert check_texts(contained) == X == check_texts(X)
    assert pickle.dumps(contained) == before


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_first_entry_that_is_no_string_is_named(data: st.DataObject) -> None:
    X: list[Any] = data.draw(st.lists(texts, max_size=6))
    i = data.draw(st.integers(0, len(X)))
    other = st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.just(pd.NA)
    X.insert(i, data.draw(other | st.lists(texts) | st.tuples(texts, texts) | st.decimals()))
    with pytest.raises(TypeError) as caught:
        check_texts(X)
    assert str(caught.value).startswith(f"X[{i}] is ")
    assert "expected str" in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(), max_size=12), min_size=1, max_size=4))
def test_documents_are_taken_if_and_only_if_they_have_no_surrogate(X: list[str]) -> None:
    lone = [(i, j) for i, t in enumerate(X) for j, c in enumerate(t) if 0xD800 <= ord(c) < 0xE000]
    if not lone:
        assert check_texts(X) == X
        return
    i, j = lone[0]
    with pytest.raises(ValueError, match=rf"^X\[{i}\] has a lone surrogate .* at character {j};"):
        check_texts(X)
