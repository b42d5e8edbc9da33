"""The model card: what is known, nothing else, and nothing that Markdown would obey."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from markdown_it import MarkdownIt
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier, LightXMLEnsemble
from lightxml.storage.card import card_of, model_card

HOSTILE = [
    "a|b",
    "<script>alert(1)</script>",
    "x\x1b[31m red\nnew\u202eline",
    "[a](http://evil.example)",
    "![b](//evil.example/i.png) **c** `d` _e_",
    "www.evil.example, https://evil.example, me@evil.example",
    "&lt;b&gt; \\ | \\| $x$ ~y~ #z",
    "- 1. item",
]


def words(**params: Any) -> LightXMLClassifier:
    return LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0, **params)


def task(n: int = 60) -> tuple[list[str], list[list[str]]]:
    """Documents with a word for their label, and others; no two are equal."""
    texts = [f"word{i % len(HOSTILE)} one{i} of all" for i in range(n)]
    return texts, [[HOSTILE[i % len(HOSTILE)]] for i in range(n)]


def cells(card: str) -> list[list[str]]:
    """The text of each table's rows, as a page would show it."""
    rows: list[list[str]] = []
    tokens = MarkdownIt("commonmark").enable("table").parse(card)
    for token, content in pairwise(tokens):
        if token.type == "tr_open":
            rows.append([])
        if token.type in ("td_open", "th_open"):
            parts = content.children or []
            assert {part.type for part in parts} <= {"text", "text_special"}
            rows[-1].append("".join(part.content for part in parts))
    return rows


def test_labels_and_texts_are_shown_as_they_are_and_never_obeyed() -> None:
    texts, y = task()
    names = {"a|b": "<b>bold</b> [x](y)", "only a text": "| more |"}
    model = words().fit(texts, y, label_texts=names)
    model.reading_ = {"text_column": ["<i>title</i>"], "label_column": ["`labels`"]}
    card = model_card(model)
    assert all(c.isprintable() or c == "\n" for c in card)
    shown = dict(row for row in cells(card) if len(row) == 2)
    for label in HOSTILE[1:]:
        seen = " ".join(label.split()).replace("\x1b", "?").replace("\u202e", "?")
        assert int(shown[seen]) in (7, 8)
    assert shown["a|b (<b>bold</b> [x](y))"] == "8"
    assert shown["columns of text"] == "<i>title</i>"
    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(card)
    assert "<script" not in html
    assert "evil" not in "".join(part for part in html.split('"')[1::2])  # in no attribute
    assert "http://" not in card
    assert "www." not in card
    assert "me@" not in card


def test_it_tells_the_data_the_figures_and_what_the_model_reveals() -> None:
    texts, y = task()
    model = words().fit(texts, y, label_texts={"a|b": "a and b", "only a text": "no document"})
    card = model_card(model, repo="me/my_labels", license="cc-by-4.0")
    assert card.startswith("---\nlibrary_name: lightxml\npipeline_tag: text-classification\n")
    assert "\nlicense: cc-by-4.0\n---\n" in card
    assert 'load("hf://me/my_labels")' in card
    shown = {row[0]: row[1:] for row in cells(card)}
    assert shown["training documents"] == ["60"]
    assert shown["labels"] == [f"{len(HOSTILE) + 1}"]
    assert shown["labels without a training document"] == ["1"]
    assert shown["labels with a text"] == ["2"]
    measured = model._model.measured
    assert measured is not None
    figures = [f"{measured.precision[k]:.3f}" for k in (1, 3, 5)]
    assert shown["60 held out in turn, in five folds"] == figures
    assert shown["rankers"][0].startswith("linear, ")
    assert "the texts of all labels, word for word" in card
    assert "of each training document the weights of its words" in card


def test_what_is_not_known_is_absent(
    make_classifier: Callable[..., LightXMLClassifier], documents: Any
) -> None:
    card = model_card(make_classifier(max_epochs=1).fit(*documents))
    assert "license" not in card
    assert "training documents" not in card
    assert "How well" not in card
    assert "label texts" not in card
    assert "None" not in card.partition("arguments")[0]
    assert "{" not in card
    with pytest.raises(ValueError, match="license is 'mit\\\\ntags: x'"):
        model_card(words(), license="mit\ntags: x")


def test_an_ensemble_has_the_figures_of_its_members() -> None:
    model = LightXMLEnsemble(words(), n_estimators=2, random_state=0).fit(*task())
    rows = [row for row in cells(model_card(model)) if row[0].startswith("member")]
    assert [row[0][:9] for row in rows] == ["member 1:", "member 2:"]
    assert all(0 < float(figure) <= 1 for row in rows for figure in row[1:])


def test_a_million_labels_have_a_short_card() -> None:
    model = words().fit(*task())
    fitted, n = model._model, 1_000_000
    classes = np.full(n, "x" * 500, dtype=object)
    assert fitted.panel is not None
    panel = replace(fitted.panel, counts=np.arange(n))
    many = replace(fitted, classes=classes, panel=panel, label_texts=(("y" * 500,),) * n)
    card = card_of(model._pack(), [many], repo=None, license=None)
    assert "1,000,000" in card
    assert len(card) < 6_000
