"""Labels that are allowed, and labels that are left out: the best of what remains, exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier, LightXMLEnsemble
from lightxml.base import TopKEstimator
from lightxml.datasets import label_sets, make_xmc
from lightxml.predicting import allowed
from lightxml.predicting.fitted import FittedModel

N_LABELS, N_TRAIN, N_TEST = 120, 200, 24
NAMES = np.array([f"label {j:03}" for j in range(N_LABELS)], dtype=object)
KINDS = ["rankers", "ensemble", "one-vs-all", "chunked", "clusters", "both"]


@pytest.fixture(scope="module")
def task() -> tuple[list[str], list[tuple[str, ...]], dict[str, str]]:
    """Documents, labels by name, and the texts of all labels: some have nothing but a text."""
    texts, y = make_xmc(
        N_TRAIN + N_TEST, N_LABELS, n_labels_per_document=3, n_words_per_document=12, random_state=0
    )
    words = sorted({word for text in texts for word in text.split()})
    names = {name: words[j % len(words)] for j, name in enumerate(NAMES)}
    return texts, label_sets(y, NAMES), names


@pytest.fixture(scope="module")
def models(
    task: tuple[Any, ...], make_classifier: Callable[..., LightXMLClassifier]
) -> dict[str, TopKEstimator]:
    texts, labels, names = task
    words = {"encoder": None, "features": TfidfVectorizer(), "rankers": "auto"}
    network = {**words, "rankers": ("network",), "feature_dim": 32, "max_epochs": 3}
    clusters = {"label_clusters": True, "max_cluster_size": 10, "n_candidate_clusters": 3}
    made: dict[str, Any] = {
        "rankers": LightXMLClassifier(**words, random_state=0),
        "one-vs-all": make_classifier(**network),
        "chunked": make_classifier(**network, label_dim=16),
        "clusters": make_classifier(**network, **clusters),
        "both": make_classifier(**{**network, **clusters, "rankers": ("linear", "network")}),
    }
    of_words = LightXMLClassifier(**words, final_ranker=None, random_state=0)
    made["ensemble"] = LightXMLEnsemble(estimators=[of_words, made["clusters"]], random_state=0)
    return {
        kind: model.fit(
            texts[:N_TRAIN],
            labels[:N_TRAIN],
            **({"label_texts": names} if kind == "rankers" else {}),
        )
        for kind, model in made.items()
    }


@pytest.fixture(scope="module")
def X(task: tuple[Any, ...]) -> list[str]:
    return ["nothing known", *task[0][N_TRAIN:]]


def scores_of_all(model: TopKEstimator, X: list[str]) -> np.ndarray:
    """Every label's score, asked for pair by pair of each member, with no list and no ranking."""
    n_labels = len(model.classes_)
    found = []
    for member, documents in model._members(X):
        logits = np.empty((len(X), n_labels), dtype=np.float32)
        for j in range(n_labels):
            column = np.full(len(X), j), np.arange(len(X) + 1)
            pairs = sp.csr_array((np.ones(len(X), np.float32), *column), (len(X), n_labels))
            logits[:, j] = member.logits_of(documents, pairs)
        found.append(expit(logits.astype(np.float64)))
    return np.mean(found, axis=0)


def ranked(scores: np.ndarray, k: int) -> np.ndarray:
    """The scores of the k best, which no order of equal ones changes."""
    return -np.sort(-scores, axis=1)[:, :k]


