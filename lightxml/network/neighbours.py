"""What the training documents that are most like a new one say about its labels."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import nn

from lightxml.network.heads.base import Shares

# How fast a training document's say falls with its distance, chosen on validation documents.
TEMPERATURE = 0.03


class Neighbours(nn.Module):
    """The training documents' representations and labels, as a second opinion on each label.

    A new document with representation h attends to the training documents i, and a label's share
    is the attention that its documents get::

        a_i = softmax_i(cos(h - c, h_i - c) / T),    share_l = sum of a_i over documents with l

    with c the mean of the h_i, and the mean of the cosines where h has parts. `weight` times the
    share is added to the label's logit. One linear layer cannot learn every rare label by heart;
    its documents are simply kept here.

    Parameters
    ----------
    n_documents, n_entries, n_labels : int
        Of the training set; an entry is a label of a document.
    widths : list of int
        Of the parts of a representation, such as the encoder's and the features'. Documents are
        alike as far as the parts are, on average, whatever their lengths.
    weight : float

    References
    ----------
    Attention weights as in Vinyals et al., "Matching Networks for One Shot Learning", NeurIPS
    2016, equations 1 and 2; added to a trained output layer as in Khandelwal et al.,
    "Generalization through Memorization: Nearest Neighbor Language Models", ICLR 2020 (there to
    the probability, here to the logit).
    """

    centre: torch.Tensor
    keys: torch.Tensor
    starts: torch.Tensor
    documents: torch.Tensor

    def __init__(
        self, n_documents: int, n_entries: int, n_labels: int, widths: list[int], weight: float
    ) -> None:
        super().__init__()
        self.widths = widths
        self.weight = weight
        width = sum(widths)
        self.register_buffer("centre", torch.zeros(width))
        # Unit vectors with the values that float16 has, in which they are saved.
        self.register_buffer("keys", torch.zeros(n_documents, width))
        # Label j is that of `documents[starts[j]:starts[j + 1]]`.
        self.register_buffer("starts", torch.zeros(n_labels + 1, dtype=torch.int64))
        self.register_buffer("documents", torch.zeros(n_entries, dtype=torch.int64))

    def check(self) -> None:
        """Refuse numbers out of range: compiled code would read beyond the arrays.

        Raises
        ------
        ValueError
        """
        n_entries = len(self.documents)
        starts = self.starts
        if starts[0] != 0 or starts[-1] != n_entries or bool((starts.diff() < 0).any()):
            raise ValueError("the labels of its neighbours do not begin where they should")
        if n_entries and not 0 <= int(self.documents.min()) <= int(self.documents.max()) < len(
            self.keys
        ):
            raise ValueError("its neighbours' documents are out of range")

    def forward(self, representations: torch.Tensor) -> Shares:
        """Return what gives the part added to the logits of some labels."""
        attention = self.attention(representations)

        def shares(begin: int, end: int) -> torch.Tensor:
            first, last = self.starts[[begin, end]].tolist()
            starts = self.starts[begin:end] - first
            # A label's row is the sum of its documents' rows.
            sums = F.embedding_bag(self.documents[first:last], attention, starts, mode="sum")
            return self.weight * sums.T

        return shares

    def attention(self, representations: torch.Tensor) -> torch.Tensor:
        """Return the share of each training document, float32 of shape (n_documents, batch)."""
        similarities = self.keys @ self.key(representations).T
        return torch.softmax(similarities / TEMPERATURE, dim=0)

    def key(self, representations: torch.Tensor) -> torch.Tensor:
        """Return the unit vectors by which documents are compared."""
        parts = (representations - self.centre).split(self.widths, dim=1)
        return torch.cat([F.normalize(part, dim=1) for part in parts], 1) / len(parts) ** 0.5


def make_neighbours(
    representations: torch.Tensor, y: sp.csr_array, widths: list[int], weight: float
) -> Neighbours:
    """Return the training documents as neighbours, on the device of their representations.

    Parameters
    ----------
    representations : Tensor of float32, shape (n_documents, width)
    y : csr_array of shape (n_documents, n_labels)
    widths, weight : as `Neighbours` takes them
    """
    by_label = sp.csc_array(y)
    made = Neighbours(y.shape[0], y.nnz, y.shape[1], widths, weight).to(representations.device)
    made.centre.copy_(representations.mean(dim=0))
    made.keys.copy_(made.key(representations).half())
    made.starts.copy_(torch.from_numpy(by_label.indptr.astype(np.int64)))
    made.documents.copy_(torch.from_numpy(by_label.indices.astype(np.int64)))
    return made
