"""``lightxml demo``."""

from __future__ import annotations

import io
import sys

import pytest
from sklearn.utils import Bunch

from lightxml.cli.demo import _sentences
from tests.cli.conftest import (
    N_TEST,
    run,
)


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
    assert list(_sentences()) == expected


def test_sentences_are_asked_for_at_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    terminal = io.StringIO("one\n\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    assert list(_sentences()) == ["one"]
    assert capsys.readouterr().out.endswith("\n> > ")
