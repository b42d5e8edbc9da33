"""Numeric X and vectorizers: what scikit-learn's pipelines feed and what they get back."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from lightxml import LightXMLClassifier, load
from lightxml.datasets import label_sets
from lightxml.metrics import make_topk_scorer, precision_at_k

Documents = tuple[list[str], sp.csr_array]
Make = Callable[..., LightXMLClassifier]


def learner(**params: Any) -> LightXMLClassifier:
    """An estimator as a user makes it, small and quick."""
    defaults = {"feature_dim": 32, "max_epochs": 30, "batch_size": 8, "random_state": 0}
    defaults |= {"head_learning_rate": 1e-2, "rankers": ("network",)}
    return LightXMLClassifier(**{**defaults, "device": "cpu", **params})


def ranked(pipe: Pipeline, X: Any, k: int = 3) -> np.ndarray:
    """Rank labels as the documentation says: the pipeline's end, on what the rest makes of X."""
    return pipe[-1].predict_topk(pipe[:-1].transform(X), k=k)


PIPELINES: dict[str, Callable[[], list[Any]]] = {
    "tfidf": lambda: [TfidfVectorizer()],
    "union": lambda: [FeatureUnion([("w", TfidfVectorizer()),
                                    ("c", TfidfVectorizer(analyzer="char", ngram_range=(2, 3)))])],
    "reduced": lambda: [TfidfVectorizer(), TruncatedSVD(20, random_state=0)],
    "dense": lambda: [TfidfVectorizer(),
                      FunctionTransformer(lambda m: m.toarray(), accept_sparse=True)],
}  # fmt: skip


@pytest.mark.parametrize("name", PIPELINES)
def test_it_learns_at_the_end_of_a_pipeline(documents: Documents, name: str) -> None:
    X, y = documents
    pipe = make_pipeline(*PIPELINES[name](), learner()).fit(X, y)
    assert pipe.score(X, y) > 0.9
    assert sp.issparse(pipe.predict(X))
    top = ranked(pipe, X)
    assert np.mean([y[i, j] for i, (j, *_) in enumerate(top.tolist())]) == pipe.score(X, y)
    assert make_topk_scorer(precision_at_k, k=1)(pipe, X, y) == pipe.score(X, y)
    assert pipe[-1].network_.encoder is None


def test_a_data_frame_with_a_title_and_a_body(documents: Documents) -> None:
    X, y = documents
    frame = pd.DataFrame({"title": [" ".join(x.split()[:4]) for x in X], "body": X, "n": range(60)})
    columns = make_column_transformer((TfidfVectorizer(), "title"), (TfidfVectorizer(), "body"))
    pipe = make_pipeline(columns, learner()).fit(frame, y)
    assert pipe.score(frame, y) > 0.9


def test_a_numeric_data_frame_keeps_its_column_names(documents: Documents, tmp_path: Path) -> None:
    y = documents[1]
    frame = pd.DataFrame(y.toarray()[:, :5], columns=list("abcde"))
    fitted = learner(max_epochs=2).fit(frame, y)
    fitted.save(tmp_path / "model")
    for model in (fitted, load(tmp_path / "model", "cpu")):
        assert model.feature_names_in_.tolist() == list("abcde")
        assert model.n_features_in_ == 5
        for other in (frame.rename(columns={"a": "z"}), frame[list("edcba")]):
            with pytest.raises(ValueError, match="feature names should match"):
                model.predict(other)


def test_validation_documents_go_through_the_pipeline_too(documents: Documents) -> None:
    X, y = documents
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = Pipeline(
            [
                ("tfidf", TfidfVectorizer()),
                ("model", learner(max_epochs=2).set_fit_request(X_val=True, y_val=True)),
            ],
            transform_input=["X_val"],
        )
        pipe.fit(X[:50], y[:50], X_val=X[50:], y_val=y[50:])
    expected = learner(max_epochs=2)
    vectorizer = TfidfVectorizer()
    expected.fit(
        vectorizer.fit_transform(X[:50]), y[:50], X_val=vectorizer.transform(X[50:]), y_val=y[50:]
    )
    assert pipe[-1].history_ == expected.history_
    assert "precision_at_5" in expected.history_[0]


def test_grid_search_over_the_vectorizers_arguments(documents: Documents) -> None:
    X, y = documents
    search = GridSearchCV(
        make_pipeline(TfidfVectorizer(), learner(max_epochs=5)),
        {"tfidfvectorizer__ngram_range": [(1, 1), (1, 2)]},
        scoring=make_topk_scorer(precision_at_k, k=1),
        cv=KFold(2),
    ).fit(X, y)
    best = search.best_params_["tfidfvectorizer__ngram_range"]
    by_hand = make_pipeline(TfidfVectorizer(ngram_range=best), learner(max_epochs=5)).fit(X, y)
    assert np.array_equal(ranked(search.best_estimator_, X), ranked(by_hand, X))


def test_grid_search_over_the_arguments_of_features(make_classifier: Make, documents: Documents):
    X, y = documents
    search = GridSearchCV(
        make_classifier(features=TfidfVectorizer(), max_epochs=1),
        {"features__ngram_range": [(1, 1), (1, 2)], "feature_dim": [8]},
        scoring=make_topk_scorer(precision_at_k, k=1),
        cv=KFold(2),
    ).fit(X, y)
    widths = {p["features__ngram_range"] for p in search.cv_results_["params"]}
    assert widths == {(1, 1), (1, 2)}


