"""The training loop: what a step does, what is averaged, and what the caller's generators see."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier
from lightxml.data.documents import EncodedDocuments, tokenize
from lightxml.exceptions import LongFitWarning
from lightxml.network.config import NetworkConfig
from lightxml.network.encoders import build_encoder
from lightxml.network.network import LightXMLNetwork
from lightxml.runtime.progress import Progress
from lightxml.training.loop import TrainingConfig, train
from tests.conftest import small_config

Make = Callable[..., LightXMLClassifier]

Documents = tuple[list[str], sp.csr_array]
CONFIG = TrainingConfig(
    max_epochs=2,
    batch_size=8,
    accumulate=1,
    learning_rate=1e-3,
    head_learning_rate=1e-2,
    weight_decay=0.01,
    schedule="linear",
    swa_start=None,
    swa_every=1,
    seed=0,
    verbose=0,
)


@pytest.fixture
def setting(documents: Documents) -> tuple[LightXMLNetwork, EncodedDocuments, sp.csr_array]:
    """An untrained network without dropout, the tokens, and the labels."""
    texts, y = documents
    config = small_config()
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    torch.manual_seed(0)
    encoder = build_encoder(config, texts, 32)
    network = LightXMLNetwork(NetworkConfig(y.shape[1], dropout=0.0), encoder)
    return network, EncodedDocuments(tokenize(texts, encoder.tokenizer)), y


def weights(network: LightXMLNetwork) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_accumulated_batches_are_one_large_batch(setting: tuple) -> None:
    network, store, y = setting
    begin = weights(network)
    one_batch = replace(CONFIG, max_epochs=1, batch_size=60)
    (large,) = train(network, store, y, one_batch)
    after_large = weights(network)
    network.load_state_dict(begin)
    # 60 documents in batches of 16, 16, 16 and 12: the last is smaller and must count for less.
    (small,) = train(network, store, y, replace(one_batch, batch_size=16, accumulate=4))
    assert small["loss"] == pytest.approx(large["loss"], rel=1e-5)
    for name, value in weights(network).items():
        # AdamW's first step is the sign of the gradient: tiny gradients may round either way.
        close = torch.isclose(value, after_large[name], atol=1e-6)
        assert close.float().mean() > 0.99, name


def test_the_first_loss_is_the_sum_over_labels_averaged_over_documents(setting: tuple) -> None:
    network, store, y = setting
    torch.nn.init.zeros_(network.head.weight)
    torch.nn.init.zeros_(network.head.bias)
    history = train(network, store, y, replace(CONFIG, max_epochs=1, batch_size=60))
    assert history == [{"epoch": 1, "loss": pytest.approx(y.shape[1] * math.log(2), rel=1e-5)}]


def test_the_mean_of_the_weights_is_what_predicts(setting: tuple) -> None:
    network, store, y = setting
    begin = weights(network)
    seen: list[dict[str, torch.Tensor]] = []

    def look(network: LightXMLNetwork) -> dict[str, float]:
        seen.append(weights(network))
        return {"precision_at_1": 0.0}

    # One step an epoch; the average begins at step 2 of 4 and takes every step.
    config = replace(CONFIG, max_epochs=4, batch_size=60)
    train(network, store, y, config, look)
    network.load_state_dict(begin)
    train(network, store, y, replace(config, swa_start=0.5, swa_every=1), look)
    last, validated = weights(network), seen[-1]
    for name, value in last.items():
        if value.is_floating_point():
            mean = torch.stack([seen[i][name] for i in (1, 2, 3)]).mean(dim=0)
            torch.testing.assert_close(value, mean, atol=1e-6, rtol=1e-5)
            assert torch.equal(value, validated[name])


def test_the_callers_random_states_are_left_alone(
    make_classifier: Make, documents: Documents
) -> None:
    def state() -> tuple:
        numpy_state = np.random.get_state()[1].tolist()  # noqa: NPY002 - the global one is meant
        return random.getstate(), numpy_state, torch.get_rng_state().tolist()

    own = np.random.RandomState(3)
    own_before, before = own.get_state()[1].tolist(), state()
    model = make_classifier(max_epochs=1, random_state=own).fit(*documents)
    model.predict_topk(documents[0], k=1)
    assert state() == before
    assert own.get_state()[1].tolist() == own_before


def test_fits_that_overlap_in_threads_are_those_of_one_and_leave_torchs_state(
    documents: Documents,
) -> None:
    def scores(seed: int) -> np.ndarray:
        network = {"rankers": ("network",), "feature_dim": 16, "max_epochs": 4, "batch_size": 8}
        model = LightXMLClassifier(None, features=TfidfVectorizer(), random_state=seed, **network)
        return model.set_params(device="cpu").fit(*documents).decision_function(documents[0])

    alone, before = [scores(seed) for seed in (0, 1)], torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(scores, [0, 1] * 4))
    for seed, found in zip([0, 1] * 4, together, strict=True):
        np.testing.assert_allclose(found, alone[seed], atol=1e-5)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_same_seed_gives_the_same_model_and_another_another(
    make_classifier: Make, documents: Documents
) -> None:
    X, y = documents
    first, again, other = (
        make_classifier(random_state=seed).fit(X, y) for seed in (1, np.random.RandomState(1), 2)
    )
    repeated = make_classifier(random_state=1).fit(X, y)
    assert np.array_equal(first.decision_function(X), repeated.decision_function(X))
    assert first.history_ == repeated.history_ == again.history_
    assert first.history_ != other.history_


def test_a_fit_of_weeks_says_so_and_what_would_be_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 50.0])
    monkeypatch.setattr("lightxml.runtime.progress.time.monotonic", lambda: next(clock))
    progress = Progress("20 epochs", n_documents=20 * 160_000, on_cpu=True, verbose=0)
    with progress, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(7):
            progress.step(16)
    (warning,) = caught
    assert warning.category is LongFitWarning
    assert "about 3 weeks in all on this CPU" in str(warning.message)
    assert "20 epochs" in str(warning.message)
    assert "words alone (encoder=None" in str(warning.message)


def test_a_long_fit_without_an_encoder_is_told_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 5000.0])
    monkeypatch.setattr("lightxml.runtime.progress.time.monotonic", lambda: next(clock))
    progress = Progress("x", n_documents=10**6, on_cpu=True, reads_tokens=False, verbose=0)
    with progress:
        for _ in range(5):
            progress.step(16)
        with pytest.warns(LongFitWarning, match="fewer max_epochs") as caught:
            progress.step(16)
    assert "encoder" not in str(caught[0].message)


@pytest.mark.parametrize(("verbose", "on_cpu", "seconds"), [(0, False, 50.0), (0, True, 0.01)])
def test_a_short_fit_and_one_on_a_gpu_say_nothing(
    verbose: int,
    on_cpu: bool,
    seconds: float,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    clock = iter([0.0, 0.0, seconds])
    monkeypatch.setattr("lightxml.runtime.progress.time.monotonic", lambda: next(clock))
    progress = Progress("a little", n_documents=10_000, on_cpu=on_cpu, verbose=verbose)
    with warnings.catch_warnings(), progress:
        warnings.simplefilter("error")
        for _ in range(7):
            progress.step(1)
    assert capfd.readouterr() == ("", "")


def test_verbose_shows_the_work_ahead_and_the_loss(
    make_classifier: Make, documents: Documents, capfd: pytest.CaptureFixture[str]
) -> None:
    X, y = documents
    model = make_classifier(max_epochs=2, verbose=1).fit(X, y, X_val=X[:10], y_val=y[:10])
    last = model.history_[-1]
    shown = capfd.readouterr().err
    assert "60 documents, 12 labels, 16 steps in 2 epochs" in shown
    assert "in all" in shown
    assert f"P@1 {last['precision_at_1']:.3f}, epoch 2, loss {last['loss']:.2f}" in shown
    assert "\r" not in shown, "a log file gets lines, not a bar that is redrawn"
    assert len(shown.splitlines()) == 3, "nor one for each of many short epochs"


def test_a_log_gets_a_line_for_each_epoch_that_takes_long(
    make_classifier: Make,
    documents: Documents,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lightxml.runtime.progress._LINE_EVERY", 0.0)
    X, y = documents
    model = make_classifier(max_epochs=2, verbose=1).fit(X, y, X_val=X[:10], y_val=y[:10])
    first = model.history_[0]
    lines = capfd.readouterr().err.splitlines()
    (line,) = (line for line in lines if "60 of 120" in line and "P@1" in line)
    assert f"epoch 1, loss {first['loss']:.2f}" in line
    assert f"P@1 {first['precision_at_1']:.3f}" in line


def test_thirty_documents_are_learnt_by_heart(make_classifier: Make, documents: Documents) -> None:
    X, y = documents[0][:30], documents[1][:30]
    model = make_classifier(max_epochs=60, learning_rate=5e-3, dropout=0.0, swa_start=None).fit(
        X, y
    )
    assert model.score(X, y) == 1.0
    assert model.history_[-1]["loss"] < 0.1 * model.history_[0]["loss"]
