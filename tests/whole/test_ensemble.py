"""LightXMLEnsemble: its members, the mean of their scores, one folder, scikit-learn's face."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline

import lightxml.training.loop
from lightxml import LightXMLClassifier, LightXMLEnsemble, load
from lightxml.datasets import make_xmc
from lightxml.exceptions import BundleError, CheckpointError
from lightxml.files.load import load_bundle
from lightxml.metrics import make_topk_scorer, precision_at_k
from lightxml.predicting import averaging
from lightxml.rankers.base import Documents as Rows
from lightxml.rankers.neighbors import Neighbors
from tests.network.test_encoders import save_pretrained
from tests.predicting.test_frozen import encoded  # noqa: F401

Documents = tuple[list[str], sp.csr_array]
Make = Callable[..., LightXMLClassifier]


def of_numbers(**params: Any) -> LightXMLClassifier:
    """An estimator that learns in tenths of a second, from features alone."""
    defaults = {"feature_dim": 16, "max_epochs": 2, "device": "cpu", "rankers": ("network",)}
    return LightXMLClassifier(None, **{**defaults, **params})


@pytest.fixture(scope="module")
def ensemble(make_classifier: Make, documents: Documents) -> LightXMLEnsemble:
    """Two fitted encoders of two layers; tests only read it."""
    return LightXMLEnsemble(make_classifier(), n_estimators=2, random_state=0).fit(*documents)


@pytest.fixture(scope="module")
def numbers() -> tuple[sp.csr_array, sp.csr_array]:
    """Features and 300 labels: more than each member names as its best."""
    X, y = make_xmc(200, 300, n_labels_per_document=3, n_words_per_document=12, random_state=0)
    return sp.csr_array(TfidfVectorizer().fit_transform(X)), y


@pytest.fixture(scope="module")
def wide(numbers: tuple[sp.csr_array, sp.csr_array]) -> LightXMLEnsemble:
    """Three fitted members over 300 labels; tests only read it."""
    return LightXMLEnsemble(of_numbers(), random_state=0).fit(*numbers)


def dense_mean(model: LightXMLEnsemble, X: Any) -> np.ndarray:
    """The mean of the members' probabilities, by its definition."""
    return np.mean([m.predict_proba(X).astype(np.float64) for m in model.estimators_], axis=0)


