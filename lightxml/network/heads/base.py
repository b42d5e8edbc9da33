"""The output layer over all labels, and what the heads share: the ranking, the first weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import nn

from lightxml.network.tables import group_by_column, weighted_sum

# About the log-odds of a label among thousands: the first steps then teach which labels fit,
# instead of that most of them do not.
INITIAL_BIAS = -6.0

# What is added to the logits of the labels from one number up to another, (batch, end - begin).
Shares = Callable[[int, int], torch.Tensor]


def linear(layer: nn.Linear, values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return what a layer makes of values, with its product in `dtype`; float32."""
    return F.linear(values.to(dtype), layer.weight.to(dtype), layer.bias.to(dtype)).float()


@torch.no_grad()
def start_at_centroids(
    weight: torch.Tensor,
    queries: Iterable[tuple[np.ndarray, torch.Tensor]],
    y: sp.csr_array,
) -> None:
    """Set each label's weights to where its documents lie from the middle of all: a unit vector.

    Parameters
    ----------
    weight : Tensor of float32, shape (n_labels, width)
        Zero afterwards for a label without a document.
    queries : iterable of (rows, Tensor of float32 of shape (len(rows), width))
        Of all documents, some at a time: their numbers, and what is multiplied with the weights.
    y : csr_array of shape (n_documents, n_labels)
    """
    weight.zero_()
    total = torch.zeros_like(weight[0])
    for rows, batch in queries:
        where = sp.coo_array(y[rows]).coords
        row, column = (torch.from_numpy(c.astype(np.int64)).to(weight.device) for c in where)
        # A label's documents are summed before they are added: a GPU adds to one place in no
        # fixed order, and so in no fixed rounding.
        labels, by_label = group_by_column(column, row, torch.ones_like(row, dtype=batch.dtype))
        weight.index_add_(0, labels, weighted_sum(batch, by_label))
        total += batch.sum(dim=0)
    counts = torch.from_numpy(np.bincount(y.indices, minlength=y.shape[1])).to(weight)
    for part, of_part in zip(weight.split(2**16), counts.split(2**16), strict=True):
        part.copy_(F.normalize(part - of_part[:, None] * total / y.shape[0]))


def top_k(logits: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the k largest logits of each row, best first, equal ones by column number.

    ``torch.topk`` alone breaks ties in no fixed order.

    Parameters
    ----------
    logits : Tensor of float32 or float64, shape (n, n_labels), without NaN
    k : int, at most n_labels

    Returns
    -------
    values : Tensor, shape (n, k)
    columns : Tensor of int64, shape (n, k)
    """
    # One more than asked for: a tie across the k-th place, where topk may have kept any of the
    # equal ones, shows at no further pass over the logits, and no array of their size.
    values, columns = torch.topk(logits, min(k + 1, logits.shape[1]), dim=1)
    tied = (values[:, k - 1 : k] == values[:, k:]).any(dim=1)
    columns = columns[:, :k]
    if bool(tied.any()):
        columns[tied] = torch.sort(logits[tied], dim=1, descending=True, stable=True)[1][:, :k]
    columns = columns.sort(dim=1)[0]
    values, order = torch.sort(logits.gather(1, columns), dim=1, descending=True, stable=True)
    return values, columns.gather(1, order)


def above(logits: torch.Tensor, least: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return rows, columns and values of the logits above `least`, row by row."""
    rows, columns = torch.nonzero(logits > least, as_tuple=True)
    return rows, columns, logits[rows, columns]
