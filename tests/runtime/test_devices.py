"""Which device is taken, and what does not depend on it.

Those that need a GPU are marked ``gpu``; what makes sense on a CPU runs there as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from torch.torch_version import TorchVersion
from transformers import BertConfig

from lightxml import LightXMLClassifier, load
from lightxml.data.documents import EncodedDocuments, tokenize
from lightxml.datasets import make_xmc
from lightxml.exceptions import DeviceMemoryError
from lightxml.fitting.footprint import training_memory
from lightxml.network.config import NetworkConfig
from lightxml.network.encoders import build_encoder
from lightxml.network.features import describe_features
from lightxml.network.heads.kinds import choose_head
from lightxml.network.network import LightXMLNetwork
from lightxml.network.tables import BLOCK, RowAdagrad, TableGradient, group_by_column
from lightxml.runtime.devices import choose_autocast, choose_device, seeded
from lightxml.training.config import TrainingConfig
from lightxml.training.loop import train
from tests.network.test_encoders import save_pretrained

Make = Callable[..., LightXMLClassifier]
Data = tuple[list[str], sp.csr_array]

ON = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
HEADS: dict[str, dict[str, Any]] = {
    "plain": {},
    "chunked": {"label_dim": 16},
    "clustered": {
        "label_clusters": True,
        "max_cluster_size": 4,
        "n_candidate_clusters": 2,
        "n_random_negatives": 3,
        "loss_correction": True,
    },
}
EACH_HEAD = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)


# Which device --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "taken"),
    [("2.6.0", "cpu"), ("2.9.1+cpu", "cpu"), ("2.10.0", "mps"), ("2.13.0", "mps")],
)
def test_mps_is_taken_where_torch_can_do_on_it_all_that_is_needed(
    monkeypatch: pytest.MonkeyPatch, version: str, taken: str
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    monkeypatch.setattr("torch.__version__", TorchVersion(version))
    assert choose_device("auto").type == taken
    if taken == "mps":
        assert choose_device("mps").type == "mps"
    else:
        with pytest.raises(
            ValueError, match=f"'mps' needs torch 2.10 or later, and this is {version[:3]}"
        ):
            choose_device("mps")


def test_nothing_asks_a_device_for_float64(
    make_classifier: Make, documents: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    # MPS has none. What torch is asked to make in it, on a CPU, it would refuse there.
    for name in ("rand", "zeros", "empty", "full", "arange"):
        real = getattr(torch, name)

        def made(*args: Any, real: Any = real, **options: Any) -> torch.Tensor:
            assert options.get("dtype") is not torch.float64
            return real(*args, **options)

        monkeypatch.setattr(torch, name, made)
    model = make_classifier(**HEADS["clustered"], features=TfidfVectorizer(), max_epochs=1)
    model.fit(*documents).predict_topk(documents[0], 3)


# The same answer -----------------------------------------------------------------------------


INPUTS: dict[str, tuple[dict[str, Any], float]] = {
    "features": ({"encoder": None, "features": TfidfVectorizer(), "feature_dim": 16}, 1e-4),
    # A frozen encoder's vectors are rounded to half precision: here one up, there one down.
    "frozen": ({"freeze_encoder": True, "features": TfidfVectorizer()}, 5e-3),
    "trained": ({"features": TfidfVectorizer()}, 1e-4),
}


@ON
@pytest.mark.parametrize(("inputs", "tolerance"), INPUTS.values(), ids=INPUTS)
@EACH_HEAD
def test_a_model_saved_there_gives_the_same_scores_on_a_cpu(
    make_classifier: Make,
    documents: Data,
    tmp_path: Path,
    device: str,
    inputs: dict[str, Any],
    tolerance: float,
    head: dict[str, Any],
) -> None:
    X, y = documents
    if "freeze_encoder" in inputs:
        inputs = {**inputs, "encoder": save_pretrained(tmp_path / "encoder", "bert")}
    there = make_classifier(**inputs, **head, max_epochs=3, device=device, precision="fp32")
    there.fit(X, y).save(tmp_path / "model")
    here = load(tmp_path / "model", device="cpu")
    assert (there.network_.device.type, here.network_.device.type) == (device, "cpu")
    expected = there.decision_function(X)
    np.testing.assert_allclose(here.decision_function(X), expected, rtol=tolerance, atol=tolerance)
    _, scores = there.predict_topk(X, 3, return_scores=True)
    _, again = here.predict_topk(X, 3, return_scores=True)
    np.testing.assert_allclose(again, scores, atol=tolerance)


@ON
@EACH_HEAD
def test_a_training_is_repeatable_to_the_last_bit(
    make_classifier: Make, documents: Data, device: str, head: dict[str, Any]
) -> None:
    # Without an encoder, whose attention a GPU sums in no fixed order.
    fitted = [
        make_classifier(**INPUTS["features"][0], **head, device=device).fit(*documents).network_
        for _ in range(2)
    ]
    first, again = (network.state_dict() for network in fitted)
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.gpu
@pytest.mark.parametrize("block", [2**24, 2_000], ids=["whole rows", "two numbers a row"])
def test_a_gpu_moves_the_rows_of_a_table_as_a_cpu_does(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setitem(BLOCK, "cuda", block)
    rng = np.random.default_rng(0)
    steps = [
        [torch.from_numpy(a) for a in (rng.integers(50, size=1_000), rng.integers(8, size=1_000),
         rng.random(1_000, np.float32), rng.standard_normal((8, 33), np.float32))]
        for _ in range(5)
    ]  # fmt: skip
    moved = []
    for device in ("cpu", "cuda", "cuda"):
        table, pending = torch.nn.Parameter(torch.ones(50, 33, device=device)), []
        optimizer = RowAdagrad(table, pending, lr=0.1)
        for columns, rows, weights, gradient in ([t.to(device) for t in step] for step in steps):
            touched, by_column = group_by_column(columns, rows, weights)
            pending.append(TableGradient(touched, by_column, gradient))
            optimizer.step()
            optimizer.zero_grad()
        moved.append((table.detach().cpu(), optimizer.state[table]["sums"].cpu()))
    torch.testing.assert_close(moved[1], moved[0], rtol=1e-4, atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(moved[1], moved[2], strict=True))


# Memory --------------------------------------------------------------------------------------


MEMORY_OF: dict[str, dict[str, Any]] = {
    "an encoder": {"n_labels": 500},
    "one layer": {"n_labels": 100_000, "width": 256},
    "chunks": {"n_labels": 300_000, "width": 256, "label_dim": 256},
    "clusters": {"n_labels": 300_000, "width": 256, "label_dim": 256, "clustered": True},
}
FACTOR = 2.0  # between the estimate of a training's memory and what it takes


@pytest.mark.gpu
@pytest.mark.parametrize("case", MEMORY_OF.values(), ids=MEMORY_OF)
def test_the_estimate_of_memory_is_within_a_factor(case: dict[str, Any]) -> None:
    device, n_labels, batch_size = choose_device("cuda"), case["n_labels"], 64
    texts, y = make_xmc(
        2 * batch_size, n_labels, n_labels_per_document=5, n_words_per_document=128, random_state=0
    )
    with seeded(0, device):
        encoder = features = matrix = tokens = None
        if "width" in case:
            matrix = sp.csr_array(TfidfVectorizer(dtype=np.float32).fit_transform(texts))
            features = describe_features(matrix, case["width"])
        else:
            config = BertConfig(hidden_size=256, num_hidden_layers=4, num_attention_heads=4,
                                intermediate_size=1024)  # fmt: skip
            encoder = build_encoder(config, texts, 128)
            tokens = tokenize(texts, encoder.tokenizer)
        clusters = np.arange(n_labels) // 80 if case.get("clustered") else None
        head = choose_head(case.get("label_dim"), clusters, n_candidate_clusters=32)
        network = LightXMLNetwork(NetworkConfig(n_labels, head, features), encoder)
        if clusters is not None:
            network.head.set_clusters(clusters)
        network.autocast_dtype = choose_autocast("auto", device)
        network.to(device)
        if features is not None:
            network.features.fit(matrix)
            matrix = network.features.prepare(matrix)
        store = EncodedDocuments(tokens, matrix)
        training = TrainingConfig(
            max_epochs=2, batch_size=batch_size, accumulate=1, learning_rate=1e-4,
            head_learning_rate=1e-3, weight_decay=0.01, schedule="constant", swa_start=None,
            swa_every=1, seed=0, verbose=0,
        )  # fmt: skip
        with network.head.in_training():
            estimate = sum(training_memory(network, batch_size, 128, averages=False).values())
            before = torch.cuda.memory_allocated(device)
            torch.cuda.reset_peak_memory_stats(device)
            train(network, store, y, training)
            taken = torch.cuda.max_memory_allocated(device) - before
    assert taken / FACTOR < estimate < taken * FACTOR


@pytest.mark.gpu
def test_a_gpu_without_enough_memory_gives_advice_and_is_left_as_it_was(
    make_classifier: Make, documents: Data
) -> None:
    X, y = documents
    make_classifier(device="cuda").fit(X, y)  # what CUDA's libraries keep is there now
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    total = torch.cuda.get_device_properties(0).total_memory
    config = BertConfig(hidden_size=256, num_hidden_layers=2, num_attention_heads=4)
    model = make_classifier(encoder=config, max_length=512, batch_size=60, device="cuda")
    long = [" ".join(itertools.repeat(text, 60)) for text in X]
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 2**28) / total)
    try:
        with pytest.raises(DeviceMemoryError, match="Lower batch_size and raise accumulate"):
            model.fit(long, y)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert torch.cuda.memory_allocated() <= before + 2**20
    make_classifier(device="cuda").fit(X, y)
