"""Texts of labels: given to ``train``, shown by ``predict`` and ``explain``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lightxml
from tests.cli.conftest import N_LABELS, is_one_line, run

WORDS = ["--encoder", "none", "--tfidf", "words", "--random-state", 0, "--quiet"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of all labels but L00, and of one that no document has; some are hostile."""
    file = tmp_path_factory.mktemp("texts") / "labels.tsv"
    lines = [f"L{j:02}\tname {j}\x1b[2J\nL{j:02}\tsynonym {j}\n" for j in range(1, N_LABELS)]
    file.write_text("label\ttext\n" + "".join(lines) + "new\tzebra crossing\n")
    return file


@pytest.fixture(scope="module")
def named(data: Path, texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "named"
    result = run("train", data, "--output", folder, *WORDS, "--label-texts", texts)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[1] == f"{N_LABELS} labels have a text, 1 of them no document"
    assert lines[2].startswith("Trained in ")  # no network, no epoch
    return folder


def test_train_gives_the_texts_to_the_model(named: Path):
    model = lightxml.load(named, "cpu")
    assert model.classes_.tolist() == [*(f"L{j:02}" for j in range(N_LABELS)), "new"]
    assert model.label_texts_[:2] == ((), ("name 1\x1b[2J", "synonym 1"))
    assert model.predict_topk(["a zebra crossing"], 1).tolist() == [["new"]]


def test_the_first_text_is_shown_in_the_place_of_the_label(named: Path):
    shown = run("predict", named, "-", "-k", 1, stdin="a zebra crossing\n").stdout
    assert shown.splitlines()[1].endswith("  zebra crossing")
    shown = run("predict", named, "-", "-k", N_LABELS + 1, stdin="zebra\n").stdout
    assert "\x1b" not in shown
    assert {line.split("  ")[-1] for line in shown.splitlines()[1:]} == {
        "L00", "zebra crossing", *(f"name {j}?[2J" for j in range(1, N_LABELS))
    }  # fmt: skip


def test_json_lines_keep_labels_and_name_them_beside(named: Path, tmp_path: Path):
    arguments = ["predict", named, "-", "-k", 1, "--jsonl"]
    found = json.loads(run(*arguments, stdin="a zebra crossing\n").stdout)
    assert (found["labels"], found["names"]) == (["new"], ["zebra crossing"])
    names = tmp_path / "names.jsonl"
    names.write_text('{"label": "new", "text": ["other", "name"]}')
    found = json.loads(run(*arguments, "--names", names, stdin="a zebra crossing\n").stdout)
    assert (found["labels"], found["names"]) == (["new"], ["other"])


def test_explain_names_the_label_and_each_rankers_best(named: Path):
    shown = run("explain", named, "a zebra crossing", "--label", "new").stdout
    assert shown.splitlines()[1].endswith("  zebra crossing")
    opinion = shown[shown.index("    label_texts ") :].splitlines()
    assert "coverage 1.00" in opinion[0]
    assert opinion[1].split("best: ")[1] == "zebra crossing"
    by_name = run("explain", named, "a zebra crossing", "--label", "zebra crossing")
    assert by_name.stdout == shown


@pytest.mark.parametrize(
    ("labels", "options", "expected"),
    [
        (["red car", "apple"], [], [("apple",), ("red car",)]),
        (["好评", "差评"], [], [("好评",), ("差评",)]),
        (["red car", "apple"], ["--label-texts", "none"], None),
        (["L0104", "4472"], [], None),
    ],
)
def test_labels_that_are_words_are_read_as_such(
    labels: list[str], options: list[str], expected: list[tuple[str]] | None, tmp_path: Path
):
    table = tmp_path / "table.csv"
    rows = [f"words of number {i % 2},{labels[i % 2]}\n" for i in range(12)]
    table.write_text("text,labels\n" + "".join(rows), encoding="utf-8")
    columns = ["--text-column", "text", "--label-column", "labels"]
    result = run("train", table, "--output", tmp_path / "m", *columns, *WORDS, *options)
    assert result.exit_code == 0, result.output
    assert ("The labels are words" in result.stdout) == (expected is not None)
    found = lightxml.load(tmp_path / "m").label_texts_
    assert found == expected if expected is None else sorted(found) == sorted(expected)
    shown = json.loads(run("predict", tmp_path / "m", "-", "--jsonl", stdin="words\n").stdout)
    assert shown.keys() == {"labels", "scores"}


def test_a_name_of_several_labels_is_not_enough(named: Path, tmp_path: Path):
    names = tmp_path / "names.tsv"
    names.write_text("L01\tboth\nL02\tboth\n")
    result = run("explain", named, "text", "--label", "both", "--names", names)
    assert is_one_line(result, "--label both is the name of 2 labels: L01, L02. Give one.")


def test_a_thesaurus_names_labels_by_the_ends_of_its_uris(data: Path, tmp_path: Path):
    concept = "<http://x.org/L01> a s:Concept ; s:prefLabel 'Apfel'@de, 'pomme'@fr ."
    thesaurus = tmp_path / "thesaurus.ttl"
    thesaurus.write_text(f"@prefix s: <http://www.w3.org/2004/02/skos/core#> .\n{concept}\n")
    arguments = ["train", data, "--output", tmp_path / "m", *WORDS, "--label-texts", thesaurus]
    assert run(*arguments, "--language", "fr").exit_code == 0
    assert lightxml.load(tmp_path / "m", "cpu").label_texts_[1] == ("pomme",)


def test_texts_that_no_label_has_are_refused(data: Path, named: Path, tmp_path: Path):
    other = tmp_path / "other.txt"
    other.write_text("one\ttext\n")
    result = run("train", data, "--output", tmp_path / "m", *WORDS, "--label-texts", other)
    assert is_one_line(result, "none of its labels (such as 'one') is one of the 12 known ones")
    assert is_one_line(run("predict", named, "-", "--names", other, stdin="a\n"), "'one'")


def test_texts_of_labels_are_for_texts(texts: Path, tmp_path: Path):
    (tmp_path / "train.txt").write_text("2 2 2\n0 0:1\n1 1:1\n")
    result = run("train", tmp_path, "--output", tmp_path / "m", "--label-texts", texts)
    assert is_one_line(result, "holds features; --label-texts is for texts")


def test_no_message_brings_a_label_to_the_terminal_as_it_is(tmp_path: Path):
    table = tmp_path / "table.csv"
    table.write_text("text,labels\n" + "some words,\x1b[2J\nother words,b\n" * 4)
    columns = ["--text-column", "text", "--label-column", "labels"]
    assert run("train", table, "--output", tmp_path / "m", *columns, *WORDS).exit_code == 0
    result = run("explain", tmp_path / "m", "some", "--label", "\x9bx")
    assert is_one_line(result, "--label ?x is not among the 2 labels of the model, such as ?[2J")
