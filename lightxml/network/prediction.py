"""From documents to ranked labels: batches by length, results in the caller's order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import numpy as np
import scipy.sparse as sp
import torch
from scipy.special import expit, logit

from lightxml.data.documents import EncodedDocuments
from lightxml.network.batches import Batch, collate, prediction_batches
from lightxml.network.network import LightXMLNetwork
from lightxml.network.text_reader import TextReader, halved
from lightxml.rankers.final import check_finite
from lightxml.runtime.forks import use_one_thread_if_forked

# Enough to fill the hardware; more only costs memory.
MAX_TOKENS = {"cpu": 4_096, "cuda": 65_536, "mps": 16_384}
_MAX_LOGITS = 2**26  # 256 MiB of float32
Made = TypeVar("Made")


def predict_topk(
    network: LightXMLNetwork, documents: EncodedDocuments, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns of the k best labels of each document, best first, and their logits.

    Returns
    -------
    columns : ndarray of int64, shape (n_documents, k)
    logits : ndarray of float32, shape (n_documents, k)
    """
    columns = np.empty((len(documents), k), dtype=np.int64)
    values = np.empty((len(documents), k), dtype=np.float32)
    ranked = _each(network, documents, lambda batch: network.rank(batch, k), network.head.n_logits)
    for rows, (best, where) in ranked:
        columns[rows], values[rows] = where.cpu().numpy(), check_finite(best.cpu().numpy())
    return columns, values


def predict_logits(network: LightXMLNetwork, documents: EncodedDocuments) -> np.ndarray:
    """Return every logit, a dense float32 array of shape (n_documents, n_labels)."""
    n_labels = network.head.n_labels
    out = np.empty((len(documents), n_labels), dtype=np.float32)
    for rows, logits in _each(network, documents, network, n_labels):
        out[rows] = check_finite(logits.cpu().numpy())
    return out


def predict_logits_of(
    network: LightXMLNetwork, documents: EncodedDocuments, columns: np.ndarray
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
    n_logits = max(columns.shape[1], network.head.n_logits)
    for rows, batch in _batches(network, documents, n_logits):
        with torch.inference_mode():
            wanted = torch.from_numpy(columns[rows]).to(network.device)
            out[rows] = check_finite(network.logits_of(batch, wanted).cpu().numpy())
    return out


def predict_positive(
    network: LightXMLNetwork, documents: EncodedDocuments, threshold: float | np.ndarray
) -> sp.csr_array:
    """Return the labels whose score reaches the threshold, or their own of shape (n_labels,).

    Returns
    -------
    csr_array of int8, shape (n_documents, n_labels)
    """
    rows: list[np.ndarray] = []
    columns: list[np.ndarray] = []
    # Slightly too many, so that the scores themselves decide, as `predict_proba` gives them.
    reached = np.broadcast_to(np.asarray(threshold, np.float32), (network.head.n_labels,))
    lowest = min(float(reached.min()), 1 - 1e-7)  # a score of 1 is that of a finite logit
    least = float(logit(lowest)) - 1e-3
    n_logits = network.head.n_logits
    positive = _each(network, documents, lambda b: network.positive(b, least), n_logits)
    for rows_of_batch, found in positive:
        where, column, logits = (part.cpu().numpy() for part in found)
        chosen = sigmoid(check_finite(logits)) >= reached[column]
        rows.append(rows_of_batch[where[chosen]])
        columns.append(column[chosen])
    coordinates = (np.concatenate(rows), np.concatenate(columns))
    ones = np.ones(len(coordinates[0]), dtype=np.int8)
    shape = (len(documents), network.head.n_labels)
    matrix = sp.csr_array(sp.coo_array((ones, coordinates), shape=shape))
    matrix.sort_indices()
    return matrix


def representations(
    network: LightXMLNetwork, documents: EncodedDocuments
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Yield some documents' numbers and what the head reads of them, until all have come."""
    network.eval()
    return _each(network, documents, network.represent, network.head.n_logits)


def represent_all(network: LightXMLNetwork, documents: EncodedDocuments) -> torch.Tensor:
    """Return what the head reads of all documents, float32 of shape (n_documents, width)."""
    out = torch.empty(len(documents), network.width, device=network.device)
    for rows, represented in representations(network, documents):
        out[torch.from_numpy(rows).to(out.device)] = represented
    return out


def summarised(reader: TextReader, documents: EncodedDocuments) -> EncodedDocuments:
    """Return the documents with what a frozen encoder makes of them, if they have it not yet."""
    if documents.summaries is not None:
        return documents

    def summarise(batch: Batch) -> torch.Tensor:
        assert batch.tokens is not None
        return reader.summarise(batch.tokens)

    shape = (len(documents), reader.n_feature_layers + 1, reader.encoder.config.hidden_size)
    summaries = np.empty(shape, dtype=np.float16)
    for rows, made in _each(reader, documents, summarise, n_logits=1):
        summaries[rows] = check_finite(made.cpu().numpy(), "encoder's vectors")
    return replace(documents, summaries=summaries)


def represented(network: LightXMLNetwork, documents: EncodedDocuments) -> EncodedDocuments:
    """Return the documents as what the head reads of them, so that they can be ranked twice."""
    use_one_thread_if_forked()
    return EncodedDocuments(representations=represent_all(network, documents).cpu().numpy())


def represented_and_pooled(
    network: LightXMLNetwork, documents: EncodedDocuments
) -> tuple[EncodedDocuments, np.ndarray]:
    """Return the documents as what the head reads, and the vectors that they are compared by.

    A trained encoder makes both at once.

    Returns
    -------
    documents : EncodedDocuments
    vectors : ndarray of float16, shape (n_documents, width)
    """
    network.eval()
    made = np.empty((len(documents), network.width), dtype=np.float32)
    vectors = np.empty((len(documents), network.encoder.config.hidden_size), dtype=np.float16)

    def make(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        assert batch.tokens is not None
        layers = network.summarise(batch.tokens, pooled=True)
        summaries = layers[:, :-1]
        return network.represent(replace(batch, summaries=summaries)), halved(layers[:, -1])

    for rows, (represented, pooled) in _each(network, documents, make, network.head.n_logits):
        made[rows] = represented.cpu().numpy()
        vectors[rows] = check_finite(pooled.cpu().numpy(), "encoder's vectors")
    return EncodedDocuments(representations=made), vectors


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return the scores of logits, in their own dtype: the same wherever in an array they stand.

    torch's own differs in the last bit between the bulk of an array and its remainder.
    """
    return np.asarray(expit(logits))


def _each(
    reader: TextReader, documents: EncodedDocuments, make: Callable[[Batch], Made], n_logits: int
) -> Iterator[tuple[np.ndarray, Made]]:
    """Yield some documents' numbers and what is made of them, until all have come.

    So many documents at a time as `n_logits` numbers each allow.
    """
    for rows, batch in _batches(reader, documents, n_logits):
        # Entered anew for each batch: a generator must not leave the mode on for its caller.
        with torch.inference_mode():
            made = make(batch)
        yield rows, made


def _batches(
    reader: TextReader, documents: EncodedDocuments, n_logits: int
) -> Iterator[tuple[np.ndarray, Batch]]:
    """Yield some documents' numbers and their batch, until all have come."""
    use_one_thread_if_forked()
    device, max_documents = reader.device, max(1, _MAX_LOGITS // n_logits)
    for rows in prediction_batches(documents.lengths, MAX_TOKENS[device.type], max_documents):
        with torch.inference_mode():
            batch = collate(documents, rows, reader.pad_id, device)
        yield rows, batch
