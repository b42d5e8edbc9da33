"""`LightXMLClassifier` among scikit-learn's tools, and what its methods return."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags

from lightxml import LightXMLClassifier
from lightxml.fitting import network
from lightxml.metrics import make_topk_scorer, precision_at_k

Documents = tuple[list[str], sp.csr_array]
Make = Callable[..., LightXMLClassifier]


@pytest.fixture(scope="module")
def plain_scores(make_classifier: Make, documents: Documents) -> np.ndarray:
    """The logits of a model in float32 with every argument at the fixture's value."""
    X, y = documents
    return make_classifier(precision="fp32").fit(X, y).decision_function(X)


def without_markup(X: list[str]) -> list[str]:
    """A cleaning step as a user would write it."""
    return [re.sub(r"<[^>]*>", "", text) for text in X]


# What is returned ------------------------------------------------------------------------------


def test_predict_topk_ranks_labels_by_their_scores(
    fitted: LightXMLClassifier, documents: Documents
) -> None:
    X = documents[0]
    labels, scores = fitted.predict_topk(X, k=4, return_scores=True)
    assert labels.shape == scores.shape == (60, 4)
    assert scores.dtype == np.float32
    everything = fitted.predict_proba(X)
    for row, ranked in zip(everything, labels, strict=True):
        assert ranked.tolist() == np.lexsort((np.arange(12), -row))[:4].tolist()
    np.testing.assert_allclose(scores, np.take_along_axis(everything, labels, axis=1), atol=1e-6)
    assert np.array_equal(fitted.predict_topk(X, k=2), labels[:, :2])


def test_scores_are_probabilities_and_predict_takes_those_of_at_least_a_half(
    fitted: LightXMLClassifier, documents: Documents
) -> None:
    X = documents[0]
    scores = fitted.predict_proba(X)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-fitted.decision_function(X))), atol=1e-6)
    assert np.array_equal(fitted.predict(X).toarray(), scores >= 0.5)
    assert 0 < (scores >= 0.5).sum() < scores.size


@pytest.mark.parametrize(
    "convert",
    [sp.csr_matrix, sp.coo_array, lambda y: y.toarray()],
    ids=["csr_matrix", "coo_array", "dense"],
)  # fmt: skip
def test_predict_answers_in_the_form_of_y(
    make_classifier: Make, documents: Documents, convert: Callable
) -> None:
    X, y = documents[0], convert(documents[1])
    predicted = make_classifier(max_epochs=1).fit(X, y).predict(X)
    assert predicted.shape == y.shape
    assert sp.issparse(predicted) == sp.issparse(y)
    assert isinstance(predicted, sp.sparray) == isinstance(y, sp.sparray)
    if sp.issparse(y):
        assert predicted.format == "csr"


def test_collections_of_labels_come_back_as_tuples(
    make_classifier: Make, documents: Documents, labels: list[tuple[str, ...]]
) -> None:
    X = documents[0]
    model = make_classifier(max_epochs=3).fit(X, labels)
    assert model.classes_.tolist() == sorted({name for row in labels for name in row})
    ranked = model.predict_topk(X, k=3)
    assert set(ranked.ravel()) <= set(model.classes_)
    predicted = model.predict(X)
    scores = model.predict_proba(X)
    assert predicted[0] == tuple(model.classes_[scores[0] >= 0.5])
    assert any(predicted)
    assert model.score(X, labels) == precision_at_k(labels, ranked, 1, classes=model.classes_)


def test_an_indicator_keeps_columns_that_are_never_used(
    make_classifier: Make, documents: Documents
) -> None:
    X, y = documents
    wide = sp.hstack([y, sp.csr_array((60, 3), dtype=y.dtype)]).tocsr()
    model = make_classifier(max_epochs=2).fit(X, wide)
    assert model.classes_.tolist() == list(range(15))
    assert model.predict_topk(X, k=15).shape == (60, 15)
    assert model.predict(X).shape == (60, 15)


