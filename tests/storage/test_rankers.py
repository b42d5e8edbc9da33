"""Rankers on disk: what they say comes back bit for bit."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from lightxml import LightXMLClassifier, load
from lightxml.exceptions import BundleError
from lightxml.files.bundle import Bundle
from lightxml.files.load import load_bundle
from lightxml.files.save import save_bundle
from lightxml.rankers.final import Logistic, OfScikitLearn, mean_of, n_columns_of
from lightxml.rankers.fit_final import fit_trees
from lightxml.storage.reading import joined, split
from tests.network.test_encoders import save_pretrained

Documents = tuple[list[str], sp.csr_array]
TEXTS = {"label 1": ["Größe ☃", "sea\n\tand ocean"], "new": "history"}


def of_words(documents: Documents, labels: list[tuple[str, ...]], **params: Any) -> Any:
    model = LightXMLClassifier(
        None, features=TfidfVectorizer(), random_state=0, device="cpu", **params
    )
    return model.fit(documents[0], labels, label_texts=TEXTS)


def with_final(model: LightXMLClassifier, make: Callable[..., Any]) -> LightXMLClassifier:
    """The model with another final ranker, fitted on random opinions."""
    panel = model._model.panel
    columns = np.random.default_rng(0).random((400, n_columns_of(panel.rankers)), np.float32)
    final = make(panel.rankers, columns, columns[:, 0] > 0.5)
    model = copy.copy(model)
    model._model = replace(model._model, panel=replace(panel, final=final))
    return model


def test_files_that_change_later_change_nothing(documents: Documents, tmp_path: Path) -> None:
    """What was checked is in memory: nothing is mapped from the files."""
    of_words(documents, [("a",), ("b",)] * 30).save(tmp_path / "model")
    known = load(tmp_path / "model", "cpu").predict_topk(documents[0], 2, return_scores=True)
    loaded = load(tmp_path / "model", "cpu")
    for file in (tmp_path / "model").iterdir():
        with file.open("r+b") as stream:  # the same file, not another of its name
            stream.write(b"\xff" * (file.stat().st_size // 2))
            stream.truncate()
    found = loaded.predict_topk(documents[0], 2, return_scores=True)
    for one, other in zip(found, known, strict=True):
        np.testing.assert_array_equal(one, other)


FINALS: dict[str, Callable[..., Any]] = {
    "trees": lambda rankers, x, y: fit_trees(x, y, np.ones(len(x)), seed=0),
    "mean": lambda rankers, x, y: mean_of(rankers),
    "logistic": lambda rankers, x, y: Logistic(np.array([1, 2], np.int32), np.ones(2), -0.5),
    "own": lambda rankers, x, y: OfScikitLearn(LogisticRegression().fit(x, y)),
}


def assert_same(model: LightXMLClassifier, folder: Path, X: Any) -> LightXMLClassifier:
    model.save(folder / "model")
    loaded = load(folder / "model", "cpu")
    expected, scores = model.predict_topk(X, 3, return_scores=True)
    for other in (loaded, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        found, its_scores = other.predict_topk(X, 3, return_scores=True)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(its_scores, scores)
        assert other._model.label_texts == model._model.label_texts
    loaded.save(folder / "again")
    files = [{f.name for f in (folder / name).iterdir()} for name in ("model", "again")]
    if not any(name.endswith(".skops") for name in files[0]):  # skops numbers objects by address
        assert files[0] == files[1]
    return loaded


@pytest.fixture(scope="module")
def of_texts(documents: Documents, labels: list[tuple[str, ...]]) -> LightXMLClassifier:
    """A model of words, label texts and a preference for rare labels. Tests only read it."""
    return of_words(documents, labels, propensity_weight=1)


@pytest.mark.parametrize("name", FINALS)
def test_words_and_label_texts(
    of_texts: LightXMLClassifier,
    documents: Documents,
    labels: list[tuple[str, ...]],
    tmp_path: Path,
    name: str,
) -> None:
    model = with_final(of_texts, FINALS[name])
    loaded = assert_same(model, tmp_path, documents[0])
    assert type(loaded._model.panel.final) is type(model._model.panel.final)
    assert loaded.classes_.tolist() == [*sorted({j for row in labels for j in row}), "new"]


def test_a_frozen_encoders_vectors_and_the_network_among_rankers(
    make_classifier: Callable[..., LightXMLClassifier], documents: Documents, tmp_path: Path
) -> None:
    X, y = documents
    encoder = save_pretrained(tmp_path / "encoder", "bert")
    model = make_classifier(encoder=encoder, freeze_encoder=True, max_epochs=1, rankers="auto")
    texts = ["a sea", None, "history"] + [f"name {j}" for j in range(3, y.shape[1])]
    loaded = assert_same(model.fit(X, y, label_texts=texts), tmp_path, X)
    assert [ranker.name for ranker in loaded._model.panel.rankers] == [
        "vectors", "label_texts", "label_vectors", "network"
    ]  # fmt: skip
    assert loaded.network_.reading.pooling == "mean"


def test_an_encoder_alone_that_is_damaged_is_refused(documents: Documents, tmp_path: Path) -> None:
    X, y = documents
    encoder = save_pretrained(tmp_path / "encoder", "bert")
    model = LightXMLClassifier(
        encoder, freeze_encoder=True, rankers=("neighbors",), max_length=32, device="cpu"
    )
    model.fit(X, y).save(tmp_path / "model")
    whole = load_bundle(tmp_path / "model")
    changes: list[Callable[[dict[str, Any]], Any]] = [
        lambda manifest: manifest.update(encoder=None),
        lambda manifest: manifest["encoder"].update(encoder=None),
        lambda manifest: manifest["encoder"].update(pooling="max"),
        lambda manifest: manifest["encoder"]["encoder"].update(hidden_size=8),
        lambda manifest: manifest.update(panel=None),
    ]
    for number, change in enumerate(changes):
        manifest = copy.deepcopy(whole.manifest)
        change(manifest)
        save_bundle(Bundle(manifest, whole.blobs), tmp_path / str(number))
        with pytest.raises(BundleError):
            load(tmp_path / str(number), "cpu")


def test_numbers_with_rows_for_labels(tmp_path: Path) -> None:
    X, y = sp.csr_array(np.eye(40, 8) + 0.1), np.tile(np.eye(4, dtype=int), (10, 1))
    model = LightXMLClassifier(rankers=("neighbors", "label_texts"), device="cpu")
    model.fit(X, y, label_texts=X[:4])
    assert_same(model, tmp_path, X)


def test_an_own_final_ranker_that_skops_does_not_trust_is_refused_and_pickled(
    documents: Documents, labels: list[tuple[str, ...]], tmp_path: Path
) -> None:
    model = with_final(
        of_words(documents, labels),
        lambda rankers, x, y: OfScikitLearn(RandomForestClassifier(3, random_state=0).fit(x, y)),
    )
    with pytest.raises(TypeError, match=r"final_ranker=RandomForestClassifier.* pickle"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    again = pickle.loads(pickle.dumps(model))
    X = documents[0]
    np.testing.assert_array_equal(again.predict_topk(X), model.predict_topk(X))


def test_an_own_final_ranker_comes_back_as_the_argument_too(
    documents: Documents, labels: list[tuple[str, ...]], tmp_path: Path
) -> None:
    model = of_words(documents, labels, final_ranker=LogisticRegression(C=3))
    model.save(tmp_path)
    argument = load(tmp_path, "cpu").final_ranker
    assert argument.C == 3
    assert not hasattr(argument, "coef_")


@pytest.mark.slow
def test_labels_beyond_the_limit_of_json_are_saved_and_loaded(tmp_path: Path) -> None:
    # 1.2 million labels of 30 Cyrillic letters: 77 MB of UTF-8, and over twice that as JSON.
    texts = [
        f"{i:030}".translate(str.maketrans("0123456789", "абвгдежзик")) for i in range(1_200_000)
    ]
    X, y = sp.csr_array(np.eye(4, 8) + 0.1), sp.csr_array(np.eye(4, len(texts)))
    model = LightXMLClassifier(rankers=("neighbors",), final_ranker=None, device="cpu").fit(X, y)
    classes = np.empty(len(texts), dtype=object)
    classes[:] = texts
    model._model = replace(model._model, classes=classes)
    model.save(tmp_path)
    assert load(tmp_path, "cpu").classes_.tolist() == texts


def test_texts_come_back_whatever_they_hold() -> None:
    texts = ["", "\x00", "a" * 1000, "\ud800", "Größe, № 1 ☃", "\U0001f600"]
    assert split(*joined(texts).values()) == texts
