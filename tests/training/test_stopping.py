"""What ends a training before its last epoch: no more to gain, a loss that is no number, memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

import lightxml.fitting.measurement
import lightxml.fitting.network
from lightxml import LightXMLClassifier
from lightxml.exceptions import DeviceMemoryError, NonFiniteLossError
from lightxml.fitting.decisions import stopping_k
from lightxml.metrics import precision_at_k
from lightxml.network.network import LightXMLNetwork
from lightxml.training.loop import epochs_since_best

Make = Callable[..., LightXMLClassifier]
Fail = Callable[..., None]

Documents = tuple[list[str], sp.csr_array]
STOPPING: dict[str, Any] = {
    "encoder": None,
    "features": TfidfVectorizer(),
    "feature_dim": 16,
    "max_epochs": 12,
    "early_stopping": True,
    "n_iter_no_change": 2,
}


def p5(model: LightXMLClassifier) -> list[float]:
    return [record["precision_at_5"] for record in model.history_]


def test_the_best_epochs_weights_are_kept_and_the_training_ends(
    make_classifier: Make, documents: Documents
) -> None:
    X, y = documents
    model = make_classifier(**STOPPING).fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    best = int(np.argmax(p5(model)))
    assert model.n_iter_ == len(model.history_) == best + 1 + 2 < 12
    assert precision_at_k(y[40:], model.predict_topk(X[40:]), 5) == p5(model)[best]


@pytest.mark.parametrize("swa_start", [None, 0.0])
def test_the_weights_are_those_of_the_best_epoch_itself(
    swa_start: float | None,
    make_classifier: Make,
    documents: Documents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a validation that says which epoch is best, whatever the weights are."""
    seen: list[dict[str, torch.Tensor]] = []
    figures = iter([0.1, 0.4, 0.4, 0.3, 0.2])

    def measured(network: LightXMLNetwork, *_: Any) -> tuple[np.ndarray, np.ndarray]:
        seen.append({k: v.clone() for k, v in network.state_dict().items()})
        return np.zeros((1, 5)), np.zeros((1, 5))

    monkeypatch.setattr(lightxml.fitting.measurement.prediction, "predict_topk", measured)
    monkeypatch.setattr(
        lightxml.fitting.measurement,
        "precision_at_k",
        lambda y, c, k: next(figures) if k == 5 else 0.0,
    )
    params = {**STOPPING, "n_iter_no_change": 3, "swa_start": swa_start}
    model = make_classifier(**params).fit(*documents)
    assert p5(model) == [0.1, 0.4, 0.4, 0.3, 0.2]
    assert model.n_iter_ == 5
    for name, value in model.network_.state_dict().items():
        assert torch.equal(value, seen[1][name]), "equally good is no better"


