"""How a panel goes on: more documents, more labels, other texts; labels that go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from lightxml.rankers.base import Documents, Ranker
from lightxml.rankers.fit_final import judge
from lightxml.rankers.fit_panel import Fitted
from lightxml.rankers.label_texts import LabelTexts, fit_label_rows, renewed
from lightxml.rankers.label_tree import LabelTree
from lightxml.rankers.label_vectors import LabelVectors
from lightxml.rankers.linear import Linear
from lightxml.rankers.neighbors import N_LIKELY, Neighbors
from lightxml.rankers.panel import Panel, counts_of
from lightxml.rankers.sparse import narrow
from lightxml.rankers.vectors import Vectors

# Chosen on validation documents of tibkat_gnd_en: less is fitted anew, and it ranks as well
# (docs/experiments/updating.md).
_MISTAKEN = 0.0  # from this margin on, a classifier has taken a new document for its own
_MOST_IN_TREE = 10  # documents of a label; with more, its classifier in the label tree stays
# Chosen on validation documents of cve_libs, in parts of 276.
_FEWEST_TO_JUDGE = 250  # new documents; of fewer, the final ranker stays


@dataclass(frozen=True)
class NewTexts:
    """The texts of labels, some of them new.

    Attributes
    ----------
    texts : sequence of sequences of str, or csr_array
        Of all labels; where X is numeric, a row for each.
    changed : ndarray of int64
        The labels whose texts are not those of before.
    vectors : ndarray of float, shape (n_changed_texts, width), or None
        An encoder's, of the texts of the changed labels, label by label.
    """

    texts: Sequence[Sequence[str]] | sp.csr_array
    changed: np.ndarray
    vectors: np.ndarray | None = None


def relabeled(panel: Panel, source: np.ndarray) -> Panel:
    """Return the panel with other labels; `Ranker.relabeled` says what `source` is."""
    counts = np.where(source < 0, 0, panel.counts[source])
    rankers = tuple(ranker.relabeled(source) for ranker in panel.rankers)
    return replace(panel, rankers=rankers, counts=counts)


def widened(panel: Panel, n_features: int) -> Panel:
    """Return the panel for documents with more features than before, behind the others."""
    rankers = tuple(
        ranker.widened(n_features) if isinstance(ranker, Linear | LabelTree | Neighbors) else ranker
        for ranker in panel.rankers
    )
    return replace(panel, rankers=rankers)


def with_texts(
    panel: Panel, new: NewTexts, documents: Documents, seen: Callable[[Sequence[str]], np.ndarray]
) -> Panel:
    """Return the panel with other texts of labels.

    Parameters
    ----------
    panel : Panel
        With "label_texts", of these labels.
    new : NewTexts
    documents : Documents
        Those that come at the same time; their words are counted.
    seen : callable
        Given words that no label's text had before, in how many earlier documents each stands,
        int64.
    """
    rankers: list[Ranker] = []
    for ranker in panel.rankers:
        if isinstance(ranker, LabelTexts):
            if sp.issparse(new.texts):
                ranker = fit_label_rows(new.texts)
            else:
                ranker = renewed(ranker, new.texts, documents, seen)
        elif isinstance(ranker, LabelVectors) and new.vectors is not None:
            assert not sp.issparse(new.texts)
            sizes = [len(new.texts[label]) for label in new.changed.tolist()]
            ranker = ranker.replaced(new.changed, np.repeat(new.changed, sizes), new.vectors)
        rankers.append(ranker)
    return replace(panel, rankers=tuple(rankers))


def with_final(
    panel: Panel,
    documents: Documents,
    y: sp.csr_array,
    final_ranker: Any,
    *,
    seed: int,
    sample_weight: np.ndarray | None = None,
) -> Fitted:
    """Return the panel with a final ranker by new documents, if that ranks these better.

    Until they join, they are documents held out. From 250 documents on, a final ranker is fitted on
    what the rankers say of them. It takes the place of the present one if the mean of the
    precisions at 1, 3 and 5 is higher, each document judged by folds without it.

    Parameters
    ----------
    panel : Panel
        Of the labels of `y`.
    documents : Documents
        The new ones, as all rankers read them.
    y : csr_array, shape (n_documents, n_labels)
    final_ranker : "auto", None or a classifier with `predict_proba`
        None: the panel stays as it is.
    seed : int
    sample_weight : ndarray of float, shape (n_documents,), or None

    Returns
    -------
    Fitted
        Without `scored` where the final ranker stays.
    """
    if final_ranker is None or len(documents) < _FEWEST_TO_JUDGE:
        return Fitted(panel, None, None)
    weights = np.ones(len(documents)) if sample_weight is None else sample_weight
    rng = np.random.default_rng(seed)
    how = (panel.counts, weights, rng, seed)
    final, scored = judge(final_ranker, panel.rankers, documents, y, *how, present=panel.final)
    return Fitted(replace(panel, final=final), scored, None if scored is None else y)


def with_documents(
    panel: Panel,
    documents: Documents,
    y: sp.csr_array,
    *,
    seed: int,
    sample_weight: np.ndarray | None = None,
    n_jobs: int | None = None,
) -> Panel:
    """Return the panel with more documents; the final ranker and a network stay as they are.

    The documents join the neighbors. Linear classifiers are fitted anew, on all documents, of the
    labels that the new ones have, and of the labels that take a new document for theirs.

    Parameters
    ----------
    panel : Panel
        Of the labels of `y`. Its rankers keep their training documents: `keeps_documents`.
    documents : Documents
        The new ones.
    y : csr_array, shape (n_documents, n_labels)
    seed : int
    sample_weight : ndarray of float, shape (n_documents,), or None
    n_jobs : int or None
    """
    if not len(documents):
        return panel
    memory = next((each for each in panel.rankers if isinstance(each, Neighbors)), None)
    more: dict[str, Any] = {"seed": seed, "n_jobs": n_jobs}
    together = memory
    if memory is not None:
        together = memory.joined(documents, y, sample_weight)
        more["sample_weight"] = together.votes
    rankers: list[Ranker] = []
    for ranker in panel.rankers:
        if isinstance(ranker, Neighbors):
            assert together is not None
            ranker = together
        elif isinstance(ranker, Vectors):
            ranker = ranker.joined(documents, y, sample_weight)
        elif isinstance(ranker, Linear):
            assert together is not None
            labels = np.union1d(y.indices, _mistaken(ranker, documents, y))
            likely = _likely(together, labels, panel.counts)
            every = Documents(together.rows)
            ranker = ranker.update(every, together.y, likely, labels, **more)
        elif isinstance(ranker, LabelTree):
            assert together is not None
            labels = np.unique(y.indices).astype(np.int64)
            labels = labels[panel.counts[labels] < _MOST_IN_TREE]
            ranker = ranker.update(Documents(together.rows), together.y, labels, **more)
        rankers.append(ranker)
    return replace(
        panel,
        rankers=tuple(rankers),
        counts=panel.counts + counts_of(y),
        n_documents=panel.n_documents + len(documents),
    )


def keeps_documents(panel: Panel) -> bool:
    """Tell whether the rankers keep what `with_documents` fits them on."""
    needs = any(isinstance(each, Linear | LabelTree) for each in panel.rankers)
    is_kept = any(isinstance(each, Neighbors) for each in panel.rankers)
    is_by_vectors = any(isinstance(each, Vectors) for each in panel.rankers)
    return is_kept or (is_by_vectors and not needs)


def _mistaken(ranker: Linear, documents: Documents, y: sp.csr_array) -> np.ndarray:
    """Return the labels whose classifiers take a new document for theirs."""
    found = ranker.propose(documents, N_LIKELY)
    return np.unique(found.indices[found.data > _MISTAKEN])


def _likely(neighbors: Neighbors, labels: np.ndarray, counts: np.ndarray) -> sp.csr_array:
    """Return which documents the classifiers of some labels must tell from the labels' own.

    Those for which a label was likely when they came; and for a label that had no document then,
    those that are near its own.

    Parameters
    ----------
    neighbors : Neighbors
        All documents, the new ones last.
    labels : ndarray of int64
    counts : ndarray of int64, shape (n_labels,)
        Earlier documents of each label.

    Returns
    -------
    csr_array of float32, shape (n_documents, n_labels)
    """
    near = neighbors.near(labels[counts[labels] == 0])
    told = sp.csr_array(neighbors.y.shape, dtype=np.float32)
    if neighbors.told is not None:
        told = neighbors.told
    found: sp.csr_array = narrow(sp.csr_array(told + near))
    return found
