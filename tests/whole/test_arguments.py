"""The table of arguments: it agrees with the signature, and what is made from it holds."""

from __future__ import annotations

import inspect
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline

from lightxml import LightXMLClassifier
from lightxml import arguments as table
from lightxml.arguments import ARGUMENTS, Argument, Setting

X, Y = np.eye(12), np.tile(np.eye(4, dtype=int), (3, 1))
QUICK: dict[str, Any] = {"encoder": None, "max_epochs": 1, "feature_dim": 4, "random_state": 0}
NOTHING = Setting(*[False for _ in fields(Setting)])
ABOUT_A_NETWORK = (table.A_NETWORK, table.A_NETWORK_TO_GO_ON, table.A_NETWORK_OF_FEATURES)
CONDITIONAL = [a for a in ARGUMENTS.values() if a.needs is not None]


def by_name(argument: Argument) -> str:
    return argument.name


def test_it_has_the_signatures_arguments_in_order_with_their_defaults() -> None:
    signature = inspect.signature(LightXMLClassifier).parameters
    assert {name: a.default for name, a in ARGUMENTS.items()} == {
        name: parameter.default for name, parameter in signature.items()
    }
    assert [*ARGUMENTS] == [*signature]
    assert [*table.GROUPS] == [
        "what is read", "representation", "labels", "ranking", "training", "when it ends",
        "running",
    ]  # fmt: skip


@pytest.mark.parametrize("argument", ARGUMENTS.values(), ids=by_name)
def test_a_default_is_taken_and_what_is_neither_number_nor_word_refused(argument: Argument) -> None:
    argument.kind.check(argument.name, argument.default)
    if argument.name != "label_clusters":  # may be an array of any library
        with pytest.raises(TypeError, match=rf"^{argument.name} is <object .*\(object\); expected"):
            argument.kind.check(argument.name, object())


NUMBERS = ("an int", "a number", "a fraction")


@pytest.mark.parametrize(
    "argument", [a for a in ARGUMENTS.values() if a.kind.text.startswith(NUMBERS)], ids=by_name
)
def test_true_is_no_number_and_numpys_numbers_are(argument: Argument) -> None:
    with pytest.raises(TypeError, match=f"^{argument.name} is True; expected"):
        argument.kind.check(argument.name, True)
    whole = argument.kind.text.startswith("an int")
    argument.kind.check(argument.name, np.int64(1) if whole else np.float32(0.25))


@pytest.mark.parametrize("argument", CONDITIONAL, ids=by_name)
def test_only_what_asks_for_something_is_idle(argument: Argument) -> None:
    value = "something"
    assert argument.is_idle(value, NOTHING)
    assert not argument.is_idle(argument.default, NOTHING)
    assert not argument.is_idle(0, NOTHING), "it is switched off"
    all_there = replace(NOTHING, **{field.name: True for field in fields(Setting)})
    if argument.needs is table.A_FROZEN_ENCODER:
        all_there = replace(all_there, trains_encoder=False)
    assert not argument.is_idle(value, all_there)


# Without an encoder, other rankers and so on; and without a network.
IDLE: dict[str, Any] = {
    "max_length": 64,
    "n_feature_layers": 2,
    "max_cluster_size": 7,
    "n_candidate_clusters": 3,
    "n_random_negatives": 2,
    "loss_correction": True,
    "final_ranker": LogisticRegression(),
    "threshold": "macro_f1",
    "learning_rate": 1e-3,
    "swa_every": 2,
    "validation_fraction": 0.2,
    "n_iter_no_change": 1,
    "n_jobs": 2,
    "memory": "folder",
    "checkpoint_minutes": 1,
}
IDLE_WITHOUT_NETWORK: dict[str, Any] = {
    "feature_dim": 7,
    "dropout": 0.1,
    "label_clusters": True,
    "label_dim": 5,
    "max_epochs": 3,
    "batch_size": 4,
    "accumulate": 2,
    "head_learning_rate": 0.1,
    "weight_decay": 0.5,
    "schedule": "constant",
    "swa_start": 0.25,
    "warm_start": True,
    "early_stopping": True,
}
IDLE_WITHOUT_WHAT_TAKES_LONG = {"checkpoint_dir"}


