"""A fitted model goes on: more documents, more labels, labels that go."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier, load
from lightxml.rankers import linear
from tests.network.test_encoders import save_pretrained

Make = Callable[..., LightXMLClassifier]
N_LABELS = 12


def draw(n: int, seed: int, first: int = 0, end: int = N_LABELS) -> tuple[list[str], list[Any]]:
    """Documents of one label each, which holds its name and words of its own."""
    rng = np.random.default_rng(seed)
    labels = [f"label {first + i % (end - first):02}" for i in range(n)]
    texts = [
        f"name{int(label[-2:])} word{int(label[-2:])} noise{rng.integers(9)}" for label in labels
    ]
    return texts, [(label,) for label in labels]


X, Y = draw(60, 0)
MORE, Y_MORE = draw(24, 1, first=6, end=N_LABELS + 2)  # two labels are new
TEXTS = {f"label {j:02}": f"name{j}" for j in range(N_LABELS)}
MATRIX = np.array([[f"label {j:02}" in own for j in range(N_LABELS)] for own in Y], dtype=int)
NEW_LABELS = [f"label {j}" for j in (N_LABELS, N_LABELS + 1)]


def words(**params: Any) -> LightXMLClassifier:
    return LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0, **params)


@cache
def once(form: str, **params: Any) -> LightXMLClassifier:
    """Fit on labels as names, names with texts, or columns; each test changes a copy of it."""
    y = MATRIX if form == "columns" else Y
    return words(**params).fit(X, y, label_texts=TEXTS if form == "texts" else None)


def learned(form: str, **params: Any) -> LightXMLClassifier:
    return copy.deepcopy(once(form, **params))


def best(model: LightXMLClassifier, texts: list[str]) -> list[Any]:
    return model.predict_topk(texts, 1)[:, 0].tolist()


def kept_and_pickled(model: LightXMLClassifier, folder: Path) -> list[LightXMLClassifier]:
    model.save(folder / "model")
    return [load(folder / "model"), pickle.loads(pickle.dumps(model))]


# More documents ---------------------------------------------------------------------------------


def test_new_labels_come_behind_the_others_and_are_predicted() -> None:
    model = learned("names")
    before = model.classes_.tolist()
    assert model.partial_fit(MORE, Y_MORE) is model
    assert model.classes_.tolist() == before + NEW_LABELS
    texts, labels = draw(28, 2, end=N_LABELS + 2)
    assert np.mean([a == b for a, (b,) in zip(best(model, texts), labels, strict=True)]) > 0.9
    assert model._model.panel.n_documents == len(X) + len(MORE)
    assert model.rankers_[1].rows.shape[0] == len(X) + len(MORE)


def test_an_estimator_that_is_not_fitted_is_fitted() -> None:
    model = words().partial_fit(X, Y)
    expected = learned("names")
    np.testing.assert_array_equal(model.predict_proba(MORE), expected.predict_proba(MORE))


@pytest.mark.parametrize(("n", "is_better"), [(249, False), (250, True)])
def test_enough_new_documents_change_what_weighs_the_rankers_where_that_ranks_better(
    n: int, is_better: bool
) -> None:
    texts, labels = draw(n, 3)
    says_nothing = words(final_ranker=DummyClassifier()).fit(X, Y)
    first, threshold = says_nothing.final_ranker_, says_nothing.threshold_
    model = says_nothing.set_params(final_ranker="auto").partial_fit(texts, labels)
    assert (model.final_ranker_ is not first) == (model.threshold_ != threshold) == is_better
    new, true = draw(36, 4)
    right = np.mean([a == b for a, (b,) in zip(best(model, new), true, strict=True)])
    assert (right > 0.8) == is_better
    model = words().fit(X, Y)  # ranks them as well as can be
    first, threshold = model.final_ranker_, model.threshold_
    model.partial_fit(texts, labels)
    assert model.final_ranker_ is first
    assert model.threshold_ == threshold


def test_words_that_come_with_new_documents_are_learned() -> None:
    model = learned("names")
    n_before = len(model.vectorizer_.vocabulary_)
    model.partial_fit(["unheard of", "unheard again"], [["label 00"], ["label 00"]])
    assert len(model.vectorizer_.vocabulary_) == n_before + 3
    assert best(model, ["unheard"]) == ["label 00"]


def test_what_a_classifier_learns_anew_is_what_a_fit_learns() -> None:
    """Of all documents, with the same vocabulary and every document near."""
    rows = TfidfVectorizer().fit_transform(X + MORE)
    y = Y + [("label 11",)] * len(MORE)
    whole = LightXMLClassifier(None, rankers=("linear", "neighbors"), random_state=0).fit(rows, y)
    model = LightXMLClassifier(None, rankers=("linear", "neighbors"), random_state=0)
    model.fit(rows[: len(X)], Y).partial_fit(rows[len(X) :], y[len(X) :])
    found, expected = (each.rankers_[0].weights.toarray()[11] for each in (model, whole))
    assert np.corrcoef(found, expected)[0, 1] > 0.95


def test_columns_behind_those_of_the_fit_are_new_labels() -> None:
    model = learned("columns")
    y = np.zeros((len(MORE), N_LABELS + 1), dtype=int)
    y[:, N_LABELS] = 1
    model.partial_fit(MORE, y)
    np.testing.assert_array_equal(model.classes_, np.arange(N_LABELS + 1))
    assert model.predict(MORE).shape == y.shape
    assert best(model, MORE[:1]) == [N_LABELS]


def test_a_frame_may_have_its_columns_in_any_order_and_new_ones() -> None:
    names = [f"label {j:02}" for j in range(N_LABELS)]
    model = words().fit(X, pd.DataFrame(MATRIX, columns=names))
    y = pd.DataFrame(np.ones((len(MORE), 1), dtype=int), columns=["another"])
    for name in reversed(names):
        y[name] = 0
    model.partial_fit(MORE, y)
    assert model.classes_.tolist() == [*names, "another"]
    assert best(model, MORE[:1]) == ["another"]


def test_numbers_and_rows_for_labels_go_on_too() -> None:
    vectorizer = TfidfVectorizer().fit(X + MORE)
    rows, more = vectorizer.transform(X), vectorizer.transform(MORE)
    of_labels = vectorizer.transform([f"name{j}" for j in range(N_LABELS)])
    y = [(int(own[-2:]),) for (own,) in Y]
    model = LightXMLClassifier(None, random_state=0).fit(rows, y, label_texts=of_labels)
    of_labels = vectorizer.transform([f"name{j}" for j in range(N_LABELS + 2)])
    model.partial_fit(more, [(int(own[-2:]),) for (own,) in Y_MORE], label_texts=of_labels)
    assert model.classes_.tolist() == list(range(N_LABELS + 2))
    assert best(model, vectorizer.transform(["name13 word13"])) == [13]
    with pytest.raises(ValueError, match="X has 2 features"):
        model.partial_fit(np.ones((1, 2)), [(1,)])


def test_a_preference_for_rare_labels_is_that_of_the_labels_now() -> None:
    model = words(propensity_weight=1.0).fit(X, Y).partial_fit(MORE, Y_MORE)
    raised = model._model.panel.raised
    assert raised.shape == (N_LABELS + 2,)
    assert raised[N_LABELS] > raised[6]  # two documents against nine


def test_what_has_gone_on_is_saved_and_pickled(tmp_path: Path) -> None:
    model = learned("texts").partial_fit(MORE, Y_MORE)
    model.add_labels({"last": "an unheard name"}).remove_labels(["label 03"])
    expected = model.predict_topk(MORE, return_scores=True)
    for again in kept_and_pickled(model, tmp_path):
        assert again.classes_.tolist() == model.classes_.tolist()
        for a, b in zip(again.predict_topk(MORE, return_scores=True), expected, strict=True):
            np.testing.assert_array_equal(a, b)
        again.partial_fit(MORE, Y_MORE)  # and goes on


def test_a_network_stays_as_it_is_and_says_when_it_has_seen_too_little(
    make_classifier: Make, tmp_path: Path
) -> None:
    encoder = save_pretrained(tmp_path / "encoder", "bert")
    given = {"features": TfidfVectorizer(), "feature_dim": 16, "freeze_encoder": True}
    rankers = ("linear", "neighbors", "label_texts", "network")
    model = make_classifier(encoder=encoder, rankers=rankers, **given)
    model.fit(X, Y, label_texts=TEXTS)
    network = model.network_
    model.partial_fit(MORE, Y_MORE, label_texts={NEW_LABELS[0]: "name12"})
    assert model.network_ is network
    model.remove_labels(["label 00"])
    scores = model.predict_proba(MORE)
    assert scores.shape == (len(MORE), N_LABELS + 1)
    assert np.isfinite(scores).all()
    assert set(best(model, ["name12 word12"])) == {NEW_LABELS[0]}
    for again in kept_and_pickled(model, tmp_path):
        np.testing.assert_allclose(again.predict_proba(MORE), scores, atol=1e-5)
    with pytest.warns(UserWarning, match="learned from 60 of 156 documents"):
        model.partial_fit(MORE * 3, Y_MORE * 3)


def test_each_label_has_a_threshold_as_labels_come_and_go(tmp_path: Path) -> None:
    model = words(threshold="macro_f1").fit(X, Y, label_texts=TEXTS)
    before = model.threshold_
    model.partial_fit(MORE, Y_MORE).add_labels({"z": "an unheard name"}).remove_labels(["label 03"])
    assert model.threshold_.dtype == np.float32
    stays = np.delete(before, 3)
    np.testing.assert_array_equal(model.threshold_, [*stays, *[np.median(before)] * 3])
    for again in kept_and_pickled(model, tmp_path):
        assert again.predict(MORE) == model.predict(MORE)


# Labels that come and go ------------------------------------------------------------------------


def test_a_label_with_a_text_alone_can_be_predicted() -> None:
    model = learned("texts")
    model.add_labels({"z": ["an unheard name", "synonym"], "label 00": "other"})
    assert model.classes_.tolist()[-1] == "z"
    assert model.label_texts_[-1] == ("an unheard name", "synonym")
    assert model.label_texts_[0] == ("other",)
    labels = model.predict_topk(["of an unheard name"], 3)[0]
    assert "z" in labels.tolist()


def test_how_frequent_a_new_labels_words_are_is_known_from_the_features() -> None:
    model = learned("texts")
    model.add_labels({"z": "noise1", "zz": "nowhere"})
    found = model.rankers_[-1].words
    frequency = dict(zip(found.vocabulary.words, found.frequencies.tolist(), strict=True))
    assert frequency["noise1"] == sum("noise1" in text for text in X)
    assert frequency["nowhere"] == 0
    assert frequency["name0"] == 5


def test_labels_come_as_the_next_columns() -> None:
    texts = [f"name{j}" for j in range(N_LABELS)]
    model = words().fit(X, MATRIX, label_texts=texts)
    model.add_labels(["an unheard name", "and another"]).add_labels({N_LABELS + 2: "a third"})
    model.add_labels(pd.Series(["a fourth"]))
    np.testing.assert_array_equal(model.classes_, np.arange(N_LABELS + 4))
    for wrong in ("a text", {"a text"}, None, 3):
        with pytest.raises(TypeError, match="label_texts is of type"):
            model.add_labels(wrong)


def test_a_removed_label_is_forgotten() -> None:
    model = learned("texts")
    scores = model.predict_proba(X)
    model.remove_labels(["label 03", "label 05"])
    assert not {"label 03", "label 05"} & set(model.classes_.tolist())
    assert model.predict_proba(X).shape == (len(X), N_LABELS - 2)
    stays = np.array([j not in (3, 5) for j in range(N_LABELS)])
    is_other = np.array([own[0] not in ("label 03", "label 05") for own in Y])
    assert (
        model.predict_proba(X).argmax(axis=1)[is_other] == scores[:, stays].argmax(axis=1)[is_other]
    ).all()


def test_a_removed_column_stays_and_is_never_predicted(tmp_path: Path) -> None:
    model = learned("columns").remove_labels([3])
    np.testing.assert_array_equal(model.classes_, np.arange(N_LABELS))
    assert model.predict(X).shape == MATRIX.shape
    assert not model.predict(X)[:, 3].any()
    assert best(model, X[:3]) == [0, 1, 2]
    assert not model.predict_proba(X)[:, 3].any()
    assert not (model.predict_topk([*X, "nothing known"], 5) == 3).any()


# What is refused leaves the model as it was -----------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.partial_fit(MORE, Y), ValueError, "y has 60 rows"),
        (lambda m: m.partial_fit(["a", None], Y[:2]), TypeError, r"X\[1\]"),
        (lambda m: m.partial_fit(MORE, MATRIX[:24]), ValueError, "an indicator matrix"),
        (lambda m: m.partial_fit(["a"], [[7]]), ValueError, r"label 7 \(int\)"),
        (
            lambda m: m.partial_fit(MORE, Y_MORE, sample_weight=[1]),
            ValueError,
            "sample_weight has shape",
        ),
        (
            lambda m: m.partial_fit(MORE, Y_MORE, sample_weight=[-1] * 24),
            ValueError,
            r"sample_weight\[0\] is -1",
        ),
        (
            lambda m: m.partial_fit(MORE, Y_MORE, label_texts={"z": 3}),
            TypeError,
            r"label_texts\['z'\]",
        ),
        (lambda m: m.partial_fit(np.eye(24), Y_MORE), ValueError, "X has 2 dimensions"),
        (lambda m: m.add_labels({"z": ""}), ValueError, "label_texts"),
        (lambda m: m.add_labels({"y": "a text", "z": None}), ValueError, r"label_texts\['z'\]"),
        (lambda m: m.add_labels(["a text"]), TypeError, "expected a mapping"),
        (lambda m: m.add_labels({4: "a text"}), ValueError, "label 4"),
        (lambda m: m.remove_labels(["label 00", "z"]), ValueError, r"labels\[1\] is 'z'"),
        (lambda m: m.remove_labels("label 00"), TypeError, r"pass \['label 00'\]"),
        (lambda m: m.remove_labels(np.ones((2, N_LABELS))), TypeError, "labels is a matrix"),
        (lambda m: m.remove_labels(m.classes_), ValueError, "at least one must stay"),
    ],
)
def test_bad_input_is_named(call: Callable[..., Any], error: Any, message: str) -> None:
    model = learned("texts", final_ranker=None)
    before = model._model
    with pytest.raises(error, match=message):
        call(model)
    assert model._model is before


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (MATRIX[:24, :5], "no column 5"),
        (np.ones((24, N_LABELS + 1)) * 2, "expected 0 or 1"),
        (Y_MORE, "a list of collections"),
    ],
)
def test_wrong_columns_are_named(y: Any, message: str) -> None:
    model = learned("columns", final_ranker=None)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(MORE, y)
    with pytest.raises(ValueError, match="the next one is 12"):
        words(final_ranker=None).fit(X, MATRIX, label_texts=["a"] * N_LABELS).add_labels({20: "a"})


def test_what_was_not_learned_or_kept_is_named(make_classifier: Make) -> None:
    with pytest.raises(NotFittedError):
        words().add_labels(TEXTS)
    with pytest.raises(NotFittedError):
        words().remove_labels(["a"])
    no_texts = learned("names", final_ranker=None)
    with pytest.raises(ValueError, match="label_texts came with none"):
        no_texts.add_labels({"z": "a text"})
    with pytest.raises(ValueError, match="label_texts came with none"):
        no_texts.partial_fit(MORE, Y_MORE, label_texts={"z": "a text"})
    no_documents = words(final_ranker=None, rankers=("linear",)).fit(X, Y)
    with pytest.raises(ValueError, match='the ranker "neighbors" does'):
        no_documents.partial_fit(MORE, Y_MORE)
    alone = make_classifier(
        encoder=None, features=TfidfVectorizer(), rankers=("network",), max_epochs=1
    ).fit(X, Y)
    for call in (lambda: alone.partial_fit(MORE, Y_MORE), lambda: alone.remove_labels(["a"])):
        with pytest.raises(ValueError, match="the network alone"):
            call()


def test_an_update_that_fails_half_way_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = learned("texts", final_ranker=None)
    before, expected = model._model, model.predict_proba(MORE)

    def killed(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(linear, "fit_classifiers", killed)
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(MORE, Y_MORE)
    monkeypatch.undo()
    assert model._model is before
    np.testing.assert_array_equal(model.predict_proba(MORE), expected)


def test_the_callers_objects_stay_as_they_are() -> None:
    model = learned("columns", final_ranker=None)
    y, weights = sp.csr_matrix(MATRIX[:24]), np.ones(24)
    for array in (y.data, y.indices, y.indptr, weights):
        array.flags.writeable = False
    features = model.features
    model.partial_fit(tuple(MORE), y, sample_weight=weights)
    assert model.features is features
    assert not hasattr(features, "vocabulary_")


def test_a_frozen_encoders_vectors_of_new_documents_and_texts_join(tmp_path: Path) -> None:
    encoder = save_pretrained(tmp_path / "encoder", "bert")
    model = words(max_length=32).set_params(encoder=encoder, freeze_encoder=True)
    model.fit(X, Y, label_texts=TEXTS).partial_fit(MORE, Y_MORE)
    model.add_labels({"z": "an unheard name"}).remove_labels(["label 00"])
    by_name = {ranker.name: ranker for ranker in model.rankers_}
    assert len(by_name["vectors"].keys) == len(X) + len(MORE)
    assert by_name["label_vectors"].owners.tolist() == [*range(N_LABELS - 1), N_LABELS + 1]
    expected = model.predict_proba(MORE)
    for again in kept_and_pickled(model, tmp_path):
        np.testing.assert_allclose(again.predict_proba(MORE), expected, atol=1e-5)
