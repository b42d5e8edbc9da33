"""A linear classifier for each label: what it says, when it is asked, that it is kept."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from joblib import parallel_config
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

from lightxml import LightXMLClassifier, LightXMLEnsemble, load
from lightxml.data.documents import Documents as Read
from lightxml.fitting.support_vectors import fit_classifiers
from lightxml.inspection import explain
from lightxml.metrics import propensities
from lightxml.network.batches import SparseBatch, collate
from lightxml.network.heads.base import Shares
from lightxml.network.linear import LinearClassifiers
from tests.network.test_encoders import save_pretrained

Documents = tuple[list[str], sp.csr_array]
Task = tuple[sp.csr_array, sp.csr_array]
SMALL: dict[str, Any] = {
    "feature_dim": 8, "max_epochs": 2, "neighbor_weight": 0, "random_state": 0, "device": "cpu"
}  # fmt: skip
CLUSTERS = {"label_clusters": True, "max_cluster_size": 3, "n_candidate_clusters": 4}


@pytest.fixture
def task(documents: Documents) -> Task:
    """TF-IDF features of sixty documents, and their labels."""
    return sp.csr_array(TfidfVectorizer().fit_transform(documents[0])), documents[1]


def margins(made: LinearClassifiers, features: sp.csr_array) -> np.ndarray:
    """Return every classifier's margin of every document."""
    rows = np.arange(features.shape[0])
    batch = collate(Read(features=features), rows, 0, torch.device("cpu")).features
    added = made(batch)(0, len(made.bias)).numpy()  # type: ignore[arg-type]
    return added * (1 - made.weight) / made.weight / 4


def of(X: sp.csr_array, y: sp.csr_array, candidates: np.ndarray) -> LinearClassifiers:
    return LinearClassifiers(*fit_classifiers(X, y, candidates, seed=0), 0.5)


def every_label(y: sp.csr_array) -> np.ndarray:
    return np.tile(np.arange(y.shape[1]), (y.shape[0], 1))


def test_each_is_scikit_learns_where_every_document_is_seen(task: Task) -> None:
    X, y = task
    X = sp.csr_array(normalize(X).astype(np.float32))
    made = of(X, y, every_label(y))
    for label in range(y.shape[1]):
        own = LinearSVC(C=1.0, dual=True, random_state=0).fit(X, y[:, [label]].toarray()[:, 0])
        np.testing.assert_allclose(margins(made, X)[:, label], own.decision_function(X), atol=0.1)


def test_negatives_are_documents_for_which_the_label_is_likely() -> None:
    n, rare = 2_000, 20
    rng = np.random.default_rng(0)
    words = sp.csr_array(normalize(sp.random_array((n, 50), density=0.1, rng=rng)))
    X = sp.csr_array(words.astype(np.float32))
    y = sp.csr_array((np.ones(rare), (np.arange(rare), np.zeros(rare, int))), shape=(n, 2))
    # The label's twin words, in a hundred documents that lack it: those it must be told from.
    X = sp.lil_array(X)
    X[: rare + 100, 0] = 3.0
    X[:rare, 1] = 0.5
    X = sp.csr_array(normalize(sp.csr_array(X)).astype(np.float32))
    twins = slice(rare, rare + 100)
    unlikely, likely = np.ones((n, 1), int), np.ones((n, 1), int)
    likely[twins] = 0
    told = {
        name: margins(of(X, y, candidates), X)[twins, 0].mean()
        for name, candidates in {"unlikely": unlikely, "likely": likely}.items()
    }
    assert told["likely"] < told["unlikely"] - 0.1


def test_a_label_of_no_or_all_documents_gets_the_same_everywhere(task: Task) -> None:
    X, _ = task
    X = X.astype(np.float32)
    y = sp.csr_array(np.tile([0, 1], (X.shape[0], 1)))
    found = margins(of(X, y, every_label(y)), X)
    np.testing.assert_allclose(found, np.tile([-1, 1], (X.shape[0], 1)))


