"""Tables of which a batch touches few rows: products with sparse rows, gradients, an optimizer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from lightxml.batches import SparseRows

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
        n_rows, starts = len(columns), total.by_column.starts.tolist()
        size = n_rows if table.is_cuda else max(1, _BLOCK // table.shape[1])
        for begin in range(0, n_rows, size):
            end = min(begin + size, n_rows)
            entries = slice(starts[begin], starts[end] if end < n_rows else len(numbers))
            rows = SparseRows(
                numbers[entries],
                total.by_column.starts[begin:end] - starts[begin],
                weights[entries],
            )
            change, block = weighted_sum(total.gradient, rows), columns[begin:end]
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
        end = rows.starts.new_tensor([len(rows.numbers)])
        counts = torch.diff(rows.starts, append=end)
        columns.append(part.columns.repeat_interleave(counts))
        numbers.append(rows.numbers + n_documents)
        n_documents += len(part.gradient)
    column, order = torch.sort(torch.cat(columns), stable=True)
    touched, counts = torch.unique_consecutive(column, return_counts=True)
    joined = SparseRows(
        torch.cat(numbers)[order],
        counts.cumsum(0) - counts,
        torch.cat([part.by_column.weights for part in parts])[order],
    )
    return TableGradient(touched, joined, torch.cat([part.gradient for part in parts]))
