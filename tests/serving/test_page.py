"""The page in a real browser: it types, submits, and reads what the page shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier
from lightxml.inspection import explain
from tests.serving.browser import NAMES, PATH, Browser, browser
from tests.serving.process import served

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PATH is None, reason=f"no browser: none of {', '.join(NAMES)} on PATH"),
]
pytest.importorskip("fastapi")

EVIL = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
LABELS = (
    "[...document.querySelectorAll('#labels > li')].map(e => e.querySelector('bdi').textContent)"
)


@pytest.fixture(scope="module")
def folder(words: LightXMLClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    words.save(folder / "model")
    (folder / "names.tsv").write_text(
        "".join(f"label {j}\t{EVIL if j == 3 else f'name {j}'}\n" for j in range(12))
    )
    return folder


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with served(folder / "model", "--names", folder / "names.tsv") as (url, _):
        yield url


@pytest.fixture
def page(url: str, tmp_path: Path) -> Iterator[Browser]:
    """The page, just opened. In the end it must have asked nobody else, and have had no error."""
    with browser(tmp_path / "profile") as page:
        page.open(url)
        page.until("document.activeElement.id === 'text'")
        yield page
        for event in page.events:
            method, params = event.get("method"), event.get("params", {})
            assert method not in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"), params
            if method == "Network.requestWillBeSent":
                assert params["request"]["url"].startswith(url)
            if method == "Log.entryAdded":  # a status that the page is meant to meet
                assert "status of 422" in params["entry"]["text"], params


def test_one_types_submits_and_reads_the_labels(
    page: Browser, words: LightXMLClassifier, texts: list[str]
) -> None:
    page.type(texts[0])
    page.press("Enter", ctrl=True)
    page.until("document.querySelectorAll('#labels > li').length === 5")
    labels, scores = words.predict_topk(texts[:1], 5, return_scores=True)
    numbers = [label.split()[1] for label in labels[0]]
    assert page.value(LABELS) == [EVIL if j == "3" else f"name {j}" for j in numbers]
    shown = page.value("[...document.querySelectorAll('.score')].map(e => e.textContent)")
    assert shown == [f"{score:.3f}" for score in scores[0]]
    assert page.value("document.querySelector('#model').textContent") == "12 labels"


def test_the_button_and_more_labels(page: Browser, texts: list[str]) -> None:
    page.type(texts[0])
    page.click("#form button")
    page.until("document.querySelectorAll('#labels > li').length === 5")
    first = page.value(LABELS)
    page.click("#more")
    page.until("document.querySelectorAll('#labels > li').length === 10")
    assert page.value(LABELS)[:5] == first
    page.click("#more")
    page.until("document.querySelectorAll('#labels > li').length === 12")
    assert page.value("document.querySelector('#more').hidden")


def test_names_from_strangers_are_text(page: Browser, texts: list[str]) -> None:
    page.type(f"{EVIL} {texts[0]}")
    page.press("Enter", ctrl=True)
    page.until("document.querySelectorAll('#labels > li').length === 5")
    page.click("#more")
    page.until("document.querySelectorAll('#labels > li').length === 10")
    page.click("#more")
    page.until("document.querySelectorAll('#labels > li').length === 12")
    assert EVIL in page.value(LABELS)
    page.click("#labels .label")
    page.until("document.querySelector('.document')")
    assert page.value("document.querySelector('.document').textContent") == f"{EVIL} {texts[0]}"
    assert page.value("document.querySelectorAll('main img, main script').length") == 0
    assert page.value("document.title") == "lightxml"


def test_a_label_shows_its_reasons_by_keyboard_alone(
    page: Browser, words: LightXMLClassifier, texts: list[str]
) -> None:
    explained = (explain(words, f"\U0001f600 {text}") for text in texts)
    found = next(each for each in explained if max(abs(w.weight) for w in each.words) > 0.5)
    text = found.text
    page.type(text)
    page.press("Tab")
    page.press("Enter")
    page.until("document.querySelectorAll('#labels > li').length === 5")
    page.press("Tab")
    assert page.value("document.activeElement.getAttribute('aria-expanded')") == "false"
    page.press("Enter")
    page.until("document.querySelector('.document')")
    assert page.value("document.activeElement.getAttribute('aria-expanded')") == "true"
    heaviest = max(found.words, key=lambda word: abs(word.weight))
    colors = page.value(
        "[...document.querySelectorAll('.document mark')].map(e => [e.textContent,"
        " getComputedStyle(e).backgroundColor, e.style.getPropertyValue('--strength')])"
    )
    assert heaviest.text in [word for word, _, strength in colors if float(strength) == 1]
    assert all(color.startswith("rgba(30, 110, 215") for _, color, _ in colors[:1])
    told = page.value("document.querySelector('.reasons').innerText")
    assert f"document {found.neighbors[0].document} " in told
    assert all(opinion.ranker.replace("_", " ") in told for opinion in found.opinions)
    page.press("Enter")
    assert page.value("document.querySelector('.reasons').hidden")


def test_the_accessibility_tree_has_names_for_all_that_one_can_use(
    page: Browser, texts: list[str]
) -> None:
    page.type(texts[0])
    page.press("Enter", ctrl=True)
    page.until("document.querySelectorAll('#labels > li').length === 5")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    named = [(node["role"]["value"], node["name"]["value"]) for node in nodes if "name" in node]
    assert ("textbox", "Your text") in named
    assert ("button", "Find labels") in named
    assert ("heading", "Labels") in named
    best = page.value(f"{LABELS}[0]")
    assert any(role == "button" and name.startswith(best) for role, name in named)
    live = page.value("document.querySelector('#status[role=status]').textContent")
    assert live == "5 labels, the best first. Choose one for its reasons."


def test_what_is_wrong_is_told_and_what_was_found_stays(page: Browser, texts: list[str]) -> None:
    error = "document.querySelector('#error[role=alert]').textContent"
    page.type(texts[0])
    page.press("Enter", ctrl=True)
    page.until("document.querySelectorAll('#labels > li').length === 5")
    page.type("a" * 20_001)
    page.press("Enter", ctrl=True)
    page.until(error)
    there = 20_001 + len(texts[0])
    assert page.value(error) == f"A text may have 20,000 characters; this one has {there:,}."
    page.value("document.querySelector('#text').value = '\\ud800'")  # half of a character
    page.press("Enter", ctrl=True)
    page.until(f"{error}.startsWith('Invalid JSON: ')")
    page.click("#more")
    page.until("document.querySelectorAll('#labels > li').length === 10")
    page.click("#labels .label")
    page.until("document.querySelector('.document')")
    assert page.value("document.querySelector('.document').textContent") == texts[0]
    assert page.value(error) == ""


def test_labels_that_are_larger_than_javascripts_numbers_are_shown_and_explained(
    texts: list[str], labels: list[tuple[str, ...]], tmp_path: Path
) -> None:
    large = [[2**62 + int(label.split()[1]) for label in some] for some in labels]
    model = LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0).fit(texts, large)
    model.save(tmp_path / "model")
    with served(tmp_path / "model") as (url, _), browser(tmp_path / "profile") as page:
        page.open(url)
        page.type(texts[0])
        page.press("Enter", ctrl=True)
        page.until("document.querySelectorAll('#labels > li').length === 5")
        assert page.value(LABELS) == [str(label) for label in model.predict_topk(texts[:1])[0]]
        page.click("#labels .label")
        page.until("document.querySelector('.document')")


def test_a_server_that_is_gone_is_told_in_the_page(
    folder: Path, tmp_path: Path, texts: list[str]
) -> None:
    with served(folder / "model") as (url, process), browser(tmp_path / "profile") as page:
        page.open(url)
        page.until("document.querySelector('#model').textContent")
        process.terminate()
        process.wait(30)
        page.type(texts[0])
        page.press("Enter", ctrl=True)
        page.until("document.querySelector('#error').textContent.startsWith('The server does not')")


def test_nothing_is_wider_than_a_phone(page: Browser, texts: list[str]) -> None:
    page.look(320, 640, phone=True)
    page.type(texts[0])
    page.press("Enter", ctrl=True)
    page.until("document.querySelectorAll('#labels > li').length === 5")
    page.click("#labels .label")
    page.until("document.querySelector('.document')")
    assert page.value("document.documentElement.scrollWidth") == 320


def test_dark_and_light_are_those_of_the_system(page: Browser) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    page.look(1200, 800)
    light: Any = page.value(ground)
    page.look(1200, 800, dark=True)
    assert (light, page.value(ground)) == ("rgb(250, 250, 248)", "rgb(21, 23, 26)")
