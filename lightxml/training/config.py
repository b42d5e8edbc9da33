"""How to train, decided before training begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TrainingConfig:
    """How to train; the names are those of `LightXMLClassifier`'s arguments.

    `accumulate` counts the batches of a step over all processes. `seed` decides the order of the
    documents and what dropout draws. `stop_on` names a figure of
    the history: the weights of the epoch with the best are kept, and after `n_iter_no_change`
    epochs without a better one the training ends. None: no such end, and the last weights.
    """

    max_epochs: int
    batch_size: int
    accumulate: int
    learning_rate: float
    head_learning_rate: float
    weight_decay: float
    schedule: Literal["linear", "constant"]
    swa_start: float | None
    swa_every: int
    seed: int
    verbose: int
    stop_on: str | None = None
    n_iter_no_change: int = 3
