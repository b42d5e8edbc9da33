"""The rules for documents and labels, as `LightXMLClassifier` shows them; nothing is half done."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer

import lightxml.fitting.network
from lightxml import LightXMLClassifier
from lightxml.data.inputs import reader_of

Documents = tuple[list[str], sp.csr_array]
Make = Callable[..., LightXMLClassifier]

METHODS: dict[str, Callable[[LightXMLClassifier, Any], Any]] = {
    "fit": lambda model, X: model.fit(X, [["a"], ["b"]]),
    "predict_topk": lambda model, X: model.predict_topk(X, k=1),
    "predict": lambda model, X: model.predict(X),
    "predict_proba": lambda model, X: model.predict_proba(X),
    "decision_function": lambda model, X: model.decision_function(X),
    "score": lambda model, X: model.score(X, np.zeros((2, 12))),
}

BAD_X: list[tuple[str, Any, type[Exception], str]] = [
    ("str", "a b", TypeError, "X is a single str; expected "),
    ("None", None, TypeError, "X is of type NoneType; expected "),
    ("lone surrogate", ["a", "bc\ud800"], ValueError, "X[1] has a lone surrogate ('\\ud800') at "),
    ("empty list", [], ValueError, "X is empty; expected at least one document."),
    ("DataFrame", pd.DataFrame({"t": ["a", "b"]}), ValueError, "X has 2 dimensions; expected "),
]


@pytest.mark.parametrize("X", [sp.csr_array(np.eye(2)), np.eye(2), [[0.5, 1], [1, 0]]])
def test_a_text_encoder_refuses_a_numeric_matrix(
    fitted: LightXMLClassifier, make_classifier: Make, X: Any
) -> None:
    with pytest.raises(ValueError, match="X is a numeric matrix, but encoder=BertConfig reads doc"):
        make_classifier().fit(X, [["a"], ["b"]])
    with pytest.raises((TypeError, ValueError), match=r"X\b.*; expected (a list|str)"):
        fitted.predict(X)


def fitted_attributes(model: LightXMLClassifier) -> set[str]:
    return set(vars(model)) - set(model.get_params(deep=False))


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize(
    ("X", "error", "message"), [row[1:] for row in BAD_X], ids=[row[0] for row in BAD_X]
)
def test_every_method_refuses_what_is_no_documents(
    fitted: LightXMLClassifier,
    make_classifier: Make,
    method: str,
    X: Any,
    error: type[Exception],
    message: str,
) -> None:
    model = make_classifier() if method == "fit" else fitted
    before, attributes = pickle.dumps(X), fitted_attributes(model)
    with pytest.raises(error) as caught:
        METHODS[method](model, X)
    assert type(caught.value) is error
    assert str(caught.value).startswith(message)
    assert fitted_attributes(model) == attributes
    assert pickle.dumps(X) == before


TEXTS = ["ape bee", "bee cat", "cat ape"]


def out_of_range() -> sp.csr_array:
    y = sp.csr_array(np.eye(3))
    y.indices = np.array([0, 1, 3], dtype=np.int32)
    return y


BAD_Y: list[tuple[str, Any, type[Exception], str]] = [
    ("None", None, ValueError, "LightXMLClassifier requires y to be passed, but the target y is"),
    ("too short", np.eye(2), ValueError, "y has 2 rows, but there are 3 documents;"),
    ("one label each", ["a", "b", "c"], ValueError, "y[0] is the single label 'a'; expected a"),
    ("0.5", sp.csr_array(np.eye(3) / 2), ValueError, "y[0, 0] is 0.5; expected 0 or 1."),
    ("no positive", np.zeros((3, 2)), ValueError, "y gives no document any label; nothing can"),
    ("mixed labels", [["a"], [1], []], TypeError, "y mixes labels that cannot be sorted"),
    ("damaged", out_of_range(), ValueError, "y is a damaged sparse matrix ("),
]


@pytest.mark.parametrize(
    ("y", "error", "message"), [row[1:] for row in BAD_Y], ids=[row[0] for row in BAD_Y]
)
def test_fit_refuses_what_is_no_labels_and_learns_nothing(
    make_classifier: Make, y: Any, error: type[Exception], message: str
) -> None:
    model = make_classifier()
    X = list(TEXTS)
    with pytest.raises(error) as caught:
        model.fit(X, y)
    assert type(caught.value) is error
    assert str(caught.value).startswith(message)
    assert fitted_attributes(model) == set()
    assert X == TEXTS


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros((3, 5)), "y has 5 columns, but LightXMLClassifier was fitted with 12 labels"),
        ([["a"], ["b"], []], "y is a list of collections of labels, but the model was fitted on"),
    ],
    ids=["columns", "form"],
)
def test_score_refuses_labels_that_do_not_fit(
    fitted: LightXMLClassifier, y: Any, message: str
) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        fitted.score(TEXTS, y)


# --- validation data --------------------------------------------------------------------------

EYE = np.eye(3, dtype=int)


@pytest.mark.parametrize(
    ("y", "X_val", "y_val", "error", "message"),
    [
        (EYE, ["a"], None, ValueError, "X_val and y_val go together; pass both or neither."),
        (EYE, None, EYE[:1], ValueError, "X_val and y_val go together; pass both or neither."),
        (EYE, ["a", None], EYE[:2], TypeError, "X_val[1] is None; expected str."),
        (EYE, ["a"], EYE, ValueError, "y_val has 3 rows, but there are 1 documents;"),
        (EYE, ["a"], np.eye(1, 2), ValueError, "y_val has 2 columns, but LightXMLClassifier was"),
        (EYE, ["a"], [["a"]], ValueError, "y_val is a list of collections of labels, but the"),
        ([["a"], ["b"], []], ["a"], EYE[:1], ValueError, "y_val is an indicator matrix, but the"),
    ],
    ids=["no y_val", "no X_val", "None in X_val", "length", "columns", "lists after a matrix",
         "a matrix after lists"],
)  # fmt: skip
def test_fit_refuses_validation_data_that_does_not_fit(
    make_classifier: Make, y: Any, X_val: Any, y_val: Any, error: type[Exception], message: str
) -> None:
    model = make_classifier()
    with pytest.raises(error) as caught:
        model.fit(TEXTS, y, X_val=X_val, y_val=y_val)
    assert type(caught.value) is error
    assert str(caught.value).startswith(message)
    assert fitted_attributes(model) == set()


def test_validation_labels_that_training_has_not_seen_are_misses(make_classifier: Make) -> None:
    model = make_classifier(max_epochs=1)
    X_val, y_val = ["ape", "bee"], [["zebra"], ["zebra", "yak", "a", "b"]]
    model.fit(TEXTS, [["a"], ["b"], ["a", "b"]], X_val=X_val, y_val=y_val)
    assert [epoch["precision_at_1"] for epoch in model.history_] == [0.5]
    assert model.classes_.tolist() == ["a", "b"]
    assert (X_val, y_val) == (["ape", "bee"], [["zebra"], ["zebra", "yak", "a", "b"]])


@pytest.mark.parametrize("y_val", [[["1"], ["2"]], [[], []]])
def test_validation_documents_without_a_known_label_are_left_out(
    make_classifier: Make, y_val: Any
) -> None:
    """Numbers here and text there: no epoch would be better than the first."""
    model = make_classifier(max_epochs=1)
    with pytest.warns(UserWarning, match=r"y_val") as caught:
        model.fit(TEXTS, [[1], [2], [1, 2]], X_val=["ape", "bee"], y_val=y_val)
    told = [str(warning.message) for warning in caught]
    assert any("X_val is left out" in message for message in told)
    assert any("such as '1'" in message for message in told) == bool(y_val[0])
    assert model.history_[0].keys() == {"epoch", "loss"}


def test_a_score_on_labels_of_another_type_warns(make_classifier: Make) -> None:
    model = make_classifier(max_epochs=1).fit(TEXTS, [[1], [2], [1, 2]])
    with pytest.warns(UserWarning, match=r"None of the labels of y \(such as '1'\) is known"):
        assert model.score(TEXTS, [["1"], ["2"], ["1"]]) == 0


# --- k ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "error"),
    [(0, ValueError), (-1, ValueError), (13, ValueError), (np.int64(0), ValueError),
     (10**30, ValueError), (True, TypeError), (False, TypeError), (np.True_, TypeError),
     (1.0, TypeError), (np.float64(2), TypeError), (float("nan"), TypeError), ("1", TypeError),
     ([1], TypeError), (np.array([1, 2]), TypeError)],
    ids=repr,
)  # fmt: skip
def test_k_is_an_int_from_1_to_the_number_of_labels(
    fitted: LightXMLClassifier, k: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"^k\b") as caught:
        fitted.predict_topk(TEXTS, k=k)
    assert type(caught.value) is error


def test_a_k_above_the_number_of_labels_names_both(fitted: LightXMLClassifier) -> None:
    with pytest.raises(ValueError, match=r"^k=13 is more than the 12 labels of the model\.$"):
        fitted.predict_topk(TEXTS, k=13)


@pytest.mark.parametrize("kind", [np.int64, np.int8, np.uint16])
def test_k_may_be_a_numpy_int(fitted: LightXMLClassifier, kind: Any) -> None:
    assert np.array_equal(fitted.predict_topk(TEXTS, k=kind(3)), fitted.predict_topk(TEXTS, k=3))


def test_k_may_be_every_label(fitted: LightXMLClassifier) -> None:
    ranked = fitted.predict_topk(TEXTS, k=12)
    assert np.array_equal(np.sort(ranked, axis=1), np.tile(fitted.classes_, (3, 1)))


# --- before and after a fit that fails ----------------------------------------------------------


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"fit"}))
@pytest.mark.parametrize("X", [TEXTS[:2], [None], "a"], ids=["documents", "None entry", "str"])
def test_before_fit_that_is_the_error_whatever_the_documents(
    make_classifier: Make, method: str, X: Any
) -> None:
    with pytest.raises(NotFittedError, match="LightXMLClassifier instance is not fitted yet"):
        METHODS[method](make_classifier(), X)


def diverge(*args: Any, **kwargs: Any) -> None:
    raise FloatingPointError("stand-in for an error in training")


@pytest.mark.parametrize(
    ("X", "y", "params", "error"),
    [
        (["a", None], EYE[:2], {}, TypeError),
        (TEXTS, EYE[:2], {}, ValueError),
        (TEXTS, EYE * 2, {}, ValueError),
        (TEXTS, EYE, {"max_epochs": -1}, ValueError),
        (TEXTS, EYE, {"device": "abacus"}, ValueError),
        (TEXTS, EYE, {"max_length": 2}, ValueError),
        (TEXTS, EYE, {}, FloatingPointError),
    ],
    ids=["documents", "length", "values", "argument", "device", "encoder", "training"],
)
def test_a_fit_that_fails_leaves_the_model_before_it(
    fitted: LightXMLClassifier,
    make_classifier: Make,
    monkeypatch: pytest.MonkeyPatch,
    X: Any,
    y: Any,
    params: dict[str, Any],
    error: type[Exception],
) -> None:
    if error is FloatingPointError:
        monkeypatch.setattr(lightxml.fitting.network, "train", diverge)
    expected = fitted.predict_proba(TEXTS)
    model = copy.deepcopy(fitted).set_params(**params)
    kept = {name: getattr(model, name) for name in fitted_attributes(model)}
    with pytest.raises(error):
        model.fit(X, y)
    assert fitted_attributes(model) == set(kept)
    assert all(getattr(model, name) is value for name, value in kept.items())
    assert np.array_equal(model.predict_proba(TEXTS), expected)

    unfitted = make_classifier(**params)
    with pytest.raises(error):
        unfitted.fit(X, y)
    assert fitted_attributes(unfitted) == set()


# --- what is unusual and works ------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    ["", " \n\t", "\x00", "\x01\x1b\x7f", "a\x00b", "\ufeff\u200b", "👩🏽‍🚀", "𝔘𐍈", "日本語",
     "ﷺ" * 50, "e" + "\u0301" * 500, "\U0010ffff", "[CLS] [SEP] [PAD] [UNK]", "a " * 500_000,
     "x" * 200_000, "ape bee " * 20],
    ids=["empty", "blanks", "NUL", "control characters", "NUL inside", "zero width", "emoji",
         "astral", "Japanese", "ligatures", "accents", "last code point", "special tokens",
         "million characters", "no blank for long", "above max_length"],
)  # fmt: skip
def test_unusual_documents_are_scored_and_change_no_neighbour(
    fitted: LightXMLClassifier, document: str
) -> None:
    scores = fitted.predict_proba([TEXTS[0], document, TEXTS[1]])
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores[[0, 2]], fitted.predict_proba(TEXTS[:2]), atol=1e-5)
    labels, top = fitted.predict_topk([document], k=12, return_scores=True)
    assert sorted(labels[0]) == list(range(12))
    assert (np.diff(top[0]) <= 0).all()


def test_of_a_document_above_max_length_only_the_beginning_counts(
    fitted: LightXMLClassifier, documents: Documents
) -> None:
    beginning = " ".join(documents[0][:10])
    longer = beginning + " and much more" * 50
    assert np.array_equal(fitted.predict_proba([beginning]), fitted.predict_proba([longer]))


def test_unusual_documents_and_labels_are_learnt_from(make_classifier: Make) -> None:
    X = pd.Series(["", "bee", "ape " * 250_000, "\x00", "cat 👍🏿"], index=[3, 3, 2, 1, 0])
    y = sp.coo_matrix(  # an entry twice, an explicit zero, a label never used, unlabelled rows
        ([1.0, 1.0, 0.0, 1.0, 1.0], ([0, 0, 1, 2, 4], [0, 0, 1, 2, 3])), shape=(5, 5)
    )
    before = [pickle.dumps(X), pickle.dumps([y.data, y.row, y.col])]
    model = make_classifier(max_epochs=1).fit(X, y)
    assert model.classes_.tolist() == [0, 1, 2, 3, 4]
    assert np.isfinite(model.predict_proba(X)).all()
    assert type(model.predict(X)) is sp.csr_matrix
    assert 0 <= model.score(X, y) <= 1
    assert [pickle.dumps(X), pickle.dumps([y.data, y.row, y.col])] == before


@pytest.mark.parametrize(
    ("X", "y", "classes"),
    [(["ape"], [["a"]], ["a"]), (["", ""], [["a"], []], ["a"]), (["ape"] * 3, EYE[:, :1], [0])],
    ids=["one document", "empty documents", "one column"],
)
def test_one_label_is_a_model(
    make_classifier: Make, X: list[str], y: Any, classes: list[Any]
) -> None:
    model = make_classifier(max_epochs=1).fit(X, y)
    assert model.classes_.tolist() == classes
    labels, scores = model.predict_topk(X, k=1, return_scores=True)
    assert labels.tolist() == [classes] * len(X)
    assert np.array_equal(scores, model.predict_proba(X))
    with pytest.raises(ValueError, match=r"^k=2 is more than the 1 labels of the model"):
        model.predict_topk(X, k=2)


def test_numpy_int_labels_come_back_and_can_be_saved(make_classifier: Make, tmp_path: Any) -> None:
    y = [[np.int64(7)], {np.int64(3)}, np.array([3, 7])]
    model = make_classifier(max_epochs=1).fit(TEXTS, y)
    model.save(tmp_path / "model")
    loaded = LightXMLClassifier.load(tmp_path / "model")
    assert loaded.classes_.tolist() == [3, 7]
    assert loaded.score(TEXTS, y) == model.score(TEXTS, y)


# --- documents with nothing in common ------------------------------------------------------------


def sentences(n: int) -> list[str]:
    """Sentences of ten characters, without blanks."""
    rng = np.random.default_rng(0)
    return ["".join(rng.choice(list("星月云轨望彗盐油锅汤面菜"), size=10)) for _ in range(n)]


def test_a_script_without_blanks_is_told() -> None:
    reader, inputs = reader_of(sentences(200), None, TfidfVectorizer())
    with pytest.warns(UserWarning, match=r'200 of the 200 .* TfidfVectorizer\(analyzer="char"'):
        reader.fit(inputs)


@pytest.mark.parametrize(
    ("texts", "vectorizer"),
    [
        (sentences(200), TfidfVectorizer(analyzer="char", ngram_range=(1, 2))),
        (sentences(99), TfidfVectorizer()),
        ([*(f"word {i}" for i in range(101)), *(f"word{i}" for i in range(99))], TfidfVectorizer()),
    ],
    ids=["characters", "few documents", "half of them"],
)
def test_what_has_enough_in_common_is_not_told(texts: list[str], vectorizer: Any) -> None:
    reader, inputs = reader_of(texts, None, vectorizer)
    reader.fit(inputs)
