"""`LightXMLClassifier` with its rankers: who proposes, who scores, who decides, what it costs."""

from __future__ import annotations

import pickle
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.special import expit
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier, LightXMLEnsemble, load
from lightxml.fitting import network, rankers
from lightxml.metrics import propensities
from lightxml.predicting.fitted import represented
from lightxml.rankers.final import LOWEST, Mean, OfScikitLearn
from lightxml.rankers.fit_panel import fit_panel
from lightxml.rankers.vectors import directions
from tests.network.test_encoders import save_pretrained
from tests.predicting.test_frozen import encoded  # noqa: F401

N_LABELS, N_DOCUMENTS = 24, 150
NEW = "label 24"  # it has a text, but no document
LABEL_TEXTS = {f"label {j:02}": [f"name{j}", f"synonym{j}"] for j in range(N_LABELS + 1)}
Make = Callable[..., LightXMLClassifier]


def draw(n: int, seed: int) -> tuple[list[str], list[tuple[str, ...]]]:
    """Documents of two labels each; most hold the names of these, and words of theirs."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for i in range(n):
        own = {i % N_LABELS, int(rng.integers(N_LABELS))}
        words = [f"noise{rng.integers(40)}" for _ in range(3)]
        for label in own:
            words += [f"name{label}"] * (rng.random() < 0.9) + [f"word{label}"]
        texts.append(" ".join(words))
        labels.append(tuple(f"label {label:02}" for label in sorted(own)))
    return texts, labels


X, Y = draw(N_DOCUMENTS, 0)
X_NEW, Y_NEW = draw(60, 1)
MATRIX = np.array([[f"label {j:02}" in own for j in range(N_LABELS)] for own in Y], dtype=int)


def words(**params: Any) -> LightXMLClassifier:
    """Return an estimator that reads words alone."""
    return LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0, **params)


@pytest.fixture(scope="module")
def plain() -> LightXMLClassifier:
    """Linear classifiers and neighbors, averaged: fitted in a moment. Tests only read it."""
    return words(final_ranker=None).fit(X, MATRIX)


@pytest.fixture(scope="module")
def model() -> LightXMLClassifier:
    """All that words can do, and a label without a document. Tests only read it."""
    return words().fit(X, Y, label_texts=LABEL_TEXTS)


def names(model: LightXMLClassifier) -> list[str]:
    return [ranker.name for ranker in model.rankers_]


def ranker(model: LightXMLClassifier, name: str) -> Any:
    return model.rankers_[names(model).index(name)]


def proposed(model: LightXMLClassifier, texts: list[str]) -> np.ndarray:
    """Which labels any ranker proposes, (n_documents, n_labels)."""
    documents = model._model.read(texts)
    found = [each.propose(documents, 50).toarray() != 0 for each in model.rankers_]
    return np.logical_or.reduce(found)


# Who ranks --------------------------------------------------------------------------------------


def test_words_alone_rank_what_linear_classifiers_and_neighbors_say(
    plain: LightXMLClassifier,
) -> None:
    assert names(plain) == ["linear", "neighbors"]
    assert plain.network_ is None
    assert (plain.history_, plain.n_iter_, plain.tokenizer_) == ([], 0, None)
    said = plain.decision_function(X_NEW) > LOWEST
    np.testing.assert_array_equal(said, proposed(plain, X_NEW))
    assert 0 < said.mean() < 1
    truth = [tuple(int(label[-2:]) for label in own) for own in Y_NEW]
    best = plain.predict_topk(X_NEW, 1)[:, 0]
    assert np.mean([label in own for label, own in zip(best, truth, strict=True)]) > 0.9


def test_the_plain_mean_is_that_of_the_rankers_probabilities(plain: LightXMLClassifier) -> None:
    assert isinstance(plain.final_ranker_, Mean)
    documents = plain._model.read(X_NEW)
    pairs = sp.csr_array(proposed(plain, X_NEW).astype(np.float32))
    linear, neighbors = (each.score(documents, pairs) for each in plain.rankers_)
    expected = (expit(4 * linear[:, 0]) + neighbors.mean(axis=1)) / 2
    found = plain.predict_proba(X_NEW)[pairs.toarray() > 0]
    np.testing.assert_allclose(found, expected.clip(1e-7, 1 - 1e-7), atol=1e-6)


def test_a_classifier_of_the_users_own_decides() -> None:
    own = DummyClassifier(strategy="prior")
    model = words(final_ranker=own).fit(X, MATRIX)
    assert isinstance(model.final_ranker_, OfScikitLearn)
    assert not hasattr(own, "classes_"), "a copy is fitted"
    labels, scores = model.predict_topk(X_NEW, 2, return_scores=True)
    assert len(np.unique(scores)) == 1  # it says the same of all
    first = [np.flatnonzero(row)[:2].tolist() for row in proposed(model, X_NEW)]
    assert labels.tolist() == first


def test_a_frozen_encoders_vectors_are_one_more_opinion(
    make_classifier: Make, tmp_path: Path
) -> None:
    encoder = save_pretrained(tmp_path / "encoder", "bert")
    given = {"encoder": encoder, "freeze_encoder": True, "features": TfidfVectorizer()}
    rankers = ("linear", "neighbors", "network")
    model = make_classifier(rankers=rankers, feature_dim=16, **given).fit(X[:72], MATRIX[:72])
    assert names(model) == ["linear", "neighbors", "vectors", "network"]
    assert len(ranker(model, "vectors").keys) == 72
    one_by_one = np.concatenate([model.decision_function([text]) for text in X_NEW[:5]])
    np.testing.assert_allclose(one_by_one, model.decision_function(X_NEW[:5]), atol=1e-4)


@pytest.mark.parametrize("params", [{}, {"validation_fraction": 0.2}, {"final_ranker": None}])
def test_a_frozen_encoder_is_compared_by_without_a_network(
    tmp_path: Path,
    encoded: list[int],  # noqa: F811
    params: dict[str, Any],
) -> None:
    encoder = save_pretrained(tmp_path / "encoder", "bert")
    without = {"max_length": 32, **params}  # as "auto" decides
    model = LightXMLClassifier(
        encoder, features=TfidfVectorizer(), freeze_encoder=True, random_state=0, **without
    ).fit(X, Y, label_texts=LABEL_TEXTS)
    assert names(model) == ["linear", "neighbors", "vectors", "label_texts", "label_vectors"]
    assert model.network_ is None
    assert model.history_ == []
    assert sum(encoded) == len(X) + 2 * len(LABEL_TEXTS)
    encoded.clear()
    labels, scores = model.predict_topk(X_NEW, 3, return_scores=True)
    assert sum(encoded) == len(X_NEW)
    model.save(tmp_path / "model")
    for other in (load(tmp_path / "model", "cpu"), pickle.loads(pickle.dumps(model))):
        again, its_scores = other.predict_topk(X_NEW, 3, return_scores=True)
        np.testing.assert_array_equal(again, labels)
        np.testing.assert_array_equal(its_scores, scores)
        assert other.tokenizer_.to_str() == model.tokenizer_.to_str()


@pytest.mark.parametrize("given", [{}, {"X_val": X_NEW, "y_val": Y_NEW}])
def test_a_trained_encoders_vectors_are_compared_as_training_leaves_them(
    make_classifier: Make,
    tmp_path: Path,
    encoded: list[int],  # noqa: F811
    given: dict[str, Any],
) -> None:
    model = make_classifier(features=TfidfVectorizer(), feature_dim=8, rankers="auto", max_epochs=1)
    model.fit(X, Y, label_texts=LABEL_TEXTS, **given)
    assert names(model)[2:] == ["vectors", "label_texts", "label_vectors", "network"]
    of_encoder = model.network_.encoder
    assert all(weight.requires_grad for weight in of_encoder.parameters())
    encoded.clear()
    labels, scores = model.predict_topk(X_NEW, 3, return_scores=True)
    assert sum(encoded) == len(X_NEW), "both in one pass"
    by_vectors = ranker(model, "vectors")
    read = represented(model._model, model._read(X))
    expected = directions(read.vectors, by_vectors.centre)
    np.testing.assert_allclose(by_vectors.keys, expected, atol=2e-3)  # float16
    model.save(tmp_path / "model")
    for other in (load(tmp_path / "model", "cpu"), pickle.loads(pickle.dumps(model))):
        again, its_scores = other.predict_topk(X_NEW, 3, return_scores=True)
        np.testing.assert_array_equal(again, labels)
        np.testing.assert_array_equal(its_scores, scores)


def test_neighbors_by_a_trained_encoders_vectors_need_no_features(make_classifier: Make) -> None:
    model = make_classifier(rankers=("neighbors", "network"), max_epochs=1).fit(X, Y)
    assert names(model) == ["vectors", "network"]
    model.partial_fit(X_NEW, Y_NEW)
    assert len(ranker(model, "vectors").keys) == len(X) + len(X_NEW)


def test_its_vectors_alone_rank_and_memory_keeps_them(
    tmp_path: Path,
    encoded: list[int],  # noqa: F811
) -> None:
    encoder = save_pretrained(tmp_path / "encoder", "bert")
    model = LightXMLClassifier(
        encoder, freeze_encoder=True, rankers=("neighbors",), max_length=32, random_state=0,
        memory=tmp_path / "kept",
    )  # fmt: skip
    assert names(model.fit(X, Y)) == ["vectors"]
    first = model.predict_topk(X, 2)
    encoded.clear()
    np.testing.assert_array_equal(model.fit(X, Y).predict_topk(X, 2), first)
    assert encoded == []
    for params, message in (
        ({"se_block": True}, "se_block=True is about a network that reads"),
        ({"rankers": ("linear",), "features": TfidfVectorizer()}, "reads no encoder, and there is"),
    ):
        with pytest.raises(ValueError, match=message):
            clone(model).set_params(**params).fit(X, Y)


def test_a_dense_matrix_is_ranked_by_its_network_and_told_so() -> None:
    numbers = np.asarray(plain_rows().toarray())
    model = LightXMLClassifier(None, max_epochs=1, feature_dim=8, random_state=0)
    assert model.fit(numbers, MATRIX).rankers_ == ()
    assert model.final_ranker_ is None
    assert model.n_iter_ == 1


def plain_rows() -> Any:
    return TfidfVectorizer().fit_transform(X)


# Labels with texts ------------------------------------------------------------------------------


def test_a_label_without_a_document_is_predicted_where_its_words_are(
    model: LightXMLClassifier,
) -> None:
    assert names(model) == ["linear", "neighbors", "label_texts"]
    assert model.classes_.tolist() == sorted(LABEL_TEXTS)
    assert model.label_texts_ == tuple(tuple(LABEL_TEXTS[c]) for c in model.classes_)
    found = model.predict_topk(["name24 noise1", "synonym24 noise2", "name3 word3"], 1)
    assert found.tolist() == [[NEW], [NEW], ["label 03"]]
    assert model._model.panel.counts[-1] == 0


def test_a_label_without_a_document_is_sorted_among_the_others() -> None:
    texts = LABEL_TEXTS | {"a first one": "name3"}
    model = words(final_ranker=None).fit(X, Y, label_texts=texts)
    assert model.classes_.tolist() == ["a first one", *sorted(LABEL_TEXTS)]
    assert model.predict_topk(["word3"], 1)[0, 0] == "label 03"
    counts = np.concatenate([[0], MATRIX.sum(axis=0), [0]])
    assert model._model.panel.counts.tolist() == counts.tolist()


def test_an_indicator_matrix_takes_a_text_for_each_column() -> None:
    y = np.hstack([MATRIX, np.zeros((N_DOCUMENTS, 2), dtype=int)])
    texts = [f"name{j}" for j in range(N_LABELS + 1)] + [None]
    model = words(final_ranker=None).fit(X, y, label_texts=texts)
    assert model.classes_.tolist() == list(range(N_LABELS + 2))
    assert model.predict_topk(["name24"], 1).tolist() == [[24]]
    assert model.label_texts_ is not None
    assert model.label_texts_[-1] == ()
    assert model.predict(X_NEW).shape == (60, N_LABELS + 2)


def test_labels_of_a_numeric_matrix_are_described_by_its_columns() -> None:
    vectorizer = TfidfVectorizer().fit(X)
    rows = vectorizer.transform([f"name{j} word{j}" for j in range(N_LABELS)])
    y = MATRIX.copy()
    y[:, 3] = 0
    model = LightXMLClassifier(None, final_ranker=None, random_state=0)
    model.fit(vectorizer.transform(X), y, label_texts=rows)
    assert names(model) == ["linear", "neighbors", "label_texts"]
    assert model.label_texts_ is None  # they are numbers
    label, score = model.predict_topk(vectorizer.transform(["name3 word3"]), 2, return_scores=True)
    assert 3 in label
    assert score[label == 3] > 0.1


@pytest.mark.parametrize(
    ("params", "given", "error", "message"),
    [
        ({}, {"label_texts": ["a", "b"]}, ValueError, "label_texts has 2 entries, but y has 24"),
        ({"rankers": ("trees",)}, {}, ValueError, "rankers is .* expected .*'linear', 'neighbors'"),
        ({"rankers": ()}, {}, ValueError, r"rankers is \(\); expected"),
        ({"rankers": "linear"}, {}, TypeError, "rankers is 'linear'; expected"),
        ({"final_ranker": "best"}, {}, TypeError, "final_ranker is 'best'; expected 'auto', None"),
        ({"features": None, "encoder": "tiny", "rankers": ("linear", "network")}, {}, ValueError,
         r"rankers has 'linear', which needs sparse features: pass features=TfidfVectorizer\(\)"),
        ({"rankers": ("linear", "label_texts")}, {}, ValueError,
         "rankers has 'label_texts', which needs the texts of labels: pass label_texts to fit"),
        ({"rankers": ("linear",)}, {"label_texts": [f"t{j}" for j in range(N_LABELS)]},
         ValueError, "reads no label_texts, and there is one here. Add 'label_texts' to rankers"),
        ({"encoder": "tiny", "rankers": ("linear",)}, {}, ValueError,
         "reads no encoder, and there is one here. Add 'network' to rankers"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_named_before_the_expensive_part(
    monkeypatch: pytest.MonkeyPatch,
    params: dict[str, Any],
    given: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    for name in ("fit.fit_rankers", "network.fit_network_alone"):
        monkeypatch.setattr(f"lightxml.fitting.{name}", lambda *args: pytest.fail("it was fitted"))
    with pytest.raises(error, match=message):
        words().set_params(**params).fit(X, MATRIX, **given)


def test_neighbors_of_a_dense_matrix_are_refused() -> None:
    model = LightXMLClassifier(None, rankers=("neighbors", "network"))
    with pytest.raises(ValueError, match="'neighbors', which needs sparse features, or an encod"):
        model.fit(plain_rows().toarray(), MATRIX)


def test_a_numeric_matrix_takes_no_texts_of_labels() -> None:
    with pytest.raises(TypeError, match="label_texts is of type list; X is numeric, so expected"):
        LightXMLClassifier(None).fit(plain_rows(), MATRIX, label_texts=["a"] * N_LABELS)


# Held out ---------------------------------------------------------------------------------------


def test_validation_documents_fit_the_final_ranker_and_never_join_the_rankers() -> None:
    """A label that only they have has no document, and what they say of labels is believed."""
    seen = [(*own, NEW) for own in Y_NEW]
    true = words().fit(X, Y, label_texts=LABEL_TEXTS, X_val=X_NEW, y_val=seen)
    neighbors = ranker(true, "neighbors")
    assert neighbors.rows.shape[0] == true._model.panel.n_documents == N_DOCUMENTS
    assert neighbors.y[:, [N_LABELS]].nnz == true._model.panel.counts[N_LABELS] == 0
    false = words().fit(X, Y, label_texts=LABEL_TEXTS, X_val=X_NEW, y_val=Y_NEW[7:] + Y_NEW[:7])
    best = [m.predict_topk(X, 1, return_scores=True)[1].mean() for m in (true, false)]
    assert best[0] > 0.8
    assert best[1] < 0.4


@pytest.fixture
def held_out(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The numbers of the documents that fits hold out, fit by fit."""
    numbers: list[np.ndarray] = []

    def watch(*args: Any, **named: Any) -> Any:
        numbers.append(named["held_out"][0])
        return fit_panel(*args, **named)

    monkeypatch.setattr(rankers, "fit_panel", watch)
    return numbers


