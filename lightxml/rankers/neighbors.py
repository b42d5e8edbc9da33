"""The ranker "neighbors": the labels of the training documents that are most like a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from joblib import cpu_count, effective_n_jobs

from lightxml.rankers.base import Documents
from lightxml.rankers.sparse import (
    blocks,
    heaviest,
    largest,
    largest_of_product,
    narrow,
    ones_of,
    products_one_by_one,
    relabeled_columns,
    row_sums,
    stacked,
    transposed,
    values_at,
    widened,
)
from lightxml.rankers.stored import (
    as_halves,
    checked,
    count,
    packed,
    packed_ones,
    unpacked,
    unpacked_ones,
)

N_LIKELY = 30  # labels of each training document that its linear classifiers must tell it from
_FEW, _MANY = 10, 50
_POWER = 2
_ALIKE = 0.9995  # a cosine above it is 1 of values that float16 has rounded
_N_TERMS = 20  # of a row, those that a search reads
_N_POSTINGS = 2_000  # of a term, so that the time of a search does not grow with the documents
_N_COMPARED = 150  # documents that a search finds, of which the nearest are taken
_DOCUMENTS_AT_ONCE = 1024


@dataclass(frozen=True)
class NeighborsExplanation:
    """Which training documents speak for a label.

    Attributes
    ----------
    documents : ndarray of int64
        Their numbers in the training set, the nearest first.
    cosines : ndarray of float32
    shares : ndarray of float32
        What each adds to the label's share of 50.
    """

    documents: np.ndarray
    cosines: np.ndarray
    shares: np.ndarray


@dataclass(frozen=True)
class Neighbors:
    """The training documents; what they say is the share of each label among the nearest.

    A search goes in two steps, so that its time does not grow with the number of documents: an
    index proposes 150, and the nearest of these are found by their whole cosines. The index has 20
    terms of each document, those with the largest values, and of each term the 2,000 documents
    with the largest values (champion lists: Manning, Raghavan, Schuetze, "Introduction to
    Information Retrieval", 2008, section 7.1.3).

    The nearest n documents i have the votes ``v_i = weight_i * cos(x, x_i) ** 2``. A label's share
    is the sum of the votes of those with the label, divided by the sum of all n.

    Attributes
    ----------
    rows : csr_array of float32, shape (n_documents, n_features)
        With the values that float16 has, in which they are saved; indices sorted.
    y : csr_array of float32, shape (n_documents, n_labels)
        Ones.
    votes : ndarray of float32, shape (n_documents,)
        The weight of each document.
    told : csr_array of float32, shape (n_documents, n_labels), or None
        Ones: the labels that were likely for each document, from which linear classifiers were
        to tell it. They are fitted anew with more documents by these. None without any.
    """

    name: ClassVar[str] = "neighbors"

    rows: sp.csr_array
    y: sp.csr_array
    votes: np.ndarray
    told: sp.csr_array | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what `score` says."""
        return ("share of 10", "share of 50")

    @cached_property
    def _index(self) -> sp.csr_array:
        """What is searched: (n_features, n_documents)."""
        return heaviest(transposed(heaviest(self.rows, _N_TERMS)), _N_POSTINGS)

    def propose(self, documents: Documents, k: int) -> sp.csr_array:
        """Return the labels with the largest mean of both shares, as `Ranker.propose` does."""
        nearest = self._nearest_of(documents)
        found = [
            self._likeliest(nearest[begin:end], k)
            for begin, end in blocks(len(documents), _DOCUMENTS_AT_ONCE)
        ]
        return stacked(found, self.y.shape[1])

    def score(self, documents: Documents, candidates: sp.csr_array) -> np.ndarray:
        """Return both shares of the candidates, as `Ranker.score` does."""
        nearest = self._nearest_of(documents)
        scores = np.empty((candidates.nnz, 2), dtype=np.float32)
        for begin, end in blocks(len(documents), _DOCUMENTS_AT_ONCE):
            of_these = slice(candidates.indptr[begin], candidates.indptr[end])
            for column, shares in enumerate(self._shares(nearest[begin:end])):
                scores[of_these, column] = values_at(shares, candidates[begin:end])
        return scores

    def likely(self, k: int, n_jobs: int | None = None) -> sp.csr_array:
        """Return the likeliest labels of each training document, itself left out.

        Parameters
        ----------
        k : int
        n_jobs : int or None
            Threads, as in joblib; the result is the same for any number.

        Returns
        -------
        csr_array of float32, shape (n_documents, n_labels)
            At most `k` entries a row.
        """
        # The caller's joblib backend may have more workers than this machine has cores.
        found, n_threads = [], min(effective_n_jobs(n_jobs), cpu_count())
        for begin, end in blocks(self.rows.shape[0], _DOCUMENTS_AT_ONCE):
            nearest = self._nearest(self.rows[begin:end], _MANY + 1, n_threads)
            rows = np.repeat(np.arange(begin, end), np.diff(nearest.indptr))
            nearest.data[nearest.indices == rows] = 0
            nearest.eliminate_zeros()
            found.append(self._likeliest(largest(nearest, _MANY), k))
        return stacked(found, self.y.shape[1])

    def near(self, labels: np.ndarray) -> sp.csr_array:
        """Return which documents are among the 50 nearest of a label's own, for some labels.

        Parameters
        ----------
        labels : ndarray of int64

        Returns
        -------
        csr_array of float32, shape (n_documents, n_labels)
            Entries in the columns of these labels alone.
        """
        is_asked = np.zeros(self.y.shape[1], dtype=bool)
        is_asked[labels] = True
        members = sp.coo_array(self.y)
        of_asked = is_asked[members.col]
        numbers, place = np.unique(members.row[of_asked], return_inverse=True)
        ones = np.ones(len(place), dtype=np.float32)
        shape = (self.y.shape[1], len(numbers))
        pairs = sp.csr_array((ones, (members.col[of_asked], place)), shape=shape)
        return sp.csr_array((pairs @ ones_of(self.nearest(numbers))).T)

    def nearest(self, numbers: np.ndarray) -> sp.csr_array:
        """Return the cosines of the 50 documents nearest to some of them, themselves among these.

        Returns
        -------
        csr_array of float32, shape (len(numbers), n_documents)
        """
        found = [
            self._nearest(self.rows[numbers[begin:end]], _MANY)
            for begin, end in blocks(len(numbers), _DOCUMENTS_AT_ONCE)
        ]
        return stacked(found, self.rows.shape[0])

    def holds(self, documents: Documents) -> np.ndarray:
        """Tell, bool of shape (n_documents,), which documents have the features of a learned one.

        A document without a known feature has none of one.
        """
        nearest = self._nearest(documents.rows, 1)
        best = np.zeros(len(documents), np.float32)
        rows = np.repeat(np.arange(len(documents)), np.diff(nearest.indptr))
        np.maximum.at(best, rows, nearest.data)
        return best > _ALIKE

    def joined(
        self, documents: Documents, y: sp.csr_array, sample_weight: np.ndarray | None = None
    ) -> Neighbors:
        """Return the documents with more of them; as `fit_neighbors` takes them."""
        new = fit_neighbors(documents, y, sample_weight=sample_weight)
        told = self.told
        if told is not None:
            likely = ones_of(self.propose(documents, N_LIKELY))
            told = stacked([told, likely], y.shape[1])
        return Neighbors(
            stacked([self.rows, new.rows], self.rows.shape[1]),
            stacked([self.y, new.y], y.shape[1]),
            np.concatenate([self.votes, new.votes]),
            told,
        )

    def widened(self, n_features: int) -> Neighbors:
        """Return the documents with more features, of which they have none."""
        return replace(self, rows=widened(self.rows, n_features))

    def relabeled(self, source: np.ndarray) -> Neighbors:
        """Return the documents with other labels, as `Ranker.relabeled` does."""
        told = None if self.told is None else relabeled_columns(self.told, source)
        return replace(self, y=relabeled_columns(self.y, source), told=told)

    def explain(self, document: Documents, label: int) -> NeighborsExplanation:
        """Return the nearest documents that have a label, for one document."""
        nearest = self._nearest(document.rows, _MANY)
        voted = self._votes(nearest)
        has_label = values_at_column(self.y, label)[nearest.indices]
        order = np.argsort(-nearest.data, kind="stable")
        order = order[has_label[order]]
        return NeighborsExplanation(
            nearest.indices[order].astype(np.int64), nearest.data[order], voted.data[order]
        )

    def describe(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return settings and arrays, as `Ranker.describe` does."""
        settings = {
            "n_documents": int(self.rows.shape[0]),
            "n_features": int(self.rows.shape[1]),
            "n_labels": int(self.y.shape[1]),
        }
        arrays = {**packed("rows", self.rows), **packed_ones("y", self.y), "votes": self.votes}
        if self.told is not None:
            arrays |= packed_ones("told", self.told)
        return settings, arrays

    @classmethod
    def made_of(cls, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Neighbors:
        """Return the ranker that `describe` described.

        Raises
        ------
        ValueError
            If the arrays are not such as `describe` gives them.
        """
        n, n_features, n_labels = (
            count(settings, name) for name in ("n_documents", "n_features", "n_labels")
        )
        votes = checked(arrays, "votes", np.float32, n)
        if votes.min(initial=0) < 0:
            raise ValueError("votes are negative")
        rows = unpacked("rows", arrays, (n, n_features))
        told = None
        if "told_columns" in arrays:
            told = unpacked_ones("told", arrays, (n, n_labels))
        return cls(rows, unpacked_ones("y", arrays, (n, n_labels)), votes, told)

    def _nearest_of(self, documents: Documents) -> sp.csr_array:
        """Return the cosines of the nearest training documents, searched for once."""
        return documents.once(self, lambda: self._nearest(documents.rows, _MANY))

    def _nearest(self, rows: sp.csr_array, n: int, n_threads: int | None = None) -> sp.csr_array:
        """Return the cosines of the `n` nearest training documents of each row, all above 0."""
        asked = narrow(heaviest(rows, _N_TERMS))
        found = largest_of_product(asked, self._index, _N_COMPARED, n_threads)
        found.data = products_one_by_one(rows, self.rows, found).clip(0)
        found.eliminate_zeros()
        return largest(found, n)

    def _votes(self, nearest: sp.csr_array) -> sp.csr_array:
        """Return the votes of neighbors, divided by their sum."""
        votes = nearest.data**_POWER * self.votes[nearest.indices]
        sums = row_sums(votes, nearest.indptr)
        sums[sums == 0] = 1
        votes /= np.repeat(sums, np.diff(nearest.indptr))
        return sp.csr_array((votes, nearest.indices, nearest.indptr), shape=nearest.shape)

    def _shares(self, nearest: sp.csr_array) -> tuple[sp.csr_array, sp.csr_array]:
        """Return the shares of labels among the 10 nearest and among all that are given."""
        few, many = (self._votes(each) @ self.y for each in (largest(nearest, _FEW), nearest))
        few.sort_indices()
        many.sort_indices()
        return few, many

    def _likeliest(self, nearest: sp.csr_array, k: int) -> sp.csr_array:
        few, many = self._shares(nearest)
        return largest(sp.csr_array((few + many) * np.float32(0.5)), k)


def fit_neighbors(
    documents: Documents, y: sp.csr_array, *, sample_weight: np.ndarray | None = None
) -> Neighbors:
    """Keep training documents and their labels.

    Parameters
    ----------
    documents : Documents
    y : csr_array, shape (n_documents, n_labels)
        An entry is a label of a document.
    sample_weight : ndarray of float, shape (n_documents,), or None
        The weight of each document's votes; None for 1.

    References
    ----------
    Votes weighted by similarity: Dudani, "The Distance-Weighted k-Nearest-Neighbor Rule", IEEE
    Transactions on Systems, Man, and Cybernetics, 1976.
    """
    rows = documents.rows
    if sample_weight is None:
        sample_weight = np.ones(len(documents))
    return Neighbors(
        narrow(sp.csr_array((as_halves(rows.data), rows.indices, rows.indptr), shape=rows.shape)),
        narrow(ones_of(y)),
        sample_weight.astype(np.float32),
    )


def values_at_column(y: sp.csr_array, label: int) -> np.ndarray:
    """Return which rows have an entry in a column, of bool."""
    there = np.zeros(y.shape[0], dtype=bool)
    rows = np.repeat(np.arange(y.shape[0]), np.diff(y.indptr))
    there[rows[y.indices == label]] = True
    return there
