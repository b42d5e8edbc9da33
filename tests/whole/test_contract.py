"""scikit-learn's contract: its common checks, on numbers, on numbers as texts, on the class."""

from __future__ import annotations

import ast
import copy
import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils import Tags, column_or_1d, estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from lightxml import LightXMLClassifier, LightXMLEnsemble
from lightxml.network.prediction import sigmoid
from tests.conftest import small_config

Make = Callable[..., LightXMLClassifier]


class Given(ClassifierMixin, BaseEstimator):
    """Keeps the columns of the numbers that a `Translation` is given."""


class Translation:
    """An estimator behind a translation of scikit-learn's check data, and nothing else.

    The common checks feed numbers, and so run almost nothing on an estimator of texts. Here,
    with an encoder, a row of X becomes a document with a word for each column, such as
    ``"f0p3 f1m12"``; without one, X is passed on as it is. A 1-D y becomes one label a
    document, of which `predict` gives the best; an indicator matrix is passed on as it is.
    Constructor, arguments, fitted attributes, pickling and scores are the parent's.
    """

    def fit(self, X: Any, y: Any) -> Self:
        given, self._given = X, Given()
        X, y = validate_data(
            self._given, X, y, multi_output=True,
            accept_sparse="csr" if self.encoder is None else False,
        )  # fmt: skip
        check_classification_targets(y)
        if y.ndim != 2 or y.shape[1] == 1:
            y = [[label] for label in column_or_1d(y).tolist()]
        return super().fit(given if self.encoder is None else as_texts(X), y)

    @property
    def partial_fit(self) -> None:
        """Not of a network alone; and the checks pass `classes`, which ours needs no more."""
        raise AttributeError

    def predict(self, X: Any) -> np.ndarray:
        X = self._translated(X)
        return self.predict_topk(X, k=1)[:, 0] if self._one_label else super().predict(X)

    def decision_function(self, X: Any) -> np.ndarray:
        logits = super().decision_function(self._translated(X))
        # Of two classes, scikit-learn wants one column: how far the second is ahead.
        return logits[:, 1] - logits[:, 0] if self._one_label and logits.shape[1] == 2 else logits

    def predict_proba(self, X: Any) -> np.ndarray:
        logits = super().decision_function(self._translated(X))
        if not self._one_label:
            return sigmoid(logits)
        # Of classes that exclude each other, probabilities that add up to one.
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def score(self, X: Any, y: Any) -> float:
        return float(np.mean(self.predict(X) == np.asarray(y)))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = False
        tags.input_tags.sparse = self.encoder is None
        tags.target_tags.single_output = True
        tags.classifier_tags.multi_class = True
        return tags

    def __str__(self) -> str:
        return "Numbers" if self.encoder is None else "NumbersAsTexts"  # it names the tests

    @property
    def n_features_in_(self) -> int:  # of the numbers: the parent may have been given texts
        return self._given.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        return self._given.feature_names_in_

    @property
    def _one_label(self) -> bool:
        return self._first_model.label_form == "collections"

    def _translated(self, X: Any) -> Any:
        check_is_fitted(self)
        return X if self.encoder is None else as_texts(validate_data(self, X, reset=False))


class Translated(Translation, LightXMLClassifier):
    """LightXMLClassifier as the common checks can feed it."""


class TranslatedEnsemble(Translation, LightXMLEnsemble):
    """LightXMLEnsemble as the common checks can feed it."""

    encoder = None

    def __str__(self) -> str:
        return "EnsembleOfNumbers"


def as_texts(X: np.ndarray) -> list[str]:
    """Write each row as one word a column: its number and the value in halves, p or m."""
    halves = np.rint(2 * X).astype(int).tolist()
    return [
        " ".join(f"f{j}{'m' if v < 0 else 'p'}{abs(v)}" for j, v in enumerate(row))
        for row in halves
    ]


