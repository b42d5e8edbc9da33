"""Texts of labels from files: every form says the same, and bad lines are named."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pytest

from lightxml.datasets import load_label_texts
from lightxml.datasets.label_texts import for_labels

TEXTS = {"4472": ["sunflower", "Helianthus annuus"], "10": ["домашняя торговля"]}
LINES = (
    "4472\tsunflower\n10\tдомашняя торговля\n\n4472\t Helianthus annuus \n4472\tsunflower\n7\t\n"
)
TURTLE = """\
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
<http://x.org/c/p1> a skos:Concept ;
    skos:definition "A yellow flower."@en ;
    skos:altLabel "helianthus"@en-GB, "Sonnenblumen"@de, "HA" ;
    skos:prefLabel "sunflower"@en, "Sonnenblume"@de .
<http://x.org/c/p2> a skos:Concept ; skos:notation "T 2" ; skos:prefLabel "trade"@en .
<http://x.org/c/p3> a skos:Concept ; skos:prefLabel "old"@en ; owl:deprecated true .
<http://x.org/c> a skos:ConceptScheme ; skos:prefLabel "a thesaurus"@en .
"""


def written(folder: Path, name: str, text: str | bytes) -> Path:
    data = text if isinstance(text, bytes) else text.encode()
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder / name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", LINES),
        ("labels.txt.gz", "\ufeff" + LINES.replace("\n", "\r\n")),
        ("labels.tsv", "label\ttext\n" + LINES),
        ("labels.csv", 'text,n,label\n"sunflower",1,4472\nдомашняя торговля,2,10\n,4,7\n'
                       '"Helianthus annuus",3,4472\n'),
        ("labels.csv", 'text,label\n"[""sunflower"", ""Helianthus annuus""]",4472\n'
                       "['домашняя торговля'],10\n"),
        ("labels.jsonl", "\n".join(json.dumps(row) for row in (
            {"label": 4472, "text": ["sunflower", "Helianthus annuus", " "]},
            {"label": "10", "text": "домашняя торговля"}, {"label": "7", "text": []}))),
    ],
)  # fmt: skip
def test_every_form_gives_the_same_texts(tmp_path: Path, name: str, text: str):
    assert load_label_texts(written(tmp_path, name, text)) == TEXTS


def test_a_thesaurus_gives_its_concepts_preferred_names_first(tmp_path: Path):
    file = written(tmp_path, "thesaurus.ttl", TURTLE)
    sunflower = ["Sonnenblume", "sunflower", "HA", "Sonnenblumen", "helianthus", "A yellow flower."]
    assert load_label_texts(file) == {"http://x.org/c/p1": sunflower, "T 2": ["trade"]}
    english = load_label_texts(file, language="en")
    assert english["http://x.org/c/p1"] == ["sunflower", "HA", "helianthus", "A yellow flower."]
    rdflib = pytest.importorskip("rdflib")
    rdflib.Graph().parse(file).serialize(tmp_path / "thesaurus.rdf", "pretty-xml")
    assert load_label_texts(tmp_path / "thesaurus.rdf") == load_label_texts(file)


def test_texts_of_uris_are_for_labels_that_are_their_ends(tmp_path: Path):
    texts = load_label_texts(written(tmp_path, "thesaurus.ttl.gz", TURTLE), language="en")
    path = Path("thesaurus.ttl")
    assert for_labels(texts, ["T 2", "p1"], path) is texts
    assert for_labels(texts, ["p1", "p9"], path)["p1"][0] == "sunflower"
    with pytest.raises(ValueError, match=r"none of its labels .*org/c/p1.*such as '44'"):
        for_labels(texts, [44], path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "1\tone\ntwo\x1b[2J\n", r"a.txt, line 2: has no tab \('two\\x1b\[2J'\)"),
        ("a.txt", "1\tone\n \ttwo\n", "a.txt, line 2: its label is empty"),
        ("a.txt", b"1\tone\n2\t\xff\n", "a.txt, line 2: not UTF-8"),
        ("a.txt", "1\t\n", "a.txt: holds no text of a label"),
        ("a.csv", "label,name\n1,one\n", "has no column 'text'; expected one"),
        ("a.csv", "label,text\n1,one,two\n", "a.csv, line 2: has 3 fields; expected 2"),
        ("a.jsonl", '{"label": "1"}', "a.jsonl, line 1: has no 'text'"),
        ("a.jsonl", '{"label": true, "text": "a"}', r"line 1: its 'label' is True \(bool\)"),
        ("a.jsonl", '\n{"label": 1, "text": [null]}', r"line 2: its 'text' is None \(NoneType\)"),
        ("a.jsonl", '{"label": 1, "text": "\\ud800"}', r"line 1: '\\ud800' is no valid Unicode"),
        ("a.ttl", f"{TURTLE}\n<a> <b> 'c\n'", r"a.ttl, line \d+: is no Turtle"),
        ("a.ttl", b"\xff\xfe", "a.ttl: is no Turtle"),
        ("a.ttl", "<a:b> <a:c> 'd' .", "a.ttl: holds no skos:Concept"),
        ("a.rdf", "<a>\n<b></a>", r"a.rdf, line 2: is no RDF/XML \('mismatched tag'\)"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named(tmp_path: Path, name: str, text: str | bytes, message: str):
    with pytest.raises(ValueError, match=message) as caught:
        load_label_texts(written(tmp_path, name, text))
    assert str(caught.value).isprintable()


def test_a_language_is_of_a_thesaurus(tmp_path: Path):
    with pytest.raises(ValueError, match=r"is no thesaurus .*Leave 'en' out"):
        load_label_texts(written(tmp_path, "a.txt", LINES), language="en")


def test_odd_uris_reach_no_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    rdf = (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
        ' xmlns:s="http://www.w3.org/2004/02/skos/core#">'
        '<s:Concept rdf:about="http://x.org/a b&#x9b;"><s:prefLabel>c</s:prefLabel></s:Concept>'
        "</rdf:RDF>"
    )
    assert list(load_label_texts(written(tmp_path, "a.rdf", rdf)).values()) == [["c"]]
    assert capfd.readouterr() == ("", "")


def test_no_file_beside_a_thesaurus_is_read(tmp_path: Path):
    secret = written(tmp_path, "secret", "secret")
    rdf = f"""<!DOCTYPE r [<!ENTITY e SYSTEM "{secret.as_uri()}">]>
        <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
            xmlns:s="http://www.w3.org/2004/02/skos/core#"><s:Concept rdf:about="http://x.org/a">
        <s:prefLabel>a &e;</s:prefLabel></s:Concept></rdf:RDF>"""
    try:
        found = str(load_label_texts(written(tmp_path, "a.rdf", rdf)))
    except ValueError as error:
        found = str(error)
    assert "'secret'" not in found
    assert "a secret" not in found


def test_without_rdflib_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "rdflib", None)
    with pytest.raises(ImportError, match=r'pip install "lightxml\[skos\]"'):
        load_label_texts(written(tmp_path, "a.ttl", TURTLE))
