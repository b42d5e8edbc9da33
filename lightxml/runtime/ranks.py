"""The processes of one training, as far as one of them alone has to know: without torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

Made = TypeVar("Made")
_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what torchrun sets


@dataclass(frozen=True)
class Ranks:
    """The processes of one training: here a process that is alone, and talks to nobody.

    `lightxml.runtime.distributed.Group` is several. All of them call each method at the same
    point, but for `is_first`.

    Attributes
    ----------
    rank : int
        The number of this process, from 0.
    size : int
        How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    def from_first(self, make: Callable[[], Made]) -> Made:
        """Let the first process make something, and return it in all; an error is raised in all."""
        return make()

    def gather(self, own: Made) -> list[Made]:
        """Return what all processes have, in their order."""
        return [own]

    def share_of(self, n: int) -> tuple[int, int]:
        """Return where this process's share of so many rows begins and ends."""
        return n * self.rank // self.size, n * (self.rank + 1) // self.size

    def gather_rows(self, rows: np.ndarray) -> None:
        """Put the rows that are other processes' shares in their places; each has made its own."""

    def largest(self, *own: int) -> list[int]:
        """Return the largest of all processes' numbers, place by place."""
        return list(own)

    def add_up(self, tensor: torch.Tensor) -> None:
        """Put the sum over all processes in the tensor's place."""

    def share(self, tensors: dict[str, torch.Tensor], device: torch.device) -> dict[str, Any]:
        """Return the first process's tensors, on the CPU or `device` as they are there."""
        return tensors

    def check_same(self, own: dict[str, Any]) -> None:
        """Refuse what is not the same in all processes; they would wait for each other in vain.

        Parameters
        ----------
        own : dict
            By the name that an error gives it: the same names in all.

        Raises
        ------
        ValueError
        """
        first, *others = self.gather(own)
        for rank, other in enumerate(others, start=1):
            for name, value in first.items():
                if other.get(name) != value:
                    raise ValueError(
                        f"{name}: differs between the processes of this training, {value!r} in "
                        f"process 0, {other.get(name)!r} in process {rank}. Pass the same to fit "
                        "in all of them; what is drawn at random wants a fixed seed."
                    )

    def share_loss(
        self, loss: Callable[..., torch.Tensor], dense: Sequence[nn.Parameter], *, some_unused: bool
    ) -> Callable[..., torch.Tensor]:
        """Return the same loss, whose backward pass adds up the gradients of all processes.

        Parameters
        ----------
        loss : callable
        dense : sequence of Parameter
            Those with a gradient in ``grad``. Others that the loss reads are left alone.
        some_unused : bool
            Whether the loss may not read all of them. torch warns where it does.
        """
        return loss

    def gather_pieces(self, own: Sequence[Sequence[Any]], n: int) -> list[list[Any]]:
        """Return, of each kind of piece, the first `n` of all processes' pieces, dealt in turn.

        Parameters
        ----------
        own : sequence of sequences of dataclasses
            Of each kind, those of this process: at least one. They are made of tensors on the
            device, arrays, and dataclasses of those.
        n : int
            Piece i of a kind was made by process ``i % size``.
        """
        return [list(pieces) for pieces in own]


ALONE = Ranks()


@contextmanager
def joined(device: str | torch.device) -> Iterator[Ranks]:
    """Join the other processes of this training, as a context manager.

    They are those of torch's process group, if there is one. Else those that the environment
    names, as ``torchrun`` sets it: then the group is made here, and ended afterwards. Without
    either this process is alone.

    Parameters
    ----------
    device : str or torch.device
        As `lightxml.runtime.devices.choose_device` takes it. A GPU without a number is that of
        ``LOCAL_RANK``, for as long as the context lasts.

    Raises
    ------
    ValueError
        If there are more processes on this machine than GPUs, and each wants its own.
    """
    begun = process_group()
    size = _size_in_environment() if begun is None else begun.get_world_size()
    if size == 1:
        yield ALONE
        return
    from lightxml.runtime.distributed import group_of

    with group_of(size, device) as ranks:
        yield ranks


def is_first_process() -> bool:
    """Tell whether this process is the first of its training, before or after `fit`."""
    begun = process_group()
    if begun is not None:
        return bool(begun.get_rank() == 0)
    return _size_in_environment() == 1 or os.environ["RANK"] == "0"


def process_group() -> Any:
    """Return ``torch.distributed`` if a process group was begun there; else None."""
    dist = sys.modules.get("torch.distributed")  # what nobody has imported, nobody has begun
    return dist if dist is not None and dist.is_available() and dist.is_initialized() else None


def _size_in_environment() -> int:
    """Return of how many processes the environment tells; 1 if of none."""
    if not all(name in os.environ for name in _VARIABLES):
        return 1
    return int(os.environ["WORLD_SIZE"])
