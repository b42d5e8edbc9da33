"""The ranker "vectors": the labels of the training documents with the nearest encoder vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from lightxml.rankers.base import Documents
from lightxml.rankers.neighbors import NeighborsExplanation, values_at_column
from lightxml.rankers.sparse import (
    blocks,
    largest,
    narrow,
    ones_of,
    relabeled_columns,
    stacked,
    values_at,
)
from lightxml.rankers.stored import checked, count, packed_ones, unpacked_ones

_N_NEAREST = 30
_TEMPERATURE = 0.05
_COSINES_AT_ONCE = 2**24


@dataclass(frozen=True)
class Vectors:
    """The training documents' vectors; what they say is the share of each label of the nearest.

    The 30 nearest documents i have the votes ``weight_i exp(cos(x - c, x_i - c) / 0.05)``, with c
    the mean of the training documents' vectors, and a label's share is the sum of the votes of
    those with the label, divided by the sum of all.

    Attributes
    ----------
    centre : ndarray of float32, shape (width,)
    keys : ndarray of float16, shape (n_documents, width)
        The vectors less the centre, of length 1.
    y : csr_array of float32, shape (n_documents, n_labels)
        Ones.
    votes : ndarray of float32, shape (n_documents,)
        The weight of each document.

    References
    ----------
    Khandelwal et al., "Generalization through Memorization: Nearest Neighbor Language Models",
    ICLR 2020, equation 2.
    """

    name: ClassVar[str] = "vectors"

    centre: np.ndarray
    keys: np.ndarray
    y: sp.csr_array
    votes: np.ndarray

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what `score` says."""
        return ("share of 30",)

    @cached_property
    def _searched(self) -> np.ndarray:
        return self.keys.astype(np.float32)

    def propose(self, documents: Documents, k: int) -> sp.csr_array:
        """Return the labels with the largest shares, as `Ranker.propose` does."""
        return largest(self._shares(documents), k)

    def score(self, documents: Documents, candidates: sp.csr_array) -> np.ndarray:
        """Return the shares of the candidates, as `Ranker.score` does."""
        return values_at(self._shares(documents), candidates)[:, None]

    def joined(
        self, documents: Documents, y: sp.csr_array, sample_weight: np.ndarray | None = None
    ) -> Vectors:
        """Return the documents with more of them; the centre stays."""
        assert documents.vectors is not None
        keys = directions(documents.vectors, self.centre).astype(np.float16)
        votes = np.ones(len(documents)) if sample_weight is None else sample_weight
        return Vectors(
            self.centre,
            np.concatenate([self.keys, keys]),
            stacked([self.y, ones_of(y)], y.shape[1]),
            np.concatenate([self.votes, votes.astype(np.float32)]),
        )

    def relabeled(self, source: np.ndarray) -> Vectors:
        """Return the documents with other labels, as `Ranker.relabeled` does."""
        return Vectors(self.centre, self.keys, relabeled_columns(self.y, source), self.votes)

    def explain(self, document: Documents, label: int) -> NeighborsExplanation:
        """Return the nearest documents that have a label, for one document."""
        assert document.vectors is not None
        nearest, cosines, votes = (found[0] for found in self._nearest(document.vectors))
        order = np.argsort(-cosines, kind="stable")
        order = order[values_at_column(self.y, label)[nearest[order]]]
        return NeighborsExplanation(nearest[order], cosines[order], votes[order])

    def describe(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return settings and arrays, as `Ranker.describe` does."""
        n_documents, width = self.keys.shape
        settings = {"n_documents": n_documents, "width": width, "n_labels": int(self.y.shape[1])}
        arrays = {"centre": self.centre, "keys": self.keys, "votes": self.votes}
        return settings, {**arrays, **packed_ones("y", self.y)}

    @classmethod
    def made_of(cls, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Vectors:
        """Return the ranker that `describe` described.

        Raises
        ------
        ValueError
            If the arrays are not such as `describe` gives them.
        """
        n, width, n_labels = (
            count(settings, name, least=1) for name in ("n_documents", "width", "n_labels")
        )
        keys = checked(arrays, "keys", np.float16, (n, width))
        votes = checked(arrays, "votes", np.float32, n)
        if votes.min(initial=0) < 0:
            raise ValueError("votes are negative")
        centre = checked(arrays, "centre", np.float32, width)
        return cls(centre, keys, unpacked_ones("y", arrays, (n, n_labels)), votes)

    def _shares(self, documents: Documents) -> sp.csr_array:
        """Return the shares of all labels of the nearest documents, searched for once."""
        return documents.once(self, lambda: self._search(documents))

    def _search(self, documents: Documents) -> sp.csr_array:
        assert documents.vectors is not None
        size = max(1, _COSINES_AT_ONCE // len(self.keys))
        found = []
        for begin, end in blocks(len(documents), size):
            nearest, _, votes = self._nearest(documents.vectors[begin:end])
            pointers = np.arange(0, votes.size + 1, votes.shape[1])
            shape = (end - begin, len(self.keys))
            attention = sp.csr_array((votes.ravel(), nearest.ravel(), pointers), shape=shape)
            found.append(sp.csr_array(narrow(attention) @ self.y))
        shares = stacked(found, self.y.shape[1])
        shares.sort_indices()
        return shares

    def _nearest(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return which documents are nearest, in rising order, their cosines and their votes.

        Returns
        -------
        three ndarrays of shape (n_documents, at most 30), int64, float32 and float32
            The votes of a document sum up to 1.
        """
        n_nearest = min(_N_NEAREST, len(self.keys))
        cosines = directions(vectors, self.centre) @ self._searched.T
        nearest = np.argpartition(-cosines, n_nearest - 1, axis=1)[:, :n_nearest]
        nearest.sort(axis=1)
        cosine = np.take_along_axis(cosines, nearest, axis=1)
        votes = np.exp((cosine - cosine.max(axis=1, keepdims=True)) / _TEMPERATURE)
        votes *= self.votes[nearest]
        votes /= np.maximum(votes.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return nearest, cosine, votes


def fit_vectors(
    documents: Documents, y: sp.csr_array, *, sample_weight: np.ndarray | None = None
) -> Vectors:
    """Return the training documents as neighbors.

    Parameters
    ----------
    documents : Documents
        With vectors.
    y : csr_array, shape (n_documents, n_labels)
    sample_weight : ndarray of float, shape (n_documents,), or None
        Their votes; None: 1 each.
    """
    assert documents.vectors is not None
    centre = centre_of(documents)
    keys = directions(documents.vectors, centre).astype(np.float16)
    votes = np.ones(len(documents)) if sample_weight is None else sample_weight
    return Vectors(centre, keys, narrow(ones_of(y)), votes.astype(np.float32))


def centre_of(documents: Documents) -> np.ndarray:
    """Return the mean of the documents' vectors, float32 of shape (width,)."""
    assert documents.vectors is not None
    return documents.vectors.mean(axis=0, dtype=np.float64).astype(np.float32)


def directions(vectors: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return vectors less a centre, of length 1, float32; those at the centre stay 0."""
    moved = vectors.astype(np.float32) - centre
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    return moved / np.maximum(lengths, np.finfo(np.float32).tiny)