def best(scores: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


# Members --------------------------------------------------------------------------------------


def test_clones_of_one_estimator_get_seeds_of_their_own(ensemble: LightXMLEnsemble) -> None:
    one, other = ensemble.estimators_
    assert one.random_state != other.random_state
    assert not torch.equal(one.network_.head.weight, other.network_.head.weight)
    assert ensemble.estimator.random_state == 0
    assert not hasattr(ensemble.estimator, "network_")


def test_a_seed_decides_everything_and_more_members_change_none(
    numbers: tuple[sp.csr_array, sp.csr_array],
) -> None:
    X, y = numbers
    two, same, three = (
        LightXMLEnsemble(of_numbers(random_state=own), n_estimators=n, random_state=7).fit(X, y)
        for own, n in [(None, 2), (5, 2), (None, 3)]
    )
    assert np.array_equal(two.predict_proba(X), same.predict_proba(X))
    for first, second in zip(two.estimators_, three.estimators_, strict=False):
        assert np.array_equal(first.decision_function(X), second.decision_function(X))


def test_the_callers_random_state_is_not_advanced(
    numbers: tuple[sp.csr_array, sp.csr_array],
) -> None:
    state = np.random.RandomState(3)
    before = state.get_state()[1].copy()
    model = LightXMLEnsemble(of_numbers(), n_estimators=2, random_state=state)
    first = [m.random_state for m in model.fit(*numbers).estimators_]
    assert [m.random_state for m in model.fit(*numbers).estimators_] == first
    assert np.array_equal(state.get_state()[1], before)


def test_members_of_a_list_are_cloned_and_keep_a_random_state_of_their_own(
    numbers: tuple[sp.csr_array, sp.csr_array],
) -> None:
    given = [of_numbers(feature_dim=8, random_state=11), of_numbers()]
    model = LightXMLEnsemble(estimators=given, random_state=0).fit(*numbers)
    assert [m.network_.widths for m in model.estimators_] == [[8], [16]]
    assert model.estimators_[0].random_state == 11
    assert isinstance(model.estimators_[1].random_state, int)
    assert given[1].random_state is None
    assert not any(hasattr(one, "network_") for one in given)
    alone = clone(given[0]).fit(*numbers)
    X = numbers[0]
    assert np.array_equal(alone.decision_function(X), model.estimators_[0].decision_function(X))


def test_encoders_and_features_can_be_mixed(make_classifier: Make, documents: Documents) -> None:
    X, y = documents
    features = of_numbers(features=TfidfVectorizer())
    model = LightXMLEnsemble(estimators=[make_classifier(), features], random_state=0).fit(X, y)
    topk, scores = model.predict_topk(X, 4, return_scores=True)
    expected = dense_mean(model, X)
    assert np.array_equal(topk, best(expected, 4))
    np.testing.assert_allclose(scores, np.take_along_axis(expected, topk, 1), atol=1e-6)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_estimators": 0}, ValueError, "n_estimators is 0; expected an int of at least 1"),
        ({"n_estimators": True}, TypeError, "n_estimators is True; expected an int"),
        ({"n_estimators": 2.0}, TypeError, r"n_estimators is 2.0 \(float\); expected"),
        ({"estimator": "tiny"}, TypeError, "estimator is 'tiny'; expected a LightXMLClassifier"),
        ({"estimator": LightXMLClassifier}, TypeError, "estimator is <class"),
        ({"estimator": LightXMLEnsemble()}, TypeError, r"estimator is LightXMLEnsemble\(\)"),
        ({"estimators": []}, ValueError, "estimators is empty"),
        ({"estimators": of_numbers()}, TypeError, "estimators is a LightXMLClassifier"),
        ({"estimators": [of_numbers(), None]}, TypeError, r"estimators\[1\] is None; expected"),
        (
            {"estimator": of_numbers(), "estimators": [of_numbers()]},
            ValueError,
            "estimator and estimators are both given",
        ),
        ({"estimator": of_numbers(dropout=2)}, ValueError, "estimator: dropout is 2"),
        (
            {"estimators": [of_numbers(), of_numbers(verbose="yes")]},
            TypeError,
            r"estimators\[1\]: verbose is 'yes'; expected",
        ),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_fitted(
    monkeypatch: pytest.MonkeyPatch, params: dict[str, Any], error: type, message: str
) -> None:
    monkeypatch.setattr(LightXMLClassifier, "_fit", lambda *a, **k: pytest.fail("was fitted"))
    with pytest.raises(error, match=message):
        LightXMLEnsemble(**params).fit(np.eye(4), np.eye(4))


def test_a_failed_fit_leaves_the_previous_one(
    numbers: tuple[sp.csr_array, sp.csr_array], monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = numbers
    model = LightXMLEnsemble(of_numbers(), n_estimators=2, random_state=0).fit(X, y)
    expected, n_fits, fit = model.predict_proba(X), [0], LightXMLClassifier._fit

    def second_fails(self: LightXMLClassifier, *args: Any, **kwargs: Any) -> Any:
        n_fits[0] += 1
        if n_fits[0] == 2:
            raise RuntimeError("the power went out")
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(LightXMLClassifier, "_fit", second_fails)
    with pytest.raises(RuntimeError, match="power"):
        model.fit(X[:, :7], y[:, :5])
    assert n_fits == [2]
    assert np.array_equal(model.predict_proba(X), expected)
    assert model.n_features_in_ == X.shape[1]


def test_nothing_of_a_members_training_is_left_when_the_next_begins(
    make_classifier: Make, documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive, fit = [], LightXMLClassifier._fit

    def watch(self: LightXMLClassifier, *args: Any, **kwargs: Any) -> Any:
        kinds = (torch.optim.Optimizer, torch.optim.swa_utils.AveragedModel)
        # By their type, as some of torch's objects warn when asked for their class.
        alive.append(sum(issubclass(type(thing), kinds) for thing in gc.get_objects()))
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(LightXMLClassifier, "_fit", watch)
    model = LightXMLEnsemble(make_classifier(max_epochs=1), random_state=0).fit(*documents)
    assert alive == [alive[0]] * 3
    weights = [p for member in model.estimators_ for p in member.network_.parameters()]
    assert all(weight.grad is None for weight in weights)


def test_validation_documents_reach_every_member(numbers: tuple[sp.csr_array, Any]) -> None:
    X, y = numbers
    model = LightXMLEnsemble(of_numbers(), n_estimators=2, random_state=0)
    model.fit(X[:150], y[:150], X_val=X[150:], y_val=y[150:])
    assert all("precision_at_5" in member.history_[-1] for member in model.estimators_)


# Scores ---------------------------------------------------------------------------------------


def test_probabilities_are_the_mean_of_the_members(
    ensemble: LightXMLEnsemble, documents: Documents
) -> None:
    X = documents[0]
    found, expected = ensemble.predict_proba(X), dense_mean(ensemble, X)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    logits = ensemble.decision_function(X)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, np.log(expected / (1 - expected)), atol=1e-4)


def test_the_logit_of_the_mean_is_exact_at_either_end() -> None:
    logits = [np.array([-90.0, 60.0, 60.0]), np.array([-90.0, 60.0, -60.0])]
    np.testing.assert_allclose(averaging.logit_of_mean(logits), [-90, 60, 0], atol=1e-9)


class Table:
    """What `averaging` asks of a fitted model, answered from a table of logits."""

    text_reader = panel = None

    def __init__(self, logits: np.ndarray, n_candidates: int) -> None:
        self.logits, self.n_candidates = logits, n_candidates

    def candidates(self, documents: Rows, k: int) -> sp.csr_array:
        logits = self.logits[documents.rows.indices]
        found = np.zeros(logits.shape, dtype=np.float32)
        columns = best(logits, max(k, self.n_candidates))
        np.put_along_axis(found, columns, 1, axis=1)
        return sp.csr_array(found)

    def logits_of(self, documents: Rows, candidates: sp.csr_array) -> np.ndarray:
        rows = np.repeat(documents.rows.indices, np.diff(candidates.indptr))
        return self.logits[rows, candidates.indices]

    def all_logits(self, documents: Rows) -> np.ndarray:
        return self.logits[documents.rows.indices]


@pytest.mark.parametrize("n_candidates", [8, 40], ids=["of some", "of all labels"])
@pytest.mark.parametrize("step", [0.0, 1.0], ids=["distinct", "with ties"])
@pytest.mark.parametrize("shift", [-6.0, 0.0])
def test_all_members_score_what_any_of_them_names_and_ties_go_by_label(
    monkeypatch: pytest.MonkeyPatch, n_candidates: int, step: float, shift: float
) -> None:
    """Labels that only the mean puts first, ties on both sides of every cut, several blocks."""
    monkeypatch.setattr(averaging, "_DOCUMENTS_AT_ONCE", 7)
    rng = np.random.default_rng(0)
    tables = rng.normal(shift, 3, size=(3, 50, 40)).astype(np.float32)
    tables[:2, ::2] = np.sort(tables[:2, ::2], axis=2)
    tables[1, ::2] = tables[1, ::2, ::-1]  # the best of the one is the worst of the other
    tables = np.round(tables * step) / step if step else tables
    rows = Rows(sp.csr_array(np.eye(50, dtype=np.float32)))
    members: Any = [(Table(table, n_candidates), rows) for table in tables]
    dense = averaging.mean_score(list(tables))
    found = averaging.of_all_labels(members, averaging.mean_score)
    assert np.array_equal(found, dense.astype(np.float32))
    for k in (1, 4, 25, 40):
        named = np.zeros(dense.shape, dtype=bool)
        for table in tables:
            np.put_along_axis(named, best(table, max(k, n_candidates)), True, axis=1)
        expected = np.where(named, dense, -1)
        columns, scores = averaging.mean_topk(members, k)
        assert np.array_equal(columns, best(expected, k))
        assert np.array_equal(
            scores, np.take_along_axis(expected, columns, axis=1).astype(np.float32)
        )
    of_all = [(Table(table, 40), rows) for table in tables]
    for least in (0.5, np.linspace(0.1, 0.9, 40, dtype=np.float32)):
        positive = averaging.mean_positive(of_all, least)
        assert np.array_equal(positive.toarray(), dense.astype(np.float32) >= least)


def test_a_document_goes_through_each_encoder_once(
    ensemble: LightXMLEnsemble,
    documents: Documents,
    encoded: list[int],  # noqa: F811
) -> None:
    ensemble.predict_topk(documents[0], 2)
    assert sum(encoded) == 2 * 60


def test_each_members_neighbors_are_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"word{i % 7} word{i % 5}" for i in range(40)]
    one = LightXMLClassifier(None, features=TfidfVectorizer(), final_ranker=None)
    model = LightXMLEnsemble(one, n_estimators=2, random_state=0)
    model.fit(texts, [[i % 3] for i in range(40)])
    searched: list[int] = []
    search = Neighbors._nearest

    def watch(self: Neighbors, rows: sp.csr_array, n: int) -> sp.csr_array:
        searched.append(rows.shape[0])
        return search(self, rows, n)

    monkeypatch.setattr(Neighbors, "_nearest", watch)
    model.predict_topk(texts * 8, 2)
    assert searched == [256, 256, 64, 64]


@pytest.mark.parametrize("form", ["csr_array", "collections"])
def test_predict_gives_the_labels_above_the_mean_threshold_in_the_form_of_y(
    numbers: tuple[sp.csr_array, sp.csr_array], form: str
) -> None:
    X, y = numbers
    given: Any = y
    if form == "collections":
        given = [tuple(y[[i]].indices.tolist()) for i in range(y.shape[0])]
    model = LightXMLEnsemble(of_numbers(max_epochs=60), n_estimators=2, random_state=0).fit(
        X, given
    )
    thresholds = [member.threshold_ for member in model.estimators_]
    assert model.threshold_ == pytest.approx(np.mean(thresholds))
    found, expected = model.predict(X), model.predict_proba(X) >= model.threshold_
    assert expected.sum() > 100
    assert type(found) is type(given)
    if form == "collections":
        assert found == [tuple(model.classes_[row].tolist()) for row in expected]
    else:
        assert np.array_equal(found.toarray(), expected)


# scikit-learn ---------------------------------------------------------------------------------


def test_a_data_frames_names_are_kept_and_compared(
    numbers: tuple[sp.csr_array, sp.csr_array],
) -> None:
    table = pd.DataFrame(numbers[0][:, :4].toarray(), columns=list("abcd"))
    model = LightXMLEnsemble(of_numbers(), n_estimators=2).fit(table, numbers[1])
    assert model.n_features_in_ == 4
    assert model.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict_topk(table.rename(columns={"a": "z"}))
    model.fit(*numbers)
    assert not hasattr(model, "feature_names_in_")


def test_documents_have_no_columns(ensemble: LightXMLEnsemble) -> None:
    assert not hasattr(ensemble, "n_features_in_")


def test_grid_search_reaches_the_members_arguments(
    numbers: tuple[sp.csr_array, sp.csr_array],
) -> None:
    search = GridSearchCV(
        LightXMLEnsemble(of_numbers(), random_state=0),
        {"estimator__max_epochs": [1, 6], "n_estimators": [1, 2]},
        scoring=make_topk_scorer(precision_at_k, k=1),
        cv=KFold(2),
    ).fit(*numbers)
    assert search.best_params_["estimator__max_epochs"] == 6
    assert len(search.best_estimator_.estimators_) == search.best_params_["n_estimators"]


def test_it_ends_a_pipeline(documents: Documents) -> None:
    X, y = documents
    pipe = make_pipeline(TfidfVectorizer(), LightXMLEnsemble(of_numbers(), random_state=0))
    pipe.fit(X, y)
    assert make_topk_scorer(k=1)(pipe, X, y) == pipe.score(X, y)
    pipe.set_params(lightxmlensemble__estimator__dropout=0.2)
    assert pipe[-1].estimator.dropout == 0.2


def test_a_copy_predicts_the_same(
    wide: LightXMLEnsemble, numbers: tuple[sp.csr_array, Any]
) -> None:
    other = pickle.loads(pickle.dumps(wide))
    assert np.array_equal(other.predict_proba(numbers[0]), wide.predict_proba(numbers[0]))
    assert all(member.classes_ is other.classes_ for member in other.estimators_)


def test_a_clone_is_unfitted_and_shares_no_member() -> None:
    model = LightXMLEnsemble(estimators=[of_numbers(), of_numbers(dropout=0.3)], random_state=4)
    other = clone(model)
    assert [one.dropout for one in other.estimators] == [0.5, 0.3]
    assert other.estimators[0] is not model.estimators[0]
    assert other.random_state == 4


def test_a_frozen_encoders_documents_are_encoded_once_for_all_members(
    make_classifier: Make,
    documents: Documents,
    tmp_path: Path,
    encoded: list[int],  # noqa: F811
) -> None:
    encoder = save_pretrained(tmp_path / "encoder", "bert")
    one = make_classifier(encoder=encoder, freeze_encoder=True, memory=tmp_path / "memory")
    model = LightXMLEnsemble(one, random_state=0).fit(*documents)
    model.predict_topk(documents[0], 2)
    assert sum(encoded) == 60


# One folder -----------------------------------------------------------------------------------


@pytest.mark.parametrize("loader", [load, LightXMLEnsemble.load], ids=["load", "classmethod"])
def test_a_loaded_ensemble_predicts_the_same(
    ensemble: LightXMLEnsemble, documents: Documents, tmp_path: Path, loader: Callable
) -> None:
    X = documents[0]
    ensemble.save(tmp_path / "model")
    loaded = loader(tmp_path / "model", device="cpu")
    assert type(loaded) is LightXMLEnsemble
    assert np.array_equal(loaded.predict_proba(X), ensemble.predict_proba(X))
    assert np.array_equal(loaded.predict_topk(X), ensemble.predict_topk(X))
    assert [m.history_ for m in loaded.estimators_] == [m.history_ for m in ensemble.estimators_]
    assert (loaded.n_estimators, loaded.random_state, loaded.estimators) == (2, 0, None)
    again = loaded.fit(*documents)
    assert np.array_equal(again.predict_proba(X), ensemble.predict_proba(X))


def test_the_same_ensemble_gives_the_same_bytes(wide: LightXMLEnsemble, tmp_path: Path) -> None:
    wide.save(tmp_path / "first")
    load(tmp_path / "first", "cpu").save(tmp_path / "second")
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("first", "second")
    )
    assert first == second


