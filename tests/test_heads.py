"""The loss and the ranking of logits, against plain formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lightxml.heads import OneVsAllHead, top_k
from lightxml.losses import binary_cross_entropy


def test_the_loss_is_binary_cross_entropy_summed_over_labels_and_documents() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 50, generator=generator, requires_grad=True)
    truth = (torch.rand(7, 50, generator=generator) < 0.1).float()
    truth[3] = 0  # a document without a label

    loss = binary_cross_entropy(logits, *truth.nonzero(as_tuple=True))
    loss.backward()

    expected = F.binary_cross_entropy_with_logits(logits.detach(), truth, reduction="sum")
    torch.testing.assert_close(loss.detach(), expected)
    torch.testing.assert_close(logits.grad, torch.sigmoid(logits.detach()) - truth)


def test_the_loss_stays_finite_for_extreme_logits() -> None:
    logits = torch.tensor([[1e4, -1e4]], requires_grad=True)
    loss = binary_cross_entropy(logits, torch.tensor([0]), torch.tensor([1]))
    loss.backward()
    assert loss.item() == pytest.approx(2e4)
    assert logits.grad.tolist() == [[1.0, -1.0]]


@given(
    st.lists(
        st.lists(st.sampled_from([-2.0, -0.5, 0.0, 0.5, 3.0]), min_size=6, max_size=6),
        min_size=1,
        max_size=5,
    ),
    st.integers(1, 6),
)
def test_ties_are_ranked_by_column_number(rows: list[list[float]], k: int) -> None:
    values, columns = top_k(torch.tensor(rows), k)
    expected = [sorted(range(6), key=lambda j: (-row[j], j))[:k] for row in rows]
    assert columns.tolist() == expected
    assert values.tolist() == np.take_along_axis(np.array(rows), columns.numpy(), axis=1).tolist()


def test_a_longer_ranking_begins_with_the_shorter_one() -> None:
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 100)).round(1))
    assert torch.equal(top_k(logits, 10)[1][:, :3], top_k(logits, 3)[1])


def test_a_new_head_gives_every_label_a_small_probability() -> None:
    head = OneVsAllHead(8, 100)
    scores = torch.sigmoid(head(torch.zeros(1, 8)))
    assert scores.max() < 0.01
