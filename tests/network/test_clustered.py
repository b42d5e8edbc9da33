"""LightXML's head for many labels, against plain formulas with a loop over documents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
import torch.nn.functional as F

from lightxml.network.batches import Targets, make_targets
from lightxml.network.heads.candidates import candidate_logits, gathered_logits
from lightxml.network.heads.clustered import ClusteredHead
from lightxml.network.tables import BLOCK, RowAdagrad, weighted_sum

WIDTH, LABEL_DIM = 6, 4
# Seven clusters, one of a single label and one far larger than the others.
CLUSTERS = np.array([0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 4, 4, 4, 4, 5, 5, 6, 6, 6])[
    np.random.default_rng(0).permutation(20)
]
# The third document has labels in five clusters, the last one has none at all.
LABELS = [[3, 7], [0], [1, 2, 5, 8, 9, 11, 14, 19], [4, 13], []]
Y = sp.csr_array(np.array([[j in row for j in range(20)] for row in LABELS], dtype=np.int8))
N_GOLD = [len(set(CLUSTERS[row])) for row in LABELS]


def make_head(**params: Any) -> ClusteredHead:
    torch.manual_seed(0)
    params.setdefault("n_candidate_clusters", 2)
    head = ClusteredHead(WIDTH, CLUSTERS, LABEL_DIM, **params)
    with torch.no_grad():  # far from the start, where all labels are alike
        head.embeddings.normal_()
        head.generator.bias.normal_()
    return head


def representation(n: int = 5) -> torch.Tensor:
    return torch.randn(n, WIDTH, generator=torch.Generator().manual_seed(1))


def targets(y: sp.csr_array = Y, weights: np.ndarray | None = None) -> Targets:
    return make_targets(y, np.arange(y.shape[0]), torch.device("cpu"), weights)


def table_gradient(head: ClusteredHead) -> torch.Tensor:
    """The gradient of the embeddings that is pending, made whole."""
    whole = torch.zeros_like(head.embeddings)
    for part in head.pending:
        whole[part.columns] += weighted_sum(part.gradient, part.by_column)
    return whole


def plain_loss(head: ClusteredHead, e: torch.Tensor, weights: np.ndarray | None) -> torch.Tensor:
    """The loss as the paper has it, document by document, with sums for means."""
    weights = np.ones(len(LABELS)) if weights is None else weights
    total = torch.zeros(())
    for i, own in enumerate(LABELS):
        of_clusters, query = head.generator(e[i]), head.query(e[i : i + 1])[0]
        gold = {int(CLUSTERS[j]) for j in own}
        is_gold = torch.tensor([float(c in gold) for c in range(7)])
        loss = F.binary_cross_entropy_with_logits(of_clusters, is_gold, reduction="sum")
        best = sorted(range(7), key=lambda c: (c not in gold, -of_clusters[c].item()))
        taken = best[: max(head.n_candidate_clusters, len(gold))]
        labels = [j for j in range(20) if CLUSTERS[j] in taken]
        is_own = torch.tensor([float(j in own) for j in labels])
        logits = head.embeddings[labels] @ query
        loss = loss + F.binary_cross_entropy_with_logits(logits, is_own, reduction="sum")
        total = total + float(weights[i]) * loss
    return total


@pytest.mark.parametrize(
    "weights", [None, np.array([0.5, 1, 3, 0.1, 2])], ids=["alike", "weighted"]
)
@pytest.mark.parametrize("n_candidate_clusters", [1, 2, 5, 7, 100])
def test_the_loss_is_that_of_the_clusters_and_of_the_candidates(
    n_candidate_clusters: int, weights: np.ndarray | None
) -> None:
    head = make_head(n_candidate_clusters=n_candidate_clusters)
    assert max(N_GOLD) > 2, "a document has more clusters of its own than some of the settings"
    e = representation().requires_grad_()
    loss = head.loss(e, targets(Y, weights), torch.float32)
    (loss * 0.5).backward()
    found = [e.grad, table_gradient(head), *(p.grad for p in head.generator.parameters())]
    found += [p.grad for p in head.project.parameters()]
    assert head.embeddings.grad is None

    e = representation().requires_grad_()
    head.zero_grad()
    expected_loss = plain_loss(head, e, weights)
    (expected_loss * 0.5).backward()
    expected = [e.grad, head.embeddings.grad, *(p.grad for p in head.generator.parameters())]
    expected += [p.grad for p in head.project.parameters()]
    torch.testing.assert_close(loss, expected_loss)
    for ours, plain in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("block", [2**24, 30], ids=["all", "a document at a time"])
def test_candidates_are_scored_alike_from_copies_of_their_rows(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setitem(BLOCK, "cuda", block)
    generator = torch.Generator().manual_seed(0)
    table, queries = (torch.randn(n, 5, generator=generator) for n in (20, 7))
    labels = torch.randint(20, (7, 6), generator=generator)
    expected = candidate_logits(table, queries, labels)
    torch.testing.assert_close(gathered_logits(table, queries, labels), expected)


def test_only_labels_of_candidates_move() -> None:
    head = make_head()
    before = head.embeddings.detach().clone()
    optimizer = RowAdagrad(head.embeddings, head.pending, 0.1)
    head.loss(representation(), targets(), torch.float32).backward()
    touched = set(torch.nonzero(table_gradient(head).any(dim=1)).flatten().tolist())
    optimizer.step()
    optimizer.zero_grad()
    moved = set(torch.nonzero((head.embeddings != before).any(dim=1)).flatten().tolist())
    assert moved == touched
    assert set(Y.indices.tolist()) <= moved < set(range(20))
    assert not head.pending


def test_random_negatives_come_from_outside_the_candidates_and_never_twice() -> None:
    head = make_head(n_random_negatives=3)
    chosen = torch.tensor([[0, 4], [1, 2], [5, 6]])
    counts = np.zeros((3, 20))
    for seed in range(800):
        torch.manual_seed(seed)
        labels, present = head._random_negatives(chosen)
        assert present.all()
        for i, row in enumerate(labels.tolist()):
            assert len(set(row)) == 3
            counts[i, row] += 1
    for i, clusters in enumerate(chosen.tolist()):
        inside = np.isin(CLUSTERS, clusters)
        assert counts[i, inside].sum() == 0
        share = 800 * 3 / np.count_nonzero(~inside)
        # Runs of labels differ in length by one, so that labels are drawn a little unevenly.
        assert (np.abs(counts[i, ~inside] / share - 1) < 0.4).all()


def test_random_negatives_that_are_not_there_are_none() -> None:
    head = make_head(n_random_negatives=6)
    everything = torch.arange(7)[None]
    assert not head._random_negatives(everything)[1].any()
    all_but_single = torch.tensor([[c for c in range(7) if c != CLUSTERS[0]]])
    labels, present = head._random_negatives(all_but_single)
    left = np.flatnonzero(CLUSTERS[0] == CLUSTERS).tolist()
    assert sorted(labels[present].tolist()) == left


def test_random_negatives_join_the_loss_anew_at_each_step_and_repeat_with_the_seed() -> None:
    with_them, without = make_head(n_random_negatives=4), make_head()
    e = representation()

    def loss(seed: int) -> float:
        torch.manual_seed(seed)
        return with_them.loss(e, targets(), torch.float32).item()

    plain = without.loss(e, targets(), torch.float32).item()
    losses = [loss(seed) for seed in range(5)]
    assert all(value > plain for value in losses)
    assert len(set(losses)) == 5
    assert loss(3) == losses[3]


def gradient_at(head: ClusteredHead, part: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    e = representation().requires_grad_()
    part(e).backward()
    return e.grad


def parts(head: ClusteredHead) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradients of the generator's and of the discriminator's loss at the representation."""
    is_gold = torch.zeros(5, 7)
    rows, columns = Y.nonzero()
    is_gold[rows, CLUSTERS[columns]] = 1
    generator = gradient_at(
        head,
        lambda e: F.binary_cross_entropy_with_logits(head.generator(e), is_gold, reduction="sum"),
    )
    return generator, gradient_at(head, lambda e: plain_loss(head, e, None)) - generator


