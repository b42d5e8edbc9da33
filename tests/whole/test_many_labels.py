"""Label clusters and label embeddings, from the estimator's arguments to a saved model."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.cluster import DBSCAN, KMeans
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier, LightXMLEnsemble, load
from lightxml.datasets import make_xmc
from lightxml.fitting.clusters import make_label_clusters
from lightxml.fitting.footprint import training_memory
from lightxml.network.heads.chunked import ChunkedHead
from lightxml.network.heads.clustered import ClusteredHead
from lightxml.network.heads.one_vs_all import OneVsAllHead
from tests.network.test_prediction import memory_limit, needs_proc, torch_threads

Make = Callable[..., LightXMLClassifier]

N_LABELS = 40
Data = tuple[list[str], sp.csr_array]
CLUSTERED = {"label_clusters": True, "max_cluster_size": 6, "n_candidate_clusters": 3}
CHUNKED = {"label_clusters": False, "label_dim": 16}
HEADS = pytest.mark.parametrize("head", [CLUSTERED, CHUNKED], ids=["clustered", "chunked"])


@pytest.fixture(scope="module")
def data() -> Data:
    """Documents with labels of forty, some of which no document has."""
    return make_xmc(150, N_LABELS, n_labels_per_document=2, n_words_per_document=15, random_state=1)


def features_only(**params: Any) -> LightXMLClassifier:
    defaults = {"features": TfidfVectorizer(), "feature_dim": 32, "random_state": 0}
    defaults |= {"rankers": ("network",), "device": "cpu", "max_epochs": 3}
    return LightXMLClassifier(None, **{**defaults, **params})


@HEADS
@pytest.mark.parametrize("reads", ["features", "both"])
def test_a_model_learns_what_the_documents_say(
    make_classifier: Make, data: Data, head: dict, reads: str
) -> None:
    if reads == "features":
        model = features_only(**head, max_epochs=15)
    else:
        features = {"features": TfidfVectorizer(), "feature_dim": 32}
        quick = {"max_length": 16, "max_epochs": 5, "head_learning_rate": 5e-2}
        model = make_classifier(**features, **quick, **head)
    X, y = data
    model.fit(X, y)
    kind = ClusteredHead if head is CLUSTERED else ChunkedHead
    assert isinstance(model.network_.head, kind)
    assert model.score(X, y) > (0.9 if reads == "features" else 0.6)
    assert model.history_[-1]["loss"] < model.history_[0]["loss"] / 2


def test_the_improvements_go_together_and_each_changes_the_training(
    make_classifier: Make, data: Data
) -> None:
    X, y = data[0][:60], data[1][:60]
    short = {**CLUSTERED, "max_epochs": 1}
    improvements = {"se_block": True, "loss_correction": True, "n_random_negatives": 7}
    model = make_classifier(**short, **improvements).fit(X, y)
    for name in improvements:
        fewer = {k: v for k, v in improvements.items() if k != name}
        assert make_classifier(**short, **fewer).fit(X, y).history_ != model.history_, name
    again = make_classifier(**short, **improvements).fit(X, y)
    assert np.array_equal(model.decision_function(X), again.decision_function(X))


@pytest.fixture(scope="module")
def plain_scores(data: Data) -> np.ndarray:
    """The logits of a model with clusters and every argument at its place."""
    return features_only(**CLUSTERED, label_dim=16).fit(*data).decision_function(data[0])


@pytest.mark.parametrize(
    "change",
    [
        {"label_clusters": np.arange(N_LABELS) % 6, "max_cluster_size": 100},
        {"max_cluster_size": 12},
        {"n_candidate_clusters": 2},
        {"label_dim": 8},
        {"n_random_negatives": 3},
        {"loss_correction": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_argument_changes_the_model(
    data: Data, plain_scores: np.ndarray, change: dict[str, Any]
) -> None:
    changed = features_only(**{**CLUSTERED, "label_dim": 16, **change}).fit(*data)
    assert not np.allclose(changed.decision_function(data[0]), plain_scores, atol=1e-6)


def test_jobs_change_nothing(data: Data, plain_scores: np.ndarray) -> None:
    model = features_only(**CLUSTERED, label_dim=16, n_jobs=2).fit(*data)
    assert np.array_equal(model.decision_function(data[0]), plain_scores)


def test_clusters_are_those_of_the_labels_documents(data: Data) -> None:
    X, y = data
    model = features_only(**CLUSTERED).fit(X, y)
    sizes = np.bincount(model.label_clusters_)
    assert len(sizes) == 8
    assert sizes.max() <= 6
    seed = np.random.RandomState(0).randint(2**31 - 1)  # as the estimator draws it
    expected = make_label_clusters(
        True, TfidfVectorizer().fit_transform(X), y, max_cluster_size=6, random_state=seed
    )
    assert np.array_equal(model.label_clusters_, expected)


@pytest.mark.parametrize(
    "clusterer",
    [KMeans(5, n_init=1), (np.arange(N_LABELS) % 7) * 3],
    ids=["KMeans", "array with gaps"],
)
def test_clusters_come_from_any_clusterer_or_are_given(data: Data, clusterer: Any) -> None:
    X, y = data
    before = copy.deepcopy(clusterer)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "label_clusters are far out of balance")
        model = features_only(label_clusters=clusterer, n_candidate_clusters=2).fit(X, y)
    assert np.array_equal(
        np.unique(model.label_clusters_), np.arange(model.label_clusters_.max() + 1)
    )
    if isinstance(clusterer, np.ndarray):
        assert np.array_equal(model.label_clusters_, np.arange(N_LABELS) % 7)
    else:
        assert not hasattr(clusterer, "labels_"), "it was cloned"
        assert repr(clusterer) == repr(before)
    topk = model.predict_topk(X, 5)
    chosen = model.label_clusters_[topk]
    assert max(len(set(row)) for row in chosen.tolist()) <= 2


def test_one_cluster_and_clusters_of_one_label_are_no_obstacle(data: Data) -> None:
    X, y = data
    one = features_only(label_clusters=np.zeros(N_LABELS, int), n_candidate_clusters=1)
    assert one.fit(X, y).label_clusters_.tolist() == [0] * N_LABELS
    single = features_only(label_clusters=np.arange(N_LABELS), n_candidate_clusters=4).fit(X, y)
    assert sorted(single.label_clusters_) == list(range(N_LABELS))
    assert single.predict_topk(X[:3], 40).shape == (3, 40)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"label_clusters": np.zeros(39, int)}, ValueError, r"has shape \(39,\).*40 labels"),
        ({"label_clusters": DBSCAN(0.01)}, ValueError, "leaves .* labels without a cluster"),
        ({"label_clusters": KMeans}, TypeError, "label_clusters is <class"),
        ({**CLUSTERED, "n_random_negatives": -1}, ValueError, "n_random_negatives is -1"),
        ({**CLUSTERED, "n_random_negatives": 1.5}, TypeError, "n_random_negatives is .*; expected"),
        ({**CLUSTERED, "n_random_negatives": 26}, ValueError, "=26 is more than the 25 labels"),
        ({**CLUSTERED, "n_candidate_clusters": 0}, ValueError, "n_candidate_clusters is 0"),
        ({**CLUSTERED, "max_cluster_size": 0}, ValueError, "max_cluster_size is 0"),
        ({**CLUSTERED, "label_dim": 0}, ValueError, "label_dim is 0"),
        ({**CLUSTERED, "label_dim": None}, TypeError, "label_dim is .*; expected"),
        ({**CLUSTERED, "loss_correction": "yes"}, TypeError, "loss_correction is 'yes'"),
        ({**CLUSTERED, "n_jobs": 1.5}, TypeError, "n_jobs is .*; expected"),
    ],
)
def test_what_cannot_be_is_named(
    data: Data, params: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        features_only(**params).fit(*data)


def test_more_candidate_clusters_than_there_are_take_all_with_a_warning(data: Data) -> None:
    X, y = data
    model = features_only(**{**CLUSTERED, "n_candidate_clusters": 9})
    with pytest.warns(UserWarning, match="n_candidate_clusters=9 is more than the 8 clusters"):
        model.fit(X, y)
    scores = model.decision_function(X)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    assert np.array_equal(model.predict_topk(X, 5), best)


def test_auto_clusters_very_many_labels_and_narrows_before_a_very_large_layer(
    data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = data
    plain = features_only().fit(X, y)
    assert isinstance(plain.network_.head, OneVsAllHead)
    assert plain.label_clusters_ is None
    monkeypatch.setattr("lightxml.fitting.decisions.LARGEST_OUTPUT_LAYER", 32 * N_LABELS - 1)
    head = features_only().fit(X, y).network_.head
    assert isinstance(head, ChunkedHead)
    assert head.weight.shape == (N_LABELS, 400)
    monkeypatch.setattr("lightxml.fitting.decisions.MOST_LABELS_WITHOUT_CLUSTERS", N_LABELS - 1)
    head = features_only(n_candidate_clusters=1).fit(X, y).network_.head
    assert isinstance(head, ClusteredHead)
    assert head.project.out_features == 400


@HEADS
@pytest.mark.parametrize("way", ["save", "pickle"])
def test_a_model_comes_back_the_same(data: Data, head: dict, way: str, tmp_path: Path) -> None:
    X, y = data
    model = features_only(**head).fit(X, y)
    if way == "save":
        model.save(tmp_path / "model")
        again = load(tmp_path / "model", "cpu")
    else:
        again = pickle.loads(pickle.dumps(model))
    assert again.get_params()["label_clusters"] is head["label_clusters"]
    assert np.array_equal(again.decision_function(X), model.decision_function(X))
    for k in (1, 5, N_LABELS):
        for ours, theirs in zip(
            again.predict_topk(X, k, return_scores=True),
            model.predict_topk(X, k, return_scores=True),
            strict=True,
        ):
            assert np.array_equal(ours, theirs)
    assert (again.predict(X) != model.predict(X)).nnz == 0
    if head is CLUSTERED:
        assert np.array_equal(again.label_clusters_, model.label_clusters_)


@pytest.mark.parametrize("given", [KMeans(5, n_init=1), np.arange(N_LABELS) % 5], ids=type)
def test_a_saved_model_keeps_the_clusters_that_were_found_or_given(
    data: Data, given: Any, tmp_path: Path
) -> None:
    X, y = data
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "label_clusters are far out of balance")
        model = features_only(label_clusters=given, n_candidate_clusters=2).fit(X, y)
        model.save(tmp_path / "model")
        again = load(tmp_path / "model", "cpu")
        clusters = again.get_params()["label_clusters"]
        assert np.array_equal(clusters, model.label_clusters_)
        refitted = again.set_params(features=TfidfVectorizer()).fit(X, y)
    assert np.array_equal(refitted.decision_function(X), model.decision_function(X))


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("n_estimators", [1, 2])
def test_what_is_predicted_takes_no_memory_of_documents_times_labels(n_estimators: int) -> None:
    n_labels, n_new, most = 100_000, 3_000, 512 * 2**20
    assert n_new * n_labels * np.dtype(np.float32).itemsize > 2 * most
    rng = np.random.default_rng(0)
    X = sp.random_array((n_new, 200), density=0.05, format="csr", rng=rng, dtype=np.float32)
    columns, starts = rng.integers(0, n_labels, 400), np.arange(0, 401, 2)
    y = sp.csr_array((np.ones(400, np.int8), columns, starts), shape=(200, n_labels))
    clusters = {"label_clusters": np.arange(n_labels) // 100, "n_candidate_clusters": 5}
    network = {"feature_dim": 16, "label_dim": 8, "max_epochs": 1, "device": "cpu"}
    rankers = ("linear", "neighbors", "network")
    model = LightXMLClassifier(None, rankers=rankers, final_ranker=None, **network, **clusters)
    if n_estimators > 1:
        model = LightXMLEnsemble(model, n_estimators=n_estimators, random_state=0)
    model.fit(X[:200], y)
    with torch_threads(1), memory_limit(most):
        assert model.predict_topk(X, 5).shape == (n_new, 5)
        assert model.predict(X).shape == (n_new, n_labels)


def test_a_training_that_may_not_fit_into_memory_says_what_to_lower(
    data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightxml.fitting.footprint.free_memory", lambda: 1_000)
    with pytest.warns(UserWarning, match=r"Training may take .* GiB more memory.* width label_dim"):
        features_only(max_epochs=1).fit(*data)
    with pytest.warns(UserWarning, match=r"may take (?!.*swa_start).* n_candidate_clusters"):
        features_only(**CLUSTERED, max_epochs=1, swa_start=None).fit(*data)


def test_the_estimate_counts_weights_moments_means_and_candidates(data: Data) -> None:
    X, y = data
    plain = features_only(max_epochs=1).fit(X, y).network_
    needed = training_memory(plain, 10, 1, averages=True)
    head, table = 33 * N_LABELS, plain.features.weight.numel()
    assert needed["optimizer"] == 12 * (head + 32)
    assert needed["average"] == 4 * (head + 32 + table)
    assert needed["encoder"] == 0
    assert needed["output"] == 12 * 10 * N_LABELS
    clustered = features_only(**CLUSTERED, label_dim=7, max_epochs=1).fit(X, y).network_
    needed = training_memory(clustered, 10, 1, averages=False)
    assert needed["optimizer"] == 12 * (32 + 33 * (7 + 8))
    assert needed["average"] == 0
    assert needed["output"] == 10 * (72 * 3 * 5 + 40 * 8)


@pytest.mark.gpu
@HEADS
def test_a_gpu_learns_as_a_cpu_does_and_both_rank_alike(
    make_classifier: Make, data: Data, head: dict[str, Any]
) -> None:
    X, y = data
    params = {"features": TfidfVectorizer(), "feature_dim": 32, "max_epochs": 15, **head}
    if head is CLUSTERED:
        params |= {"n_random_negatives": 7, "loss_correction": True}
    model = make_classifier(**params, device="cuda").fit(X, y)
    assert model.score(X, y) > 0.6
    on_gpu, scores = model.predict_topk(X, 5, return_scores=True)
    on_cpu = pickle.loads(pickle.dumps(model.set_params(device="cpu")))
    assert on_cpu.network_.device.type == "cpu"
    assert (on_cpu.predict_topk(X, 5) == on_gpu).mean() > 0.95
    np.testing.assert_allclose(on_cpu.predict_topk(X, 5, return_scores=True)[1], scores, atol=0.05)
