"""``lightxml train``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

import lightxml
from lightxml import LightXMLClassifier, load
from lightxml.arguments import GROUPS
from lightxml.cli.arguments import HELP, OPTIONS
from lightxml.datasets import make_xmc
from tests.cli.conftest import N_TRAIN, is_one_line, run, train_arguments

COLUMNS = ["--text-column", "text", "--label-column", "labels"]


def test_train_saves_a_model_in_a_folder_that_it_makes(trained: Result, model: Path):
    loaded = lightxml.load(model, "cpu")
    assert loaded.n_iter_ == 2
    assert loaded.classes_.tolist() == sorted(loaded.classes_.tolist())
    assert "unseen" not in loaded.classes_


def test_train_says_what_it_learns_from_and_how_it_went(trained: Result, model: Path):
    first, last, end = trained.stdout.splitlines()
    assert first.startswith(f"{N_TRAIN} documents to learn from, ")
    assert last.startswith("epoch 2, loss ")
    assert [word for word in last.split() if "@" in word] == ["P@1", "P@3", "P@5"]  # of dev
    assert end.startswith("Trained in ")
    assert "GiB" in end
    assert end.endswith(f"saved to {model}.")
    assert trained.stderr == ""


def test_train_takes_any_argument_as_a_python_literal_or_a_word(model: Path, encoder: Path):
    params = lightxml.load(model, "cpu").get_params()
    assert params["se_block"] is True
    assert params["swa_start"] is None
    assert params["schedule"] == "constant"
    assert params["learning_rate"] == 2e-3
    assert params["encoder"] == f"./{encoder.name}"


@pytest.mark.parametrize("kind", ["words", "pairs", "chars"])
def test_train_without_an_encoder_reads_features(data: Path, tmp_path: Path, kind: str):
    arguments = ["--encoder", "none", "--tfidf", kind, "--quiet"]
    result = run("train", data, "--output", tmp_path / "model", *arguments)
    assert result.exit_code == 0, result.output
    model = load(tmp_path / "model", "cpu")
    assert model.tokenizer_ is None
    pairs = any(" " in term for term in model.vectorizer_.vocabulary_)
    assert pairs == (kind != "words")
    assert (model.vectorizer_.analyzer == "char_wb") == (kind == "chars")
    assert run("evaluate", tmp_path / "model", data).exit_code == 0
    frozen = run("train", data, "--output", tmp_path / "m", *arguments, "--freeze-encoder")
    assert is_one_line(frozen, "--freeze-encoder is about an encoder")


def test_train_with_a_frozen_encoder_and_features(data: Path, encoder: Path, tmp_path: Path):
    arguments = ["--encoder", encoder, "--max-length", 32, "--freeze-encoder", "--tfidf", "words"]
    result = run("train", data, "--output", tmp_path / "model", *arguments, "--quiet")
    assert result.exit_code == 0, result.output
    model = load(tmp_path / "model", "cpu")
    assert [ranker.name for ranker in model.rankers_] == ["linear", "neighbors", "vectors"]
    assert model.tokenizer_ is not None
    assert model.vectorizer_ is not None


def test_train_names_an_unknown_kind_of_features(data: Path, tmp_path: Path):
    result = run("train", data, "--output", tmp_path / "model", "--tfidf", "letters")
    assert is_one_line(result, "--tfidf letters: expected words, pairs or chars")


def test_train_takes_a_device_and_a_folder_of_checkpoints(
    data: Path, encoder: Path, tmp_path: Path
):
    arguments = ["train", data, "--output", tmp_path / "m", "--encoder", encoder, "--quiet"]
    arguments += ["--max-epochs", 1, "--max-length", 16]
    kept = tmp_path / "checkpoints"
    result = run(*arguments, "--device", "cpu", "--checkpoint-dir", kept)
    assert result.exit_code == 0, result.output
    assert kept.is_dir()
    assert is_one_line(
        run(*arguments, "--device", "gpu"), "--device is 'gpu'; expected 'auto', 'cpu'"
    )
    wrong = run(*arguments, "--checkpoint-dir", tmp_path / "m" / "lightxml.json")
    assert is_one_line(wrong, "is a file; expected a folder")


def test_train_shows_progress_on_standard_error_alone(data: Path, encoder: Path, tmp_path: Path):
    arguments = train_arguments(data, tmp_path / "model", encoder)[:-1]
    result = run(*arguments, "--max-epochs", 1)
    assert result.exit_code == 0
    assert f"{N_TRAIN} documents" in result.stderr
    assert len(result.stdout.splitlines()) == 3


@pytest.mark.parametrize("place", ["a file", "below a file", "not writable"])
def test_train_refuses_a_place_for_the_model_before_it_reads_the_data(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "file"
    file.touch()
    output = {"a file": file, "below a file": file / "model"}.get(place, tmp_path / "a" / "b")
    if place == "not writable":  # a superuser may write anywhere
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    result = run("train", tmp_path / "no data", "--output", output)
    assert result.exit_code == 1
    assert is_one_line(result, f"--output {output}")
    assert sorted(tmp_path.iterdir()) == [file]


def test_train_names_the_argument_that_has_a_wrong_value(data: Path, tmp_path: Path):
    result = run("train", data, "--output", tmp_path / "m", "--accumulate", "x")
    assert result.exit_code == 1
    assert is_one_line(result, "--accumulate is 'x'; expected a whole number of at least 1")
    assert list(tmp_path.iterdir()) == []


def test_every_argument_of_the_classifier_has_an_option():
    elsewhere = {"features", "verbose", "warm_start"}
    assert OPTIONS.keys() == HELP.keys() == LightXMLClassifier().get_params().keys() - elsewhere


def test_the_options_stand_in_the_groups_of_the_arguments():
    shown = run("train", "--help").stdout
    places = [shown.index(f"\n{group.capitalize()}:\n") for group in GROUPS]
    assert places == sorted(places)
    assert places[3] < shown.index("--final-ranker VALUE") < places[4]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--label-clusters", "true", "--swa-start", "none"],
         {"label_clusters": True, "swa_start": None}),
        (["--no-se-block", "--encoder", "none"], {"se_block": False, "encoder": None}),
        (["--rankers", "linear, neighbors", "--threshold", "0.4"],
         {"rankers": ("linear", "neighbors"), "threshold": 0.4}),
        (["--threshold", "macro_f1", "--max-epochs", "auto"],
         {"threshold": "macro_f1", "max_epochs": "auto"}),
        (["--validation-fraction", "600", "--final-ranker", "none"],
         {"validation_fraction": 600, "final_ranker": None}),
    ],
)  # fmt: skip
def test_options_are_the_arguments_that_they_name(
    options: list[str], expected: dict[str, Any], data: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    given: dict[str, Any] = {}

    def note(params: dict[str, Any], *args: Any) -> Any:
        given.update(params)
        raise ValueError("enough")

    monkeypatch.setattr("lightxml.cli.train._fitted", note)
    assert is_one_line(run("train", data, "--output", tmp_path / "m", *options), "enough")
    assert {name: given[name] for name in expected} == expected
    assert all(type(given[name]) is type(value) for name, value in expected.items())


def test_a_preset_is_where_options_begin(data: Path, tmp_path: Path):
    arguments = ["train", data, "--output", tmp_path / "m", "--preset", "features", "--quiet"]
    result = run(*arguments, "--tfidf", "words", "--final-ranker", "none", "--random-state", 0)
    assert result.exit_code == 0, result.output
    model = load(tmp_path / "m", "cpu")
    assert model.encoder is None
    assert model.final_ranker is None
    assert not any(" " in term for term in model.vectorizer_.vocabulary_)
    assert is_one_line(run(*arguments[:-2], "best"), "--preset best: expected one of features")


def test_without_an_encoder_words_are_read_or_characters_where_there_are_no_blanks(tmp_path: Path):
    table = tmp_path / "table.csv"
    options = ["--output", tmp_path / "m", "--encoder", "none", "--quiet", *COLUMNS]
    for rows, kind in (
        (["the cat,a", "the dog,b", "a cat,a;b"], "words"),
        (["今天天气很好,a", "今天下雨,b", "天气好,a;b"], "chars"),
        (["오늘 날씨가 좋다,a", "오늘 비가 온다,b", "날씨는 좋다,a;b"], "chars"),
    ):
        table.write_text("\n".join(["text,labels", *rows]), encoding="utf-8")
        result = run("train", table, *options)
        assert result.exit_code == 0, result.output
        assert f"Learning from TF-IDF of {kind} (--tfidf)." in result.stdout
        assert (load(tmp_path / "m").vectorizer_.analyzer == "char_wb") == (kind == "chars")


def test_labels_of_the_test_part_alone_are_not_known(tmp_path: Path):
    table = tmp_path / "table.csv"
    rows = [f"document number {i},common;label {'abcdefghijklmnopqrst'[i]}{i}\n" for i in range(20)]
    table.write_text("text,labels\n" + "".join(rows).replace("label ", "word"))
    arguments = ["train", table, "--output", tmp_path / "m", "--encoder", "none", "--quiet"]
    arguments += [*COLUMNS, "--label-separator", ";", "--random-state", 0, "--test-size", 5]
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert "The labels are words" in result.stdout
    assert "5 uses of labels that the model does not know are left out" in result.stdout
    assert len(load(tmp_path / "m").classes_) == 16
    assert run(*arguments, "--refit").exit_code == 0
    assert len(load(tmp_path / "m").classes_) == 21


def test_a_part_is_measured_and_learned_from_only_if_that_is_asked_for(tmp_path: Path):
    texts, y = make_xmc(100, 6, n_labels_per_document=2, random_state=0)
    table = tmp_path / "table.csv"
    rows = [
        f"{text},{';'.join(f'L{j}' for j in row.nonzero()[0])}\n"
        for text, row in zip(texts, y.toarray(), strict=True)
    ]
    table.write_text("text,labels\n" + "".join(rows))
    arguments = [
        "train",
        table,
        "--output",
        tmp_path / "m",
        "--encoder",
        "none",
        "--quiet",
        *COLUMNS,
    ]
    learned = []
    for more in ([], ["--refit"]):
        result = run(*arguments, "--test-size", 0.2, "--random-state", 0, *more)
        assert result.exit_code == 0, result.output
        assert "documents that were not learnt from:" in result.stdout
        assert "P, most frequent labels" in result.stdout
        learned.append(load(tmp_path / "m").rankers_[1].rows.shape[0])
    assert learned == [80, 100]
    for size, message in {
        "0": "expected a fraction between 0 and 1, or a number",
        "1.5": "expected a fraction between 0 and 1, or a number",
        "100": "leaves 0 of 100 documents to learn from, and 100 to measure on",
    }.items():
        assert is_one_line(run(*arguments, "--test-size", size), f"--test-size {size}", message)
    assert is_one_line(run(*arguments, "--refit"), "--refit is about --test-size")
    folder = run("train", tmp_path, *arguments[2:-4], "--test-size", "0.1")
    assert is_one_line(folder, "--test-size is about a table")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-length", 0], "--max-length is 0; expected a whole number of at least 1"),
        (
            ["--batch-size", -1],
            "--batch-size is -1; expected a whole number of at least 1 or 'auto'",
        ),
        (["--learning-rate", 0], "--learning-rate is 0; expected a number above 0"),
        (["--learning-rate", "nan"], "--learning-rate is 'nan'; expected a number above 0"),
        (["--random-state", -1], "--random-state is -1; expected a whole number from 0 to"),
        (["--encoder", "tiny", "--freeze-encoder"], "weights that --encoder tiny begins with"),
        (["--encoder", "none", "--tfidf", "words", "--se-block"], "--se-block is about"),
        (["--swa-every", "often"], "--swa-every is 'often'; expected a whole number"),
    ],
)
def test_train_names_the_options_that_do_not_go_together(
    data: Path, tmp_path: Path, options: list[Any], message: str
):
    result = run("train", data, "--output", tmp_path / "m", *options)
    assert result.exit_code == 1
    assert is_one_line(result, message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-length", 2], "--max-length 2 leaves no room for text"),
        (["--label-clusters", "x"], "True, or a list with a cluster number for each label"),
    ],
)
def test_what_fit_finds_wrong_is_told_in_options(
    data: Path, tmp_path: Path, encoder: Path, options: list[Any], message: str
):
    result = run("train", data, "--output", tmp_path / "m", "--encoder", encoder, *options)
    assert result.exit_code == 1
    assert is_one_line(result, message)


def test_train_says_that_there_is_nothing_to_learn(tmp_path: Path):
    table = tmp_path / "table.csv"
    options = ["--text-column", "text", "--label-column", "labels", "--encoder", "none"]
    table.write_text("text,labels\na b,\n")
    result = run("train", table, "--output", tmp_path / "m", *options, "--tfidf", "words")
    assert is_one_line(result, "no document has a label")
    for rows in ("one,a\n", "one,a\ntwo,b\n", "?,a\n!,b\n"):
        table.write_text(f"text,labels\n{rows}")
        result = run("train", table, "--output", tmp_path / "m", *options, "--tfidf", "words")
        assert is_one_line(result, "--tfidf: no word is in two documents")


def test_what_reads_texts_is_refused_for_features(tmp_path: Path):
    (tmp_path / "train.txt").write_text("2 2 2\n0 0:1\n1 1:1\n")
    for options, message in {
        ("--tfidf", "words"): "holds features; --tfidf makes them of texts",
        ("--encoder", "tiny"): "holds features, but --encoder tiny reads texts",
        ("--freeze-encoder",): "--freeze-encoder is about an encoder",
    }.items():
        result = run("train", tmp_path, "--output", tmp_path / "m", *options)
        assert result.exit_code == 1
        assert is_one_line(result, message)
