"""A frozen encoder: each document goes through it once, and prediction sees what training saw."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, KFold

import lightxml.runtime.memory
from lightxml import LightXMLClassifier
from lightxml.metrics import make_topk_scorer, precision_at_k
from lightxml.network.text_reader import TextReader
from lightxml.predicting.frozen import encoder_digest, summarise_all
from lightxml.runtime.ranks import Ranks
from tests.network.test_encoders import save_pretrained

Documents = tuple[list[str], sp.csr_array]
Make = Callable[..., LightXMLClassifier]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_pretrained(tmp_path_factory.mktemp("pretrained"), "bert")


@pytest.fixture
def make(make_classifier: Make, pretrained: str) -> Make:
    """Make an estimator around the frozen encoder."""
    return lambda **params: make_classifier(encoder=pretrained, freeze_encoder=True, **params)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of documents that went through the encoder, batch by batch."""
    sizes: list[int] = []
    summarise = TextReader.summarise

    def watch(network: TextReader, batch: Any, **how: bool) -> torch.Tensor:
        sizes.append(len(batch.input_ids))
        return summarise(network, batch, **how)

    monkeypatch.setattr(TextReader, "summarise", watch)
    return sizes


@pytest.mark.parametrize("given", [{}, {"final_ranker": None}])
def test_every_document_and_every_label_text_is_encoded_once_whoever_ranks(
    make: Make, documents: Documents, encoded: list[int], given: dict[str, Any]
) -> None:
    X, y = documents
    texts = [f"label {j}" for j in range(y.shape[1])]
    every = ("linear", "neighbors", "label_texts", "network")
    more = {"features": TfidfVectorizer(), "feature_dim": 8, "rankers": every, **given}
    model = make(max_epochs=2, **more).fit(X, y, label_texts=texts)
    assert [ranker.name for ranker in model.rankers_] == [
        "linear", "neighbors", "vectors", "label_texts", "label_vectors", "network"
    ]  # fmt: skip
    assert sum(encoded) == len(X) + len(texts)
    encoded.clear()
    model.predict_topk(X, 2)
    assert sum(encoded) == len(X)


def test_every_document_is_encoded_once_whatever_the_epochs(
    make: Make, documents: Documents, encoded: list[int]
) -> None:
    X, y = documents
    model = make(max_epochs=4).fit(X[:50], y[:50], X_val=X[50:], y_val=y[50:])
    assert sum(encoded) == 60
    assert [row["epoch"] for row in model.history_] == [1, 2, 3, 4]
    assert "precision_at_1" in model.history_[-1]


def test_the_encoder_stays_as_it_was_and_the_rest_learns(make: Make, documents: Documents) -> None:
    X, y = documents
    short, long = (make(max_epochs=n).fit(X, y) for n in (1, 30))
    for name, weight in short.network_.encoder.state_dict().items():
        assert torch.equal(weight, long.network_.encoder.state_dict()[name]), name
    assert long.history_[-1]["loss"] < 0.9 * short.history_[-1]["loss"]
    assert long.score(X, y) > short.score(X, y)


