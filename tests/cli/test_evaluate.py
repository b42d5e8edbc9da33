"""``lightxml evaluate``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import N_TEST, expected_figures, is_one_line, raising, run, write_part


def test_evaluate_gives_the_figures_of_the_test_part(model: Path, data: Path):
    result = run("evaluate", model, data, "--jsonl", "--device", "cpu")
    assert json.loads(result.stdout) == pytest.approx(expected_figures(model, data, "test"))


def test_evaluate_measures_the_validation_part_with_other_propensities_on_request(
    model: Path, data: Path
):
    options = ("--validation", "--propensity", 0.6, 2.6, "--jsonl", "--device", "cpu")
    result = run("evaluate", model, data, *options)
    expected = expected_figures(model, data, "validation", a=0.6, b=2.6)
    assert json.loads(result.stdout) == pytest.approx(expected)


def test_evaluate_prints_a_table_of_80_columns_and_what_was_left_out(model: Path, data: Path):
    result = run("evaluate", model, data, "--device", "cpu")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    head, unknown, _, columns, *rows = result.stdout.splitlines()
    assert head.startswith(f"{N_TEST} documents of the test part, ")
    assert unknown == "1 uses of labels that the model does not know are left out"
    assert columns.split() == ["%", "@1", "@3", "@5"]
    assert [row.split()[0] for row in rows[:5]] == ["P", "nDCG", "R", "PSP", "PSnDCG"]
    figures = expected_figures(model, data, "test")
    assert rows[0].split()[1:] == [f"{100 * figures[f'P@{k}']:.2f}" for k in (1, 3, 5)]
    assert rows[-1].startswith("Predicted in ")


@pytest.mark.parametrize("name", ["picture.png", "picture.svg", "PICTURE.PDF"])
def test_evaluate_writes_a_picture_and_the_same_figures(
    model: Path, data: Path, tmp_path: Path, name: str
):
    plain = run("evaluate", model, data, "--jsonl")
    drawn = run("evaluate", model, data, "--jsonl", "--plot", tmp_path / name)
    assert drawn.exit_code == 0
    assert json.loads(drawn.stdout) == json.loads(plain.stdout)
    begin = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[name[-3:].lower()]
    assert (tmp_path / name).read_bytes().startswith(begin)


def test_evaluate_refuses_a_picture_it_cannot_write_before_it_measures(
    model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("lightxml.ensemble.load", raising(AssertionError("it has begun")))
    (tmp_path / "folder.png").mkdir()
    assert is_one_line(
        run("evaluate", model, data, "--plot", tmp_path / "folder.png"), "is a folder"
    )
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    refused = run("evaluate", model, data, "--plot", tmp_path / "picture.png")
    assert is_one_line(refused, 'pip install "lightxml[plot]"')


def test_evaluate_counts_labels_of_the_data_that_the_model_never_saw(
    model: Path, data: Path, tmp_path: Path
):
    write_part(tmp_path, "train", ["a", "b", "c"], [("L00", "new"), ("L01",), ()])
    write_part(tmp_path, "test", ["a", "b"], [("L00", "new"), ("L01", "newer")])
    result = run("evaluate", model, tmp_path)
    assert "\n2 uses of labels that the model does not know" in result.stdout


def test_evaluate_refuses_data_without_the_part_or_with_other_labels(model: Path, tmp_path: Path):
    write_part(tmp_path, "train", ["a", "b"], [("other",), ("other",)])
    assert is_one_line(run("evaluate", model, tmp_path), "has no test part")
    assert is_one_line(run("evaluate", model, tmp_path, "--validation"), "has no validation part")
    write_part(tmp_path, "test", ["a"], [("other",)])
    assert is_one_line(run("evaluate", model, tmp_path), "none in common")
