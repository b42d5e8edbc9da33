"""lightxml as a backend of Annif. Run where both are installed: ``pytest`` in this folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import annif_lightxml
import pytest
from annif.corpus.document import Document, DocumentList
from annif.corpus.types import SubjectSet
from annif.exception import (
    ConfigurationException,
    NotInitializedException,
    NotSupportedException,
    OperationFailedException,
)
from annif.registry import AnnifRegistry
from annif.vocab import VocabFileSKOS

PETS = """
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix p: <https://example.org/> .
p:cats a skos:Concept ; skos:prefLabel "cats"@en, "Katzen"@de .
p:dogs a skos:Concept ; skos:prefLabel "dogs"@en ; skos:altLabel "hounds"@en .
p:fish a skos:Concept ; skos:prefLabel "fish"@en ; skos:altLabel "goldfish"@en, "Goldbarsch"@de .
"""
TEXTS = {"cats purr and sleep": ["cats"], "dogs bark and run": ["dogs"]}
TEXTS |= {"cats and dogs eat": ["cats", "dogs"]}


@pytest.fixture
def open_project(tmp_path: Path) -> Callable[..., Any]:
    """Return what opens a project of the settings given, in a data folder that stays."""

    def opened(vocabulary: str | None = None, **settings: Any) -> Any:
        told = {"language": "en", "vocab": "pets", "backend": "lightxml", "allow_learn": "true"}
        lines = [f"{name}={value}" for name, value in (told | settings).items()]
        (tmp_path / "projects.cfg").write_text("\n".join(["[pets]", *lines]))
        folder = str(tmp_path / "data")
        project = AnnifRegistry(str(tmp_path / "projects.cfg"), folder, False).get_project("pets")
        if vocabulary is not None:
            (tmp_path / "pets.ttl").write_text(vocabulary)
            project.vocab.load_vocabulary(VocabFileSKOS(str(tmp_path / "pets.ttl")))
        return project

    return opened


def corpus(project: Any, texts: dict[str, list[str]], times: int = 1) -> DocumentList:
    """Return documents with their subjects, each as often as is said, and its number in it."""
    return DocumentList(
        Document(
            text=f"{text} {i}",
            subject_set=SubjectSet(project.subjects.by_uri(f"https://example.org/{s}") for s in of),
        )
        for i in range(times)
        for text, of in texts.items()
    )


def suggested(project: Any, text: str) -> list[str]:
    """Return the names of the subjects that are suggested, best first."""
    best = project.suggest([Document(text=text)])[0]
    return [project.subjects[each.subject_id].labels["en"] for each in best]


def test_subjects_are_suggested_by_documents_and_by_preferred_and_alternative_labels(
    open_project: Callable[..., Any],
) -> None:
    project = open_project(PETS)
    assert not project.is_trained
    with pytest.raises(NotInitializedException, match="not trained"):
        suggested(project, "purr")
    project.train(corpus(project, TEXTS, 30))

    again = open_project()  # another process: the model is loaded
    assert again.is_trained
    assert suggested(again, "something that purrs: purr")[0] == "cats"
    assert suggested(again, "bark")[0] == "dogs"
    assert suggested(again, "a goldfish")[0] == "fish"  # of which there is no document
    assert "fish" not in suggested(again, "ein Goldbarsch")  # labels are those of one language


def test_limit_says_how_many_are_suggested(open_project: Callable[..., Any]) -> None:
    project = open_project(PETS, limit=1)
    project.train(corpus(project, TEXTS, 30))
    assert len(suggested(project, "cats, dogs, a goldfish")) == 1


def test_more_documents_are_learned(open_project: Callable[..., Any]) -> None:
    project = open_project(PETS)
    project.train(corpus(project, TEXTS, 30))
    assert "fish" not in suggested(project, "gills and fins")
    project.learn(corpus(project, {"gills and fins in water": ["fish"]}, 9))
    for each in (project, open_project()):
        assert "fish" in suggested(each, "gills and fins")


def test_a_subject_that_left_the_vocabulary_is_not_suggested(
    open_project: Callable[..., Any],
) -> None:
    project = open_project(PETS)
    project.train(corpus(project, TEXTS, 30))
    gone = "\n".join(line for line in PETS.splitlines() if "p:cats" not in line)
    project = open_project(gone)
    assert "dogs" in suggested(project, "cats and dogs")
    model = project.backend._model
    assert "https://example.org/cats" in model.classes_  # known, but never ranked


def test_a_train_that_fails_leaves_the_earlier_model(open_project: Callable[..., Any]) -> None:
    project = open_project(PETS)
    project.train(corpus(project, TEXTS, 30))
    for texts in ({}, {"no subject": []}):
        with pytest.raises(NotSupportedException, match="no document with a subject"):
            project.train(corpus(project, texts))
    with pytest.raises(OperationFailedException, match="min_df"):
        open_project(min_df=1000).train(corpus(project, TEXTS, 30))
    assert suggested(open_project(), "bark")[0] == "dogs"


def test_a_save_that_was_killed_is_no_model(open_project: Callable[..., Any]) -> None:
    project = open_project(PETS)
    folder = Path(project.datadir) / annif_lightxml.MODEL
    folder.mkdir()
    (folder / "part.safetensors").write_bytes(b"half")
    assert not project.is_trained


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"limit": "many"}, "limit is 'many'; expected an int of at least 1"),
        ({"limit": "0"}, "limit is 0; expected"),
        ({"encoder": "tiny", "freeze_encoder": "maybe"}, "freeze_encoder is 'maybe'; expected"),
        ({"encoder": "tiny", "max_length": "-3"}, "max_length is -3; expected"),
        ({"encoder": "tiny", "analyzer": "simple"}, "drop analyzer, or encoder"),
    ],
)
def test_a_wrong_setting_is_named_before_documents_are_read(
    settings: dict[str, str], message: str, open_project: Callable[..., Any]
) -> None:
    project = open_project(PETS, **settings)

    def unread() -> Any:
        pytest.fail("documents were read")
        yield

    with pytest.raises(ConfigurationException, match=message):
        project.train(DocumentList(unread()))


def test_the_command_is_annifs_with_the_backend_in_it(
    open_project: Callable[..., Any], tmp_path: Path
) -> None:
    open_project(PETS, min_fd=3)
    rows = [
        f"{text} {i}\t{' '.join(f'<https://example.org/{subject}>' for subject in of)}\n"
        for i in range(30)
        for text, of in TEXTS.items()
    ]
    (tmp_path / "train.tsv").write_text("".join(rows))
    (tmp_path / "new.txt").write_text("a goldfish")

    def run(*words: str) -> str:
        code = "import annif_lightxml; annif_lightxml.main()"
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=tmp_path, capture_output=True, text=True, check=True,
            env={"PYTHONPATH": ":".join(sys.path)},
        )  # fmt: skip
        return done.stdout + done.stderr

    assert "unknown settings, without effect: min_fd" in run("train", "pets", "train.tsv")
    assert run("suggest", "pets", "new.txt").splitlines()[1].split("\t")[1] == "fish"
    assert "Precision@1:                  \t1.0000" in run("eval", "pets", "train.tsv", "-j", "2")


def test_an_analyzer_says_what_a_word_is(open_project: Callable[..., Any]) -> None:
    nltk = pytest.importorskip("nltk")
    try:
        nltk.data.find("tokenizers/punkt_tab")
    except LookupError:
        pytest.skip("nltk's punkt_tab is not installed")
    project = open_project(PETS, analyzer="snowball(english)")
    project.train(corpus(project, TEXTS, 30))
    assert suggested(project, "sleeping")[0] == "cats"  # as "sleep"
    assert set(project.backend._model.vectorizer_.vocabulary_) >= {"cat", "dog", "purr"}


def test_an_encoder_reads_texts_too(open_project: Callable[..., Any]) -> None:
    pytest.importorskip("transformers")
    project = open_project(PETS, encoder="tiny", freeze_encoder="false", max_epochs=1)
    project.train(corpus(project, TEXTS, 30))
    assert project.backend._model.network_ is not None
    assert suggested(open_project(), "bark")[0] == "dogs"
