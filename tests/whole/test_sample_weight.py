"""Documents that count more than others, in all that learns from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from lightxml import LightXMLClassifier, LightXMLEnsemble
from lightxml.data.labels import encode
from lightxml.datasets import label_sets, make_xmc
from lightxml.fitting.fingerprints import common_ground, fingerprint

TEXTS, MATRIX = make_xmc(
    90, 12, n_labels_per_document=2, n_words_per_document=12, random_state=0
)  # fmt: skip
X, X_NEW = TEXTS[:72], TEXTS[72:]
Y = label_sets(MATRIX[:72], np.array([f"label {j:02}" for j in range(12)]))
WEIGHTS = 0.5 + np.arange(72) % 3
NETWORK = {
    "rankers": ("network",),
    "feature_dim": 16,
    "max_epochs": 2,
    "batch_size": 8,
    "device": "cpu",
}
HEADS: dict[str, dict[str, Any]] = {
    "one layer": {**NETWORK},
    "chunks": {**NETWORK, "label_dim": 8},
    "clusters": {
        **NETWORK,
        "label_dim": 8,
        "label_clusters": True,
        "max_cluster_size": 2,
        "n_candidate_clusters": 2,
        "n_random_negatives": 2,
        "loss_correction": True,
    },
}
MODELS: dict[str, dict[str, Any]] = {
    **HEADS,
    "early stopping": {**NETWORK, "early_stopping": True},
    "linear": {"rankers": ("linear",), "final_ranker": None},
    "neighbors": {"rankers": ("neighbors",), "final_ranker": None},
    "all, with folds": {},
    "all, with documents held out": {"rankers": ("linear", "network"), **{
        name: value for name, value in NETWORK.items() if name != "rankers"
    }},
}  # fmt: skip


def make(**params: Any) -> LightXMLClassifier:
    return LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0, **params)


def scores(model: LightXMLClassifier, texts: list[str] = X_NEW) -> np.ndarray:
    return model.decision_function(texts)


@pytest.mark.parametrize("params", MODELS.values(), ids=MODELS)
def test_a_document_of_weight_0_is_as_if_it_were_not_there(params: dict[str, Any]) -> None:
    weights = WEIGHTS[:45].copy()
    weights[::5] = 0
    texts, given = X[:45], [*Y[:5], ("label 03", "nowhere else"), *Y[6:45]]
    rows = np.flatnonzero(weights)
    all_there = make(**params).fit(texts, given, sample_weight=weights)
    alone = make(**params).fit(
        [texts[i] for i in rows], [given[i] for i in rows], sample_weight=weights[rows]
    )
    assert "nowhere else" not in all_there.classes_
    np.testing.assert_array_equal(all_there.classes_, alone.classes_)
    np.testing.assert_array_equal(scores(all_there), scores(alone))


@pytest.mark.parametrize("params", MODELS.values(), ids=MODELS)
def test_of_two_that_contradict_each_other_the_heavier_is_believed(params: dict[str, Any]) -> None:
    texts, labels = [], []
    for i, text in enumerate(X[:36]):
        marked = i % 2 == 0
        for verdict in ("yes", "no"):
            texts.append(f"{text} marked marked" if marked else text)
            labels.append([verdict, f"of {i % 4}"] if marked else [f"of {i % 4}"])
    new = [f"{text} marked marked" for text in X_NEW]
    margins = []
    for heavier in (0, 1):
        weights = np.where(np.arange(72) % 2 == heavier, 5.0, 0.5)
        model = make(**params).fit(texts, labels, sample_weight=weights)
        yes, no = (model.classes_.tolist().index(label) for label in ("yes", "no"))
        found = scores(model, new)
        margins.append((found[:, yes] - found[:, no]).mean())
    assert margins[0] > 0 > margins[1]


@pytest.mark.parametrize("params", HEADS.values(), ids=HEADS)
def test_a_common_factor_is_nothing_to_the_network(params: dict[str, Any]) -> None:
    plain = make(**params).fit(X, Y)
    for weight in (1, 4.0):
        same = make(**params).fit(X, Y, sample_weight=weight)
        np.testing.assert_array_equal(scores(same), scores(plain))
    weighted = make(**params).fit(X, Y, sample_weight=WEIGHTS)
    assert not np.array_equal(scores(weighted), scores(plain))
    again = make(**params).fit(X, Y, sample_weight=8 * WEIGHTS)
    np.testing.assert_array_equal(scores(again), scores(weighted))


def test_more_documents_count_by_their_weights_too() -> None:
    model = make(rankers=("neighbors",), final_ranker=None)
    weights = np.array([3.0, 0, 0.5])
    more = [["label 01"], ["nowhere else"], ["new"]]
    one = sklearn.clone(model).fit(X, Y).partial_fit(X_NEW[:3], more, sample_weight=weights)
    alone = sklearn.clone(model).fit(X, Y)
    alone.partial_fit(X_NEW[:3:2], more[::2], sample_weight=weights[::2])
    assert one.classes_[-1] == "new"
    assert "nowhere else" not in one.classes_
    np.testing.assert_array_equal(scores(one), scores(alone))
    plain = sklearn.clone(model).fit(X, Y).partial_fit(X_NEW[:3:2], more[::2])
    assert not np.array_equal(scores(one), scores(plain))


def test_every_member_of_an_ensemble_gets_them() -> None:
    one = make(rankers=("linear",), final_ranker=None)
    ensemble = LightXMLEnsemble(one, n_estimators=2, random_state=0)
    ensemble.fit(X, Y, sample_weight=WEIGHTS)
    for member in ensemble.estimators_:
        alone = sklearn.clone(member).fit(X, Y, sample_weight=WEIGHTS)
        np.testing.assert_array_equal(scores(member), scores(alone))
        assert not np.array_equal(scores(member), scores(sklearn.clone(member).fit(X, Y)))


# A final ranker of the user's own ---------------------------------------------------------------


class Weighed(LogisticRegression):
    """Remembers its weights."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        self.weights_ = sample_weight
        return super().fit(X, y, sample_weight)


