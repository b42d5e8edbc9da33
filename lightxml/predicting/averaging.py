"""The mean of several models' probabilities: the best labels, the positive ones, or all.

Each model names labels that may be the best of a document, 100 at least; all models score the
union of these, and their probabilities are averaged. No array of documents x labels is made but
where all labels are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp
from scipy.special import expit

from lightxml.predicting.fitted import (
    N_CANDIDATES,
    FittedModel,
    in_blocks,
    reaching,
    represented,
)
from lightxml.rankers.base import Documents
from lightxml.rankers.panel import best
from lightxml.rankers.sparse import blocks, union

# Each model with the documents as it reads them.
Members: TypeAlias = list[tuple[FittedModel, Documents]]

_DOCUMENTS_AT_ONCE = 4_096


def mean_topk(members: Members, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns of the k labels with the best mean score, best first, and these scores.

    Equal scores come in the order of the columns.

    Returns
    -------
    columns : ndarray of int64, shape (n_documents, k)
    scores : ndarray of float32, shape (n_documents, k)
    """
    n_documents = len(members[0][1])
    columns = np.empty((n_documents, k), dtype=np.int64)
    scores = np.empty((n_documents, k), dtype=np.float32)
    for begin, scored in _scored(members, k):
        end = begin + scored.shape[0]
        columns[begin:end], found = best(scored, k)
        scores[begin:end] = found.clip(0)  # a label that no member names has the score 0
    return columns, scores


def mean_positive(members: Members, threshold: float | np.ndarray) -> sp.csr_array:
    """Return the labels whose mean score reaches the threshold, as `FittedModel.positive` does."""
    parts = [reaching(scored, threshold) for _, scored in _scored(members, N_CANDIDATES)]
    return sp.csr_array(sp.vstack(parts, format="csr"))


def mean_threshold(models: Sequence[FittedModel]) -> float | np.ndarray:
    """Return the mean of the models' thresholds, label by label where any has one for each."""
    if len(models) == 1:
        return models[0].threshold
    total = sum(np.asarray(model.threshold, dtype=np.float64) for model in models)
    mean = np.asarray(total / len(models), dtype=np.float32)
    return mean if mean.ndim else float(mean)


def of_all_labels(
    members: Members, combine: Callable[[list[np.ndarray]], np.ndarray]
) -> np.ndarray:
    """Return what `mean_score` or `logit_of_mean` makes of all labels' logits.

    Returns
    -------
    ndarray of float32, shape (n_documents, n_labels)
    """
    found = combine([model.all_logits(documents) for model, documents in members])
    if any(model.panel is not None for model, _ in members):
        # A member says something of what only the others name.
        for begin, together, logits in _asked(members, N_CANDIDATES):
            rows = np.repeat(np.arange(together.shape[0]), np.diff(together.indptr))
            found[begin + rows, together.indices] = combine(logits)
    return found.astype(np.float32)


def mean_score(logits: list[np.ndarray]) -> np.ndarray:
    """Return the mean of the sigmoids, one array a member; float64, so that few are equal."""
    total = np.zeros(logits[0].shape)
    for of_member in logits:
        total += expit(of_member, dtype=np.float64)
    return total / len(logits)


def logit_of_mean(logits: list[np.ndarray]) -> np.ndarray:
    """Return the logit of the mean of the sigmoids, exact at either end."""
    return np.log(mean_score(logits)) - np.log(mean_score([-of_member for of_member in logits]))


def _scored(members: Members, k: int) -> Iterator[tuple[int, sp.csr_array]]:
    """Yield where some documents begin, and the mean scores of their candidates, float64."""
    for begin, together, logits in _asked(members, k):
        entries = (mean_score(logits), together.indices, together.indptr)
        yield begin, sp.csr_array(entries, shape=together.shape)


def _asked(members: Members, k: int) -> Iterator[tuple[int, sp.csr_array, list[np.ndarray]]]:
    """Yield where some documents begin, their candidates, and each member's logits of these."""
    for begin, end in blocks(len(members[0][1]), _DOCUMENTS_AT_ONCE):
        some = [
            (model, represented(model, documents.part(begin, end))) for model, documents in members
        ]
        # So few at once that a panel takes them whole: what its rankers found of them when they
        # proposed is there when they score.
        models = [model for model, _ in some]
        for few in zip(*(in_blocks(documents) for _, documents in some), strict=True):
            each = list(zip(models, few, strict=True))
            together = union([model.candidates(documents, k) for model, documents in each])
            logits = [model.logits_of(documents, together) for model, documents in each]
            yield begin, together, logits
            begin += together.shape[0]
