"""Warnings point at the line of the user's that called, however deep they arise."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightxml.exceptions import CheckpointWarning, warn
from lightxml.metrics import precision_at_k

PACKAGE = Path(__file__).parents[2] / "lightxml"


def caller_in(package: str) -> Any:
    """Return a function that calls another, as if it were code of a package."""
    names: dict[str, Any] = {"__name__": package}
    code = "def call(function, *arguments):\n    return function(*arguments)\n"
    exec(compile(code, f"{package}.py", "exec"), names)
    return names["call"]


@pytest.mark.parametrize(
    ("packages", "file"),
    [
        (["lightxml.classifier", "lightxml.fitting.fit"], __file__),
        (["sklearn.pipeline", "lightxml.classifier"], __file__),
        (["joblib.parallel", "lightxml.fit", "contextlib", "lightxml.loop", "torch.x"], __file__),
        (["lightxml.ensemble", "mine", "sklearn.pipeline", "lightxml.classifier"], "mine.py"),
    ],
    ids=["direct", "pipeline", "with contexts", "code of the user's in between"],
)
def test_the_package_and_the_libraries_around_it_are_passed_over(
    packages: list[str], file: str
) -> None:
    first, *rest = (caller_in(package) for package in packages)
    with pytest.warns(CheckpointWarning, match="deep") as caught:
        first(*rest, warn, "deep", CheckpointWarning)
    assert caught[0].filename == file


def test_a_metric_called_here_warns_here() -> None:
    with pytest.warns(UserWarning, match="None of the labels of y_true") as caught:
        precision_at_k([["cat"]], np.array([["dog"]]), 1, classes=["dog"])
    assert caught[0].filename == __file__


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_nothing_counts_its_frames(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert path.name == "exceptions.py" or "warnings.warn" not in calls
