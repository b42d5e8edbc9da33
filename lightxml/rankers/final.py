"""The final ranker: from what all rankers say of a label to the probability that it is right.

It is fitted on documents that the rankers have not learnt from, one row for each candidate of
each document, and what it says is the logit of a probability.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.special import expit

from lightxml.rankers.base import Ranker
from lightxml.rankers.stored import checked
from lightxml.rankers.trees import LARGEST, Trees

LOWEST = -100.0  # the logit of a label that no ranker proposes; its probability is 0
_LOGITS_A_MARGIN = 4.0  # of a linear classifier: its probabilities are then about right


# What a ranker's columns say as a probability, by the ranker's name.
_PROBABILITIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda said: expit(_LOGITS_A_MARGIN * said[:, 0]),
    "label_tree": lambda said: np.exp(said[:, 0]),
    "neighbors": lambda said: said.mean(axis=1),
    "vectors": lambda said: said.mean(axis=1),
    "label_texts": lambda said: said[:, 0].clip(0, 1),
    "label_vectors": lambda said: said[:, 0].clip(0, 1),
    "network": lambda said: expit(said[:, 0]),
}


class FinalRanker(Protocol):
    """What decides."""

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        """Return a logit for each pair, float64.

        Parameters
        ----------
        columns : ndarray of float32, shape (n_pairs, n_columns)
            As `opinions` gives them.
        """
        ...


@dataclass(frozen=True)
class Logistic:
    """A logistic regression on standardized columns.

    Attributes
    ----------
    used : ndarray of int32, shape (n_used,)
        The columns that it reads.
    weights : ndarray of float64, shape (n_used,)
    bias : float
    """

    used: np.ndarray
    weights: np.ndarray
    bias: float

    def scaled(self, slope: float, offset: float) -> Logistic:
        """Return what says `slope` times what this says, plus `offset`."""
        return Logistic(self.used, slope * self.weights, slope * self.bias + offset)

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        """Return the logits, as `FinalRanker` does."""
        total = np.full(len(columns), self.bias)
        for column, weight in zip(self.used, self.weights, strict=True):
            total += weight * columns[:, column].astype(np.float64)
        return total


@dataclass(frozen=True)
class Mean:
    """The plain mean of the rankers' probabilities, where nothing is learned.

    A margin m of "linear" counts as the logit ``4 m``, a path p of "label_tree" as the probability
    ``exp(p)``; "neighbors" and "vectors" say the mean of their shares, "label_texts" and
    "label_vectors" the cosine.

    Attributes
    ----------
    names : tuple of str
        Of the rankers, in their order.
    widths : tuple of int
        How many columns each of them has.
    """

    names: tuple[str, ...]
    widths: tuple[int, ...]

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        """Return the logits, as `FinalRanker` does."""
        total = np.zeros(len(columns))
        begin = 0
        for name, width in zip(self.names, self.widths, strict=True):
            said = columns[:, begin : begin + width].astype(np.float64)
            begin += width
            total += _PROBABILITIES[name](said)
        return logit(total / len(self.names))


@dataclass(frozen=True)
class OfScikitLearn:
    """A classifier of the user's own.

    Attributes
    ----------
    classifier : fitted classifier with `predict_proba`
    """

    classifier: Any

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        """Return the logits, as `FinalRanker` does."""
        if len(columns) == 0:
            return np.zeros(0)
        return logit(np.asarray(self.classifier.predict_proba(columns)[:, 1], dtype=np.float64))


def logit(probabilities: np.ndarray) -> np.ndarray:
    """Return ``ln(p / (1 - p))``, of what lies within 1e-7 and 1 - 1e-7."""
    p = probabilities.clip(1e-7, 1 - 1e-7)
    return np.log(p) - np.log1p(-p)


def check_finite(made: np.ndarray, name: str = "scores") -> np.ndarray:
    """Return what was computed of documents, if all of it is finite.

    Weights and inputs are finite where they come in, but their sums and products may be too large.

    Raises
    ------
    ValueError
    """
    if not np.isfinite(made).all():
        raise ValueError(
            f"The {name} of a document are not finite: numbers of X, or weights of the model, are "
            "so large that their products have no place in floating point. Scale X to smaller "
            "numbers; if X is small already, load another copy of the model, or train it again."
        )
    return made


def mean_of(rankers: Sequence[Ranker]) -> Mean:
    """Return the plain mean of some rankers."""
    return Mean(
        tuple(ranker.name for ranker in rankers), tuple(len(ranker.columns) for ranker in rankers)
    )


def describe(final: FinalRanker) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return settings and arrays of `Trees`, `Logistic` or `Mean`, for a file."""
    if isinstance(final, Trees):
        settings = {"kind": "trees", "n_columns": final.n_columns, "baseline": final.baseline}
        names = ("starts", "column", "threshold", "left", "right", "value")
        return settings, {name: getattr(final, name) for name in names}
    if isinstance(final, Logistic):
        return {"kind": "logistic", "bias": final.bias}, {
            "used": final.used,
            "weights": final.weights,
        }
    if isinstance(final, Mean):
        return {"kind": "mean"}, {}
    raise TypeError("a final ranker of scikit-learn's is kept by skops, not as arrays")


def made_of(
    settings: dict[str, Any], arrays: dict[str, np.ndarray], rankers: Sequence[Ranker]
) -> FinalRanker:
    """Return the final ranker that `describe` described, for these rankers.

    Raises
    ------
    ValueError
        If the settings and arrays are not what such a final ranker has.
    """
    kind, n_columns = settings.get("kind"), n_columns_of(rankers)
    if kind == "mean":
        return mean_of(rankers)
    if kind == "logistic":
        used = checked(arrays, "used", np.int32)
        if len(used) and not 0 <= used.min() <= used.max() < n_columns:
            raise ValueError("its final ranker reads a column that is not there")
        weights = checked(arrays, "weights", np.float64, len(used))
        if np.abs(weights).max(initial=0) > LARGEST:
            raise ValueError(f"its final ranker has weights above {LARGEST}")
        return Logistic(used, weights, _number(settings, "bias"))
    if kind != "trees" or settings.get("n_columns") != n_columns:
        raise ValueError("its final ranker is of an unknown kind, or of other rankers")
    return Trees(
        n_columns,
        _number(settings, "baseline"),
        starts=checked(arrays, "starts", np.int32),
        column=checked(arrays, "column", np.int32),
        threshold=checked(arrays, "threshold", np.float64),
        left=checked(arrays, "left", np.int32),
        right=checked(arrays, "right", np.int32),
        value=checked(arrays, "value", np.float64),
    )


def n_columns_of(rankers: Sequence[Ranker]) -> int:
    """Return how many columns the opinions of some rankers have."""
    return 2 * sum(len(ranker.columns) for ranker in rankers) + 2


def _number(settings: dict[str, Any], name: str) -> float:
    value: Any = settings.get(name)
    if not isinstance(value, float) or not abs(value) <= LARGEST:
        raise ValueError(f"its {name} is no number, or above {LARGEST}")
    return value