@pytest.mark.parametrize("backend", [pytest.param("loky", marks=pytest.mark.slow), "threading"])
def test_they_are_the_same_whoever_fits_them(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The solver's random numbers come from one generator of the process."""
    monkeypatch.setattr("lightxml.fitting.support_vectors._LABELS_AT_ONCE", 8)
    rng = np.random.default_rng(0)
    X = sp.csr_array(normalize(sp.random_array((400, 900), density=0.03, rng=rng)))
    y = sp.csr_array(rng.random((400, 40)) < 0.1)
    expected, _ = fit_classifiers(X, y, every_label(y), seed=0)
    with parallel_config(backend):
        for _ in range(3):
            found, _ = fit_classifiers(X, y, every_label(y), seed=0, n_jobs=2)
            assert np.array_equal(found.data, expected.data)


def test_many_numbers_may_be_counted_in_64_bits(task: Task) -> None:
    X, y = task
    wide = sp.csr_array((X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64)), X.shape)
    assert wide.indices.dtype == np.int64
    narrow, one = (LightXMLClassifier(None, **SMALL).fit(each, y) for each in (X, wide))
    assert np.array_equal(narrow.decision_function(X), one.decision_function(wide))


@pytest.mark.parametrize(
    "head", [{}, {"label_dim": 8}, CLUSTERS], ids=["one layer", "bottleneck", "clusters"]
)
def test_prediction_takes_the_mean_of_both_and_training_does_not(
    task: Task, head: dict[str, Any]
) -> None:
    X, y = task
    without = LightXMLClassifier(None, linear_weight=0, **head, **SMALL).fit(X, y)
    with_them = LightXMLClassifier(None, linear_weight=0.6, **head, **SMALL).fit(X, y)
    assert without.network_.linear is None
    assert with_them.history_ == without.history_
    for name, weight in without.network_.state_dict().items():
        assert torch.equal(weight, with_them.network_.state_dict()[name])
    found = with_them.decision_function(X)
    if not head.get("label_clusters"):  # there it is the label's logit, not the product's
        own = margins(with_them.network_.linear, with_them._read(X).features)
        expected = 0.4 * without.decision_function(X) + 0.6 * 4 * own
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert with_them.score(X, y) > without.score(X, y)
    # The same whichever way it is asked for, and however the documents come.
    labels, scores = with_them.predict_topk(X, 2, return_scores=True)
    assert np.array_equal(np.argsort(-found, axis=1, kind="stable")[:, :1], labels[:, :1])
    np.testing.assert_allclose(
        np.take_along_axis(with_them.predict_proba(X), labels, axis=1), scores, rtol=1e-5
    )
    alone = np.concatenate([with_them.decision_function(X[[i]]) for i in range(10)])
    np.testing.assert_allclose(alone, found[:10], atol=1e-5)
    assert (with_them.predict(X).toarray() == (with_them.predict_proba(X) >= 0.5)).all()


