"""A random generator of one's own."""

from __future__ import annotations

import copy

import numpy as np

RandomState = int | np.random.RandomState | np.random.Generator | None


def own_generator(random_state: RandomState) -> np.random.Generator:
    """Return a generator seeded from `random_state`, which is left as it is.

    scikit-learn's ``check_random_state`` draws from the caller's object, and for None from
    numpy's global state; both would change something that is not ours.
    """
    if isinstance(random_state, np.random.RandomState):
        seeds = copy.deepcopy(random_state).randint(2**32, size=4, dtype=np.uint32)
        return np.random.default_rng(seeds)
    return np.random.default_rng(copy.deepcopy(random_state))
