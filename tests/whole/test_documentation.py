"""What the documentation shows is run: docstring examples and the README's Python."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

import lightxml
from lightxml.cli import app as cli
from lightxml.datasets import label_sets, make_xmc
from lightxml.files.record import FORMAT

ROOT = Path(__file__).parents[2]
MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(lightxml.__path__, "lightxml.")
    if not name.endswith("__main__")
]
PAGES = sorted(str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_are_true(name: str) -> None:
    module = importlib.import_module(name)
    results = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.failed == 0


def test_the_readmes_python_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    readme = (ROOT / "README.md").read_text("utf-8")
    first, *blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(compile(first, "README.md", "exec"), {})
    assert f"```text\n{capsys.readouterr().out}```" in readme
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
    assert float(capsys.readouterr().out.split()[-1]) > 0.5  # P@1 of the last block


@pytest.mark.parametrize("page", PAGES)
def test_the_documentations_python_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / page).read_text("utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, page, "exec"), {})


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{page}" for page in PAGES)])
def test_links_lead_to_files_and_headings_that_are_there(page: str) -> None:
    path = ROOT / page
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings]
            assert anchor in anchors, link


def test_the_guide_names_each_argument_with_its_default() -> None:
    text = (ROOT / "docs" / "choosing.md").read_text("utf-8")
    listed = re.findall(r"^\| `(\w+)=(.*?)` \|", text, re.MULTILINE)
    assert len(listed) == len(dict(listed))
    shown = {name: ast.literal_eval(default) for name, default in listed}
    arguments = inspect.signature(lightxml.LightXMLClassifier).parameters
    assert shown == {name: argument.default for name, argument in arguments.items()}


def test_the_design_page_names_the_packages_and_files_that_are_there() -> None:
    text = (ROOT / "docs" / "design.md").read_text("utf-8")
    package = ROOT / "lightxml"
    for path in re.findall(r"`(\w+/[\w/]+(?:\.\w+)?)`", text):
        places = [ROOT / path, package / path, package / f"{path}.py"]
        assert any(place.exists() for place in places), path
    table = text[: text.index("**Imports only go down.**")]
    rows = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([\w/]+)`", row)}
    there = {path.stem for path in package.iterdir() if not path.name.startswith("_")}
    assert named - {"network/heads"} == there - {"py"}


def test_the_page_on_versions_tells_what_is_needed_and_which_formats_are_read() -> None:
    text = (ROOT / "docs" / "versions.md").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    listed = re.findall(r"^\| ([\w-]+) \| (\d[\d.]*) \|$", text, re.MULTILINE)
    assert [f"{name}>={version}" for name, version in listed] == project["dependencies"]
    assert f"Python {project['requires-python'].removeprefix('>=')} or later" in text
    extras = {name for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
              for name in re.findall(r"`(\w+)`", row)}  # fmt: skip
    assert extras == project["optional-dependencies"].keys()
    assert f"| {FORMAT} |" in text
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert (cited["version"], cited["license"]) == (lightxml.__version__, project["license"])


def test_ci_runs_the_readmes_test_command_to_the_letter() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    commands = [line for line in readme.splitlines() if line.endswith("python -m pytest")]
    assert len(commands) == 1
    assert commands[0] in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()


def test_the_readmes_commands_run_on_a_file_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, y = make_xmc(60, 6, n_words_per_document=8, random_state=0)
    table = pd.DataFrame({"title": [text.split()[0] for text in texts], "body": texts})
    names = np.array([f"topic {j}" for j in range(6)])
    table["labels"] = [";".join(row) for row in label_sets(y, names)]
    table.to_csv(tmp_path / "FILE.csv", index=False)
    for name in ("NEW.csv", "OTHER.csv"):
        table.to_csv(tmp_path / name, index=False)
    (tmp_path / "NAMES.tsv").write_text("topic 1\tthe first\ntopic new\tnever seen\n")
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(
        r"```bash\n(lightxml train FILE.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL
    )
    commands = [shlex.split(line, comments=True) for line in block.replace("\\\n", "").splitlines()]
    assert [command[1] for command in commands] == ["train", "predict", "evaluate", "explain"]
    for command in commands:
        assert command[0] == "lightxml"
        arguments = ["topic 1" if a == "LABEL" else a for a in command[1:]]
        result = CliRunner().invoke(cli.app, arguments)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "LABELS.csv").read_text().startswith("title,body,labels,predicted,")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
