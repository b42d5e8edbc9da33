"""One-vs-all for any number of labels: worked through in chunks, with no gradient ever whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lightxml.network.batches import Targets
from lightxml.network.heads.base import INITIAL_BIAS, Shares, above, linear, top_k

# Numbers in a chunk of the weights: on a CPU they stay in its cache between the products that
# read them; a GPU wants large products.
_BLOCK = {"cpu": 2**21, "cuda": 2**25, "mps": 2**25}
_DECAY = 0.999  # of the mean of squares, a step
_LABELS_RANKED = 2**16  # at a time, in prediction


# Of the labels' weights in training; half the memory, and faster, where the hardware computes so.
TRAINING_DTYPE = {"cpu": torch.float32, "cuda": torch.bfloat16, "mps": torch.float32}


@dataclass(frozen=True)
class HeadGradient:
    """What a batch's gradient of the labels' weights is made of.

    Attributes
    ----------
    queries : Tensor of float32, shape (batch, label_dim)
    targets : Targets
    scale : Tensor of float32, shape ()
        The gradient of the loss itself.
    """

    queries: torch.Tensor
    targets: Targets
    scale: torch.Tensor


class ChunkedHead(nn.Module):
    """A bottleneck of width `label_dim`, then one linear layer over all labels, in chunks.

    The loss is binary cross-entropy, summed over all labels and documents. Its gradient of the
    logits, ``sigmoid(z) - y``, is computed chunk by chunk, and so nothing is kept that is larger
    than batch x chunk. The labels' own gradient is not made in the backward pass: what it is made
    of is left to `ChunkedRMSprop`, which moves the labels chunk by chunk, once a step.

    Parameters
    ----------
    width : int
        Width of the text representation.
    n_labels, label_dim : int

    Attributes
    ----------
    weight : Parameter, shape (n_labels, label_dim)
    bias : Parameter, shape (n_labels,)
        The ``grad`` of both stays None.
    pending : list of HeadGradient
        One for each backward pass since the last step.

    References
    ----------
    Jain et al., "Renée: End-to-end Training of Extreme Classification Models", MLSys 2023: the
    gradient of the logits without a loss, and labels without momentum.
    """

    def __init__(self, width: int, n_labels: int, label_dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, label_dim)
        # Lengths are kept, on average: the first gradients do not depend on `label_dim`.
        nn.init.normal_(self.project.weight, std=label_dim**-0.5)
        self.weight = nn.Parameter(torch.empty(n_labels, label_dim))
        nn.init.normal_(self.weight, std=0.1 * label_dim**-0.5)
        self.bias = nn.Parameter(torch.full((n_labels,), INITIAL_BIAS))
        self.pending: list[HeadGradient] = []

    @property
    def n_labels(self) -> int:
        """Labels that it ranks."""
        return len(self.weight)

    @property
    def n_logits(self) -> int:
        """Numbers that ranking holds at a time for each document."""
        return min(self.n_labels, _LABELS_RANKED)

    @property
    def label_bias(self) -> torch.Tensor:
        """The labels' biases themselves, shape (n_labels,), outside of differentiation."""
        return self.bias.data

    @contextmanager
    def in_training(self) -> Iterator[None]:
        """Keep the labels' weights in the device's `TRAINING_DTYPE`, and in float32 afterwards."""
        self.weight.data = self.weight.data.to(TRAINING_DTYPE[self.weight.device.type])
        try:
            yield
        finally:
            self.weight.data = self.weight.data.float()

    def query(self, representation: torch.Tensor) -> torch.Tensor:
        """Return what the labels' weights are multiplied with, (batch, label_dim)."""
        return linear(self.project, representation, torch.float32)

    def loss(
        self, representation: torch.Tensor, targets: Targets, dtype: torch.dtype
    ) -> torch.Tensor:
        """Return the training loss, the bottleneck's product in `dtype`; float32 of shape ()."""
        query = linear(self.project, representation, dtype)
        loss: torch.Tensor = _ChunkedLoss.apply(
            query, self.weight, self.bias, targets, self.pending
        )
        return loss

    def logits(self, representation: torch.Tensor, shares: Shares | None = None) -> torch.Tensor:
        """Return every logit, float32 of shape (batch, n_labels)."""
        logits = F.linear(self.query(representation), self.weight.float(), self.bias)
        return logits if shares is None else logits + shares(0, self.n_labels)

    def rank(
        self, representation: torch.Tensor, k: int, shares: Shares | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the k largest logits and their columns; as `top_k`."""
        best: tuple[torch.Tensor, torch.Tensor] | None = None
        for begin, logits in self._ranked_chunks(representation, shares):
            values, columns = top_k(logits, min(k, logits.shape[1]))
            columns += begin
            if best is not None:  # equal ones stay in the order of their columns
                values, columns = torch.cat([best[0], values], 1), torch.cat([best[1], columns], 1)
                values, kept = top_k(values, min(k, values.shape[1]))
                columns = columns.gather(1, kept)
            best = values, columns
        assert best is not None
        return best

    def positive(
        self, representation: torch.Tensor, least: float, shares: Shares | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return rows, columns and values of the logits above `least`."""
        rows, columns, values = [], [], []
        for begin, logits in self._ranked_chunks(representation, shares):
            row, column, value = above(logits, least)
            rows.append(row)
            columns.append(column + begin)
            values.append(value)
        return torch.cat(rows), torch.cat(columns), torch.cat(values)

    def _ranked_chunks(
        self, representation: torch.Tensor, shares: Shares | None
    ) -> Iterator[tuple[int, torch.Tensor]]:
        query = self.query(representation)
        for begin in range(0, self.n_labels, _LABELS_RANKED):
            end = min(begin + _LABELS_RANKED, self.n_labels)
            logits = F.linear(query, self.weight[begin:end].float(), self.bias[begin:end])
            yield begin, logits if shares is None else logits + shares(begin, end)


class ChunkedRMSprop(torch.optim.Optimizer):
    """RMSprop without momentum, with one mean of squares a label, a chunk of labels at a time.

    A label moves by ``-lr g / sqrt(v)``, where v is a running mean over the steps of the mean of
    ``g^2`` over its weights, its bias among them: over the first 1,000 steps the mean of all, then
    with a decay of 0.999. A chunk's logits are computed once more, for its gradient; the gradient
    of all labels never exists, and the state is one number a label. Weights in bf16 are rounded at
    random, up or down as often as makes the mean right: rounded to the nearest, most steps would
    move nothing.

    Parameters
    ----------
    head : ChunkedHead
        Its labels; its bottleneck is another optimizer's.
    lr : float
    seed : int
        With the numbers of step and chunk, it decides how to round.

    References
    ----------
    Tieleman, Hinton, "RMSprop", Coursera lecture 6.5, 2012; one number a row as in Shazeer, Stern,
    "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", ICML 2018.
    """

    def __init__(self, head: ChunkedHead, lr: float, seed: int) -> None:
        super().__init__([head.weight, head.bias], {"lr": lr})
        self.head = head
        self.pending = head.pending
        self.seed = seed

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget what is pending."""
        self.pending.clear()

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move all labels."""
        group, pending = self.param_groups[0], self.pending
        weight, bias = self.head.weight, self.head.bias
        if not pending:
            return
        state = self.state[bias]  # of float32, to which a loaded state is cast
        if not state:
            state.update(step=0, squares=torch.zeros_like(bias))
        state["step"] += 1
        share = max(1 / state["step"], 1 - _DECAY)
        queries = torch.cat([part.queries for part in pending]).to(weight.dtype)
        chunks = zip(*(_chunks(weight, part.targets) for part in pending), strict=True)
        for number, chunk in enumerate(chunks):
            labels = chunk[0][0]
            of_logits = torch.cat(
                [
                    _logits_gradient(weight, bias, part.queries, part.targets, *place)[0]
                    * part.scale
                    for part, place in zip(pending, chunk, strict=True)
                ],
                dim=1,
            )  # (chunk, all documents)
            change, of_bias = of_logits.to(weight.dtype) @ queries, of_logits.sum(dim=1)
            squares = torch.linalg.vector_norm(change, dim=1, dtype=torch.float32).square()
            mean = state["squares"][labels]
            mean.lerp_((squares + of_bias.square()) / (weight.shape[1] + 1), share)
            rates = -group["lr"] / mean.sqrt().clamp(min=1e-10)
            bias[labels] += rates * of_bias
            if weight.dtype == torch.float32:
                weight[labels] += change.mul_(rates[:, None])
                continue
            generator = torch.Generator(weight.device)
            key = np.random.SeedSequence([self.seed, state["step"], number])
            generator.manual_seed(int(key.generate_state(1, np.uint32)[0]))
            moved = change.float().mul_(rates[:, None]).add_(weight[labels])
            weight[labels] = round_at_random(moved, generator)


def round_at_random(values: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Round float32 to bf16: up with the probability that makes the mean right, else down."""
    noise = torch.randint(
        2**16, values.shape, generator=generator, device=values.device, dtype=torch.int32
    )
    # bf16 is the upper half of float32: what is added carries into it, or is cut off.
    bits = noise.add_(values.contiguous().view(torch.int32)).bitwise_and_(-(2**16))
    return bits.view(torch.float32).bfloat16()


def chunk_memory(head: ChunkedHead, batch_size: int) -> int:
    """Return about how many bytes a training step takes for its chunks of labels."""
    device, label_dim = head.weight.device.type, head.weight.shape[1]
    numbers = min(head.weight.numel(), max(label_dim, _BLOCK[device]))
    # In bf16: the change, in both precisions; what decides the rounding; and the result of it.
    of_weights = 4 if TRAINING_DTYPE[device] == torch.float32 else 12
    # Logits four times: as computed, with their biases, by document, and of all documents.
    return numbers * of_weights + 16 * batch_size * (numbers // label_dim)


def _chunks(weight: torch.Tensor, targets: Targets) -> list[tuple[slice, slice]]:
    """Return the chunks of labels, and where their positive entries are among the targets."""
    size = max(1, _BLOCK[weight.device.type] // weight.shape[1])
    begins = np.arange(0, len(weight), size)
    edges = np.searchsorted(targets.host_columns, np.append(begins, len(weight))).tolist()
    return [
        (slice(begin, min(begin + size, len(weight))), slice(edges[i], edges[i + 1]))
        for i, begin in enumerate(begins.tolist())
    ]


def _logits_gradient(
    weight: torch.Tensor,
    bias: torch.Tensor,
    queries: torch.Tensor,
    targets: Targets,
    labels: slice,
    where: slice,
    *,
    with_loss: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the gradient of a chunk's logits, float32 of shape (chunk, batch), and their loss."""
    rows = weight[labels]
    if rows.dtype == torch.float32:
        logits = torch.addmm(bias[labels, None], rows, queries.T)
    else:
        logits = (rows @ queries.to(rows.dtype).T).float() + bias[labels, None]
    positive = targets.columns[where] - labels.start, targets.rows[where]
    loss = F.softplus(logits).sum() - logits[positive].sum() if with_loss else None
    gradient = logits.sigmoid_()
    gradient[positive] -= 1
    return gradient, loss


class _ChunkedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        queries: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        targets: Targets,
        pending: list[HeadGradient],
    ) -> torch.Tensor:
        total = queries.new_zeros(())
        of_queries = torch.zeros_like(queries)
        for chunk in _chunks(weight, targets):
            of_logits, loss = _logits_gradient(
                weight, bias, queries, targets, *chunk, with_loss=True
            )
            assert loss is not None
            total += loss
            of_queries += of_logits.T.to(weight.dtype) @ weight[chunk[0]]
        ctx.save_for_backward(queries, of_queries)
        ctx.targets, ctx.pending = targets, pending
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        queries, of_queries = ctx.saved_tensors
        ctx.pending.append(HeadGradient(queries, ctx.targets, gradients[0]))
        return of_queries * gradients[0], None, None, None, None
