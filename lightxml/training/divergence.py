"""Stop a training whose loss, or whose weights, are no longer finite."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from lightxml.exceptions import NonFiniteLossError

_MOST_SHOWN = 20  # document numbers in a message; the exception has them all


@dataclass(frozen=True)
class _Seen:
    step: int
    documents: np.ndarray
    loss: torch.Tensor
    copied: torch.cuda.Event | None


class LossWatch:
    """Look at each step's loss before the weights move.

    On a CPU a NaN never reaches the weights. On a GPU, reading a loss at once would make the host
    wait for all that is queued and leave the GPU idle. So it is copied beside the computation and
    read one step late: one step may be taken with a gradient that is not finite, but `settle` comes
    before whatever outlives the training (a checkpoint, an epoch's record).

    Parameters
    ----------
    device : torch.device
    advice : str
        What to do, for the message.
    numbers : ndarray of int64, shape (n_documents,), or None
        The caller's number of each document; None: they are the same.
    """

    def __init__(self, device: torch.device, advice: str, numbers: np.ndarray | None) -> None:
        self._reads_late = device.type == "cuda"
        self._advice, self._numbers = advice, numbers
        self._last: _Seen | None = None

    def look(self, loss: torch.Tensor, step: int, documents: np.ndarray) -> None:
        """Take a step's loss, its number (from 1) and its documents.

        Raises
        ------
        NonFiniteLossError
            If the loss is NaN or infinite; on a GPU, if the one before is.
        """
        if self._numbers is not None:
            documents = self._numbers[documents]
        before = self._last
        if self._reads_late:
            copy = loss.to("cpu", non_blocking=True)
            copied = torch.cuda.Event()
            copied.record()
            self._last = _Seen(step, documents, copy, copied)
            self._check(before)
        else:
            self._last = _Seen(step, documents, loss, None)
            self._check(self._last)

    def settle(self, weights: Iterable[torch.Tensor]) -> None:
        """Wait for the last loss, and look at the weights as well.

        Raises
        ------
        NonFiniteLossError
            If the loss or a weight is NaN or infinite.
        """
        seen = self._last
        self._check(seen)
        if seen is not None and not all(map(_are_finite, weights)):
            raise self._error(seen, "The weights hold NaN or infinite values after")

    def _check(self, seen: _Seen | None) -> None:
        if seen is None:
            return
        if seen.copied is not None:
            seen.copied.synchronize()
        loss = seen.loss.item()
        if not math.isfinite(loss):
            raise self._error(seen, f"The loss is {loss} at")

    def _error(self, seen: _Seen, what: str) -> NonFiniteLossError:
        documents = sorted(seen.documents.tolist())
        shown = ", ".join(map(str, documents[:_MOST_SHOWN]))
        if len(documents) > _MOST_SHOWN:
            shown += f" and {len(documents) - _MOST_SHOWN} more"
        message = f"{what} step {seen.step}, on the documents {shown} of X. {self._advice}"
        return NonFiniteLossError(message, step=seen.step, documents=documents)


def _are_finite(weights: torch.Tensor) -> bool:
    # In parts: torch makes two copies of what it looks at.
    parts = weights.detach().reshape(-1).split(2**22)
    return all(bool(torch.isfinite(part).all()) for part in parts)
