"""One-vs-all in chunks, against one layer over all labels and plain formulas."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier
from lightxml.network.batches import Targets, make_targets
from lightxml.network.heads.base import above, top_k
from lightxml.network.heads.chunked import TRAINING_DTYPE, ChunkedHead
from lightxml.network.heads.chunks import _BLOCK, ChunkedRMSprop, round_at_random

N_LABELS, WIDTH, LABEL_DIM = 23, 6, 4
RNG = np.random.default_rng(0)
Y = sp.csr_array((RNG.random((9, N_LABELS)) < 0.15).astype(np.int8))
WEIGHTS = np.array([0.5, 1, 3, 0.1, 2, 1, 1, 7, 0.2])


@pytest.fixture(params=[1, 5, 23, 100], ids="chunks of {}".format)
def head(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ChunkedHead:
    """A head that works through so many labels at a time."""
    monkeypatch.setitem(_BLOCK, "cpu", request.param * LABEL_DIM)
    monkeypatch.setattr("lightxml.network.heads.chunked._LABELS_RANKED", request.param)
    torch.manual_seed(0)
    made = ChunkedHead(WIDTH, N_LABELS, LABEL_DIM)
    torch.nn.init.normal_(made.weight)
    torch.nn.init.normal_(made.bias)
    return made


def representation(n: int = 9) -> torch.Tensor:
    return torch.randn(n, WIDTH, generator=torch.Generator().manual_seed(1))


def targets(y: sp.csr_array = Y, weights: np.ndarray | None = None) -> Targets:
    return make_targets(y, np.arange(y.shape[0]), torch.device("cpu"), weights)


def plain_gradients(
    head: ChunkedHead, weights: np.ndarray | None
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The loss by the plain formula, and the gradients of its mean over the documents."""
    factors = torch.from_numpy(np.ones(9) if weights is None else weights).float()[:, None]
    e = representation().requires_grad_()
    logits = F.linear(head.query(e), head.weight, head.bias)
    truth = torch.from_numpy(Y.toarray()).float()
    loss = F.binary_cross_entropy_with_logits(logits, truth, factors, reduction="sum")
    leaves = [e, *head.project.parameters(), head.weight, head.bias]
    return loss, list(torch.autograd.grad(loss / 9, leaves))


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
def test_loss_and_gradients_are_those_of_the_plain_formula(
    head: ChunkedHead, weights: np.ndarray | None
) -> None:
    expected_loss, expected = plain_gradients(head, weights)
    e = representation().requires_grad_()
    loss = head.loss(e, targets(Y, weights), torch.float32)
    (loss / 9).backward()
    torch.testing.assert_close(loss, expected_loss)
    found = [e.grad, *(p.grad for p in head.project.parameters())]
    for ours, plain in zip(found, expected[:3], strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-6, rtol=1e-5)
    assert head.weight.grad is None
    assert head.bias.grad is None


