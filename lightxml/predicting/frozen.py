"""What a frozen encoder makes of documents: computed once, and kept across fits where wanted.

In a folder of `memory`, each computation leaves a pair of files: the documents' digests
(``*.keys.npy``) and their summary vectors (``*.npy``), under a folder named by the digest of the
encoder and of how it runs. A document is looked up by its own digest, so the folds of a grid
search share them.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from joblib import Memory

from lightxml.data.documents import EncodedDocuments, TokenStore
from lightxml.exceptions import warn
from lightxml.network.batches import collate, prediction_batches
from lightxml.network.encoders import config_to_dict
from lightxml.network.prediction import MAX_TOKENS
from lightxml.network.text_reader import TextReader
from lightxml.rankers.final import check_finite
from lightxml.runtime.memory import make_array
from lightxml.runtime.progress import Progress
from lightxml.runtime.ranks import ALONE, Ranks

_KEY_BYTES = 16


def cache_folder(memory: str | os.PathLike[str] | Memory | None) -> Path | None:
    """Return the folder that the argument `memory` gives; None where there is none."""
    if isinstance(memory, Memory):
        memory = memory.location
    return None if memory is None else Path(memory) / "lightxml"


def summarise_all(
    reader: TextReader,
    tokens: TokenStore,
    folder: Path | None = None,
    *,
    verbose: int = 0,
    ranks: Ranks = ALONE,
) -> np.ndarray:
    """Return the frozen encoder's summary vectors of all documents.

    Parameters
    ----------
    reader : TextReader
        With a frozen encoder.
    tokens : TokenStore of n_documents
    folder : Path, optional
        Where earlier vectors are looked up and new ones are kept.
    verbose : int
        1 shows progress.
    ranks : Ranks, optional
        The processes that train together; each encodes its share.

    Returns
    -------
    ndarray of float16, shape (n_documents, n_layers + 1, width)
        As `TextReader.summarise` gives them. Mapped from a file where it would take more than
        a quarter of the free memory.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    summaries = _empty(reader, len(tokens))
    begin, end = ranks.share_of(len(tokens))
    tokens, own = tokens.part(begin, end), summaries[begin:end]
    missing = np.arange(len(tokens))
    if folder is not None:
        folder = folder / encoder_digest(reader)
        keys = _document_keys(tokens)
        missing = np.flatnonzero(~_recall(folder, keys, own))
    if len(missing):
        _encode(reader, tokens, missing, own, verbose)
        if folder is not None:
            _keep(folder, keys[missing], own, missing)
    ranks.gather_rows(summaries)
    return summaries


def with_kept_summaries(
    reader: TextReader,
    documents: EncodedDocuments,
    memory: str | os.PathLike[str] | Memory | None,
) -> EncodedDocuments:
    """Add the summary vectors, if earlier fits have kept those of all the documents."""
    folder = cache_folder(memory)
    if folder is None or not reader.is_frozen or not folder.is_dir():
        return documents
    assert documents.tokens is not None
    summaries = _empty(reader, len(documents))
    keys = _document_keys(documents.tokens)
    known = _recall(folder / encoder_digest(reader), keys, summaries)
    return replace(documents, summaries=summaries) if known.all() else documents


def encoder_digest(reader: TextReader) -> str:
    """Return the digest of all that a document's vectors depend on, apart from its tokens."""
    how = {
        "config": config_to_dict(reader.encoder.config),
        "n_feature_layers": reader.n_feature_layers,
        **reader.reading.describe(),
        "dtype": str(reader.autocast_dtype),
        "device": reader.device.type,
    }
    changes = [weight._version for weight in reader.encoder.state_dict().values()]
    known, weights = _digests.get(reader, (None, ""))
    if known != changes:
        weights = _digest_of_weights(reader.encoder)
        _digests[reader] = changes, weights
    return hashlib.sha256(json.dumps([how, weights], sort_keys=True).encode()).hexdigest()[:32]


