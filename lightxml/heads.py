"""The output layer: from the text representation to one logit a label."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import nn

# About the log-odds of a label among thousands: the first steps then teach which labels fit,
# instead of that most of them do not.
INITIAL_BIAS = -6.0


class OneVsAllHead(nn.Linear):
    """One linear layer over all labels, as LightXML uses for up to some 10^5 labels.

    Parameters
    ----------
    width : int
        Width of the text representation.
    n_labels : int

    References
    ----------
    Jiang et al., LightXML, AAAI 2021, section "Label Ranking".
    """

    def __init__(self, width: int, n_labels: int) -> None:
        super().__init__(width, n_labels)
        nn.init.constant_(self.bias, INITIAL_BIAS)


@torch.no_grad()
def start_at_centroids(
    weight: torch.Tensor,
    representations: Iterable[tuple[np.ndarray, torch.Tensor]],
    y: sp.csr_array,
) -> None:
    """Set each label's weights to where its documents lie from the middle of all: a unit vector.

    Parameters
    ----------
    weight : Tensor of float32, shape (n_labels, width)
        Zero afterwards for a label without a document.
    representations : iterable of (rows, Tensor of float32 of shape (len(rows), width))
        Of all documents, some at a time: their numbers, and what the head reads of them.
    y : csr_array of shape (n_documents, n_labels)
    """
    sums, total = torch.zeros_like(weight), torch.zeros_like(weight[0])
    for rows, batch in representations:
        where = sp.coo_array(y[rows]).coords
        row, column = (torch.from_numpy(c.astype(np.int64)).to(weight.device) for c in where)
        sums.index_add_(0, column, batch[row])
        total += batch.sum(dim=0)
    counts = torch.from_numpy(np.bincount(y.indices, minlength=y.shape[1])).to(sums)
    weight.copy_(F.normalize(sums - counts[:, None] * total / y.shape[0]))


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