@pytest.mark.parametrize("features", [None, TfidfVectorizer()], ids=["alone", "with features"])
def test_prediction_sees_what_training_saw(
    make: Make, documents: Documents, features: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = documents
    seen: list[np.ndarray] = []
    fit = lightxml.network.features.Standardise.fit

    def watch(standardise: Any, values: np.ndarray) -> None:
        seen.append(values.copy())
        fit(standardise, values)

    monkeypatch.setattr("lightxml.network.features.Standardise.fit", watch)
    model = make(precision="fp32", features=features, swa_start=None).fit(X, y)
    (summaries,) = seen
    assert summaries.dtype == np.float16
    assert summaries.shape == (60, 3, 16)
    fitted = model._model
    kept = copy.copy(fitted.read(X).encoded)
    pooled = np.zeros((60, 1, 16), np.float16)  # not read by the network
    object.__setattr__(kept, "summaries", np.concatenate([summaries, pooled], axis=1))
    expected = lightxml.network.prediction.predict_logits(model.network_, kept)
    np.testing.assert_allclose(model.decision_function(X), expected, atol=2e-3)
    standardised = model.network_.standardise(torch.from_numpy(summaries))
    torch.testing.assert_close(standardised.mean(dim=0), torch.zeros(3, 16), atol=1e-2, rtol=0)


@pytest.mark.parametrize("form", [str, Path, joblib.Memory], ids=["str", "Path", "joblib"])
def test_three_seeds_encode_once(
    make: Make, documents: Documents, encoded: list[int], tmp_path: Path, form: Any
) -> None:
    X, y = documents
    memory = joblib.Memory(tmp_path, verbose=0) if form is joblib.Memory else form(tmp_path)
    models = [make(memory=memory, random_state=seed).fit(X, y) for seed in range(3)]
    assert sum(encoded) == 60
    without = make(random_state=2).fit(X, y)
    assert models[2].history_ == without.history_
    assert np.array_equal(models[2].decision_function(X), without.decision_function(X))


def test_a_grid_search_encodes_each_document_once_but_for_the_first_folds_score(
    make: Make, documents: Documents, encoded: list[int], tmp_path: Path
) -> None:
    X, y = documents
    search = GridSearchCV(
        make(memory=tmp_path, max_epochs=1),
        {"head_learning_rate": [1e-3, 1e-2, 3e-2]},
        scoring=make_topk_scorer(precision_at_k, k=1),
        cv=KFold(3),
    ).fit(X, y)
    total = sum(encoded)
    assert 60 <= total <= 60 + 20  # the first fold was scored before a fit had kept it
    search.predict(X)
    assert sum(encoded) == total


def test_other_weights_layers_or_precision_are_not_taken_for_these(
    make: Make, documents: Documents, encoded: list[int], tmp_path: Path
) -> None:
    X, y = documents
    first = make(memory=tmp_path, max_epochs=1, precision="fp32").fit(X, y)
    digests = {encoder_digest(first.network_)}
    make(memory=tmp_path, max_epochs=1, precision="fp32", n_feature_layers=2).fit(X, y)
    assert sum(encoded) == 120
    first.network_.autocast_dtype = torch.bfloat16
    digests.add(encoder_digest(first.network_))
    with torch.no_grad():
        next(first.network_.encoder.parameters())[0] += 1
    digests.add(encoder_digest(first.network_))
    assert len(digests) == 3


def test_several_processes_encode_a_share_each(
    make: Make, documents: Documents, encoded: list[int]
) -> None:
    X, y = documents
    model = make(max_epochs=1).fit(X, y)
    tokens = model._model.read(X).encoded.tokens
    encoded.clear()
    whole = summarise_all(model.network_, tokens)
    first, second = (summarise_all(model.network_, tokens, ranks=Ranks(rank, 2)) for rank in (0, 1))
    assert sum(encoded) == 60 + 60
    np.testing.assert_allclose(np.concatenate([first[:30], second[30:]]), whole, atol=2e-3)


def test_the_weights_are_digested_once_a_network(
    make: Make, documents: Documents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = documents
    digested = []
    digest = lightxml.predicting.frozen._digest_of_weights
    monkeypatch.setattr(
        "lightxml.predicting.frozen._digest_of_weights",
        lambda encoder: digested.append(encoder) or digest(encoder),
    )
    model = make(max_epochs=1, memory=tmp_path).fit(X, y)
    for _ in range(3):
        model.predict_topk(X[:2], 1)
    assert len(digested) == 1


def test_a_damaged_file_in_memory_is_passed_over_with_a_warning(
    make: Make, documents: Documents, encoded: list[int], tmp_path: Path
) -> None:
    X, y = documents
    expected = make(memory=tmp_path).fit(X, y).decision_function(X)
    (file,) = (f for f in tmp_path.rglob("*.npy") if not f.name.endswith(".keys.npy"))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.warns(UserWarning, match=r"memory: .* cannot be read .* encoded again"):
        again = make(memory=tmp_path).fit(X, y)
    assert sum(encoded) == 120
    with pytest.warns(UserWarning, match="passed over"):
        assert np.array_equal(again.decision_function(X), expected)


def test_many_summaries_go_to_a_nameless_file(
    make: Make, documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = documents
    expected = make().fit(X, y)
    arrays = []
    make_array = lightxml.runtime.memory.make_array

    def watch(shape: tuple[int, ...], dtype: type) -> np.ndarray:
        arrays.append(make_array(shape, dtype))
        return arrays[-1]

    monkeypatch.setattr("lightxml.predicting.frozen.make_array", watch)
    monkeypatch.setattr("lightxml.runtime.memory.free_memory", lambda: 4 * 60 * 4 * 16 * 2 - 1)
    model = make().fit(X, y)
    assert isinstance(arrays[0], np.memmap)
    assert model.history_ == expected.history_
    assert np.array_equal(model.decision_function(X), expected.decision_function(X))
    monkeypatch.setattr("lightxml.runtime.memory.free_memory", lambda: 4 * 60 * 4 * 16 * 2)
    make().fit(X, y)
    assert not isinstance(arrays[-1], np.memmap)


def test_what_free_memory_says_is_a_sensible_number() -> None:
    free = lightxml.runtime.memory.free_memory()
    assert free is None or 2**20 < free < 2**50


def test_random_weights_are_not_frozen(make: Make, documents: Documents) -> None:
    with pytest.raises(ValueError, match="freeze_encoder=True would keep the random weights"):
        make().set_params(encoder="tiny").fit(*documents)


def test_encoding_shows_how_far_it_is(
    make: Make, documents: Documents, capfd: pytest.CaptureFixture[str]
) -> None:
    make(max_epochs=1, verbose=1).fit(*documents)
    assert "lightxml: 60 documents to encode once" in capfd.readouterr().err
