"""The command line, mostly in this process, on a small data folder and a two-layer encoder."""

from __future__ import annotations

import csv
import inspect
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.utils import Bunch
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
from typer.testing import CliRunner, Result

import lightxml
from lightxml import LightXMLClassifier, load
from lightxml.cli import app as cli
from lightxml.datasets import label_sets, lines, load_xmc, make_xmc
from lightxml.metrics import propensities
from lightxml.metrics.tables import rank_metrics
from lightxml.network import encoders

N_TRAIN, N_VALIDATION, N_TEST, N_LABELS = 60, 10, 20, 12


def run(*arguments: Any, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(cli.app, [str(a) for a in arguments], input=stdin)


def is_one_line(result: Result, *parts: str) -> bool:
    """Whether the error output is a single line that begins with the program and names `parts`."""
    error = result.stderr
    return (
        error.startswith("lightxml: error: ")
        and error.endswith("\n")
        and error.count("\n") == 1
        and all(part in error for part in parts)
    )


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    return fail


def write_part(folder: Path, name: str, texts: list[str], labels: list[tuple[str, ...]]) -> None:
    (folder / f"{name}_texts.txt").write_text("".join(f"{text}\n" for text in texts))
    (folder / f"{name}_labels.txt").write_text("".join(f"{' '.join(row)}\n" for row in labels))


@pytest.fixture(scope="session")
def texts_and_labels() -> tuple[list[str], list[tuple[str, ...]]]:
    n_documents = N_TRAIN + N_VALIDATION + N_TEST
    texts, y = make_xmc(
        n_documents, N_LABELS, n_labels_per_document=2, n_words_per_document=12, random_state=0
    )
    return texts, label_sets(y, np.array([f"L{j:02}" for j in range(N_LABELS)]))


@pytest.fixture(scope="session")
def data(
    tmp_path_factory: pytest.TempPathFactory,
    texts_and_labels: tuple[list[str], list[tuple[str, ...]]],
) -> Path:
    """A data folder; its last test document also has a label that is in no other part."""
    folder = tmp_path_factory.mktemp("data")
    texts, labels = texts_and_labels
    labels = [*labels[:-1], (*labels[-1], "unseen")]
    a, b = N_TRAIN, N_TRAIN + N_VALIDATION
    write_part(folder, "train", texts[:a], labels[:a])
    write_part(folder, "dev", texts[a:b], labels[a:b])
    write_part(folder, "test", texts[b:], labels[b:])
    return folder


@pytest.fixture(scope="session")
def encoder(
    tmp_path_factory: pytest.TempPathFactory,
    texts_and_labels: tuple[list[str], list[tuple[str, ...]]],
) -> Path:
    """A local encoder folder as `save_pretrained` writes it."""
    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = encoders.learn_vocabulary(texts_and_labels[0][:N_TRAIN], 400)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]",
        unk_token="[UNK]", mask_token="[MASK]",
    ).save_pretrained(folder)  # fmt: skip
    return folder


def train_arguments(data: Path, output: Path, encoder: Path) -> list[Any]:
    return ["train", data, "--output", output, "--encoder", encoder, "--max-length", 32,
            "--max-epochs", 2, "--learning-rate", 2e-3, "--random-state", 0,
            "--set", "se_block=True", "--set", "swa_start=None", "--set", "schedule=constant",
            "--set", "device=cpu", "--quiet"]  # fmt: skip