def test_without_correction_the_generators_loss_reaches_the_encoder_all_the_same() -> None:
    head = make_head(n_candidate_clusters=3)
    generator, discriminator = parts(head)
    found = gradient_at(head, lambda e: head.loss(e, targets(), torch.float32))
    assert generator.norm() > 0.1
    torch.testing.assert_close(found, generator + discriminator, atol=1e-5, rtol=1e-4)


def test_with_correction_both_losses_pull_equally_at_the_encoder() -> None:
    head = make_head(n_candidate_clusters=3, loss_correction=True)
    generator, discriminator = parts(head)
    assert abs(generator.norm() / discriminator.norm() - 1) > 0.1, "or nothing would be corrected"
    found = gradient_at(head, lambda e: head.loss(e, targets(), torch.float32))
    corrected = generator * (discriminator.norm() / generator.norm())
    assert corrected.norm() == pytest.approx(discriminator.norm().item(), rel=1e-5)
    torch.testing.assert_close(found, corrected + discriminator, atol=1e-5, rtol=1e-4)


def test_with_correction_each_heads_own_weights_see_their_own_loss() -> None:
    gradients = []
    for corrected in (False, True):
        head = make_head(loss_correction=corrected)
        head.loss(representation(), targets(), torch.float32).backward()
        own = [*head.generator.parameters(), *head.project.parameters()]
        gradients.append([*(p.grad for p in own), table_gradient(head)])
    for plain, corrected in zip(*gradients, strict=True):
        torch.testing.assert_close(corrected, plain)