def test_no_more_documents_at_a_time_than_their_labels_margins_allow(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = task
    model = LightXMLClassifier(None, linear_weight=0.5, label_dim=8, **SMALL).fit(X, y)
    seen = []
    call = LinearClassifiers.__call__

    def counted(self: LinearClassifiers, features: SparseBatch) -> Shares:
        seen.append(len(features.by_row.starts))
        return call(self, features)

    monkeypatch.setattr(LinearClassifiers, "__call__", counted)
    monkeypatch.setattr(
        "lightxml.network.heads.chunked._LABELS_RANKED", 3
    )  # the head itself needs few
    monkeypatch.setattr("lightxml.network.prediction._MAX_LOGITS", 7 * y.shape[1])
    model.predict_topk(X, 2)
    assert max(seen) == 7
    assert sum(seen) == X.shape[0]


def test_beside_an_encoder_too(
    make_classifier: Callable[..., LightXMLClassifier], documents: Documents
) -> None:
    X, y = documents
    alone = make_classifier(features=TfidfVectorizer(), max_epochs=1).fit(X, y)
    asked = make_classifier(features=TfidfVectorizer(), max_epochs=1, linear_weight=0.7).fit(X, y)
    assert asked.history_ == alone.history_
    assert asked.score(X, y) > alone.score(X, y)


def test_by_default_where_no_encoder_is_trained(
    make_classifier: Callable[..., LightXMLClassifier],
    documents: Documents,
    task: Task,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def weight(model: LightXMLClassifier, X: Any) -> float | None:
        linear = model.fit(X, y).network_.linear
        return None if linear is None else linear.weight

    texts, y = documents
    X = task[0]
    tfidf = {"features": TfidfVectorizer(), "max_epochs": 1}
    encoder = save_pretrained(tmp_path, "bert")
    frozen = make_classifier(encoder=encoder, freeze_encoder=True, **tfidf)
    assert weight(LightXMLClassifier(None, **SMALL), X) == pytest.approx(2 / 3)
    assert weight(frozen, texts) == pytest.approx(2 / 3)
    assert weight(make_classifier(**tfidf), texts) is None
    assert weight(LightXMLClassifier(None, **CLUSTERS, **SMALL), X) is None
    assert weight(LightXMLClassifier(None, **SMALL), X.toarray()) is None
    for name, most in {"DOCUMENTS": X.shape[0], "LABELS": y.shape[1]}.items():
        with monkeypatch.context() as patched:
            patched.setattr(f"lightxml.fitting.arguments.MOST_{name}_FOR_LINEAR", most)
            assert weight(LightXMLClassifier(None, **SMALL), X) == pytest.approx(2 / 3)
            patched.setattr(f"lightxml.fitting.arguments.MOST_{name}_FOR_LINEAR", most - 1)
            assert weight(LightXMLClassifier(None, **SMALL), X) is None
            assert weight(LightXMLClassifier(None, linear_weight=0.5, **SMALL), X) == 0.5


def test_an_ensembles_members_each_have_theirs(task: Task) -> None:
    X, y = task
    member = LightXMLClassifier(None, linear_weight=0.5, **SMALL)
    model = LightXMLEnsemble(member, n_estimators=2, random_state=0).fit(X, y)
    expected = np.mean([one.predict_proba(X) for one in model.estimators_], axis=0)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-5)
    labels, scores = model.predict_topk(X, 3, return_scores=True)
    np.testing.assert_allclose(np.take_along_axis(expected, labels, axis=1), scores, rtol=1e-5)


def test_they_are_saved_and_pickled(task: Task, tmp_path: Path) -> None:
    X, y = task
    model = LightXMLClassifier(None, linear_weight=0.25, **SMALL).fit(X, y)
    expected = model.decision_function(X)
    model.save(tmp_path / "model")
    for other in (load(tmp_path / "model", "cpu"), pickle.loads(pickle.dumps(model))):
        assert other.network_.linear.weight == 0.25
        assert np.array_equal(other.decision_function(X), expected)


def test_an_explanation_tells_them_from_the_neighbours(documents: Documents) -> None:
    X, y = documents
    features = TfidfVectorizer()
    params = {**SMALL, "neighbor_weight": 2, "linear_weight": 0.5}
    model = LightXMLClassifier(None, features=features, **params).fit(X, y)
    found = explain(model, X[0])
    assert found.logit == pytest.approx(model.decision_function(X[:1]).max(), abs=1e-5)
    kept, model.network_.neighbours = model.network_.neighbours, None
    assert kept is not None
    column = list(model.classes_).index(found.label)
    without = model.decision_function(X[:1])[0, column]
    assert found.neighbours_weight == pytest.approx(found.logit - without, abs=1e-4)


def test_rare_labels_are_raised_in_the_mean(task: Task) -> None:
    X, y = task
    plain, raised = (
        LightXMLClassifier(None, linear_weight=0.5, propensity_weight=w, **SMALL)
        .fit(X, y)
        .decision_function(X)
        for w in (0, 2)
    )
    np.testing.assert_allclose(raised, plain - 2 * np.log(propensities(y)), atol=1e-4)


def test_without_sparse_features_they_are_refused(
    make_classifier: Callable[..., LightXMLClassifier], documents: Documents, task: Task
) -> None:
    with pytest.raises(ValueError, match=r"linear_weight=0\.5 is about sparse features"):
        make_classifier(linear_weight=0.5).fit(*documents)
    with pytest.raises(ValueError, match=r"linear_weight=0\.5 is about sparse features"):
        LightXMLClassifier(None, linear_weight=0.5, **SMALL).fit(task[0].toarray(), task[1])


@pytest.mark.parametrize("value", [-0.1, 1, 8, "often", None, float("nan")])
def test_a_weight_that_is_none_is_named(task: Task, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="linear_weight"):
        LightXMLClassifier(None, linear_weight=value, **SMALL).fit(*task)