def test_every_argument_that_has_no_effect_says_so_at_the_callers_line_and_has_none() -> None:
    plain = LightXMLClassifier(**QUICK, swa_start=None).fit(X, Y)
    model = LightXMLClassifier(**QUICK, swa_start=None, **IDLE)
    with pytest.warns(UserWarning, match="has no effect") as caught:
        model.fit(X, Y)  # this line
    expected = {a.name for a in CONDITIONAL if not a.is_refused} - IDLE_WITHOUT_NETWORK.keys()
    expected -= IDLE_WITHOUT_WHAT_TAKES_LONG
    assert {str(warning.message).partition("=")[0] for warning in caught} == expected
    assert len(caught) == len(expected)
    lines = {Path(w.filename).read_text("utf-8").splitlines()[w.lineno - 1] for w in caught}
    assert lines == {"        model.fit(X, Y)  # this line"}
    assert str(next(w for w in caught if "loss_correction" in str(w.message)).message) == (
        "loss_correction=True has no effect without label clusters. Pass label_clusters=True, or "
        "leave loss_correction out."
    )
    assert np.array_equal(model.decision_function(X), plain.decision_function(X))


def test_without_a_network_what_is_about_it_has_no_effect() -> None:
    of_words = LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0)
    texts = [f"word{i % 4} word{i % 3}" for i in range(12)]
    plain = clone(of_words).fit(texts, Y)
    with pytest.warns(UserWarning, match="has no effect without a network") as caught:
        of_words.set_params(**IDLE_WITHOUT_NETWORK).fit(texts, Y)
    told = {str(warning.message).partition("=")[0] for warning in caught}
    assert told == IDLE_WITHOUT_NETWORK.keys()
    assert told == {a.name for a in CONDITIONAL if a.needs in ABOUT_A_NETWORK}
    assert np.array_equal(of_words.decision_function(texts), plain.decision_function(texts))


def test_without_network_and_linear_classifiers_nothing_takes_long() -> None:
    model = LightXMLClassifier(
        None, features=TfidfVectorizer(), rankers=("neighbors",), checkpoint_dir="folder"
    )
    with pytest.warns(UserWarning, match="checkpoint_dir='folder' has no effect without a network"):
        model.fit([f"word{i % 4} word{i % 3}" for i in range(12)], Y)


def test_the_line_is_the_callers_through_pipelines_and_searches() -> None:
    idle = LightXMLClassifier(**QUICK, max_length=64)
    for fit in (
        make_pipeline("passthrough", idle).fit,
        GridSearchCV(idle, {"dropout": [0.1]}, cv=KFold(2)).fit,
    ):
        with pytest.warns(UserWarning, match="max_length=64 has no effect") as caught:
            fit(X, Y)
        assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"se_block": True}, "se_block=True is about a network that reads an encoder, which this"),
        ({"freeze_encoder": True}, "freeze_encoder=True is about an encoder, which this fit"),
    ],
)
def test_what_would_be_another_model_is_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LightXMLClassifier(**QUICK, **params, max_length=64).fit(X, Y)


def test_what_has_an_effect_says_nothing(tmp_path: Path) -> None:
    """Warnings are errors here."""
    texts = [f"word{i % 4} word{i % 3}" for i in range(12)]
    LightXMLClassifier(
        None,
        features=TfidfVectorizer(),
        max_epochs=1,
        feature_dim=4,
        label_clusters=True,
        max_cluster_size=2,
        n_candidate_clusters=1,
        n_random_negatives=1,
        loss_correction=True,
        rankers=("linear", "neighbors", "network"),
        final_ranker=LogisticRegression(),
        swa_every=2,
        warm_start=True,
        early_stopping=True,
        validation_fraction=2,
        n_iter_no_change=1,
        n_jobs=1,
        checkpoint_dir=tmp_path,
        checkpoint_minutes=1,
        random_state=0,
    ).fit(texts, Y)


def test_what_a_model_says_of_itself_is_grouped() -> None:
    values = {name: a.default for name, a in ARGUMENTS.items()}
    assert table.by_group(values) == {}
    values |= {"dropout": 0.1, "device": "cpu", "encoder": None, "of_a_later_version": 3}
    assert table.by_group(values) == {
        "what is read": {"encoder": None},
        "representation": {"dropout": 0.1},
        "running": {"device": "cpu"},
        "other": {"of_a_later_version": 3},
    }
