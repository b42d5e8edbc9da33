"""How a panel is fitted: rankers, their opinions of documents held out, the final ranker, and
then the rankers again with all documents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp

from lightxml.rankers import held_out as drawn
from lightxml.rankers.base import Documents, Ranker
from lightxml.rankers.final import FinalRanker, mean_of
from lightxml.rankers.fit_final import choose_final, judge
from lightxml.rankers.label_texts import LabelTexts, fit_label_rows, fit_label_texts
from lightxml.rankers.label_tree import FEWEST_LABELS, LabelTree, fit_label_tree
from lightxml.rankers.label_vectors import fit_label_vectors
from lightxml.rankers.linear import Linear, fit_linear
from lightxml.rankers.neighbors import N_LIKELY, Neighbors, fit_neighbors
from lightxml.rankers.opinions import Opinions, opinions
from lightxml.rankers.panel import N_PROPOSALS, Panel, counts_of
from lightxml.rankers.sparse import narrow, ones_of, stacked
from lightxml.rankers.vectors import fit_vectors

_N_FOLDS = 5  # where documents are few


# Given a name and what fits, it fits, or returns what was fitted before.
Keep: TypeAlias = Callable[[str, Callable[[], Linear]], Linear]


@dataclass(frozen=True)
class Training:
    """What rankers learn from, and how.

    Attributes
    ----------
    documents : Documents
    y : csr_array, shape (n_documents, n_labels)
        An entry is a label of a document. Labels may have none.
    weights : ndarray of float, shape (n_documents,)
    names : tuple of str
        The rankers. Where documents have vectors, neighbors by these join "neighbors".
    label_texts : sequence of sequences of str, csr_array or None
        As `fit_label_texts` or, where X is numeric, `fit_label_rows` takes them.
    seed : int
    n_jobs : int or None
    network : callable or None
        Given which labels have a training document, (n_labels,), it returns the ranker "network".
    has_tree : bool
        Whether a label tree goes with "linear".
    label_vectors : ndarray of float, shape (n_texts, width), or None
        An encoder's, of all texts, label by label.
    keep : callable or None
        Given a name and what fits linear classifiers, it returns them; as they were fitted before,
        where it has kept them.
    say : callable
        It is told what is about to be done.
    """

    documents: Documents
    y: sp.csr_array
    weights: np.ndarray
    names: tuple[str, ...]
    label_texts: Sequence[Sequence[str]] | sp.csr_array | None
    seed: int
    n_jobs: int | None
    network: Callable[[np.ndarray], Ranker] | None = None
    has_tree: bool = False
    label_vectors: np.ndarray | None = None
    keep: Keep | None = None
    say: Callable[[str], None] = lambda text: None

    def rows(self, numbers: np.ndarray) -> Training:
        """Return some of the documents."""
        return self._with(some(self.documents, numbers), self.y[numbers], self.weights[numbers])

    def without(self, labels: np.ndarray) -> Training:
        """Return all documents, but none with one of these labels."""
        is_hidden = np.zeros(self.y.shape[1], dtype=bool)
        is_hidden[labels] = True
        y = self.y.copy()
        y.data = np.where(is_hidden[y.indices], 0, 1).astype(np.int8)
        y.eliminate_zeros()
        return self._with(self.documents, y, self.weights)

    def _with(self, documents: Documents, y: sp.csr_array, weights: np.ndarray) -> Training:
        return replace(self, documents=documents, y=y, weights=weights)


@dataclass(frozen=True)
class Fitted:
    """A panel, and what it said of documents that its rankers had not learnt from.

    Attributes
    ----------
    panel : Panel
    scored : csr_array of float32, shape (n_held_out, n_labels), or None
        The logits of their candidates, of final rankers that were not shown the document either.
        None where nothing was held out.
    y : csr_array, shape (n_held_out, n_labels), or None
    """

    panel: Panel
    scored: sp.csr_array | None
    y: sp.csr_array | None


def fit_panel(
    documents: Documents,
    y: sp.csr_array,
    *,
    names: tuple[str, ...],
    label_texts: Sequence[Sequence[str]] | sp.csr_array | None = None,
    final_ranker: Any = "auto",
    validation: tuple[Documents, sp.csr_array] | None = None,
    held_out: tuple[np.ndarray, Documents] | None = None,
    network: Callable[[np.ndarray], Ranker] | None = None,
    label_vectors: np.ndarray | None = None,
    keep: Keep | None = None,
    say: Callable[[str], None] = lambda text: None,
    sample_weight: np.ndarray | None = None,
    seed: int,
    n_jobs: int | None = None,
) -> Fitted:
    """Fit all rankers and the final one.

    Parameters
    ----------
    documents : Documents
    y : csr_array, shape (n_documents, n_labels)
        An entry is a label of a document; labels that only have a text have none.
    names : tuple of str
        "linear", "neighbors", "label_texts", "network": any of them.
    label_texts : sequence of sequences of str, csr_array or None
        The texts of each label; where X is numeric, a row for each label.
    final_ranker : "auto", None or a classifier with `predict_proba`
        "auto": gradient-boosted trees; None: the plain mean of the rankers' probabilities, and
        nothing is held out.
    validation : (Documents, csr_array) or None
        Documents that fit the final ranker and never join the rankers. None: documents are held
        out, and join the rankers afterwards.
    held_out : (ndarray of int64, Documents) or None
        The numbers of the documents to hold out, rising, and these documents: where the caller
        has drawn them, since a network must not have learnt from them.
    network : callable or None
        Of the ranker "network", which is fitted before, on what is not held out: given which
        labels have a training document, bool of shape (n_labels,), it returns it. With it come
        `held_out` or `validation`, unless `final_ranker` is None.
    label_vectors : ndarray of float, shape (n_texts, width), or None
        An encoder's, of all label texts, label by label: with them, "label_texts" compares
        vectors too.
    keep : callable or None
        As `Training` has it, so that a fit that was killed goes on. Not asked for folds, which are
        of few documents.
    say : callable
        As `Training` has it.
    sample_weight : ndarray of float, shape (n_documents,), or None
    seed : int
        It draws documents and labels, and is that of every ranker.
    n_jobs : int or None

    Returns
    -------
    Fitted
    """
    weights = np.ones(len(documents)) if sample_weight is None else sample_weight
    # Decided once: folds and the documents held out see the same columns.
    has_tree = (counts_of(y) > 0).sum() >= FEWEST_LABELS
    training = Training(
        documents,
        y,
        weights,
        names,
        label_texts,
        seed,
        n_jobs,
        network,
        has_tree,
        label_vectors,
        keep,
        say,
    )
    if final_ranker is None:
        rankers = fit_rankers(training)
        return Fitted(_panel(training, rankers, mean_of(rankers)), None, None)
    if validation is None and held_out is None and len(documents) < drawn.SMALL:
        return _fit_by_folds(replace(training, keep=None), final_ranker)
    rng = np.random.default_rng(seed)
    if validation is None:
        if held_out is None:
            held = drawn.draw_held_out(documents, drawn.n_held_out(len(documents)), rng)
            new = some(documents, held)
        else:
            held, new = held_out
        learned = training.rows(np.setdiff1d(np.arange(len(documents)), held))
        y_new, weights_new = y[held], weights[held]
    else:
        learned, (new, y_new) = training, validation
        weights_new = np.ones(len(new))
    hidden = np.empty(0, dtype=np.int64)
    if "label_texts" in names:
        hidden = drawn.draw_hidden(counts_of(learned.y), rng)
        learned = learned.without(hidden)
    rankers = fit_rankers(learned)
    counts = counts_of(learned.y)
    final, scored = judge(final_ranker, rankers, new, y_new, counts, weights_new, rng, seed, say)
    held = np.empty(0, dtype=np.int64) if validation else held
    rankers = _join(rankers, training, hidden, held)
    return Fitted(_panel(training, rankers, final), scored, y_new)


def fit_rankers(training: Training) -> tuple[Ranker, ...]:
    """Fit the rankers of these names on all the documents."""
    nothing = np.empty(0, dtype=np.int64)
    return _join((), training, nothing, nothing)


def _join(
    earlier: tuple[Ranker, ...], training: Training, hidden: np.ndarray, held: np.ndarray
) -> tuple[Ranker, ...]:
    """Return the rankers of all the documents.

    Parameters
    ----------
    earlier : tuple of Ranker
        Fitted without `hidden` and `held`, if at all: then only the classifiers of labels that
        these concern are fitted.
    training : Training
    hidden : ndarray of int64
        Labels.
    held : ndarray of int64
        The numbers of documents, rising.
    """
    documents, y, weights = training.documents, training.y, training.weights
    rankers: list[Ranker] = []
    if not documents.rows.shape[1]:  # vectors alone, or a network
        return tuple(_others(training))
    training.say(f"Neighbors of {len(documents):,} documents")
    neighbors = fit_neighbors(documents, y, sample_weight=weights)
    if "linear" in training.names:
        nearby = next((each for each in earlier if isinstance(each, Neighbors)), None)
        if nearby is None:
            likely = neighbors.likely(N_LIKELY, training.n_jobs)
        else:
            likely = _likely_for_more(nearby, neighbors, documents, hidden, held)
        neighbors = replace(neighbors, told=ones_of(likely))
        more: dict[str, Any] = {
            "seed": training.seed,
            "sample_weight": weights,
            "n_jobs": training.n_jobs,
        }
        labels = np.union1d(hidden, y[held].indices)  # whose classifiers are fitted anew
        before = next((each for each in earlier if isinstance(each, Linear)), None)
        if before is None:
            training.say(f"Linear classifiers of {y.shape[1]:,} labels")
            name, fit = "linear-first", partial(fit_linear, documents, y, likely, **more)
        else:
            training.say(f"Linear classifiers of {len(labels):,} labels, with all documents")
            name, fit = "linear", partial(before.update, documents, y, likely, labels, **more)
        rankers.append(fit() if training.keep is None else training.keep(name, fit))
        tree = next((each for each in earlier if isinstance(each, LabelTree)), None)
        if tree is not None:
            training.say(f"Label tree of {len(labels):,} labels, with all documents")
            rankers.append(tree.update(documents, y, labels, **more))
        elif training.has_tree:
            training.say(f"Label tree of {y.shape[1]:,} labels")
            rankers.append(fit_label_tree(documents, y, **more))
    if "neighbors" in training.names:
        rankers.append(neighbors)
    return (*rankers, *_others(training))


def _likely_for_more(
    earlier: Neighbors,
    neighbors: Neighbors,
    documents: Documents,
    hidden: np.ndarray,
    held: np.ndarray,
) -> sp.csr_array:
    """Return the likely labels of all documents, without a new search for most of them.

    Those that `earlier` found; of the documents held out what it says of them; and a label that was
    hidden for the documents near its own. The arguments are those of `_join`.
    """
    assert earlier.told is not None  # made beside linear classifiers
    order = np.argsort(np.append(np.setdiff1d(np.arange(len(documents)), held), held))
    new = earlier.propose(some(documents, held), N_LIKELY)
    told = stacked([earlier.told, new], neighbors.y.shape[1])[order]
    likely: sp.csr_array = narrow(sp.csr_array(told + neighbors.near(hidden)))
    return likely


def _others(training: Training) -> list[Ranker]:
    """Return the rankers that need no sparse features."""
    rankers: list[Ranker] = []
    documents, y = training.documents, training.y
    if "neighbors" in training.names and documents.vectors is not None:
        rankers.append(fit_vectors(documents, y, sample_weight=training.weights))
    if "label_texts" in training.names:
        rankers.append(_fit_texts(training))
        if training.label_vectors is not None:
            assert training.label_texts is not None
            rankers.append(
                fit_label_vectors(training.label_texts, training.label_vectors, documents)
            )
    if training.network is not None:
        rankers.append(training.network(counts_of(y) > 0))
    return rankers


def _fit_texts(training: Training) -> LabelTexts:
    if sp.issparse(training.label_texts):
        return fit_label_rows(training.label_texts)
    assert training.label_texts is not None  # the caller's check
    return fit_label_texts(training.label_texts, training.documents)


def _fit_by_folds(training: Training, final_ranker: Any) -> Fitted:
    """Fit a panel where documents are few: each is once among those that are not learnt from.

    The final ranker is kept only where it ranks better than the best ranker alone does, as found
    by leaving out one fold after the other; else a logistic regression makes that ranker's scores
    probabilities.
    """
    rng = np.random.default_rng(training.seed)
    fold = drawn.draw_folds(training.documents, rng, _N_FOLDS)
    parts: list[Opinions] = []
    for number in np.unique(fold):
        training.say(f"Fold {number + 1} of {_N_FOLDS}")
        learned = training.rows(np.flatnonzero(fold != number))
        if "label_texts" in training.names:
            learned = learned.without(drawn.draw_hidden(counts_of(learned.y), rng))
        if learned.y.nnz == 0:  # then there is nothing to compare
            rankers = fit_rankers(training)
            return Fitted(_panel(training, rankers, mean_of(rankers)), None, None)
        new = some(training.documents, np.flatnonzero(fold == number))
        parts.append(opinions(fit_rankers(learned), new, counts_of(learned.y), N_PROPOSALS))
    order = np.argsort(fold, kind="stable")
    said = Opinions(
        stacked([part.candidates for part in parts], training.y.shape[1]),
        np.concatenate([part.columns for part in parts]),
    )
    y, weights, fold = training.y[order], training.weights[order], fold[order]
    rankers = fit_rankers(training)
    final, scored = choose_final(
        final_ranker, rankers, said, y, weights, fold, training.seed, alone=True
    )
    return Fitted(_panel(training, rankers, final), scored, y)


def some(documents: Documents, numbers: np.ndarray) -> Documents:
    """Return some documents, without what a network reads of them."""
    texts, vectors = documents.texts, documents.vectors
    return Documents(
        documents.rows[numbers],
        None if texts is None else [texts[i] for i in numbers.tolist()],
        None if vectors is None else vectors[numbers],
    )


def _panel(training: Training, rankers: tuple[Ranker, ...], final: FinalRanker) -> Panel:
    return Panel(rankers, final, counts_of(training.y), len(training.documents))
