"""The training loss of the one-vs-all output, with its gradient computed directly."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F


def one_vs_all_loss(
    representation: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    rows: torch.Tensor,
    columns: torch.Tensor,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Return the binary cross-entropy of a linear layer's logits, summed over labels and documents.

    With ``z`` the logits and ``y`` the 0/1 truth, the entry's loss is ``softplus(z) - y z``, so
    the truth is wanted only where it is 1 and stays sparse, and the gradient of the logits is
    ``sigmoid(z) - y``. It is computed with the loss: one array of batch x labels is kept for the
    way back, not three. The sum over labels, unlike their mean, leaves the size of a label's
    gradient independent of the number of labels; the caller divides by the documents.

    Parameters
    ----------
    representation : Tensor of float32, shape (batch, width)
    weight : Tensor of float32, shape (n_labels, width)
    bias : Tensor of float32, shape (n_labels,)
    rows, columns : Tensor of int64, shape (n_positives,)
        The positions of the positive entries, none repeated.
    dtype : torch.dtype
        Of the three matrix products and the logits.

    Returns
    -------
    Tensor of float32, shape ()
    """
    loss: torch.Tensor = _OneVsAllLoss.apply(representation, weight, bias, rows, columns, dtype)
    return loss


class _OneVsAllLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        representation: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        rows: torch.Tensor,
        columns: torch.Tensor,
        dtype: torch.dtype,
    ) -> torch.Tensor:
        representation, weight = representation.to(dtype), weight.to(dtype)
        logits = torch.addmm(bias.to(dtype), representation, weight.T)
        positive = logits[rows, columns].float().sum()
        loss = F.softplus(logits).sum(dtype=torch.float32) - positive
        gradient = logits.sigmoid_()
        gradient[rows, columns] -= 1
        ctx.save_for_backward(representation, weight, gradient)
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        representation, weight, gradient = ctx.saved_tensors
        scale = gradients[0]
        return (
            (gradient @ weight).float() * scale,
            (gradient.T @ representation).float() * scale,
            gradient.sum(dim=0, dtype=torch.float32) * scale,
            None,
            None,
            None,
        )
