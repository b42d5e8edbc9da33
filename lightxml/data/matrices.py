"""Numeric X, checked and put into one canonical form: float32, sparse by rows or dense."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array

from lightxml.data.frames import array_of, is_frame, is_number, is_of_numbers

FeatureMatrix: TypeAlias = sp.csr_array | np.ndarray


def is_numeric(X: Any) -> bool:
    """Tell a numeric matrix from documents: sparse, or of two dimensions and made of numbers."""
    if sp.issparse(X):
        return True
    if is_frame(X):
        return is_of_numbers(X)
    if getattr(X, "ndim", None) == 2:
        array = np.asarray(X)
        of_objects = array.dtype == object and len(array) > 0 and all(map(is_number, array[0]))
        return array.dtype.kind in "biuf" or of_objects
    if isinstance(X, (list, tuple)) and len(X) and isinstance(X[0], (list, tuple, np.ndarray)):
        return len(X[0]) > 0 and is_number(X[0][0])
    return False


def check_matrix(X: Any, *, name: str = "X") -> FeatureMatrix:
    """Return a numeric matrix in canonical form; the caller's object is left as it is.

    Parameters
    ----------
    X : sparse or dense matrix of numbers, shape (n_documents, n_features)
    name : str
        The argument's name, for messages.

    Returns
    -------
    csr_array or ndarray of float32, shape (n_documents, n_features)
        Sparse if `X` is; with sorted column numbers, none repeated, and no stored zeros.

    Raises
    ------
    ValueError
        If `X` is empty, holds NaN or infinity (as float32), or is not a matrix of real numbers;
        if a column number is negative or too large.
    """
    if sp.issparse(X):
        check_indices(X, name)
        X = X.tocsr()
    elif is_frame(X) and not hasattr(X, "iloc"):  # scikit-learn knows pandas' own types
        X = array_of(X)
    # scikit-learn's own check and its own words.
    with np.errstate(over="ignore"):  # what overflows is infinite then, and refused as such
        checked = check_array(X, accept_sparse="csr", dtype=np.float32, input_name=name)
    if not sp.issparse(checked):
        return np.ascontiguousarray(checked)
    canonical = sp.csr_array(checked, copy=True)
    canonical.sum_duplicates()
    canonical.eliminate_zeros()
    return canonical


def check_indices(matrix: Any, name: str) -> None:
    """Refuse row and column numbers out of range: compiled code would read beyond the array.

    Raises
    ------
    ValueError
        Naming the argument.
    """
    try:
        if matrix.format in ("csr", "csc", "bsr"):
            # A view, as the check may write; only the full one reads the column numbers.
            parts = (matrix.data, matrix.indices, matrix.indptr)
            type(matrix)(parts, shape=matrix.shape).check_format(full_check=True)
        else:
            sp.coo_array(matrix)  # checks the other formats' numbers
    except ValueError as error:
        raise ValueError(
            f"{name} is a damaged sparse matrix ({error}). Build it again from its source."
        ) from None
