"""What moves each weight, how fast, and on which schedule."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
import torch.nn.functional as F

from lightxml.data.documents import EncodedDocuments
from lightxml.network.batches import SparseBatch, collate
from lightxml.network.config import NetworkConfig
from lightxml.network.encoders import build_encoder
from lightxml.network.features import TABLE_RATE, SparseEmbedding
from lightxml.network.network import LightXMLNetwork
from lightxml.network.tables import BLOCK, RowAdagrad, TableGradient, group_by_column, weighted_sum
from lightxml.training.optimizers import learning_rate_factor, make_optimizers
from tests.conftest import small_config


def test_the_encoder_and_the_rest_have_rates_of_their_own_and_vectors_do_not_decay() -> None:
    encoder = build_encoder(small_config(), ["some text to learn a vocabulary from"], 32)
    network = LightXMLNetwork(NetworkConfig(7, se_block=True), encoder)
    name_of = {id(p): name for name, p in network.named_parameters()}
    (optimizer,) = make_optimizers(network, 1e-3, 1e-2, 0.01, 0)
    seen = set()
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = name_of[id(parameter)]
            seen.add(name)
            assert group["lr"] == (1e-3 if name.startswith("encoder.") else 1e-2), name
            no_decay = name.endswith("bias") or "LayerNorm" in name
            assert group["weight_decay"] == (0.0 if no_decay else 0.01), name
    assert seen == set(name_of.values())


def test_the_linear_schedule_warms_up_for_a_twentieth_and_falls_to_zero() -> None:
    factor = learning_rate_factor("linear", 1_000)
    rates = [factor(step) for step in range(1_000)]
    assert rates[0] == pytest.approx(1 / 51)
    assert rates[50] == max(rates) == 1.0
    assert rates[525] == pytest.approx(0.5)
    assert 0 < rates[-1] < 0.002
    assert learning_rate_factor("constant", 1_000)(999) == 1.0


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_even_the_shortest_schedule_moves(n_steps: int) -> None:
    factor = learning_rate_factor("linear", n_steps)
    assert all(factor(step) > 0 for step in range(n_steps))


def table_and_batches() -> tuple[SparseEmbedding, list[SparseBatch]]:
    """A feature table and two batches that share some of its rows."""
    rng = np.random.default_rng(0)
    values = rng.random((40, 30)) * (rng.random((40, 30)) < 0.2)
    embedding = SparseEmbedding(30, torch.arange(30), 5)
    documents = EncodedDocuments(
        features=embedding.prepare(sp.csr_array(values.astype(np.float32)))
    )
    batches = [
        collate(documents, rows, 0, torch.device("cpu"), training=True).features
        for rows in (np.arange(25), np.arange(25, 40))
    ]
    return embedding, batches


@pytest.mark.parametrize("block", [2**18, 15, 1], ids=["one block", "three rows", "one row"])
def test_a_row_moves_by_adagrad_with_one_accumulator(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setitem(BLOCK, "cpu", block)
    embedding, batches = table_and_batches()
    optimizer = RowAdagrad(embedding.weight, embedding.pending, lr=0.1)
    table, sums = embedding.weight.detach().clone(), torch.zeros(30, 1)
    for batch in batches:
        before = embedding.weight.detach().clone().requires_grad_()
        rows = batch.by_row
        ends = [*rows.starts[1:].tolist(), len(rows.numbers)]
        dense = torch.zeros(len(ends), 30)
        for i, (start, end) in enumerate(zip(rows.starts.tolist(), ends, strict=True)):
            dense[i, rows.numbers[start:end]] = rows.weights[start:end]
        F.gelu(dense @ before + embedding.bias.detach()).square().sum().backward()
        sums += before.grad.square().mean(dim=1, keepdim=True)
        table -= 0.1 * before.grad / sums.sqrt().clamp(min=1e-10)
        embedding(batch).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        torch.testing.assert_close(embedding.weight.detach(), table)
    assert not embedding.pending


@pytest.mark.parametrize("block", [2**24, 60, 1], ids=["whole rows", "two numbers", "one number"])
@pytest.mark.parametrize("n_parts", [1, 2], ids=["one batch", "accumulated"])
def test_rows_move_alike_where_the_host_runs_ahead_of_the_device(
    monkeypatch: pytest.MonkeyPatch, block: int, n_parts: int
) -> None:
    # What a GPU does, on a CPU: as many columns as entries, the last ones without any.
    rng = np.random.default_rng(0)
    entries = [
        [torch.from_numpy(rng.integers(low, 9, 30)) for low in (0, 0)] for _ in range(2 * n_parts)
    ]  # column 0, which fills up, and others more than once
    weights, gradients = torch.rand(2 * n_parts, 30), torch.randn(2 * n_parts, 9, 5)

    def moved(*, runs_ahead: bool) -> list[torch.Tensor]:
        monkeypatch.setattr("lightxml.network.tables.runs_ahead", lambda tensor: runs_ahead)
        table, pending = torch.nn.Parameter(torch.ones(9, 5)), []
        optimizer = RowAdagrad(table, pending, lr=0.1)
        for i, (columns, rows) in enumerate(entries):
            touched, by_column = group_by_column(columns, rows, weights[i])
            assert (len(touched) == 30) == runs_ahead
            pending.append(TableGradient(touched, by_column, gradients[i]))
            if (i + 1) % n_parts == 0:
                optimizer.step()
                optimizer.zero_grad()
        return [table.detach(), optimizer.state[table]["sums"]]

    expected = moved(runs_ahead=False)
    monkeypatch.setitem(BLOCK, "cpu", block)
    torch.testing.assert_close(moved(runs_ahead=True), expected)


def test_the_gradients_of_accumulated_batches_are_added() -> None:
    embedding, batches = table_and_batches()
    begin = embedding.weight.detach().clone()
    optimizer = RowAdagrad(embedding.weight, embedding.pending, lr=0.1)
    gradient = torch.zeros_like(begin)
    for batch in batches:
        embedding(batch).square().sum().backward()
        pending = embedding.pending[-1]
        gradient[pending.columns] += weighted_sum(pending.gradient, pending.by_column)
    optimizer.step()
    norms = gradient.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-10)
    torch.testing.assert_close(embedding.weight.detach(), begin - 0.1 * gradient / norms)


def test_the_feature_table_has_its_own_rate_and_all_else_adamw() -> None:
    features = {"kind": "sparse", "n_columns": 9, "n_features": 9, "width": 4}
    network = LightXMLNetwork(NetworkConfig(7, features=features))
    adamw, adagrad = make_optimizers(network, 1e-3, 1e-2, 0.01, 0)
    assert adagrad.param_groups[0]["params"] == [network.features.weight]
    assert adagrad.param_groups[0]["lr"] == TABLE_RATE * 1e-2
    others = [id(p) for group in adamw.param_groups for p in group["params"]]
    table = network.features.weight
    assert sorted(others) == sorted(id(p) for p in network.parameters() if p is not table)


def test_a_frozen_encoder_is_not_moved() -> None:
    encoder = build_encoder(small_config(), ["some text to learn a vocabulary from"], 32)
    network = LightXMLNetwork(NetworkConfig(7, frozen=True), encoder)
    moved = {id(p) for o in make_optimizers(network, 1e-3, 1e-2, 0.01, 0) for g in o.param_groups
             for p in g["params"]}  # fmt: skip
    assert moved == {id(p) for p in network.head.parameters()}
