"""All rankers and the final one, as one model: who proposes, who scores, who decides."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from lightxml.rankers.base import Documents, Ranker
from lightxml.rankers.final import LOWEST, FinalRanker, check_finite, logit
from lightxml.rankers.opinions import DOCUMENTS_AT_ONCE, columns_of
from lightxml.rankers.sparse import blocks, stacked, union

N_PROPOSALS = 50  # labels that each ranker proposes for a document
# Up to so many labels are ranked from the same candidates: the first five of 20 are those of 5.
_MOST_WITHOUT_MORE = 100


@dataclass(frozen=True)
class Panel:
    """What ranks the labels of documents.

    Attributes
    ----------
    rankers : tuple of Ranker
    final : FinalRanker
    counts : ndarray of int64, shape (n_labels,)
        Training documents of each label.
    n_documents : int
        For training.
    raised : ndarray of float32, shape (n_labels,), or None
        What is added to the logit of each label: a preference for rare labels.
    """

    rankers: tuple[Ranker, ...]
    final: FinalRanker
    counts: np.ndarray
    n_documents: int
    raised: np.ndarray | None = None

    def score(self, documents: Documents, k: int) -> sp.csr_array:
        """Return the logit of each label that any ranker proposes.

        Parameters
        ----------
        documents : Documents
        k : int
            How many labels are to be ranked. Above 100 every ranker proposes so many.

        Returns
        -------
        csr_array of float32, shape (n_documents, n_labels)
            Indices sorted. A label without an entry has a logit of -100 and a probability of 0.
            A document about which no ranker has anything to say has the most frequent labels,
            each with the share of training documents that have it.
        """
        n_proposals = N_PROPOSALS if k <= _MOST_WITHOUT_MORE else k
        parts = []
        for begin, end in blocks(len(documents), DOCUMENTS_AT_ONCE):
            some = documents.part(begin, end)
            proposed = self._proposed(some, n_proposals)
            columns = columns_of(self.rankers, some, proposed, self.counts)
            entries = (self._logits(columns, proposed), proposed.indices, proposed.indptr)
            parts.append(sp.csr_array(entries, shape=proposed.shape))
        scored = stacked(parts, len(self.counts))
        sizes = np.diff(scored.indptr)
        if (sizes == 0).any():
            scored = _filled(scored, *self._most_frequent(max(k, _MOST_WITHOUT_MORE)))
        return scored

    def logits_of(self, documents: Documents, candidates: sp.csr_array) -> np.ndarray:
        """Return the logits of some labels of each document, whether they are proposed or not.

        They do not depend on which other labels are asked for: those of proposed labels are those
        of `score` for `k` up to 100, and any other label has what it would have, had it been
        proposed besides.

        Parameters
        ----------
        documents : Documents
        candidates : csr_array, shape (n_documents, n_labels)
            Its entries are the pairs; indices sorted.

        Returns
        -------
        ndarray of float32, shape (candidates.nnz,)
        """
        found = []
        for begin, end in blocks(len(documents), DOCUMENTS_AT_ONCE):
            some, wanted = documents.part(begin, end), candidates[begin:end]
            proposed = self._proposed(some, N_PROPOSALS)
            columns = columns_of(self.rankers, some, proposed, self.counts, wanted)
            logits = self._logits(columns, wanted)
            nothing = np.repeat(np.diff(proposed.indptr) == 0, np.diff(wanted.indptr))
            logits[nothing] = self._logits_of_frequency(wanted.indices[nothing])
            found.append(logits)
        return np.concatenate([np.empty(0, np.float32), *found])

    def _proposed(self, documents: Documents, n: int) -> sp.csr_array:
        """Return what any ranker proposes, ones; the usual number is asked for once."""

        def ask() -> sp.csr_array:
            return union([ranker.propose(documents, n) for ranker in self.rankers])

        return documents.once(self, ask) if n == N_PROPOSALS else ask()

    def _logits(self, columns: np.ndarray, candidates: sp.csr_array) -> np.ndarray:
        logits = check_finite(self.final(columns).astype(np.float32))
        return logits if self.raised is None else logits + self.raised[candidates.indices]

    def rank(self, documents: Documents, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the `k` likeliest labels of each document.

        Returns
        -------
        labels : ndarray of int64, shape (n_documents, k)
            The likeliest first; of equal ones that with the smaller number.
        logits : ndarray of float32, shape (n_documents, k)
            Of the probabilities that they are right.
        """
        labels = np.empty((len(documents), k), dtype=np.int64)
        logits = np.empty((len(documents), k), dtype=np.float32)
        for begin, end in blocks(len(documents), DOCUMENTS_AT_ONCE):
            scored = self.score(documents.part(begin, end), k)
            labels[begin:end], logits[begin:end] = best(scored, k)
        return labels, logits

    @cached_property
    def _by_frequency(self) -> np.ndarray:
        return np.argsort(-self.counts, kind="stable")

    def _most_frequent(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.sort(self._by_frequency[:n])
        labels = labels[self.counts[labels] > 0]
        return labels, self._logits_of_frequency(labels)

    def _logits_of_frequency(self, labels: np.ndarray) -> np.ndarray:
        counts = self.counts[labels]
        logits = np.where(counts > 0, logit(counts / self.n_documents), LOWEST)
        return logits.astype(np.float32)


def best(scored: sp.csr_array, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the `k` labels with the largest logits of each row, and these logits.

    Where there are fewer, the first of the other labels follow, with a logit of -100.
    """
    sizes = np.diff(scored.indptr)
    row = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((scored.indices, -scored.data, row))
    rank = np.arange(scored.nnz) - np.repeat(scored.indptr[:-1], sizes)
    kept = rank < k
    labels = np.full((len(sizes), k), -1, dtype=np.int64)
    logits = np.full((len(sizes), k), LOWEST, dtype=np.float32)
    labels[row[kept], rank[kept]] = scored.indices[order][kept]
    logits[row[kept], rank[kept]] = scored.data[order][kept]
    for i in np.flatnonzero(sizes < k):
        own = scored.indices[scored.indptr[i] : scored.indptr[i + 1]]
        others = np.setdiff1d(np.arange(min(k, scored.shape[1])), own)
        labels[i, len(own) :] = others[: k - len(own)]
    return labels, logits


def _filled(scored: sp.csr_array, labels: np.ndarray, logits: np.ndarray) -> sp.csr_array:
    """Return the matrix with these entries in each row that has none."""
    sizes = np.diff(scored.indptr)
    empty = np.flatnonzero(sizes == 0)
    sizes[empty] = len(labels)
    pointers = np.concatenate([[0], np.cumsum(sizes)])
    data = np.empty(pointers[-1], dtype=np.float32)
    indices = np.empty(pointers[-1], dtype=scored.indices.dtype)
    given = np.repeat(np.isin(np.arange(len(sizes)), empty), sizes)
    data[~given], indices[~given] = scored.data, scored.indices
    data[given], indices[given] = np.tile(logits, len(empty)), np.tile(labels, len(empty))
    return sp.csr_array((data, indices, pointers), shape=scored.shape)


def counts_of(y: sp.csr_array) -> np.ndarray:
    """Return how many documents each label has, int64."""
    return np.bincount(y.indices, minlength=y.shape[1]).astype(np.int64)
