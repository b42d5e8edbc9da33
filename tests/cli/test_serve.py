"""``lightxml serve``: what it hands to the server, and what it refuses before."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier
from lightxml.datasets import make_xmc
from tests.cli.conftest import is_one_line, raising, run

pytest.importorskip("fastapi")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the server would have been started with; it says that it is ready, and ends."""
    from lightxml.serving import app, server

    found: list[dict[str, Any]] = []

    def create(model: Any, limits: Any, **given: Any) -> None:
        found.append({"model": model, "limits": limits, **given})

    def end(app: None, listener: Any, ready: Callable[[], None]) -> None:
        found[-1]["port"] = listener.getsockname()[1]
        ready()

    monkeypatch.setattr(app, "create_app", create)
    monkeypatch.setattr(server, "run", end)
    return found


def test_it_says_where_to_open_it_once_it_is_ready(model: Path, started: list[Any]) -> None:
    result = run("serve", model, "--port", 0)
    assert result.exit_code == 0, result.output
    (given,) = started
    assert result.stdout == (
        f"Loading {model} ...\nReady, 12 labels. Ctrl-C ends it.\n"
        f"Open http://127.0.0.1:{given['port']}/\n"
    )
    assert isinstance(given["model"], LightXMLClassifier)
    assert given["names"] == {}


def test_limits_and_names_are_those_of_the_options(
    model: Path, started: list[Any], tmp_path: Path
) -> None:
    (tmp_path / "names.tsv").write_text("L03\tthe third\n")
    options = ["--max-texts", 3, "--max-characters", 10, "--max-batch", 4, "--max-queue", 5]
    result = run("serve", model, "--port", 0, "--names", tmp_path / "names.tsv", *options)
    assert result.exit_code == 0, result.output
    limits = started[0]["limits"]
    assert (limits.max_texts, limits.max_characters) == (3, 10)
    assert (limits.max_batch, limits.max_queue) == (4, 5)
    assert started[0]["names"] == {"L03": "the third"}


@pytest.mark.parametrize(
    ("options", "hosts"),
    [
        ([], {"localhost", "127.0.0.1", "::1"}),
        (["--host", "localhost"], {"localhost", "127.0.0.1", "::1"}),
        (["--host", "127.0.0.2"], {"localhost", "127.0.0.1", "::1", "127.0.0.2"}),
        (["--host", "0.0.0.0"], None),
        (["--host", "0.0.0.0", "--hostname", "a.example"], {"a.example"}),
        (["--hostname", "a.example", "--hostname", "b.example"], {"a.example", "b.example"}),
    ],
)
def test_it_answers_to_its_own_names(
    model: Path, started: list[Any], options: list[str], hosts: set[str] | None
) -> None:
    assert run("serve", model, "--port", 0, *options).exit_code == 0
    given = started[0]["hosts"]
    assert (None if given is None else set(given)) == hosts


def test_a_model_of_features_is_refused_before_it_listens(
    tmp_path: Path, started: list[Any]
) -> None:
    texts, y = make_xmc(60, 6, random_state=0)
    X = TfidfVectorizer(dtype=np.float32).fit_transform(texts)
    LightXMLClassifier(None, rankers=("neighbors",)).fit(X, y).save(tmp_path / "m")
    result = run("serve", tmp_path / "m", "--port", 0)
    assert result.exit_code == 1
    assert is_one_line(result, f"was trained on features, in {X.shape[1]} columns, and reads no")
    assert started == []


def test_a_model_that_cannot_answer_is_told_before_it_listens(
    model: Path, started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LightXMLClassifier, "predict_topk", raising(ValueError("cannot answer")))
    result = run("serve", model, "--port", 0)
    assert result.exit_code == 1
    assert is_one_line(result, "cannot answer")
    assert started == []


def test_what_is_missing_is_told_first(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find(name)
    )
    result = run("serve", "no such model")
    assert result.exit_code == 1
    assert is_one_line(result, 'serve needs uvicorn: pip install "lightxml[serve]"')
