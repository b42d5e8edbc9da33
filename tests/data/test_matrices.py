"""Numeric X: one canonical form from every container, and what is refused."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from lightxml.data.matrices import check_matrix, is_numeric

DENSE = np.array([[0.0, 1.5, 0.0], [2.0, 0.0, -1.0], [0.0, 0.0, 0.0]])
FORMATS = ["csr", "csc", "coo", "bsr", "lil", "dok", "dia"]


def with_column(number: int) -> sp.csr_array:
    """A matrix of two rows and three columns with an entry in a column of this number."""
    matrix = sp.csr_array(np.eye(2, 3))
    matrix.indices = np.array([0, number], dtype=np.int32)
    return matrix


def with_value(value: float) -> sp.csr_array:
    return sp.csr_array(np.array([[1.0, 0.0], [0.0, value]]))


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csr_matrix], ids=["array", "matrix"])
@pytest.mark.parametrize("form", FORMATS)
def test_every_sparse_format_gives_the_same_rows(kind: Any, form: str) -> None:
    given = kind(DENSE).asformat(form)
    found = check_matrix(given)
    assert isinstance(found, sp.csr_array)
    assert found.dtype == np.float32
    assert found.has_canonical_format
    assert np.array_equal(found.toarray(), DENSE)


@pytest.mark.parametrize(
    "X",
    [DENSE, DENSE.astype(np.float16), DENSE.tolist(), pd.DataFrame(DENSE), np.asfortranarray(DENSE),
     DENSE.astype(object)],
    ids=["array", "half", "lists", "DataFrame", "Fortran", "object"],
)  # fmt: skip
def test_every_dense_container_gives_the_same_array(X: Any) -> None:
    found = check_matrix(X)
    assert type(found) is np.ndarray
    assert found.dtype == np.float32
    assert np.array_equal(found, DENSE)


def test_repeated_entries_add_up_and_stored_zeros_go_on_a_copy() -> None:
    given = sp.csr_array(([1.0, 2.0, 0.0], [1, 1, 0], [0, 3]), shape=(1, 2))
    before = pickle.dumps((given.data, given.indices, given.indptr))
    found = check_matrix(given)
    assert found.indices.tolist() == [1]
    assert found.data.tolist() == [3.0]
    assert pickle.dumps((given.data, given.indices, given.indptr)) == before


def test_a_read_only_matrix_is_read() -> None:
    given = sp.csr_array(DENSE)
    for part in (given.data, given.indices, given.indptr):
        part.setflags(write=False)
    assert np.array_equal(check_matrix(given).toarray(), DENSE)


@given(st.data())
def test_what_is_given_is_never_changed(data: st.DataObject) -> None:
    values = data.draw(
        st.lists(st.lists(st.sampled_from([0.0, 1.0, -2.5]), min_size=2, max_size=2), min_size=1)
    )
    given = sp.csr_array(np.array(values)).asformat(data.draw(st.sampled_from(FORMATS)))
    before = pickle.dumps(given)
    found = check_matrix(given)
    assert np.array_equal(found.toarray(), np.array(values))
    found.data[:] = 7
    assert pickle.dumps(given) == before


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (with_column(-1), "X is a damaged sparse matrix ("),
        (with_column(3), "X is a damaged sparse matrix ("),
        (with_value(np.nan), "Input X contains NaN"),
        (with_value(np.inf), "Input X contains infinity"),
        (with_value(1e39), "Input X contains infinity"),
        (np.array([[1.0, np.nan]]), "Input X contains NaN"),
        (np.array([1.0, 2.0]), "Expected 2D array, got 1D array instead"),
        (np.zeros((0, 3)), "Found array with 0 sample(s)"),
        (np.zeros((3, 0)), "Found array with 0 feature(s)"),
        (np.array([["a", "b"]]), "could not convert string to float"),
        (np.array([[1j, 2]]), "Complex data not supported"),
    ],
    ids=["negative column", "column too large", "NaN", "infinite", "infinite as float32",
         "dense NaN", "1-D", "no rows", "no columns", "texts", "complex"],
)  # fmt: skip
def test_what_is_no_matrix_of_real_numbers_is_refused(X: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r".*") as caught:
        check_matrix(X)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("X", "numeric"),
    [
        (sp.eye_array(2), True),
        (DENSE, True),
        (np.eye(2, dtype=bool), True),
        (pd.DataFrame(DENSE), True),
        ([[1, 2], [3, 4]], True),
        ([np.zeros(3)], True),
        (["a", "b"], False),
        (np.array(["a", "b"]), False),
        (pd.Series(["a"]), False),
        (pd.DataFrame({"t": ["a"]}), False),
        ([("a", "b")], False),
        ([], False),
        ("a", False),
        (None, False),
    ],
)
def test_documents_are_told_from_numbers(X: Any, numeric: bool) -> None:
    assert is_numeric(X) is numeric
