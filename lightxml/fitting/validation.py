"""Documents that the network does not learn from: checked, set aside."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp

from lightxml.data.inputs import Inputs, Reader
from lightxml.data.labels import Labels, encode_known, has_known
from lightxml.exceptions import warn

# Documents, and their labels as a csr_array of shape (n_documents, n_labels).
Validation: TypeAlias = tuple[Inputs, sp.csr_array]


def check_validation(X_val: Any, y_val: Any, reader: Reader, labels: Labels) -> Validation | None:
    """Check validation documents and their labels against those of the training.

    None, with a warning, if nothing can be learnt from them: no ranking hits a label there, so
    that the first epoch would be the best, and no label would be likely.

    Raises
    ------
    TypeError, ValueError
        Naming the argument.
    """
    inputs = reader.check(X_val, name="X_val")
    known = encode_known(y_val, labels.classes, labels.form, len(inputs), name="y_val")
    if has_known(y_val, known, labels.classes, name="y_val"):
        return inputs, known
    warn("y_val gives no document a label that y has. X_val is left out, as if it were not given.")
    return None


def hold_out(y: sp.csr_array, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw documents to set aside, from the seed: a fraction of them, or so many.

    Returns
    -------
    learned, held : ndarray of int64
        The numbers of those to train on, and of those set aside; rising.

    Raises
    ------
    ValueError
        If no document with a label is left to train on.
    """
    n_documents = y.shape[0]
    n_val = int(fraction) if fraction >= 1 else max(1, round(fraction * n_documents))
    # A stream of its own: who is set aside has nothing to do with the order of the training.
    order = np.random.default_rng([seed, 0, 0, 0]).permutation(n_documents)
    learned, held = np.sort(order[n_val:]), np.sort(order[:n_val])
    if y[learned].nnz == 0:
        raise ValueError(
            f"validation_fraction={fraction} sets {n_val} of {n_documents} documents aside, and "
            "none with a label is left to train on. Lower validation_fraction, or pass X_val and "
            "y_val."
        )
    return learned, held
