"""The training loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def binary_cross_entropy(
    logits: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor
) -> torch.Tensor:
    """Return the binary cross-entropy, summed over labels and documents.

    With ``z`` the logits and ``y`` the 0/1 truth, the entry's loss is ``softplus(z) - y z``, so
    the truth is wanted only where it is 1 and stays sparse. The gradient is
    ``sigmoid(z) - y``. The sum over labels, unlike their mean, leaves the size of a label's
    gradient independent of the number of labels; the caller divides by the documents.

    Parameters
    ----------
    logits : Tensor of float32, shape (batch, n_labels)
    rows, columns : Tensor of int64, shape (n_positives,)
        The positions of the positive entries, none repeated.

    Returns
    -------
    Tensor of float32, shape ()
    """
    return F.softplus(logits).sum() - logits[rows, columns].sum()
