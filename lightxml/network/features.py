"""From numeric features to a vector: a sum of embeddings for sparse ones, else a linear layer."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from sklearn.preprocessing import normalize
from torch import nn

from lightxml.data.matrices import FeatureMatrix
from lightxml.network.batches import SparseBatch
from lightxml.network.described import Described, check_counts
from lightxml.network.pending import ADAMW_BYTES, PendingOptimizer
from lightxml.network.tables import RowAdagrad, TableGradient, weighted_sum

# Of the entries of a document's vector at the start: large enough to leave the region where GELU
# is linear, small enough that training soon outweighs chance. Chosen on validation documents.
INITIAL_DEVIATION = 0.3
# Of the table's rate in terms of the other weights'; chosen on validation documents.
TABLE_RATE = 40.0


class FeatureEmbedding(nn.Module, ABC):
    """What makes a vector of a document's numeric features, and answers for how it does so.

    Attributes
    ----------
    kind : str
        Its name in a saved model.
    n_features : int
        Columns of the feature matrix.
    """

    kind: str
    n_features: int

    @property
    @abstractmethod
    def width(self) -> int:
        """Entries of a document's vector."""

    @abstractmethod
    def fit(self, matrix: FeatureMatrix) -> None:
        """Take from the training documents' features what is not learnt by steps."""

    @abstractmethod
    def prepare(self, matrix: FeatureMatrix) -> FeatureMatrix:
        """Return the features as a batch is to have them."""

    @abstractmethod
    def widened(self, matrix: FeatureMatrix) -> FeatureEmbedding:
        """Return a copy on the CPU that goes on with the features of other training documents.

        What it has not learned anything of begins at random, by torch's current generator.

        Parameters
        ----------
        matrix : csr_array or ndarray of float, shape (n_documents, n_columns)
            Its first columns are those that this embedding knows.
        """

    def optimizer(self, rate: float, seed: int) -> PendingOptimizer | None:
        """Return what moves the weights that AdamW is not to move; as `Head.optimizer`."""
        return None

    def training_bytes(self, batch_size: int) -> dict[str, int]:
        """Estimate what training takes beside the weights; as `Head.training_bytes`."""
        return {"optimizer": ADAMW_BYTES * sum(p.numel() for p in self.parameters())}

    @abstractmethod
    def describe(self) -> Described:
        """Return its kind, and the sizes by which `made_of` makes one for its weights."""

    @classmethod
    @abstractmethod
    def made_of(cls, described: Described) -> FeatureEmbedding:
        """Return a new embedding; random weights come from torch's current generator.

        Raises
        ------
        ValueError, KeyError
            If a size is missing or out of range.
        """

    def check(self) -> None:
        """Refuse arrays out of range that were loaded into it.

        Raises
        ------
        ValueError
        """


class SparseEmbedding(FeatureEmbedding):
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

    kind = "sparse"
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

    def fit(self, matrix: FeatureMatrix) -> None:
        """Take the columns of the training documents' entries: as many as it has vectors."""
        self.columns.copy_(torch.from_numpy(columns_with_entries(matrix)))

    def check(self) -> None:
        """Refuse columns that are not among the features, or not in order."""
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

    @torch.no_grad()
    def widened(self, matrix: FeatureMatrix) -> SparseEmbedding:
        """Return a copy that has a vector for each column with an entry in these documents too."""
        known = self.columns.cpu().numpy()
        columns = np.union1d(known, columns_with_entries(matrix))
        wider = SparseEmbedding(matrix.shape[1], torch.from_numpy(columns), self.width)
        wider.weight[torch.from_numpy(np.searchsorted(columns, known))] = self.weight.cpu()
        wider.bias.copy_(self.bias)
        return wider

    def optimizer(self, rate: float, seed: int) -> RowAdagrad:
        """Return what moves the table."""
        return RowAdagrad(self.weight, self.pending, TABLE_RATE * rate)

    def training_bytes(self, batch_size: int) -> dict[str, int]:
        """Count gradients and moments of all but the table."""
        return {"optimizer": ADAMW_BYTES * self.bias.numel()}

    def describe(self) -> Described:
        """Return its kind and sizes."""
        n_columns = len(self.columns)
        sizes = {"n_columns": n_columns, "n_features": self.n_features, "width": self.width}
        return {"kind": self.kind, **sizes}

    @classmethod
    def made_of(cls, described: Described) -> SparseEmbedding:
        """Return a new embedding, with no columns yet: they are to be fitted or loaded."""
        check_counts(described, n_features=1, width=1, n_columns=1)
        columns = torch.zeros(described["n_columns"], dtype=torch.int64)
        return cls(described["n_features"], columns, described["width"])


