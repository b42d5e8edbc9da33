"""What counts as labels: tables of what is taken and what is refused, and the way back."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lightxml.data.labels import Labels, decode, encode, encode_known

FORMATS = ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"]

# Three documents, the last without a label; columns 1 and 3 are never used.
Y = np.array([[1, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]])


def csr_of(data: list[Any], indices: list[int], indptr: list[int], kind: Any = sp.csr_array) -> Any:
    """A compressed matrix of shape (3, 4) with just these entries, in this order."""
    return kind((np.array(data), np.array(indices), np.array(indptr)), shape=(3, 4))


def coo_of(data: list[Any], rows: list[int], columns: list[int]) -> sp.coo_array:
    return sp.coo_array((data, (rows, columns)), shape=(3, 4))


def damaged(kind: Any, **parts: list[int]) -> Any:
    """Y with some of its arrays replaced, past what the constructor checks."""
    y = kind(Y)
    for name, values in parts.items():
        setattr(y, name, np.array(values, dtype=np.int32))
    return y


def damages(n_pointers: int) -> dict[str, dict[str, list[int]]]:
    return {
        "number out of range": {"indices": [0, 2, 4]},
        "negative number": {"indices": [0, -1, 2]},
        "too few numbers": {"indices": [0, 2]},
        "pointer too short": {"indptr": [0, 3]},
        "pointer past the end": {"indptr": [0] * (n_pointers - 1) + [9]},
        "pointer not from 0": {"indptr": [1] * (n_pointers - 1) + [3]},
        "falling pointer": {"indptr": [0, 3, 2, 3, 3][:n_pointers]},
    }


def damaged_coo(rows: list[int], columns: list[int]) -> sp.coo_array:
    y = sp.coo_array(Y)
    y.coords = (np.array(rows), np.array(columns))
    return y


def damaged_lil() -> sp.lil_array:
    y = sp.lil_array(Y)
    y.rows[0] = [0, 9]
    return y


def read_only(y: np.ndarray) -> np.ndarray:
    y = y.copy()
    y.setflags(write=False)
    return y


def read_only_csr() -> sp.csr_array:
    y = csr_of([1, 0, 1, 1], [2, 1, 0, 2], [0, 3, 4, 4])  # unsorted, with an explicit zero
    for part in (y.data, y.indices, y.indptr):
        part.setflags(write=False)
    return y


def objects(*rows: Any) -> np.ndarray:
    """A 1-D object array, whatever the rows are."""
    y = np.empty(len(rows), dtype=object)
    for i, row in enumerate(rows):
        y[i] = row
    return y


def frame(y: Any, **kwargs: Any) -> pd.DataFrame:
    return pd.DataFrame(y, **kwargs)


def unchanged(y: Any) -> bytes:
    """What the caller could see changed: the values, and a sparse matrix's own arrays."""
    if sp.issparse(y):
        return pickle.dumps([(k, v) for k, v in vars(y).items() if isinstance(v, np.ndarray)]) + (
            pickle.dumps([y.shape, y.dtype, type(y), getattr(y, "coords", None)])
            + pickle.dumps(dict(y.items()) if y.format == "dok" else None)
        )
    if isinstance(y, pd.DataFrame):  # a frame of Int64 columns keeps what np.asarray works out
        return pickle.dumps([y.to_dict("split"), [str(dtype) for dtype in y.dtypes]])
    return pickle.dumps(y)


# --- indicator matrices that are taken: id, y, the form that predictions return to ------------