TEXTS = Translated(
    small_config(),
    max_length=16,
    max_epochs=3,
    batch_size=32,
    learning_rate=4e-3,
    head_learning_rate=5e-2,
    dropout=0.1,
    schedule="constant",
    swa_start=None,
    precision="fp32",
    device="cpu",
    random_state=0,
)


# Of numbers alone. A network of them is made of dense ones, or where it is asked for.
QUICK = LightXMLClassifier(
    None,
    rankers=("network",),
    feature_dim=16,
    max_epochs=3,
    batch_size=32,
    head_learning_rate=6e-2,
    device="cpu",
    random_state=0,
)
NUMBERS = Translated(**QUICK.get_params())


ENSEMBLE = TranslatedEnsemble(
    clone(QUICK).set_params(random_state=None), n_estimators=2, random_state=0
)


# A check that must be excused goes into `expected_failed_checks`, with its reason; pytest's
# `xfail_strict` then tells when the excuse is no longer needed. There is none now.
@pytest.mark.filterwarnings("ignore:The label .* is a float")  # as some of the checks have them
@parametrize_with_checks([TEXTS, NUMBERS, ENSEMBLE])
def test_it_keeps_scikit_learns_contract(estimator: Translation, check: Any) -> None:
    check(estimator)


def test_the_common_checks_are_run() -> None:
    names = {name_of(check) for _, check in estimator_checks.estimator_checks_generator(TEXTS)}
    assert len(names) > 45
    assert {"check_classifiers_train", "check_classifier_multioutput", "check_fit_idempotent",
            "check_methods_subset_invariance", "check_estimators_pickle"} <= names  # fmt: skip


def name_of(check: Any) -> str:
    while hasattr(check, "func"):
        check = check.func
    return str(check.__name__)


# On the class itself, the checks that give no data ---------------------------------------------


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_valid_tag_types,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_mixin_order,
    ],
    ids=lambda check: check.__name__,
)
@pytest.mark.parametrize(
    "model",
    [
        LightXMLClassifier(),
        LightXMLClassifier(small_config()),
        LightXMLEnsemble(),
        LightXMLEnsemble(LightXMLClassifier("tiny")),
        LightXMLEnsemble(estimators=[LightXMLClassifier(), LightXMLClassifier("tiny")]),
    ],
    ids=["default", "config", "ensemble", "of one", "of a list"],
)
def test_the_class_itself_keeps_what_needs_no_data(check: Any, model: Any) -> None:
    check(type(model).__name__, model)


def documented(section: str, of: type = LightXMLClassifier) -> dict[str, str]:
    """Return the names in a section of the class's docstring, each with the rest of its line."""
    doc = inspect.getdoc(of)
    assert doc is not None
    body = re.split(r"\n\n?(?=\w[\w ]*\n-+\n)", doc.split(f"{section}\n{'-' * len(section)}\n")[1])
    return dict(re.findall(r"^(\w+) : (.+)$", body[0], flags=re.MULTILINE))


@pytest.mark.parametrize("of", [LightXMLClassifier, LightXMLEnsemble])
def test_every_argument_is_documented_in_order_with_its_default(of: type) -> None:
    arguments = inspect.signature(of).parameters
    described = documented("Parameters", of)
    assert [*described] == [*arguments]
    for name, line in described.items():
        default = re.search(r"default=(.+)$", line)
        assert default is not None, name
        assert ast.literal_eval(default[1]) == arguments[name].default, name


def test_every_fitted_attribute_is_documented_and_there_only_when_it_says_something(
    fitted: LightXMLClassifier,
) -> None:
    def shown(model: Any) -> set[str]:
        return {name for name in dir(model) if name.endswith("_") and not name.startswith("_")}

    of_a_frame = {"n_features_in_", "feature_names_in_"}
    every = set(documented("Attributes")) - {"reading_"}  # of what the command line trained
    assert not shown(clone(fitted))
    assert shown(fitted) == every - of_a_frame
    table = pd.DataFrame(np.eye(4), columns=["a", "b", "c", "d"])
    of_numbers = LightXMLClassifier(None, max_epochs=1).fit(table, np.eye(4, dtype=int))
    assert shown(of_numbers) == every
    of_two = LightXMLEnsemble(of_numbers, n_estimators=2).fit(table, np.eye(4, dtype=int))
    assert shown(of_two) == set(documented("Attributes", LightXMLEnsemble))
    assert shown(of_numbers.fit(table.to_numpy(), np.eye(4))) == every - {"feature_names_in_"}