@pytest.mark.parametrize("kind", KINDS)
def test_allowed_labels_are_all_scored_and_ranked_exactly(
    models: dict[str, Any], X: list[str], kind: str
) -> None:
    model, rng = models[kind], np.random.default_rng(1)
    by_hand, classes = scores_of_all(model, X), model.classes_
    columns = rng.choice(len(classes), size=30, replace=False)
    listed = [*classes[columns], classes[columns[0]]]  # one of them twice
    labels, scores = model.predict_topk(X, 10, return_scores=True, labels=listed)
    assert set(labels.ravel()) <= set(listed)
    np.testing.assert_allclose(scores, ranked(by_hand[:, columns], 10), atol=2e-6)
    place = {label: j for j, label in enumerate(classes)}
    own = np.vectorize(place.get)(labels)
    np.testing.assert_allclose(scores, np.take_along_axis(by_hand, own, axis=1), atol=2e-6)

    own_list = rng.random(by_hand.shape) < 0.2
    labels, scores = model.predict_topk(X, 10, return_scores=True, labels=sp.csr_array(own_list))
    np.testing.assert_allclose(scores, ranked(np.where(own_list, by_hand, -1), 10), atol=2e-6)
    dense = model.predict_topk(X, 10, labels=own_list)
    np.testing.assert_array_equal(dense, labels)
    assert np.take_along_axis(own_list, np.vectorize(place.get)(labels), axis=1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_label_has_the_score_that_it_has_without_a_list(
    models: dict[str, Any], X: list[str], kind: str
) -> None:
    model = models[kind]
    labels, scores = model.predict_topk(X, 20, return_scores=True)
    for i in range(0, len(X), 8):
        again, same = model.predict_topk(X[i : i + 1], 20, return_scores=True, labels=labels[i])
        np.testing.assert_allclose(same[0], scores[i], atol=2e-6)
        for j in np.flatnonzero(again[0] != labels[i]):  # but for rounding in the same order
            assert scores[i, j] == pytest.approx(scores[i, labels[i] == again[0, j]][0], abs=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_without_some_labels_the_others_move_up(
    models: dict[str, Any], X: list[str], kind: str
) -> None:
    model = models[kind]
    # So many are named at the least, which decides how many clusters are looked into.
    labels, scores = model.predict_topk(X, 100, return_scores=True)
    never = np.unique(labels[:, :2])[:60].tolist()
    found, said = model.predict_topk(X, 5, return_scores=True, exclude=never)
    for i in range(len(X)):
        left = ~np.isin(labels[i], never)
        n = min(5, left.sum())
        np.testing.assert_array_equal(found[i, :n], labels[i, left][:n])
        np.testing.assert_allclose(said[i, :n], scores[i, left][:n], atol=2e-6)
    own = sp.csr_array(np.isin(model.classes_, never)[None].repeat(len(X), axis=0))
    np.testing.assert_array_equal(model.predict_topk(X, 5, exclude=own), found)


@pytest.mark.parametrize("kind", KINDS)
def test_more_labels_are_proposed_where_too_few_are_left(
    models: dict[str, Any], X: list[str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models[kind]
    named = 10 if kind in ("rankers", "both") else 100
    monkeypatch.setattr(allowed, "N_CANDIDATES", named)
    rest = model.classes_[::20].tolist()
    never = [label for label in model.classes_ if label not in rest]
    found, scores = model.predict_topk(X, 8, return_scores=True, exclude=never)
    expected, all_scores = model.predict_topk(X, len(rest), return_scores=True, labels=rest)
    assert all(sorted(set(row)) == sorted(row) and set(row) <= set(rest) for row in found)
    for row, said, labels, each in zip(found, scores, expected, all_scores, strict=True):
        for label, score in zip(row, said, strict=True):
            assert score == 0 or score == pytest.approx(each[labels == label][0], abs=2e-6)
    assert (scores[1:, 0] > 0).mean() > 0.8


def test_both_lists_at_once(models: dict[str, Any], X: list[str]) -> None:
    model, rng = models["rankers"], np.random.default_rng(2)
    only, never = (rng.random((len(X), len(model.classes_))) < p for p in (0.3, 0.5))
    only[:, 0], never[:, 0] = True, False
    expected = model.predict_topk(X, 5, labels=only & ~never)
    np.testing.assert_array_equal(model.predict_topk(X, 5, labels=only, exclude=never), expected)
    some = model.classes_[:50]
    shared = only & np.isin(model.classes_, some) & ~never
    np.testing.assert_array_equal(
        model.predict_topk(X, 5, labels=some, exclude=~only | never),
        model.predict_topk(X, 5, labels=shared),
    )
    np.testing.assert_array_equal(
        model.predict_topk(X, 5, labels=set(some[:9]), exclude=some[5:]),
        model.predict_topk(X, 5, labels=some[:5]),
    )


def test_k_is_lowered_to_what_is_allowed_and_shorter_lists_end_in_none(
    models: dict[str, Any], X: list[str]
) -> None:
    model = models["rankers"]
    assert model.predict_topk(X, 10, labels=model.classes_[:3]).shape == (len(X), 3)
    assert model.predict_topk(X, 10, exclude=model.classes_[4:]).shape == (len(X), 4)
    lists = np.zeros((len(X), len(model.classes_)), dtype=bool)
    lists[:, 7] = True
    lists[1, :4] = True
    labels, scores = model.predict_topk(X, 10, return_scores=True, labels=lists)
    assert labels.shape == (len(X), 5)
    assert None not in labels[1]
    assert labels[2].tolist() == [model.classes_[7], None, None, None, None]
    assert scores[2, 0] > 0
    assert not scores[2, 1:].any()


def test_columns_of_an_indicator_end_in_none_too(task: tuple[Any, ...]) -> None:
    texts, y = make_xmc(60, 9, n_words_per_document=12, random_state=0)
    model = LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0).fit(texts, y)
    lists = np.zeros((2, 9), dtype=int)
    lists[0, [3, 5]] = lists[1, 8] = 1
    found = model.predict_topk(texts[:2], labels=lists)
    assert [sorted(found[0]), found[1].tolist()] == [[3, 5], [8, None]]
    assert model.predict_topk(texts[:2], labels=[8, 3]).dtype == model.classes_.dtype
    with pytest.raises(TypeError, match=r"labels\[1\] is True \(bool\); expected a label"):
        model.predict_topk(texts, labels=[0, True])


def test_many_pairs_are_scored_some_at_a_time(
    models: dict[str, Any], X: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models["rankers"]
    expected = model.predict_topk(X, 5, return_scores=True, labels=model.classes_[:90])
    sizes: list[int] = []
    logits_of = FittedModel.logits_of

    def watch(self: FittedModel, documents: Any, candidates: Any) -> np.ndarray:
        sizes.append(candidates.nnz)
        return logits_of(self, documents, candidates)

    monkeypatch.setattr(FittedModel, "logits_of", watch)
    monkeypatch.setattr(allowed, "_PAIRS_AT_ONCE", 360)
    found = model.predict_topk(X, 5, return_scores=True, labels=model.classes_[:90])
    assert max(sizes) <= 360
    assert sum(sizes) == 90 * len(X)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], atol=1e-6)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("label 001", TypeError, r"labels is the single label 'label 001'; pass \['label 001'\]"),
        (["label 001", "lable 002"], ValueError,
         r"labels\[1\] is 'lable 002', which is not among the 120 labels of the model\. "
         r"Is 'label 002'"),
        (np.array(["label 001", 7], dtype=object), ValueError, r"labels\[1\] is 7, .*such as 'lab"),
        ([["label 001"]], TypeError, r"labels\[0\] is \['label 001'\] \(list\).*another list for"),
        ({"label 001": 1}, TypeError, "labels is of type dict; expected a sequence of labels"),
        (iter(["label 001"]), TypeError, r"Pass list\(labels\)"),
        ([], ValueError, "labels is empty; expected at least one"),
        (np.ones((25, 3)), ValueError, "labels has 3 columns"),
        (np.full((25, N_LABELS), 2), ValueError, r"labels\[0, 0\] is 2; expected 0 or 1"),
        (np.ones((3, N_LABELS)), ValueError, "labels has 3 rows, but there are 25 documents"),
        (np.eye(25, N_LABELS, 1) * 0, ValueError, r"labels has no label for document 0 \(counted"),
    ],
)  # fmt: skip
def test_what_is_no_list_of_labels_is_refused(
    models: dict[str, Any], X: list[str], given: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        models["rankers"].predict_topk(X, labels=given)


def test_a_document_that_is_left_no_label_is_named(models: dict[str, Any], X: list[str]) -> None:
    model, n_labels = models["rankers"], len(models["rankers"].classes_)
    never = np.zeros((len(X), n_labels), dtype=bool)
    never[7] = True
    for lists in ({"exclude": never}, {"exclude": never, "labels": model.classes_[:4]}):
        with pytest.raises(ValueError, match="exclude leaves no label for document 7"):
            model.predict_topk(X, **lists)
    with pytest.raises(ValueError, match="exclude leaves no label"):
        model.predict_topk(X, exclude=model.classes_)
    with pytest.raises(ValueError, match="exclude has all that labels has"):
        model.predict_topk(X, labels=["label 001"], exclude=["label 001"])
    assert model.predict_topk(X, exclude=[]).shape == (len(X), 5)
