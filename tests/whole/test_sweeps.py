"""Every form of every argument with every kind of X; every error before the expensive part."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from lightxml import LightXMLClassifier
from lightxml.arguments import ARGUMENTS
from lightxml.fitting import decisions
from lightxml.fitting.fingerprints import common_ground, fingerprint
from lightxml.fitting.task import check_task
from lightxml.runtime.ranks import ALONE
from tests.conftest import small_config

N = 20
TEXTS = [f"word{i % 4} word{i % 3}" for i in range(N)]
Y = np.eye(N, 6, dtype=int) + np.eye(N, 6, k=-6, dtype=int)
NUMBERS = np.random.default_rng(0).random((N, 5)).astype(np.float32)
KINDS_OF_X: dict[str, Any] = {
    "list": TEXTS,
    "array": np.array(TEXTS),
    "Series": pd.Series(TEXTS),
    "sparse": sp.csr_array(NUMBERS),
    "sparse matrix": sp.csc_matrix(NUMBERS),
    "dense": NUMBERS,
    "nested lists": NUMBERS.tolist(),
    "frame": pd.DataFrame(NUMBERS, columns=list("abcde")),
}
# At least one of each form that the documentation names.
FORMS: dict[str, list[Any]] = {
    "encoder": ["auto", "tiny", small_config(), None],
    "features": [None, TfidfVectorizer(), HashingVectorizer(n_features=8)],
    "freeze_encoder": [False, True, np.bool_(False)],
    "max_length": [32, np.int64(32)],
    "pooling": ["auto", "cls", "mean", "last"],
    "prompt": [None, "", "passage: "],
    "n_feature_layers": [2],
    "feature_dim": [8, "auto"],
    "se_block": [False, True],
    "dropout": [0, 0.5, np.float32(0.5)],
    "label_clusters": ["auto", True, False, KMeans(2), np.arange(6) % 2, [0, 1, 0, 1, 0, 1],
                       pd.Series(np.arange(6) % 2), None],
    "max_cluster_size": [3],
    "n_candidate_clusters": [1],
    "label_dim": [4, "auto"],
    "n_random_negatives": [0, 1],
    "loss_correction": [False, True],
    "rankers": ["auto", ("network",), ("linear", "neighbors"), ["linear"], ("label_texts",)],
    "final_ranker": ["auto", None, LogisticRegression()],
    "threshold": [0.3, 1, np.float32(0.5), "micro_f1", "macro_f1", "samples_f1"],
    "propensity_weight": [0, 0.5],
    "max_epochs": [1, "auto"],
    "batch_size": [4, "auto"],
    "accumulate": [2],
    "learning_rate": [1e-3],
    "head_learning_rate": [1e-2, "auto"],
    "weight_decay": [0, 0.1],
    "schedule": ["linear", "constant"],
    "swa_start": [0.5, None],
    "swa_every": [1, "auto"],
    "warm_start": [False, True, np.bool_(True)],
    "early_stopping": [False, True],
    "validation_fraction": [0.2, 4, "auto"],
    "n_iter_no_change": [1],
    "device": ["auto", "cpu", torch.device("cpu")],
    "precision": ["auto", "bf16", "fp32"],
    "random_state": [0, None, np.random.RandomState(0), np.random.default_rng(0)],
    "n_jobs": [None, 1, -1],
    "memory": [None, "folder", Path("folder"), joblib.Memory(None)],
    "checkpoint_dir": [None, "folder", Path("folder")],
    "checkpoint_minutes": [0.5],
    "verbose": [0, 1, True],
}  # fmt: skip


def test_the_sweep_leaves_no_argument_out() -> None:
    assert FORMS.keys() == ARGUMENTS.keys()


@pytest.mark.filterwarnings("ignore:.* has no effect without")
@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_taken_or_refused_by_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A form that one kind of X cannot have is refused in words, not by what numpy says of it."""
    monkeypatch.setattr("lightxml.fitting.task.check_network", lambda encoder, device: None)
    for kind, X in KINDS_OF_X.items():
        settings: list[dict[str, Any]] = [{"encoder": None}, {}]
        if kind in ("list", "array", "Series"):
            words = {"encoder": None, "features": TfidfVectorizer()}
            settings = [words, {"encoder": small_config()}]
        models = [
            LightXMLClassifier(**{**s, name: value}) for s in settings for value in FORMS[name]
        ]
        errors = [check(model.get_params(deep=False), X) for model in models]
        for error in errors:
            assert error == "" or name in error or "encoder is None" in error, (kind, error)
            assert "ambiguous" not in error, kind
        assert "" in errors, kind


