"""The logits of a few labels for each document, and their loss with its gradient left pending."""

from __future__ import annotations

import warnings
from typing import Any

import torch
import torch.nn.functional as F

from lightxml.network.batches import SparseRows
from lightxml.network.heads.weighting import total, total_of, weigh
from lightxml.network.tables import BLOCK, TableGradient, group_by_column, weighted_sum


def candidate_logits(
    table: torch.Tensor, queries: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Return the products of each query with its own rows of a table.

    Parameters
    ----------
    table : Tensor of float32, shape (n_rows, width)
    queries : Tensor of float32, shape (n, width)
    labels : Tensor of int64, shape (n, n_candidates)

    Returns
    -------
    Tensor of float32, shape (n, n_candidates)
    """
    n, n_candidates = labels.shape
    if n_candidates > len(table):  # with padding; all are fewer
        return (queries @ table.T).gather(1, labels)
    if table.device.type == "cpu":
        # Reads each row once and copies none.
        starts = torch.arange(0, labels.numel() + 1, n_candidates)
        where = _sparse(starts, labels.flatten(), (n, len(table)))
        return torch.sparse.sampled_addmm(where, queries, table.T, beta=0.0).values().view(n, -1)
    return gathered_logits(table, queries, labels)


def gathered_logits(
    table: torch.Tensor, queries: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Return what `candidate_logits` does, of copies of the rows: some documents' at a time."""
    size = max(1, BLOCK["cuda"] // (labels.shape[1] * table.shape[1]))
    parts = []
    for some, of_some in zip(queries.split(size), labels.split(size), strict=True):
        rows = table.index_select(0, of_some.flatten()).view(*of_some.shape, -1)
        parts.append(torch.bmm(rows, some.unsqueeze(2)).squeeze(2))
    return torch.cat(parts)


def _sparse(starts: torch.Tensor, columns: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    zeros = torch.zeros(len(columns))  # multiplied by nought, as beta has it
    return torch.sparse_csr_tensor(starts, columns, zeros, shape, check_invariants=False)


with warnings.catch_warnings():  # torch's, that this kind of tensor is young: said once a process
    warnings.simplefilter("ignore")
    _sparse(torch.zeros(2, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), (1, 1))


class Rescaled(torch.autograd.Function):
    """Two copies of a representation, for the generator and for the discriminator.

    On the way back the generator's gradient is scaled to the norm of the discriminator's, batch
    by batch, before the two are added; where a norm is zero or not finite, they are just added.
    """

    @staticmethod
    def forward(ctx: Any, representation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return representation.view_as(representation), representation.view_as(representation)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        of_generator, of_discriminator = gradients
        ratio = of_discriminator.norm() / of_generator.norm()
        usable = torch.isfinite(ratio) & (ratio > 0)
        return of_generator * torch.where(usable, ratio, 1.0) + of_discriminator


class CandidateLoss(torch.autograd.Function):
    """Binary cross-entropy of the candidates' logits, summed.

    The gradient of the embeddings is not made: what it is made of goes on `pending`.
    """

    @staticmethod
    def forward(
        ctx: Any,
        queries: torch.Tensor,
        table: torch.Tensor,
        labels: torch.Tensor,
        present: torch.Tensor,
        rows: torch.Tensor,
        slots: torch.Tensor,
        pending: list[TableGradient],
        weights: torch.Tensor | None,
    ) -> torch.Tensor:
        logits = candidate_logits(table, queries, labels)
        of_positive = total_of(logits[rows, slots], rows, weights)
        loss = total(F.softplus(logits) * present, weights) - of_positive
        gradient = logits.sigmoid_().mul_(present)
        gradient[rows, slots] -= 1
        weigh(gradient, weights)
        starts = torch.arange(len(labels), device=labels.device) * labels.shape[1]
        by_row = SparseRows(labels.flatten(), starts, gradient.flatten())
        ctx.save_for_backward(queries, weighted_sum(table, by_row))
        ctx.by_row, ctx.pending = by_row, pending
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        queries, of_queries = ctx.saved_tensors
        by_row: SparseRows = ctx.by_row
        rows = torch.arange(len(queries), device=queries.device)
        rows = rows.repeat_interleave(len(by_row.numbers) // len(queries))
        columns, by_column = group_by_column(by_row.numbers, rows, by_row.weights)
        ctx.pending.append(TableGradient(columns, by_column, queries * gradients[0]))
        return of_queries * gradients[0], None, None, None, None, None, None, None
