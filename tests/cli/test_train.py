"""``lightxml train``."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

import lightxml
from lightxml import LightXMLClassifier, load
from lightxml.cli.train import train
from tests.cli.conftest import N_TRAIN, is_one_line, run, train_arguments


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
    assert result.exit_code == 2
    assert "expected words, pairs or chars" in result.stderr


def test_train_takes_a_device_and_a_folder_of_checkpoints(
    data: Path, encoder: Path, tmp_path: Path
):
    arguments = ["train", data, "--output", tmp_path / "m", "--encoder", encoder, "--quiet"]
    arguments += ["--max-epochs", 1, "--max-length", 16]
    kept = tmp_path / "checkpoints"
    result = run(*arguments, "--device", "cpu", "--checkpoint-dir", kept)
    assert result.exit_code == 0, result.output
    assert kept.is_dir()
    assert is_one_line(run(*arguments, "--device", "gpu"), "--device gpu: expected auto, cpu")
    wrong = run(*arguments, "--checkpoint-dir", tmp_path / "m" / "lightxml.json")
    assert is_one_line(wrong, "is a file; expected a folder")


def test_train_shows_progress_on_standard_error_alone(data: Path, encoder: Path, tmp_path: Path):
    arguments = train_arguments(data, tmp_path / "model", encoder)[:-1]
    result = run(*arguments, "--set", "max_epochs=1")
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


def test_train_names_the_known_arguments_when_one_is_unknown(data: Path, tmp_path: Path):
    result = run("train", data, "--output", tmp_path / "m", "--set", "sebock=True")
    assert result.exit_code == 2
    assert "sebock=True" in result.stderr
    assert "se_block" in result.stderr


def test_train_names_the_argument_that_has_a_wrong_value(data: Path, tmp_path: Path):
    result = run("train", data, "--output", tmp_path / "m", "--set", "se_block=true")
    assert result.exit_code == 1
    assert is_one_line(result, "se_block is 'true'; expected True or False")
    assert list(tmp_path.iterdir()) == []


def test_the_defaults_of_train_are_those_of_the_classifier():
    params = LightXMLClassifier().get_params()
    options = inspect.signature(train).parameters
    same = ("encoder", "max_length", "learning_rate", "random_state")
    assert {name: options[name].default for name in same} == {name: params[name] for name in same}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-length", 0], "--max-length is 0; expected 1 or more"),
        (["--batch-size", -1], "--batch-size is -1; expected 1 or more"),
        (["--learning-rate", 0], "--learning-rate is 0.0; expected a number above 0"),
        (["--learning-rate", "nan"], "--learning-rate is nan"),
        (["--random-state", -1], "--random-state is -1; expected 0 to"),
        (["--encoder", "tiny", "--freeze-encoder"], "weights that --encoder tiny begins with"),
        (["--encoder", "none", "--tfidf", "words", "--set", "se_block=True"], "--set se_block is"),
        (["--set", "features=words"], "Ask for it with --tfidf"),
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
        (["--set", "accumulate=x"], "accumulate is 'x'; expected a whole number"),
        (["--set", "label_clusters=x"], "True, or a list with a cluster number for each label"),
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
