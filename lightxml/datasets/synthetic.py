"""Synthetic documents with a long tail of labels."""

from __future__ import annotations

from itertools import pairwise, product
from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils import check_scalar

from lightxml.data.random import RandomState, own_generator
from lightxml.datasets.parts import indicator

WORDS_PER_LABEL = 5
SYLLABLES = [c + v for c, v in product("bdfgklmnprstvz", "aeiou")]


def make_xmc(
    n_documents: int = 1000,
    n_labels: int = 100,
    *,
    n_labels_per_document: float = 5,
    n_words_per_document: float = 50,
    n_words: int = 5000,
    random_state: RandomState = None,
) -> tuple[list[str], csr_array]:
    """Make documents whose words tell their labels, with few frequent and many rare labels.

    The r-th most frequent label is drawn with a probability proportional to 1 / r (Zipf's
    law); which column it is, is random. Every label has five words of its own among the
    `n_words`, which it may share with others. Half of a document's words are words of its
    labels, the other half are drawn from all words, again by Zipf's law.

    Parameters
    ----------
    n_documents : int, default=1000
        Number of documents.
    n_labels : int, default=100
        Number of columns of `y`. Where they are many, rare ones may not occur.
    n_labels_per_document : float, default=5
        Mean number of labels of a document, each of which has at least one: one more than a
        Poisson variate. The mean comes out lower where it is close to `n_labels`.
    n_words_per_document : float, default=50
        Mean number of words of a document, each of which has at least one: a Poisson variate.
    n_words : int, default=5000
        Number of different words.
    random_state : int, RandomState, Generator or None, default=None
        Seed, for the same result every time. An instance is not advanced: passing it again
        gives the same documents again.

    Returns
    -------
    X : list of str, of length n_documents
        The documents: words of lower-case letters, separated by spaces.
    y : csr_array of int64, shape (n_documents, n_labels)
        Indicator matrix with sorted indices.

    Raises
    ------
    TypeError, ValueError
        A number is of the wrong type or below 1, or `n_labels_per_document` is above
        `n_labels`.

    Examples
    --------
    >>> from lightxml.datasets import make_xmc
    >>> X, y = make_xmc(n_documents=20, n_labels=10, random_state=0)
    >>> len(X), y.shape
    (20, (20, 10))
    """
    check_scalar(n_documents, "n_documents", Integral, min_val=1)
    check_scalar(n_labels, "n_labels", Integral, min_val=1)
    check_scalar(n_labels_per_document, "n_labels_per_document", Real, min_val=1, max_val=n_labels)
    check_scalar(n_words_per_document, "n_words_per_document", Real, min_val=1)
    check_scalar(n_words, "n_words", Integral, min_val=1)
    rng = own_generator(random_state)

    y = _draw_labels(n_documents, n_labels, n_labels_per_document, rng)
    lengths = np.maximum(rng.poisson(n_words_per_document, n_documents), 1)
    document = np.repeat(np.arange(n_documents, dtype=np.int32), lengths)  # of each word
    position = rng.random(len(document)) * np.diff(y.indptr)[document]
    label = y.indices[y.indptr[document] + position.astype(np.int32)]  # of each word
    label_words = rng.integers(n_words, size=(n_labels, WORDS_PER_LABEL), dtype=np.int32)
    word = label_words[label, rng.integers(WORDS_PER_LABEL, size=len(label), dtype=np.int8)]
    common = rng.random(len(word)) < 0.5
    word[common] = _draw_zipf(int(common.sum()), n_words, rng)

    vocabulary = _make_words(n_words, rng)
    ends = np.concatenate([[0], np.cumsum(lengths)]).tolist()
    return [" ".join(vocabulary[word[a:b]].tolist()) for a, b in pairwise(ends)], y


def _draw_zipf(size: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `size` numbers r from 0 to n - 1, each with probability proportional to 1 / (r + 1)."""
    cumulated = np.cumsum(1 / np.arange(1, n + 1))
    return np.searchsorted(cumulated, rng.random(size) * cumulated[-1], side="right")


def _draw_labels(
    n_documents: int, n_labels: int, n_labels_per_document: float, rng: np.random.Generator
) -> csr_array:
    counts = 1 + rng.poisson(n_labels_per_document - 1, n_documents)
    counts = np.minimum(counts, n_labels)
    column = rng.permutation(n_labels)
    entries = np.empty(0, dtype=np.int64)  # sorted, document * n_labels + label
    missing = counts
    # Labels drawn twice are drawn again; a document that wants almost all labels would take
    # many rounds and goes without the last ones.
    for _ in range(10):
        rows = np.repeat(np.arange(n_documents, dtype=np.int64), missing)
        drawn = column[_draw_zipf(len(rows), n_labels, rng)]
        entries = np.union1d(entries, rows * n_labels + drawn)
        missing = counts - np.bincount(entries // n_labels, minlength=n_documents)
        if not missing.any():
            break
    indptr = np.concatenate([[0], np.cumsum(counts - missing)])
    return indicator(entries % n_labels, indptr, n_labels)


def _make_words(n_words: int, rng: np.random.Generator) -> np.ndarray:
    """Make different words of two or more syllables, as an array of objects."""
    n_syllables = 2
    while len(SYLLABLES) ** n_syllables < n_words:
        n_syllables += 1
    codes = rng.choice(len(SYLLABLES) ** n_syllables, n_words, replace=False)
    digits = np.stack(np.unravel_index(codes, (len(SYLLABLES),) * n_syllables), axis=1)
    return np.array(["".join(SYLLABLES[d] for d in row) for row in digits.tolist()], dtype=object)
