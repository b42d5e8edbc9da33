"""How the final ranker is fitted on opinions, and when something simpler takes its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from lightxml.rankers.base import Documents, Ranker
from lightxml.rankers.final import (
    FinalRanker,
    Logistic,
    OfScikitLearn,
    mean_of,
)
from lightxml.rankers.held_out import FEWEST, draw_folds
from lightxml.rankers.opinions import Opinions, column_names, opinions
from lightxml.rankers.panel import N_PROPOSALS, best
from lightxml.rankers.sparse import ones_of, values_at
from lightxml.rankers.trees import Trees, read_out

_N_TREES, _RATE, _N_LEAVES, _SMALLEST_LEAF = 100, 0.08, 8, 50


_N_FOLDS_OF_PAIRS = 3  # for calibration


def judge(
    final_ranker: Any,
    rankers: tuple[Ranker, ...],
    documents: Documents,
    y: sp.csr_array,
    counts: np.ndarray,
    weights: np.ndarray,
    rng: np.random.Generator,
    seed: int,
    say: Callable[[str], None] = lambda text: None,
    present: FinalRanker | None = None,
) -> tuple[FinalRanker, sp.csr_array | None]:
    """Return a final ranker by what rankers say of documents that they have not learned from.

    Parameters
    ----------
    final_ranker : "auto" or a classifier with `predict_proba`
    rankers : tuple of Ranker
    documents : Documents
    y : csr_array, shape (n_documents, n_labels)
    counts : ndarray of int64, shape (n_labels,)
        Documents of each label that the rankers have learned from.
    weights : ndarray of float, shape (n_documents,)
    rng : numpy Generator
        It draws the folds.
    seed : int
    say : callable
        It is told what is about to be done.
    present : FinalRanker or None
        One that has seen none of the documents: it stays, unless the mean of the precisions at 1, 3
        and 5 is higher with the new one.

    Returns
    -------
    final : FinalRanker
    scored : csr_array of float32, shape (n_documents, n_labels), or None
        The logits of final rankers that were not shown the document either. None where the present
        one stays.
    """
    say(f"What the rankers say of {len(documents):,} documents that they have not learned from")
    said = opinions(rankers, documents, counts, N_PROPOSALS)
    fold = draw_folds(documents, rng, _N_FOLDS_OF_PAIRS)
    say(f"The final ranker, from {len(said.columns):,} pairs of document and label")
    is_small = len(documents) < FEWEST and present is None
    final, scored = choose_final(
        final_ranker, rankers, said, y, weights, fold, seed, alone=is_small
    )
    if present is not None:
        before = precision(_scored(said.candidates, present(said.columns)), y, weights)
        if precision(scored, y, weights) <= before:
            return present, None
    return final, scored


def choose_final(
    final_ranker: Any,
    rankers: tuple[Ranker, ...],
    said: Opinions,
    y: sp.csr_array,
    weights: np.ndarray,
    fold: np.ndarray,
    seed: int,
    *,
    alone: bool = False,
) -> tuple[FinalRanker, sp.csr_array]:
    """Return the final ranker, and the logits of folds that it was not shown.

    With `alone`, for few documents, a logistic regression on one ranker's columns takes its place
    where that ranks better, and the plain mean where nothing was learned. What is learned of ours
    is calibrated.
    """
    right = is_right(said.candidates, y)
    if right.all() or not right.any():  # nothing to tell apart
        final: FinalRanker = mean_of(rankers)
        return final, _scored(said.candidates, final(said.columns))
    fit = partial(_fit_final, final_ranker, seed)
    makers = [fit]
    alone = alone and final_ranker == "auto"
    if alone:
        makers.extend(partial(fit, used=used) for used in _columns_of_each(rankers))
    sizes = np.diff(said.candidates.indptr)
    of_pairs, fold = np.repeat(weights, sizes), np.repeat(fold, sizes)
    choices = []
    for make in makers:
        logits = np.zeros(len(right))
        for number in np.unique(fold):
            shown, new = fold != number, fold == number
            if right[shown].any() and not right[shown].all():
                final = make(said.columns[shown], right[shown], of_pairs[shown])
                logits[new] = final(said.columns[new])
        scored = _scored(said.candidates, logits)
        choices.append((precision(scored, y, weights), scored, make))
    _, scored, make = max(choices, key=lambda choice: choice[0])
    final = make(said.columns, right, of_pairs)
    # Of a few documents, each unlike all others, a ranker is wrong about every one: that it is
    # right where it says no does not follow. And too few pairs make no tree.
    is_upside_down = isinstance(final, Logistic) and final.weights.sum() < 0
    if alone and (is_upside_down or not np.ptp(final(said.columns))):
        mean = mean_of(rankers)
        return mean, _scored(said.candidates, mean(said.columns))
    if isinstance(final, Trees | Logistic):
        slope, offset = _calibrate(scored, right, of_pairs)
        final = final.scaled(slope, offset)
        scored.data = (slope * scored.data + offset).astype(np.float32)
    return final, scored


def _fit_final(
    final_ranker: Any,
    seed: int,
    columns: np.ndarray,
    right: np.ndarray,
    weights: np.ndarray,
    used: np.ndarray | None = None,
) -> FinalRanker:
    """Fit trees, the user's classifier, or a logistic regression on the columns `used`."""
    if used is not None:
        return fit_logistic(columns, right, weights, used)
    if final_ranker == "auto":
        return fit_trees(columns, right, weights, seed=seed)
    told = {} if (weights == 1).all() else {"sample_weight": weights}
    return OfScikitLearn(clone(final_ranker).fit(columns, right, **told))


