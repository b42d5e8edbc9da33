"""Seeds and generators from what a caller gives as `random_state`, which is left as it is."""

from __future__ import annotations

import copy

import numpy as np
from sklearn.utils import check_random_state

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


def draw_seed(random_state: RandomState) -> int:
    """Return a seed from an int, a RandomState, a Generator or None; the caller's object stays.

    Unlike scikit-learn, a ``RandomState`` is copied before it is drawn from, so that the
    caller's own keeps its state and a second fit repeats the first.
    """
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, np.random.Generator):
        return int(copy.deepcopy(random_state).integers(2**31 - 1))
    return int(check_random_state(copy.deepcopy(random_state)).randint(2**31 - 1))
