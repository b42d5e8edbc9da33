"""The mean of several models' scores: the best labels, the positive ones, or all.

No array of all documents x labels is made for a ranking. Up to some 30,000 labels, some documents
at a time are scored on all of them. Above, each model names its best labels of a document, and
all models score the union of those. What no model names has, on average, at most the score of the
models' last named labels: where that bound leaves the answer open, which is seldom, the document
is scored on all labels. The answer is thus the one that the mean over all labels gives (the
threshold of Fagin, Lotem, Naor, "Optimal Aggregation Algorithms for Middleware", PODS 2001). A
model with label clusters names labels of its best clusters: above 30,000 labels, one that no
member's clusters hold is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp
import torch
from scipy.special import expit

from lightxml.data.documents import Documents
from lightxml.network import prediction
from lightxml.network.heads.base import top_k
from lightxml.network.network import LightXMLNetwork

# Each network with the documents as it reads them.
Members: TypeAlias = list[tuple[LightXMLNetwork, Documents]]

_BLOCK = 4_096  # documents whose representations and candidates are held at a time
_MAX_SCORES = 2**22  # of some documents on all labels; 32 MiB of float64
_FEW_LABELS = 2**15  # so many are scored once in less time than some of them twice
_N_CANDIDATES = 100  # of each member, at the least


def mean_topk(members: Members, n_labels: int, k: int) -> tuple[np.ndarray, np.ndarray]:
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
    # The same work for every small k: the first places do not depend, not even by a rounding,
    # on how many places are asked for.
    depth = min(max(k, 10), n_labels)

    def settled(scores: np.ndarray, bound: np.ndarray) -> np.ndarray:
        return np.asarray(np.partition(scores, -depth)[:, -depth] > bound)

    for rows, found, values in _scored(members, n_labels, max(_N_CANDIDATES, 2 * k), settled):
        best, places = (t.numpy() for t in top_k(torch.from_numpy(values), k))
        columns[rows] = np.take_along_axis(found, places, axis=1)
        scores[rows] = best
    return columns, scores


def mean_positive(members: Members, n_labels: int) -> sp.csr_array:
    """Return the labels with a mean score of at least 0.5, csr_array of (n_documents, n_labels)."""

    def settled(scores: np.ndarray, bound: np.ndarray) -> np.ndarray:
        return bound.astype(np.float32) < 0.5

    rows: list[np.ndarray] = []
    columns: list[np.ndarray] = []
    for rows_of_part, found, values in _scored(members, n_labels, _N_CANDIDATES, settled):
        row, place = np.nonzero(values.astype(np.float32) >= 0.5)
        rows.append(rows_of_part[row])
        columns.append(found[row, place])
    coordinates = (np.concatenate(rows), np.concatenate(columns))
    ones = np.ones(len(coordinates[0]), dtype=np.int8)
    matrix = sp.csr_array(sp.coo_array((ones, coordinates), shape=(len(members[0][1]), n_labels)))
    matrix.sort_indices()
    return matrix


def of_all_labels(
    members: Members, n_labels: int, combine: Callable[[list[np.ndarray]], np.ndarray]
) -> np.ndarray:
    """Return what `mean_score` or `logit_of_mean` makes of all labels' logits.

    Returns
    -------
    ndarray of float32, shape (n_documents, n_labels)
    """
    out = np.empty((len(members[0][1]), n_labels), dtype=np.float32)
    for first, block in _blocks(members):
        for rows, logits in _all_logits(block, np.arange(len(block[0][1])), n_labels):
            out[first + rows] = combine(logits)
    return out


def mean_score(logits: list[np.ndarray]) -> np.ndarray:
    """Return the mean of the sigmoids, one array a member; float64, so that few are equal."""
    total = np.zeros(logits[0].shape)
    for of_member in logits:
        total += expit(of_member, dtype=np.float64)
    return total / len(logits)


def logit_of_mean(logits: list[np.ndarray]) -> np.ndarray:
    """Return the logit of the mean of the sigmoids, exact at either end."""
    return np.log(mean_score(logits)) - np.log(mean_score([-of_member for of_member in logits]))


def _scored(
    members: Members,
    n_labels: int,
    n_candidates: int,
    settled: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield some documents' numbers, columns and their mean scores, until all have come.

    Parameters
    ----------
    n_candidates : int
        Labels that each member names of a document.
    settled : callable
        Given the candidates' scores, (n, m), and what no other label's score exceeds, (n,), it
        says for which documents the candidates are enough. The rest comes with all labels.

    Yields
    ------
    rows : ndarray of int64, shape (n,)
    columns : ndarray of int64, shape (n, m)
        Rising; repeated ones have the score -1 from the second on.
    scores : ndarray of float64, shape (n, m)
    """
    for first, block in _blocks(members):
        is_open = np.ones(len(block[0][1]), dtype=bool)
        if n_labels > max(n_candidates, _FEW_LABELS):
            columns, scores, bound = _candidates(block, n_candidates)
            is_open = ~settled(scores, bound)
            closed = np.flatnonzero(~is_open)
            yield first + closed, columns[closed], scores[closed]
        for rows, logits in _all_logits(block, np.flatnonzero(is_open), n_labels):
            scores = mean_score(logits)
            yield first + rows, np.broadcast_to(np.arange(n_labels), scores.shape), scores


def _blocks(members: Members) -> Iterator[tuple[int, Members]]:
    """Yield the number of a block's first document, and the block, read by each network."""
    for first in range(0, len(members[0][1]), _BLOCK):
        yield (
            first,
            [(n, prediction.represented(n, d.part(first, first + _BLOCK))) for n, d in members],
        )


def _candidates(block: Members, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the union of the members' n best labels, their mean scores, and the others' bound."""
    found = [prediction.predict_topk(network, documents, n) for network, documents in block]
    columns = np.sort(np.concatenate([best for best, _ in found], axis=1), axis=1)
    scores = mean_score(
        [prediction.predict_logits_of(network, documents, columns) for network, documents in block]
    )
    scores[:, 1:][columns[:, 1:] == columns[:, :-1]] = -1.0
    return columns, scores, mean_score([logits[:, -1] for _, logits in found])


def _all_logits(
    block: Members, rows: np.ndarray, n_labels: int
) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Yield some of the documents' numbers and each member's logits of them, (n, n_labels)."""
    size = max(1, _MAX_SCORES // n_labels)
    for begin in range(0, len(rows), size):
        part = rows[begin : begin + size]
        logits = []
        for network, documents in block:
            logits.append(prediction.predict_logits(network, documents.rows(part)))
        yield part, logits
