"""Which documents, and which labels, the rankers do not learn from at first."""

from __future__ import annotations

import hashlib

import numpy as np

from lightxml.rankers.base import Documents

SMALL = 2_500  # documents: below it, the opinions come from folds
FEWEST, _MOST = 500, 5_000
_HIDDEN_LABELS = 0.1
_FEWEST_HIDDEN = 300


def n_held_out(n_documents: int) -> int:
    """Return how many documents to hold out: a tenth, at least 500 and at most 5,000."""
    return min(max(n_documents // 10, FEWEST), _MOST)


def draw_held_out(documents: Documents, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return the numbers of about `n` documents, sorted; of equal documents all or none.

    Where all groups of equal documents are larger than `n`, one of the smallest.
    """
    group = equal_documents(documents)
    sizes = np.bincount(group)
    order = rng.permutation(len(sizes))
    drawn = order[np.cumsum(sizes[order]) <= n]
    if not len(drawn):
        drawn = order[[np.argmin(sizes[order])]]
    return np.flatnonzero(np.isin(group, drawn))


def draw_folds(documents: Documents, rng: np.random.Generator, n_folds: int) -> np.ndarray:
    """Return the fold of each document, from 0 to below `n_folds`; equal ones have the same."""
    group = equal_documents(documents)
    fold = np.arange(group.max(initial=-1) + 1) % n_folds
    return rng.permutation(fold)[group]


def draw_hidden(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return labels that are to lose all their documents, sorted.

    Parameters
    ----------
    counts : ndarray of int64, shape (n_labels,)
        Documents of each label that rankers learn from. Those that have any are drawn from:
        a tenth, at least 300, and never more than a fifth.
    """
    trained = np.flatnonzero(counts)
    n = min(max(int(_HIDDEN_LABELS * len(trained)), _FEWEST_HIDDEN), len(trained) // 5)
    return np.sort(rng.choice(trained, size=n, replace=False))


def equal_documents(documents: Documents) -> np.ndarray:
    """Return a number for each document, from 0, that equal documents share."""
    if documents.texts is not None:
        keys = [text.encode("utf-8", "surrogatepass") for text in documents.texts]
    else:
        rows = documents.rows
        edges = zip(rows.indptr[:-1].tolist(), rows.indptr[1:].tolist(), strict=True)
        keys = [rows.indices[a:b].tobytes() + rows.data[a:b].tobytes() for a, b in edges]
    numbers: dict[bytes, int] = {}
    # Digests, so that long documents are not kept twice.
    found = (hashlib.blake2b(key, digest_size=16).digest() for key in keys)
    return np.array([numbers.setdefault(key, len(numbers)) for key in found], dtype=np.int64)
