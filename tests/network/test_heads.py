"""The loss and the ranking of logits, against plain formulas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lightxml.network.heads.base import start_at_centroids, top_k
from lightxml.network.heads.one_vs_all import one_vs_all_loss


@pytest.mark.parametrize("weights", [None, [0.5, 1, 3, 2, 0.1, 1, 7]], ids=["alike", "weighted"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_loss_is_binary_cross_entropy_summed_over_labels_and_documents(
    dtype: torch.dtype, weights: list[float] | None
) -> None:
    generator = torch.Generator().manual_seed(0)
    representation = torch.randn(7, 20, generator=generator)
    weight, bias = torch.randn(50, 20, generator=generator), torch.randn(50, generator=generator)
    truth = (torch.rand(7, 50, generator=generator) < 0.1).float()
    truth[3] = 0  # a document without a label

    def gradients(loss: Callable[..., torch.Tensor]) -> list[torch.Tensor]:
        leaves = [t.clone().requires_grad_() for t in (representation, weight, bias)]
        value = loss(*leaves)
        (value / 7).backward()
        return [value.detach(), *(leaf.grad for leaf in leaves)]

    of_documents = None if weights is None else torch.tensor(weights)
    factors = torch.tensor(weights or [1] * 7)[:, None]
    positive = truth.nonzero(as_tuple=True)
    found = gradients(lambda *p: one_vs_all_loss(*p, *positive, dtype, of_documents))
    plain = F.binary_cross_entropy_with_logits
    expected = gradients(lambda h, w, b: plain(h @ w.T + b, truth, factors, reduction="sum"))
    exact = dtype == torch.float32
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32
        close = {"atol": 1e-5, "rtol": 1e-4} if exact else {"atol": 0.2, "rtol": 0.03}
        torch.testing.assert_close(ours, theirs, **close)


def test_the_loss_stays_finite_for_extreme_logits() -> None:
    weight = torch.tensor([[1e4], [-1e4]], requires_grad=True)
    positive = (torch.tensor([0]), torch.tensor([1]))
    loss = one_vs_all_loss(torch.ones(1, 1), weight, torch.zeros(2), *positive)
    loss.backward()
    assert loss.item() == pytest.approx(2e4)
    assert weight.grad.tolist() == [[1.0], [-1.0]]


def test_a_label_begins_in_the_direction_of_its_documents() -> None:
    representations = torch.tensor([[1.0, 0.0], [3.0, 0.0], [2.0, 3.0], [2.0, -3.0]])
    y = sp.csr_array(np.array([[1, 0, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]]))
    parts = [np.array([2, 0]), np.array([1, 3])]
    weight = torch.ones(4, 2)
    start_at_centroids(weight, [(rows, representations[rows]) for rows in parts], y)
    expected = F.normalize(torch.tensor([[-1.0, 3.0], [0.0, 0.0], [0.0, 0.0], [1.0, 0.0]]), dim=1)
    torch.testing.assert_close(weight, expected)


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