INDICATORS: list[tuple[str, Any, str]] = [
    *(
        (f"{fmt}_{kind} {dtype}", getattr(sp, f"{fmt}_{kind}")(Y.astype(dtype)), f"csr_{kind}")
        for fmt in FORMATS
        for kind in ("matrix", "array")
        for dtype in ("bool", "int8", "int64", "float64")
    ),
    *((f"dense {d}", Y.astype(d), "dense")
      for d in ("bool", "uint8", "int64", "float16", "float64", "longdouble", "object")),
    ("dense object of bools and numbers",
     np.array([[True, 0, 1.0, False], [0, np.int8(0), np.bool_(1), 0.0], [0] * 4], dtype=object),
     "dense"),
    ("dense with negative zeros", np.where(Y == 1, 1.0, -0.0), "dense"),
    ("dense read-only", read_only(Y), "dense"),
    ("np.matrix", Y.view(np.matrix), "dense"),
    ("DataFrame int", frame(Y), "dense"),
    ("DataFrame with an odd index", frame(Y, index=[7, 7, 0]), "dense"),
    ("DataFrame Int64", frame(Y).astype("Int64"), "dense"),
    ("DataFrame of mixed dtypes", frame(Y).astype({0: bool, 1: float}), "dense"),
    ("DataFrame of sparse columns", frame(Y).astype(pd.SparseDtype(int, 0)), "dense"),
    ("coo with an entry 256 times", coo_of([1] * 258, [0] * 257 + [1], [2] * 256 + [0, 2]),
     "csr_array"),
    ("csr with an entry twice", csr_of([1, 1, 1, 1], [2, 0, 2, 2], [0, 3, 4, 4]), "csr_array"),
    ("csr with room to spare", csr_of([1, 1, 1, 9], [0, 2, 2, 9], [0, 2, 3, 3]), "csr_array"),
    ("csr read-only", read_only_csr(), "csr_array"),
    ("csc_matrix with an entry twice",
     csr_of([1, 1, 1, 1], [0, 0, 0, 1], [0, 1, 1, 4, 4], sp.csc_matrix), "csr_matrix"),
]  # fmt: skip


@pytest.mark.parametrize(("y", "form"), [r[1:] for r in INDICATORS], ids=[r[0] for r in INDICATORS])
def test_an_indicator_matrix_becomes_canonical(y: Any, form: str) -> None:
    before = unchanged(y)
    labels = encode(y, 3)
    assert_canonical(labels, Y, [0, 1, 2, 3], form)
    assert unchanged(y) == before


def assert_canonical(labels: Labels, dense: Any, classes: list[Any], form: str) -> None:
    matrix = labels.matrix
    assert type(matrix) is sp.csr_array
    assert matrix.dtype == np.int8
    assert matrix.has_canonical_format
    assert (matrix.data == 1).all()
    assert np.array_equal(matrix.toarray(), dense)
    assert labels.classes.tolist() == classes
    assert [type(label) for label in labels.classes.tolist()] == [type(c) for c in classes]
    assert labels.form == form


# --- collections of labels that are taken: id, y, classes, columns of each document -----------

AB_B_NONE = [[0, 1], [1], []]
INF = float("inf")