def test_one_attribute_holds_what_was_fitted(fitted: LightXMLClassifier) -> None:
    assert set(vars(fitted)) - set(fitted.get_params()) == {"_model"}
    with pytest.raises(NotFittedError, match="This LightXMLClassifier instance is not fitted yet"):
        _ = clone(fitted).classes_


def test_fit_and_predict_leave_the_arguments_as_they_were(
    make_classifier: Make, documents: tuple[list[str], Any]
) -> None:
    X, y = documents
    model = make_classifier(max_epochs=1)
    given = model.get_params()
    before = copy.deepcopy(given)
    model.fit(X, y)
    model.predict_topk(X)
    for name, value in model.get_params().items():
        assert value is given[name], name
        if name != "encoder":
            assert value == before[name], name
    assert model.encoder.to_dict() == before["encoder"].to_dict()


def test_an_unknown_argument_is_named() -> None:
    with pytest.raises(ValueError, match=r"Invalid parameter 'depth' for estimator LightXML"):
        LightXMLClassifier().set_params(depth=3)
    with pytest.raises(TypeError, match="unexpected keyword argument 'depth'"):
        LightXMLClassifier(depth=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="positional argument"):
        LightXMLClassifier("tiny", 128)  # type: ignore[misc]


def test_it_is_shown_with_the_arguments_that_were_changed(fitted: LightXMLClassifier) -> None:
    assert repr(LightXMLClassifier()) == "LightXMLClassifier()"
    assert repr(LightXMLClassifier("tiny", max_epochs=3)) == (
        "LightXMLClassifier(encoder='tiny', max_epochs=3)"
    )
    with config_context(display="diagram"):
        for model in (LightXMLClassifier("tiny"), fitted, make_pipeline(clone(fitted))):
            assert "LightXMLClassifier" in model._repr_html_()


def test_a_notebook_shows_what_each_argument_and_attribute_means(
    fitted: LightXMLClassifier,
) -> None:
    with config_context(display="diagram"):
        shown = make_pipeline(clone(fitted))._repr_html_()
        assert "Tokens a document" in shown
        assert "turns documents into features" not in shown  # vectorizer_, before `fit`
        assert "turns documents into features" in fitted._repr_html_()
        assert "Decides the members" in LightXMLEnsemble(fitted)._repr_html_()


def test_a_score_weighs_documents(fitted: LightXMLClassifier, documents: Any) -> None:
    X, y = documents
    hits = np.array([fitted.score([text], y[[i]]) for i, text in enumerate(X)])
    weights = np.arange(60)
    expected = np.average(hits, weights=weights)
    assert fitted.score(X, y, sample_weight=weights) == pytest.approx(expected)
    assert fitted.score(X, y, sample_weight=np.ones(60)) == fitted.score(X, y)
    with pytest.raises(ValueError, match="sample_weight"):
        fitted.score(X, y, sample_weight=[1])
    with pytest.raises(ValueError, match="sample_weight has a weight below 0"):
        fitted.score(X, y, sample_weight=-weights)


def test_predict_makes_no_dense_array_without_bound(
    fitted: LightXMLClassifier, documents: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightxml.predicting.checks.MAX_DENSE_SCORES", 20)
    X, y = documents
    model = copy.deepcopy(fitted)
    model._model = replace(model._model, label_form="dense")
    assert model.predict(X[:1]).shape == (1, y.shape[1])
    with pytest.raises(ValueError, match="predict is sparse where y was"):
        model.predict(X)
    assert fitted.predict(X).shape == y.shape
