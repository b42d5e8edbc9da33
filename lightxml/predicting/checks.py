"""What a fitted model is asked, checked: a number of labels, thresholds, the size of an array."""

from __future__ import annotations

from typing import Any

import numpy as np

from lightxml.arguments import PROBABILITY, whole

# The largest dense array of documents x labels that is made when asked for: 1 GiB of float32.
MAX_DENSE_SCORES = 2**28


def check_k(k: Any, n_labels: int) -> None:
    """Check the number of labels asked for.

    Raises
    ------
    TypeError, ValueError
    """
    whole(1).check("k", k)
    if k > n_labels:
        raise ValueError(f"k={k} is more than the {n_labels} labels of the model.")


def check_threshold(threshold: Any, n_labels: int) -> float | np.ndarray:
    """Check a threshold, or one for each label.

    Raises
    ------
    TypeError, ValueError
    """
    if np.ndim(threshold) == 0:
        PROBABILITY.check("threshold", threshold)
        return float(threshold)
    each = np.asarray(threshold)
    if each.dtype.kind not in "fiu":
        raise TypeError(f"threshold holds {each.dtype}; expected numbers, one for each label.")
    if each.shape != (n_labels,):
        raise ValueError(
            f"threshold has shape {each.shape}; expected a number, or ({n_labels},), one for each "
            "label."
        )
    wrong = np.flatnonzero(~((each > 0) & (each <= 1)))
    if len(wrong):
        raise ValueError(f"threshold[{wrong[0]}] is {each[wrong[0]]}; expected {PROBABILITY.text}.")
    return each


def check_dense(n_documents: int, n_labels: int) -> None:
    """Refuse an array of documents x labels that is too large.

    Raises
    ------
    ValueError
    """
    if n_documents * n_labels > MAX_DENSE_SCORES:
        raise ValueError(
            f"The scores of {n_documents} documents x {n_labels} labels would pass "
            f"{MAX_DENSE_SCORES} entries. Use predict_topk(X, k, return_scores=True), or fewer "
            "documents at a time; predict is sparse where y was."
        )