@pytest.mark.parametrize(
    ("parts", "weights"),
    [([9], None), ([4, 5], WEIGHTS), ([1, 3, 3, 2], None), ([1, 3, 3, 2], WEIGHTS)],
    ids=str,
)
def test_a_label_moves_by_its_own_mean_of_squares_however_the_batch_is_cut(
    head: ChunkedHead,
    parts: list[int],
    weights: np.ndarray | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "lightxml.network.heads.chunks._DECAY", 0.6
    )  # sooner than after 1,000 steps
    optimizer = ChunkedRMSprop(head.weight, head.bias, head.pending, 0.1, seed=0)
    squares = torch.zeros(N_LABELS)
    for share in (1, 1 / 2, 0.4, 0.4):
        *_, of_weight, of_bias = plain_gradients(head, weights)[1]
        new = (of_weight.square().sum(dim=1) + of_bias.square()) / (LABEL_DIM + 1)
        squares = squares + share * (new - squares)
        rates = 0.1 / squares.sqrt()
        expected = head.weight - rates[:, None] * of_weight, head.bias - rates * of_bias
        for rows in np.split(np.arange(9), np.cumsum(parts)[:-1]):
            own = None if weights is None else weights[rows]
            loss = head.loss(representation()[rows], targets(Y[rows], own), torch.float32)
            (loss / 9).backward()
        assert len(head.pending) == len(parts)
        optimizer.step()
        optimizer.zero_grad()
        assert not head.pending
        torch.testing.assert_close(head.weight, expected[0], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(head.bias, expected[1], atol=1e-6, rtol=1e-5)
    optimizer.step()  # nothing is pending
    torch.testing.assert_close(head.weight, expected[0], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("k", [1, 2, 7, N_LABELS])
def test_the_ranking_over_chunks_is_that_over_all_labels(
    head: ChunkedHead, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whole numbers: their sums are exact in any order.
    monkeypatch.setattr(head, "query", lambda e: e[:, :LABEL_DIM])
    with torch.no_grad():
        for parameter in (head.weight, head.bias):
            parameter.copy_((3 * parameter).round())
        head.weight[5:19] = head.weight[4]  # ties within chunks and across them
        head.bias[5:19] = head.bias[4]
    e = (3 * representation()).round()
    values, columns = head.rank(e, k)
    logits = head.logits(e)
    expected = top_k(logits, k)
    torch.testing.assert_close(values, expected[0])
    assert torch.equal(columns, expected[1])
    found, wanted = head.positive(e, 0.5), above(logits, 0.5)
    pairs = [set(zip(r.tolist(), c.tolist(), strict=True)) for r, c, _ in (found, wanted)]
    assert pairs[0] == pairs[1]


def test_random_rounding_is_right_on_average_and_repeats() -> None:
    values = torch.tensor([0.1, -0.1, 1.00390625, 3e-5, 0.0, 2.0]).repeat(20_000, 1)

    def rounded(seed: int) -> torch.Tensor:
        return round_at_random(values, torch.Generator().manual_seed(seed))

    found = rounded(0)
    assert found.dtype == torch.bfloat16
    step = torch.tensor([2.0**-12, 2.0**-12, 2.0**-7, 2.0**-23, 0.0, 0.0])
    assert ((found.float() - values).abs() <= 1.01 * step * 2).all()
    error = (found.double().mean(dim=0) - values[0].double()).abs()
    assert (error <= 0.05 * step.double()).all()
    assert torch.equal(found[:, 4:].float(), values[:, 4:]), "what bf16 can hold stays"
    assert torch.equal(rounded(0), found)
    assert not torch.equal(rounded(1), found)


def test_weights_of_16_bits_move_by_steps_that_rounding_would_lose() -> None:
    torch.manual_seed(0)
    head = ChunkedHead(WIDTH, N_LABELS, LABEL_DIM)
    begin = torch.full_like(head.weight, 0.1).bfloat16()
    head.weight.data = begin.clone()
    optimizer = ChunkedRMSprop(head.weight, head.bias, head.pending, 1e-4, seed=0)
    e = representation()
    before = F.linear(head.query(e), head.weight.float(), head.bias)
    losses = []
    for _ in range(300):
        loss = head.loss(e, targets(), torch.float32)
        losses.append(loss.item())
        (loss / 9).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert head.weight.dtype == torch.bfloat16
    assert (begin - 1e-4 == begin).all(), "rounded to the nearest, no step would move a weight"
    assert (head.weight != begin).float().mean() > 0.5
    truth = torch.from_numpy(Y.toarray()).float()
    plain = F.binary_cross_entropy_with_logits(before, truth, reduction="sum").item()
    assert losses[0] == pytest.approx(plain, rel=0.01)
    assert losses[-1] < losses[0]


def test_a_fit_in_16_bits_averages_in_32_and_ends_in_32(
    documents: tuple[list[str], sp.csr_array], monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = documents
    params = {"features": TfidfVectorizer(), "feature_dim": 16, "label_dim": 8, "max_epochs": 6}
    params["rankers"] = ("network",)
    model = LightXMLClassifier(None, **params, swa_every=1, random_state=0, device="cpu")
    plain = model.fit(X, y).decision_function(X)
    monkeypatch.setitem(TRAINING_DTYPE, "cpu", torch.bfloat16)
    with_validation = {"X_val": X, "y_val": y}
    rounded = model.fit(X, y, **with_validation).decision_function(X)
    weight = model.network_.head.weight
    assert weight.dtype == torch.float32
    assert not torch.equal(weight.bfloat16().float(), weight), "the mean has more digits"
    assert 0 < np.abs(rounded - plain).max() < 0.5
    stopping = model.set_params(early_stopping=True, swa_start=None, swa_every="auto").fit(
        X, y, **with_validation
    )
    assert torch.equal(stopping.network_.head.weight.bfloat16().float(),
                       stopping.network_.head.weight)  # fmt: skip
