"""From documents to ranked labels: batches by length, results in the caller's order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
import torch
from scipy.special import expit

from lightxml.batches import Batch, collate, prediction_batches
from lightxml.devices import use_one_thread_if_forked
from lightxml.documents import Documents
from lightxml.heads import top_k
from lightxml.network import LightXMLNetwork

# Enough to fill the hardware; more only costs memory.
MAX_TOKENS = {"cpu": 4_096, "cuda": 65_536, "mps": 16_384}
_MAX_LOGITS = 2**26  # 256 MiB of float32


def predict_topk(
    network: LightXMLNetwork, documents: Documents, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns of the k best labels of each document, best first, and their logits.

    Returns
    -------
    columns : ndarray of int64, shape (n_documents, k)
    logits : ndarray of float32, shape (n_documents, k)
    """
    columns = np.empty((len(documents), k), dtype=np.int64)
    values = np.empty((len(documents), k), dtype=np.float32)
    for rows, logits in _logits(network, documents):
        best, where = top_k(logits, k)
        columns[rows], values[rows] = where.cpu().numpy(), best.cpu().numpy()
    return columns, values


def predict_logits(network: LightXMLNetwork, documents: Documents) -> np.ndarray:
    """Return every logit, a dense float32 array of shape (n_documents, n_labels)."""
    out = np.empty((len(documents), network.head.out_features), dtype=np.float32)
    for rows, logits in _logits(network, documents):
        out[rows] = logits.cpu().numpy()
    return out


def predict_logits_of(
    network: LightXMLNetwork, documents: Documents, columns: np.ndarray
) -> np.ndarray:
    """Return the logits of some labels, of each document its own.

    Parameters
    ----------
    columns : ndarray of int64, shape (n_documents, m)

    Returns
    -------
    ndarray of float32, shape (n_documents, m)
    """
    out = np.empty(columns.shape, dtype=np.float32)
    for rows, logits in _logits(network, documents):
        wanted = torch.from_numpy(columns[rows]).to(logits.device)
        out[rows] = logits.gather(1, wanted).cpu().numpy()
    return out


def predict_positive(network: LightXMLNetwork, documents: Documents) -> sp.csr_array:
    """Return the labels with a score of at least 0.5, a csr_array of (n_documents, n_labels)."""
    rows: list[np.ndarray] = []
    columns: list[np.ndarray] = []
    for rows_of_batch, logits in _logits(network, documents):
        # Slightly too many, so that the scores themselves decide, as `predict_proba` gives them.
        where, column = torch.nonzero(logits > -1e-3, as_tuple=True)
        chosen = sigmoid(logits[where, column].cpu().numpy()) >= 0.5
        rows.append(rows_of_batch[where.cpu().numpy()[chosen]])
        columns.append(column.cpu().numpy()[chosen])
    coordinates = (np.concatenate(rows), np.concatenate(columns))
    ones = np.ones(len(coordinates[0]), dtype=np.int8)
    shape = (len(documents), network.head.out_features)
    matrix = sp.csr_array(sp.coo_array((ones, coordinates), shape=shape))
    matrix.sort_indices()
    return matrix


def representations(
    network: LightXMLNetwork, documents: Documents
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Yield some documents' numbers and what the head reads of them, until all have come."""
    network.eval()
    for rows, batch in _batches(network, documents):
        with torch.inference_mode():
            represented = network.represent(batch)
        yield rows, represented


def represent_all(network: LightXMLNetwork, documents: Documents) -> torch.Tensor:
    """Return what the head reads of all documents, float32 of shape (n_documents, width)."""
    out = torch.empty(len(documents), network.head.in_features, device=network.device)
    for rows, represented in representations(network, documents):
        out[torch.from_numpy(rows).to(out.device)] = represented
    return out


def represented(network: LightXMLNetwork, documents: Documents) -> Documents:
    """Return the documents as what the head reads of them, so that they can be ranked twice."""
    use_one_thread_if_forked()
    return Documents(representations=represent_all(network, documents).cpu().numpy())


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return the scores of logits, in their own dtype: the same wherever in an array they stand.

    torch's own differs in the last bit between the bulk of an array and its remainder.
    """
    return np.asarray(expit(logits))


def _logits(
    network: LightXMLNetwork, documents: Documents
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    use_one_thread_if_forked()
    for rows, batch in _batches(network, documents):
        # Entered anew for each batch: a generator must not leave the mode on for its caller.
        with torch.inference_mode():
            logits = network(batch)
        yield rows, logits


def _batches(network: LightXMLNetwork, documents: Documents) -> Iterator[tuple[np.ndarray, Batch]]:
    device = network.device
    width = network.head.out_features
    if network.neighbours is not None:
        width = max(width, len(network.neighbours.keys))
    max_documents = max(1, _MAX_LOGITS // width)
    for rows in prediction_batches(documents.lengths, MAX_TOKENS[device.type], max_documents):
        yield rows, collate(documents, rows, network.pad_id, device)
