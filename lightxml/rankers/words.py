"""Texts as words: how they are split, which words are known, and how much each of them says."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import scipy.sparse as sp

# Scripts that put no blanks between words; told apart by the block of a character.
_UNSPACED = (
    "\u0e00-\u0e4f\u0e80-\u0ecf"  # Thai, Lao
    "\u1000-\u103f\u1050-\u108f\u1780-\u17d3"  # Burmese, Khmer
    "\u3005-\u3007\u3041-\u3096\u3099-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Han
)
# Marks that belong to a word and that Python's \w leaves out: accents that stand alone, Hebrew
# and Arabic points, and the vowel signs of India's scripts.
_MARKS = "\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u0610-\u061a\u064b-\u065f\u0670" + (
    "\u0900-\u0963\u0970-\u0dff"
)
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\W_]|[{_MARKS}])+")
# The same, many times as fast, where a text has none of these, and where it has ASCII alone.
_SPECIAL = re.compile(f"[{_UNSPACED}{_MARKS}]")
_PLAIN_WORD = re.compile(r"[^\W_]+")
_ASCII_WORD = re.compile(r"[a-z0-9]+")

_LETTER = re.compile(r"[^\W\d_]")
# And Hangul, whose words have so many endings that characters tell more.
_BY_CHARACTERS = re.compile(f"[{_UNSPACED}\uac00-\ud7a3]")

_STEM = 7  # letters of a word that count, chosen on validation documents of three sets

UNKNOWN = -1


def split(text: str) -> list[str]:
    """Return the stems of a text's words, in their order; see `words` and `stem`."""
    return list(map(stem, words(text)))


def stem(word: str) -> str:
    """Return the first seven letters of a word, without a plural's s.

    So a name in the plural meets a text in the singular, and the German "Plasmaphysik" an English
    "plasmaphysics". Numbers stay whole.
    """
    if len(word) > 3 and word[-1] == "s" and word[-2] != "s":
        word = word[:-1]
    return word if word[:1].isdigit() else word[:_STEM]


def words(text: str) -> list[str]:
    """Return the words of a text: runs of letters and digits, in lower case.

    In scripts without blanks (Chinese, Japanese, Thai, Lao, Khmer, Burmese) each character is a
    word; Korean has blanks. Letters that Unicode holds to be alike (NFKC: wide and narrow forms,
    accents that stand alone) are written alike.
    """
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    # Letters first: a capital may become two characters, which NFKC joins.
    text = unicodedata.normalize("NFKC", text.casefold())
    return (_WORD if _SPECIAL.search(text) else _PLAIN_WORD).findall(text)


def is_of_characters(text: str) -> bool:
    """Tell whether most letters are of a script without blanks, or Korean: characters tell more."""
    if text.isascii():
        return False
    return 2 * len(_BY_CHARACTERS.findall(text)) > len(_LETTER.findall(text))


@dataclass(frozen=True)
class Sequences:
    """Texts as numbers of words, one after the other.

    Attributes
    ----------
    words : ndarray of int32, shape (n_words_of_all_texts,)
        The number of each word in the vocabulary, or `UNKNOWN`.
    starts : ndarray of int64, shape (n_texts + 1,)
        Text i is ``words[starts[i]:starts[i + 1]]``.
    """

    words: np.ndarray
    starts: np.ndarray

    def counts(self, n_words: int) -> sp.csr_array:
        """Return how often each text holds each known word, float32, indices sorted."""
        known = self.words != UNKNOWN
        before = np.concatenate([[0], np.cumsum(known)])
        numbers = self.words[known]
        counted = sp.csr_array(
            (np.ones(len(numbers), np.float32), numbers, before[self.starts].astype(np.int64)),
            shape=(len(self.starts) - 1, n_words),
        )
        counted.sum_duplicates()
        return counted

    def only(self, numbers: np.ndarray) -> Sequences:
        """Return some of the texts."""
        return _joined([self.words[self.starts[i] : self.starts[i + 1]] for i in numbers])


class _Numbers(dict[str, int]):
    """The number of each word's stem, kept for its next occurrence."""

    def __init__(self, of_stems: dict[str, int]) -> None:
        super().__init__()
        self._of_stems = of_stems

    def __missing__(self, word: str) -> int:
        number = self[word] = self._of_stems.get(stem(word), UNKNOWN)
        return number


class Vocabulary:
    """The words that are known, as their stems, numbered in the order of their characters.

    Parameters
    ----------
    stems : iterable of str
        Repeated ones count once.
    """

    def __init__(self, stems: Iterable[str]) -> None:
        self.words = sorted(set(stems))
        self._numbers = {word: i for i, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def sequences(self, texts: Iterable[str]) -> Sequences:
        """Return the texts as numbers of words."""
        number = _Numbers(self._numbers).__getitem__
        parts = []
        for text in texts:
            found = words(text)
            parts.append(np.fromiter(map(number, found), dtype=np.int32, count=len(found)))
        return _joined(parts)

    def encode(self) -> np.ndarray:
        """Return the words as bytes, uint8: UTF-8, a line each."""
        return np.frombuffer("\n".join(self.words).encode(), dtype=np.uint8)

    @classmethod
    def decode(cls, encoded: np.ndarray) -> Vocabulary:
        """Return the vocabulary of `encode`.

        Raises
        ------
        ValueError
            If these are not the bytes of words, each once and in order.
        """
        if encoded.dtype != np.uint8 or encoded.ndim != 1:
            raise ValueError("its words are not bytes")
        stems = encoded.tobytes().decode("utf-8").split("\n") if len(encoded) else []
        made = cls(stems)  # UnicodeDecodeError is a ValueError
        if made.words != stems or "" in made._numbers:
            raise ValueError("its words are not in order, or one comes twice")
        return made


def vocabulary(texts: Iterable[str]) -> Vocabulary:
    """Return the words of some texts."""
    return Vocabulary(chain.from_iterable(map(split, texts)))


def _joined(parts: Sequence[np.ndarray]) -> Sequences:
    starts = np.zeros(len(parts) + 1, dtype=np.int64)
    np.cumsum([len(part) for part in parts], out=starts[1:])
    words = np.concatenate(parts) if parts else np.empty(0, np.int32)
    return Sequences(words, starts)


def document_frequencies(known: Vocabulary, texts: Sequence[str], size: int = 1000) -> np.ndarray:
    """Return in how many of the texts each word occurs, int64."""
    found = np.zeros(len(known), dtype=np.int64)
    for begin in range(0, len(texts), size):
        counts = known.sequences(texts[begin : begin + size]).counts(len(known))
        found += np.bincount(counts.indices, minlength=len(known))
    return found


def inverse_document_frequencies(frequencies: np.ndarray, n_documents: int) -> np.ndarray:
    """Return ``ln((1 + n) / (1 + df)) + 1``, float32: scikit-learn's smoothed idf."""
    return (np.log((1 + n_documents) / (1 + frequencies)) + 1).astype(np.float32)


def tfidf(counts: sp.csr_array, idf: np.ndarray) -> sp.csr_array:
    """Return ``(1 + ln count) * idf`` for each word of each text, not yet of length 1."""
    data = (1 + np.log(counts.data)) * idf[counts.indices]
    return sp.csr_array(
        (data.astype(np.float32), counts.indices, counts.indptr), shape=counts.shape
    )
