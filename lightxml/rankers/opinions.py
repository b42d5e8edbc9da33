"""What all rankers say of all candidates, as the columns that a final ranker reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from lightxml.rankers.base import Documents, Ranker
from lightxml.rankers.sparse import blocks, has_entries, stacked, union

DOCUMENTS_AT_ONCE = 256


@dataclass(frozen=True)
class Opinions:
    """Candidates and what is said of them.

    Attributes
    ----------
    candidates : csr_array of float32, shape (n_documents, n_labels)
        Ones, where any ranker proposed the label; indices sorted.
    columns : ndarray of float32, shape (candidates.nnz, n_columns)
        `column_names` names them.
    """

    candidates: sp.csr_array
    columns: np.ndarray


def column_names(rankers: Sequence[Ranker]) -> tuple[str, ...]:
    """Return what each column says.

    Each of a ranker's columns, and how far it is below the ranker's best for the document: one
    frequent word ("History") is in many documents, but seldom the best that there is. Then how
    many training documents the label has, and how many features of the document are known.
    """
    said = [f"{ranker.name}: {column}" for ranker in rankers for column in ranker.columns]
    below = [f"{name}, below the best" for name in said]
    return (*said, *below, "documents of the label (log)", "features of the document (log)")


def opinions(
    rankers: Sequence[Ranker], documents: Documents, counts: np.ndarray, n_proposals: int
) -> Opinions:
    """Ask all rankers about each other's proposals.

    Parameters
    ----------
    rankers : sequence of Ranker
    documents : Documents
    counts : ndarray of int64, shape (n_labels,)
        Training documents of each label.
    n_proposals : int
        Of each ranker, for each document.
    """
    candidates, columns = [], []
    for begin, end in blocks(len(documents), DOCUMENTS_AT_ONCE):
        some = documents.part(begin, end)
        found = union([ranker.propose(some, n_proposals) for ranker in rankers])
        candidates.append(found)
        columns.append(columns_of(rankers, some, found, counts))
    n_columns = len(column_names(rankers))
    return Opinions(
        stacked(candidates, len(counts)),
        np.concatenate([np.empty((0, n_columns), np.float32), *columns]),
    )


def columns_of(
    rankers: Sequence[Ranker],
    documents: Documents,
    candidates: sp.csr_array,
    counts: np.ndarray,
    wanted: sp.csr_array | None = None,
) -> np.ndarray:
    """Return the columns of some pairs of document and label, as `column_names` names them.

    Parameters
    ----------
    rankers : sequence of Ranker
    documents : Documents
    candidates : csr_array, shape (n_documents, n_labels)
        Among them is the best of each ranker that the others are compared with.
    counts : ndarray of int64, shape (n_labels,)
        Training documents of each label.
    wanted : csr_array of the same shape, or None
        The pairs, indices sorted; None: the candidates. One that is no candidate is compared with
        the candidates and itself: what is said of it does not depend on the other pairs.
    """
    together = candidates if wanted is None else union([candidates, wanted])
    said = np.concatenate([ranker.score(documents, together) for ranker in rankers], axis=1)
    compared = said
    if wanted is not None:
        compared = np.where(has_entries(candidates, together)[:, None], said, -np.inf)
    sizes = np.diff(together.indptr)
    filled = np.flatnonzero(sizes)
    below = said
    if len(filled):  # reduceat takes no empty row
        best = np.maximum.reduceat(compared, together.indptr[filled], axis=0)
        below = np.minimum(said - np.repeat(best, sizes[filled], axis=0), 0)
    if wanted is not None:
        asked = has_entries(wanted, together)
        said, below = said[asked], below[asked]
        together, sizes = wanted, np.diff(wanted.indptr)
    of_label = np.log1p(counts[together.indices])
    of_document = np.repeat(np.log1p(np.diff(documents.rows.indptr)), sizes)
    return np.concatenate(
        [said, below, of_label[:, None], of_document[:, None]], axis=1, dtype=np.float32
    )
