"""What a batch is to be ranked by: the positions of its positive labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from lightxml.batches import to_device


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
    """

    rows: torch.Tensor
    columns: torch.Tensor
    host_rows: np.ndarray
    host_columns: np.ndarray


def make_targets(y: sp.csr_array, rows: np.ndarray, device: torch.device) -> Targets:
    """Return the positive entries of some documents of `y`, of shape (n_documents, n_labels)."""
    begins, ends = y.indptr[rows], y.indptr[rows + 1]
    columns = np.concatenate([y.indices[b:e] for b, e in zip(begins, ends, strict=True)])
    order = np.argsort(columns, kind="stable")
    columns = columns[order].astype(np.int64)
    of_batch = np.repeat(np.arange(len(rows)), ends - begins)[order]
    return Targets(to_device(of_batch, device), to_device(columns, device), of_batch, columns)
