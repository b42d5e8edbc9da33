"""What a learner is given beside its documents, and what it gives back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from data import K

Made = TypeVar("Made")


@dataclass(frozen=True)
class Options:
    """How to run.

    Attributes
    ----------
    setting : str
        As the command line names it: a learner's name, and a variant of it after ``+``.
    seed : int
    encoder : str or None
        A folder or a hub name.
    max_length : int
    max_epochs : int or None
        Of a trained encoder; None: the learner's own default.
    memory : str or None
        A folder that keeps a frozen encoder's vectors.
    checkpoints : str or None
        A folder for those of a trained encoder.
    environments : str
        A folder for Python environments of learners that this one cannot hold.
    scratch : Path
        An empty folder, deleted afterwards.
    threads : int
    """

    setting: str
    seed: int
    encoder: str | None
    max_length: int
    max_epochs: int | None
    memory: str | None
    checkpoints: str | None
    environments: str
    scratch: Path
    threads: int

    @property
    def variants(self) -> list[str]:
        """What follows the learner's name."""
        return self.setting.split("+")[1:]


@dataclass(frozen=True)
class Outcome:
    """A ranking, seconds of wall time, and the size of the model on disk.

    ``topk`` holds column numbers, int64 of shape (n_documents, K), best first.
    """

    topk: np.ndarray
    vectorize_s: float
    train_s: float
    predict_s: float
    model_bytes: int


def timed(work: Callable[[], Made]) -> tuple[Made, float]:
    """Return what some work makes, and the seconds that it takes."""
    began = time.perf_counter()
    made = work()
    return made, time.perf_counter() - began


def filled(rows: Iterable[Sequence[int]], n_labels: int) -> np.ndarray:
    """Return rankings of K labels; where a learner gives fewer, the first other columns follow."""
    full = []
    for row in rows:
        first = list(row[:K])
        others = (label for label in range(n_labels) if label not in first)
        full.append(first + [next(others) for _ in range(K - len(first))])
    return np.array(full, dtype=np.int64)


def best_columns(scores: np.ndarray) -> np.ndarray:
    """Return the columns of each row's K largest scores, best first."""
    top = np.argpartition(-scores, K - 1, axis=1)[:, :K]
    order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
    return np.take_along_axis(top, order, axis=1)
