"""The ranker "centroids": what a label's documents have in common, where they are too many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from lightxml.rankers.base import Documents
from lightxml.rankers.sparse import (
    blocks,
    heaviest,
    largest_of_product,
    narrow,
    normalized,
    ones_of,
    products_at,
    relabeled_rows,
    scaled,
    stacked,
    transposed,
)
from lightxml.rankers.stored import as_halves, count, packed, unpacked

MOST_NEIGHBORS = 200_000  # documents; a search among more takes too long
_N_TERMS = 60
_LABELS_AT_ONCE = 4096  # the whole product of labels and terms would not fit


@dataclass(frozen=True)
class Centroids:
    """The sum of each label's documents, with length 1; what it says is the cosine.

    Its search takes time in proportion to documents times labels a term, while that of `Neighbors`
    grows with the square of the number of documents.

    Attributes
    ----------
    centroids : csr_array of float32, shape (n_labels, n_features)
        The 60 heaviest terms of each, with the values that float16 has; indices sorted.
    """

    name: ClassVar[str] = "centroids"

    centroids: sp.csr_array

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what `score` says."""
        return ("cosine of centroid",)

    @cached_property
    def _index(self) -> sp.csr_array:
        return transposed(self.centroids)

    def propose(self, documents: Documents, k: int) -> sp.csr_array:
        """Return the labels with the nearest centroids, as `Ranker.propose` does."""
        return largest_of_product(narrow(documents.rows), self._index, k)

    def score(self, documents: Documents, candidates: sp.csr_array) -> np.ndarray:
        """Return the cosines of the candidates, as `Ranker.score` does."""
        return products_at(documents.rows, self.centroids, self._index, candidates)[:, None]

    def relabeled(self, source: np.ndarray) -> Centroids:
        """Return the centroids of other labels, as `Ranker.relabeled` does."""
        return Centroids(relabeled_rows(self.centroids, source))

    def describe(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return settings and arrays, as `Ranker.describe` does."""
        n_labels, n_features = self.centroids.shape
        settings = {"n_labels": int(n_labels), "n_features": int(n_features)}
        return settings, packed("centroids", self.centroids)

    @classmethod
    def made_of(cls, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Centroids:
        """Return the ranker that `describe` described.

        Raises
        ------
        ValueError
            If the arrays are not such as `describe` gives them.
        """
        shape = count(settings, "n_labels"), count(settings, "n_features")
        return cls(unpacked("centroids", arrays, shape))


def fit_centroids(
    documents: Documents, y: sp.csr_array, *, sample_weight: np.ndarray | None = None
) -> Centroids:
    """Sum each label's documents.

    Parameters
    ----------
    documents : Documents
    y : csr_array, shape (n_documents, n_labels)
        An entry is a label of a document.
    sample_weight : ndarray of float, shape (n_documents,), or None
        The weight of each document; None for 1.

    References
    ----------
    Rocchio, "Relevance Feedback in Information Retrieval", 1971, without the negative part.
    """
    ones = ones_of(y)
    if sample_weight is not None:
        ones = scaled(ones, sample_weight)
    of_label, rows = transposed(ones), narrow(documents.rows)
    kept = []
    for begin, end in blocks(y.shape[1], _LABELS_AT_ONCE):
        sums = normalized(sp.csr_array(of_label[begin:end] @ rows))
        kept.append(heaviest(sums, _N_TERMS))
    centroids = stacked(kept, rows.shape[1])
    centroids.data = as_halves(centroids.data)
    return Centroids(centroids)