def test_validation_is_measured_with_the_weights_that_predict(
    make_classifier: Make, documents: Documents
) -> None:
    X, y = documents
    model = make_classifier(max_epochs=3).fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    topk = model.predict_topk(X[40:])
    assert [row["epoch"] for row in model.history_] == [1, 2, 3]
    for k in (1, 3, 5):
        assert model.history_[-1][f"precision_at_{k}"] == precision_at_k(y[40:], topk, k)
    without = make_classifier(max_epochs=3).fit(X[:40], y[:40])
    assert np.array_equal(without.decision_function(X), model.decision_function(X))


def test_dense_scores_that_would_not_fit_are_refused(
    fitted: LightXMLClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightxml.predicting.checks.MAX_DENSE_SCORES", 100)
    assert fitted.predict_proba(["a"] * 8).shape == (8, 12)
    with pytest.raises(ValueError, match=r"9 documents x 12 labels .* Use predict_topk"):
        fitted.predict_proba(["a"] * 9)


# Among scikit-learn's tools --------------------------------------------------------------------


def test_the_constructor_only_stores() -> None:
    signature = inspect.signature(LightXMLClassifier)
    strange = {name: object() for name in signature.parameters}
    model = LightXMLClassifier(**strange)
    assert all(getattr(model, name) is value for name, value in strange.items())
    assert clone(LightXMLClassifier("tiny", max_epochs=3)).get_params()["max_epochs"] == 3


def test_it_is_a_multilabel_classifier_of_texts() -> None:
    model = LightXMLClassifier()
    tags = get_tags(model)
    assert is_classifier(model)
    assert tags.input_tags.string
    assert tags.input_tags.two_d_array, "a numeric X"
    assert tags.input_tags.sparse
    assert tags.classifier_tags.multi_label
    assert tags.target_tags.required


def test_a_grid_search_over_se_block(make_classifier: Make, documents: Documents) -> None:
    X, y = documents
    search = GridSearchCV(
        make_classifier(),
        {"se_block": [False, True]},
        cv=2,
        scoring=make_topk_scorer(precision_at_k, k=3),
    ).fit(X, y)
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])
    assert (search.best_estimator_.network_.se_block is not None) == search.best_params_["se_block"]
    assert search.predict(X).shape == y.shape
    # Refitted on all documents with the best parameters: the same as by hand.
    by_hand = make_classifier(**search.best_params_).fit(X, y)
    assert np.array_equal(search.predict_proba(X), by_hand.predict_proba(X))


def test_a_pipeline_cleans_the_texts_first(make_classifier: Make, documents: Documents) -> None:
    X, y = documents
    pipeline = make_pipeline(FunctionTransformer(without_markup), make_classifier())
    pipeline.fit([f"<p class='x'>{text}</p>" for text in X], y)
    plain = make_classifier().fit(X, y)
    assert np.array_equal(pipeline.predict_proba(X), plain.predict_proba(X))
    assert make_topk_scorer(k=1)(pipeline, X, y) == plain.score(X, y)
    ranked = pipeline[-1].predict_topk(pipeline[:-1].transform(X), k=3)
    assert np.array_equal(ranked, plain.predict_topk(X, k=3))


def test_cross_val_predict_stays_sparse(make_classifier: Make, documents: Documents) -> None:
    X, y = documents
    folds = KFold(2)
    predicted = cross_val_predict(make_classifier(), X, y, cv=folds, method="predict")
    assert sp.issparse(predicted)
    (train, test), _ = folds.split(X)
    by_hand = make_classifier().fit([X[i] for i in train], y[train])
    expected = by_hand.predict([X[i] for i in test])
    assert np.array_equal(predicted[test].toarray(), expected.toarray())


# Copies ----------------------------------------------------------------------------------------


