"""Sums over a batch in which each document counts by its weight."""

from __future__ import annotations

import torch


def total(entries: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Return the sum of all entries, each times its document's weight: float32 of shape ().

    Parameters
    ----------
    entries : Tensor, shape (batch, n)
    weights : Tensor of float32, shape (batch,), or None
        None: 1 each.
    """
    if weights is None:
        return entries.sum(dtype=torch.float32)
    return entries.sum(dim=1, dtype=torch.float32) @ weights


def total_of(
    values: torch.Tensor, rows: torch.Tensor, weights: torch.Tensor | None
) -> torch.Tensor:
    """Return the sum of some values, each times its document's weight: float32 of shape ().

    Parameters
    ----------
    values : Tensor, shape (n_values,)
    rows : Tensor of int64, shape (n_values,)
        The document of each.
    weights : as `total` takes them
    """
    return values.float().sum() if weights is None else values.float() @ weights[rows]


def weigh(gradient: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Multiply each document's row by its weight, in place; `gradient` is (batch, n)."""
    return gradient if weights is None else gradient.mul_(weights[:, None])
