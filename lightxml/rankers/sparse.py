"""The few operations on sparse matrices that rankers share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
from sparse_dot_topn import sp_matmul_topn

_NARROW = np.iinfo(np.int32).max
_SHARED = 8  # documents a label, from which on `products_at` works label by label
_SORTED_AT_ONCE = 2**18  # entries of rows
_FEW_PRODUCTS = 50_000  # of values of a document, where `products_at` makes all


def blocks(n: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield where each of the blocks of `n` documents begins and ends."""
    for begin in range(0, n, size):
        yield begin, min(begin + size, n)


def grouped(sizes: np.ndarray, most: int) -> Iterator[tuple[int, int]]:
    """Yield where groups of neighbors begin and end, each of about `most` in all; one, if larger.

    Parameters
    ----------
    sizes : ndarray of int, shape (n,)
    most : int
    """
    number = (np.cumsum(sizes, dtype=np.int64) - 1).clip(0) // most
    edges = np.concatenate([[0], np.flatnonzero(np.diff(number)) + 1, [len(sizes)]])
    for begin, end in pairwise(edges.tolist()):
        if begin < end:
            yield begin, end


def ranges(begins: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all numbers of some ranges, none empty, and where each range begins among them."""
    counts = (ends - begins).astype(np.int64)
    firsts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    steps = np.repeat(begins - firsts, counts)
    return np.arange(len(steps)) + steps, firsts


def narrow(matrix: sp.csr_array | sp.csc_array) -> Any:
    """Return the matrix with indices of 32 bits where they fit; the values are shared.

    scipy copies both factors of a product where only one of them has indices of 64 bits.
    """
    if max(matrix.nnz, *matrix.shape) > _NARROW:
        return matrix
    indices = matrix.indices.astype(np.int32, copy=False)
    pointers = matrix.indptr.astype(np.int32, copy=False)
    return type(matrix)((matrix.data, indices, pointers), shape=matrix.shape)


def normalized(matrix: sp.csr_array) -> sp.csr_array:
    """Return the rows with length 1, in float32, indices sorted; rows of zeros stay so.

    Lengths are computed in float64, so that numbers near the ends of float32 neither overflow
    nor vanish.
    """
    squares = matrix.data.astype(np.float64) ** 2
    lengths = np.sqrt(row_sums(squares, matrix.indptr))
    lengths[lengths == 0] = 1
    data = (matrix.data / np.repeat(lengths, np.diff(matrix.indptr))).astype(np.float32)
    unit = sp.csr_array((data, matrix.indices.copy(), matrix.indptr), shape=matrix.shape)
    unit.sort_indices()  # vectorizers leave them unsorted
    return unit


def ones_of(matrix: sp.csr_array) -> sp.csr_array:
    """Return a matrix with 1, float32, wherever this one has an entry; the indices are shared."""
    ones = np.ones(matrix.nnz, dtype=np.float32)
    return sp.csr_array((ones, matrix.indices, matrix.indptr), shape=matrix.shape)


def scaled(matrix: sp.csr_array, factors: np.ndarray) -> sp.csr_array:
    """Return each row times its factor, in float32; the indices are shared."""
    data = (matrix.data * np.repeat(factors, np.diff(matrix.indptr))).astype(np.float32)
    return sp.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def destinations(source: np.ndarray, n: int) -> np.ndarray:
    """Return where each of `n` earlier columns goes, -1 for those that are not in `source`.

    Parameters
    ----------
    source : ndarray of int64
        The earlier column of each new one; -1 for none.
    n : int
    """
    found = np.full(n, -1, dtype=np.int64)
    there = np.flatnonzero(source >= 0)
    found[source[there]] = there
    return found


def relabeled_columns(matrix: sp.csr_array, source: np.ndarray) -> sp.csr_array:
    """Return the matrix with the columns of `Ranker.relabeled`; those of -1 are empty."""
    columns = destinations(source, matrix.shape[1])[matrix.indices]
    kept = columns >= 0
    pointers = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    shape = (matrix.shape[0], len(source))
    moved: sp.csr_array = narrow(
        sp.csr_array((matrix.data[kept], columns[kept], pointers), shape=shape)
    )
    return moved


def widened(matrix: sp.csr_array, n_columns: int) -> sp.csr_array:
    """Return the matrix with empty columns behind its own; the arrays are shared."""
    shape = (matrix.shape[0], n_columns)
    return sp.csr_array((matrix.data, matrix.indices, matrix.indptr), shape=shape)


def relabeled_rows(matrix: sp.csr_array, source: np.ndarray) -> sp.csr_array:
    """Return the matrix with the rows of `Ranker.relabeled`; those of -1 are empty."""
    empty = sp.csr_array((1, matrix.shape[1]), dtype=matrix.dtype)
    extended = stacked([matrix, empty], matrix.shape[1])
    moved: sp.csr_array = narrow(extended[np.where(source < 0, matrix.shape[0], source)])
    return moved


def row_sums(values: np.ndarray, pointers: np.ndarray) -> np.ndarray:
    """Return the sum of each row's values; 0 for an empty row."""
    sums = np.zeros(len(pointers) - 1, dtype=values.dtype)
    filled = np.flatnonzero(np.diff(pointers))
    if len(filled):  # reduceat takes no empty row
        sums[filled] = np.add.reduceat(values, pointers[filled])
    return sums


def largest(matrix: sp.csr_array, k: int) -> sp.csr_array:
    """Return the `k` largest entries of each row, indices sorted.

    Of equal values, those with the smaller column number are kept.
    """
    matrix.sort_indices()
    counts = np.diff(matrix.indptr)
    if counts.max(initial=0) <= k:
        return matrix
    kept = np.ones(matrix.nnz, dtype=bool)
    longer = np.flatnonzero(counts > k)
    longer = longer[np.argsort(-counts[longer])]  # so that a block's first row is its longest
    begin = 0
    while begin < len(longer):
        end = begin + max(1, _SORTED_AT_ONCE // counts[longer[begin]])
        kept[_beyond(matrix, longer[begin:end], k)] = False
        begin = end
    pointers = np.concatenate([[0], np.cumsum(np.minimum(counts, k))])
    return sp.csr_array(
        (matrix.data[kept], matrix.indices[kept], pointers.astype(matrix.indptr.dtype)),
        shape=matrix.shape,
    )


def _beyond(matrix: sp.csr_array, rows: np.ndarray, k: int) -> np.ndarray:
    """Return the places of all entries of these rows but the `k` largest."""
    counts = np.diff(matrix.indptr)[rows]
    columns = np.arange(counts.max())
    inside = columns < counts[:, None]  # (rows, longest row)
    places = np.where(inside, matrix.indptr[rows][:, None] + columns, 0)
    # A stable sort keeps equal values in the order of their columns, and what is none at the end.
    values = np.where(inside, -matrix.data[places], np.inf)
    worst = np.argsort(values, axis=1, kind="stable")[:, k:]
    return np.asarray(
        np.take_along_axis(places, worst, axis=1)[np.take_along_axis(inside, worst, axis=1)]
    )


def best_of_owners(found: sp.csr_array, owners: np.ndarray, n_labels: int) -> sp.csr_array:
    """Return the best of each label's texts.

    Parameters
    ----------
    found : csr_array, shape (n_documents, n_texts)
    owners : ndarray of int, shape (n_texts,)
        The label of each text.
    n_labels : int

    Returns
    -------
    csr_array, shape (n_documents, n_labels)
    """
    row = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr))
    key = row * n_labels + owners[found.indices]
    order = np.lexsort((-found.data, key))
    kept = order[np.append(True, np.diff(key[order]) > 0)] if len(order) else order
    entries = (found.data[kept], (row[kept], owners[found.indices[kept]]))
    return sp.csr_array(entries, shape=(found.shape[0], n_labels))