COLLECTIONS: list[tuple[str, Any, list[Any], list[list[int]]]] = [
    ("lists", [["b", "a"], ["b"], []], ["a", "b"], AB_B_NONE),
    ("str arrays", [np.array(["b", "a"]), np.array(["b"]), np.array([], dtype=str)], ["a", "b"],
     AB_B_NONE),
    ("mixed containers", [("a", "b"), {"b"}, []], ["a", "b"], AB_B_NONE),
    ("object array of arrays", objects(np.array(["a", "b"]), np.array(["b"]), np.array([])),
     ["a", "b"], AB_B_NONE),
    ("Series of lists", pd.Series([["a", "b"], ["b"], []]), ["a", "b"], AB_B_NONE),
    ("np.str_ labels", [[np.str_("a"), "b"], [np.str_("b")], []], ["a", "b"], AB_B_NONE),
    ("ints", [[10, 7], [10], []], [7, 10], AB_B_NONE),
    ("numpy ints", [[np.int64(10), np.int8(7)], [np.uint16(10)], []], [7, 10], AB_B_NONE),
    ("the ends of 64 bits", [[2**63 - 1, -(2**63)], [2**63 - 1], []], [-(2**63), 2**63 - 1],
     AB_B_NONE),
    ("0 and 1 in sets", [{0, 1}, {1}, set()], [0, 1], AB_B_NONE),
    ("0 and 1, ragged", [[0, 1], [1], []], [0, 1], AB_B_NONE),
    ("0 and 1, one a row", [[0], [1], [1]], [0, 1], [[0], [1], [1]]),
    ("0 and 1 in every row", [[0, 1], [0, 1], [0, 1]], [0, 1], [[0, 1]] * 3),
    ("ints above 1, a full table", [[0, 2], [1, 2], [0, 1]], [0, 1, 2], [[0, 2], [1, 2], [0, 1]]),
    ("floats", [[1.5, 0.5], [1.5], []], [0.5, 1.5], AB_B_NONE),
    ("infinities", [[INF, -INF], [INF], []], [-INF, INF], AB_B_NONE),
    ("tuples as labels", [[("x", 2), ("x", 1)], [("x", 2)], []], [("x", 1), ("x", 2)], AB_B_NONE),
    ("the words for missing", [["nan", "None"], ["nan"], []], ["None", "nan"], AB_B_NONE),
    ("order of code points", [["é", "Z"], ["é", "a"], []], ["Z", "a", "é"], [[0, 2], [1, 2], []]),
    ("one positive", [[], ["a"], []], ["a"], [[], [0], []]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("y", "classes", "columns"), [r[1:] for r in COLLECTIONS], ids=[r[0] for r in COLLECTIONS]
)
def test_collections_become_canonical(y: Any, classes: list[Any], columns: list[list[int]]) -> None:
    before = pickle.dumps(y)
    dense = np.zeros((3, len(classes)), dtype=int)
    for i, row in enumerate(columns):
        dense[i, row] = 1
    assert_canonical(encode(y, 3), dense, classes, "collections")
    assert pickle.dumps(y) == before


def test_labels_of_several_types_that_compare_are_one_label() -> None:
    labels = encode([[1, 2], [True, np.int64(2)], []], 3)
    assert labels.classes.tolist() == [1, 2]
    assert labels.matrix.toarray().tolist() == [[1, 1], [1, 1], [0, 0]]


# --- what is refused: id, y, error, message; three documents each -----------------------------

ACCEPTED = (
    "; expected an indicator matrix of shape (n_documents, n_labels), dense or sparse, "
    "or a list with a collection of labels for each document."
)
LENGTH = ", but there are 3 documents; expected one row for each."
INDICATOR = "; expected 0 or 1."
NOTHING = "y gives no document any label; nothing can be learnt from it."
NO_COLUMNS = "y has no columns; expected at least one label."
NESTED = (
    " zeros and ones, which reads as the labels 0 and 1. "
    "Pass np.asarray(y) for an indicator matrix."
)
NONE_ROW = "; expected a collection of labels. Pass [] for a document without labels."
KINDS = "; expected a list, tuple, set or 1-D array of labels."
REMOVE = " Remove missing labels first."
TOO_LARGE = ", beyond 64 bits. Use str labels."
COLUMNS = " columns, but LightXMLClassifier was fitted with 4 labels; expected one column for each."
REQUIRED = f"LightXMLClassifier requires y to be passed, but the target y is None{ACCEPTED}"
UNHASHABLE = ", which cannot be hashed. Use str or int labels."
MIXED = "y mixes labels that cannot be sorted (...). Use labels of one type, such as str."
DAMAGED = "y is a damaged sparse matrix (...). Build it again from its source."


def single(i: int, shown: str) -> str:
    return (
        f"y[{i}] is the single label {shown}; expected a collection of labels. "
        f"Pass [{shown}] for one label, or an indicator matrix for all documents."
    )


def with_entry(value: Any, dtype: Any = float) -> np.ndarray:
    """Y with one entry, at [1, 3], replaced."""
    y = Y.astype(dtype)
    y[1, 3] = value
    return y


NAN = float("nan")

# "..." stands for another library's words.
REFUSED: list[tuple[str, Any, type[Exception], str]] = [
    # y itself
    ("None", None, ValueError, REQUIRED),
    ("str", "abc", TypeError, f"y is of type str{ACCEPTED}"),
    # shape
    ("too few rows", Y[:2], ValueError, f"y has 2 rows{LENGTH}"),
    ("too few rows, sparse", sp.csr_array(Y[:2]), ValueError, f"y has 2 rows{LENGTH}"),
    ("transposed", sp.csc_matrix(Y.T), ValueError, f"y has 4 rows{LENGTH}"),
    ("too few collections", [["a"], ["b"]], ValueError, f"y has 2 rows{LENGTH}"),
    ("empty list", [], ValueError, f"y has 0 rows{LENGTH}"),
    ("1-D array", np.array([1, 0, 1]), ValueError, f"y is 1-D with shape (3,){ACCEPTED}"),
    ("1-D sparse array", sp.coo_array([1, 0, 1]), ValueError,
     f"y is 1-D with shape (3,){ACCEPTED}"),
    ("3-D array", np.ones((3, 2, 2)), ValueError, f"y is 3-D with shape (3, 2, 2){ACCEPTED}"),
    ("no columns", np.zeros((3, 0)), ValueError, NO_COLUMNS),
    ("no columns, sparse", sp.csr_array((3, 0)), ValueError, NO_COLUMNS),
    # values of an indicator matrix
    ("2", with_entry(2, int), ValueError, f"y[1, 3] is 2{INDICATOR}"),
    ("0.5", with_entry(0.5), ValueError, f"y[1, 3] is 0.5{INDICATOR}"),
    ("NaN", with_entry(NAN), ValueError, f"y[1, 3] is nan{INDICATOR}"),
    ("None in an object array", with_entry(None, object), ValueError,
     f"y[1, 3] is None{INDICATOR}"),
    ("NA in an object array", with_entry(pd.NA, object), ValueError, f"y[1, 3] is <NA>{INDICATOR}"),
    ("Decimal in an object array", with_entry(Decimal("0.5"), object), ValueError,
     f"y[1, 3] is Decimal('0.5'){INDICATOR}"),
    ("str 1 in an object array", with_entry("1", object), ValueError, f"y[1, 3] is '1'{INDICATOR}"),
    ("NA in a DataFrame", frame(with_entry(pd.NA, object)).astype("Int64"), ValueError,
     f"y[1, 3] is <NA>{INDICATOR}"),
    ("str DataFrame", frame(Y).astype(str).astype(object), ValueError,
     f"y[0, 0] is '1'{INDICATOR}"),
    ("str array", Y.astype("U1"), ValueError, f"y has dtype <U1{ACCEPTED}"),
    ("complex array", Y.astype(complex), ValueError, f"y has dtype complex128{ACCEPTED}"),
    ("complex sparse", sp.csr_matrix(Y.astype(complex)), ValueError,
     f"y has dtype complex128{ACCEPTED}"),
    ("halves that add up to 1", coo_of([1, 0.5, 0.5], [0, 1, 1], [0, 2, 2]), ValueError,
     f"y[1, 2] is 0.5{INDICATOR}"),
    # no positive at all
    ("all 0", np.zeros((3, 4)), ValueError, NOTHING),
    ("nothing stored", sp.csr_array((3, 4)), ValueError, NOTHING),
    ("explicit zeros only", coo_of([0, 0], [0, 1], [0, 1]), ValueError, NOTHING),
    ("all collections empty", [[], (), set()], ValueError, NOTHING),
    # damaged sparse matrices
    *((f"{what} in {kind.__name__}", damaged(kind, **parts), ValueError, DAMAGED)
      for kind in (sp.csr_matrix, sp.csr_array, sp.csc_matrix, sp.csc_array)
      for what, parts in damages(n_pointers=len(kind(Y).indptr)).items()),
    ("number out of range in bsr_array", damaged(sp.bsr_array, indices=[0, 2, 4]), ValueError,
     DAMAGED),
    ("column out of range in coo", damaged_coo([0, 0, 1], [0, 2, 4]), ValueError, DAMAGED),
    ("row out of range in coo", damaged_coo([0, 0, 3], [0, 2, 2]), ValueError, DAMAGED),
    ("column out of range in lil", damaged_lil(), ValueError, DAMAGED),
    # nested lists of 0 and 1
    ("nested lists", Y.tolist(), ValueError, f"y is a list of 3 rows of 4{NESTED}"),
    ("nested bools", (Y == 1).tolist(), ValueError, f"y is a list of 3 rows of 4{NESTED}"),
    ("nested floats", Y.astype(float).tolist(), ValueError, f"y is a list of 3 rows of 4{NESTED}"),
    ("list of arrays", list(Y), ValueError, f"y is a list of 3 rows of 4{NESTED}"),
    ("nested lists of two columns, all ones", [[1, 1], [1, 1], [1, 1]], ValueError,
     f"y is a list of 3 rows of 2{NESTED}"),
    # labels instead of collections
    ("list of str", ["a", "b", "c"], ValueError, single(0, "'a'")),
    ("a str among lists", [["a"], "b", []], ValueError, single(1, "'b'")),
    ("list of bytes", [b"a", b"b", b"c"], ValueError, single(0, "b'a'")),
    ("list of ints", [1, 0, 1], ValueError, single(0, "1")),
    ("list of np.bool_", [np.True_, np.False_, np.True_], ValueError, single(0, "np.True_")),
    ("Series of str", pd.Series(["a", "b", "c"], index=[5, 6, 7]), ValueError, single(0, "'a'")),
    # rows of another kind
    ("None row", [["a"], None, ["b"]], ValueError, f"y[1] is None{NONE_ROW}"),
    ("NaN row", pd.Series([["a"], NAN, ["b"]], index=[3, 4, 5]), ValueError,
     f"y[1] is nan{NONE_ROW}"),
    ("dict row", [["a"], {"b": 1}, []], TypeError, f"y[1] is of type dict{KINDS}"),
    ("2-D array row", [["a"], np.array([["b"]]), []], TypeError, f"y[1] is of type ndarray{KINDS}"),
    # labels that cannot be
    ("None label", [["a"], ["b", None], []], ValueError,
     f"y[1] holds the missing label None.{REMOVE}"),
    ("NaN label", [["a"], ["b", NAN], []], ValueError,
     f"y[1] holds the missing label nan.{REMOVE}"),
    ("np NaT label", [["a"], [np.datetime64("NaT")], []], ValueError,
     f"y[1] holds the missing label None.{REMOVE}"),
    ("tuple label with a list", [["a"], [("b", [])], []], TypeError,
     f"y[1] holds the label ('b', []) of type tuple{UNHASHABLE}"),
    ("int beyond 64 bits", [[1], [2**63], []], ValueError,
     f"y[1] holds the label 9223372036854775808{TOO_LARGE}"),
    ("str and int labels", [["a"], [1], []], TypeError, MIXED),
    ("labels without an order", [[1j], [2j], []], TypeError, MIXED),
]  # fmt: skip


@pytest.mark.parametrize(
    ("y", "error", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_is_no_labels_is_refused_by_name(y: Any, error: type[Exception], message: str) -> None:
    before = unchanged(y)
    with pytest.raises(error) as caught:
        encode(y, 3)
    assert type(caught.value) is error
    assert re.fullmatch(re.escape(message).replace(re.escape("..."), ".+"), str(caught.value))
    assert unchanged(y) == before


def test_a_generator_is_refused_unread() -> None:
    y = (row for row in [["a"], ["b"], []])
    with pytest.raises(TypeError, match=r"^y is of type generator; expected an indicator matrix"):
        encode(y, 3)
    assert list(y) == [["a"], ["b"], []]


def test_messages_use_the_name_of_the_argument() -> None:
    with pytest.raises(ValueError, match=r"^y_val\[0\] is None; expected a collection"):
        encode([None], 1, name="y_val")
    with pytest.raises(ValueError, match=r"^y_val\[0, 0\] is 2; expected 0 or 1\.$"):
        encode(np.array([[2]]), 1, name="y_val")


def test_a_label_used_a_million_times_and_many_columns_stay_sparse() -> None:
    n = 1_000_000
    y = sp.csr_array((np.ones(n, dtype=bool), np.full(n, n - 1), np.arange(n + 1)), shape=(n, n))
    labels = encode(y, n)
    assert labels.matrix.shape == (n, n)
    assert labels.matrix.nnz == n


# --- the labels of other documents ------------------------------------------------------------

NAMES = np.array(["a", "b"], dtype=object)
COUNTS = np.array([3, 7])


@pytest.mark.parametrize(
    ("y", "classes", "expected"),
    [
        ([["b"], ["a", "b"], []], NAMES, [[0, 1], [1, 1], [0, 0]]),
        ([["b", "b"], {"a", "zebra"}, ("zebra",)], NAMES, [[0, 1], [1, 0], [0, 0]]),
        ([[], [], []], NAMES, [[0, 0], [0, 0], [0, 0]]),
        ([["zebra"], ["zebra"], ["yak"]], NAMES, [[0, 0], [0, 0], [0, 0]]),
        ([[1], ["a"], [("a",)]], NAMES, [[0, 0], [1, 0], [0, 0]]),
        ([[3, 4], [np.int64(7)], [7.0]], COUNTS, [[1, 0], [0, 1], [0, 1]]),
        ([[2**70 % 7], [0, 1], [1, 0, 3]], COUNTS, [[0, 0], [0, 0], [1, 0]]),
        (pd.Series([["b"], [], ["a"]], index=[1, 1, 1]), NAMES, [[0, 1], [0, 0], [1, 0]]),
    ],
    ids=["known", "unseen and repeated", "none", "all unseen", "unseen of other types", "numbers",
         "0 and 1 unseen", "Series"],
)  # fmt: skip
def test_known_labels_find_their_columns_and_unseen_ones_are_left_out(
    y: Any, classes: np.ndarray, expected: list[list[int]]
) -> None:
    before = pickle.dumps(y)
    matrix = encode_known(y, classes, "collections", 3)
    assert type(matrix) is sp.csr_array
    assert matrix.dtype == np.int8
    assert matrix.has_canonical_format
    assert matrix.toarray().tolist() == expected
    assert pickle.dumps(y) == before


@pytest.mark.parametrize("form", ["dense", "csr_matrix", "csr_array"])
@pytest.mark.parametrize("y", [Y, sp.coo_matrix(Y), sp.lil_array(Y), frame(Y), Y * 0])
def test_an_indicator_may_come_in_any_other_format_than_at_fit(y: Any, form: Any) -> None:
    before = unchanged(y)
    matrix = encode_known(y, np.arange(4), form, 3)
    assert np.array_equal(matrix.toarray(), y.toarray() if sp.issparse(y) else y)
    assert unchanged(y) == before


FITTED_ON = "y is {}, but the model was fitted on {}. Give it as that."
A_MATRIX, A_LIST = "an indicator matrix", "a list of collections of labels"

KNOWN_REFUSED: list[tuple[str, Any, str, type[Exception], str]] = [
    ("matrix for lists", Y, "collections", ValueError, FITTED_ON.format(A_MATRIX, A_LIST)),
    ("lists for a matrix", [["a"], ["b"], []], "dense", ValueError,
     FITTED_ON.format(A_LIST, A_MATRIX)),
    ("nested 0 and 1 for lists", Y.tolist(), "collections", ValueError,
     f"y is a list of 3 rows of 4{NESTED}"),
    ("too few columns", Y[:, :3], "dense", ValueError, f"y has 3{COLUMNS}"),
    ("too many columns", sp.csr_array((3, 5)), "csr_array", ValueError, f"y has 5{COLUMNS}"),
    ("too few lists", [["a"]], "collections", ValueError, f"y has 1 rows{LENGTH}"),
    ("missing label", [["a"], [NAN], []], "collections", ValueError,
     f"y[1] holds the missing label nan.{REMOVE}"),
    ("None", None, "collections", ValueError, REQUIRED),
]  # fmt: skip


@pytest.mark.parametrize(
    ("y", "form", "error", "message"),
    [r[1:] for r in KNOWN_REFUSED],
    ids=[r[0] for r in KNOWN_REFUSED],
)
def test_labels_that_do_not_fit_the_model_are_refused(
    y: Any, form: Any, error: type[Exception], message: str
) -> None:
    before = unchanged(y)
    with pytest.raises(error) as caught:
        encode_known(y, np.arange(4), form, 3)
    assert type(caught.value) is error
    assert re.fullmatch(re.escape(message).replace(re.escape("..."), ".+"), str(caught.value))
    assert unchanged(y) == before


# --- the way back -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "kind"),
    [(Y, np.ndarray), (frame(Y), np.ndarray), (Y == 1, np.ndarray),
     *((getattr(sp, f"{fmt}_matrix")(Y), sp.csr_matrix) for fmt in FORMATS),
     *((getattr(sp, f"{fmt}_array")(Y), sp.csr_array) for fmt in FORMATS)],
)  # fmt: skip
def test_predictions_return_as_an_array_or_csr_as_y_came(y: Any, kind: type) -> None:
    labels = encode(y, 3)
    result = decode(labels.matrix, labels.classes, labels.form)
    assert type(result) is kind
    assert result.dtype == np.int64
    assert np.array_equal(result.toarray() if sp.issparse(result) else result, Y)


def test_predictions_return_as_tuples_of_pythons_own_labels() -> None:
    labels = encode([{10, 7}, np.array([10]), []], 3)
    assert decode(labels.matrix, labels.classes, labels.form) == [(7, 10), (10,), ()]
    assert {
        type(x) for row in decode(labels.matrix, labels.classes, "collections") for x in row
    } == {int}


# --- properties -------------------------------------------------------------------------------

indicators = hnp.arrays(
    np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.integers(0, 1)
).filter(np.any)
names = st.text(st.characters(), max_size=4)
label_rows = (
    st.sampled_from([names, st.integers(-(2**63), 2**63 - 1), st.tuples(names, st.integers(0, 3))])
    .flatmap(lambda kind: st.lists(st.lists(kind, max_size=4), min_size=1, max_size=6))
    .filter(any)
)


def same(a: Labels, b: Labels) -> bool:
    return (
        a.matrix.shape == b.matrix.shape
        and np.array_equal(a.matrix.indices, b.matrix.indices)
        and np.array_equal(a.matrix.indptr, b.matrix.indptr)
        and np.array_equal(a.matrix.data, b.matrix.data)
        and a.classes.tolist() == b.classes.tolist()
    )


def nested_zeros_and_ones(y: list[list[Any]]) -> bool:
    return len({len(row) for row in y}) == 1 and {x for row in y for x in row} <= {0, 1}


@settings(max_examples=30, deadline=None)
@given(indicators, st.data())
def test_order_repetition_and_zeros_of_the_entries_change_nothing(
    y: np.ndarray, data: st.DataObject
) -> None:
    ones, zeros = list(zip(*np.nonzero(y), strict=True)), st.integers(0, 10**6)
    again = data.draw(st.lists(st.sampled_from(ones), max_size=5))
    empty = [(z // y.shape[1] % y.shape[0], z % y.shape[1]) for z in data.draw(st.lists(zeros))]
    entries = [(i, j, 1) for i, j in ones + again] + [(i, j, 0) for i, j in empty]
    rows, columns, values = zip(*data.draw(st.permutations(entries)), strict=True)
    sparse = sp.coo_array((values, (rows, columns)), shape=y.shape)
    before = unchanged(sparse)
    assert same(encode(sparse, len(y)), encode(y, len(y)))
    assert unchanged(sparse) == before


def shuffled(rows: list[list[Any]]) -> list[list[Any]]:
    return [[*row[::-1], *row] for row in rows]


ROWS: dict[str, Callable[[list[list[Any]]], Any]] = {
    "lists backwards, with repeats": shuffled,
    "tuples": lambda rows: tuple(tuple(row) for row in rows),
    "sets": lambda rows: [set(row) for row in rows],
    "frozensets": lambda rows: [frozenset(row) for row in rows],
    "object arrays": lambda rows: [objects(*row) for row in rows],
    "object array": lambda rows: objects(*rows),
    "Series": lambda rows: pd.Series(objects(*rows), index=[0] * len(rows)),
}


@settings(max_examples=50, deadline=None)
@given(label_rows, st.sampled_from(sorted(ROWS)))
def test_any_container_gives_the_same_classes_and_labels(y: list[list[Any]], kind: str) -> None:
    contained = ROWS[kind](y)
    assume(not nested_zeros_and_ones(y) or kind in ("sets", "frozensets"))
    before = pickle.dumps(contained)
    labels = encode(contained, len(y))
    assert labels.classes.tolist() == sorted({label for row in y for label in row})
    assert same(labels, encode([set(row) for row in y], len(y)))
    back = decode(labels.matrix, labels.classes, labels.form)
    assert back == [tuple(sorted(set(row))) for row in y]
    assert pickle.dumps(contained) == before


@settings(max_examples=30, deadline=None)
@given(indicators, st.data())
def test_a_wrong_value_is_named_by_its_place_in_any_format(
    y: np.ndarray, data: st.DataObject
) -> None:
    value = data.draw(st.floats(width=32).filter(lambda x: x not in (0, 1)))
    i, j = (data.draw(st.integers(0, side - 1)) for side in y.shape)
    wrong = y.astype(float)
    wrong[i, j] = value
    make = data.draw(
        st.sampled_from([np.asarray, frame, sp.csr_array, sp.dok_array, sp.dia_matrix])
    )
    with pytest.raises(ValueError, match=re.escape(f"y[{i}, {j}] is {value}; expected 0 or 1.")):
        encode(make(wrong), len(y))
