"""The command line in this process, on a small data folder and a two-layer encoder."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.utils import Bunch
from transformers import BertModel, PreTrainedTokenizerFast
from typer.testing import CliRunner, Result

import lightxml
from lightxml.cli import app as cli
from lightxml.datasets import label_sets, load_xmc, make_xmc
from lightxml.metrics import propensities
from lightxml.metrics.tables import rank_metrics
from lightxml.network import encoders
from tests.conftest import small_config

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


def save_encoder(folder: Path, texts: list[str]) -> Path:
    """Write the two-layer encoder, with a vocabulary of these texts."""
    tokenizer, config = encoders.learn_vocabulary(texts, 600), small_config()
    config.vocab_size = tokenizer.get_vocab_size()
    BertModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]",
        unk_token="[UNK]", mask_token="[MASK]",
    ).save_pretrained(folder)  # fmt: skip
    return folder


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
    return save_encoder(tmp_path_factory.mktemp("encoder"), texts_and_labels[0][:N_TRAIN])


def train_arguments(data: Path, output: Path, encoder: Path) -> list[Any]:
    return ["train", data, "--output", output, "--encoder", encoder, "--max-length", 32,
            "--max-epochs", 2, "--learning-rate", 2e-3, "--random-state", 0,
            "--se-block", "--swa-start", "none", "--schedule", "constant", "--device", "cpu",
            "--quiet"]  # fmt: skip


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


COLUMNS = ["--text-column", "title", "--text-column", "body", "--label-column", "topics"]


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


@pytest.fixture(scope="session")
def model_of_table(table: Path, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "of table"
    result = run(*train_arguments(table, folder, encoder), *COLUMNS)
    assert result.exit_code == 0, result.output
    assert f"{N_TRAIN} documents, " in result.stdout
    return folder


@pytest.fixture
def small_demo(data: Path, monkeypatch: pytest.MonkeyPatch) -> Bunch:
    """The demo with the small data for the docstrings."""
    bunch = load_xmc(data)
    monkeypatch.setattr("lightxml.datasets.load_pydocs", lambda: bunch)
    return bunch


def expected_figures(model: Path, data: Path, part: str, **propensity: float) -> dict[str, float]:
    bunch = load_xmc(data)
    estimator = lightxml.load(model, "cpu")
    assert estimator.classes_.tolist() == bunch.labels.tolist()
    topk = estimator.predict_topk(bunch[f"X_{part}"])
    weights = propensities(bunch.y_train, **propensity)
    return rank_metrics(bunch[f"y_{part}"], topk, weights, classes=bunch.labels)
