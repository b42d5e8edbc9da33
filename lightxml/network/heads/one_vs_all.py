"""The output layer over all labels, and its loss with the gradient computed directly."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import nn

from lightxml.network.batches import Targets
from lightxml.network.described import Described
from lightxml.network.heads.base import (
    INITIAL_BIAS,
    Head,
    Represented,
    above,
    start_at_centroids,
    top_k,
)
from lightxml.network.heads.candidates import candidate_logits
from lightxml.network.heads.weighting import total, total_of, weigh


class OneVsAllHead(Head, nn.Linear):
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

    kind = "one_vs_all"
    by_label = ("weight", "bias")

    def __init__(self, width: int, n_labels: int) -> None:
        super().__init__(width, n_labels)
        nn.init.constant_(self.bias, INITIAL_BIAS)

    @property
    def n_labels(self) -> int:
        """Labels that it ranks."""
        return self.out_features

    @property
    def n_logits(self) -> int:
        """Numbers that ranking holds at a time for each document."""
        return self.out_features

    @property
    def label_bias(self) -> torch.Tensor:
        """The labels' biases themselves, shape (n_labels,), outside of differentiation."""
        return self.bias.data

    def loss(
        self, representation: torch.Tensor, targets: Targets, dtype: torch.dtype
    ) -> torch.Tensor:
        """Return the training loss, with products in `dtype`; as `one_vs_all_loss`."""
        return one_vs_all_loss(
            representation,
            self.weight,
            self.bias,
            targets.rows,
            targets.columns,
            dtype,
            targets.weights,
        )

    def start(
        self, represented: Represented, y: sp.csr_array, labels: np.ndarray | None = None
    ) -> None:
        """Begin each label at its documents; as `start_at_centroids`."""
        start_at_centroids(self.weight, represented(), y, labels)

    def logits(self, representation: torch.Tensor) -> torch.Tensor:
        """Return every logit, float32 of shape (batch, n_labels)."""
        logits: torch.Tensor = self(representation)
        return logits

    def logits_of(self, representation: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Return the logits of some labels, of each document its own."""
        return candidate_logits(self.weight, representation, columns) + self.bias[columns]

    def rank(self, representation: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the k largest logits and their columns; as `top_k`."""
        return top_k(self.logits(representation), k)

    def positive(
        self, representation: torch.Tensor, least: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return rows, columns and values of the logits above `least`."""
        return above(self.logits(representation), least)

    def describe(self) -> Described:
        """Return its kind: the number of labels is all that it is made by."""
        return {"kind": self.kind}

    @classmethod
    def made_of(cls, described: Described, width: int, n_labels: int) -> OneVsAllHead:
        """Return a new head."""
        return cls(width, n_labels)


def one_vs_all_loss(
    representation: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    rows: torch.Tensor,
    columns: torch.Tensor,
    dtype: torch.dtype = torch.float32,
    weights: torch.Tensor | None = None,
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
    weights : Tensor of float32, shape (batch,), or None
        What each document's loss is multiplied with; None: 1 each.

    Returns
    -------
    Tensor of float32, shape ()
    """
    loss: torch.Tensor = _OneVsAllLoss.apply(
        representation, weight, bias, rows, columns, dtype, weights
    )
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
        weights: torch.Tensor | None,
    ) -> torch.Tensor:
        representation, weight = representation.to(dtype), weight.to(dtype)
        logits = torch.addmm(bias.to(dtype), representation, weight.T)
        positive = total_of(logits[rows, columns], rows, weights)
        loss = total(F.softplus(logits), weights) - positive
        gradient = logits.sigmoid_()
        gradient[rows, columns] -= 1
        weigh(gradient, weights)
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
            None,
        )
