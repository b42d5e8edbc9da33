"""What scikit-learn passes around an estimator: routed metadata, frames, sparse arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler

from lightxml import LightXMLClassifier, LightXMLEnsemble
from lightxml.datasets import make_xmc
from lightxml.metrics import make_topk_scorer, precision_at_k

TEXTS, Y = make_xmc(60, 6, n_words_per_document=8, random_state=0)
LABELS = [tuple(f"label {j}" for j in Y[[i]].indices.tolist()) for i in range(60)]
NAMES = {"label 0": "the first", "new": TEXTS[7]}


def words(**params: Any) -> LightXMLClassifier:
    arguments = {"features": TfidfVectorizer(), "final_ranker": None, "random_state": 0}
    return LightXMLClassifier(None, **{**arguments, **params})


def search(model: Any, grid: dict[str, list[Any]]) -> GridSearchCV:
    scorer = make_topk_scorer(precision_at_k, k=1)
    return GridSearchCV(model, grid, scoring=scorer, cv=KFold(3), error_score="raise")


def test_label_texts_come_through_a_pipeline_by_routing_and_by_the_steps_name() -> None:
    expected = words().fit(TEXTS, LABELS, label_texts=NAMES).predict_proba(TEXTS)
    with sklearn.config_context(enable_metadata_routing=True):
        model = words().set_fit_request(label_texts=True)
        routed = make_pipeline(FunctionTransformer(), model)
        routed.fit(TEXTS, LABELS, label_texts=NAMES)
    named = Pipeline([("same", FunctionTransformer()), ("model", words())])
    named.fit(TEXTS, LABELS, model__label_texts=NAMES)
    for pipe in (routed, named):
        assert "new" in pipe[-1].classes_
        np.testing.assert_array_equal(pipe.predict_proba(TEXTS), expected)


@pytest.mark.parametrize("is_ensemble", [False, True])
def test_label_texts_come_through_a_grid_search(is_ensemble: bool) -> None:
    model: Any = words()
    grid = {"propensity_weight": [0, 1]}
    if is_ensemble:
        model, grid = LightXMLEnsemble(words(), random_state=0), {"n_estimators": [1, 2]}
    with sklearn.config_context(enable_metadata_routing=True):
        found = search(model.set_fit_request(label_texts=True), grid)
        found.fit(TEXTS, LABELS, label_texts=NAMES)
    again = model.set_params(**found.best_params_).fit(TEXTS, LABELS, label_texts=NAMES)
    assert "new" in found.best_estimator_.classes_
    np.testing.assert_array_equal(found.best_estimator_.predict_proba(TEXTS),
                                  again.predict_proba(TEXTS))  # fmt: skip


def test_frames_of_a_pipeline_give_their_names() -> None:
    rows = TfidfVectorizer(max_features=9).fit_transform(TEXTS).toarray()
    pipe = make_pipeline(
        MaxAbsScaler(), LightXMLClassifier(max_epochs=1, random_state=0, device="cpu")
    )
    pipe.set_output(transform="pandas").fit(rows, Y, lightxmlclassifier__X_val=rows[:9],
                                            lightxmlclassifier__y_val=Y[:9])  # fmt: skip
    assert pipe[-1].feature_names_in_.tolist() == [f"x{j}" for j in range(9)]
    assert pipe.predict_proba(rows).shape == (60, 6)


@pytest.mark.skipif("sparse_interface" not in sklearn.get_config(), reason="scikit-learn >= 1.9")
@pytest.mark.parametrize("interface", ["sparray", "spmatrix"])
def test_both_kinds_of_sparse_matrices_of_a_vectorizer_are_read_alike(interface: str) -> None:
    expected = words().fit(TEXTS, Y)
    with sklearn.config_context(sparse_interface=interface):
        rows = TfidfVectorizer().fit_transform(TEXTS)
        assert sp.issparse(rows)
        assert isinstance(rows, sp.sparray) == (interface == "sparray")
        of_rows = LightXMLClassifier(final_ranker=None, random_state=0).fit(rows, Y)
        of_texts = words().fit(TEXTS, Y)
        np.testing.assert_array_equal(of_rows.predict_proba(rows), expected.predict_proba(TEXTS))
        np.testing.assert_array_equal(of_texts.predict_proba(TEXTS), expected.predict_proba(TEXTS))
        assert isinstance(of_texts.predict(TEXTS), sp.csr_array)  # as y was
