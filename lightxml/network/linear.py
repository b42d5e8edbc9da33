"""A linear classifier of its own for each label, on the sparse features, beside the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from lightxml.network.batches import SparseBatch
from lightxml.network.heads.base import Shares

_LOGITS_A_MARGIN = 4.0  # scores are then about right: 0.66 of those said to be 0.66
_SCORES_AT_ONCE = 2**22


@dataclass(frozen=True)
class LinearClassifiers:
    """A linear classifier for each label, whose logit is averaged with the network's.

    A margin m counts as the logit ``4 m``, and a label's logit is ``(1 - weight)`` times the
    network's plus `weight` times that.

    Attributes
    ----------
    weights : csr_array of float32, shape (n_columns, n_labels)
        With the values that float16 has, in which they are saved. The columns are those of
        `SparseEmbedding`.
    bias : ndarray of float32, shape (n_labels,)
    weight : float
        From 0 to below 1.
    """

    weights: sp.csr_array
    bias: np.ndarray
    weight: float

    def __call__(self, features: SparseBatch) -> Shares:
        """Return what gives the part added to the network's logits, before the sum is scaled."""
        rows = features.by_row
        # scipy copies all weights where the batch's numbers are wider than theirs.
        kind = self.weights.indices.dtype
        numbers = rows.numbers.cpu().numpy().astype(kind)
        pointers = np.append(rows.starts.cpu().numpy(), len(numbers)).astype(kind)
        shape = (len(rows.starts), self.weights.shape[0])
        batch = sp.csr_array((rows.weights.cpu().numpy(), numbers, pointers), shape=shape)
        margins = np.empty((shape[0], len(self.bias)), dtype=np.float32)
        size = max(1, _SCORES_AT_ONCE // len(self.bias))
        for begin in range(0, shape[0], size):
            (batch[begin : begin + size] @ self.weights).toarray(out=margins[begin : begin + size])
        margins += self.bias
        margins *= _LOGITS_A_MARGIN * self.weight / (1.0 - self.weight)
        added = torch.from_numpy(margins).to(rows.weights.device)
        return lambda begin, end: added[:, begin:end]

    def check(self) -> None:
        """Refuse numbers out of range: compiled code would read beyond the arrays.

        Raises
        ------
        ValueError
        """
        pointers, labels = self.weights.indptr, self.weights.indices
        rises = pointers[0] == 0 and pointers[-1] == len(labels) and (np.diff(pointers) >= 0).all()
        if not rises:
            raise ValueError("the weights of its linear classifiers do not begin where they should")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.bias):
            raise ValueError("its linear classifiers have a label out of range")