def union(proposals: Sequence[sp.csr_array]) -> sp.csr_array:
    """Return a matrix with an entry of value 1 wherever one of the others has an entry."""
    patterns = [ones_of(each) for each in proposals]
    joined = sp.csr_array(sum(patterns[1:], start=patterns[0]))
    joined.data[:] = 1
    joined.sort_indices()
    return joined


def stacked(parts: Sequence[sp.csr_array], n_columns: int) -> sp.csr_array:
    """Return matrices one below the other, float32; none gives a matrix without rows."""
    if not parts:
        return sp.csr_array((0, n_columns), dtype=np.float32)
    return narrow(sp.csr_array(sp.vstack(parts, format="csr", dtype=np.float32)))


def transposed(matrix: sp.csr_array) -> sp.csr_array:
    """Return the transposed matrix, by rows, with indices as `narrow` has them."""
    return narrow(sp.csr_array(matrix.T))


def largest_of_product(
    a: sp.csr_array, b: sp.csr_array, k: int, n_threads: int | None = None
) -> sp.csr_array:
    """Return the `k` largest entries above 0 of each row of ``a @ b``, without the product.

    Parameters
    ----------
    a, b : csr_array of float32
        With indices of the same width (`narrow`).
    k : int
    n_threads : int or None
        None for one; the result is the same for any number.

    Returns
    -------
    csr_array of float32, shape (a.shape[0], b.shape[1])
        Indices sorted. Which of equal entries are the last of the `k` depends on the row of `a`
        alone.
    """
    if a.nnz == 0 or b.nnz == 0 or k == 0:
        return sp.csr_array((a.shape[0], b.shape[1]), dtype=np.float32)
    # It knows the older classes alone.
    found = sp_matmul_topn(
        sp.csr_matrix(a), sp.csr_matrix(b), top_n=k, threshold=0.0, n_threads=n_threads
    )
    found = sp.csr_array(found)
    found.sort_indices()
    return found


