"""Dual coordinate descent for many small linear support vector machines, compiled by numba.

Imported where classifiers are fitted, never where they predict: numba takes a second to load.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np

from lightxml.rankers.sent import received

_DRAWN_ONCE = 0x9E3779B97F4A7C15  # the odd number next to 2**64 divided by the golden ratio
# Arrays that cannot be written to, as those are that joblib maps from a file: others pass as such.
_I8, _I4, _F8, _F4 = (f"Array({kind}, 1, 'C', readonly=True)" for kind in ("i8", "i4", "f8", "f4"))
_SIGNATURE = (
    "Tuple((i8[::1], i4[::1], f8[::1], f8[::1]))"
    f"({_I8}, {_I4}, {_F4}, {_F8}, i8,"
    f" {_I8}, {_I4}, {_I8}, {_I4}, {_I8},"
    f" {_F8}, {_I8}, u8, i8, i8, f8, i8, f8)"
)


@cache
def compiled() -> Callable[..., Any]:
    """Return `_solve` in machine code, of a file beside this one or in the user's cache.

    Where neither folder can be written to, the disk is full or the file is damaged, it is compiled
    for this process alone, which takes a few seconds.
    """
    try:
        return numba.njit(_SIGNATURE, cache=True, nogil=True)(_solve)
    except Exception:  # numba passes on what the disk and pickle raise; a flaw in `_solve` recurs
        return numba.njit(_SIGNATURE, nogil=True)(_solve)


def solve(*arguments: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Call `compiled`: by its name, so that a process of any kind can be told to."""
    found: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] = compiled()(*received(arguments))
    return found


@numba.njit(nogil=True)
def _next(state: Any) -> Any:
    """Return the state of a random number generator after `state` (xorshift; never 0)."""
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    state ^= state << np.uint64(17)
    return state


@numba.njit(nogil=True)
def _begin(seed: Any, label: int) -> Any:
    """Return a state that differs between seeds and between labels (the mix of splitmix64)."""
    state = seed + np.uint64(label + 1) * np.uint64(_DRAWN_ONCE)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    if state == np.uint64(0):
        state = np.uint64(_DRAWN_ONCE)
    return state


@numba.njit(nogil=True)
def _below(state: Any, n: int) -> Any:
    """Return a number from 0 to below `n`, of the upper bits of a state."""
    return np.int64((state >> np.uint64(11)) % np.uint64(n))


@numba.njit(nogil=True)
def _longer(values: Any, n: int, n_more: int) -> Any:
    """Return the first `n` values in an array with room for twice as many and the new ones."""
    longer = np.empty(2 * (n + n_more), values.dtype)
    longer[:n] = values[:n]
    return longer


@numba.njit(nogil=True)
def _gather(
    own: Any, likely: Any, most_likely: int, n_drawn: int, costs: Any, number: int, examples: Any,
    met_by: Any, state: Any,
) -> Any:  # fmt: skip
    """Put a classifier's documents into `examples`, each once, its own first.

    Returns how many are its own, how many there are, and the generator's state.
    """
    n = 0
    for document in own:
        if costs[document] > 0.0:
            examples[n] = document
            met_by[document] = number
            n += 1
    n_own = n
    if n_own == 0:
        return n_own, n, state
    for i in range(min(len(likely), most_likely)):
        if len(likely) > most_likely:
            state = _next(state)
            document = likely[_below(state, len(likely))]
        else:
            document = likely[i]
        if met_by[document] != number and costs[document] > 0.0:
            examples[n] = document
            met_by[document] = number
            n += 1
    for _ in range(n_drawn):
        state = _next(state)
        document = _below(state, len(met_by))
        if met_by[document] != number and costs[document] > 0.0:
            examples[n] = document
            met_by[document] = number
            n += 1
    return n_own, n, state


@numba.njit(nogil=True)
def _descend(
    pointers: Any, columns: Any, values: Any, squares: Any, costs: Any, examples: Any, n_own: int,
    tolerance: float, n_sweeps: int, state: Any, alpha: Any, order: Any, w: Any, touched: Any,
    is_touched: Any,
) -> Any:  # fmt: skip
    """Fit one classifier into `w`, which begins at zero, by `_solve`'s algorithm.

    Returns how many features have been `touched`, and the bias.
    """
    n = len(examples)
    for i in range(n):
        alpha[i] = 0.0
        order[i] = i
    bias = 0.0
    n_touched = 0
    n_active = n
    shrunk_above = np.inf
    for _ in range(n_sweeps):
        highest, lowest = -np.inf, np.inf
        for i in range(n_active):
            state = _next(state)
            j = i + _below(state, n_active - i)
            order[i], order[j] = order[j], order[i]
        s = 0
        while s < n_active:
            i = order[s]
            document = examples[i]
            sign = 1.0 if i < n_own else -1.0
            begin, end = pointers[document], pointers[document + 1]
            margin = bias
            for at in range(begin, end):
                margin += w[columns[at]] * values[at]
            diagonal = 0.5 / costs[document]
            gradient = sign * margin - 1.0 + alpha[i] * diagonal
            projected = gradient
            if alpha[i] == 0.0:
                if gradient > shrunk_above:
                    n_active -= 1
                    order[s], order[n_active] = order[n_active], order[s]
                    continue
                projected = min(gradient, 0.0)
            highest = max(highest, projected)
            lowest = min(lowest, projected)
            if abs(projected) > 1e-12:
                old = alpha[i]
                alpha[i] = max(old - gradient / (squares[document] + 1.0 + diagonal), 0.0)
                step = (alpha[i] - old) * sign
                bias += step
                for at in range(begin, end):
                    column = columns[at]
                    w[column] += step * values[at]
                    if not is_touched[column]:
                        is_touched[column] = True
                        touched[n_touched] = column
                        n_touched += 1
            s += 1
        if highest - lowest <= tolerance:
            if n_active == n:
                break
            n_active = n
            shrunk_above = np.inf
        else:
            shrunk_above = highest if highest > 0.0 else np.inf
    return n_touched, bias