def check(params: dict[str, Any], X: Any) -> str:
    """Return why a fit is refused, before it begins; nothing if it is not."""
    try:
        decisions.check_params(params)
        task = check_task(params, X, Y, X[: N // 2], Y[: N // 2], None, None, ALONE)
        fingerprint(params, 0, task.inputs.given, task.labels, None)
        common_ground(params, task.inputs.given, task.labels, None)
    except ValueError as error:
        return str(error)
    return ""


class Expensive(Exception):
    """What takes long was begun."""


def begin(*args: Any, **options: Any) -> Any:
    raise Expensive


@pytest.fixture
def fitted_before(monkeypatch: pytest.MonkeyPatch) -> LightXMLClassifier:
    """An estimator with an earlier fit, for which a new one is never cheap."""
    model = LightXMLClassifier(
        None, features=TfidfVectorizer(), rankers=("neighbors",), final_ranker=None
    )
    model.fit(TEXTS, Y)
    for place in (
        "lightxml.fitting.fit.fit_rankers",
        "lightxml.fitting.network.fit_network_alone",
        "lightxml.data.inputs.Reader.fit",
    ):
        monkeypatch.setattr(place, begin)
    return model


def refused(model: LightXMLClassifier, message: str, *data: Any, **options: Any) -> None:
    expected = model.predict_proba(TEXTS)
    with pytest.raises((TypeError, ValueError, OSError), match=message) as caught:
        model.fit(*data, **options)
    assert not isinstance(caught.value, Expensive)
    assert np.array_equal(model.predict_proba(TEXTS), expected)


def test_a_right_fit_reaches_the_expensive_part(fitted_before: LightXMLClassifier) -> None:
    with pytest.raises(Expensive):
        fitted_before.fit(TEXTS, Y)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_no_argument_is_found_wrong_late(fitted_before: LightXMLClassifier, name: str) -> None:
    if name == "label_clusters":  # which only a network has
        fitted_before.set_params(rankers=("network",))
    refused(fitted_before.set_params(**{name: object()}), rf"\b{name}\b", TEXTS, Y)


WRONG_ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "no jobs": ({"n_jobs": 0}, "n_jobs is 0"),
    "clusters of fewer labels": (
        {"rankers": ("network",), "label_clusters": [0, 1, 0]}, "label_clusters"),
    "clusters that are fractions": (
        {"rankers": ("network",), "label_clusters": np.full(6, 0.5)}, "label_clusters"),
    "a folder that is no encoder": (
        {"encoder": "./misspelt", "rankers": ("linear", "network")}, "encoder='./misspelt'"),
    "a device that is not here": (
        {"encoder": small_config(), "rankers": "auto", "device": "cuda:99"}, "device"),
    "a ranker that reads nothing": ({"rankers": ("label_texts",)}, "rankers has 'label_texts'"),
    "an encoder that nothing reads": ({"encoder": small_config()}, "reads no encoder"),
}  # fmt: skip


@pytest.mark.parametrize(("params", "message"), WRONG_ARGUMENTS.values(), ids=WRONG_ARGUMENTS)
def test_no_setting_is_found_wrong_late(
    fitted_before: LightXMLClassifier, params: dict[str, Any], message: str
) -> None:
    refused(fitted_before.set_params(**params), message, TEXTS, Y)


MIXED = pd.DataFrame(NUMBERS, columns=["a", "b", 0, 1, 2])
WRONG_DATA: dict[str, tuple[Callable[[], tuple[Any, ...]], dict[str, Any], str]] = {
    "a missing text": (lambda: ([*TEXTS[1:], None], Y), {}, r"X\[19\] is None"),
    "names of two types": (lambda: (MIXED, Y), {}, "X is a numeric matrix|names"),
    "fewer labels": (lambda: (TEXTS, Y[1:]), {}, "y has 19 rows"),
    "validation without labels": (lambda: (TEXTS, Y), {"X_val": TEXTS}, "X_val and y_val go"),
    "validation of other columns": (
        lambda: (TEXTS, Y), {"X_val": TEXTS, "y_val": Y[:, 1:]}, "y_val has 5 columns"),
    "validation of numbers": (lambda: (TEXTS, Y), {"X_val": NUMBERS, "y_val": Y}, "X_val"),
    "texts of fewer labels": (lambda: (TEXTS, Y), {"label_texts": ["a"]}, "label_texts has 1"),
    "texts of an unknown label": (lambda: (TEXTS, Y), {"label_texts": {9: "a"}}, "label_texts"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "options", "message"), WRONG_DATA.values(), ids=WRONG_DATA)
def test_no_data_are_found_wrong_late(
    fitted_before: LightXMLClassifier,
    data: Callable[[], tuple[Any, ...]],
    options: dict[str, Any],
    message: str,
) -> None:
    refused(fitted_before.set_params(rankers="auto"), message, *data(), **options)
