"""The optimizers: AdamW, and a row-wise Adagrad for tables of which a batch touches few rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn

WARM_UP = 0.05  # of all steps, with the linear schedule
# The feature embedding's rate, in terms of the head's; chosen on validation documents.
TABLE_RATE = 40.0


class RowAdagrad(torch.optim.Optimizer):
    """Adagrad with one accumulator for each row, for tables whose gradient is sparse.

    A row moves by ``-lr g / sqrt(sum over the steps of mean(g^2))``. The accumulators are one
    number a row, where SparseAdam keeps two tables of the parameter's size.

    Parameters
    ----------
    params : iterable of Parameter, each of two dimensions
        Their gradients are sparse tensors of whole rows.
    lr : float

    References
    ----------
    Duchi, Hazan, Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", JMLR 2011; one accumulator a row as in Gupta et al., "Training Recommender
    Systems at Scale", KDD 2021.
    """

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move the touched rows."""
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is None:
                    continue
                gradient = table.grad.coalesce()
                rows, values = gradient.indices()[0], gradient.values()
                state = self.state[table]
                if not state:
                    state["sums"] = table.new_zeros(len(table))
                # The norm's kernel is many times faster than that of a mean of squares.
                squares = torch.linalg.vector_norm(values, dim=1).square() / values.shape[1]
                sums = state["sums"][rows] + squares
                state["sums"][rows] = sums
                factors = -group["lr"] / sums.sqrt().clamp(min=1e-10)
                table.index_add_(0, rows, values * factors[:, None])


def make_optimizers(
    network: nn.Module, learning_rate: float, head_learning_rate: float, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """Return the optimizers that together move every weight that is to be trained.

    AdamW has a rate for the encoder and one for the rest; biases and norms do not decay. Tables
    with a sparse gradient have a row-wise Adagrad.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    tables = []
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        if name == "features.weight":
            tables.append(parameter)
            continue
        in_encoder = name.startswith("encoder.")
        decays = parameter.ndim > 1  # biases and the scales of layer norms are vectors
        groups.setdefault((in_encoder, decays), []).append(parameter)
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(
            [
                {
                    "params": parameters,
                    "lr": learning_rate if in_encoder else head_learning_rate,
                    "weight_decay": weight_decay if decays else 0.0,
                }
                for (in_encoder, decays), parameters in groups.items()
            ],
            fused=next(network.parameters()).device.type in ("cpu", "cuda"),
        )
    ]
    if tables:
        optimizers.append(RowAdagrad(tables, lr=TABLE_RATE * head_learning_rate))
    return optimizers


def learning_rate_factor(
    schedule: Literal["linear", "constant"], n_steps: int
) -> Callable[[int], float]:
    """Return the schedule: the factor on every learning rate at a step, counted from 0."""
    if schedule == "constant":
        return lambda step: 1.0
    warm_up = max(1, round(WARM_UP * n_steps))

    def linear(step: int) -> float:
        if step < warm_up:
            return (step + 1) / (warm_up + 1)
        return max(0.0, (n_steps - step) / max(1, n_steps - warm_up))

    return linear
