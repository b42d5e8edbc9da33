"""Batches of documents of like length, on the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from lightxml.data.documents import EncodedDocuments, TokenStore

_POOL = 32  # batches that are sorted by length together in training


@dataclass(frozen=True)
class TokenBatch:
    """Padded documents on a device.

    Attributes
    ----------
    input_ids : Tensor of int64, shape (batch, length)
    lengths : Tensor of int64, shape (batch,)
    attention_mask : Tensor of int64, shape (batch, length), or None
        None where no document is padded.
    """

    input_ids: torch.Tensor
    lengths: torch.Tensor
    attention_mask: torch.Tensor | None


@dataclass(frozen=True)
class SparseRows:
    """Rows of a sparse matrix on a device, as bags of weighted numbers.

    Attributes
    ----------
    numbers : Tensor of int64, shape (n_entries,)
        Column numbers, row by row.
    starts : Tensor of int64, shape (n_rows,)
        Where each row begins in `numbers`.
    weights : Tensor of float32, shape (n_entries,)
    """

    numbers: torch.Tensor
    starts: torch.Tensor
    weights: torch.Tensor


@dataclass(frozen=True)
class SparseBatch:
    """The sparse features of a batch; in training, the same by column as well.

    Attributes
    ----------
    by_row : SparseRows
    columns : Tensor of int64, shape (n_touched,), or None
        The columns with an entry in the batch, rising.
    by_column : SparseRows or None
        The transposed rows of those columns.
    """

    by_row: SparseRows
    columns: torch.Tensor | None = None
    by_column: SparseRows | None = None


@dataclass(frozen=True)
class Batch:
    """Documents on a device; as in `EncodedDocuments`, what is not read is None."""

    tokens: TokenBatch | None = None
    features: SparseBatch | torch.Tensor | None = None
    summaries: torch.Tensor | None = None
    representations: torch.Tensor | None = None


def collate(
    documents: EncodedDocuments,
    rows: np.ndarray,
    pad_id: int,
    device: torch.device,
    *,
    training: bool = False,
) -> Batch:
    """Gather some documents into one batch on the device.

    Parameters
    ----------
    documents : EncodedDocuments
    rows : ndarray of int64
        Which documents, in this order.
    pad_id : int
        The token number that fills the shorter documents.
    device : torch.device
    training : bool
        Whether gradients will be wanted.
    """
    tokens = summaries = representations = None
    features: SparseBatch | torch.Tensor | None = None
    if documents.representations is not None:
        representations = to_device(documents.representations[rows], device)
    elif documents.summaries is not None:
        summaries = to_device(documents.summaries[rows], device).float()
    elif documents.tokens is not None:
        tokens = _pad(documents.tokens, rows, pad_id, device)
    if documents.features is not None:
        part = documents.features[rows]
        if sp.issparse(part):
            features = _sparse_batch(part, device, training)
        else:
            features = to_device(part, device)
    return Batch(tokens, features, summaries, representations)


def _pad(store: TokenStore, rows: np.ndarray, pad_id: int, device: torch.device) -> TokenBatch:
    n_tokens = store.starts[rows + 1] - store.starts[rows]
    # Of an empty text, where no special token is put around it, one token of padding is read.
    lengths = np.maximum(n_tokens, 1)
    columns = np.arange(lengths.max())
    there = columns < n_tokens[:, None]  # (batch, width)
    input_ids = np.full(there.shape, pad_id, dtype=np.int64)
    input_ids[there] = store.ids[(store.starts[rows][:, None] + columns)[there]]
    present = columns < lengths[:, None]
    padded = not present.all()
    return TokenBatch(
        to_device(input_ids, device),
        to_device(lengths, device),
        to_device(present.astype(np.int64), device) if padded else None,
    )


def _sparse_batch(part: sp.csr_array, device: torch.device, training: bool) -> SparseBatch:
    by_row = _sparse_rows(part.indices, part.indptr, part.data, device)
    if not training:
        return SparseBatch(by_row)
    order = np.argsort(part.indices, kind="stable")
    columns, starts = np.unique(part.indices[order], return_index=True)
    row_of = np.repeat(np.arange(part.shape[0]), np.diff(part.indptr))
    by_column = _sparse_rows(row_of[order], np.append(starts, len(order)), part.data[order], device)
    return SparseBatch(by_row, to_device(columns.astype(np.int64), device), by_column)


def _sparse_rows(
    numbers: np.ndarray, pointers: np.ndarray, weights: np.ndarray, device: torch.device
) -> SparseRows:
    return SparseRows(
        to_device(numbers.astype(np.int64), device),
        to_device(pointers[:-1].astype(np.int64), device),
        to_device(weights, device),
    )


def to_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """Copy an array to the device, without making the host wait for it."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def training_batches(
    lengths: np.ndarray, batch_size: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Return one epoch's batches: a random order, with documents of like length together.

    The shuffled documents are sorted by length within pools of some batches, so that little
    is padded and yet each batch is a random one among those of its length; then the batches
    are shuffled.

    Parameters
    ----------
    lengths : ndarray of int64, shape (n_documents,)
    batch_size : int
    rng : numpy Generator
        The epoch's own.

    Returns
    -------
    list of ndarray of int64
        Document numbers; each document once, and only the last batch made is smaller.
    """
    order = rng.permutation(len(lengths))
    size = batch_size * _POOL
    pools = [order[i : i + size] for i in range(0, len(order), size)]
    order = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def prediction_batches(
    lengths: np.ndarray, max_tokens: int, max_documents: int
) -> Iterator[np.ndarray]:
    """Yield the documents' numbers, longest first, in batches of a bounded padded size."""
    order = np.argsort(-lengths, kind="stable")
    begin = 0
    while begin < len(order):
        size = max(1, min(max_documents, max_tokens // max(1, int(lengths[order[begin]]))))
        yield order[begin : begin + size]
        begin += size


@dataclass(frozen=True)
class Targets:
    """The positive entries of a batch, by rising column.

    They are there twice: what decides the sizes of later arrays is counted on the host, so that
    a device is never waited for.

    Attributes
    ----------
    rows, columns : Tensor of int64, shape (n_positives,)
        On the device; documents are numbered within the batch.
    host_rows, host_columns : ndarray of int64, shape (n_positives,)
    weights : Tensor of float32, shape (batch,), or None
        What each document's loss is multiplied with; None: 1 each.
    """

    rows: torch.Tensor
    columns: torch.Tensor
    host_rows: np.ndarray
    host_columns: np.ndarray
    weights: torch.Tensor | None = None


def make_targets(
    y: sp.csr_array, rows: np.ndarray, device: torch.device, weights: np.ndarray | None = None
) -> Targets:
    """Return the positive entries of some documents, and their weights.

    Parameters
    ----------
    y : csr_array of shape (n_documents, n_labels)
    rows : ndarray of int64
        Which documents, in this order.
    device : torch.device
    weights : ndarray of float, shape (n_documents,), or None
    """
    begins, ends = y.indptr[rows], y.indptr[rows + 1]
    columns = np.concatenate([y.indices[b:e] for b, e in zip(begins, ends, strict=True)])
    order = np.argsort(columns, kind="stable")
    columns = columns[order].astype(np.int64)
    of_batch = np.repeat(np.arange(len(rows)), ends - begins)[order]
    of_rows = None if weights is None else to_device(weights[rows].astype(np.float32), device)
    return Targets(
        to_device(of_batch, device), to_device(columns, device), of_batch, columns, of_rows
    )
