"""What the words of a label say about a document: the one ranker that needs no training document.

A label has texts: its name, synonyms, a description. For each of them (Salton and Buckley, 1988,
for the weights)::

    cosine    of the TF-IDF rows of document and text
    coverage  sum of idf of the text's words that the document holds / sum of idf of its words
    matched   sum of idf of the text's words that the document holds
    mention   sum of idf of the text's words, where they stand in the document one after the
              other; else 0

and the best of its texts counts for the label, column by column. Coverage says what a cosine
blurs, since names are short; `matched` and `mention` tell the one frequent word ("History"), which
is covered everywhere, from a name that says more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from sparse_dot_topn import sp_matmul_topn

from lightxml.rankers.base import Documents
from lightxml.rankers.mentions import Trie, make_trie
from lightxml.rankers.sparse import (
    best_of_owners,
    blocks,
    destinations,
    grouped,
    largest,
    narrow,
    normalized,
    ones_of,
    ranges,
    row_sums,
)
from lightxml.rankers.stored import checked, count, numbers_below
from lightxml.rankers.words import (
    Sequences,
    Vocabulary,
    document_frequencies,
    inverse_document_frequencies,
    tfidf,
    vocabulary,
)

MAX_WORDS = 200  # heaviest words of a text that are compared
_NUMBERS_AT_ONCE = 2**22


@dataclass(frozen=True)
class Words:
    """The texts of labels as words, and how many training documents hold each word.

    Attributes
    ----------
    vocabulary : Vocabulary
        The words of the labels' texts.
    texts : Sequences
        All words of each text; none unknown.
    frequencies : ndarray of int64, shape (n_words,)
        In how many of the `n_documents` training documents each word occurs.
    n_documents : int
    """

    vocabulary: Vocabulary
    texts: Sequences
    frequencies: np.ndarray
    n_documents: int

    @cached_property
    def idf(self) -> np.ndarray:
        """float32, shape (n_words,)."""
        return inverse_document_frequencies(self.frequencies, self.n_documents)

    @cached_property
    def trie(self) -> Trie:
        """The texts that are looked for word for word."""
        return make_trie(self.texts, len(self.vocabulary))


@dataclass(frozen=True)
class LabelTexts:
    """The ranker "label_texts".

    Attributes
    ----------
    n_labels : int
    owners : ndarray of int32, shape (n_texts,)
        The label of each text, in rising order. Labels may have no text, or several.
    weights : csr_array of float32, shape (n_texts, n_words or n_features)
        What the cosine is of: TF-IDF, or rows like those of a numeric X. No row is empty.
    words : Words or None
        None where X is numeric; then nothing is matched word for word, and the weights take the
        place of the idf.
    """

    n_labels: int
    owners: np.ndarray
    weights: sp.csr_array
    words: Words | None

    name: ClassVar[str] = "label_texts"

    @property
    def columns(self) -> tuple[str, ...]:
        """What `score` says."""
        alike = ("cosine", "coverage", "matched")
        return alike if self.words is None else (*alike, "mention")

    def propose(self, documents: Documents, k: int) -> sp.csr_array:
        """Return labels whose texts are like each document, at most `k`.

        Half of them by cosine, half by the idf of the words in common divided by the square root
        of the text's, which puts a name that is there in full above others, and a long one above
        a short one.

        Returns
        -------
        csr_array of float32, shape (n_documents, n_labels)
            The larger of the two.
        """
        n_texts = k if self._most_texts == 1 else 3 * k
        parts = []
        for begin, end in blocks(len(documents), self._block):
            rows, held, _ = self._read(documents.part(begin, end))
            alike = self._best(rows, self._by_word[0], n_texts, k - k // 2)
            covered = self._best(held, self._by_word[1], n_texts, k // 2)
            parts.append(alike.maximum(covered))
        found = sp.csr_array(sp.vstack(parts, format="csr")) if parts else None
        if found is None:
            return sp.csr_array((0, self.n_labels), dtype=np.float32)
        found.sort_indices()
        return narrow(found)

    def score(self, documents: Documents, candidates: sp.csr_array) -> np.ndarray:
        """Return `columns` of each candidate, 0 for labels without a text.

        Returns
        -------
        ndarray of float32, shape (candidates.nnz, len(columns))
        """
        scores = np.zeros((candidates.nnz, len(self.columns)), dtype=np.float32)
        for begin, end in blocks(len(documents), self._block):
            rows, held, mentions = self._read(documents.part(begin, end))
            dense, is_held = rows.toarray(), held.toarray() > 0
            first, last = candidates.indptr[begin], candidates.indptr[end]
            row = np.repeat(np.arange(end - begin), np.diff(candidates.indptr[begin : end + 1]))
            self._score(
                row, candidates.indices[first:last], dense, is_held, mentions, scores[first:last]
            )
        return scores

    def relabeled(self, source: np.ndarray) -> LabelTexts:
        """Return the texts of other labels, as `Ranker.relabeled` does; new ones have none."""
        owners = destinations(source, self.n_labels)[self.owners]
        kept = np.flatnonzero(owners >= 0)
        words = self.words
        if words is not None and len(kept) < len(owners):
            words = replace(words, texts=words.texts.only(kept))
        return LabelTexts(
            len(source), owners[kept].astype(np.int32), narrow(self.weights[kept]), words
        )

    def describe(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return settings and arrays that `made_of` makes the same ranker of."""
        if self.words is None:
            settings = {"n_labels": self.n_labels, "n_features": int(self.weights.shape[1])}
            return settings, {
                "owners": self.owners,
                "values": self.weights.data,
                "columns": self.weights.indices.astype(np.int32),
                "starts": self.weights.indptr.astype(np.int64),
            }
        settings = {"n_labels": self.n_labels, "n_documents": self.words.n_documents}
        return settings, {
            "owners": self.owners,
            "vocabulary": self.words.vocabulary.encode(),
            "frequencies": self.words.frequencies,
            "texts": self.words.texts.words,
            "starts": self.words.texts.starts,
        }

    @classmethod
    def made_of(cls, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> LabelTexts:
        """Return the ranker that `describe` described.

        Raises
        ------
        ValueError
            If the arrays are not what such a ranker has: nothing of a file is believed.
        """
        n_labels = count(settings, "n_labels")
        owners = numbers_below(arrays, "owners", np.int32, below=n_labels)
        if (np.diff(owners) < 0).any():
            raise ValueError("its texts are not in the order of their labels")
        starts = checked(arrays, "starts", np.int64)
        if "values" in arrays:
            n_features = count(settings, "n_features")
            columns = numbers_below(arrays, "columns", np.int32, below=n_features)
            _check_starts(starts, len(owners), len(columns))
            values = checked(arrays, "values", np.float32, len(columns))
            weights = sp.csr_array((values, columns, starts), shape=(len(owners), n_features))
            if not weights.has_canonical_format:
                raise ValueError("its columns are not in order, or one comes twice")
            lengths = row_sums(values.astype(np.float64) ** 2, starts)
            if (values == 0).any() or not np.allclose(lengths, 1, atol=1e-3):
                raise ValueError("its rows are not of length 1")
            return cls(n_labels, owners, narrow(weights), None)
        known = Vocabulary.decode(checked(arrays, "vocabulary", np.uint8))
        texts = numbers_below(arrays, "texts", np.int32, below=len(known))
        _check_starts(starts, len(owners), len(texts))
        n_documents = count(settings, "n_documents")
        frequencies = numbers_below(arrays, "frequencies", np.int64, below=n_documents + 1)
        if len(frequencies) != len(known):
            raise ValueError("its frequencies are not as many as its words")
        words = Words(known, Sequences(texts, starts), frequencies, n_documents)
        return _weighted(n_labels, owners, words)

    @cached_property
    def _starts(self) -> np.ndarray:
        """Where each label's texts begin, shape (n_labels + 1,)."""
        return np.searchsorted(self.owners, np.arange(self.n_labels + 1)).astype(np.int64)

    @cached_property
    def _most_texts(self) -> int:
        return int(np.diff(self._starts).max(initial=1))

    @cached_property
    def _block(self) -> int:
        """Documents at once: their rows are laid out in full."""
        return int(np.clip(_NUMBERS_AT_ONCE // max(self.weights.shape[1], 1), 1, 256))

    @cached_property
    def _idf(self) -> np.ndarray:
        """What each entry of `weights` counts where it is covered, float32."""
        if self.words is None:
            return np.abs(self.weights.data)
        return self.words.idf[self.weights.indices]

    @cached_property
    def _mass(self) -> np.ndarray:
        """The sum of each text's idf, float32, shape (n_texts,)."""
        return row_sums(self._idf, self.weights.indptr)

    @cached_property
    def _by_word(self) -> tuple[sp.csr_matrix, sp.csr_matrix]:
        """What a document's row is multiplied with, shape (n_words, n_texts) both."""
        each = self._idf / np.repeat(np.sqrt(self._mass), np.diff(self.weights.indptr))
        covered = (each, self.weights.indices, self.weights.indptr)
        shape = self.weights.shape
        return (
            sp.csr_matrix(self.weights.T.tocsr()),
            sp.csr_matrix(sp.csr_array(covered, shape=shape).T.tocsr()),
        )

    def _read(
        self, documents: Documents
    ) -> tuple[sp.csr_array, sp.csr_array, tuple[np.ndarray, np.ndarray]]:
        """Return the documents' rows, the words they hold as ones, and what they mention."""
        mentions = (np.empty(0, np.int64), np.empty(0, np.int64))
        if self.words is None:
            rows = documents.rows
        else:
            assert documents.texts is not None  # as in `fit_label_texts`
            sequences = self.words.vocabulary.sequences(documents.texts)
            counts = sequences.counts(len(self.words.vocabulary))
            rows = narrow(normalized(tfidf(counts, self.words.idf)))
            mentions = self.words.trie.find(sequences)
        return rows, ones_of(rows), mentions

    def _best(
        self, rows: sp.csr_array, by_word: sp.csr_matrix, n_texts: int, k: int
    ) -> sp.csr_array:
        found = sp_matmul_topn(sp.csr_matrix(rows), by_word, top_n=n_texts, threshold=0.0)
        if self._most_texts == 1:
            labels = self.owners[found.indices]
            best = sp.csr_array(
                (found.data, labels, found.indptr), shape=(rows.shape[0], self.n_labels)
            )
        else:
            best = best_of_owners(found, self.owners, self.n_labels)
        return largest(best, k)

    def _score(
        self,
        row: np.ndarray,
        label: np.ndarray,
        dense: np.ndarray,
        is_held: np.ndarray,
        mentions: tuple[np.ndarray, np.ndarray],
        scores: np.ndarray,
    ) -> None:
        """Fill in the scores of the pairs of these rows and labels."""
        has_text = np.flatnonzero(self._starts[label] < self._starts[label + 1])
        row, label = row[has_text], label[has_text]
        pointers = self.weights.indptr
        n_entries = pointers[self._starts[label + 1]] - pointers[self._starts[label]]
        for begin, end in grouped(n_entries, _NUMBERS_AT_ONCE):
            pairs = slice(begin, end)
            scores[has_text[pairs]] = self._of_pairs(
                row[pairs], label[pairs], dense, is_held, mentions
            )

    def _of_pairs(
        self,
        row: np.ndarray,
        label: np.ndarray,
        dense: np.ndarray,
        is_held: np.ndarray,
        mentions: tuple[np.ndarray, np.ndarray],
    ) -> np.ndarray:
        pointers = self.weights.indptr
        text, first_text = ranges(self._starts[label], self._starts[label + 1])
        row_of_text = np.repeat(row, np.diff(np.append(first_text, len(text))))
        entry, first_entry = ranges(pointers[text], pointers[text + 1])
        row_of_entry = np.repeat(row_of_text, np.diff(np.append(first_entry, len(entry))))
        word = self.weights.indices[entry]
        cosine = np.add.reduceat(dense[row_of_entry, word] * self.weights.data[entry], first_entry)
        matched = np.add.reduceat(is_held[row_of_entry, word] * self._idf[entry], first_entry)
        found = [cosine, matched / self._mass[text], matched]
        if self.words is not None:
            trie = self.words.trie
            group = trie.groups[text]
            width = max(int(trie.groups.max(initial=0)) + 1, 1)
            said = np.isin(row_of_text * width + group, mentions[0] * width + mentions[1])
            found.append(np.where(said & (group >= 0), self._mass[text], 0))
        return np.stack([np.maximum.reduceat(each, first_text) for each in found], axis=1)


def fit_label_texts(texts: Sequence[Sequence[str]], documents: Documents) -> LabelTexts:
    """Return the ranker of these labels.

    Parameters
    ----------
    texts : sequence of sequences of str, length n_labels
        The texts of each label; none, or texts without a word, where there are none.
    documents : Documents
        For training; with texts. They say which words are frequent, and nothing of labels.
    """
    if documents.texts is None:
        raise ValueError("label_texts are texts, but X is numeric; expected a matrix.")
    known, owners, sequences = _sequences(texts)
    frequencies = document_frequencies(known, documents.texts)
    words = Words(known, sequences, frequencies, len(documents))
    return _weighted(len(texts), owners, words)


def renewed(
    earlier: LabelTexts,
    texts: Sequence[Sequence[str]],
    documents: Documents,
    seen: Callable[[Sequence[str]], np.ndarray],
) -> LabelTexts:
    """Return the ranker of texts of which some are new, with more documents.

    Parameters
    ----------
    earlier : LabelTexts
        With words.
    texts : sequence of sequences of str, length n_labels
        Of all labels.
    documents : Documents
        The new ones, with texts.
    seen : callable
        Given words (`words.split`) that no earlier text has, in how many earlier documents each
        stands, int64.
    """
    assert earlier.words is not None
    assert documents.texts is not None
    known, owners, sequences = _sequences(texts)
    before = dict(
        zip(earlier.words.vocabulary.words, earlier.words.frequencies.tolist(), strict=True)
    )
    new = [word for word in known.words if word not in before]
    before.update(zip(new, seen(new).tolist(), strict=True))
    frequencies = np.array([before[word] for word in known.words], dtype=np.int64)
    frequencies += document_frequencies(known, documents.texts)
    n_documents = earlier.words.n_documents + len(documents)
    return _weighted(len(texts), owners, Words(known, sequences, frequencies, n_documents))


def _sequences(texts: Sequence[Sequence[str]]) -> tuple[Vocabulary, np.ndarray, Sequences]:
    """Return the words of labels' texts, the label of each text with a word, and these texts."""
    owners = np.repeat(np.arange(len(texts), dtype=np.int32), [len(each) for each in texts])
    flat = [text for each in texts for text in each]
    known = vocabulary(flat)
    sequences = known.sequences(flat)
    filled = np.flatnonzero(np.diff(sequences.starts))
    starts = np.append(sequences.starts[filled], len(sequences.words))
    return known, owners[filled], Sequences(sequences.words, starts)


def fit_label_rows(matrix: sp.csr_array) -> LabelTexts:
    """Return the ranker of labels that are described by rows like those of a numeric X.

    Parameters
    ----------
    matrix : csr_array of float32, shape (n_labels, n_features)
        An empty row is a label without a description.
    """
    rows = normalized(matrix)
    rows.eliminate_zeros()
    filled = np.flatnonzero(np.diff(rows.indptr))
    return LabelTexts(
        int(matrix.shape[0]), filled.astype(np.int32), narrow(rows[filled]), words=None
    )


def _weighted(n_labels: int, owners: np.ndarray, words: Words) -> LabelTexts:
    counts = words.texts.counts(len(words.vocabulary))
    weights = normalized(largest(tfidf(counts, words.idf), MAX_WORDS))
    return LabelTexts(n_labels, owners, narrow(weights), words)


def _check_starts(starts: np.ndarray, n_texts: int, n_entries: int) -> None:
    begins = len(starts) == n_texts + 1 and starts[0] == 0 and starts[-1] == n_entries
    if not begins or (np.diff(starts) < 1).any():
        raise ValueError("its texts do not begin where they should")
