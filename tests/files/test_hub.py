"""Models on the hub: one commit each, read back file by file, and what is said when it fails."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
from huggingface_hub.utils import close_session
from sklearn.feature_extraction.text import TfidfVectorizer
from typer.testing import CliRunner

from lightxml import LightXMLClassifier, LightXMLEnsemble, load
from lightxml.cli import app as cli
from lightxml.datasets import make_xmc
from lightxml.exceptions import BundleError, HubError
from lightxml.files.bundle import RECORD
from lightxml.files.load import read_record
from tests.files.stand_in import TOKEN, Hub, running_hub

# huggingface_hub speaks to its HTTP library in a way that this one is about to change.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

TEXTS, Y = make_xmc(60, 6, n_words_per_document=8, random_state=0)


@pytest.fixture(scope="module")
def model() -> LightXMLClassifier:
    return fitted(0.1)


def fitted(threshold: float) -> LightXMLClassifier:
    arguments = {"features": TfidfVectorizer(), "final_ranker": None, "random_state": 0}
    return LightXMLClassifier(None, threshold=threshold, **arguments).fit(TEXTS, Y)


@pytest.fixture(scope="module")
def standing() -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


@pytest.fixture
def hub(standing: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    standing.repositories, standing.asked, standing.fails_at = {}, [], ""
    use(standing.url, tmp_path / "cache", monkeypatch)
    yield standing
    close_session()


def use(url: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let huggingface_hub ask this address, without xet and with a cache of its own."""
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.delenv("HF_TOKEN", raising=False)


def saved_files(model: Any, folder: Path) -> dict[str, bytes]:
    model.save(folder)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_pushed_model_comes_back_with_nothing_else_of_its_repository(
    hub: Hub, model: LightXMLClassifier
) -> None:
    hub.add("me/names", {"evil.py": b"1/0", "pytorch_model.bin": b"..."})
    commit = model.push_to_hub("me/names", token=TOKEN, license="mit")
    files = hub.repositories["me/names"].files()
    assert commit == hub.repositories["me/names"].branches["main"]
    assert b"license: mit" in files["README.md"]
    assert b'load("hf://me/names")' in files["README.md"]
    assert {"evil.py", "pytorch_model.bin"} < files.keys()
    hub.asked.clear()
    for loader in (load, LightXMLClassifier.load):
        loaded = loader("hf://me/names")
        assert np.array_equal(loaded.predict_proba(TEXTS), model.predict_proba(TEXTS))
    asked = {line.rpartition("/")[2] for line in hub.asked}
    assert asked == files.keys() - {"README.md", "evil.py", "pytorch_model.bin"}
    assert sum(line.startswith("GET") for line in hub.asked) == len(asked)  # once each


def test_a_push_is_one_commit_that_removes_what_an_earlier_model_has_left(
    hub: Hub, model: LightXMLClassifier, tmp_path: Path
) -> None:
    first = model.push_to_hub("me/names", token=TOKEN)
    other = LightXMLEnsemble(model, n_estimators=2, random_state=0).fit(TEXTS, Y)
    second = other.push_to_hub("me/names", token=TOKEN, message="Two of them")
    repository = hub.repositories["me/names"]
    assert list(repository.commits) == [*list(repository.commits)[:1], first, second]
    expected = saved_files(other, tmp_path / "model")
    assert repository.files().keys() == expected.keys() | {"README.md", ".gitattributes"}
    assert isinstance(load("hf://me/names"), LightXMLEnsemble)
    again = load("hf://me/names", revision=first)
    assert np.array_equal(again.predict_proba(TEXTS), model.predict_proba(TEXTS))


def test_a_branch_is_made_and_loaded_by_its_name(hub: Hub, model: LightXMLClassifier) -> None:
    model.push_to_hub("me/names", token=TOKEN)
    fitted(0.7).push_to_hub("me/names", token=TOKEN, revision="strict")
    assert load("hf://me/names", revision="strict").threshold_ == 0.7
    assert load("hf://me/names").threshold_ == 0.1


def test_an_upload_that_ends_half_way_leaves_the_earlier_model(
    hub: Hub, model: LightXMLClassifier
) -> None:
    model.push_to_hub("me/names", token=TOKEN)
    hub.fails_at = "/commit/"
    with pytest.raises(HubError, match="hf://me/names: the hub cannot be reached"):
        fitted(0.7).push_to_hub("me/names", token=TOKEN)
    assert hub.stored  # its large files had come
    assert load("hf://me/names").threshold_ == 0.1


