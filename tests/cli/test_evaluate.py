"""``lightxml evaluate``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

import lightxml
from lightxml.datasets import load_xmc
from lightxml.metrics import calibration_error
from tests.cli.conftest import N_TEST, expected_figures, is_one_line, raising, run, write_part


def expected_decisions(model: Path, data: Path) -> dict[str, float]:
    bunch = load_xmc(data)
    estimator = lightxml.load(model, "cpu")
    p, y = estimator.predict_proba(bunch.X_test), bunch.y_test.toarray()
    given = p >= estimator.threshold_
    topk, scores = estimator.predict_topk(bunch.X_test, 5, return_scores=True)
    frequent = np.argsort(-bunch.y_train.sum(axis=0), kind="stable")
    found = {
        f"{average}_f1": f1_score(y, given, average=average, zero_division=0)
        for average in ("micro", "macro", "samples")
    }
    for k in (1, 3, 5):
        found[f"most_possible_P@{k}"] = y.sum(axis=1).clip(max=k).mean() / k
        found[f"most_frequent_P@{k}"] = y[:, frequent[:k]].sum(axis=1).mean() / k
    return found | {
        "labels_given": given.sum(axis=1).mean(),
        "labels_true": y.sum(axis=1).mean(),
        "documents_given_none": int((given.sum(axis=1) == 0).sum()),
        "documents_without_labels": int((y.sum(axis=1) == 0).sum()),
        "calibration_error": calibration_error(
            y, topk, scores, classes=estimator.classes_.tolist()
        ),
    }


def test_evaluate_gives_the_figures_of_the_test_part(model: Path, data: Path):
    result = run("evaluate", model, data, "--jsonl", "--device", "cpu")
    found = json.loads(result.stdout)
    expected = expected_figures(model, data, "test") | expected_decisions(model, data)
    assert found == pytest.approx(expected)


def test_evaluate_measures_the_validation_part_with_other_propensities_on_request(
    model: Path, data: Path
):
    options = ("--validation", "--propensity", 0.6, 2.6, "--jsonl", "--device", "cpu")
    result = run("evaluate", model, data, *options)
    expected = expected_figures(model, data, "validation", a=0.6, b=2.6)
    found = json.loads(result.stdout)
    assert {name: found[name] for name in expected} == pytest.approx(expected)


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
    bounds = {row[:23].strip(): row[23:].split() for row in rows[5:7]}
    more = expected_decisions(model, data)
    for told, name in (("P, most possible", "possible"), ("P, most frequent labels", "frequent")):
        expected = [f"{100 * more[f'most_{name}_P@{k}']:.2f}" for k in (1, 3, 5)]
        assert bounds[told] == expected
    assert rows[8].split() == ["%", "micro", "macro", "samples"]
    shown = [f"{100 * more[f'{average}_f1']:.2f}" for average in ("micro", "macro", "samples")]
    assert rows[9].split() == ["F1", *shown]
    assert rows[11] == (
        f"Labels a document at the threshold of 0.5: {more['labels_given']:.2f} given, "
        f"{more['labels_true']:.2f} true."
    )
    n = more["documents_given_none"]
    assert (
        rows[12]
        == f"Documents without a label: {n} are given none, 0 have none that the model knows."
    )
    assert rows[13] == f"Calibration error of the best 5: {100 * more['calibration_error']:.2f} %."
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