def heaviest(matrix: sp.csr_array, k: int) -> sp.csr_array:
    """Return each row with the `k` values that are largest in absolute value; the others go."""
    sizes = sp.csr_array((np.abs(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)
    if np.diff(matrix.indptr).max(initial=0) <= k:
        return matrix
    kept = largest(sizes, k)
    kept.data = values_at(matrix, kept)
    return kept


def values_at(matrix: sp.csr_array, pattern: sp.csr_array) -> np.ndarray:
    """Return the values of `matrix` where `pattern` has entries, 0 where it has none itself.

    Parameters
    ----------
    matrix : csr_array of float32
        Indices sorted, each once.
    pattern : csr_array of the same shape
    """
    there, places = _found(matrix, pattern)
    return np.where(there, np.append(matrix.data, np.float32(0))[places], np.float32(0))


def has_entries(matrix: sp.csr_array, pattern: sp.csr_array) -> np.ndarray:
    """Return where `matrix` has entries too, bool of shape (pattern.nnz,); both as `values_at`."""
    return _found(matrix, pattern)[0]


def kept_entries(matrix: sp.csr_array, kept: np.ndarray) -> sp.csr_array:
    """Return the matrix with some of its entries; `kept` is bool of shape (matrix.nnz,)."""
    pointers = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    entries = (matrix.data[kept], matrix.indices[kept], pointers.astype(matrix.indptr.dtype))
    return sp.csr_array(entries, shape=matrix.shape)


def products_at(
    rows: sp.csr_array, weights: sp.csr_array, by_feature: sp.csr_array, candidates: sp.csr_array
) -> np.ndarray:
    """Return the entries of ``rows @ weights.T`` where `candidates` has entries, float32.

    Each depends on the row and the label alone, whatever else is asked for.

    Parameters
    ----------
    rows : csr_array of float32, shape (n_documents, n_features)
    weights : csr_array of float32, shape (n_labels, n_features)
    by_feature : csr_array of float32, shape (n_features, n_labels)
        `weights`, transposed.
    candidates : csr_array, shape (n_documents, n_labels)
    """
    products = np.empty(candidates.nnz, dtype=np.float32)
    costs = row_sums(np.diff(by_feature.indptr)[rows.indices].astype(np.int64), rows.indptr)
    is_long = costs > _FEW_PRODUCTS
    used = np.unique(candidates.indices)
    if candidates.nnz >= _SHARED * len(used):
        # Labels that many of the documents share: each label's row is picked once. The sums are
        # those below, in the same order.
        of_used = sp.csr_array(weights[used] @ sp.csr_array(rows[is_long].T)).toarray()
        pair = np.repeat(is_long, np.diff(candidates.indptr))
        row = np.repeat(np.cumsum(is_long) - 1, np.diff(candidates.indptr))[pair]
        products[pair] = of_used[np.searchsorted(used, candidates.indices[pair]), row]
    else:
        long = np.flatnonzero(is_long)
        pair = np.repeat(is_long, np.diff(candidates.indptr))
        products[pair] = products_one_by_one(rows[long], weights, candidates[long])
    # Of short texts with all labels: that is less work than to pick the labels' rows.
    short = np.flatnonzero(~is_long)
    found = sp.csr_array(rows[short] @ by_feature)
    of_all = np.zeros(weights.shape[0], dtype=np.float32)
    for place, i in enumerate(short.tolist()):
        own = slice(found.indptr[place], found.indptr[place + 1])
        some = slice(candidates.indptr[i], candidates.indptr[i + 1])
        of_all[found.indices[own]] = found.data[own]
        products[some] = of_all[candidates.indices[some]]
        of_all[found.indices[own]] = 0
    return products


def products_one_by_one(
    rows: sp.csr_array, weights: sp.csr_array, candidates: sp.csr_array
) -> np.ndarray:
    """Return what `products_at` returns, each row with the picked rows of its own candidates."""
    products = np.empty(candidates.nnz, dtype=np.float32)
    x = np.zeros(weights.shape[1], dtype=np.float32)
    for i in range(rows.shape[0]):
        own = slice(rows.indptr[i], rows.indptr[i + 1])
        some = slice(candidates.indptr[i], candidates.indptr[i + 1])
        x[rows.indices[own]] = rows.data[own]
        products[some] = weights[candidates.indices[some]] @ x
        x[rows.indices[own]] = 0
    return products


def contributions(
    row: sp.csr_array, weights: sp.csr_array, label: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the features that one document and a label share, and what each adds.

    Returns
    -------
    columns : ndarray of int64
        Those that add most first.
    added : ndarray of float32
        Value times weight; their sum is the entry of ``row @ weights.T``.
    """
    x = np.zeros(weights.shape[1], dtype=np.float32)
    x[row.indices] = row.data
    own = slice(weights.indptr[label], weights.indptr[label + 1])
    columns = weights.indices[own].astype(np.int64)
    added = weights.data[own] * x[columns]
    order = np.argsort(-added, kind="stable")
    order = order[added[order] != 0]
    return columns[order], added[order]


def _found(matrix: sp.csr_array, pattern: sp.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Return whether `matrix` has each entry of `pattern`, and where among its own it would be."""
    keys, wanted = _keys(matrix), _keys(pattern)
    places = np.searchsorted(keys, wanted)
    return np.append(keys, -1)[places] == wanted, places


def _keys(matrix: sp.csr_array) -> np.ndarray:
    rows = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    return rows * matrix.shape[1] + matrix.indices
