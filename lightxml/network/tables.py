"""Tables of which a batch touches few rows: products with sparse rows, gradients, an optimizer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from lightxml.network.batches import SparseRows

_BLOCK = 2**20  # numbers worked on at a time on a CPU: they stay in its cache


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
    if columns.is_cuda:
        place = (columns.diff(prepend=columns[:1]) != 0).cumsum(0)  # among the different ones
        touched = torch.zeros_like(columns).scatter_(0, place, columns)
        entry = torch.arange(len(columns), device=columns.device)
        starts = torch.full_like(columns, len(columns)).scatter_reduce_(0, place, entry, "amin")
    else:
        touched, counts = torch.unique_consecutive(columns, return_counts=True)
        starts = counts.cumsum(0) - counts
    return touched, SparseRows(rows[order], starts, weights[order])


class RowAdagrad(torch.optim.Optimizer):
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
        super().__init__([table], {"lr": lr})
        self.pending = pending

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget what is pending."""
        self.pending.clear()

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
        columns, numbers, weights = total.columns, total.by_column.numbers, total.by_column.weights
        n_rows, begins = len(columns), total.by_column.starts
        size = n_rows if table.is_cuda else max(1, _BLOCK // table.shape[1])
        # Where a block's entries begin is asked only where there are several: a GPU would wait.
        edges = [*begins[::size].tolist(), len(numbers)] if size < n_rows else [0, len(numbers)]
        for number, begin in enumerate(range(0, n_rows, size)):
            block, entries = columns[begin : begin + size], slice(*edges[number : number + 2])
            rows = SparseRows(
                numbers[entries], begins[begin : begin + size] - edges[number], weights[entries]
            )
            change = weighted_sum(total.gradient, rows)
            # The norm's kernel is many times faster than that of a mean of squares.
            norms = torch.linalg.vector_norm(change, dim=1)
            sums = state["sums"][block] + norms.square() / table.shape[1]
            state["sums"][block] = sums
            change *= (-group["lr"] / sums.sqrt().clamp(min=1e-10))[:, None]
            table.index_add_(0, block, change)


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
