"""Optimizers of weights whose gradient is never made whole."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

# Beside a weight that AdamW moves: its gradient and two moments, in float32.
ADAMW_BYTES = 3 * 4


class PendingOptimizer(torch.optim.Optimizer):
    """The base of an optimizer that reads its gradient from a list, not from ``grad``.

    Parameters
    ----------
    weights : list of Parameter
    pending : list
        What the gradient is made of, one piece for each backward pass since the last step.
        Several processes that train together gather these pieces.
    lr : float
    """

    def __init__(self, weights: list[nn.Parameter], pending: list[Any], lr: float) -> None:
        super().__init__(weights, {"lr": lr})
        self.pending = pending

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget what is pending."""
        self.pending.clear()
