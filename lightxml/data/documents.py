"""Documents as the network reads them: token numbers, features, a frozen encoder's summaries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lightxml.data.matrices import FeatureMatrix

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_DOCUMENTS_AT_ONCE = 1_000  # bounds the tokenizer's own objects, some 100 bytes a token
_CHARACTERS_A_TOKEN = 16  # few texts have longer tokens; those that do are read whole


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

    def part(self, begin: int, end: int) -> TokenStore:
        """Return the documents from `begin` to before `end`."""
        starts = self.starts[begin : end + 1]
        return TokenStore(self.ids[starts[0] : starts[-1]], starts - starts[0])

    @property
    def lengths(self) -> np.ndarray:
        """Tokens a document, int64 of shape (n_documents,)."""
        return np.diff(self.starts)


@dataclass(frozen=True)
class EncodedDocuments:
    """The documents as the network reads them; None where it does not read that part.

    Attributes
    ----------
    tokens : TokenStore or None
    features : csr_array or ndarray of float32, shape (n_documents, n_features), or None
    summaries : ndarray of float16, shape (n_documents, n_layers + 1, width), or None
        What a frozen encoder made of the tokens, the vector to compare documents by last; where
        they are given, the tokens are not read again.
    representations : ndarray of float32, shape (n_documents, width), or None
        What the head reads; where it is given, nothing else is read.
    """

    tokens: TokenStore | None = None
    features: FeatureMatrix | None = None
    summaries: np.ndarray | None = None
    representations: np.ndarray | None = None

    def __len__(self) -> int:
        for part in (self.representations, self.summaries, self.features):
            if part is not None:
                return int(part.shape[0])
        assert self.tokens is not None
        return len(self.tokens)

    def part(self, begin: int, end: int) -> EncodedDocuments:
        """Return the documents from `begin` to before `end`."""
        arrays = (self.features, self.summaries, self.representations)
        return EncodedDocuments(
            None if self.tokens is None else self.tokens.part(begin, end),
            *(None if array is None else array[begin:end] for array in arrays),
        )

    @property
    def lengths(self) -> np.ndarray:
        """Tokens that the encoder reads of each document, int64; 1 where it reads none."""
        if self.tokens is None or self.summaries is not None:
            return np.ones(len(self), dtype=np.int64)
        return self.tokens.lengths


def tokenize(texts: list[str], tokenizer: Tokenizer, prompt: str = "") -> TokenStore:
    """Turn documents, a prompt before each, into token numbers, cut where the tokenizer truncates.

    Of a long document only the beginning is read, up to a blank; where that should not fill
    the tokenizer's maximum length, all of it.
    """
    max_length = max_length_of(tokenizer)
    room = max_length * _CHARACTERS_A_TOKEN
    pieces: list[np.ndarray] = []
    for begin in range(0, len(texts), _DOCUMENTS_AT_ONCE):
        chunk = [prompt + text for text in texts[begin : begin + _DOCUMENTS_AT_ONCE]]
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
