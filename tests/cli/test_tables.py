"""Files with columns, given to ``train``, ``predict`` and ``evaluate``."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import lightxml
from lightxml.cli.outputs import Answer, Draft, writer
from lightxml.datasets import load_table, load_xmc
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
    assert f"\n{N_TEST} documents of test.jsonl, {len(bunch.labels)} labels\n1 uses" in shown
    assert "PSP" not in shown


# --- a table is read as in training -------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose reading takes options, in a folder of its own, and a model of it."""
    folder = tmp_path_factory.mktemp("shop")
    kinds = [("red apple", "fruit|red"), ("green apple", "fruit|green"), ("red car", "car|red")]
    rows = [f"{i},{kinds[i % 3][0]},number {i},{kinds[i % 3][1]}\n" for i in range(30)]
    (folder / "train.csv").write_text("id,name,more,tags\n" + "".join(rows))
    (folder / "new.csv").write_text(
        'id,name,more,tags\n7,red apple,,fruit|red\nx9,"rouge, é",car,\n'
    )
    result = run("train", folder / "train.csv", "--output", folder / "model", *SHOP)
    assert result.exit_code == 0, result.output
    return folder


def lines_of(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


SHOP = ["--text-column", "name", "--text-column", "more", "--label-column", "tags",
        "--label-separator", "|", "--encoder", "none", "--quiet", "--random-state", 0]  # fmt: skip


def test_what_was_understood_is_shown_though_quiet(shop: Path, tmp_path: Path):
    shown = run("train", shop / "train.csv", "--output", tmp_path / "m", *SHOP).stdout.splitlines()
    assert shown[0].endswith("train.csv: columns between commas; labels between '|'.")
    assert shown[1] == "30 documents, 4 labels, 2.0 a document"
    assert shown[-2] == "Each of the 2 text columns has features of its own."
    assert shown[2] == (
        "The most frequent labels: 'fruit' (20), 'red' (20), 'green' (10); the longest: 'fruit'"
    )


def test_the_reading_is_kept_and_reads_other_tables(shop: Path):
    model = lightxml.load(shop / "model")
    assert model.reading_ == {
        "text_column": ["name", "more"],
        "label_column": ["tags"],
        "label_separator": "|",
        "label_form": "separated",
    }
    data = load_table(shop / "new.csv", **model.reading_)
    assert data.y == [("fruit", "red"), ()]
    model.partial_fit(data.X, data.y)
    assert model.reading_["label_separator"] == "|"
    assert "label_separator='|'" in run("info", shop / "model").stdout.replace(
        "\n            ", " "
    )
    model.fit(["red"] * 4 + ["green"] * 4, [["x"]] * 4 + [["y"]] * 4)
    assert not hasattr(model, "reading_")


def test_evaluate_reads_as_in_training_and_says_what_differs(shop: Path, tmp_path: Path):
    expected = run("evaluate", shop / "model", shop / "new.csv", *SHOP[:8], "--jsonl")
    found = run("evaluate", shop / "model", shop / "new.csv", "--jsonl")
    assert json.loads(found.stdout) == json.loads(expected.stdout)
    assert found.stderr == ""
    other = tmp_path / "other.csv"
    other.write_text("title,more,tags\nred apple,,fruit;red\n")
    result = run("evaluate", shop / "model", other, "--jsonl")
    assert is_one_line(result, "has no column 'name'")
    options = ["--text-column", "title", "--label-separator", ";"]
    result = run("evaluate", shop / "model", other, *options)
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "lightxml: note: --text-column is 'title'; in training it was 'name' and 'more'.",
        "lightxml: note: --label-separator is ';'; in training it was '|'.",
    ]
    result = run("evaluate", shop / "model", other, *options, "--label-separator", "^")
    assert "have none in common" in result.stderr.splitlines()[-1]


def test_evaluate_says_that_documents_were_learned_from(shop: Path):
    result = run("evaluate", shop / "model", shop / "train.csv")
    assert "note: 100 % of these documents are like one that the model has learned" in result.stderr
    assert run("evaluate", shop / "model", shop / "new.csv").stderr == ""


# --- what predict writes ----------------------------------------------------------------------


def test_predict_writes_the_columns_of_the_file_and_what_is_given(shop: Path, tmp_path: Path):
    expected = run("predict", shop / "model", shop / "new.csv", "--jsonl", "-k", 2).stdout
    labels = [json.loads(line)["labels"] for line in expected.splitlines()]
    for name in ("a.csv", "deep/a.jsonl", "a.parquet"):
        output = tmp_path / name
        result = run("predict", shop / "model", shop / "new.csv", "-k", 2, "--output", output)
        assert result.exit_code == 0, result.output
        assert result.stdout == f"2 documents, written to {output}.\n"
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["7", "x9"]
    assert rows[1]["name"] == "rouge, é"
    assert [row["predicted"].split(";") for row in rows] == labels
    records = [json.loads(line) for line in lines_of(tmp_path / "deep" / "a.jsonl")]
    assert [record["predicted"] for record in records] == labels
    frame = pd.read_parquet(tmp_path / "a.parquet")
    assert frame.columns.tolist() == ["id", "name", "more", "tags", "predicted", "scores"]
    assert [row.tolist() for row in frame["predicted"]] == labels


