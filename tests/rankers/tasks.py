"""Small tasks for the tests of rankers."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from lightxml.rankers.base import Documents
from lightxml.rankers.sparse import normalized

Task = tuple[Documents, sp.csr_array]


def topics(n: int = 200, n_labels: int = 12, seed: int = 0) -> Task:
    """Documents of one or two labels, each of which brings some of its own words."""
    rng = np.random.default_rng(seed)
    y = np.zeros((n, n_labels))
    y[np.arange(n), np.arange(n) % n_labels] = 1
    y[np.arange(n), rng.integers(n_labels, size=n)] = 1
    words = np.zeros((n_labels, 5 * n_labels))
    for label in range(n_labels):
        words[label, 5 * label : 5 * label + 5] = 1
    noise = sp.random_array((n, 5 * n_labels), density=0.2, random_state=rng).toarray() * 0.3
    return Documents(normalized(sp.csr_array(y @ words + noise))), sp.csr_array(y, dtype=np.float32)