def by_joblib(model: LightXMLClassifier) -> LightXMLClassifier:
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize(
    "copied",
    [lambda m: pickle.loads(pickle.dumps(m)), by_joblib, copy.deepcopy],
    ids=["pickle", "joblib", "deepcopy"],
)
def test_a_copy_predicts_the_same_and_is_its_own(
    fitted: LightXMLClassifier, documents: Documents, copied: Callable
) -> None:
    X = documents[0]
    twin = copied(fitted)
    assert np.array_equal(twin.decision_function(X), fitted.decision_function(X))
    assert twin.history_ == fitted.history_
    assert twin.n_iter_ == fitted.n_iter_
    assert repr(twin) == repr(fitted)
    own = next(twin.network_.parameters())
    assert own.data_ptr() != next(fitted.network_.parameters()).data_ptr()


def test_an_unfitted_estimator_is_pickled_unfitted_and_not_saved(
    make_classifier: Make, tmp_path: Path
) -> None:
    model = make_classifier()
    twin = pickle.loads(pickle.dumps(model))
    assert repr(twin) == repr(model)
    with pytest.raises(NotFittedError):
        twin.predict(["a"])
    with pytest.raises(NotFittedError):
        twin.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_pickle_keeps_labels_that_json_cannot(
    make_classifier: Make, documents: Documents, tmp_path: Path
) -> None:
    labels = [[("a", 1)], [("b", 2)]] * 30
    with pytest.warns(UserWarning, match=r"label \('a', 1\) is a tuple.* pickled, but not saved"):
        model = make_classifier(max_epochs=1).fit(documents[0], labels)
    twin = pickle.loads(pickle.dumps(model))
    assert twin.predict_topk(["x"], k=1)[0, 0] in {("a", 1), ("b", 2)}
    with pytest.raises(TypeError, match=r"label \('a', 1\) is a tuple"):
        model.save(tmp_path / "model")


