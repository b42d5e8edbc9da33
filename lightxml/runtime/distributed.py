"""One training in several processes: who they are, and what they tell each other."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import KW_ONLY, dataclass, fields, is_dataclass, replace
from datetime import timedelta
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from lightxml.runtime.ranks import Made, Ranks, process_group

Loss = Callable[..., torch.Tensor]
# A process waits so long for the others: the first may be writing a large checkpoint. A process
# that dies is noticed at once; only of a machine that vanishes nothing is heard.
TIMEOUT = timedelta(hours=1)
# So long for what the first makes alone: clusters, rankers, the final one.
PATIENCE = timedelta(days=7)
_ROWS_AT_ONCE = 4_096
_groups_made = itertools.count()


@dataclass(frozen=True)
class Group(Ranks):
    """Several processes that train together.

    Attributes
    ----------
    rank, size : int
    group : ProcessGroup
        For tensors on the CPU, and on the device where the training is.
    patient : ProcessGroup
        The same processes, for what the first makes alone, which may take hours.
    """

    _: KW_ONLY
    group: Any
    patient: Any

    def from_first(self, make: Callable[[], Made]) -> Made:
        """Let the first process make something, and return it in all; an error is raised in all."""
        box: list[Any] = [None, None]
        error: Exception | None = None
        if self.is_first:
            try:
                box[0] = make()
            except Exception as raised:
                box[1] = error = raised
        dist.broadcast_object_list(box, src=0, group=self.patient)
        if box[1] is not None:
            raise error or box[1]
        made: Made = box[0]
        return made

    def gather_rows(self, rows: np.ndarray) -> None:
        """Put the rows that are other processes' shares in their places; each has made its own."""
        for rank in range(self.size):
            begin, end = replace(self, rank=rank).share_of(len(rows))
            for block in range(begin, end, _ROWS_AT_ONCE):
                part = torch.from_numpy(rows[block : min(block + _ROWS_AT_ONCE, end)])
                dist.broadcast(part, src=rank, group=self.group)

    def gather(self, own: Made) -> list[Made]:
        """Return what all processes have, in their order."""
        box: list[Any] = [None] * self.size
        dist.all_gather_object(box, own, group=self.group)
        return box

    def largest(self, *own: int) -> list[int]:
        """Return the largest of all processes' numbers, place by place."""
        numbers = torch.tensor(own, dtype=torch.int64)
        dist.all_reduce(numbers, dist.ReduceOp.MAX, group=self.group)
        found: list[int] = numbers.tolist()
        return found

    def add_up(self, tensor: torch.Tensor) -> None:
        """Put the sum over all processes in the tensor's place."""
        dist.all_reduce(tensor, group=self.group)

    def share(self, tensors: dict[str, torch.Tensor], device: torch.device) -> dict[str, Any]:
        """Return the first process's tensors, on the CPU or `device` as they are there."""
        form = {name: (t.shape, t.dtype, t.device.type) for name, t in tensors.items()}
        shared = {}
        for name, (shape, dtype, kind) in self.from_first(lambda: form).items():
            if self.is_first:
                shared[name] = tensors[name].detach().contiguous()
            else:
                place = torch.device("cpu") if kind == "cpu" else device
                shared[name] = torch.empty(shape, dtype=dtype, device=place)
            dist.broadcast(shared[name], src=0, group=self.group)
        return shared

    def share_loss(self, loss: Loss, dense: Sequence[nn.Parameter], *, some_unused: bool) -> Loss:
        """Return the same loss, whose backward pass adds up the gradients of all processes."""
        # torch would divide the sum by the number of processes; the hook does not.
        shared = DistributedDataParallel(
            _Loss(loss, dense),
            process_group=self.group,
            gradient_as_bucket_view=True,
            find_unused_parameters=some_unused,
        )
        shared.register_comm_hook(self.group, _sum)
        return shared

    def gather_pieces(self, own: Sequence[Sequence[Any]], n: int) -> list[list[Any]]:
        """Return, of each kind of piece, the first `n` of all processes' pieces, dealt in turn."""
        if not own:
            return []
        arrays: list[np.ndarray] = []
        tensors: list[torch.Tensor] = []
        for piece in itertools.chain(*own):
            _take_apart(piece, tensors, arrays)
        forms = [(tensor.shape, tensor.dtype) for tensor in tensors]
        counts = [len(pieces) for pieces in own]
        # What is on the host goes with the sizes: a device is not waited for.
        told = self.gather((counts, forms, arrays))
        bytes_of = self._gather_bytes(tensors, [_n_bytes(forms) for _, forms, _ in told])
        found: list[list[list[Any]]] = []
        for (counts, forms, arrays), flat in zip(told, bytes_of, strict=True):
            given, host = _cut(flat, forms), iter(arrays)
            found.append(
                [
                    [_put_together(pieces[0], given, host) for _ in range(count)]
                    for count, pieces in zip(counts, own, strict=True)
                ]
            )
        return [
            [found[i % self.size][kind][i // self.size] for i in range(n)]
            for kind in range(len(own))
        ]

    def _gather_bytes(self, own: list[torch.Tensor], sizes: list[int]) -> list[torch.Tensor]:
        """Return all processes' tensors, as bytes one after the other."""
        flat = torch.zeros(max(sizes), dtype=torch.uint8, device=own[0].device)
        begin = 0
        for tensor in own:
            end = begin + tensor.numel() * tensor.element_size()
            flat[begin:end] = tensor.contiguous().reshape(-1).view(torch.uint8)
            begin = _rounded(end)
        box = [torch.empty_like(flat) for _ in sizes]
        dist.all_gather(box, flat, group=self.group)
        return box


@contextmanager
def group_of(size: int, device: str | torch.device) -> Iterator[Group]:
    """Join so many processes, as `lightxml.runtime.ranks.joined` does: several."""
    with _own_gpu(str(device)):
        backend = "cpu:gloo,cuda:nccl" if _is_gpu(str(device)) else "gloo"
        if process_group() is not None:
            group = dist.new_group(backend=backend, timeout=TIMEOUT)
        else:
            # Each fit of a process has a place of its own in the store: what an earlier group
            # left there is not met again.
            store = dist.PrefixStore(f"lightxml/{next(_groups_made)}", _store())
            rank = int(os.environ["RANK"])
            dist.init_process_group(
                backend, timeout=TIMEOUT, store=store, rank=rank, world_size=size
            )
            group = dist.group.WORLD
        patient = dist.new_group(backend="gloo", timeout=PATIENCE)
        try:
            yield Group(dist.get_rank(), size, group=group, patient=patient)
        finally:
            dist.destroy_process_group(patient)
            dist.destroy_process_group(group)


def within_step(loss: Loss, *, is_last: bool) -> AbstractContextManager[None]:
    """Let the processes add up their gradients after the last batch of a step only."""
    if is_last or not isinstance(loss, DistributedDataParallel):
        return nullcontext()
    waiting: AbstractContextManager[None] = loss.no_sync()
    return waiting


class _Loss(nn.Module):
    """What `DistributedDataParallel` sees of a network: the weights with dense gradients.

    The network is no submodule. Its tables would be, and with them a buffer of their size.
    """

    def __init__(self, loss: Loss, dense: Sequence[nn.Parameter]) -> None:
        super().__init__()
        self.dense = nn.ParameterList(dense)
        self.loss = loss

    def forward(self, *arguments: Any) -> torch.Tensor:
        return self.loss(*arguments)


def _sum(group: Any, bucket: dist.GradBucket) -> torch.futures.Future[torch.Tensor]:
    work = dist.all_reduce(bucket.buffer(), group=group, async_op=True)
    return work.get_future().then(lambda future: future.value()[0])


_sum.__annotations__ = {}  # torch compares them, and finds names where it wants classes


@cache
def _store() -> Any:
    """Return the store where processes find each other; the first may have to serve it."""
    store, _, _ = next(dist.rendezvous("env://", timeout=TIMEOUT))
    return store


def _is_gpu(device: str) -> bool:
    return torch.cuda.is_available() and (device == "auto" or device.startswith("cuda"))


def _own_gpu(device: str) -> AbstractContextManager[Any]:
    if not _is_gpu(device) or ":" in device or "LOCAL_RANK" not in os.environ:
        return nullcontext()
    number, n_gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if number >= n_gpus:
        raise ValueError(
            f"device={device!r}: this is process {number} (from 0) of a machine with {n_gpus} "
            "GPUs, and each takes one. Start fewer, or pass device='cpu'."
        )
    return torch.cuda.device(number)


def _take_apart(piece: Any, tensors: list[torch.Tensor], arrays: list[np.ndarray]) -> None:
    for field in fields(piece):
        value = getattr(piece, field.name)
        if is_dataclass(value):
            _take_apart(value, tensors, arrays)
        elif isinstance(value, torch.Tensor):
            tensors.append(value)
        else:
            arrays.append(value)


def _put_together(like: Any, tensors: Iterator[torch.Tensor], arrays: Iterator[np.ndarray]) -> Any:
    """Return a piece of the same kind, of the next tensors and arrays."""
    values: list[Any] = []
    for field in fields(like):
        value = getattr(like, field.name)
        if is_dataclass(value):
            values.append(_put_together(value, tensors, arrays))
        else:
            values.append(next(tensors if isinstance(value, torch.Tensor) else arrays))
    return type(like)(*values)


def _cut(flat: torch.Tensor, forms: list[Any]) -> Iterator[torch.Tensor]:
    begin = 0
    for shape, dtype in forms:
        end = begin + shape.numel() * dtype.itemsize
        yield flat[begin:end].view(dtype).reshape(shape)
        begin = _rounded(end)


def _n_bytes(forms: list[Any]) -> int:
    return sum(_rounded(shape.numel() * dtype.itemsize) for shape, dtype in forms)


def _rounded(n_bytes: int) -> int:
    return -(-n_bytes // 8) * 8  # where a tensor of any dtype may begin
