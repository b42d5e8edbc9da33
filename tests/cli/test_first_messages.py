"""What is wrong with names, columns and endings is said before anything heavy is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "transformers", "sklearn", "skops", "pandas", "scipy", "matplotlib"}

# Runs the command lines of a JSON list in a process that has imported nothing yet, and writes for
# each its status, its message, and which heavy packages there were when it ended.
CODE = f"""
import contextlib, io, json, os, sys
from lightxml.cli import main
os.chdir(sys.argv[2])
ends = []
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    with contextlib.redirect_stderr(io.StringIO()) as message:
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code
    ends.append([status, message.getvalue(), sorted({HEAVY} & set(sys.modules))])
print(json.dumps(ends))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a table, a file where a folder is expected, and an empty folder."""
    (tmp_path / "table.csv").write_text("text,labels\nsome words,a;b\n")
    (tmp_path / "lines.jsonl").write_text('{"text": "some words", "labels": ["a"]}\n')
    (tmp_path / "notes.txt").write_text("some words\n")
    (tmp_path / "thesaurus.ttl").write_text("<a> <b> .")
    (tmp_path / "features").mkdir()
    return tmp_path


# In place of MODEL stands a saved model, or in `explain` a folder that has none.
COLUMNS = ["--text-column", "text", "--label-column", "labels"]
WORDS = ["--encoder", "none", "--tfidf", "words"]
OUTPUT = ["--output", "new"]
WRONG = {
    "train": [
        (["misspelt.csv", *OUTPUT], "misspelt.csv: No such file or directory"),
        (["misspelt", *OUTPUT], "misspelt: No such file or directory"),
        (["table.csv", *OUTPUT, "--text-column", "txt", "--label-column", "labels"],
         "has no column 'txt'; expected one. Its first line"),
        (["lines.jsonl", *OUTPUT, "--text-column", "txt", "--label-column", "labels"],
         "line 1: has no 'txt'; it has 'text', 'labels'"),
        (["table.csv", *OUTPUT, *COLUMNS, "--no-header"], "has no column 'text'"),
        (["table.csv", *OUTPUT, "--text-column", "text"], "Say which hold"),
        (["table.csv", *OUTPUT, *COLUMNS, "--label-separator", ""], "--label-separator is empty"),
        (["notes.txt", *OUTPUT, *COLUMNS], "has no column 'text'; expected one. Its first line"),
        (["features", *OUTPUT, *COLUMNS], "--text-column is about a table; features is a folder"),
        (["table.csv", *COLUMNS, *OUTPUT, "--preset", "x"], "--preset x: expected one of features"),
        (["table.csv", *COLUMNS, *OUTPUT, "--dropout", "2"], "--dropout is 2; expected a"),
        (["table.csv", *COLUMNS, "--output", "notes.txt"], "--output notes.txt: notes.txt is a f"),
        (["table.csv", *COLUMNS, *OUTPUT, "--encoder", "./misspelt"], "--encoder ./misspelt: "),
        (["table.csv", *COLUMNS, *OUTPUT, "--max-epochs", "0"], "--max-epochs is 0; expected"),
        (["table.csv", *COLUMNS, *OUTPUT, *WORDS, "--label-texts", "misspelt"], "misspelt: No su"),
        (["table.csv", *COLUMNS, *OUTPUT, *WORDS, "--label-texts", "notes.txt"],
         "notes.txt, line 1: has no tab ('some words'); expected label, tab, text"),
        (["table.csv", *COLUMNS, *OUTPUT, *WORDS, "--label-texts", "thesaurus.ttl"],
         "thesaurus.ttl, line 1: is no Turtle"),
        (["table.csv", *COLUMNS, *OUTPUT, *WORDS, "--language", "en"],
         "--language en is about the file of --label-texts. Give it too"),
    ],
    "predict": [
        (["misspelt", "notes.txt"], "misspelt/lightxml.json: cannot be read"),
        (["MODEL", "misspelt.txt"], "misspelt.txt: No such file or directory"),
        (["MODEL", "misspelt.csv", "--text-column", "text"], "misspelt.csv: No such file"),
        (["MODEL", "table.csv", "--text-column", "txt"], "has no column 'txt'"),
        (["MODEL", "table.csv"], "Say which hold the text (--text-column)"),
        (["MODEL", "notes.txt", "--text-column", "text"], "has no column 'text'; expected one"),
        (["MODEL", "features"], "features: Is a directory"),
        (["MODEL", "table.csv", "--text-column", "text", "--output", "a.txt"],
         "--output a.txt: expected a name that ends in .csv"),
        (["MODEL", "notes.txt", "--threshold", "2"], "--threshold 2: expected a number above 0"),
        (["MODEL", "notes.txt", "--names", "misspelt"], "misspelt: No such file"),
        (["MODEL", "notes.txt", "--names", "lines.jsonl"], "line 1: has no 'label'; it has 'text'"),
        (["MODEL", "notes.txt", "--device", "gpu"], "--device gpu: expected auto, cpu, cuda"),
    ],
    "explain": [
        (["misspelt", "some words"], "misspelt/lightxml.json: cannot be read"),
        (["MODEL", "some words", "--html", "features"], "--html features is a folder"),
        (["MODEL", "some words", "--html", "notes.txt/a"], "--html notes.txt: notes.txt is a f"),
    ],
    "evaluate": [
        (["misspelt", "table.csv", *COLUMNS], "misspelt/lightxml.json: cannot be read"),
        (["MODEL", "misspelt.csv"], "misspelt.csv: No such file or directory"),
        (["MODEL", "table.csv", "--text-column", "text", "--label-column", "label"],
         "has no column 'label'"),
        (["MODEL", "table.csv", *COLUMNS, "--validation"], "--validation and --propensity are"),
        (["MODEL", "table.csv", *COLUMNS, "--plot", "a.jpg"], "--plot a.jpg: expected a name"),
        (["MODEL", "table.csv", *COLUMNS, "--plot", "no/a.png"], "no is no folder that can be"),
    ],
    "serve": [
        (["misspelt"], "misspelt/lightxml.json: cannot be read"),
        (["MODEL", "--device", "gpu"], "--device gpu: expected auto, cpu, cuda"),
        (["MODEL", "--names", "misspelt"], "misspelt: No such file"),
        (["MODEL", "--max-texts", "65"], "--max-texts is 65, --max-batch 64 and --max-queue 512"),
        (["MODEL", "--host", "192.0.2.1"], "Give an address of this machine, such as --host 127"),
    ],
    "info": [(["misspelt"], "misspelt/lightxml.json: cannot be read")],
    "reproduce": [
        (["eurlex4k", "--data", "misspelt"], "--data misspelt is not a folder. Expected the texts"),
        (["eurlex4k", "--data", "features", "--json", "features"], "--json features is a folder"),
        (["eurlex4k", "--data", "features", "--improvements", "a"], "--improvements: 'a' is none"),
    ],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("command", WRONG)
def test_a_first_message_needs_no_heavy_import(command: str, folder: Path, model: Path):
    cases = [
        [command, *(str(model) if part == "MODEL" else part for part in arguments)]
        for arguments, _ in WRONG[command]
    ]
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(cases), folder],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    for (arguments, expected), (status, message, heavy) in zip(
        WRONG[command], json.loads(done.stdout), strict=True
    ):
        assert (status, heavy) == (1, []), arguments
        assert message.startswith("lightxml: error: "), arguments
        assert message.count("\n") == 1
        assert expected in message
    assert not (folder / "new").exists()
