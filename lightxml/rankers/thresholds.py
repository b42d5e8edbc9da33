"""From which probability on a label is given: the thresholds that are best for an F1.

They are chosen on documents that nothing was learned from. A label that nobody proposed for a
document has a probability of 0 and is never given; where it is a true one, it is missed.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import scipy.sparse as sp

from lightxml.rankers.fit_final import is_right

HALF = 0.5  # where there is nothing to choose by
# So many true pairs of all labels weigh as much as calibrated probabilities do.
_PRIOR_OF_ALL = 5_000
# So many true pairs of a label weigh as much as all other labels do.
_PRIOR_PAIRS = 5


def best_threshold(
    criterion: str, scored: sp.csr_array, y: sp.csr_array, *, calibrated: bool = False
) -> float | np.ndarray:
    """Return the threshold, or each label's, with the best F1 of these documents.

    Parameters
    ----------
    criterion : {"micro_f1", "macro_f1", "samples_f1"}
    scored : csr_array of float32, shape (n_documents, n_labels)
        The probabilities of what was proposed.
    y : csr_array, shape (n_documents, n_labels)
        An entry is a true label.
    calibrated : bool
        Whether of the labels with a probability of 0.8 about 80 % are true.

    Returns
    -------
    float, or with "macro_f1" ndarray of float32, shape (n_labels,)
        Above 0 and at most 1; 0.5 where no true label was proposed. Labels with at least this
        probability are given.
    """
    p, right = scored.data, is_right(scored, y)
    if not right.any():
        return HALF
    row = np.repeat(np.arange(scored.shape[0]), np.diff(scored.indptr))
    if criterion == "micro_f1":
        return best_of_pairs(p, right, y.nnz, calibrated=calibrated)
    if criterion == "samples_f1":
        return best_of_groups(p, row, right, np.diff(y.indptr))
    return best_of_labels(p, scored.indices, right, np.bincount(y.indices, minlength=y.shape[1]))


def best_of_pairs(
    p: np.ndarray, right: np.ndarray, n_true: int, *, calibrated: bool = False
) -> float:
    """Return the threshold with the best F1 of all pairs of document and label together.

    With the r likeliest pairs given, h of which are right, F1 is ``2 h / (r + n_true)`` [1]_. Of
    few documents the best cut is chance: its F1 hardly changes from cut to cut. With calibrated
    probabilities it is half of the best F1 [2]_, which chance moves little. So with n true pairs
    the cut s is drawn there::

        (n s + 5000 F1 / 2) / (n + 5000)

    Parameters
    ----------
    p : ndarray of float32, shape (n_pairs,)
        Probabilities.
    right : ndarray of bool, shape (n_pairs,)
    n_true : int
        True pairs, those that nobody proposed among them.
    calibrated : bool
        Without it, the threshold is the best cut.

    References
    ----------
    .. [1] Lewis, "Evaluating and Optimizing Autonomous Text Classification Systems", SIGIR 1995.
    .. [2] Lipton, Elkan, Naryanaswamy, "Optimal Thresholding of Classifiers to Maximize F1
       Measure", ECML PKDD 2014.
    """
    falling = np.argsort(-p, kind="stable")
    f1 = 2 * np.cumsum(right[falling]) / (np.arange(1, len(p) + 1) + n_true)
    p = p[falling]
    cut = best_cut(p, f1)
    if not calibrated:
        return cut
    best = f1[np.count_nonzero(p >= cut) - 1]  # of equal probabilities all are given
    drawn = (n_true * cut + _PRIOR_OF_ALL * best / 2) / (n_true + _PRIOR_OF_ALL)
    return float(np.float32(drawn))


def best_of_groups(
    p: np.ndarray, group: np.ndarray, right: np.ndarray, n_true: np.ndarray
) -> float:
    """Return the threshold with the best mean of the F1 of groups: of documents, or of labels.

    As the threshold falls, one pair after the other is given, and changes the F1 of its group
    alone.

    Parameters
    ----------
    p : ndarray of float32, shape (n_pairs,)
    group : ndarray of int, shape (n_pairs,)
        Of each pair, from 0.
    right : ndarray of bool, shape (n_pairs,)
    n_true : ndarray of int, shape (n_groups,)
        True pairs of each group, those that nobody proposed among them.
    """
    order, f1 = _f1_within(p, group, right, n_true)
    before = np.append(0, f1[:-1])
    before[_begins(group[order])] = 0
    p, gained = p[order], f1 - before
    falling = np.argsort(-p, kind="stable")
    return best_cut(p[falling], np.cumsum(gained[falling]))


def best_of_labels(
    p: np.ndarray, label: np.ndarray, right: np.ndarray, n_true: np.ndarray
) -> np.ndarray:
    """Return the threshold of each label, for the mean of the labels' F1.

    The best threshold of a label alone (S-Cut [1]_) is as good as the number of its true pairs:
    with two or three it is chance. So it is drawn to the one threshold that is best for all labels
    together: with n true pairs of its own, of which m nobody need have proposed, a label has ::

        (n s + 5 t) / (n + 5)

    where s is its own best threshold and t that of all. A label without true pairs, and one that
    nobody proposed, has t.

    Parameters
    ----------
    p, right
        As `best_of_pairs` takes them.
    label : ndarray of int, shape (n_pairs,)
    n_true : ndarray of int, shape (n_labels,)

    Returns
    -------
    ndarray of float32, shape (n_labels,)

    References
    ----------
    .. [1] Yang, "A Study of Thresholding Strategies for Text Categorization", SIGIR 2001. Lewis,
       Yang, Rose, Li, "RCV1: A New Benchmark Collection for Text Categorization Research", JMLR
       2004, for what chance does to labels with few true pairs.
    """
    of_all = best_of_groups(p, label, right, n_true)
    thresholds = np.full(len(n_true), of_all)
    order, f1 = _f1_within(p, label, right, n_true)
    edges = np.append(_begins(label[order]), len(p))
    for begin, end in pairwise(edges.tolist()):
        pairs = order[begin:end]
        if right[pairs].any():
            number = label[pairs[0]]
            own, n = best_cut(p[pairs], f1[begin:end]), n_true[number]
            thresholds[number] = (n * own + _PRIOR_PAIRS * of_all) / (n + _PRIOR_PAIRS)
    return thresholds.astype(np.float32)


def best_cut(p: np.ndarray, f1: np.ndarray) -> float:
    """Return the threshold with the best F1, amid the last probability given and the next one.

    Parameters
    ----------
    p : ndarray of float32, shape (n,)
        Falling.
    f1 : ndarray of float, shape (n,)
        With all up to this one given. Of equal probabilities, the last one's counts.
    """
    lower = np.append(p[1:], np.float32(0))
    best = int(np.argmax(np.where(p > lower, f1, -1)))
    # In float32, as probabilities are compared; two of them may have nothing between.
    amid = np.float32((np.float64(p[best]) + lower[best]) / 2)
    return float(amid if amid > lower[best] else p[best])


def _f1_within(
    p: np.ndarray, group: np.ndarray, right: np.ndarray, n_true: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs group by group, the likeliest first, and the F1 with all up to each given.

    Returns
    -------
    order : ndarray of int64, shape (n_pairs,)
    f1 : ndarray of float64, shape (n_pairs,)
        In that order.
    """
    order = np.lexsort((-p, group))
    group = group[order]
    begins = _begins(group)
    sizes = np.diff(np.append(begins, len(p)))
    n_given = np.arange(1, len(p) + 1) - np.repeat(begins, sizes)
    hits = np.cumsum(right[order])
    hits = hits - np.repeat(np.append(0, hits)[begins], sizes)
    return order, 2 * hits / (n_given + n_true[group])


def _begins(group: np.ndarray) -> np.ndarray:
    """Return where each group begins among groups that lie together."""
    return np.flatnonzero(np.append(True, group[1:] != group[:-1]))
