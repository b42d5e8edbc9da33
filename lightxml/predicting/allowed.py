"""The best labels among those that are allowed, for all documents or for each its own.

Where labels are listed, every model scores all that a document may have, whether a ranker proposes
them or not: the time grows with the pairs of document and label, the memory does not. Where labels
are only left out, the models name labels as ever, and more of them for a document that has too few
left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from scipy.special import expit

from lightxml.data.label_lists import check_label_list
from lightxml.predicting.averaging import Members, mean_score
from lightxml.predicting.fitted import N_CANDIDATES, represented
from lightxml.rankers.opinions import DOCUMENTS_AT_ONCE
from lightxml.rankers.panel import best
from lightxml.rankers.sparse import blocks, grouped, has_entries, kept_entries, ones_of, union

NONE = -1  # in the place of a column, where a document may not have so many labels
_DOCUMENTS_AT_ONCE = 4_096
_PAIRS_AT_ONCE = 2**20
_MORE = 10  # times as many labels are named, where too few were left

Columns: TypeAlias = np.ndarray | sp.csr_array


@dataclass(frozen=True)
class Allowed:
    """Which labels may be ranked: those of `only`, but for those of `never`.

    Attributes
    ----------
    n_labels : int
    only : ndarray of int64, csr_array of shape (n_documents, n_labels), or None
        Columns for all documents, or entries for each its own; None: all labels.
    never : ndarray of int64, or csr_array of shape (n_documents, n_labels)
    """

    n_labels: int
    only: Columns | None
    never: Columns

    def counts(self, n_documents: int) -> np.ndarray:
        """Return how many labels each document may have, int64.

        Raises
        ------
        ValueError
            If that is none, or a matrix has not a row for each document.
        """
        for name, given in (("labels", self.only), ("exclude", self.never)):
            if isinstance(given, sp.csr_array) and given.shape[0] != n_documents:
                raise ValueError(
                    f"{name} has {given.shape[0]} rows, but there are {n_documents} documents; "
                    "expected one row for each."
                )
        excluded = _sizes(self.never, n_documents)
        if self.only is None:
            found = self.n_labels - excluded
        else:
            found = _sizes(self.only, n_documents)
            if excluded.any():
                for begin, end in self.groups(0, n_documents, 1):
                    found[begin:end] = np.diff(self._listed(self.only, begin, end).indptr)
        for i in np.flatnonzero(found == 0)[:1]:
            left = "labels has" if not excluded[i] else "exclude leaves"
            raise ValueError(
                f"{left} no label for document {i} (counted from 0); expected at least one for "
                "each. Leave the document out, or list more labels."
            )
        return found

    def groups(self, begin: int, end: int, k: int) -> Iterator[tuple[int, int]]:
        """Yield where groups of some documents begin and end whose pairs can be scored at once.

        Each document has at least `k` of them.
        """
        sizes = np.full(end - begin, max(k, _PAIRS_AT_ONCE // DOCUMENTS_AT_ONCE), dtype=np.int64)
        if self.only is not None:
            sizes = np.maximum(sizes, _sizes(self.only, end)[begin:])
        for first, last in grouped(sizes, _PAIRS_AT_ONCE):
            yield begin + first, begin + last

    def without(self, labels: sp.csr_array, begin: int) -> sp.csr_array:
        """Return the entries that are not excluded; the first row is of document `begin`."""
        if isinstance(self.never, np.ndarray):
            excluded = np.zeros(self.n_labels, dtype=bool)
            excluded[self.never] = True
            return kept_entries(labels, ~excluded[labels.indices])
        never = self.never[begin : begin + labels.shape[0]]
        return kept_entries(labels, ~has_entries(never, labels))

    def listed(self, begin: int, end: int) -> sp.csr_array | None:
        """Return all labels of some documents as ones, indices sorted; None where all are named."""
        return None if self.only is None else self._listed(self.only, begin, end)

    def others(self, named: np.ndarray, document: int, n: int) -> np.ndarray:
        """Return the first `n` columns that one document may have and that are not among these."""
        never = self.never
        if isinstance(never, sp.csr_array):
            never = never.indices[never.indptr[document] : never.indptr[document + 1]]
        left_out = np.concatenate([named, never])
        first = np.arange(min(n + len(left_out), self.n_labels))
        return np.setdiff1d(first, left_out)[:n]

    def _listed(self, only: Columns, begin: int, end: int) -> sp.csr_array:
        if isinstance(only, np.ndarray):
            n = (end - begin) * len(only)
            pointers = np.arange(0, n + 1, len(only))
            ones, columns = np.ones(n, dtype=np.float32), np.tile(only, end - begin)
            shape = (end - begin, self.n_labels)
            return self.without(sp.csr_array((ones, columns, pointers), shape=shape), begin)
        return self.without(ones_of(only[begin:end]), begin)


def allowed_labels(labels: Any, exclude: Any, classes: np.ndarray) -> Allowed | None:
    """Check the arguments `labels` and `exclude`; None where neither is given.

    Raises
    ------
    TypeError, ValueError
        As `check_label_list`.
    """
    if labels is None and exclude is None:
        return None
    only, never = (
        None if given is None else check_label_list(given, classes, name=name)
        for name, given in (("labels", labels), ("exclude", exclude))
    )
    if never is None:
        never = np.empty(0, dtype=np.int64)
    if isinstance(only, np.ndarray) and isinstance(never, np.ndarray):
        if not len(only):
            raise ValueError("labels is empty; expected at least one label that may be ranked.")
        only, never = np.setdiff1d(only, never), never[:0]
        if not len(only):
            raise ValueError("exclude has all that labels has; expected that one label is left.")
    return Allowed(len(classes), only, never)


def topk_allowed(
    members: Members, k: int, allowed: Allowed, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns of the k best labels that each document may have, and their scores.

    Parameters
    ----------
    members : list of (FittedModel, Documents)
        Of several, the mean of their probabilities is the score.
    k : int
    allowed : Allowed
    counts : ndarray of int64, shape (n_documents,)
        How many labels each document may have.

    Returns
    -------
    columns : ndarray of int64, shape (n_documents, k)
        Best first, equal ones in the order of the columns; `NONE` behind the last that a document
        may have.
    scores : ndarray of float32, shape (n_documents, k)
        0 where there is no label.
    """
    columns = np.empty((len(counts), k), dtype=np.int64)
    scores = np.empty((len(counts), k), dtype=np.float32)
    for begin, end in blocks(len(counts), _DOCUMENTS_AT_ONCE):
        some = [(model, represented(model, each.part(begin, end))) for model, each in members]
        for first, last in allowed.groups(begin, end, k):
            few = _part(some, first - begin, last - begin)
            wanted = allowed.listed(first, last)
            if wanted is not None:
                found = _ranked(few, wanted, k, allowed, first)
            else:
                found = _ranked_without(few, k, allowed, first, counts[first:last])
            columns[first:last], scores[first:last] = found
    return columns, scores