def test_what_the_members_share_is_written_and_held_once(
    documents: Documents, labels: list[tuple[str, ...]], tmp_path: Path
) -> None:
    X = documents[0]
    one = of_numbers(features=TfidfVectorizer(min_df=2))
    model = LightXMLEnsemble(estimators=[one, clone(one)], random_state=0).fit(X, labels)
    model.save(tmp_path / "model")
    assert len(list((tmp_path / "model").iterdir())) == 1 + 2 + 2  # record, weights; labels, words
    blobs = load_bundle(tmp_path / "model").blobs
    assert blobs["0/classes.safetensors"] is blobs["1/classes.safetensors"]
    loaded = load(tmp_path / "model", "cpu")
    assert loaded.estimators_[1].classes_ is loaded.classes_
    assert [repr(given.features) for given in loaded.estimators] == 2 * [repr(one.features)]
    assert loaded.estimator is None
    assert loaded.predict(X) == model.predict(X)


def test_each_class_loads_its_own(
    ensemble: LightXMLEnsemble, fitted: LightXMLClassifier, tmp_path: Path
) -> None:
    ensemble.save(tmp_path / "ensemble")
    fitted.save(tmp_path / "one")
    assert type(load(tmp_path / "one", "cpu")) is LightXMLClassifier
    with pytest.raises(
        BundleError, match="holds a LightXMLEnsemble, not a LightXMLClassifier; use"
    ):
        LightXMLClassifier.load(tmp_path / "ensemble")
    with pytest.raises(
        BundleError, match="holds a LightXMLClassifier, not a LightXMLEnsemble; use"
    ):
        LightXMLEnsemble.load(tmp_path / "one")