def test_documents_set_aside_are_not_learnt_from(
    make_classifier: Make, documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fit with early stopping is that on the other documents, vectorizer and all."""
    X, y = documents
    kept: list[np.ndarray] = []
    train = lightxml.fitting.network.train

    def spy(*arguments: Any) -> Any:
        kept.append(arguments[6])  # the numbers of the documents
        return train(*arguments)

    monkeypatch.setattr(lightxml.fitting.network, "train", spy)
    model = make_classifier(**STOPPING, validation_fraction=0.25).fit(X, y)
    rows = kept[0]
    rest = np.setdiff1d(np.arange(60), rows)
    assert len(rest) == 15
    assert not np.array_equal(rest, np.arange(45, 60)), "drawn, not the last ones"
    same = make_classifier(**STOPPING).fit(
        [X[i] for i in rows], y[rows], X_val=[X[i] for i in rest], y_val=y[rest]
    )
    assert same.history_ == model.history_
    assert np.array_equal(same.decision_function(X), model.decision_function(X))


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_a_numeric_matrix_is_divided_too(
    form: str, make_classifier: Make, documents: Documents
) -> None:
    X = TfidfVectorizer().fit_transform(documents[0])
    X = X.toarray() if form == "dense" else X
    params = {**STOPPING, "features": None, "validation_fraction": 7}
    model = make_classifier(**params).fit(X, documents[1])
    assert model.n_iter_ < 12
    with_all = make_classifier(**{**params, "early_stopping": False, "validation_fraction": "auto",
                                  "n_iter_no_change": 3}).fit(X, documents[1])  # fmt: skip
    assert model.history_[0]["loss"] != with_all.history_[0]["loss"]


def test_labels_of_documents_set_aside_are_known(
    make_classifier: Make, documents: Documents
) -> None:
    X, _ = documents
    model = make_classifier(**STOPPING, validation_fraction=0.5).fit(
        X, [[f"{i}"] for i in range(60)]
    )
    assert len(model.classes_) == 60


def test_with_no_document_left_the_error_says_so(
    make_classifier: Make, documents: Documents
) -> None:
    X, y = documents
    with pytest.raises(ValueError, match=r"sets 1 of 1 documents aside.* Lower validation_frac"):
        make_classifier(**{**STOPPING, "features": TfidfVectorizer()}).fit(X[:1], y[:1])


@pytest.mark.parametrize(("n_labels", "k"), [(1, 1), (2, 1), (3, 1), (4, 3), (5, 3), (6, 5)])
def test_stopping_goes_by_a_k_that_leaves_something_to_rank(n_labels: int, k: int) -> None:
    assert stopping_k(n_labels) == k


def test_epochs_since_the_best_count_from_the_first_of_equals() -> None:
    def since(*figures: float) -> int:
        return epochs_since_best([{"f": figure} for figure in figures], "f")

    assert [since(), since(1), since(1, 2), since(2, 2), since(2, 1, 2, 1)] == [0, 0, 0, 1, 3]


# A loss that is not finite


@pytest.fixture
def fail_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Any], None]:
    """Return a function after which the n-th batch's loss is changed, or raises."""
    real = LightXMLNetwork.loss

    def fail(n: int, how: Callable[[torch.Tensor], torch.Tensor]) -> None:
        calls = iter(range(1, 1_000))

        def loss(network: LightXMLNetwork, *arguments: Any) -> torch.Tensor:
            value = real(network, *arguments)
            return how(value) if next(calls) == n else value

        monkeypatch.setattr(LightXMLNetwork, "loss", loss)

    return fail


def test_the_error_names_the_step_and_its_documents(
    make_classifier: Make, documents: Documents, fail_at: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = documents
    made: list[list[int]] = []
    collate = lightxml.training.loop.collate

    def noting(documents: Any, rows: np.ndarray, *arguments: Any, **named: Any) -> Any:
        made.append(rows.tolist())
        return collate(documents, rows, *arguments, **named)

    monkeypatch.setattr(lightxml.training.loop, "collate", noting)
    fail_at(5, lambda loss: loss * float("nan"))
    model = make_classifier(accumulate=2)
    with pytest.raises(NonFiniteLossError, match="The loss is nan at step 3, on the doc") as caught:
        model.fit(X, y)
    assert caught.value.step == 3
    assert caught.value.documents == sorted(made[4] + made[5])
    assert f"documents {', '.join(map(str, caught.value.documents))} of X" in str(caught.value)
    assert not hasattr(model, "network_")


def test_with_documents_set_aside_the_numbers_are_the_callers(
    make_classifier: Make, documents: Documents, fail_at: Fail
) -> None:
    X, y = documents
    fail_at(1, lambda loss: loss * float("inf"))
    params = {**STOPPING, "batch_size": 100, "validation_fraction": 0.5}
    with pytest.raises(NonFiniteLossError, match=r"and 10 more of X\. Lower") as caught:
        make_classifier(**params).fit(X, y)
    numbers = caught.value.documents
    assert len(numbers) == 30
    assert max(numbers) >= 30, "drawn from all"


def test_the_last_good_weights_stay_in_the_network_and_in_the_checkpoint(
    make_classifier: Make,
    documents: Documents,
    fail_at: Fail,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    monkeypatch.setattr("lightxml.training.checkpoints.Checkpoints.is_due", lambda self, **_: True)
    expected = make_classifier().fit(*documents)
    model = make_classifier(checkpoint_dir=tmp_path)
    networks: list[LightXMLNetwork] = []

    def spoil(loss: torch.Tensor) -> torch.Tensor:
        return loss * float("nan")

    train = lightxml.fitting.network.train

    def spy(network: LightXMLNetwork, *arguments: Any) -> Any:
        networks.append(network)
        return train(network, *arguments)

    monkeypatch.setattr(lightxml.fitting.network, "train", spy)
    with monkeypatch.context():
        fail_at(6, spoil)
        with pytest.raises(NonFiniteLossError):
            model.fit(*documents)
    assert all(bool(p.isfinite().all()) for p in networks[0].parameters())
    fail_at(0, spoil)  # mended
    model.fit(*documents)
    assert model.history_ == expected.history_
    assert np.array_equal(
        model.decision_function(documents[0]), expected.decision_function(documents[0])
    )


def test_weights_that_are_not_finite_are_not_kept(
    make_classifier: Make, documents: Documents, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A finite loss may have a gradient that is not."""
    monkeypatch.setattr("lightxml.training.checkpoints.Checkpoints.is_due", lambda self, **_: True)
    real = LightXMLNetwork.loss
    calls = iter(range(1, 1_000))

    def loss(network: LightXMLNetwork, *arguments: Any) -> torch.Tensor:
        value = real(network, *arguments)
        if next(calls) == 3:
            value.register_hook(lambda gradient: gradient * float("inf"))
        return value

    monkeypatch.setattr(LightXMLNetwork, "loss", loss)
    model = make_classifier(checkpoint_dir=tmp_path)
    with pytest.raises(NonFiniteLossError, match="The weights hold NaN or infinite values after s"):
        model.fit(*documents)
    monkeypatch.setattr(LightXMLNetwork, "loss", real)
    model.fit(*documents)
    expected = make_classifier().fit(*documents)
    assert model.history_ == expected.history_


@pytest.mark.gpu
def test_on_a_gpu_the_loss_is_read_a_step_late(
    make_classifier: Make, documents: Documents, fail_at: Fail
) -> None:
    fail_at(5, lambda loss: loss * float("nan"))
    with pytest.raises(NonFiniteLossError, match="The loss is nan at step 5"):
        make_classifier(device="cuda").fit(*documents)


# Memory


def test_a_gpu_without_enough_memory_gives_advice_and_frees_what_was_held(
    make_classifier: Make, documents: Documents, fail_at: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = documents
    networks: list[weakref.ref] = []
    train = lightxml.fitting.network.train

    def spy(network: LightXMLNetwork, *arguments: Any) -> Any:
        networks.append(weakref.ref(network))
        return train(network, *arguments)

    def out_of_memory(loss: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nMore.")

    model = make_classifier(max_epochs=1).fit(X, y)
    before = model.decision_function(X)
    monkeypatch.setattr(lightxml.fitting.network, "train", spy)
    fail_at(3, out_of_memory)
    with pytest.raises(
        DeviceMemoryError, match=r"batch_size .* accumulate .* max_length"
    ) as caught:
        model.fit(X, y)
    assert str(caught.value).endswith("Cause: CUDA out of memory. Tried to allocate 20.00 MiB.")
    assert networks[0]() is None, "freed while the error is still at hand"
    assert np.array_equal(model.decision_function(X), before)
