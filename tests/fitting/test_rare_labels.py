"""`propensity_weight`: a preference for rare labels, in the biases of a trained model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction.text import CountVectorizer

from lightxml import LightXMLClassifier, LightXMLEnsemble
from lightxml.datasets import make_xmc
from lightxml.metrics import precision_at_k, propensities, psp_at_k

Data = tuple[sp.csr_array, sp.csr_array]
HEADS: dict[str, dict[str, Any]] = {
    "one layer": {},
    "bottleneck": {"label_dim": 8},
    "clusters": {"label_clusters": True, "max_cluster_size": 5, "n_candidate_clusters": 3},
}


@pytest.fixture(scope="module")
def data() -> Data:
    """Documents as word counts, and labels of which the last has no document."""
    texts, y = make_xmc(n_documents=300, n_labels=30, random_state=0)
    y = sp.hstack([y, sp.csr_array((300, 1), dtype=y.dtype)], format="csr")
    return sp.csr_array(CountVectorizer().fit_transform(texts)), sp.csr_array(y)


def make(**params: Any) -> LightXMLClassifier:
    defaults = {"rankers": ("network",), "feature_dim": 16, "max_epochs": 3, "random_state": 0}
    return LightXMLClassifier(None, **{**defaults, **params})


@pytest.mark.parametrize("head", HEADS)
def test_each_label_is_raised_by_its_inverse_propensity(head: str, data: Data) -> None:
    X, y = data
    plain = make(**HEADS[head]).fit(X, y).network_.state_dict()
    raised = make(**HEADS[head], propensity_weight=1.5).fit(X, y).network_.state_dict()
    expected = -1.5 * np.log(propensities(y))
    expected[-1] = 0  # no document has it: it must not rise above labels that some have
    differing = {name for name in plain if not np.array_equal(plain[name], raised[name])}
    (name,) = differing
    change = (raised[name] - plain[name]).numpy()
    if head == "clusters":
        assert np.allclose(change[:, :-1], 0, atol=1e-6)
        change = change[:, -1]
    assert np.allclose(change, expected, atol=1e-5)


def test_rare_labels_gain_and_little_is_lost() -> None:
    texts, y = make_xmc(n_documents=900, n_labels=60, n_words_per_document=12, random_state=1)
    X = CountVectorizer().fit_transform(texts)
    train, test = slice(0, 600), slice(600, 900)
    p = propensities(y[train])
    precision, psp = [], []
    for weight in (0, 2):
        model = make(feature_dim=32, max_epochs=20, propensity_weight=weight)
        model.fit(X[train], y[train])
        topk = model.predict_topk(X[test], 1)
        precision.append(precision_at_k(y[test], topk, 1))
        psp.append(psp_at_k(y[test], topk, 1, propensities=p))
    assert psp[1] > psp[0] + 0.01
    assert precision[1] > precision[0] - 0.01


def test_it_is_measured_on_validation_documents_and_does_not_change_training(data: Data) -> None:
    X, y = data
    fitted = [
        make(propensity_weight=weight, swa_start=None).fit(X, y, X_val=X[:80], y_val=y[:80])
        for weight in (0, 4)
    ]
    for model in fitted:
        found = precision_at_k(y[:80], model.predict_topk(X[:80], 5), 5)
        assert model.history_[-1]["precision_at_5"] == pytest.approx(found)
    without, with_it = (model.history_ for model in fitted)
    assert [e["loss"] for e in without] == [e["loss"] for e in with_it]
    assert without[-1]["precision_at_1"] != with_it[-1]["precision_at_1"]


def test_scores_and_predictions_are_raised_with_the_ranking(data: Data) -> None:
    X, y = data
    plain, raised = (make(propensity_weight=w).fit(X, y) for w in (0, 2))
    assert (raised.predict_proba(X)[:, :30] > plain.predict_proba(X)[:, :30]).all()
    assert raised.predict(X).sum() > plain.predict(X).sum()
    labels, scores = raised.predict_topk(X, 5, return_scores=True)
    assert np.allclose(np.take_along_axis(raised.predict_proba(X), labels, 1), scores, atol=1e-6)


def test_it_is_saved_and_may_be_each_members_own(tmp_path: Path, data: Data) -> None:
    X, y = data
    members = [make(propensity_weight=w) for w in (0, 3)]
    model = LightXMLEnsemble(estimators=members).fit(X, y)
    model.save(tmp_path / "model")
    loaded = LightXMLEnsemble.load(tmp_path / "model")
    assert [m.propensity_weight for m in loaded.estimators_] == [0, 3]
    assert np.array_equal(loaded.predict_topk(X), model.predict_topk(X))


def test_it_works_beside_a_trained_encoder(
    make_classifier: Callable[..., LightXMLClassifier],
) -> None:
    texts, y = make_xmc(n_documents=40, n_labels=8, random_state=0)
    plain, raised = (
        make_classifier(max_epochs=1, propensity_weight=w).fit(texts, y) for w in (0, 1)
    )
    change = raised.decision_function(texts) - plain.decision_function(texts)
    assert np.allclose(change, -np.log(propensities(y)), atol=1e-4)


@pytest.mark.parametrize("value", [-1, float("inf"), float("nan"), "much", None, "auto"])
def test_a_wrong_weight_is_named(value: Any, data: Data) -> None:
    with pytest.raises((TypeError, ValueError), match="propensity_weight"):
        make(propensity_weight=value).fit(*data)


def test_two_documents_have_no_propensities(data: Data) -> None:
    X, y = data
    with pytest.raises(ValueError, match=r"propensity_weight=1.0 asks for .* 3 at least"):
        make(propensity_weight=1).fit(X[:2], y[:2])
