"""All that a training has made so far: weights, their mean, optimizers, history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from lightxml.runtime.ranks import Ranks


@dataclass
class TrainingState:
    """What a training changes; a checkpoint holds all of it.

    Random generators are not among it: they are seeded anew for each batch.

    Attributes
    ----------
    trained : ParameterList
        The network's own weights, those that are trained.
    optimizers : list of Optimizer
    epoch_loss : Tensor of float32, shape ()
        Summed over the documents of the epoch so far.
    step : int
        Optimizer steps taken.
    averaged : AveragedModel or None
        The mean of the weights, once it has begun.
    best : list of Tensor, or None
        The weights of the best epoch so far, where one is looked for.
    history : list of dict, one a finished epoch
    """

    trained: nn.ParameterList
    optimizers: list[torch.optim.Optimizer]
    epoch_loss: torch.Tensor
    step: int = 0
    averaged: AveragedModel | None = None
    best: list[torch.Tensor] | None = None
    history: list[dict[str, float]] = field(default_factory=list)

    def add_to_mean(self) -> None:
        """Let the weights count in their mean."""
        self.averaged = self.averaged or _mean_of(self.trained)
        self.averaged.update_parameters(self.trained)

    @contextmanager
    def mean_weights(self) -> Iterator[None]:
        """Let the network have the averaged weights, where there are any, then its own again."""
        self.exchange()
        try:
            yield
        finally:
            self.exchange()

    def exchange(self) -> None:
        """Exchange the network's weights and their mean, where there is one."""
        if self.averaged is not None:
            for own, mean in zip(self.trained, self.averaged.module.parameters(), strict=True):
                own.data, mean.data = mean.data, own.data

    @torch.no_grad()
    def keep_as_best(self) -> None:
        """Copy the network's weights: no epoch was better."""
        if self.best is None:
            self.best = [own.detach().to(torch.float32, copy=True) for own in self.trained]
        else:
            for best, own in zip(self.best, self.trained, strict=True):
                best.copy_(own)

    def finish(self) -> None:
        """Leave in the network what predicts: the best epoch's weights, or else the mean."""
        if self.best is None:
            self.exchange()
        else:
            for best, own in zip(self.best, self.trained, strict=True):
                own.data = best

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the large part, by name; not copied."""
        mean = [] if self.averaged is None else list(self.averaged.module.parameters())
        parts = {"weights": list(self.trained), "mean": mean, "best": self.best or []}
        named = {f"{part}/{i}": t for part, ts in parts.items() for i, t in enumerate(ts)}
        named["epoch_loss"] = self.epoch_loss
        for place, value in self._optimizer_values():
            if isinstance(value, torch.Tensor):
                named["/".join(map(str, ("optimizer", *place)))] = value
        return named

    def numbers(self) -> dict[str, Any]:
        """Return the rest, as JSON can say it."""
        values = self._optimizer_values()
        return {
            "step": self.step,
            "n_averaged": 0 if self.averaged is None else int(self.averaged.n_averaged),
            "has_best": self.best is not None,
            "history": self.history,
            "optimizers": [[*at, v] for at, v in values if not isinstance(v, torch.Tensor)],
        }

    def _optimizer_values(self) -> Iterator[tuple[tuple[int, int, str], Any]]:
        for number, optimizer in enumerate(self.optimizers):
            for parameter, values in optimizer.state_dict()["state"].items():
                for key, value in values.items():
                    yield (number, parameter, key), value

    def restore(self, numbers: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        """Take back what `numbers` and `tensors` gave; `tensors` is emptied.

        Raises
        ------
        LookupError, ValueError
            If they are not of such a network and such optimizers.
        """
        self.step, self.history = numbers["step"], numbers["history"]
        _fill("weights", self.trained, tensors)
        if numbers["n_averaged"]:
            self.averaged = _mean_of(self.trained)
            self.averaged.n_averaged.fill_(numbers["n_averaged"])
            _fill("mean", self.averaged.module.parameters(), tensors)
        if numbers["has_best"]:
            self.keep_as_best()
            _fill("best", self.best or [], tensors)
        self.epoch_loss.copy_(tensors.pop("epoch_loss"))
        states: list[dict[int, dict[str, Any]]] = [{} for _ in self.optimizers]
        for number, parameter, key, value in numbers["optimizers"]:
            states[number].setdefault(parameter, {})[key] = value
        for name in list(tensors):
            _, number, parameter, key = name.split("/", maxsplit=3)
            states[int(number)].setdefault(int(parameter), {})[key] = tensors.pop(name)
        for optimizer, state in zip(self.optimizers, states, strict=True):
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": state, "param_groups": groups})

    def share(self, ranks: Ranks) -> None:
        """Let all processes have what the first one has."""
        if ranks.size == 1:
            return
        numbers = ranks.from_first(self.numbers)
        tensors = ranks.share(self.tensors(), self.epoch_loss.device)
        if not ranks.is_first:
            self.restore(numbers, tensors)


def _mean_of(trained: nn.ParameterList) -> AveragedModel:
    """Return a mean of weights, in float32 whatever they are: in bf16 it would drift."""

    def add(mean: torch.Tensor, own: torch.Tensor, n_averaged: torch.Tensor | int) -> torch.Tensor:
        return mean.lerp_(own.to(mean.dtype), 1 / (n_averaged + 1))

    averaged = AveragedModel(trained, avg_fn=add)
    for mean in averaged.module.parameters():
        mean.data = mean.data.float()
    return averaged


def _fill(part: str, own: Iterable[torch.Tensor], tensors: dict[str, torch.Tensor]) -> None:
    for i, tensor in enumerate(own):
        saved = tensors.pop(f"{part}/{i}")
        if saved.shape != tensor.shape:
            raise ValueError(f"{part}/{i} has the shape {list(saved.shape)}")
        tensor.data.copy_(saved)