def test_a_model_of_a_missing_gpu_is_unpickled_on_what_there_is(
    fitted: LightXMLClassifier, documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    model = copy.deepcopy(fitted).set_params(device="cuda")
    twin = pickle.loads(pickle.dumps(model))
    assert twin.network_.device.type == "cpu"
    X = documents[0][:3]
    assert np.array_equal(twin.decision_function(X), fitted.decision_function(X))
    with pytest.raises(ValueError, match=r"device='cuda' is not available here; pass 'auto'"):
        twin.fit(*documents)


# Arguments -------------------------------------------------------------------------------------


def test_a_generator_decides_and_is_not_advanced(
    make_classifier: Make, documents: Documents
) -> None:
    generator = np.random.default_rng(5)
    model = make_classifier(random_state=generator, max_epochs=1).fit(*documents)
    first = model.decision_function(documents[0])
    assert np.array_equal(model.fit(*documents).decision_function(documents[0]), first)
    assert generator.bit_generator.state == np.random.default_rng(5).bit_generator.state
    other = clone(model).set_params(random_state=np.random.default_rng(6)).fit(*documents)
    assert not np.array_equal(other.decision_function(documents[0]), first)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"max_length": 0}, ValueError, "max_length is 0; expected an int of at least 1"),
        ({"max_length": 1.5}, TypeError, r"max_length is 1.5 \(float\); expected an int of at"),
        ({"max_epochs": "many"}, TypeError, "max_epochs is 'many'; expected an int .* or 'auto'"),
        ({"max_epochs": 0}, ValueError, "max_epochs is 0"),
        ({"max_epochs": 2**80}, ValueError, "max_epochs is an int of 81 bits, more than int64 can"),
        ({"learning_rate": 10**400}, ValueError, "learning_rate is an int of 1329 bits, more tha"),
        ({"batch_size": -1}, ValueError, "batch_size is -1"),
        ({"batch_size": True}, TypeError, "batch_size is True; expected an int of at least 1 or"),
        ({"accumulate": "auto"}, TypeError, "accumulate is 'auto'; expected an int"),
        ({"dropout": 1.0}, ValueError, r"dropout is 1.0; expected a number in \[0, 1\)"),
        ({"dropout": float("nan")}, ValueError, "dropout is nan; expected a number"),
        ({"learning_rate": float("inf")}, ValueError, "learning_rate is inf; expected a number"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate is 0.0; expected a number above 0"),
        ({"head_learning_rate": -1.0}, ValueError, "head_learning_rate is -1.0"),
        ({"weight_decay": -0.1}, ValueError, "weight_decay is -0.1; expected a number of at le"),
        ({"swa_start": 1.0}, ValueError, r"swa_start is 1.0; expected a number in \[0, 1\) or N"),
        ({"swa_every": 0}, ValueError, "swa_every is 0"),
        ({"se_block": "yes"}, TypeError, "se_block is 'yes'; expected True or False"),
        ({"schedule": "cosine"}, ValueError, "schedule is 'cosine'; expected one of 'linear'"),
        ({"precision": "fp16"}, ValueError, "precision is 'fp16'; expected one of 'auto'"),
        ({"encoder": 3}, TypeError, r"encoder is 3 \(int\); expected 'auto', 'tiny'"),
        ({"device": "gpu"}, ValueError, "device is 'gpu'; expected 'auto', 'cpu', 'cuda'"),
        ({"device": "cuda:99"}, ValueError, "device='cuda:99' is not available here"),
        ({"device": 0}, TypeError, r"device is 0 \(int\); expected 'auto', 'cpu'"),
        ({"n_feature_layers": 0}, ValueError, "n_feature_layers is 0"),
        ({"n_jobs": 0}, ValueError, "n_jobs is 0; expected an int other than 0 or None"),
        ({"verbose": -1}, ValueError, "verbose is -1"),
        ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change is 0"),
        ({"early_stopping": "auto"}, TypeError, "early_stopping is 'auto'; expected True or F"),
        ({"checkpoint_minutes": 0}, ValueError, "checkpoint_minutes is 0"),
        ({"validation_fraction": 0}, ValueError, "validation_fraction is 0"),
        ({"validation_fraction": 1.0}, ValueError, "validation_fraction is 1.0; expected a frac"),
        ({"label_clusters": "many"}, TypeError, "label_clusters is 'many'; expected 'auto', Fal"),
        ({"label_clusters": [0, 1]}, ValueError, r"label_clusters has shape \(2,\), but there are"),
        ({"checkpoint_dir": 7}, TypeError, r"checkpoint_dir is 7 \(int\); expected a folder or N"),
        ({"memory": 7}, TypeError, r"memory is 7 \(int\); expected a folder, a joblib.Memory or"),
        ({"random_state": "seed"}, TypeError, "random_state is 'seed'; expected an int from 0"),
        ({"random_state": -1}, ValueError, "random_state is -1; expected an int from 0"),
        ({"encoder": "no/such/folder"}, OSError, "encoder='no/such/folder' could not be loaded"),
    ],
    ids=lambda value: "-".join(map(str, *value.items())) if isinstance(value, dict) else "",
)
def test_a_wrong_argument_is_named_before_the_expensive_part(
    make_classifier: Make,
    documents: Documents,
    monkeypatch: pytest.MonkeyPatch,
    params: dict,
    error: type[Exception],
    message: str,
) -> None:
    model = make_classifier(**params)
    monkeypatch.setattr(
        network, "fit_network_alone", lambda *args: pytest.fail("the expensive part began")
    )
    with pytest.raises(error, match=message):
        model.fit(*documents)
    assert not hasattr(model, "classes_")


@pytest.mark.parametrize(
    "change",
    [
        {"max_length": 4},
        {"n_feature_layers": 1},
        {"dropout": 0.4},
        {"se_block": True},
        {"max_epochs": 1},
        {"batch_size": 15},
        {"accumulate": 3},
        {"learning_rate": 1e-3},
        {"head_learning_rate": 1e-2},
        {"weight_decay": 0.5},
        {"schedule": "constant"},
        {"swa_start": None},
        {"swa_every": 3},
        {"propensity_weight": 1.0},
        {"precision": "bf16"},
        {"random_state": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_argument_changes_the_model(
    make_classifier: Make, documents: Documents, plain_scores: np.ndarray, change: dict
) -> None:
    X, y = documents
    changed = make_classifier(**{"precision": "fp32", **change}).fit(X, y)
    assert not np.allclose(changed.decision_function(X), plain_scores, atol=1e-6)
