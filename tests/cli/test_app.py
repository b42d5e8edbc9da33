"""What all commands do alike: help, errors in one line, Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.utils import Bunch

from lightxml import LightXMLClassifier
from tests.cli.conftest import (
    is_one_line,
    raising,
    run,
)


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
    assert all(
        name in done.stdout for name in ("demo", "train", "predict", "evaluate", "info", "serve")
    )


def test_without_a_command_help_is_shown_as_a_usage_error():
    result = run()
    assert result.exit_code == 2
    assert "Usage" in result.output


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
