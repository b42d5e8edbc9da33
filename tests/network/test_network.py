"""The squeeze-and-excitation block and the way from text to logits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from lightxml import LightXMLClassifier
from lightxml.data.documents import EncodedDocuments, tokenize
from lightxml.network.batches import collate
from lightxml.network.network import SqueezeExcitation

Make = Callable[..., LightXMLClassifier]

Documents = tuple[list[str], object]


def representation(model: LightXMLClassifier, X: list[str]) -> torch.Tensor:
    network = model.network_
    store = EncodedDocuments(tokenize(X, model.tokenizer_))
    with torch.no_grad():
        return network.represent(collate(store, np.arange(len(X)), 0, torch.device("cpu")))


@pytest.mark.parametrize(("n_layers", "width"), [(1, 4), (2, 7), (5, 768), (13, 3)])
def test_the_se_block_begins_as_the_identity(n_layers: int, width: int) -> None:
    layers = torch.randn(3, n_layers, width)
    assert torch.equal(SqueezeExcitation(n_layers)(layers), layers)


def test_the_se_block_has_one_gate_a_layer_between_zero_and_two() -> None:
    torch.manual_seed(0)
    block = SqueezeExcitation(4)
    torch.nn.init.normal_(block.expand.weight, std=50.0)
    layers = torch.randn(100, 4, 6)
    gates = block(layers) / layers
    assert torch.allclose(gates, gates[:, :, :1].expand_as(gates), atol=1e-4)
    assert gates.min() >= -1e-5
    assert gates.max() <= 2 + 1e-4
    assert gates.std() > 0.1


def test_the_se_block_leaves_the_first_step_as_it_is_and_learns_after(
    make_classifier: Make, documents: Documents
) -> None:
    X, y = documents
    # One step a fit: the same seed gives the same encoder, so only the block could differ.
    one_step = {"max_epochs": 1, "batch_size": len(X), "swa_start": None}
    plain = make_classifier(**one_step).fit(X, y)
    with_block = make_classifier(**one_step, se_block=True).fit(X, y)
    assert with_block.network_.se_block is not None
    assert plain.network_.se_block is None
    assert with_block.history_[0]["loss"] == pytest.approx(plain.history_[0]["loss"], rel=1e-6)

    longer = make_classifier(max_epochs=3, se_block=True).fit(X, y)
    assert longer.network_.se_block.expand.weight.abs().max() > 1e-3
    before = representation(longer, X[:5])
    longer.network_.se_block = None
    assert not torch.allclose(before, representation(longer, X[:5]))


def test_dropout_acts_in_training_only(fitted: LightXMLClassifier) -> None:
    assert not fitted.network_.training
    assert np.array_equal(fitted.decision_function(["a b"]), fitted.decision_function(["a b"]))
