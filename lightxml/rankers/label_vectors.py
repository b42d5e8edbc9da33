"""The ranker "label_vectors": the labels whose texts an encoder puts near the document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from lightxml.rankers.base import Documents
from lightxml.rankers.sparse import (
    best_of_owners,
    blocks,
    destinations,
    grouped,
    largest,
    ranges,
    stacked,
)
from lightxml.rankers.stored import checked, count, numbers_below
from lightxml.rankers.vectors import centre_of, directions

_COSINES_AT_ONCE = 2**24
_NUMBERS_AT_ONCE = 2**22


@dataclass(frozen=True)
class LabelVectors:
    """The vectors of the labels' texts; what they say is the cosine with the document's vector.

    It is ``cos(x - c, t - c)`` of document x and text t, with c the mean of the training documents'
    vectors, which says nothing of any. Of several texts of a label the best one counts.

    Attributes
    ----------
    n_labels : int
    owners : ndarray of int32, shape (n_texts,)
        The label of each text, in rising order. Labels may have no text, or several.
    centre : ndarray of float32, shape (width,)
    keys : ndarray of float32, shape (n_texts, width)
        The texts' vectors less the centre, of length 1, with the values that float16 has, in which
        they are saved.

    References
    ----------
    Reimers and Gurevych, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks",
    EMNLP 2019.
    """

    name: ClassVar[str] = "label_vectors"

    n_labels: int
    owners: np.ndarray
    centre: np.ndarray
    keys: np.ndarray

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what `score` says."""
        return ("cosine of vectors",)

    def propose(self, documents: Documents, k: int) -> sp.csr_array:
        """Return the labels with the largest cosines, as `Ranker.propose` does."""
        n_texts = min(k if self._most_texts == 1 else 3 * k, len(self.keys))
        if not n_texts:
            return sp.csr_array((len(documents), self.n_labels), dtype=np.float32)
        found = []
        for begin, end in blocks(len(documents), max(1, _COSINES_AT_ONCE // len(self.keys))):
            cosines = self._directions(documents.part(begin, end)) @ self.keys.T
            nearest = np.argpartition(-cosines, n_texts - 1, axis=1)[:, :n_texts]
            entries = (
                np.take_along_axis(cosines, nearest, axis=1).ravel(),
                nearest.ravel(),
                np.arange(0, nearest.size + 1, n_texts),
            )
            of_texts = sp.csr_array(entries, shape=cosines.shape)
            found.append(largest(best_of_owners(of_texts, self.owners, self.n_labels), k))
        return stacked(found, self.n_labels)

    def score(self, documents: Documents, candidates: sp.csr_array) -> np.ndarray:
        """Return the cosines of the candidates, as `Ranker.score` does; 0 without a text."""
        scores = np.zeros((candidates.nnz, 1), dtype=np.float32)
        row = np.repeat(np.arange(len(documents)), np.diff(candidates.indptr))
        label = candidates.indices
        has_text = np.flatnonzero(self._starts[label] < self._starts[label + 1])
        queries = self._directions(documents)
        n_texts = self._starts[label[has_text] + 1] - self._starts[label[has_text]]
        for begin, end in grouped(n_texts * self.keys.shape[1], _NUMBERS_AT_ONCE):
            pairs = has_text[begin:end]
            text, first = ranges(self._starts[label[pairs]], self._starts[label[pairs] + 1])
            row_of_text = np.repeat(row[pairs], np.diff(np.append(first, len(text))))
            cosines = np.einsum("ij,ij->i", queries[row_of_text], self.keys[text])
            scores[pairs, 0] = np.maximum.reduceat(cosines, first)
        return scores

    def replaced(self, labels: np.ndarray, owners: np.ndarray, vectors: np.ndarray) -> LabelVectors:
        """Return the ranker with other texts of some labels; the centre stays.

        Parameters
        ----------
        labels : ndarray of int64
            Their earlier texts go.
        owners : ndarray of int64, shape (n_texts,)
            The label of each new text.
        vectors : ndarray of float, shape (n_texts, width)
        """
        stays = ~np.isin(self.owners, labels)
        keys = directions(vectors, self.centre)
        filled = keys.any(axis=1)
        halves = keys[filled].astype(np.float16).astype(np.float32)
        together = np.concatenate([self.owners[stays], owners[filled].astype(np.int32)])
        order = np.argsort(together, kind="stable")
        keys = np.concatenate([self.keys[stays], halves])[order]
        return LabelVectors(self.n_labels, together[order], self.centre, keys)

    def relabeled(self, source: np.ndarray) -> LabelVectors:
        """Return the vectors of other labels, as `Ranker.relabeled` does; new ones have none."""
        owners = destinations(source, self.n_labels)[self.owners]
        kept = owners >= 0
        return LabelVectors(
            len(source), owners[kept].astype(np.int32), self.centre, self.keys[kept]
        )

    def describe(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return settings and arrays, as `Ranker.describe` does."""
        settings = {"n_labels": self.n_labels, "width": int(self.keys.shape[1])}
        return settings, {
            "owners": self.owners,
            "centre": self.centre,
            "keys": self.keys.astype(np.float16),
        }

    @classmethod
    def made_of(cls, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> LabelVectors:
        """Return the ranker that `describe` described.

        Raises
        ------
        ValueError
            If the arrays are not such as `describe` gives them.
        """
        n_labels, width = (count(settings, name, least=1) for name in ("n_labels", "width"))
        owners = numbers_below(arrays, "owners", np.int32, below=n_labels)
        if (np.diff(owners) < 0).any():
            raise ValueError("its texts are not in the order of their labels")
        keys = checked(arrays, "keys", np.float16, (len(owners), width)).astype(np.float32)
        if not np.allclose(np.linalg.norm(keys, axis=1), 1, atol=1e-2):
            raise ValueError("its keys are not of length 1")
        return cls(n_labels, owners, checked(arrays, "centre", np.float32, width), keys)

    @cached_property
    def _starts(self) -> np.ndarray:
        """Where each label's texts begin, shape (n_labels + 1,)."""
        return np.searchsorted(self.owners, np.arange(self.n_labels + 1)).astype(np.int64)

    @cached_property
    def _most_texts(self) -> int:
        return int(np.diff(self._starts).max(initial=1))

    def _directions(self, documents: Documents) -> np.ndarray:
        assert documents.vectors is not None
        return directions(documents.vectors, self.centre)


def fit_label_vectors(
    texts: Sequence[Sequence[str]], vectors: np.ndarray, documents: Documents
) -> LabelVectors:
    """Return the ranker of these labels.

    Parameters
    ----------
    texts : sequence of sequences of str, length n_labels
        The texts of each label, or none.
    vectors : ndarray of float, shape (n_texts, width)
        Of all texts, label by label.
    documents : Documents
        For training; with vectors.
    """
    owners = np.repeat(np.arange(len(texts), dtype=np.int32), [len(each) for each in texts])
    centre = centre_of(documents)
    keys = directions(vectors, centre)
    filled = np.flatnonzero(keys.any(axis=1))  # nothing is near a text at the centre
    return LabelVectors(
        len(texts), owners[filled], centre, keys[filled].astype(np.float16).astype(np.float32)
    )
