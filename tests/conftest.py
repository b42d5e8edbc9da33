"""Fixtures: a two-layer encoder made from a config, and a small learnable task."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from transformers import BertConfig

from lightxml import LightXMLClassifier
from lightxml.datasets import label_sets, make_xmc

# The networks here are so small that a second thread costs more than it brings, and far more
# where something else has the cores.
torch.set_num_threads(1)


# A shell that starts the tests in the background has Ctrl-C ignored, here and in what they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def small_config() -> BertConfig:
    """A BERT of two layers and width 32, with room for 64 tokens."""
    return BertConfig(
        vocab_size=600,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )


@pytest.fixture(scope="session")
def make_classifier() -> Callable[..., LightXMLClassifier]:
    """Return a function that makes an unfitted estimator around the two-layer encoder."""

    def make(**params: Any) -> LightXMLClassifier:
        defaults = {
            "encoder": small_config(),
            "max_epochs": 2,
            "batch_size": 8,
            "head_learning_rate": 2e-2,
            "dropout": 0.1,
            "device": "cpu",
            "random_state": 0,
            "rankers": ("network",),
        }
        params = {**defaults, **params}
        if params["encoder"] is not None:
            params.setdefault("max_length", 32)
            if not params.get("freeze_encoder"):
                params.setdefault("learning_rate", 2e-3)
        return LightXMLClassifier(**params)

    return make


@pytest.fixture(scope="session")
def documents() -> tuple[list[str], sp.csr_array]:
    """Sixty short documents with up to twelve labels that their words give away."""
    texts, y = make_xmc(60, 12, n_labels_per_document=2, n_words_per_document=12, random_state=0)
    return texts, y


@pytest.fixture(scope="session")
def labels(documents: tuple[list[str], sp.csr_array]) -> list[tuple[str, ...]]:
    """The same labels by name, as a list of collections."""
    y = documents[1]
    return label_sets(y, np.array([f"label {j}" for j in range(y.shape[1])]))


@pytest.fixture(scope="session")
def fitted(
    make_classifier: Callable[..., LightXMLClassifier], documents: tuple[list[str], sp.csr_array]
) -> LightXMLClassifier:
    """A fitted estimator with an SE block; tests only read it."""
    return make_classifier(max_epochs=3, se_block=True).fit(*documents)