# The weights are a hundred million numbers, and a frozen encoder's stay; torch counts changes.
_digests: WeakKeyDictionary[TextReader, tuple[list[int], str]] = WeakKeyDictionary()


def _digest_of_weights(encoder: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, weight in sorted(encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(weight.detach().cpu().numpy()).data)
    return digest.hexdigest()


def _empty(reader: TextReader, n_documents: int) -> np.ndarray:
    width = reader.encoder.config.hidden_size
    return make_array((n_documents, reader.n_feature_layers + 1, width), np.float16)


def _encode(
    reader: TextReader,
    tokens: TokenStore,
    rows: np.ndarray,
    summaries: np.ndarray,
    verbose: int,
) -> None:
    """Write the vectors of some documents into their rows."""
    device = reader.device
    lengths = tokens.lengths[rows]
    documents = EncodedDocuments(tokens=tokens)
    progress = Progress(
        f"{len(rows):,} documents to encode once",
        n_documents=len(rows),
        work=int(lengths.sum()),
        on_cpu=device.type == "cpu",
        verbose=verbose,
    )
    reader.eval()
    with progress, torch.inference_mode():
        for chosen in prediction_batches(lengths, MAX_TOKENS[device.type], len(rows)):
            batch = collate(documents, rows[chosen], reader.pad_id, device)
            assert batch.tokens is not None
            made = reader.summarise(batch.tokens).cpu().numpy()
            summaries[rows[chosen]] = check_finite(made, "encoder's vectors")
            progress.step(len(chosen), int(lengths[chosen].sum()))


def _document_keys(tokens: TokenStore) -> np.ndarray:
    """Return a digest of each document's tokens, bytes of shape (n_documents,)."""
    ids, starts = tokens.ids.astype("<i4", copy=False), tokens.starts.tolist()
    keys = [
        hashlib.blake2b(ids[a:b].tobytes(), digest_size=_KEY_BYTES).digest()
        for a, b in pairwise(starts)
    ]
    # As void: numpy's own bytes drop zeros at the end.
    return np.frombuffer(b"".join(keys), dtype=np.void(_KEY_BYTES).dtype)


def _recall(folder: Path, keys: np.ndarray, summaries: np.ndarray) -> np.ndarray:
    """Fill in what is kept, and return for which documents, bool of shape (n_documents,)."""
    found = np.zeros(len(keys), dtype=bool)
    wanted: dict[bytes, list[int]] = {}
    for i, key in enumerate(keys.tolist()):
        wanted.setdefault(key, []).append(i)
    for kept_keys, kept in _kept(folder, summaries):
        for position, key in enumerate(kept_keys.tolist()):
            for i in wanted.pop(key, ()):
                summaries[i], found[i] = kept[position], True
    return found


def _kept(folder: Path, summaries: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for file in sorted(folder.glob("*.keys.npy")):
        vectors = file.with_name(file.name.removesuffix(".keys.npy") + ".npy")
        try:
            keys = np.load(file, allow_pickle=False)
            kept = np.load(vectors, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            warn(
                f"memory: {vectors} cannot be read ({error}) and is passed over; its documents "
                "are encoded again."
            )
            continue
        if kept.dtype == np.float16 and kept.shape == (len(keys), *summaries.shape[1:]):
            yield keys, kept


def _keep(folder: Path, keys: np.ndarray, summaries: np.ndarray, rows: np.ndarray) -> None:
    """Write the vectors of some documents; their keys last, which makes them count."""
    folder.mkdir(parents=True, exist_ok=True)
    name = secrets.token_hex(8)
    shape = (len(rows), *summaries.shape[1:])
    side = folder / f"{name}.part"
    kept: Any = np.lib.format.open_memmap(side, mode="w+", dtype=np.float16, shape=shape)
    for begin in range(0, len(rows), 1_000):
        kept[begin : begin + 1_000] = summaries[rows[begin : begin + 1_000]]
    kept.flush()
    os.replace(side, folder / f"{name}.npy")
    with open(side, "wb") as file:
        np.save(file, keys)
    os.replace(side, folder / f"{name}.keys.npy")