def test_cross_validation_of_a_pipeline(documents: Documents) -> None:
    X, y = documents
    pipe = make_pipeline(TfidfVectorizer(), learner())
    assert cross_val_score(pipe, X, label_sets(y, np.arange(12)), cv=KFold(2)).mean() > 0.3


def test_pickle_and_save_of_the_pieces(documents: Documents, tmp_path: Path) -> None:
    X, y = documents
    pipe = make_pipeline(TfidfVectorizer(), learner(max_epochs=2)).fit(X, y)
    again = pickle.loads(pickle.dumps(pipe))
    assert np.array_equal(ranked(again, X), ranked(pipe, X))
    pipe[-1].save(tmp_path / "model")
    loaded = load(tmp_path / "model", "cpu")
    features = pipe[0].transform(X)
    expected = pipe[-1].decision_function(features)
    assert np.array_equal(loaded.decision_function(features), expected)
    assert loaded.n_features_in_ == pipe[-1].n_features_in_


def test_features_alone_beside_none_are_the_pipeline(documents: Documents) -> None:
    X, y = documents
    alone = learner(encoder=None, features=TfidfVectorizer(), max_epochs=3).fit(X, y)
    pipe = make_pipeline(TfidfVectorizer(), learner(max_epochs=3)).fit(X, y)
    assert np.array_equal(alone.decision_function(X), pipe.decision_function(X))
    assert alone.vectorizer_.vocabulary_ == pipe[0].vocabulary_
    assert not hasattr(alone.features, "vocabulary_"), "the caller's vectorizer stays unfitted"
    assert not hasattr(alone, "n_features_in_")


def test_a_text_encoder_and_features_together_read_beyond_max_length(
    make_classifier: Make, documents: Documents
) -> None:
    X, y = documents
    model = make_classifier(features=TfidfVectorizer(), max_epochs=1).fit(X, y)
    beyond = X[0] + " padding" * 40
    with_word, without = (model.decision_function([beyond + w]) for w in (" " + X[1], ""))
    assert not np.allclose(with_word, without)
    assert model.network_.head.in_features == 2 * 32 + 512


def test_validation_documents_are_not_in_the_vocabulary(
    make_classifier: Make, documents: Documents
) -> None:
    X, y = documents
    model = make_classifier(features=TfidfVectorizer(), max_epochs=1)
    model.fit(X[:30], y[:30], X_val=["quaggamire"] * 5, y_val=y[30:35])
    assert "quaggamire" not in model.vectorizer_.vocabulary_


NUMBERS = sp.csr_array(np.eye(4, 12))
TARGET = np.eye(4, 6, dtype=int)


def negative_column() -> sp.csr_array:
    matrix = NUMBERS.copy()
    matrix.indices = matrix.indices.copy()
    matrix.indices[0] = -1
    return matrix


@pytest.mark.parametrize(
    ("params", "X", "error", "message"),
    [
        ({}, negative_column(), ValueError, "X is a damaged sparse matrix ("),
        ({}, sp.csr_array((4, 3)), ValueError, "The features of all 4 documents are zero;"),
        ({"encoder": "tiny"}, NUMBERS, ValueError, "X is a numeric matrix, but encoder='tiny' "),
        ({"encoder": None}, ["a"] * 4, ValueError, "X holds documents, but encoder is None and "),
        ({"features": TfidfVectorizer()}, NUMBERS, ValueError, "X is a numeric matrix, but feat"),
        ({"features": TfidfVectorizer}, ["a"] * 4, TypeError, "features is <class 'sklearn."),
        ({"features": "tfidf"}, ["a"] * 4, TypeError, "features is 'tfidf'; expected a vec"),
        ({"encoder": None, "features": TfidfVectorizer()}, ["the", "a", "I", ""], ValueError,
         "empty vocabulary"),
        ({"feature_dim": 0}, NUMBERS, ValueError, "feature_dim is 0; expected an int"),
    ],
)  # fmt: skip
def test_bad_input_is_named(
    params: dict[str, Any], X: Any, error: type[Exception], message: str
) -> None:
    features = params.get("features")
    if isinstance(features, TfidfVectorizer):
        params = {**params, "features": clone(features).set_params(stop_words=["the"])}
    with pytest.raises(error) as caught:
        learner(**params).fit(X, TARGET)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (sp.csr_array((1, 10)), ValueError,
         "X has 10 features, but LightXMLClassifier is expecting 12 features as input."),
        (np.zeros((1, 13)), ValueError, "X has 13 features, but LightXMLClassifier is expecting"),
        (["a document"], TypeError, "X holds documents, but the model was fitted on a numeric"),
        (negative_column(), ValueError, "X is a damaged sparse matrix ("),
    ],
)  # fmt: skip
def test_other_features_at_prediction_are_named(
    X: Any, error: type[Exception], message: str
) -> None:
    model = learner(max_epochs=1).fit(NUMBERS, TARGET)
    for method in (model.predict, model.predict_proba, model.predict_topk):
        with pytest.raises(error) as caught:
            method(X)
        assert str(caught.value).startswith(message)
    assert model.predict_topk(sp.csr_array((1, 12)), k=4).shape == (1, 4), "all zero is a row too"