@pytest.fixture(scope="session")
def trained(data: Path, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A successful ``train``; the model is in the folder that `model` gives."""
    folder = tmp_path_factory.mktemp("models") / "new" / "model"
    result = run(*train_arguments(data, folder, encoder))
    result.folder = folder
    return result


@pytest.fixture(scope="session")
def model(trained: Result) -> Path:
    assert trained.exit_code == 0, trained.output
    return trained.folder


# --- help --------------------------------------------------------------------------------------


def test_help_loads_neither_torch_nor_numpy():
    code = (
        "import sys; from typer.testing import CliRunner; from lightxml.cli.app import app\n"
        "result = CliRunner().invoke(app, sys.argv[1:])\n"
        "assert result.exit_code == 0 and 'Usage' in result.output, result.output\n"
        "assert not {'torch', 'transformers', 'sklearn', 'numpy'} & set(sys.modules)"
    )
    for arguments in (["--help"], ["train", "--help"]):
        subprocess.run([sys.executable, "-c", code, *arguments], check=True)


def test_python_m_lightxml_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "lightxml", "--help"], check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("Usage: lightxml ")
    assert all(name in done.stdout for name in ("demo", "train", "predict", "evaluate", "info"))


def test_without_a_command_help_is_shown_as_a_usage_error():
    result = run()
    assert result.exit_code == 2
    assert "Usage" in result.output


def test_the_defaults_of_train_are_those_of_the_classifier():
    params = LightXMLClassifier().get_params()
    options = inspect.signature(cli.train).parameters
    same = ("encoder", "max_length", "learning_rate", "random_state")
    assert {name: options[name].default for name in same} == {name: params[name] for name in same}


# --- train -------------------------------------------------------------------------------------


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
    assert params["encoder"] == encoder.name


@pytest.mark.parametrize("kind", ["words", "pairs"])
def test_train_without_an_encoder_reads_features(data: Path, tmp_path: Path, kind: str):
    arguments = ["--encoder", "none", "--tfidf", kind, "--quiet"]
    result = run("train", data, "--output", tmp_path / "model", *arguments)
    assert result.exit_code == 0, result.output
    model = load(tmp_path / "model", "cpu")
    assert model.tokenizer_ is None
    pairs = any(" " in term for term in model.vectorizer_.vocabulary_)
    assert pairs == (kind == "pairs")
    assert run("evaluate", tmp_path / "model", data).exit_code == 0
    frozen = run("train", data, "--output", tmp_path / "m", *arguments, "--freeze-encoder")
    assert "freeze_encoder=True is about an encoder" in frozen.stderr


def test_train_with_a_frozen_encoder_and_features(data: Path, encoder: Path, tmp_path: Path):
    arguments = ["--encoder", encoder, "--max-length", 32, "--freeze-encoder", "--tfidf", "words"]
    result = run("train", data, "--output", tmp_path / "model", *arguments, "--quiet")
    assert result.exit_code == 0, result.output
    model = load(tmp_path / "model", "cpu")
    assert model.network_.is_frozen
    assert model.vectorizer_ is not None


def test_train_names_an_unknown_kind_of_features(data: Path, tmp_path: Path):
    result = run("train", data, "--output", tmp_path / "model", "--tfidf", "letters")
    assert result.exit_code == 2
    assert "expected words or pairs" in result.stderr


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


def test_train_names_a_missing_data_folder(tmp_path: Path):
    result = run("train", tmp_path / "none", "--output", tmp_path / "m")
    assert result.exit_code == 1
    assert is_one_line(result, str(tmp_path / "none"), "not a folder")


def test_an_error_of_several_lines_is_shown_as_one(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(LightXMLClassifier, "fit", raising(OSError("no\n\n  connection")))
    result = run("train", data, "--output", tmp_path / "m")
    assert result.exit_code == 1
    assert is_one_line(result, "no connection")


def test_a_mistake_of_the_program_keeps_its_traceback(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(LightXMLClassifier, "fit", raising(ZeroDivisionError()))
    result = run("train", data, "--output", tmp_path / "m")
    assert isinstance(result.exception, ZeroDivisionError)


# --- predict -----------------------------------------------------------------------------------


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
    shown = json.loads(result.stdout)["labels"]
    assert sorted(shown) == sorted([labels[0], *(f"name of {label}" for label in labels[1:])])


def test_predict_answers_the_lines_before_one_that_is_not_utf8(model: Path):
    result = run("predict", model, "-", "--jsonl", stdin=b"one\ntwo\nM\xfcnchen\nfour\n")
    assert result.exit_code == 1
    assert is_one_line(result, "line 3 is not UTF-8 (byte 0xfc at position 1)")
    assert len(result.stdout.splitlines()) == 2


def test_predict_refuses_more_labels_than_there_are(model: Path):
    result = run("predict", model, "-", "-k", 10_000, stdin="text\n")
    assert result.exit_code == 1
    assert is_one_line(result, "k=10000")
    assert run("predict", model, "-", "-k", 0, stdin="text\n").exit_code == 2


def test_predict_names_a_missing_file_or_model(model: Path, tmp_path: Path):
    missing = tmp_path / "missing"
    assert is_one_line(run("predict", model, missing), "No such file", str(missing))
    assert is_one_line(run("predict", missing, "-", stdin=""), str(missing))


def test_predict_says_that_standard_input_is_closed(model: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ValueError, match="standard input is closed"):
        cli._open(Path("-"))


# --- documents as they come --------------------------------------------------------------------


def read(content: bytes) -> list[list[str]]:
    return list(lines.read_documents(io.BufferedReader(io.BytesIO(content))))


def test_lines_that_come_one_by_one_are_handed_on_one_by_one():
    read_end, write_end = os.pipe()
    with open(read_end, "rb") as source, open(write_end, "wb", buffering=0) as sink:
        documents = lines.read_documents(source)
        for word in (b"one\n", b"two\r\n", b"\n"):
            sink.write(word)
            assert next(documents) == [word.decode().rstrip()]
        sink.write(b"three\nfo")
        assert next(documents) == ["three"]
        sink.write("ür".encode())
        sink.write(b"\nfive")
        assert next(documents) == ["foür"]
        sink.close()
        assert list(documents) == [["five"]]


def test_lines_that_are_all_there_come_in_batches():
    batches = read(b"".join(b"%d\n" % i for i in range(150)))
    assert [len(batch) for batch in batches] == [64, 64, 22]
    assert [text for batch in batches for text in batch] == [str(i) for i in range(150)]


def test_only_line_feeds_end_a_line_and_a_byte_order_mark_is_dropped():
    text = "\ufeffone\u2028still one\x0cone\rone\n\ufefftwo"
    documents = [document for batch in read(text.encode()) for document in batch]
    assert documents == ["one\u2028still one\x0cone\rone", "\ufefftwo"]


# --- evaluate ----------------------------------------------------------------------------------


def expected_figures(model: Path, data: Path, part: str, **propensity: float) -> dict[str, float]:
    bunch = load_xmc(data)
    estimator = lightxml.load(model, "cpu")
    assert estimator.classes_.tolist() == bunch.labels.tolist()
    topk = estimator.predict_topk(bunch[f"X_{part}"])
    weights = propensities(bunch.y_train, **propensity)
    return rank_metrics(bunch[f"y_{part}"], topk, weights, classes=bunch.labels)


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
    monkeypatch.setattr(lightxml, "load", raising(AssertionError("it has begun")))
    for name, expected in {
        "picture.jpg": "expected a name that ends in .png, .svg, .pdf",
        "picture": "expected a name that ends in .png, .svg, .pdf",
        "no/picture.png": "is no folder that can be written to",
    }.items():
        assert is_one_line(
            run("evaluate", model, data, "--plot", tmp_path / name), "--plot", expected
        )
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


# --- files with columns ------------------------------------------------------------------------


@pytest.fixture(scope="session")
def table(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder's training part as a CSV file: half of each text in a column."""
    bunch = load_xmc(data)
    file = tmp_path_factory.mktemp("table") / "train.csv"
    labels = label_sets(bunch.y_train, bunch.labels)
    with file.open("w", encoding="utf-8-sig", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["title", "body", "topics"])
        for text, row in zip(bunch.X_train, labels, strict=True):
            words = text.split()
            rows.writerow([" ".join(words[:6]), " ".join(words[6:]), "; ".join(row)])
    return file


COLUMNS = ["--text-column", "title", "--text-column", "body", "--label-column", "topics"]


@pytest.fixture(scope="session")
def model_of_table(table: Path, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "of table"
    result = run(*train_arguments(table, folder, encoder), *COLUMNS)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{N_TRAIN} documents to learn from, ")
    return folder


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
    assert json.loads(result.stdout) == pytest.approx(kept)
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


def test_a_table_without_the_names_of_its_columns_is_told_them(
    model: Path, table: Path, tmp_path: Path
):
    result = run("train", table, "--output", tmp_path / "m", "--text-column", "title")
    assert is_one_line(result, "'title', 'body', 'topics'", "--label-column")
    assert is_one_line(run("predict", model, table), "'title', 'body'", "--text-column")
    result = run("train", table, "--output", tmp_path / "m", *COLUMNS[:5], "tags")
    assert is_one_line(result, "no column 'tags'", "'title', 'body', 'topics'")


def test_columns_are_of_files_and_parts_are_of_folders(
    model: Path, data: Path, table: Path, tmp_path: Path
):
    result = run("train", data, "--output", tmp_path / "m", *COLUMNS)
    assert is_one_line(result, "--text-column", f"{data} is none")
    result = run("train", tmp_path / "none.csv", "--output", tmp_path / "m", *COLUMNS)
    assert is_one_line(result, "No such file", "none.csv")
    result = run("train", data / "train_texts.txt", "--output", tmp_path / "m", *COLUMNS)
    assert is_one_line(result, "expected a file that ends in .csv")
    for option in (["--validation"], ["--propensity", 0.6, 2.6]):
        assert is_one_line(run("evaluate", model, table, *COLUMNS, *option), option[0])
    assert is_one_line(run("predict", model, "-", *COLUMNS[:2], stdin="a\n"), "-: expected a file")


def test_train_and_evaluate_read_a_folder_of_features(tmp_path: Path):
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


# --- demo --------------------------------------------------------------------------------------


@pytest.fixture
def small_demo(data: Path, monkeypatch: pytest.MonkeyPatch) -> Bunch:
    """The demo with the small data for the docstrings."""
    bunch = load_xmc(data)
    monkeypatch.setattr("lightxml.datasets.load_pydocs", lambda: bunch)
    return bunch


def test_the_demo_compares_with_the_most_frequent_labels_and_answers_each_line(small_demo: Bunch):
    sentences = small_demo.X_train[:2]
    result = run("demo", stdin=f"{sentences[0]}\n{sentences[1]}\n\nnot read any more\n")
    assert result.exit_code == 0, result.output
    shown = result.stdout.splitlines()
    assert max(map(len, shown)) <= 80
    heads = next(i for i, line in enumerate(shown) if "P@1" in line)
    assert shown[heads].split() == ["%", "P@1", "P@3", "P@5", "PSP@1", "PSP@3", "PSP@5"]
    baseline, learnt = (line.split()[-6:] for line in shown[heads + 1 : heads + 3])
    counts = small_demo.y_train.sum(axis=0)
    most_frequent = small_demo.y_test[:, [int(counts.argmax())]].sum() / N_TEST
    assert float(baseline[0]) == pytest.approx(100 * most_frequent)
    assert 100 * most_frequent < float(learnt[0]) <= 100
    answers = shown[heads + 5 :]
    assert len(answers) == 2 * 6
    assert [answers[0][:20], answers[6][:20]] == [sentence[:20] for sentence in sentences]
    assert ">" not in result.stdout  # the prompt is for terminals


def test_the_demo_labels_the_text_of_its_option_and_ends(small_demo: Bunch):
    result = run("demo", "--text", "sort the rows", stdin="not read\n")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-6] == "sort the rows"


@pytest.mark.parametrize("text", [None, "", "\n", "one\ntwo\n", "one\ntwo\n\nthree\n", "one\ntwo"])
def test_sentences_end_with_the_input_or_an_empty_line(
    text: str | None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "stdin", None if text is None else io.StringIO(text))
    expected = ["one", "two"] if text and "one" in text else []
    assert list(cli._sentences()) == expected


def test_sentences_are_asked_for_at_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    terminal = io.StringIO("one\n\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    assert list(cli._sentences()) == ["one"]
    assert capsys.readouterr().out.endswith("\n> > ")


# --- interruptions -----------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["demo", "train", "predict", "evaluate"])
def test_ctrl_c_ends_every_command_with_one_line_and_status_130(
    command: str, model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    small_demo: Bunch,
):  # fmt: skip
    monkeypatch.setattr(LightXMLClassifier, "fit", raising(KeyboardInterrupt()))
    monkeypatch.setattr(LightXMLClassifier, "predict_topk", raising(KeyboardInterrupt()))
    arguments = {
        "demo": [],
        "train": [data, "--output", tmp_path / "m"],
        "predict": [model, "-"],
        "evaluate": [model, data],
    }[command]
    result = run(command, *arguments, stdin="text\n")
    assert result.exit_code == 130
    assert result.stderr.strip() == "Interrupted."


@pytest.mark.slow
def test_predict_answers_a_slow_source_line_by_line_until_ctrl_c(model: Path):
    command = [sys.executable, "-m", "lightxml", "predict", str(model), "-", "--jsonl"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, bufsize=1) as process:
        for _ in range(3):
            process.stdin.write("some text\n")
            assert len(json.loads(process.stdout.readline())["labels"]) == 5
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=300) == 130
        assert process.stderr.read().strip() == "Interrupted."


@pytest.mark.slow
def test_predict_ends_quietly_when_its_reader_has_seen_enough(model: Path):
    command = [sys.executable, "-m", "lightxml", "predict", str(model), "-", "--jsonl"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, bufsize=1) as process:
        process.stdin.write("some text\n")
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write("more text\n")
        process.stdin.close()
        process.wait(timeout=300)
        assert process.stderr.read() == ""
