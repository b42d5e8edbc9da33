"""What every ranker does, and what it reads of documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
import scipy.sparse as sp

Found = TypeVar("Found")


@dataclass(frozen=True)
class Documents:
    """What rankers read of some documents.

    Attributes
    ----------
    rows : csr_array of float32, shape (n_documents, n_features)
        TF-IDF or other numbers, as `sparse.normalized` gives them: rows of length 1 or empty,
        indices sorted.
    texts : sequence of str, or None
        None where the documents are numbers.
    vectors : ndarray of float16, shape (n_documents, width), or None
        An encoder's, where a ranker compares them.
    encoded : Any
        What a network reads of them, with a length and `part` as here; None without a network.
    memo : dict
        What a ranker found when it proposed and reads again when it scores, by its `id`. It
        belongs to this object: a part of the documents, if not all, begins with an empty one.
    """

    rows: sp.csr_array
    texts: Sequence[str] | None = None
    vectors: np.ndarray | None = None
    encoded: Any = None
    memo: dict[int, Any] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    def once(self, ranker: Any, find: Callable[[], Found]) -> Found:
        """Return what a ranker finds in these documents; asked again, what it found before."""
        if id(ranker) not in self.memo:
            # With the ranker itself, so that its id is nobody else's for as long.
            self.memo[id(ranker)] = ranker, find()
        found: Found = self.memo[id(ranker)][1]
        return found

    def part(self, begin: int, end: int) -> Documents:
        """Return the documents from `begin` to before `end`; themselves, if that is all."""
        if begin == 0 and end >= len(self):
            return self
        texts = None if self.texts is None else self.texts[begin:end]
        vectors = None if self.vectors is None else self.vectors[begin:end]
        encoded = None if self.encoded is None else self.encoded.part(begin, end)
        return Documents(self.rows[begin:end], texts, vectors, encoded)


class Ranker(Protocol):
    """One opinion about which labels fit a document.

    A ranker is a frozen dataclass of arrays. It works through documents in blocks: nothing of the
    size documents x labels is made.
    """

    name: ClassVar[str]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what `score` says."""
        ...

    def propose(self, documents: Documents, k: int) -> sp.csr_array:
        """Return the likeliest labels of each document, at most `k`.

        Returns
        -------
        csr_array of float32, shape (n_documents, n_labels)
            The ranker's own first score of each, indices sorted. Which of equal ones are the last
            of the `k` depends on the document alone.
        """
        ...

    def score(self, documents: Documents, candidates: sp.csr_array) -> np.ndarray:
        """Return what the ranker says of some labels of each document.

        Parameters
        ----------
        documents : Documents
        candidates : csr_array, shape (n_documents, n_labels)
            Its entries are the pairs to be scored; its values do not count.

        Returns
        -------
        ndarray of float32, shape (candidates.nnz, len(columns))
            In the order of the entries. Independent of which other candidates are there.
        """
        ...

    def relabeled(self, source: np.ndarray) -> Self:
        """Return the ranker with other label columns.

        Parameters
        ----------
        source : ndarray of int64, shape (n_labels,)
            The present column of each label, rising; -1 for a label of which nothing is known.
            Columns that are not named are forgotten.
        """
        ...

    def describe(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return settings for a JSON file, and arrays; `made_of` makes the ranker of them."""
        ...