# --- checkpoints ----------------------------------------------------------------------------------


def test_an_ensemble_without_a_seed_goes_on_with_the_member_that_it_was_at(
    make_classifier: Make, documents: Documents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seeds are drawn once; a member that is done is not trained again."""
    one = make_classifier(max_epochs=1, random_state=None, checkpoint_dir=tmp_path)
    model = LightXMLEnsemble(one, n_estimators=2)
    seeds: list[int] = []
    seed_generators = lightxml.training.loop.seed_generators
    fails_at = 1

    def watch(seed: int, *rest: int, device: torch.device) -> None:
        seeds.append(seed)
        if len(set(seeds)) > fails_at:
            raise RuntimeError("killed")
        seed_generators(seed, *rest, device=device)

    monkeypatch.setattr("lightxml.training.loop.seed_generators", watch)
    with pytest.raises(RuntimeError, match="killed"):
        model.fit(*documents)
    first, second = dict.fromkeys(seeds)
    seeds.clear()
    fails_at = 2
    model.fit(*documents)
    assert dict.fromkeys(seeds) == {second: None}
    assert list(tmp_path.iterdir()) == []
    seeds.clear()
    fails_at = 4
    model.fit(*documents)
    assert not {first, second} & set(seeds)


@pytest.mark.parametrize("content", ["", "[1]", '{"seed": "1"}'])
def test_a_damaged_seed_is_named(
    make_classifier: Make, documents: Documents, tmp_path: Path, content: str
) -> None:
    (tmp_path / "ensemble.json").write_text(content)
    one = make_classifier(random_state=None, checkpoint_dir=tmp_path)
    with pytest.raises(CheckpointError, match=r"ensemble\.json: .* Delete it to begin anew"):
        LightXMLEnsemble(one).fit(*documents)
