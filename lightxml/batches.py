"""Token numbers kept flat, and batches of documents of like length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer

_DOCUMENTS_AT_ONCE = 1_000  # bounds the tokenizer's own objects, some 100 bytes a token
_CHARACTERS_A_TOKEN = 16  # few texts have longer tokens; those that do are read whole
_POOL = 32  # batches that are sorted by length together in training


@dataclass(frozen=True)
class TokenStore:
    """The documents as token numbers, one after the other.

    Attributes
    ----------
    ids : ndarray of int32, shape (n_tokens,)
    starts : ndarray of int64, shape (n_documents + 1,)
        Document i is ``ids[starts[i]:starts[i + 1]]``.
    """

    ids: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens a document, int64 of shape (n_documents,)."""
        return np.diff(self.starts)


@dataclass(frozen=True)
class Batch:
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


def tokenize(texts: list[str], tokenizer: Tokenizer) -> TokenStore:
    """Turn documents into token numbers, each cut once where the tokenizer truncates.

    Of a long document only the beginning is read, up to a blank; where that should not fill
    the tokenizer's maximum length, all of it.
    """
    max_length = max_length_of(tokenizer)
    room = max_length * _CHARACTERS_A_TOKEN
    pieces: list[np.ndarray] = []
    for begin in range(0, len(texts), _DOCUMENTS_AT_ONCE):
        chunk = texts[begin : begin + _DOCUMENTS_AT_ONCE]
        ids = [e.ids for e in tokenizer.encode_batch_fast([_beginning(t, room) for t in chunk])]
        short = [i for i, t in enumerate(chunk) if len(t) > room and len(ids[i]) < max_length]
        whole = tokenizer.encode_batch_fast([chunk[i] for i in short])
        for i, encoding in zip(short, whole, strict=True):
            ids[i] = encoding.ids
        pieces.extend(np.asarray(document, dtype=np.int32) for document in ids)
    starts = np.zeros(len(pieces) + 1, dtype=np.int64)
    np.cumsum([len(piece) for piece in pieces], out=starts[1:])
    return TokenStore(np.concatenate(pieces), starts)


def max_length_of(tokenizer: Tokenizer) -> int:
    """Return where the tokenizer cuts documents, in tokens."""
    assert tokenizer.truncation is not None, "assemble() sets it"
    return int(tokenizer.truncation["max_length"])


def _beginning(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    blank = text.find(" ", room)
    return text if blank < 0 else text[:blank]


def collate(store: TokenStore, rows: np.ndarray, pad_id: int, device: torch.device) -> Batch:
    """Gather some documents into one padded batch on the device."""
    lengths = store.starts[rows + 1] - store.starts[rows]
    width = int(lengths.max())
    columns = np.arange(width)
    present = columns < lengths[:, None]  # (batch, width)
    input_ids = np.full((len(rows), width), pad_id, dtype=np.int64)
    input_ids[present] = store.ids[(store.starts[rows][:, None] + columns)[present]]
    padded = not present.all()
    return Batch(
        to_device(input_ids, device),
        to_device(lengths, device),
        to_device(present.astype(np.int64), device) if padded else None,
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
        size = max(1, min(max_documents, max_tokens // int(lengths[order[begin]])))
        yield order[begin : begin + size]
        begin += size
