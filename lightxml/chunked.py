"""One-vs-all for any number of labels: worked through in chunks, with no gradient ever whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lightxml.heads import INITIAL_BIAS, Shares, above, top_k
from lightxml.targets import Targets

# Numbers in a chunk of the weights: on a CPU they stay in its cache between the products that
# read them; a GPU wants large products.
_BLOCK = {"cpu": 2**21, "cuda": 2**25, "mps": 2**25}
_LABELS_RANKED = 2**16  # at a time, in prediction


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
    of is left to `ChunkedSGD`, which moves the labels chunk by chunk, once a step.

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
    gradient without the loss, label by label, and momentum-free SGD for the labels.
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

    def query(self, representation: torch.Tensor) -> torch.Tensor:
        """Return what the labels' weights are multiplied with, (batch, label_dim)."""
        query: torch.Tensor = self.project(representation)
        return query

    def loss(
        self, representation: torch.Tensor, targets: Targets, dtype: torch.dtype
    ) -> torch.Tensor:
        """Return the training loss, the bottleneck's product in `dtype`; float32 of shape ()."""
        project = self.project
        query = F.linear(representation.to(dtype), project.weight.to(dtype), project.bias.to(dtype))
        loss: torch.Tensor = _ChunkedLoss.apply(
            query.float(), self.weight, self.bias, targets, self.pending
        )
        return loss

    def logits(self, representation: torch.Tensor, shares: Shares | None = None) -> torch.Tensor:
        """Return every logit, float32 of shape (batch, n_labels)."""
        logits = F.linear(self.query(representation), self.weight, self.bias)
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
            logits = F.linear(query, self.weight[begin:end], self.bias[begin:end])
            yield begin, logits if shares is None else logits + shares(begin, end)


class ChunkedSGD(torch.optim.Optimizer):
    """Momentum-free SGD for the labels of a `ChunkedHead`, a chunk at a time.

    A chunk's logits are computed once more, for its gradient; neither the gradient of all labels
    nor any state but a count of steps exists. Weights in bf16 are rounded at random, up or down
    as often as makes the mean right: rounded to the nearest, most steps would move nothing.

    Parameters
    ----------
    head : ChunkedHead
        Its labels; its bottleneck is another optimizer's.
    lr : float
    seed : int
        With the numbers of step and chunk, it decides how to round.
    """

    def __init__(self, head: ChunkedHead, lr: float, seed: int) -> None:
        super().__init__([head.weight, head.bias], {"lr": lr, "step": 0})
        self.head = head
        self.seed = seed

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget what is pending."""
        self.head.pending.clear()

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move all labels."""
        group, pending = self.param_groups[0], self.head.pending
        weight, bias, lr = self.head.weight, self.head.bias, group["lr"]
        if not pending:
            return
        group["step"] += 1
        queries = torch.cat([part.queries for part in pending])
        chunks = zip(*(_chunks(weight, part.targets) for part in pending), strict=True)
        for number, chunk in enumerate(chunks):
            labels = chunk[0][0]
            gradient = torch.cat(
                [
                    _gradient(weight[labels], bias[labels], part.queries, part.targets, *place)
                    * part.scale
                    for part, place in zip(pending, chunk, strict=True)
                ],
                dim=1,
            )  # (chunk, all documents)
            rows = weight[labels].float()  # itself, where it is float32
            rows.addmm_(gradient.to(weight.dtype), queries.to(weight.dtype), alpha=-lr)
            if weight.dtype != torch.float32:
                generator = torch.Generator(weight.device)
                key = np.random.SeedSequence([self.seed, group["step"], number])
                generator.manual_seed(int(key.generate_state(1, np.uint64)[0] >> np.uint64(1)))
                weight[labels] = round_at_random(rows, generator)
            bias[labels] -= lr * gradient.sum(dim=1)


def round_at_random(values: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Round float32 to bf16: up with the probability that makes the mean right, else down."""
    noise = torch.randint(
        2**16, values.shape, generator=generator, device=values.device, dtype=torch.int32
    )
    # bf16 is the upper half of float32: what is added carries into it, or is cut off.
    bits = (values.contiguous().view(torch.int32) + noise) & -(2**16)
    return bits.view(torch.float32).bfloat16()


def _chunks(weight: torch.Tensor, targets: Targets) -> list[tuple[slice, slice]]:
    """Return the chunks of labels, and where their positive entries are among the targets."""
    size = max(1, _BLOCK[weight.device.type] // weight.shape[1])
    begins = np.arange(0, len(weight), size)
    edges = np.searchsorted(targets.host_columns, np.append(begins, len(weight))).tolist()
    return [
        (slice(begin, min(begin + size, len(weight))), slice(edges[i], edges[i + 1]))
        for i, begin in enumerate(begins.tolist())
    ]


def _logits(
    rows: torch.Tensor,
    bias: torch.Tensor,
    queries: torch.Tensor,
    targets: Targets,
    labels: slice,
    where: slice,
) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Return a chunk's logits, float32 of shape (chunk, batch), and where they are positive."""
    if rows.dtype == torch.float32:
        logits = torch.addmm(bias[:, None], rows, queries.T)
    else:
        logits = (rows @ queries.to(rows.dtype).T).float() + bias[:, None]
    return logits, (targets.columns[where] - labels.start, targets.rows[where])


def _gradient(*arguments: Any) -> torch.Tensor:
    """Return the gradient of a chunk's logits; the arguments are those of `_logits`."""
    logits, positive = _logits(*arguments)
    gradient = logits.sigmoid_()
    gradient[positive] -= 1
    return gradient


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
        for labels, where in _chunks(weight, targets):
            rows = weight[labels]
            logits, positive = _logits(rows, bias[labels], queries, targets, labels, where)
            total += F.softplus(logits).sum() - logits[positive].sum()
            gradient = logits.sigmoid_()
            gradient[positive] -= 1
            of_queries += gradient.T.to(rows.dtype) @ rows
        ctx.save_for_backward(queries, of_queries)
        ctx.targets, ctx.pending = targets, pending
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        queries, of_queries = ctx.saved_tensors
        ctx.pending.append(HeadGradient(queries, ctx.targets, gradients[0]))
        return of_queries * gradients[0], None, None, None, None