def fit_trees(columns: np.ndarray, y: np.ndarray, weights: np.ndarray, *, seed: int) -> Trees:
    """Fit gradient-boosted trees.

    Parameters
    ----------
    columns : ndarray of float32, shape (n_pairs, n_columns)
    y : ndarray of bool, shape (n_pairs,)
        Whether the label is one of the document's.
    weights : ndarray of float, shape (n_pairs,)
    seed : int

    References
    ----------
    Friedman, "Greedy function approximation: a gradient boosting machine", 2001, with histograms
    as in Ke et al., "LightGBM", NeurIPS 2017.
    """
    model = HistGradientBoostingClassifier(
        learning_rate=_RATE,
        max_iter=_N_TREES,
        max_leaf_nodes=_N_LEAVES,
        min_samples_leaf=_SMALLEST_LEAF,
        early_stopping=False,
        random_state=seed,
    )
    # Given weights, it sorts every column with them first, which takes longer than all the trees.
    told = None if (weights == 1).all() else weights
    # With more threads its sums end in other bits.
    with threadpool_limits(1, user_api="openmp"):
        model.fit(columns, y, sample_weight=told)
    return read_out(model)


def fit_logistic(
    columns: np.ndarray, y: np.ndarray, weights: np.ndarray, used: np.ndarray
) -> Logistic:
    """Fit a logistic regression on some of the columns, which are standardized first.

    Parameters
    ----------
    columns, y, weights
        As `fit_trees` takes them.
    used : ndarray of int32
        The columns to read.
    """
    read = columns[:, used].astype(np.float64)
    mean, scale = read.mean(axis=0), read.std(axis=0)
    scale[scale == 0] = 1
    model = LogisticRegression(max_iter=1000)
    with threadpool_limits(1):
        model.fit((read - mean) / scale, y, sample_weight=weights)
    slopes = model.coef_[0] / scale
    return Logistic(used.astype(np.int32), slopes, float(model.intercept_[0] - slopes @ mean))


def _calibrate(scored: sp.csr_array, right: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Return the slope and the offset that make the logits of the best five right (Platt, 1999).

    What is best of many is overrated, and so is what was learned from the same pairs. That is why
    the logits are those of folds that were not shown.
    """
    rows = np.repeat(np.arange(scored.shape[0]), np.diff(scored.indptr))
    order = np.lexsort((-scored.data, rows))
    rank = np.arange(scored.nnz) - np.repeat(scored.indptr[:-1], np.diff(scored.indptr))
    kept = order[rank < 5]
    if right[kept].all() or not right[kept].any():
        return 1.0, 0.0
    logits = scored.data[kept, None].astype(np.float64)
    with threadpool_limits(1):
        model = LogisticRegression().fit(logits, right[kept], sample_weight=weights[kept])
    slope = float(model.coef_[0, 0])
    return (slope, float(model.intercept_[0])) if slope > 0 else (1.0, 0.0)


def is_right(candidates: sp.csr_array, y: sp.csr_array) -> np.ndarray:
    """Return which candidates are labels of their documents, of bool."""
    true = ones_of(y).sorted_indices()
    return values_at(true, candidates) > 0


def precision(scored: sp.csr_array, y: sp.csr_array, weights: np.ndarray) -> float:
    """Return the mean of the precisions at 1, 3 and 5, each document by its weight."""
    k = min(5, y.shape[1])
    labels, _ = best(scored, k)
    row = np.repeat(np.arange(len(labels)), k)
    ones = np.ones(labels.size, dtype=np.float32)
    pairs = sp.coo_array((ones, (row, labels.ravel())), shape=y.shape)
    held = sp.csr_array(y.astype(np.float32)).multiply(pairs.tocsr())
    found = sp.csr_array(held)[row, labels.ravel()].reshape(len(labels), k)
    hits = [np.average(found[:, :n].sum(axis=1), weights=weights) / n for n in (1, 3, 5) if n <= k]
    return float(np.mean(hits))


def _columns_of_each(rankers: Sequence[Ranker]) -> list[np.ndarray]:
    names = column_names(rankers)
    return [
        np.array(
            [i for i, name in enumerate(names) if name.startswith(ranker.name + ":")], np.int32
        )
        for ranker in rankers
    ]


def _scored(candidates: sp.csr_array, logits: np.ndarray) -> sp.csr_array:
    entries = (logits.astype(np.float32), candidates.indices, candidates.indptr)
    return sp.csr_array(entries, shape=candidates.shape)