class DenseEmbedding(FeatureEmbedding):
    """A linear layer on standardised features, then GELU.

    Parameters
    ----------
    n_features, width : int

    Attributes
    ----------
    standardise : Standardise
        `fit` it before training.
    """

    kind = "dense"

    def __init__(self, n_features: int, width: int) -> None:
        super().__init__()
        self.n_features = n_features
        self.standardise = Standardise(n_features)
        self.linear = nn.Linear(n_features, width)

    @property
    def width(self) -> int:
        """Entries of a document's vector."""
        return self.linear.out_features

    def fit(self, matrix: FeatureMatrix) -> None:
        """Take mean and deviation from the training documents."""
        self.standardise.fit(self.prepare(matrix))

    def widened(self, matrix: FeatureMatrix) -> DenseEmbedding:
        """Return a copy; there are no further columns."""
        return copy.deepcopy(self).cpu()

    def prepare(self, matrix: FeatureMatrix) -> np.ndarray:
        """Return the features as they are, as a dense array."""
        return np.asarray(matrix.toarray() if isinstance(matrix, sp.sparray) else matrix)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the documents' vectors, float32 of shape (batch, width)."""
        return F.gelu(self.linear(self.standardise(features)))

    def describe(self) -> Described:
        """Return its kind and sizes."""
        return {"kind": self.kind, "n_features": self.n_features, "width": self.width}

    @classmethod
    def made_of(cls, described: Described) -> DenseEmbedding:
        """Return a new embedding, neither shifting nor scaling yet."""
        check_counts(described, n_features=1, width=1)
        return cls(described["n_features"], described["width"])


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


EMBEDDINGS: dict[str, type[FeatureEmbedding]] = {
    embedding.kind: embedding for embedding in (SparseEmbedding, DenseEmbedding)
}


def make_embedding(described: Described) -> FeatureEmbedding:
    """Return a new embedding of the kind that is described; random weights are torch's.

    Raises
    ------
    ValueError, KeyError
        If there is no such kind, or a size is missing or out of range.
    """
    kind = described["kind"]
    if kind not in EMBEDDINGS:
        raise ValueError(f"its features are {kind!r}")
    return EMBEDDINGS[kind].made_of(described)


def describe_features(matrix: FeatureMatrix, width: int) -> Described:
    """Describe the embedding that fits the training documents' features.

    Raises
    ------
    ValueError
        If a sparse matrix has no entry at all.
    """
    sizes = {"n_features": matrix.shape[1], "width": width}
    if not isinstance(matrix, sp.sparray):
        return {"kind": DenseEmbedding.kind, **sizes}
    n_columns = len(columns_with_entries(matrix))
    if not n_columns:
        raise ValueError(
            f"The features of all {matrix.shape[0]} documents are zero; expected some that tell "
            "them apart."
        )
    return {"kind": SparseEmbedding.kind, "n_columns": n_columns, **sizes}


def columns_with_entries(matrix: sp.csr_array) -> np.ndarray:
    """Return the numbers of the columns with an entry, rising: int64."""
    return np.flatnonzero(np.bincount(matrix.indices, minlength=matrix.shape[1]))


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
