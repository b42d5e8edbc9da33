"""The optimizers: AdamW, and a row-wise Adagrad for tables of which a batch touches few rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import nn

from lightxml.features import SparseEmbedding
from lightxml.network import LightXMLNetwork
from lightxml.tables import RowAdagrad

WARM_UP = 0.05  # of all steps, with the linear schedule
# The feature embedding's rate, in terms of the head's; chosen on validation documents.
TABLE_RATE = 40.0


def make_optimizers(
    network: LightXMLNetwork, learning_rate: float, head_learning_rate: float, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """Return the optimizers that together move every weight that is to be trained.

    AdamW has a rate for the encoder and one for the rest; biases and norms do not decay. The
    table of a sparse feature embedding has a row-wise Adagrad.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    features = network.features
    table = features.weight if isinstance(features, SparseEmbedding) else None
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad or parameter is table:
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
    if isinstance(features, SparseEmbedding):
        optimizers.append(
            RowAdagrad(features.weight, features.pending, TABLE_RATE * head_learning_rate)
        )
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