def test_a_network_never_learns_the_documents_held_out(
    make_classifier: Make, monkeypatch: pytest.MonkeyPatch, held_out: list[np.ndarray]
) -> None:
    learned: list[list[str]] = []
    fit_network = network.fit_network

    def watch(task: Any, inputs: Any, *args: Any) -> Any:
        learned.append(inputs.texts)
        return fit_network(task, inputs, *args)

    monkeypatch.setattr(network, "fit_network", watch)
    texts = [f"{text} number{i}" for i, text in enumerate(X)]
    model = make_classifier(
        features=TfidfVectorizer(), feature_dim=16, rankers="auto", max_epochs=1,
        validation_fraction=30,
    ).fit(texts, MATRIX)  # fmt: skip
    assert names(model) == ["linear", "neighbors", "vectors", "network"]
    kept = set(range(N_DOCUMENTS)) - set(held_out[0].tolist())
    assert [int(text.rpartition("number")[2]) for text in learned[0]] == sorted(kept)
    assert ranker(model, "neighbors").rows.shape[0] == N_DOCUMENTS


def test_where_nothing_would_be_left_the_error_says_so() -> None:
    with pytest.raises(ValueError, match=r"validation_fraction=150 holds 150 of 150 documents out"):
        words(validation_fraction=N_DOCUMENTS).fit(X, MATRIX)


