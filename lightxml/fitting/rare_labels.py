"""A preference for rare labels, added to their logits when all else is done."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from lightxml.metrics.measures import propensities


def preference(y: sp.csr_array, weight: float, *, unseen_as_one: bool = False) -> np.ndarray:
    """Return what is added to the labels' logits so that rare labels rank higher.

    With the propensity p_l of label l after Jain et al. [1]_ and a weight w it is::

        w * -ln p_l

    about nothing for a label that many documents have. It is the post-hoc form of logit
    adjustment [2]_, with propensities in the place of the labels' frequencies.

    Parameters
    ----------
    y : csr_array of shape (n_documents, n_labels)
        Of the training documents, 3 at least.
    weight : float
    unseen_as_one : bool
        Whether labels without documents count as such with one. Else nothing is added to them.

    Returns
    -------
    ndarray of float32, shape (n_labels,)

    Raises
    ------
    ValueError
        If there are fewer documents.

    References
    ----------
    .. [1] Jain, Prabhu, Varma, "Extreme Multi-label Loss Functions for Recommendation, Tagging,
       Ranking & Other Missing Label Applications", KDD 2016.
    .. [2] Menon et al., "Long-tail Learning via Logit Adjustment", ICLR 2021, equation 9.
    """
    if y.shape[0] < 3:
        raise ValueError(
            f"propensity_weight={weight} asks for the labels' propensities, which {y.shape[0]} "
            "documents do not have; expected 3 at least, or propensity_weight=0."
        )
    added = -weight * np.log(propensities(y))
    unseen = np.bincount(y.indices, minlength=y.shape[1]) == 0
    if unseen_as_one and unseen.any():
        of_one = sp.csr_array(([1], ([0], [0])), shape=(y.shape[0], 1))
        added[unseen] = -weight * np.log(propensities(of_one)[0])
    elif unseen.any():
        added[unseen] = 0  # nothing was learnt of it
    preferred: np.ndarray = added.astype(np.float32)
    return preferred
