"""What every head answers, and what the heads share: the ranking, the first weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import nn

from lightxml.network.batches import Targets
from lightxml.network.described import Described
from lightxml.network.pending import ADAMW_BYTES, PendingOptimizer
from lightxml.network.tables import group_by_column, weighted_sum

# About the log-odds of a label among thousands: the first steps then teach which labels fit,
# instead of that most of them do not.
INITIAL_BIAS = -6.0

# Gives all documents, some at a time: their numbers, and their representations.
Represented = Callable[[], Iterable[tuple[np.ndarray, torch.Tensor]]]


class Head(nn.Module, ABC):
    """An output layer: what ranks the labels by a text representation.

    It answers for all that depends on how it is made. Another head is one file with these members,
    and its line in `lightxml.network.heads.kinds`.

    Attributes
    ----------
    kind : str
        Its name in a saved model.
    by_label : tuple of str
        Its arrays with a row for each label, by their names in ``state_dict``.
    """

    kind: str
    by_label: ClassVar[tuple[str, ...]]

    @property
    @abstractmethod
    def n_labels(self) -> int:
        """Labels that it ranks."""

    @property
    @abstractmethod
    def n_logits(self) -> int:
        """Numbers that ranking holds at a time for each document."""

    @property
    @abstractmethod
    def label_bias(self) -> torch.Tensor:
        """The labels' biases themselves, shape (n_labels,), outside of differentiation."""

    @property
    def label_clusters(self) -> np.ndarray | None:
        """The cluster of each label, int64 of shape (n_labels,); None where it has none."""
        return None

    # In training -------------------------------------------------------------------------------

    @abstractmethod
    def loss(
        self, representation: torch.Tensor, targets: Targets, dtype: torch.dtype
    ) -> torch.Tensor:
        """Return the training loss, summed over labels and documents: float32 of shape ().

        A document's loss counts by its weight, where `targets` has any.

        Parameters
        ----------
        representation : Tensor of float32, shape (batch, width)
        targets : Targets
        dtype : torch.dtype
            Of the matrix products with the representation.
        """

    @abstractmethod
    def start(
        self, represented: Represented, y: sp.csr_array, labels: np.ndarray | None = None
    ) -> None:
        """Set its first weights by the training documents; each counts the same.

        Parameters
        ----------
        represented : callable
            As often as it is called, it gives all documents' representations anew.
        y : csr_array of shape (n_documents, n_labels)
        labels : ndarray of int64, rising, or None
            Those that begin; the others keep their weights. None: all.
        """

    @torch.no_grad()
    def take_over(self, earlier: Head, source: np.ndarray) -> None:
        """Go on where another head has ended; labels that it has not keep their first weights.

        Parameters
        ----------
        earlier : Head
            Of the same kind, and the same sizes but for the numbers of labels and of clusters.
        source : ndarray of int64, shape (n_labels,)
            The label of `earlier` that each label is; -1 for a new one.
        """
        rows, sources = kept_rows(source)
        given = earlier.state_dict()
        for name, own in self.state_dict().items():
            if name in self.by_label:
                own[rows] = given[name][sources].to(own)
            else:
                own.copy_(given[name])

    def optimizer(self, rate: float, seed: int) -> PendingOptimizer | None:
        """Return what moves the weights that AdamW is not to move; None where it moves all.

        Parameters
        ----------
        rate : float
            AdamW's for the other weights.
        seed : int
            Of what is drawn in its steps.
        """
        return None

    def training_bytes(self, batch_size: int) -> dict[str, int]:
        """Estimate what training takes beside the weights.

        Returns
        -------
        dict of int
            ``"optimizer"`` (gradients and moments) and ``"output"`` (of a step's logits), in
            bytes.
        """
        trained = sum(p.numel() for p in self.parameters())
        return {
            "optimizer": ADAMW_BYTES * trained,
            "output": 3 * 4 * batch_size * self.n_labels,
        }

    def in_training(self) -> AbstractContextManager[None]:
        """Return a context in which it is trained."""
        return nullcontext()

    # In prediction, in float32 -----------------------------------------------------------------

    def query(self, representation: torch.Tensor) -> torch.Tensor:
        """Return what the labels' weights are multiplied with, float32 of (batch, ...)."""
        return representation

    @abstractmethod
    def logits(self, representation: torch.Tensor) -> torch.Tensor:
        """Return every label's logit, float32 of shape (batch, n_labels).

        Parameters
        ----------
        representation : Tensor of float32, shape (batch, width)
        """

    @abstractmethod
    def logits_of(self, representation: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Return the logits of some labels, of each document its own: `logits`, but for rounding.

        Parameters
        ----------
        representation : Tensor of float32, shape (batch, width)
        columns : Tensor of int64, shape (batch, m)

        Returns
        -------
        Tensor of float32, shape (batch, m)
        """

    @abstractmethod
    def rank(self, representation: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the k largest logits and their columns, best first; as `top_k`."""

    @abstractmethod
    def positive(
        self, representation: torch.Tensor, least: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return rows, columns and values of the logits above `least`."""

    # In a saved model --------------------------------------------------------------------------

    @abstractmethod
    def describe(self) -> Described:
        """Return its kind, and the sizes by which `made_of` makes one for its weights."""

    @classmethod
    @abstractmethod
    def made_of(cls, described: Described, width: int, n_labels: int) -> Head:
        """Return a new head; random weights come from torch's current generator.

        Parameters
        ----------
        described : dict
            As `describe` gives it. What acts in training only may be there besides.
        width : int
            Of the representation.
        n_labels : int

        Raises
        ------
        ValueError, KeyError
            If a size is missing or out of range.
        """

    def check(self) -> None:
        """Refuse arrays out of range that were loaded into it, and arrange what is made of them.

        Raises
        ------
        ValueError
        """

    def set_clusters(self, clusters: np.ndarray) -> None:
        """Take the cluster of each label, int64 of shape (n_labels,): numbers from 0, all in use.

        Raises
        ------
        TypeError
            If it is a head without clusters.
        """
        raise TypeError(f"a {type(self).__name__} has no label clusters")


def kept_rows(source: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which rows have a source, and these sources: int64, on the CPU."""
    rows = np.flatnonzero(source >= 0)
    return torch.from_numpy(rows), torch.from_numpy(source[rows])


def linear(layer: nn.Linear, values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return what a layer makes of values, with its product in `dtype`; float32."""
    return F.linear(values.to(dtype), layer.weight.to(dtype), layer.bias.to(dtype)).float()


def queries(head: Head, represented: Represented) -> Iterable[tuple[np.ndarray, torch.Tensor]]:
    """Yield all documents' numbers and what the labels' weights are multiplied with."""
    for rows, batch in represented():
        with torch.no_grad():
            yield rows, head.query(batch)


@torch.no_grad()
def start_at_centroids(
    weight: torch.Tensor,
    queries: Iterable[tuple[np.ndarray, torch.Tensor]],
    y: sp.csr_array,
    labels: np.ndarray | None = None,
) -> None:
    """Set each label's weights to where its documents lie from the middle of all: a unit vector.

    Parameters
    ----------
    weight : Tensor of float32, shape (n_labels, width)
        Zero afterwards for a label without a document.
    queries : iterable of (rows, Tensor of float32 of shape (len(rows), width))
        Of all documents, some at a time: their numbers, and what is multiplied with the weights.
    y : csr_array of shape (n_documents, n_labels)
    labels : ndarray of int64, rising, or None
        Those whose weights are set; None: all.
    """
    if labels is not None:
        begun = weight.new_empty(len(labels), weight.shape[1])
        if len(labels):
            start_at_centroids(begun, queries, sp.csr_array(y[:, labels]))
        weight[torch.from_numpy(labels).to(weight.device)] = begun
        return
    weight.zero_()
    total = torch.zeros_like(weight[0])
    for rows, batch in queries:
        where = sp.coo_array(y[rows]).coords
        row, column = (torch.from_numpy(c.astype(np.int64)).to(weight.device) for c in where)
        # A label's documents are summed before they are added: a GPU adds to one place in no
        # fixed order, and so in no fixed rounding.
        found, by_label = group_by_column(column, row, torch.ones_like(row, dtype=batch.dtype))
        weight.index_add_(0, found, weighted_sum(batch, by_label))
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
    """Return rows, columns and values of the logits above `least`, and of NaN, row by row."""
    rows, columns = torch.nonzero(~(logits <= least), as_tuple=True)
    return rows, columns, logits[rows, columns]