# What is said -----------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads(
    model: LightXMLClassifier,
) -> None:
    again = words(n_jobs=2).fit(X, Y, label_texts=LABEL_TEXTS)
    assert np.array_equal(again.decision_function(X_NEW), model.decision_function(X_NEW))


def test_what_nobody_proposes_has_probability_0(model: LightXMLClassifier) -> None:
    unsaid = ~proposed(model, ["word3"])
    assert 5 < unsaid.sum() < N_LABELS
    assert (model.decision_function(["word3"])[unsaid] == LOWEST).all()
    assert model.predict_proba(["word3"])[unsaid].max() < 1e-40
    labels, scores = model.predict_topk(["word3"], N_LABELS + 1, return_scores=True)
    assert sorted(labels[0]) == model.classes_.tolist()
    assert scores[0, -1] < 1e-40


@pytest.mark.parametrize("which", ["plain", "model"])
def test_a_document_without_a_known_word_gets_the_labels_frequencies(
    which: str, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(which)
    expected = np.zeros(len(model.classes_))
    expected[:N_LABELS] = MATRIX.mean(axis=0)
    np.testing.assert_allclose(model.predict_proba(["", "xqzzy"]), [expected] * 2, atol=1e-6)
    given = model.predict(["", "xqzzy"])
    assert not np.asarray(given).any() if which == "plain" else list(map(len, given)) == [0, 0]


def test_rare_labels_are_raised_and_those_without_a_document_as_if_they_had_one(
    model: LightXMLClassifier,
) -> None:
    raised = words(propensity_weight=1.5).fit(X, Y, label_texts=LABEL_TEXTS)
    counts = np.append(MATRIX, np.zeros((N_DOCUMENTS, 1), dtype=int), axis=1)
    counts[0, -1] = 1
    texts = [*X_NEW, "name24"]
    said = proposed(model, texts)
    change = raised.decision_function(texts) - model.decision_function(texts)
    expected = np.where(said, -1.5 * np.log(propensities(counts)), 0)
    np.testing.assert_allclose(change, expected, atol=1e-4)
    assert said[-1, -1]


# A good citizen ---------------------------------------------------------------------------------


def test_a_copy_says_the_same(model: LightXMLClassifier) -> None:
    twin = pickle.loads(pickle.dumps(model))
    assert np.array_equal(twin.decision_function(X_NEW), model.decision_function(X_NEW))
    assert twin.label_texts_ == model.label_texts_
    assert names(twin) == names(model)


def test_a_failed_fit_leaves_the_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model = words(final_ranker=None).fit(X, MATRIX)
    expected = model.decision_function(X_NEW)

    def fail(*args: Any, **named: Any) -> Any:
        raise RuntimeError("the power went out")

    monkeypatch.setattr(rankers, "fit_panel", fail)
    with pytest.raises(RuntimeError, match="power"):
        model.fit(X_NEW, MATRIX[:60, :5])
    assert np.array_equal(model.decision_function(X_NEW), expected)


def test_the_callers_random_states_are_left_alone() -> None:
    own = np.random.RandomState(5)
    of_numpy = np.random.get_state()[1].copy()  # noqa: NPY002
    before = random.getstate(), of_numpy, torch.get_rng_state()
    first, second = (
        words(rankers=("linear", "neighbors"), validation_fraction=40)
        .set_params(random_state=own)
        .fit(X, MATRIX)
        .decision_function(X_NEW)
        for _ in range(2)
    )
    assert np.array_equal(first, second)
    assert random.getstate() == before[0]
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


def test_nothing_of_documents_times_labels_is_made(plain: LightXMLClassifier) -> None:
    plain.predict_topk(X, 5)  # what the first fit and prediction import and compile is not measured
    n_documents, n_labels = 2_500, 7_500
    rows = np.repeat(np.arange(n_documents), n_labels // n_documents)
    ones, columns = np.ones(n_labels, dtype=np.int8), np.arange(n_labels)
    y = sp.csr_array((ones, (rows, columns)), shape=(n_documents, n_labels))
    rng = np.random.default_rng(0)
    words_of = rng.integers(3_000, size=(n_documents, 12))
    texts = [" ".join(f"w{word}" for word in own) for own in words_of]
    model = words(final_ranker=None)
    tracemalloc.start()
    try:
        model.fit(texts, y)
        _, fit = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        assert model.predict_topk(texts, 5).shape == (n_documents, 5)
        _, predict = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert fit < n_documents * n_labels  # not even a byte for each pair
    assert predict - before < n_documents * n_labels


# Several of them --------------------------------------------------------------------------------


def test_an_ensemble_averages_what_its_members_say() -> None:
    members = [
        words(final_ranker=None, rankers=(one, "label_texts")) for one in ("linear", "neighbors")
    ]
    model = LightXMLEnsemble(estimators=members).fit(X, Y, label_texts=LABEL_TEXTS)
    assert [names(member)[0] for member in model.estimators_] == ["linear", "neighbors"]
    texts = [*X_NEW, "name24"]
    labels, scores = model.predict_topk(texts, 3, return_scores=True)
    assert labels[-1, 0] == NEW
    said = np.logical_or.reduce([proposed(member, texts) for member in model.estimators_])
    pairs = sp.csr_array(said.astype(np.float32))
    expected = np.zeros(said.shape)
    for member in model.estimators_:
        logits = member._model.logits_of(member._model.read(texts), pairs)
        expected[said] += expit(logits.astype(np.float64)) / 2
    found = model.predict_proba(texts)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    columns = np.searchsorted(model.classes_, labels)
    np.testing.assert_allclose(scores, np.take_along_axis(found, columns, axis=1), atol=1e-6)
    np.testing.assert_array_equal(columns, np.argsort(-expected, axis=1, kind="stable")[:, :3])


def test_an_ensemble_too_gives_a_document_without_a_known_word_the_frequencies() -> None:
    model = LightXMLEnsemble(words(final_ranker=None), n_estimators=2).fit(X, MATRIX)
    expected = MATRIX.mean(axis=0)
    np.testing.assert_allclose(model.predict_proba(["xqzzy"])[0], expected, atol=1e-6)
    labels, scores = model.predict_topk(["xqzzy"], 3, return_scores=True)
    np.testing.assert_array_equal(labels[0], np.argsort(-expected, kind="stable")[:3])
    np.testing.assert_allclose(scores[0], -np.sort(-expected)[:3], atol=1e-6)


def test_without_k_there_are_five_labels_or_as_many_as_there_are() -> None:
    few = LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0)
    few.fit(["cats purr", "dogs bark", "hens cluck"] * 4, [["cat"], ["dog"], ["hen"]] * 4)
    assert few.predict_topk(["a cat"]).shape == (1, 3)
    with pytest.raises(ValueError, match="k=5 is more than the 3 labels"):
        few.predict_topk(["a cat"], 5)