def _ranked_without(
    members: Members, k: int, allowed: Allowed, begin: int, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rank what is left of the labels that the models name, and of more where that is little."""
    n = max(k, N_CANDIDATES)
    named = _named(members, n)
    left = allowed.without(named, begin)
    # One model has said already what it thinks of those that it names.
    said = left.data if len(members) == 1 else None
    columns, scores = _ranked(members, left, k, allowed, begin, said)
    for i in np.flatnonzero(np.diff(left.indptr) < np.minimum(k, counts)).tolist():
        one, here = _part(members, i, i + 1), begin + i
        more = _more_left(one, named[i : i + 1], min(k, counts[i]), allowed, here, n)
        columns[i : i + 1], scores[i : i + 1] = _ranked(one, more, k, allowed, here)
    return columns, scores


def _more_left(
    members: Members, named: sp.csr_array, least: int, allowed: Allowed, document: int, n: int
) -> sp.csr_array:
    """Return what is left of more labels for one document: `least`, if the models know so many."""
    while n < allowed.n_labels:
        n = min(_MORE * n, allowed.n_labels)
        n_before, named = named.nnz, _named(members, n)
        if named.nnz == n_before or allowed.without(named, document).nnz >= least:
            break
    return allowed.without(named, document)


def _named(members: Members, n: int) -> sp.csr_array:
    """Return the labels that any model names among its `n` best; of one model, its logits."""
    named = [model.candidates(documents, n) for model, documents in members]
    return named[0] if len(named) == 1 else union(named)


def _ranked(
    members: Members,
    wanted: sp.csr_array,
    k: int,
    allowed: Allowed,
    begin: int,
    said: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Rank some labels of each document; where they are fewer than k, others follow with 0."""
    if said is None:
        logits = [model.logits_of(documents, wanted) for model, documents in members]
        said = logits[0] if len(members) == 1 else mean_score(logits)
    scored = sp.csr_array((said, wanted.indices, wanted.indptr), shape=wanted.shape)
    columns, found = best(scored, k)
    scores = expit(found) if len(members) == 1 else found.clip(0)
    sizes = np.diff(wanted.indptr)
    for i in np.flatnonzero(sizes < k).tolist():
        columns[i, sizes[i] :], scores[i, sizes[i] :] = NONE, 0
        if allowed.only is None:
            own = wanted.indices[wanted.indptr[i] : wanted.indptr[i + 1]]
            others = allowed.others(own, begin + i, k - int(sizes[i]))
            columns[i, sizes[i] : sizes[i] + len(others)] = others
    return columns, scores


def _part(members: Members, begin: int, end: int) -> Members:
    return [(model, documents.part(begin, end)) for model, documents in members]


def _sizes(listed: Columns, n_documents: int) -> np.ndarray:
    """Return how many labels are listed for each of the first documents."""
    if isinstance(listed, np.ndarray):
        return np.full(n_documents, len(listed))
    return np.diff(listed.indptr[: n_documents + 1]).astype(np.int64)