def test_predict_carries_one_column_along_and_gives_labels_above_a_threshold(
    shop: Path, tmp_path: Path
):
    model = lightxml.load(shop / "model")
    arguments = ["predict", shop / "model", shop / "new.csv", "--output", tmp_path / "a.jsonl"]
    assert run(*arguments, "--id-column", "id", "--threshold", "model").exit_code == 0
    records = [json.loads(line) for line in lines_of(tmp_path / "a.jsonl")]
    assert [record["id"] for record in records] == ["7", "x9"]
    given = model.predict(load_table(shop / "new.csv", **model.reading_).X)
    assert [set(record["predicted"]) for record in records] == [set(labels) for labels in given]
    shown = run("predict", shop / "model", shop / "new.csv", "--threshold", 1.0, "--jsonl")
    assert all(json.loads(line)["scores"] in ([], [1.0]) for line in shown.stdout.splitlines())
    for value in ("0", "1.1", "best"):
        result = run(*arguments, "--threshold", value)
        assert is_one_line(result, f"--threshold {value}: expected a number above 0")
    assert is_one_line(run(*arguments, "--id-column", "key"), "has no column 'key'")
    lines = run("predict", shop / "model", "-", "--id-column", "id", stdin="a\n")
    assert is_one_line(lines, "--id-column is about a table")


def test_labels_that_hold_a_semicolon_are_joined_by_something_else(tmp_path: Path):
    answers = [Answer(["1"], ["a; b", "c"], None, [0.5, 0.25])]
    draft = Draft(tmp_path / "a.csv", {})
    with writer(draft, ["id"], ["a; b", "c"], with_names=False) as write:
        write(answers)
    assert (tmp_path / "a.csv").read_text() == "id,predicted,scores\n1,a; b|c,0.5|0.25\n"


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_a_bad_line_leaves_no_half_of_an_output(shop: Path, tmp_path: Path, name: str):
    file, output = tmp_path / "long.csv", tmp_path / "out" / name
    rows = ["red apple,"] * 3_000
    file.write_text("\n".join(["name,more", *rows, "red,green,blue", *rows]))
    result = run("predict", shop / "model", file, "--output", output)
    assert is_one_line(result, "line 3,002: has 3 fields; expected 2")
    assert list(output.parent.iterdir()) == []
    output.write_text("as it was")
    run("predict", shop / "model", file, "--output", output)
    assert output.read_text() == "as it was"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_killed_prediction_goes_on_and_writes_nothing_twice(
    shop: Path, tmp_path: Path, name: str
):
    file = tmp_path / "long.csv"
    rows = [f'{i},"red\napple, {i}",' for i in range(60_000)]
    file.write_text("\n".join(["id,name,more", *rows]))
    command = ["predict", shop / "model", file, "--output"]
    assert run(*command, tmp_path / f"whole{Path(name).suffix}").exit_code == 0
    expected = (tmp_path / f"whole{Path(name).suffix}").read_bytes()
    draft = tmp_path / f".{name}.part"
    for _ in range(2):
        begun = draft.stat().st_size if draft.exists() else 0
        process = subprocess.Popen(
            [sys.executable, "-m", "lightxml", *map(str, command), tmp_path / name, "--resume"]
        )
        while not draft.exists() or draft.stat().st_size < begun + 100_000:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait()
        with draft.open("ab") as stream:  # a row of which only the beginning was written
            stream.write(b"7,half of")
    assert not (tmp_path / name).exists()
    other = run(*command, tmp_path / name, "--resume", "-k", 1)
    assert is_one_line(other, "was begun with options", "Give the same again, or delete it")
    result = run(*command, tmp_path / name, "--resume", "--n-jobs", 2)
    assert result.exit_code == 0, result.output
    assert "documents were there already." in result.stdout
    assert (tmp_path / name).read_bytes() == expected
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        name,
        "long.csv",
        f"whole{Path(name).suffix}",
    ]


def test_what_cannot_be_resumed_is_told(shop: Path, tmp_path: Path):
    arguments = ["predict", shop / "model", shop / "new.csv", "--resume"]
    assert is_one_line(run(*arguments), "--resume is about --output")
    result = run(*arguments, "--output", tmp_path / "a.parquet")
    assert is_one_line(result, "is Parquet, written as a whole")
    lines = run(
        "predict", shop / "model", "-", "--resume", "--output", tmp_path / "a.csv", stdin=""
    )
    assert is_one_line(lines, "can be read once only")
    assert is_one_line(run(*arguments[:-1], "--n-jobs", 0), "--n-jobs is 0; expected 1 or more")


def test_an_output_of_another_kind_is_refused(shop: Path, tmp_path: Path):
    arguments = ["predict", shop / "model", shop / "new.csv"]
    result = run(*arguments, "--output", tmp_path / "a.xlsx")
    assert is_one_line(result, "expected a name that ends in .csv, .jsonl, .parquet")
    result = run(*arguments, "--output", tmp_path / "a.csv", "--jsonl")
    assert is_one_line(result, "Give --output FILE.jsonl alone")
    assert is_one_line(run(*arguments, "--output", tmp_path), "expected a name that ends")


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