@pytest.mark.parametrize("silent", ["generator", "discriminator"])
def test_a_loss_without_gradient_is_left_as_it_is_by_the_correction(silent: str) -> None:
    head = make_head(loss_correction=True)
    with torch.no_grad():
        (head.generator if silent == "generator" else head.project).weight.zero_()
    found = gradient_at(head, lambda e: head.loss(e, targets(), torch.float32))
    torch.testing.assert_close(found, sum(parts(head)), atol=1e-5, rtol=1e-4)
    assert torch.isfinite(found).all()


def test_a_labels_score_is_its_own_times_its_clusters() -> None:
    head, e = make_head(), representation()
    scores = torch.sigmoid(head.logits(e))
    of_clusters = torch.sigmoid(head.generator(e))[:, CLUSTERS]
    of_labels = torch.sigmoid(head.query(e) @ head.embeddings.T)
    torch.testing.assert_close(scores, of_labels * of_clusters)


@pytest.mark.parametrize("size", [1e-3, 1.0, 30.0, 1e4])
def test_logits_of_products_are_finite_and_keep_the_order(size: float) -> None:
    head = make_head()
    with torch.no_grad():
        head.embeddings.mul_(size)
        head.generator.weight.mul_(size)
    e = representation()
    logits = head.logits(e).double()
    assert torch.isfinite(logits).all()
    a = (head.query(e) @ head.embeddings.T).double()
    b = head.generator(e)[:, CLUSTERS].double()
    exact = F.logsigmoid(a) + F.logsigmoid(b)
    ordered = exact.gather(1, logits.argsort(dim=1))
    assert (ordered.diff(dim=1) > -1e-5 * ordered.abs().clamp(min=1)[:, 1:]).all()


@pytest.mark.parametrize("n_candidate_clusters", [1, 3, 7])
@pytest.mark.parametrize("k", [1, 3, 6, 20])
def test_the_ranking_is_that_of_the_best_clusters(n_candidate_clusters: int, k: int) -> None:
    head, e = make_head(n_candidate_clusters=n_candidate_clusters), representation()
    with torch.no_grad():
        head.embeddings[9] = head.embeddings[4]  # two labels that may tie
    values, columns = head.rank(e, k)
    scores, of_clusters = head.logits(e), head.generator(e)
    sizes = np.sort(np.bincount(CLUSTERS))
    n_taken = n_candidate_clusters
    while sizes[:n_taken].sum() < k:  # the smallest clusters might be the best ones
        n_taken += 1
    for i in range(len(e)):
        taken = set(of_clusters[i].topk(n_taken)[1].tolist())
        labels = [j for j in range(20) if CLUSTERS[j] in taken]
        best = sorted(labels, key=lambda j: (-scores[i, j].item(), j))[:k]
        torch.testing.assert_close(values[i], scores[i, best], atol=1e-5, rtol=1e-5)
        assert len(set(columns[i].tolist())) == k
        torch.testing.assert_close(scores[i, columns[i]], values[i], atol=1e-5, rtol=1e-5)


def test_equal_scores_come_in_the_order_of_the_labels() -> None:
    head = make_head(n_candidate_clusters=7)
    with torch.no_grad():
        head.embeddings.zero_()
        head.generator.weight.zero_()
        head.generator.bias.zero_()
    assert head.rank(representation(2), 20)[1].tolist() == [list(range(20))] * 2
