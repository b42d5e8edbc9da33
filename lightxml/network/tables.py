"""Tables of which a batch touches few rows: products with sparse rows, gradients, an optimizer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from lightxml.network.batches import SparseRows
from lightxml.network.pending import PendingOptimizer

# Numbers worked on at a time: on a CPU they stay in its cache; a GPU wants large products.
BLOCK = {"cpu": 2**20, "cuda": 2**24, "mps": 2**24}


@dataclass(frozen=True)
class TableGradient:
    """A table's gradient, before the sums are taken.

    Row ``columns[i]`` of the gradient is the sum of the rows of `gradient` that the i-th of
    `by_column` names, weighted.

    Attributes
    ----------
    columns : Tensor of int64, shape (n_touched,)
        Rising.
    by_column : SparseRows of n_touched rows
    gradient : Tensor of float32, shape (batch, width)
        Of the documents' sums.
    """

    columns: torch.Tensor
    by_column: SparseRows
    gradient: torch.Tensor


def runs_ahead(tensor: torch.Tensor) -> bool:
    """Tell whether the host runs ahead of the tensor's device, and so asks it for no number."""
    return tensor.is_cuda


def weighted_sum(table: torch.Tensor, rows: SparseRows) -> torch.Tensor:
    """Return the product of sparse rows and a table, of shape (n_rows, width)."""
    return F.embedding_bag(
        rows.numbers, table, rows.starts, mode="sum", per_sample_weights=rows.weights
    )


def group_by_column(
    columns: torch.Tensor, rows: torch.Tensor, weights: torch.Tensor
) -> tuple[torch.Tensor, SparseRows]:
    """Return the columns of a sparse matrix's entries, rising, and their transposed rows.

    On a CUDA device there are as many columns as entries, the last ones without any: how many
    differ is known on the device only, and it is not waited for.

    Parameters
    ----------
    columns, rows : Tensor of int64, shape (n_entries,)
    weights : Tensor of float32, shape (n_entries,)
    """
    columns, order = torch.sort(columns, stable=True)
    if runs_ahead(columns):
        place = (columns.diff(prepend=columns[:1]) != 0).cumsum(0)  # among the different ones
        touched = torch.zeros_like(columns).scatter_(0, place, columns)
        entry = torch.arange(len(columns), device=columns.device)
        starts = torch.full_like(columns, len(columns)).scatter_reduce_(0, place, entry, "amin")
    else:
        touched, counts = torch.unique_consecutive(columns, return_counts=True)
        starts = counts.cumsum(0) - counts
    return touched, SparseRows(rows[order], starts, weights[order])


class RowAdagrad(PendingOptimizer):
    """Adagrad with one accumulator for each row of a table.

    A row moves by ``-lr g / sqrt(sum over the steps of mean(g^2))``. The accumulators are one
    number a row, where SparseAdam keeps two tables of the parameter's size.

    Parameters
    ----------
    table : Parameter, shape (n_rows, width)
    pending : list of TableGradient
        Emptied by each step.
    lr : float

    References
    ----------
    Duchi, Hazan, Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", JMLR 2011; one accumulator a row as in Gupta et al., "Training Recommender
    Systems at Scale", KDD 2021.
    """

    def __init__(self, table: nn.Parameter, pending: list[TableGradient], lr: float) -> None:
        super().__init__([table], pending, lr)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move the touched rows."""
        if not self.pending:
            return
        group = self.param_groups[0]
        (table,) = group["params"]
        state = self.state[table]
        if not state:
            state["sums"] = table.new_zeros(len(table))
        total = self.pending[0] if len(self.pending) == 1 else _join(self.pending)
        rows, n_rows, width = total.by_column, len(total.columns), table.shape[1]
        size = BLOCK[table.device.type]
        if runs_ahead(table):
            # Where a block's entries begin is known on the device only, and it is not waited for:
            # all rows move, in slices of their width.
            slice_width = max(1, size // n_rows)
            _move(table, state["sums"], total, group["lr"], min(slice_width, width))
            return
        n_in_block = max(1, size // width)
        edges = [*rows.starts[::n_in_block].tolist(), len(rows.numbers)]
        for number, begin in enumerate(range(0, n_rows, n_in_block)):
            block, entries = slice(begin, begin + n_in_block), slice(*edges[number : number + 2])
            of_block = SparseRows(
                rows.numbers[entries], rows.starts[block] - edges[number], rows.weights[entries]
            )
            part = TableGradient(total.columns[block], of_block, total.gradient)
            _move(table, state["sums"], part, group["lr"], width)


def _move(
    table: torch.Tensor, sums: torch.Tensor, total: TableGradient, lr: float, slice_width: int
) -> None:
    """Move rows of a table, so many of their numbers at a time.

    A column may be there more than once, if it has entries in one place only (`group_by_column`):
    what is added for the others is nought. Writing instead of adding would be undefined there.
    """
    slices = list(
        zip(table.split(slice_width, 1), total.gradient.split(slice_width, 1), strict=True)
    )
    squares = torch.zeros(len(total.columns), device=table.device)
    for _, gradient in slices:
        change = weighted_sum(gradient.contiguous(), total.by_column)
        # The norm's kernel is many times faster than that of a mean of squares.
        squares += torch.linalg.vector_norm(change, dim=1).square()
    sums.index_add_(0, total.columns, squares / table.shape[1])
    rates = (-lr / sums[total.columns].sqrt().clamp(min=1e-10))[:, None]
    for of_table, gradient in slices:
        if len(slices) > 1:  # only the last one is still there
            change = weighted_sum(gradient.contiguous(), total.by_column)
        of_table.index_add_(0, total.columns, change.mul_(rates))


def _join(parts: list[TableGradient]) -> TableGradient:
    """Make one gradient of those of several batches: their documents one after the other."""
    columns, numbers, n_documents = [], [], 0
    for part in parts:
        rows = part.by_column
        entry = torch.arange(len(rows.numbers), device=rows.starts.device)
        columns.append(part.columns[torch.searchsorted(rows.starts, entry, right=True) - 1])
        numbers.append(rows.numbers + n_documents)
        n_documents += len(part.gradient)
    weights = torch.cat([part.by_column.weights for part in parts])
    touched, joined = group_by_column(torch.cat(columns), torch.cat(numbers), weights)
    return TableGradient(touched, joined, torch.cat([part.gradient for part in parts]))
