"""What a ranking of labels is worth, of all true labels, those without a training document too."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from data import K, Part

from lightxml.metrics import f1_at_threshold, propensities
from lightxml.metrics.tables import CUTS, rank_metrics

BINS = 15
Labels = Sequence[Sequence[str]]


def figures(
    train: Part,
    new: Part,
    ranked: Labels,
    probabilities: Sequence[Sequence[float]] | None = None,
    given: Labels | None = None,
) -> dict[str, float]:
    """Return fractions by their names, and the number of ``unseen_pairs``.

    P, nDCG, R, PSP and PSnDCG at 1, 3 and 5; P of trained labels alone (``trained_P@k``), and how
    many true labels without a training document are among the five best (``unseen_R@5``). With
    `given` micro- and macro-F1, the latter the mean over the labels of both parts. With
    `probabilities` the expected calibration error of the five best (``ECE``), what a perfectly
    calibrated model shows on the same ones (``ECE_by_chance``, the mean of ten draws), and that of
    labels without a training document (``ECE_unseen``).

    Parameters
    ----------
    train, new : Part
        Learned from, and measured on.
    ranked : list of list of str
        At most five labels for each document, best first.
    probabilities : list of list of float, optional
        Of these.
    given : list of list of str, optional
        The labels that the learner decides for.
    """
    trained = set(train.classes)
    known = sorted(trained.union(*new.labels))
    classes = [*known, *sorted(set(chain(*ranked, *(given or []))).difference(known))]
    # Where fewer than five are ranked, columns of no label follow.
    wide = [*classes, *(f"\0{i}" for i in range(K))]
    place = {label: j for j, label in enumerate(wide)}
    topk = np.array(
        [[place[label] for label in [*row, *wide[len(classes) :]][:K]] for row in ranked]
    )
    truth = new.y(wide)
    found = rank_metrics(truth, topk, propensities(train.y(wide)))

    rows = np.arange(len(new))[:, None]
    right = truth[rows, topk].toarray().astype(bool)
    is_trained = np.array([label in trained for label in wide])[topk]
    is_label = topk < len(classes)
    for k in CUTS:
        found[f"trained_P@{k}"] = float((right & is_trained)[:, :k].mean())
    n_unseen = sum(label not in trained for of in new.labels for label in set(of))
    found["unseen_R@5"] = float((right & ~is_trained).sum() / max(n_unseen, 1))
    if given is not None:
        decided = Part(new.texts, [list(of) for of in given])
        found["micro_f1"] = f1_at_threshold(new.y(classes), decided.y(classes), average="micro")
        found["macro_f1"] = f1_at_threshold(new.y(known), decided.y(known), average="macro")
    if probabilities is not None:
        said = np.zeros(topk.shape)
        for i, row in enumerate(probabilities):
            said[i, : len(row)] = row
        unseen, rng = is_label & ~is_trained, np.random.default_rng(0)
        p = said[is_label]
        chance = [_calibration_error(p, rng.random(p.size) < p) for _ in range(10)]
        found["ECE"] = _calibration_error(p, right[is_label])
        found["ECE_by_chance"] = float(np.mean(chance))
        if unseen.any():
            found["ECE_unseen"] = _calibration_error(said[unseen], right[unseen])
            found["unseen_pairs"] = int(unseen.sum())
    return found


def _calibration_error(said: np.ndarray, right: np.ndarray) -> float:
    """Return the expected calibration error in 15 bins of equal width."""
    place = np.minimum((said * BINS).astype(int), BINS - 1)
    gaps = np.bincount(place, said - right, minlength=BINS)
    return float(np.abs(gaps).sum() / max(len(said), 1))