def _solve(
    pointers: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    squares: np.ndarray,
    n_columns: int,
    own_pointers: np.ndarray,
    own: np.ndarray,
    likely_pointers: np.ndarray,
    likely: np.ndarray,
    groups: np.ndarray,
    costs: np.ndarray,
    labels: np.ndarray,
    seed: int,
    most_likely: int,
    n_drawn: int,
    tolerance: float,
    n_sweeps: int,
    smallest: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Fit the classifiers of some labels.

    For each, with documents x_i (the last feature is 1, for the bias), y_i = 1 for its own and -1
    for others, and costs C_i, it minimizes ::

        |w|^2 / 2 + sum_i C_i max(0, 1 - y_i w.x_i)^2

    by Algorithm 3 of Hsieh et al. (ICML 2008): one dual variable a_i >= 0 a time, in random order,
    those that stay at 0 left out for a while ("shrinking"), until the projected gradients of a
    sweep lie within `tolerance`.

    Parameters
    ----------
    pointers, columns, values : ndarrays of int64, int32, float32
        The documents' rows, as in a csr_array.
    squares : ndarray of float64, shape (n_documents,)
        The squared length of each row.
    n_columns : int
    own_pointers, own : ndarrays of int64, int32
        The documents of each label.
    likely_pointers, likely : ndarrays of int64, int32
        The documents that each group of labels is likely for; a label's own may be among them.
    groups : ndarray of int64
        The group of each label.
    costs : ndarray of float64, shape (n_documents,)
        C of each document; those with 0 are left out.
    labels : ndarray of int64
    seed : int
    most_likely : int
        Where more documents are likely, so many are drawn of them, with replacement.
    n_drawn : int
        Documents drawn besides, of all, with replacement.
    tolerance : float
    n_sweeps : int
        At most so many.
    smallest : float
        Weights of at most this size are left out.

    Returns
    -------
    counts : ndarray of int64, shape (len(labels),)
        Weights of each label.
    columns : ndarray of int32
        Of the weights, in no order within a label.
    weights : ndarray of float64
    bias : ndarray of float64, shape (len(labels),)
        -1 for a label without documents; 1 for one that no other document was met with.
    """
    n_documents = len(squares)
    most = 0
    for label in labels:
        n_own = own_pointers[label + 1] - own_pointers[label]
        n_likely = likely_pointers[groups[label] + 1] - likely_pointers[groups[label]]
        most = max(most, n_own + min(n_likely, most_likely) + n_drawn)
    examples = np.empty(most, np.int32)
    met_by = np.full(n_documents, -1, np.int64)  # the last classifier that met the document
    alpha, order = np.empty(most, np.float64), np.empty(most, np.int32)
    w = np.zeros(n_columns, np.float64)
    touched, is_touched = np.empty(n_columns, np.int32), np.zeros(n_columns, np.bool_)
    counts = np.zeros(len(labels), np.int64)
    bias = np.empty(len(labels), np.float64)
    n_found = 0
    found_columns, found_weights = np.empty(1024, np.int32), np.empty(1024, np.float64)
    for number in range(len(labels)):
        label = labels[number]
        state = _begin(seed, label)
        own_rows = own[own_pointers[label] : own_pointers[label + 1]]
        group = groups[label]
        likely_rows = likely[likely_pointers[group] : likely_pointers[group + 1]]
        n_own, n, state = _gather(
            own_rows, likely_rows, most_likely, n_drawn, costs, number, examples, met_by, state
        )
        if n_own == 0 or n == n_own:  # nothing to tell apart
            bias[number] = -1.0 if n_own == 0 else 1.0
            continue
        n_touched, bias[number] = _descend(
            pointers, columns, values, squares, costs, examples[:n], n_own, tolerance, n_sweeps,
            state, alpha, order, w, touched, is_touched,
        )  # fmt: skip
        if n_found + n_touched > len(found_columns):
            found_columns = _longer(found_columns, n_found, n_touched)
            found_weights = _longer(found_weights, n_found, n_touched)
        before = n_found
        for at in range(n_touched):
            column = touched[at]
            if abs(w[column]) > smallest:
                found_columns[n_found] = column
                found_weights[n_found] = w[column]
                n_found += 1
            w[column] = 0.0
            is_touched[column] = False
        counts[number] = n_found - before
    return counts, found_columns[:n_found].copy(), found_weights[:n_found].copy(), bias
