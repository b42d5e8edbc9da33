"""How texts become words, and which of them a document mentions."""

from __future__ import annotations

import numpy as np
import pytest

from lightxml.rankers.mentions import LONGEST, make_trie
from lightxml.rankers.words import Vocabulary, split, vocabulary, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat's 2 hats, e-mail_x", ["the", "cat", "s", "2", "hats", "e", "mail", "x"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("Cafe\u0301 ＡＢＣ", ["café", "abc"]),  # an accent that stands alone; wide letters
        ("学校 school", ["学", "校", "school"]),
        ("カード2枚", ["カ", "ー", "ド", "2", "枚"]),
        ("한국어 문서", ["한국어", "문서"]),  # Korean has blanks
        ("हिन्दी में", ["हिन्दी", "में"]),  # vowel signs belong to their word
        ("Тест данных", ["тест", "данных"]),
        ("...", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_thai_is_read_by_characters() -> None:
    assert words("ภาษาไทย") == list("ภาษาไทย")


def test_a_plural_and_a_related_word_have_the_same_stem() -> None:
    assert split("engines engine engineering") == ["engine", "engine", "enginee"]
    assert split("Plasmaphysik plasmaphysics") == ["plasmap", "plasmap"]
    assert split("201900123456 glass") == ["201900123456", "glass"]  # numbers, ss


def test_a_vocabulary_is_kept_as_bytes() -> None:
    known = vocabulary(["Zürich 学校", "a b"])
    assert Vocabulary.decode(known.encode()).words == known.words
    assert Vocabulary.decode(vocabulary([]).encode()).words == []


@pytest.mark.parametrize(
    "encoded",
    [
        np.frombuffer(b"b\na", np.uint8),  # not in order
        np.frombuffer(b"a\na", np.uint8),  # twice
        np.frombuffer(b"\na", np.uint8),  # a word without a letter
        np.frombuffer(b"\xff", np.uint8),  # no UTF-8
        np.zeros(3, np.float32),
        np.zeros((2, 2), np.uint8),
    ],
)
def test_a_damaged_vocabulary_is_refused(encoded: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"words|decode"):
        Vocabulary.decode(encoded)


def test_mentions_are_found_word_for_word() -> None:
    texts = ["sri lanka", "lanka", "social life", "sri lanka", "", "x " * (LONGEST + 1)]
    known = vocabulary(texts)
    trie = make_trie(known.sequences(texts), len(known))
    documents = ["In Sri Lanka: social, life", "lanka sri", "", "sri", "the social life"]
    row, group = trie.find(known.sequences(documents))
    found = [
        [i for i, of_text in enumerate(trie.groups) if of_text in group[row == document]]
        for document in range(len(documents))
    ]
    # Punctuation does not count; the same words are the same text; one document does not go on
    # in the next.
    assert found == [[0, 1, 2, 3], [1], [], [], [2]]
    assert trie.groups[4] == trie.groups[5] == -1
