"""From numeric features to a vector: a sum of embeddings for sparse ones, else a linear layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from sklearn.preprocessing import normalize
from torch import nn

from lightxml.data.matrices import FeatureMatrix
from lightxml.network.batches import SparseBatch
from lightxml.network.tables import TableGradient, weighted_sum

# Of the entries of a document's vector at the start: large enough to leave the region where GELU
# is linear, small enough that training soon outweighs chance. Chosen on validation documents.
INITIAL_DEVIATION = 0.3


class SparseEmbedding(nn.Module):
    """The weighted sum of one vector for each feature that a document has, then GELU.

    Parameters
    ----------
    n_features : int
        Columns of the feature matrix.
    columns : Tensor of int64, shape (n_columns,)
        Those with an entry in the training documents, rising; the others have no vector.
    width : int

    Attributes
    ----------
    weight : Parameter, shape (n_columns, width)
        Its ``grad`` stays None.
    pending : list of TableGradient
        What its gradient is made of, one for each backward pass since the last step.
    """

    columns: torch.Tensor

    def __init__(self, n_features: int, columns: torch.Tensor, width: int) -> None:
        super().__init__()
        self.n_features = n_features
        self.register_buffer("columns", columns)
        self.weight = nn.Parameter(torch.empty(len(columns), width))
        self.pending: list[TableGradient] = []
        self.bias = nn.Parameter(torch.zeros(width))
        # Documents are vectors of length 1, whose entries so keep the weights' deviation.
        if not self.weight.is_meta:  # where a draw would import torch's compiler, for seconds
            nn.init.normal_(self.weight, std=INITIAL_DEVIATION)

    @property
    def width(self) -> int:
        """Entries of a document's vector."""
        return int(self.weight.shape[1])

    def check_columns(self) -> None:
        """Refuse columns that are not among the features, or not in order.

        Raises
        ------
        ValueError
        """
        columns = self.columns.cpu().numpy()
        rises = bool((np.diff(columns) > 0).all())
        if not rises or columns[0] < 0 or columns[-1] >= self.n_features:
            raise ValueError(
                f"the columns of its feature embedding do not rise from 0 to {self.n_features}"
            )

    def prepare(self, matrix: FeatureMatrix) -> sp.csr_array:
        """Return the columns that have a vector, each document's row scaled to length 1."""
        sparse = sp.csr_array(matrix)
        if len(self.columns) < self.n_features:
            sparse = sparse[:, self.columns.cpu().numpy()]
        return sp.csr_array(normalize(sparse))

    def forward(self, features: SparseBatch) -> torch.Tensor:
        """Return the documents' vectors, float32 of shape (batch, width)."""
        return F.gelu(_WeightedSum.apply(self.weight, features, self.pending) + self.bias)


class DenseEmbedding(nn.Module):
    """A linear layer on standardised features, then GELU.

    Parameters
    ----------
    n_features, width : int

    Attributes
    ----------
    standardise : Standardise
        `fit` it before training.
    """

    def __init__(self, n_features: int, width: int) -> None:
        super().__init__()
        self.n_features = n_features
        self.standardise = Standardise(n_features)
        self.linear = nn.Linear(n_features, width)

    @property
    def width(self) -> int:
        """Entries of a document's vector."""
        return self.linear.out_features

    def prepare(self, matrix: FeatureMatrix) -> np.ndarray:
        """Return the features as they are, as a dense array."""
        return np.asarray(matrix.toarray() if isinstance(matrix, sp.sparray) else matrix)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the documents' vectors, float32 of shape (batch, width)."""
        return F.gelu(self.linear(self.standardise(features)))


class Standardise(nn.Module):
    """Shift and scale each entry to mean 0 and deviation 1 over the training documents.

    Parameters
    ----------
    *shape : int
        Of one document's entries.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))

    def fit(self, values: np.ndarray) -> None:
        """Take mean and deviation from the training documents, of shape (n_documents, ...).

        An entry that is the same in all documents is shifted only.
        """
        mean = values.mean(axis=0, dtype=np.float64)
        variance = np.zeros_like(mean)
        for begin in range(0, len(values), 1_000):  # no second array of their size
            variance += ((values[begin : begin + 1_000] - mean) ** 2).sum(axis=0)
        deviation = np.sqrt(variance / len(values))
        constant = deviation <= 1e-6 * np.maximum(np.abs(mean), 1e-30)
        self.mean.copy_(torch.from_numpy(mean))
        self.scale.copy_(torch.from_numpy(np.where(constant, 1.0, deviation)))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the standardised entries, float32."""
        return (values.float() - self.mean) / self.scale


FeatureEmbedding = SparseEmbedding | DenseEmbedding


def feature_embedding(matrix: FeatureMatrix, width: int) -> FeatureEmbedding:
    """Return the embedding that fits the training documents' features.

    Raises
    ------
    ValueError
        If a sparse matrix has no entry at all.
    """
    n_features = matrix.shape[1]
    if not isinstance(matrix, sp.sparray):
        dense = DenseEmbedding(n_features, width)
        dense.standardise.fit(matrix)
        return dense
    columns = np.unique(matrix.indices)
    if not len(columns):
        raise ValueError(
            f"The features of all {matrix.shape[0]} documents are zero; expected some that tell "
            "them apart."
        )
    return SparseEmbedding(n_features, torch.from_numpy(columns.astype(np.int64)), width)


class _WeightedSum(torch.autograd.Function):
    """The product of a sparse matrix and a table.

    The way back makes no gradient of the table, which would be a row for each feature of the
    batch: what that gradient is made of goes on `pending`, and the optimizer does the rest.
    """

    @staticmethod
    def forward(
        ctx: Any,
        table: torch.Tensor,
        batch: SparseBatch,
        pending: list[TableGradient],
    ) -> torch.Tensor:
        ctx.batch, ctx.pending = batch, pending
        return weighted_sum(table, batch.by_row)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, None, None]:
        batch: SparseBatch = ctx.batch
        assert batch.by_column is not None, "collate(training=True)"
        assert batch.columns is not None
        gradient = TableGradient(batch.columns, batch.by_column, gradients[0].contiguous())
        ctx.pending.append(gradient)
        return None, None, None
