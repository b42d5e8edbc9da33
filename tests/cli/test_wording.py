"""Messages of the estimator, in the words of the command line."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from lightxml import LightXMLClassifier
from lightxml.cli.arguments import OPTIONS
from lightxml.cli.wording import in_options, speaking_options
from lightxml.exceptions import NonFiniteLossError
from tests.cli.conftest import is_one_line, raising, run


@pytest.mark.parametrize(
    ("python", "words"),
    [
        ("max_length=128, fewer max_epochs", "--max-length 128, fewer --max-epochs"),
        ("Lower batch_size and raise accumulate", "Lower --batch-size and raise accumulate"),
        ("encoder='a/b c' is gone; encoder='tiny'", "--encoder 'a/b c' is gone; --encoder tiny"),
        ("encoder=None, or freeze_encoder=True.", "--encoder none, or --freeze-encoder."),
        ("Pass label_clusters=True, or", "Pass --label-clusters, or"),
        ("max_length is 0; expected an int of", "--max-length is 0; expected a whole number of"),
        ("Pass features=TfidfVectorizer(), or", "Pass --tfidf words, or"),
        ("Lower it, or pass X_val and y_val.", "Lower it, or give data with a dev part."),
        ("the documents 3, 5 and 2 more of X.",
         "the training documents 3, 5 and 2 more (counted from 0)."),
        ("early_stopping=False, so that", "--no-early-stopping, so that"),
        ("encoder='' is empty", "--encoder '' is empty"),
        ("n_samples=3 of my_max_length", "n_samples=3 of my_max_length"),
    ],
)  # fmt: skip
def test_arguments_become_options(python: str, words: str):
    assert in_options(python, OPTIONS) == words


def test_arguments_without_an_option_stay_as_they_are():
    assert in_options("device='gpu', dropout=2", ["device"]) == "--device gpu, dropout=2"


def test_warnings_are_reworded_too_and_only_within(capsys: pytest.CaptureFixture[str]):
    before = warnings.formatwarning
    with speaking_options(["max_length"]):
        shown = warnings.formatwarning("max_length=8 is short", UserWarning, "file", 1)
    assert "--max-length 8 is short" in shown
    assert warnings.formatwarning is before
    with pytest.raises(KeyError), speaking_options(["max_length"]):
        raise KeyError("max_length")
    assert warnings.formatwarning is before


def test_an_error_that_needs_no_other_words_is_left_alone():
    with pytest.raises(NonFiniteLossError), speaking_options(["max_length"]):
        raise NonFiniteLossError("The loss is nan.", step=1, documents=[0])


def test_train_and_predict_speak_so(
    model: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(LightXMLClassifier, "fit", raising(ValueError("max_length=2 is short")))
    columns = ["--text-column", "title", "--label-column", "topics"]
    result = run("train", table, "--output", tmp_path / "m", *columns)
    assert is_one_line(result, "--max-length 2 is short")
    monkeypatch.setattr(
        "lightxml.ensemble.load", raising(ValueError("device='cuda' is not available"))
    )
    for command in (["predict", model, "-"], ["explain", model, "a"]):
        assert is_one_line(run(*command), "--device cuda is not available")