def test_what_is_private_stays_so(
    hub: Hub, model: LightXMLClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HubError, match=r"refuses \(401\). Log in with a token"):
        model.push_to_hub("me/secret", private=True)
    model.push_to_hub("me/secret", private=True, token=TOKEN)
    with pytest.raises(HubError, match="is private and you are not logged in"):
        load("hf://me/secret")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert load("hf://me/secret").threshold_ == 0.1
    hub.add("me/open", {})
    with pytest.raises(ValueError, match="private=True, but me/open is there and is public"):
        model.push_to_hub("me/open", private=True, token=TOKEN)
    assert hub.repositories["me/open"].files() == {}


@pytest.mark.parametrize("name", ["hf://me", "hf://me/a/b", "hf:///a", "hf://me/..", "hf://me/a b"])
def test_a_malformed_name_is_told_before_anything_is_asked(hub: Hub, name: str) -> None:
    with pytest.raises(ValueError, match="expected 'hf://user/name'"):
        load(name)
    assert hub.asked == []


def test_what_is_no_repository_or_no_model_is_told(
    hub: Hub, model: LightXMLClassifier, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="repo is 'names'; expected 'user/name'"):
        model.push_to_hub("names")
    with pytest.raises(ValueError, match="license is 'a\\\\nb'"):
        model.push_to_hub("me/names", license="a\nb")
    with pytest.raises(ValueError, match="is a folder, which has none"):
        load(tmp_path, revision="main")
    with pytest.raises(HubError, match="hf://me/none: is not there"):
        load("hf://me/none")
    hub.add("me/bert", {"config.json": b"{}"})
    with pytest.raises(BundleError, match=r"hf://me/bert/lightxml\.json: is not there"):
        load("hf://me/bert")
    with pytest.raises(HubError, match="hf://me/bert: has no revision 'v2'"):
        load("hf://me/bert", revision="v2")


def test_a_repository_that_lies_about_its_files_is_refused(
    hub: Hub, model: LightXMLClassifier, tmp_path: Path
) -> None:
    files = saved_files(model, tmp_path / "model")
    blob = next(iter(read_record(tmp_path / "model")["blobs"].values()))["file"]
    hub.add("me/lacking", {name: data for name, data in files.items() if name != blob})
    with pytest.raises(BundleError, match=f"{blob}: is not there"):
        load("hf://me/lacking")
    hub.add("me/large", {**files, blob: files[blob] + b"\0" * 2**20})
    with pytest.raises(BundleError, match=f"{blob}: holds .* bytes; expected at most"):
        load("hf://me/large")
    hub.add("me/changed", {**files, blob: files[blob][::-1]})
    with pytest.raises(BundleError, match="does not match its digest"):
        load("hf://me/changed")
    hub.add("me/endless", {**files, RECORD: b" " * 2**22})
    hub.asked.clear()
    with pytest.raises(BundleError, match=r"lightxml\.json: holds 4194304 bytes"):
        load("hf://me/endless")
    assert not [line for line in hub.asked if line.startswith("GET")]


def test_without_a_network_it_says_so_at_once_or_takes_what_was_downloaded(
    hub: Hub, model: LightXMLClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.push_to_hub("me/names", token=TOKEN)
    load("hf://me/names")
    with socket.socket() as nobody:  # bound, and not listening: it refuses
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        use(url, tmp_path / "cache", monkeypatch)
        started = time.monotonic()
        assert load("hf://me/names").threshold_ == 0.1
        for act in (lambda: load("hf://me/other"), lambda: model.push_to_hub("me/x", token=TOKEN)):
            with pytest.raises(HubError, match="the hub cannot be reached"):
                act()
        assert time.monotonic() - started < 5


def test_the_command_line_takes_models_of_the_hub(
    hub: Hub, model: LightXMLClassifier, tmp_path: Path
) -> None:
    model.push_to_hub("me/names", token=TOKEN)
    (tmp_path / "texts").write_text("\n".join(TEXTS[:3]))
    there = CliRunner().invoke(cli.app, ["predict", "hf://me/names", str(tmp_path / "texts")])
    model.save(tmp_path / "model")
    here = CliRunner().invoke(
        cli.app, ["predict", str(tmp_path / "model"), str(tmp_path / "texts")]
    )
    assert there.exit_code == 0, there.output
    assert there.stdout == here.stdout
    info = CliRunner().invoke(cli.app, ["info", "hf://me/none"])
    assert info.exit_code == 1
    assert "lightxml: error: hf://me/none: is not there" in info.stderr
    hub.asked.clear()
    missing = CliRunner().invoke(cli.app, ["predict", "hf://me/names", str(tmp_path / "no.csv")])
    assert missing.exit_code == 1
    assert {line.rpartition("/")[2] for line in hub.asked} == {RECORD}  # not the whole model
