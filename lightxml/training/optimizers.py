"""The optimizers: AdamW, and what features and head have of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import nn

from lightxml.network.network import LightXMLNetwork

WARM_UP = 0.05  # of all steps, with the linear schedule


def make_optimizers(
    network: LightXMLNetwork,
    learning_rate: float,
    head_learning_rate: float,
    weight_decay: float,
    seed: int,
) -> list[torch.optim.Optimizer]:
    """Return the optimizers that together move every weight that is to be trained.

    AdamW has a rate for the encoder and one for the rest; biases and norms do not decay. What it
    is not to move, such as tables of features and of labels, does not decay either: the feature
    embedding and the head say what moves it.
    """
    parts = [part for part in (network.features, network.head) if part is not None]
    found = [part.optimizer(head_learning_rate, seed) for part in parts]
    others = [other for other in found if other is not None]
    elsewhere = {id(p) for other in others for p in other.param_groups[0]["params"]}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad or id(parameter) in elsewhere:
            continue
        in_encoder = name.startswith("encoder.")
        decays = parameter.ndim > 1  # biases and the scales of layer norms are vectors
        groups.setdefault((in_encoder, decays), []).append(parameter)
    adamw = torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": learning_rate if in_encoder else head_learning_rate,
                "weight_decay": weight_decay if decays else 0.0,
            }
            for (in_encoder, decays), parameters in groups.items()
        ],
        fused=network.device.type in ("cpu", "cuda"),
    )
    return [adamw, *others]


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
