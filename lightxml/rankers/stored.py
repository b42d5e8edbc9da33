"""Sparse matrices as arrays for a file, and back with everything checked first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp

LARGEST = float(np.finfo(np.float16).max)


def as_halves(values: np.ndarray) -> np.ndarray:
    """Return float32 values with the precision that float16 has, in which they are saved."""
    return values.clip(-LARGEST, LARGEST).astype(np.float16).astype(np.float32)


def packed(name: str, matrix: sp.csr_array) -> dict[str, np.ndarray]:
    """Return a matrix of values that float16 has, indices sorted, as three arrays."""
    return {**packed_ones(name, matrix), f"{name}_values": matrix.data.astype(np.float16)}


def packed_ones(name: str, matrix: sp.csr_array) -> dict[str, np.ndarray]:
    """Return a matrix of ones, indices sorted, as two arrays."""
    return {
        f"{name}_pointers": matrix.indptr.astype(np.int64),
        f"{name}_columns": matrix.indices.astype(np.int32),
    }


def unpacked(name: str, arrays: Mapping[str, np.ndarray], shape: tuple[int, int]) -> sp.csr_array:
    """Return the matrix that `packed` gave.

    Raises
    ------
    ValueError
        As `unpacked_ones`, or if there are not as many values as ones.
    """
    matrix = unpacked_ones(name, arrays, shape)
    matrix.data = checked(arrays, f"{name}_values", np.float16, matrix.nnz).astype(np.float32)
    return matrix


def unpacked_ones(
    name: str, arrays: Mapping[str, np.ndarray], shape: tuple[int, int]
) -> sp.csr_array:
    """Return the matrix that `packed_ones` gave; compiled code may rely on its numbers.

    Raises
    ------
    ValueError
        If an array is missing, or holds what no matrix of that shape does.
    """
    pointers = checked(arrays, f"{name}_pointers", np.int64, shape[0] + 1)
    columns = checked(arrays, f"{name}_columns", np.int32)
    if pointers[0] != 0 or pointers[-1] != len(columns) or (np.diff(pointers) < 0).any():
        raise ValueError(f"{name}_pointers do not rise from 0 to {len(columns)}")
    if len(columns):
        if columns.min() < 0 or columns.max() >= shape[1]:
            raise ValueError(f"{name}_columns are out of range; expected 0 to {shape[1] - 1}")
        begins_row = np.zeros(len(columns) + 1, dtype=bool)
        begins_row[pointers] = True
        if not ((np.diff(columns) > 0) | begins_row[1:-1]).all():
            raise ValueError(f"{name}_columns do not rise within a row")
    kind = np.int32 if max(*shape, len(columns)) <= np.iinfo(np.int32).max else np.int64
    ones = np.ones(len(columns), dtype=np.float32)
    return sp.csr_array((ones, columns.astype(kind), pointers.astype(kind)), shape=shape)


def checked(
    arrays: Mapping[str, np.ndarray],
    name: str,
    dtype: type,
    size: int | tuple[int, ...] | None = None,
) -> np.ndarray:
    """Return one of the arrays: of that type and shape, without NaN or infinity.

    Parameters
    ----------
    arrays : mapping of str to ndarray
    name : str
    dtype : type
    size : int, tuple of int or None
        Its length, if it has one dimension, or its shape; None: one dimension, of any length.

    Raises
    ------
    ValueError
    """
    if name not in arrays:
        raise ValueError(f"{name} is missing")
    array = arrays[name]
    is_shaped = array.shape == size if isinstance(size, tuple) else array.ndim == 1
    if array.dtype != dtype or not is_shaped or size not in (None, len(array), array.shape):
        wanted = f" of shape {size}" if isinstance(size, tuple) else f" of length {size}"
        raise ValueError(
            f"{name} is {array.dtype} of shape {array.shape}; "
            f"expected {np.dtype(dtype)}{'' if size is None else wanted}"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity")
    return array


def numbers_below(
    arrays: Mapping[str, np.ndarray], name: str, dtype: type, below: int
) -> np.ndarray:
    """Return one of the arrays, of one dimension, with numbers from 0 to before `below`.

    Raises
    ------
    ValueError
    """
    array = checked(arrays, name, dtype)
    if len(array) and not 0 <= array.min() <= array.max() < below:
        raise ValueError(f"its {name} are out of range")
    return array


def count(settings: Mapping[str, Any], name: str, least: int = 0) -> int:
    """Return one of the settings: an int from `least` to below 2**31.

    Raises
    ------
    ValueError
    """
    value = settings.get(name)
    if type(value) is not int or not least <= value < 2**31:
        raise ValueError(f"{name} is {value!r}; expected a count")
    return value
