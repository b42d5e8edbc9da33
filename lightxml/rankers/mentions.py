"""Which short texts occur in a document, word for word."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightxml.rankers.words import UNKNOWN, Sequences

LONGEST = 12  # words: what is longer describes, and is hardly ever cited in full


@dataclass(frozen=True)
class Trie:
    """The word sequences of texts as a tree; `keys[n]` are its edges from depth n to n + 1.

    Attributes
    ----------
    n_words : int
        Of the vocabulary.
    keys : tuple of ndarray of int64
        ``node * n_words + word`` of each edge, sorted. The edge's place is the number of the node
        that it leads to.
    ends : tuple of ndarray of int64
        For each node at depth n + 1 the group of texts that end there, or -1.
    groups : ndarray of int64, shape (n_texts,)
        The group of each text: those with the same words. -1: no words, too many, or an unknown
        one.
    """

    n_words: int
    keys: tuple[np.ndarray, ...]
    ends: tuple[np.ndarray, ...]
    groups: np.ndarray

    def find(self, documents: Sequences) -> tuple[np.ndarray, np.ndarray]:
        """Return each document and each group of texts that it mentions, as pairs in order."""
        row = np.repeat(np.arange(len(documents.starts) - 1), np.diff(documents.starts))
        last = np.repeat(documents.starts[1:], np.diff(documents.starts))
        place, node = np.arange(len(documents.words)), np.zeros(len(documents.words), np.int64)
        rows, groups = [], []
        for depth, keys in enumerate(self.keys):
            inside = place + depth < last
            place, node, row, last = place[inside], node[inside], row[inside], last[inside]
            word = documents.words[place + depth]
            key = node * self.n_words + word
            at = np.searchsorted(keys, key)
            at[at == len(keys)] = 0
            found = (keys[at] == key) & (word != UNKNOWN) if len(keys) else np.zeros(0, bool)
            place, node, row, last = place[found], at[found], row[found], last[found]
            end = self.ends[depth][node]
            rows.append(row[end >= 0])
            groups.append(end[end >= 0])
        n_groups = int(self.groups.max(initial=-1)) + 1
        pairs = np.unique(
            np.concatenate([[], *rows]).astype(np.int64) * n_groups
            + (np.concatenate([[], *groups]).astype(np.int64))
        )
        return pairs // max(n_groups, 1), pairs % max(n_groups, 1)


def make_trie(texts: Sequences, n_words: int) -> Trie:
    """Return the tree of the texts that have at most `LONGEST` words, all of them known."""
    lengths = np.diff(texts.starts)
    unknown = np.concatenate([[0], np.cumsum(texts.words == UNKNOWN)])
    has_unknown = unknown[texts.starts[1:]] > unknown[texts.starts[:-1]]
    text = np.flatnonzero((lengths > 0) & (lengths <= LONGEST) & ~has_unknown)
    groups = np.full(len(lengths), -1, dtype=np.int64)
    node = np.zeros(len(text), dtype=np.int64)
    keys, ends, n_groups = [], [], 0
    for depth in range(int(lengths[text].max(initial=0))):
        key = node * n_words + texts.words[texts.starts[text] + depth]
        edges, node = np.unique(key, return_inverse=True)
        ending = lengths[text] == depth + 1
        nodes, group = np.unique(node[ending], return_inverse=True)
        end = np.full(len(edges), -1, dtype=np.int64)
        end[nodes] = n_groups + np.arange(len(nodes))
        groups[text[ending]] = n_groups + group
        n_groups += len(nodes)
        keys.append(edges)
        ends.append(end)
        text, node = text[~ending], node[~ending]
    return Trie(n_words, tuple(keys), tuple(ends), groups)
