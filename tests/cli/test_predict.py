"""``lightxml predict``."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

import lightxml
from lightxml import LightXMLClassifier
from lightxml.cli.options import open_bytes
from lightxml.datasets import load_xmc
from tests.cli.conftest import is_one_line, run


def test_predict_shows_each_document_with_its_labels_in_80_columns(model: Path, tmp_path: Path):
    file = tmp_path / "documents.txt"
    file.write_text(f"short\tone\n{'very ' * 100}long\n")
    result = run("predict", model, file, "-k", 3, "--device", "cpu")
    assert result.exit_code == 0
    first, *labels = result.stdout.splitlines()[:4]
    assert first == "short one"
    known = lightxml.load(model, "cpu").classes_
    for line in labels:
        score, label = line.split()
        assert 0 <= float(score) <= 1
        assert label in known
    assert len(result.stdout.splitlines()) == 8
    assert result.stdout.splitlines()[4].endswith("...")
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_predict_brings_no_control_characters_to_the_terminal(model: Path, tmp_path: Path):
    names = tmp_path / "labels.txt"
    labels = lightxml.load(model, "cpu").classes_.tolist()
    names.write_text("".join(f"{label}\t\x1b]0;name\x07\n" for label in labels))
    result = run("predict", model, "-", "--names", names, stdin="a\x1b[2J\x08b\u202e caf\u00e9\n")
    first, second = result.stdout.splitlines()[:2]
    assert first == "a?[2J?b? caf\u00e9"
    assert second.endswith("  ?]0;name?")


def test_predict_gives_json_lines_equal_to_the_classifier(model: Path, data: Path):
    result = run("predict", model, data / "test_texts.txt", "--jsonl", "--device", "cpu")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    texts = load_xmc(data).X_test
    labels, scores = lightxml.load(model, "cpu").predict_topk(texts, return_scores=True)
    assert [row["labels"] for row in rows] == labels.tolist()
    np.testing.assert_allclose([row["scores"] for row in rows], scores, atol=2e-6)


def test_predict_answers_every_line_of_standard_input_the_empty_ones_too(model: Path):
    result = run("predict", model, "-", "--jsonl", stdin="one\r\n\n \nlast without an end")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 4


def test_predict_of_nothing_is_nothing(model: Path):
    result = run("predict", model, "-", stdin="")
    assert (result.exit_code, result.stdout) == (0, "")


def test_predict_shows_names_where_a_file_gives_them(model: Path, tmp_path: Path):
    labels = lightxml.load(model, "cpu").classes_.tolist()
    names = tmp_path / "labels.txt"
    names.write_text("".join(f"{label}\tname of {label}\n" for label in labels[1:]))
    result = run(
        "predict", model, "-", "--jsonl", "--names", names, "-k", len(labels), stdin="text\n"
    )
    shown = json.loads(result.stdout)
    assert sorted(shown["labels"]) == labels
    for label, name in zip(shown["labels"], shown["names"], strict=True):
        assert name == (label if label == labels[0] else f"name of {label}")


def test_predict_answers_the_lines_before_one_that_is_not_utf8(model: Path):
    result = run("predict", model, "-", "--jsonl", stdin=b"one\ntwo\nM\xfcnchen\nfour\n")
    assert result.exit_code == 1
    assert is_one_line(result, "line 3 is not UTF-8 (byte 0xfc at position 1)")
    assert len(result.stdout.splitlines()) == 2


def test_predict_refuses_more_labels_than_there_are(model: Path):
    result = run("predict", model, "-", "-k", 10_000, stdin="text\n")
    assert result.exit_code == 1
    assert is_one_line(result, "-k 10000 is more than the 12 labels")
    assert run("predict", model, "-", "-k", 0, stdin="text\n").exit_code == 2


def test_predict_says_that_standard_input_is_closed(model: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ValueError, match="standard input is closed"):
        open_bytes(Path("-"))


def test_predict_without_k_gives_all_labels_where_there_are_fewer_than_five(tmp_path: Path):
    model = LightXMLClassifier(None, features=CountVectorizer())
    model.fit(["red fox", "blue hen"] * 4, [["fox"], ["hen"]] * 4).save(tmp_path / "m")
    result = run("predict", tmp_path / "m", "-", "--jsonl", stdin="red\n")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["labels"] == ["fox", "hen"]


def test_a_pipe_is_read_once(model: Path, tmp_path: Path):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as writer:
        writer.submit(pipe.write_text, "text\nsome words\n")
        result = run("predict", model, pipe, "--text-column", "text", "--jsonl")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 1


def ranked(result) -> list[str]:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["labels"]


def test_only_some_labels_are_ranked_or_all_but_some(model: Path, tmp_path: Path):
    classes = lightxml.load(model, "cpu").classes_.tolist()
    some = classes[::3]
    file = tmp_path / "some.txt"
    file.write_text("".join(f"{label}\tits text\n\n" for label in some))
    predict = ["predict", model, "-", "--jsonl", "-k", 12]
    assert sorted(ranked(run(*predict, "--only", file, stdin="text\n"))) == some
    only = ["--only", some[0], "--only", some[1]]
    assert sorted(ranked(run(*predict, *only, stdin="text\n"))) == some[:2]
    others = [label for label in classes if label not in some]
    assert sorted(ranked(run(*predict, "--not", file, stdin="text\n"))) == others
    both = ["--only", file, "--not", some[0], "--not", classes[1]]
    assert sorted(ranked(run(*predict, *both, stdin="text\n"))) == some[1:]


def test_what_is_no_label_is_named_with_its_place(model: Path, tmp_path: Path):
    classes = lightxml.load(model, "cpu").classes_.tolist()
    file, empty = tmp_path / "some.txt", tmp_path / "empty.txt"
    file.write_text(f"{classes[0]}\n{classes[1]}x\x1b\n")
    empty.write_text("\n")
    for options, parts in (
        (["--only", "nothing"], ("--only nothing is no file, and not among the 12 labels",)),
        (["--not", classes[0].lower()], (f"12 labels of the model. Is {classes[0]}",)),
        (["--not", file], (f"--not {file}, line 2: {classes[1]}x? is not among", " meant?")),
        (["--only", empty], (f"--only {empty}: holds no label; expected one on each line",)),
        (["--only", classes[0], "--not", classes[0]], ("--not has all labels of --only",)),
        ([o for c in classes for o in ("--not", c)], ("--not has all labels of the model",)),
    ):
        result = run("predict", model, "-", *options, stdin="text\n")
        assert result.exit_code == 1
        assert is_one_line(result, *parts), result.stderr


def test_labels_that_are_numbers_are_listed_too(tmp_path: Path):
    model = LightXMLClassifier(None, features=CountVectorizer())
    model.fit(["red fox", "blue hen"] * 4, [[1], [2]] * 4).save(tmp_path / "m")
    result = run("predict", tmp_path / "m", "-", "--jsonl", "--only", 2, stdin="red\n")
    assert ranked(result) == [2]
