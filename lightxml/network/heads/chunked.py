"""One-vs-all for any number of labels: worked through in chunks, with no gradient ever whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import nn

from lightxml.network.batches import Targets
from lightxml.network.described import Described, check_counts
from lightxml.network.heads.base import (
    INITIAL_BIAS,
    Head,
    Represented,
    above,
    linear,
    queries,
    start_at_centroids,
    top_k,
)
from lightxml.network.heads.candidates import candidate_logits
from lightxml.network.heads.chunks import ChunkedLoss, ChunkedRMSprop, HeadGradient, chunk_bytes
from lightxml.network.pending import ADAMW_BYTES

_LABELS_RANKED = 2**16  # at a time, in prediction
# Of the labels' rate in terms of the other weights'; chosen on validation documents.
CHUNKED_RATE = 0.3
# Of the labels' weights in training; half the memory, and faster, where the hardware computes so.
TRAINING_DTYPE = {"cpu": torch.float32, "cuda": torch.bfloat16, "mps": torch.float32}


class ChunkedHead(Head):
    """A bottleneck of width `label_dim`, then one linear layer over all labels, in chunks.

    The loss is binary cross-entropy, summed over all labels and documents. Its gradient of the
    logits, ``sigmoid(z) - y``, is computed chunk by chunk, and so nothing is kept that is larger
    than batch x chunk. The labels' own gradient is not made in the backward pass: what it is made
    of is left to `ChunkedRMSprop`, which moves the labels chunk by chunk, once a step.

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
    gradient of the logits without a loss, and labels without momentum.
    """

    kind = "chunked"
    by_label = ("weight", "bias")

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

    @property
    def label_bias(self) -> torch.Tensor:
        """The labels' biases themselves, shape (n_labels,), outside of differentiation."""
        return self.bias.data

    @contextmanager
    def in_training(self) -> Iterator[None]:
        """Keep the labels' weights in the device's `TRAINING_DTYPE`, and in float32 afterwards."""
        self.weight.data = self.weight.data.to(TRAINING_DTYPE[self.weight.device.type])
        try:
            yield
        finally:
            self.weight.data = self.weight.data.float()

    def query(self, representation: torch.Tensor) -> torch.Tensor:
        """Return what the labels' weights are multiplied with, (batch, label_dim)."""
        return linear(self.project, representation, torch.float32)

    def loss(
        self, representation: torch.Tensor, targets: Targets, dtype: torch.dtype
    ) -> torch.Tensor:
        """Return the training loss, the bottleneck's product in `dtype`; float32 of shape ()."""
        query = linear(self.project, representation, dtype)
        loss: torch.Tensor = ChunkedLoss.apply(query, self.weight, self.bias, targets, self.pending)
        return loss

    def start(
        self, represented: Represented, y: sp.csr_array, labels: np.ndarray | None = None
    ) -> None:
        """Begin each label at its documents; as `start_at_centroids`."""
        start_at_centroids(self.weight, queries(self, represented), y, labels)

    def optimizer(self, rate: float, seed: int) -> ChunkedRMSprop:
        """Return what moves the labels; the bottleneck is AdamW's."""
        return ChunkedRMSprop(self.weight, self.bias, self.pending, CHUNKED_RATE * rate, seed)

    def training_bytes(self, batch_size: int) -> dict[str, int]:
        """Count gradients and moments of the bottleneck, and a chunk of labels and logits."""
        others = sum(p.numel() for p in self.parameters()) - self.weight.numel()
        dtype = TRAINING_DTYPE[self.weight.device.type]
        chunk = chunk_bytes(self.weight, dtype, batch_size)
        return {"optimizer": ADAMW_BYTES * others, "output": chunk}

    def logits(self, representation: torch.Tensor) -> torch.Tensor:
        """Return every logit, float32 of shape (batch, n_labels)."""
        return F.linear(self.query(representation), self.weight.float(), self.bias)

    def logits_of(self, representation: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Return the logits of some labels, of each document its own."""
        products = candidate_logits(self.weight.float(), self.query(representation), columns)
        return products + self.bias[columns]

    def rank(self, representation: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the k largest logits and their columns; as `top_k`."""
        best: tuple[torch.Tensor, torch.Tensor] | None = None
        for begin, logits in self._ranked_chunks(representation):
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
        self, representation: torch.Tensor, least: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return rows, columns and values of the logits above `least`."""
        rows, columns, values = [], [], []
        for begin, logits in self._ranked_chunks(representation):
            row, column, value = above(logits, least)
            rows.append(row)
            columns.append(column + begin)
            values.append(value)
        return torch.cat(rows), torch.cat(columns), torch.cat(values)

    def _ranked_chunks(self, representation: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
        query = self.query(representation)
        for begin in range(0, self.n_labels, _LABELS_RANKED):
            end = min(begin + _LABELS_RANKED, self.n_labels)
            yield begin, F.linear(query, self.weight[begin:end].float(), self.bias[begin:end])

    def describe(self) -> Described:
        """Return its kind and the width of the bottleneck."""
        return {"kind": self.kind, "label_dim": self.weight.shape[1]}

    @classmethod
    def made_of(cls, described: Described, width: int, n_labels: int) -> ChunkedHead:
        """Return a new head."""
        check_counts(described, label_dim=1)
        return cls(width, n_labels, described["label_dim"])
