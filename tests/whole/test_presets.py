"""The presets: the README's table by name, and LightXML as published."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from sklearn.base import clone

from lightxml import LightXMLClassifier
from lightxml.cli.recipes import COMMON
from lightxml.fitting.decisions import check_params
from lightxml.presets import presets

README = Path(__file__).parents[2] / "README.md"
ROW = re.compile(r"^\| `(\w+)` \|[^|]*\| `([^`]*)`", flags=re.MULTILINE)


def told(arguments: str) -> dict[str, Any]:
    """Read ``a=1, features=...`` as the README has it; what is called is ``...`` too."""
    (call,) = ast.parse(f"f({arguments})").body
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    return {
        str(k.arg): ... if isinstance(k.value, ast.Call) else ast.literal_eval(k.value)
        for k in call.value.keywords
    }


def test_the_readmes_table_has_each_preset_with_its_arguments() -> None:
    rows = {name: told(arguments) for name, arguments in ROW.findall(README.read_text("utf-8"))}
    assert [*rows] == [name for name in presets if name != "paper"]
    for name, arguments in rows.items():
        preset = presets[name]
        assert arguments == {k: ... if k == "features" else v for k, v in preset.items()}, name


@pytest.mark.parametrize("name", presets)
def test_a_preset_makes_an_estimator(name: str) -> None:
    check_params(LightXMLClassifier(**presets[name]).get_params(deep=False))


def test_the_paper_is_what_the_recipes_have_in_common() -> None:
    params = LightXMLClassifier(**presets["paper"]).get_params()
    assert {name: params[name] for name in COMMON} == dict(COMMON)
    assert set(presets["paper"]) <= set(COMMON)


def test_what_is_done_to_one_is_not_done_to_the_next() -> None:
    LightXMLClassifier(**presets["features"]).set_params(features__min_df=7)
    presets["features"]["encoder"] = "tiny"
    fresh = clone(LightXMLClassifier(**presets["features"]))
    assert fresh.features.min_df == 2
    assert fresh.encoder is None


def test_an_unknown_one_is_named() -> None:
    with pytest.raises(KeyError, match="'fast' is no preset; expected one of features, frozen"):
        presets["fast"]