@pytest.mark.filterwarnings("ignore:.*final_ranker.*save")
def test_a_final_ranker_of_ones_own_gets_the_weight_of_each_pairs_document() -> None:
    plain = make(final_ranker=Weighed()).fit(X, Y).final_ranker_.classifier
    weighted = (
        make(final_ranker=Weighed()).fit(X, Y, sample_weight=WEIGHTS).final_ranker_.classifier
    )
    assert plain.weights_ is None
    assert set(weighted.weights_) == set(WEIGHTS)


@pytest.mark.filterwarnings("ignore:.*final_ranker.*save")
def test_one_that_takes_no_weights_is_refused_before_anything_is_fitted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make(final_ranker=KNeighborsClassifier())
    with monkeypatch.context() as patch:
        patch.setattr(TfidfVectorizer, "fit_transform", lambda *_: pytest.fail("fitted"))
        with pytest.raises(ValueError, match="final_ranker=KNeighborsClassifier takes none in its"):
            model.fit(X, Y, sample_weight=WEIGHTS)
    model.fit(X, Y, sample_weight=WEIGHTS, X_val=X, y_val=Y)  # these have no weights
    model.fit(X, Y, sample_weight=np.arange(72) % 4 > 0)  # some are left out, and no more


# What is refused, and what knows them -----------------------------------------------------------


@pytest.mark.parametrize("method", ["fit", "partial_fit", "ensemble"])
def test_wrong_weights_leave_the_model_as_it_was(method: str) -> None:
    one = make(rankers=("neighbors",), final_ranker=None)
    model = LightXMLEnsemble(one, n_estimators=1) if method == "ensemble" else one
    before = scores(model.fit(X, Y))
    learn = model.partial_fit if method == "partial_fit" else model.fit
    wrong: list[Any] = [[1], -WEIGHTS, np.full(72, np.nan), np.zeros(72), ["a"] * 72, WEIGHTS[None]]
    for weights in wrong:
        with pytest.raises((TypeError, ValueError), match="sample_weight"):
            learn(X, Y, sample_weight=weights)
    np.testing.assert_array_equal(scores(model), before)


def test_labels_of_documents_of_weight_0_alone_teach_nothing() -> None:
    with pytest.raises(ValueError, match="a label to documents of sample_weight 0 only"):
        make().fit(["a b", "c d"], [[], ["x"]], sample_weight=[1, 0])


def test_a_fit_is_known_by_its_weights() -> None:
    params, labels = make().get_params(deep=False), encode(Y, len(X))
    cases = [None, WEIGHTS, 2 * WEIGHTS]
    names = [fingerprint(params, 0, X, labels, None, None, weights) for weights in cases]
    assert len(set(names)) == 3
    assert fingerprint(params, 0, X, labels, None, None, WEIGHTS.copy()) == names[1]
    told = [common_ground(params, X, labels, None, None, weights) for weights in cases]
    assert told[0] != told[1] != told[2]


def test_scikit_learn_routes_them_through_a_grid_search() -> None:
    y = MATRIX[:72].toarray()
    weights = WEIGHTS.copy()
    weights[::4] = 0
    with sklearn.config_context(enable_metadata_routing=True):
        one = LightXMLClassifier(None, rankers=("linear",), final_ranker=None, random_state=0)
        one.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        model = make_pipeline(TfidfVectorizer(), one)
        search = GridSearchCV(model, {"lightxmlclassifier__propensity_weight": [0, 1]}, cv=3)
        search.fit(X, y, sample_weight=weights)
        features = TfidfVectorizer().fit(X)
        alone = sklearn.clone(one).set_params(**{
            name.split("__")[1]: value for name, value in search.best_params_.items()
        })  # fmt: skip
        alone.fit(features.transform(X), y, sample_weight=weights)
        rows = sp.csr_array(features.transform(X_NEW))
        np.testing.assert_array_equal(search.decision_function(X_NEW), scores(alone, rows))
        plain = sklearn.clone(alone).fit(features.transform(X), y)
        assert not np.array_equal(scores(plain, rows), scores(alone, rows))
