"""How much memory fitting the rankers will take, before it begins."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from lightxml.exceptions import warn
from lightxml.rankers.base import Documents
from lightxml.rankers.panel import N_PROPOSALS
from lightxml.runtime.memory import free_memory

_ENTRY = 8  # bytes of a value and its column
_COLUMNS = {"linear": 2, "neighbors": 2, "label_texts": 4, "network": 1}  # with the label tree's
_WITH_VECTORS = {"neighbors", "label_texts"}  # one more


def rankers_memory(
    documents: Documents, y: sp.csr_array, rankers: tuple[str, ...], n_held_out: int, n_texts: int
) -> dict[str, int]:
    """Estimate the bytes that fitting all rankers but the network takes, by what they are for.

    Parameters
    ----------
    documents : Documents
    y : csr_array, shape (n_documents, n_labels)
    rankers : tuple of str
    n_held_out : int
        Documents that fit the final ranker.
    n_texts : int
        Of labels, with vectors.

    Returns
    -------
    dict of int
        ``"rows"``, ``"linear"``, ``"vectors"`` and ``"candidates"``.
    """
    rows, n_labels = documents.rows, y.shape[1]
    needed = dict.fromkeys(("rows", "linear", "vectors", "candidates"), 0)
    if {"linear", "neighbors"} & set(rankers) and rows.shape[1]:
        # Of what is not held out and of all: rows, what is searched of them, 81 likely labels or
        # neighbors of each.
        needed["rows"] = 2 * _ENTRY * (2 * rows.nnz + 81 * len(documents))
    if "linear" in rankers:
        # The features of a label's documents, once where they are fitted and once where they join.
        of_labels = int(np.diff(rows.indptr) @ np.diff(y.indptr))
        needed["linear"] = 2 * _ENTRY * of_labels
    has_vectors = documents.vectors is not None
    if documents.vectors is not None:
        # As float16 and, to be searched, as float32.
        needed["vectors"] = 2 * 6 * (len(documents) + n_texts) * documents.vectors.shape[1]
    said = sum(_COLUMNS[name] + (has_vectors and name in _WITH_VECTORS) for name in rankers)
    n_candidates = min(N_PROPOSALS * (len(rankers) + 1), n_labels)
    # What is said, how far below the best it is, and two columns more; held three times.
    needed["candidates"] = 3 * 4 * (2 * said + 2) * n_held_out * n_candidates
    return needed


def warn_if_rankers_are_short(
    documents: Documents, y: sp.csr_array, rankers: tuple[str, ...], n_held_out: int, n_texts: int
) -> None:
    """Warn if fitting the rankers is likely to take more memory than is free.

    Warns
    -----
    UserWarning
        With the estimate, what is free, and the arguments to change.
    """
    needed = rankers_memory(documents, y, rankers, n_held_out, n_texts)
    advice = {
        "rows": "rows and neighbors (fewer features: min_df, max_features of the vectorizer)",
        "linear": "linear classifiers (rankers without 'linear')",
        "vectors": "vectors of documents and label texts (a narrower encoder)",
        "candidates": "what the rankers say of documents held out (a smaller validation_fraction)",
    }
    warn_if_more("Fitting the rankers", needed, free_memory(), advice)


def warn_if_more(
    what: str, needed: dict[str, int], free: int | None, advice: dict[str, str]
) -> None:
    """Warn if what is needed is more than is free; nothing is said where that is not known.

    Parameters
    ----------
    what : str
        What needs it.
    needed : dict of str to int
        Bytes, by what they are for.
    free : int or None
    advice : dict of str to str
        In words, the same and what to change.
    """
    total = sum(needed.values())
    if free is None or total <= free:
        return
    parts = ", ".join(
        f"{size / 2**30:.1f} for {advice[name]}"
        for name, size in sorted(needed.items(), key=lambda item: -item[1])
        if size
    )
    warn(
        f"{what} may take {total / 2**30:.1f} GiB more memory, and {free / 2**30:.1f} GiB are "
        f"free. Of it, {parts}."
    )
