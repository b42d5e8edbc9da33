"""A fit of several rankers that is killed when its network is trained, and goes on."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier
from lightxml.exceptions import CheckpointWarning
from lightxml.fitting import rankers
from lightxml.rankers import fit_panel
from lightxml.training import checkpoints, loop, parts

TOPICS = ["sea", "land", "air", "fire"]
X = [f"{TOPICS[i % 4]} {TOPICS[i * 7 % 4]} word{i % 9}" for i in range(120)]
Y = [sorted({TOPICS[i % 4], TOPICS[i * 7 % 4]}) for i in range(120)]


class Stopped(Exception):
    """In place of a power cut."""


@pytest.fixture(autouse=True)
def keep_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "WORTH_KEEPING", 0)


def fit(model: LightXMLClassifier) -> LightXMLClassifier:
    return model.fit(X[:80], Y[:80], X_val=X[80:], y_val=Y[80:], label_texts={"sea": "the sea"})


def words(**params: Any) -> LightXMLClassifier:
    return LightXMLClassifier(None, features=TfidfVectorizer(), **{"random_state": 0, **params})


def stopped_in(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, model: LightXMLClassifier
) -> None:
    """Fit until this function is called."""
    with monkeypatch.context() as patch:
        patch.setattr(module, name, stop)
        with pytest.raises(Stopped):
            fit(model)


def stop(*args: Any, **kwargs: Any) -> None:
    raise Stopped


def assert_same(model: LightXMLClassifier, other: LightXMLClassifier) -> None:
    np.testing.assert_array_equal(model.decision_function(X), other.decision_function(X))


@pytest.mark.parametrize(("at", "n_kept"), [("judge", 1), ("_panel", 2)])
def test_linear_classifiers_are_not_fitted_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at: str, n_kept: int
) -> None:
    model = words(checkpoint_dir=tmp_path)
    stopped_in(monkeypatch, fit_panel, at, model)
    assert len(list(tmp_path.glob("*/parts/*"))) == n_kept
    expected = fit(words())
    monkeypatch.setattr(fit_panel, "fit_linear", stop)
    assert_same(fit(model), expected)
    assert list(tmp_path.iterdir()) == [], "a fit that is done keeps nothing"


def test_what_is_fitted_in_a_moment_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checkpoints, "WORTH_KEEPING", 60)
    stopped_in(monkeypatch, fit_panel, "judge", words(checkpoint_dir=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_fit_without_a_seed_goes_on_with_the_one_it_drew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drawn = iter([11, 11, 99])
    monkeypatch.setattr("lightxml.fitting.fit.draw_seed", lambda random_state: next(drawn))
    expected = fit(words())
    model = words(checkpoint_dir=tmp_path, random_state=None)
    stopped_in(monkeypatch, fit_panel, "judge", model)
    monkeypatch.setattr(fit_panel, "fit_linear", stop)
    assert_same(fit(model), expected)
    assert list(drawn) == [], "drawn each time, but the part's counts"


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: next(folder.glob("*.bin*")).write_bytes(b"?"),
        lambda folder: (folder / "lightxml.json").write_text("{}"),
    ],
)
def test_a_damaged_part_is_fitted_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damage: Callable[[Path], Any]
) -> None:
    model = words(checkpoint_dir=tmp_path)
    stopped_in(monkeypatch, fit_panel, "judge", model)
    (folder,) = tmp_path.glob("*/parts/linear-first")
    damage(folder)
    with pytest.warns(CheckpointWarning, match="linear-first is fitted again"):
        assert_same(fit(model), fit(words()))


def test_a_disk_that_refuses_a_part_does_not_end_the_fit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parts, "save_bundle", refuse)
    with pytest.warns(CheckpointWarning, match=r"linear.* could not be written .*No space left"):
        assert_same(fit(words(checkpoint_dir=tmp_path)), fit(words()))


def test_a_trained_network_is_not_trained_again(
    make_classifier: Callable[..., LightXMLClassifier],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    # The end alone is written: a slow write before it could take longer than what is left then.
    monkeypatch.setattr(checkpoints, "REST", math.inf)
    monkeypatch.setattr(checkpoints, "_GUESS", 1e15)  # bytes a second: any training is longer
    params = {"features": TfidfVectorizer(), "feature_dim": 8, "rankers": "auto"}
    model = make_classifier(**params, checkpoint_dir=tmp_path)
    stopped_in(monkeypatch, rankers, "fit_panel", model)
    monkeypatch.setattr(loop, "train_step", stop)
    again = fit(model)
    monkeypatch.undo()
    assert_same(again, fit(make_classifier(**params)))


def test_a_network_that_ranks_alone_is_written_no_more_than_before(
    make_classifier: Callable[..., LightXMLClassifier],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(checkpoints, "_GUESS", 1e15)
    monkeypatch.setattr(checkpoints.Checkpoints, "is_due", lambda self, *, at_epoch_end: False)
    monkeypatch.setattr(checkpoints.Checkpoints, "write", stop)
    make_classifier(rankers=("network",), checkpoint_dir=tmp_path).fit(X, Y)
