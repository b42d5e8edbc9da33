"""Files with columns, given to ``train``, ``predict`` and ``evaluate``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lightxml
from lightxml.datasets import load_xmc
from tests.cli.conftest import COLUMNS, N_TEST, expected_figures, is_one_line, run


def test_train_learns_from_a_table_what_it_learns_from_a_folder(
    model_of_table: Path, model: Path, data: Path
):
    texts = load_xmc(data).X_test
    one, other = (lightxml.load(folder, "cpu") for folder in (model_of_table, model))
    assert one.classes_.tolist() == other.classes_.tolist()
    for found, expected in zip(
        one.predict_topk(texts, return_scores=True),
        other.predict_topk(texts, return_scores=True),
        strict=True,
    ):
        assert (found == expected).all()


def test_predict_answers_the_documents_of_a_table_as_those_of_lines(
    model: Path, table: Path, data: Path
):
    lines_of_text = run("predict", model, data / "train_texts.txt", "--jsonl")
    result = run("predict", model, table, *COLUMNS[:4], "--jsonl")
    assert result.exit_code == 0
    assert result.stdout == lines_of_text.stdout


def test_predict_of_json_lines_needs_no_labels(model: Path, tmp_path: Path):
    file = tmp_path / "documents.jsonl"
    file.write_text('{"text": "short\\none"}\n{"text": "other", "id": 3}\n')
    result = run("predict", model, file, "--text-column", "text", "-k", 2)
    assert result.exit_code == 0
    assert [line for line in result.stdout.splitlines() if line[0] != " "] == ["short one", "other"]


def test_evaluate_measures_all_documents_of_a_table_without_propensities(
    model: Path, data: Path, tmp_path: Path
):
    bunch = load_xmc(data)
    texts, rows = (
        (data / f"test_{kind}.txt").read_text().splitlines() for kind in ("texts", "labels")
    )
    file = tmp_path / "test.jsonl"
    records = [{"text": t, "labels": r.split()} for t, r in zip(texts, rows, strict=True)]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    columns = ["--text-column", "text", "--label-column", "labels"]
    result = run("evaluate", model, file, *columns, "--jsonl", "--device", "cpu")
    expected = expected_figures(model, data, "test")
    kept = {key: value for key, value in expected.items() if not key.startswith("PS")}
    found = json.loads(result.stdout)
    assert {key: found[key] for key in kept} == pytest.approx(kept)
    assert not [key for key in found if key.startswith("PS")]
    shown = run("evaluate", model, file, *columns, "--device", "cpu").stdout
    assert shown.startswith(f"{N_TEST} documents of test.jsonl, {len(bunch.labels)} labels\n1 uses")
    assert "PSP" not in shown


def test_a_separator_may_be_given(model_of_table: Path, tmp_path: Path):
    classes = lightxml.load(model_of_table, "cpu").classes_
    file = tmp_path / "a.tsv"
    file.write_text(f"text\tlabels\na\t{classes[0]} {classes[1]}\n")
    options = ["--text-column", "text", "--label-column", "labels"]
    result = run("evaluate", model_of_table, file, *options, "--label-separator", " ", "--jsonl")
    assert result.exit_code == 0
    assert is_one_line(run("evaluate", model_of_table, file, *options), "none in common")
    result = run("evaluate", model_of_table, file, *options, "--label-separator", "")
    assert is_one_line(result, "--label-separator is empty")


def test_train_and_evaluate_read_a_folder_of_features(model: Path, tmp_path: Path):
    folder, output = tmp_path / "data", tmp_path / "model"
    folder.mkdir()
    rows = "".join(f"{i % 3} {i % 3}:1 {3 + i % 2}:0.5\n" for i in range(30))
    for part in ("train", "test"):
        (folder / f"{part}.txt").write_text(f"30 5 3\n{rows}")
    result = run("train", folder, "--output", output, "--quiet", "--random-state", 0)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("30 documents to learn from, 3 labels, 1.0 a document")
    result = run("evaluate", output, folder, "--jsonl")
    assert json.loads(result.stdout)["P@1"] == 1
    for command in (["predict", output, "-"], ["explain", output, "text"]):
        assert is_one_line(run(*command, stdin="text\n"), "trained on features, in 5 columns")
    (folder / "test.txt").write_text("1 9 3\n0 7:1\n")
    (folder / "train.txt").write_text("1 9 3\n0 7:1\n")
    assert is_one_line(run("evaluate", output, folder), "in 5 columns, but these data have 9")
    assert is_one_line(run("evaluate", model, folder), "reads texts, but the data are features")
