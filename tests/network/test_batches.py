"""Token numbers, padding, and batches by length."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from lightxml.data.documents import EncodedDocuments, TokenStore, tokenize
from lightxml.network.batches import collate, prediction_batches, training_batches
from lightxml.network.vocabulary import learn_vocabulary

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    made = learn_vocabulary(["the cat sat on the mat", "a dog ran to the house"] * 5, 200)
    made.enable_truncation(8)
    return made


def document(store: TokenStore, i: int) -> list[int]:
    return store.ids[store.starts[i] : store.starts[i + 1]].tolist()


def test_documents_are_cut_once_and_keep_their_final_special_token(tokenizer: Tokenizer) -> None:
    store = tokenize(["the cat", "the cat sat on the mat " * 10, ""], tokenizer)
    assert store.lengths.tolist() == [4, 8, 2]
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    for i in range(3):
        assert document(store, i)[0] == cls
        assert document(store, i)[-1] == sep
        assert sep not in document(store, i)[:-1]


@pytest.mark.parametrize(
    "long",
    [
        "the cat sat on the mat " * 5_000,
        "the " + " " * 50_000 + "cat sat on the mat the dog",  # the beginning alone is too short
        "x" * 1_000_000,
        "the\ncat\n" * 50_000,  # no blank to cut at
    ],
    ids=["words", "mostly blanks", "one word", "no blanks"],
)
def test_reading_only_the_beginning_of_a_long_document_changes_nothing(
    tokenizer: Tokenizer, long: str
) -> None:
    assert document(tokenize(["a", long], tokenizer), 1) == tokenizer.encode(long).ids


def test_a_batch_is_padded_to_its_longest_document() -> None:
    store = TokenStore(np.array([2, 7, 3, 2, 8, 9, 3], dtype=np.int32), np.array([0, 3, 7]))
    batch = collate(EncodedDocuments(store), np.array([1, 0]), 5, CPU).tokens
    assert batch is not None
    assert batch.input_ids.tolist() == [[2, 8, 9, 3], [2, 7, 3, 5]]
    assert batch.lengths.tolist() == [4, 3]
    assert batch.attention_mask is not None
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]


def test_a_batch_without_padding_has_no_mask() -> None:
    store = TokenStore(np.array([2, 3, 2, 3], dtype=np.int32), np.array([0, 2, 4]))
    batch = collate(EncodedDocuments(store), np.array([0, 1]), 0, CPU).tokens
    assert batch is not None
    assert batch.attention_mask is None


@given(st.lists(st.integers(1, 30), min_size=1, max_size=200), st.integers(1, 9))
def test_an_epoch_holds_each_document_once_in_full_batches(
    lengths: list[int], batch_size: int
) -> None:
    batches = training_batches(np.array(lengths), batch_size, np.random.default_rng(0))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    sizes = sorted(len(batch) for batch in batches)
    assert all(size == batch_size for size in sizes[1:])


def test_batches_hold_documents_of_like_length_in_an_order_of_their_own() -> None:
    lengths = np.random.default_rng(0).integers(1, 500, size=2_000)
    first, second = (
        training_batches(lengths, 10, np.random.default_rng([1, epoch])) for epoch in (0, 1)
    )
    spread = np.mean([np.ptp(lengths[batch]) for batch in first])
    assert spread < 50  # batches drawn blindly: about 400
    assert not np.array_equal(np.concatenate(first), np.concatenate(second))
    means = [lengths[batch].mean() for batch in first]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3  # not from short to long


@given(st.lists(st.integers(1, 60), min_size=1, max_size=100))
def test_prediction_batches_stay_within_their_bounds(lengths: list[int]) -> None:
    found = list(prediction_batches(np.array(lengths), max_tokens=100, max_documents=7))
    assert sorted(np.concatenate(found).tolist()) == list(range(len(lengths)))
    for rows in found:
        assert len(rows) <= 7
        assert len(rows) == 1 or len(rows) * max(lengths[i] for i in rows) <= 100
