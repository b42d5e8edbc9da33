"""Why a text has a label: words that speak for it are found, whatever the model is made of."""

from __future__ import annotations

import html
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from transformers import PreTrainedTokenizerFast
from typer.testing import CliRunner

from lightxml import LightXMLClassifier, LightXMLEnsemble
from lightxml.cli import app as cli
from lightxml.inspection import explain
from lightxml.inspection.explanation import Explanation, Neighbor, Opinion, Word
from lightxml.predicting.fitted import FittedModel

Make = Callable[..., LightXMLClassifier]
PLANTED = ["maple", "otter", "piano", "comet", "tulip", "anvil"]  # each a label's only sign
FILLER = ["the", "of", "and", "in", "this", "with", "some", "for", "about", "under"]
TEXT = "some of the tulip with this"


@pytest.fixture(scope="module")
def planted() -> tuple[list[str], list[list[str]]]:
    """Documents of filler with one planted word, which is the label as well; some have none."""
    rng = np.random.default_rng(0)
    texts, labels = [], []
    for i in range(160):
        words = rng.choice(FILLER, size=5, replace=False).tolist()
        planted = [PLANTED[i % len(PLANTED)]] if i < 120 else []
        for word in planted:
            words.insert(int(rng.integers(6)), word)
        texts.append(" ".join(words))
        labels.append(planted)
    return texts, labels


@pytest.fixture(scope="module")
def models(
    make_classifier: Make, planted: tuple[list[str], list[list[str]]], tmp_path_factory: Any
) -> dict[str, Any]:
    """A fitted model of each kind; tests only read them."""
    exact = {"precision": "fp32"}  # bf16 rounds a document otherwise in another batch
    trained = make_classifier(**exact, max_epochs=8).fit(*planted)
    folder = str(tmp_path_factory.mktemp("pretrained"))  # frozen, it knows the words already
    trained.network_.encoder.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=trained.tokenizer_, cls_token="[CLS]", sep_token="[SEP]",
        pad_token="[PAD]",
    ).save_pretrained(folder)  # fmt: skip
    words = {"encoder": None, "features": TfidfVectorizer(), "rankers": "auto", "random_state": 0}
    lexical = {
        **exact,
        "encoder": None,
        "features": TfidfVectorizer(),
        "feature_dim": 32,
        "max_epochs": 8,
    }
    made = {
        "frozen": make_classifier(
            **exact, encoder=folder, freeze_encoder=True, max_epochs=8, rankers="auto"
        ),
        "rankers": LightXMLClassifier(**words),
        "features": make_classifier(**lexical),
        "both": make_classifier(
            **{
                **lexical,
                "encoder": folder,
                "freeze_encoder": True,
                "rankers": ("linear", "neighbors", "network"),
            }
        ),
        "chunked": make_classifier(**lexical, label_dim=16),
        "clusters": make_classifier(
            **lexical, label_clusters=True, max_cluster_size=2, n_candidate_clusters=2
        ),
        "pipeline": make_pipeline(
            TfidfVectorizer(), make_classifier(encoder=None, feature_dim=32, max_epochs=8)
        ),
        "ensemble": LightXMLEnsemble(LightXMLClassifier(**words), n_estimators=2, random_state=0),
    }
    texts = LightXMLClassifier(**words).fit(*planted, label_texts={"otter": ["an otter", "lutra"]})
    fitted = {name: model.fit(*planted) for name, model in made.items()}
    return {"encoder": trained, "label texts": texts, **fitted}


KINDS = [
    "encoder", "frozen", "features", "both", "chunked", "clusters", "pipeline", "ensemble",
    "rankers", "label texts",
]  # fmt: skip


def heaviest(found: Explanation) -> str:
    return max(found.words, key=lambda word: abs(word.weight)).text


# --- what a weight is ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_word_that_decides_is_the_heaviest(models: dict[str, Any], kind: str) -> None:
    for label in PLANTED:
        text = TEXT.replace("tulip", label)
        found = explain(models[kind], text, label)
        assert heaviest(found) == label
        assert max(word.weight for word in found.words) > 1
        assert found.label == label


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_is_what_the_decision_function_loses(models: dict[str, Any], kind: str) -> None:
    model = models[kind]
    found = explain(model, TEXT, "otter")
    words = TEXT.split()
    without = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
    column = sorted(PLANTED).index("otter")
    logits = model.decision_function([TEXT, *without])[:, column]
    np.testing.assert_allclose(
        [word.weight for word in found.words], logits[0] - logits[1:], atol=1e-4
    )
    assert found.logit == pytest.approx(logits[0], abs=1e-4)
    assert found.score == pytest.approx(model.predict_proba([TEXT])[0, column], abs=1e-5)


def test_words_have_their_places_in_the_text(models: dict[str, Any]) -> None:
    text = "  a tulip,(x_1)\nनमस्ते don't  机器 🎉🎉 \u202e"
    found = explain(models["features"], text)
    words = ["a", "tulip", ",(", "x_1", ")", "नमस्ते", "don", "'", "t", "机", "器", "🎉🎉", "\u202e"]
    assert [word.text for word in found.words] == words
    assert [text[word.start : word.end] for word in found.words] == words


def test_without_a_label_the_best_is_explained(models: dict[str, Any]) -> None:
    for kind in KINDS:
        assert explain(models[kind], TEXT).label == "tulip"


# --- long texts ----------------------------------------------------------------------------------


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of texts whose logits were computed, call by call."""
    sizes: list[int] = []
    logits_of = FittedModel.logits_of

    def watch(model: FittedModel, documents: Any, candidates: Any) -> np.ndarray:
        sizes.append(len(documents))
        return logits_of(model, documents, candidates)

    monkeypatch.setattr(FittedModel, "logits_of", watch)
    return sizes


@pytest.mark.parametrize("max_predictions", [1, 2, 7, 32, 256])
def test_a_long_text_is_cut_into_runs_and_the_heaviest_into_words(
    models: dict[str, Any], predicted: list[int], max_predictions: int
) -> None:
    words = np.random.default_rng(1).choice(FILLER, size=999).tolist()
    words[700] = "tulip"
    text = " ".join(words)
    found = explain(models["features"], text, "tulip", max_predictions=max_predictions)
    # Each call has the text itself besides.
    assert sum(predicted) - len(predicted) <= max_predictions
    assert "".join(word.text for word in found.words).replace(" ", "") == "".join(words)
    starts = [word.start for word in found.words]
    assert starts == sorted(starts)
    heavy = max(found.words, key=lambda word: word.weight)
    assert "tulip" in heavy.text.split()
    if max_predictions >= 32:
        assert heavy.text == "tulip"


def test_all_words_are_tried_alone_where_they_are_not_too_many(
    models: dict[str, Any], predicted: list[int]
) -> None:
    found = explain(models["features"], TEXT, max_predictions=6)
    assert [word.text for word in found.words] == TEXT.split()
    assert sum(predicted) == 1 + 1 + 6


def test_what_no_part_reads_weighs_nothing(models: dict[str, Any]) -> None:
    text = f"{'of ' * 40}tulip"  # the encoder reads 32 tokens
    words = explain(models["encoder"], text, "tulip").words
    assert abs(words[-1].weight) < 1e-4
    assert explain(models["features"], text, "tulip").words[-1].weight > 0.5


# --- rankers and training documents --------------------------------------------------------------


def test_each_ranker_says_what_it_thinks(models: dict[str, Any]) -> None:
    found = explain(models["label texts"], "a tulip and lutra lutra", "otter")
    opinions = {opinion.ranker: opinion for opinion in found.opinions}
    assert list(opinions) == ["linear", "neighbors", "label_texts"]
    assert opinions["label_texts"].values["coverage"] == pytest.approx(1)
    assert opinions["label_texts"].best == "otter"
    assert opinions["linear"].best == opinions["neighbors"].best == "tulip"
    assert opinions["neighbors"].values["share of 10"] == 0


def test_a_ranker_without_a_proposal_says_so(models: dict[str, Any]) -> None:
    found = explain(models["rankers"], "no known words", "otter")
    assert [opinion.best for opinion in found.opinions] == [None, None]
    assert "best: (none)" in str(found)


def test_opinions_of_an_ensemble_are_told_apart(models: dict[str, Any]) -> None:
    found = explain(models["ensemble"], TEXT)
    assert [(each.member, each.ranker) for each in found.opinions] == [
        (0, "linear"), (0, "neighbors"), (1, "linear"), (1, "neighbors"),
    ]  # fmt: skip
    assert "\n    1: linear     margin " in str(found)


def test_a_network_that_ranks_alone_is_asked_for_words_only(models: dict[str, Any]) -> None:
    found = explain(models["encoder"], TEXT)
    assert (found.opinions, found.neighbors) == ((), ())
    assert "ranker" not in str(found)


@pytest.mark.parametrize("kind", ["rankers", "frozen", "both", "ensemble"])
def test_the_nearest_training_documents_with_the_label_are_named(
    models: dict[str, Any], planted: tuple[list[str], list[list[str]]], kind: str
) -> None:
    found = explain(models[kind], planted[0][16], "tulip")
    assert all(planted[1][near.document] == ["tulip"] for near in found.neighbors)
    shares = [near.share for near in found.neighbors]
    assert shares == sorted(shares, reverse=True)
    assert 16 in [near.document for near in found.neighbors]
    assert 0 < sum(shares) <= 1 + 1e-5


def test_shares_of_all_neighbors_are_what_the_ranker_says(models: dict[str, Any]) -> None:
    found = explain(models["rankers"], "comet", "comet")  # the word of 20 documents
    (share,) = (each.values["share of 50"] for each in found.opinions if each.ranker != "linear")
    assert share == pytest.approx(1)
    assert len(found.neighbors) == 10
    assert 0.4 < sum(near.share for near in found.neighbors) < share


@pytest.mark.parametrize("kind", ["rankers", "both", "ensemble"])
def test_the_words_that_a_linear_classifier_goes_by_are_told(
    models: dict[str, Any], kind: str
) -> None:
    found = explain(models[kind], "maple and tulip for some", "tulip")
    opinions = [each for each in found.opinions if each.ranker == "linear"]
    assert opinions
    for opinion in opinions:
        added = [each.contribution for each in opinion.features]
        assert opinion.features[0].name == "tulip"
        assert opinion.features[-1].name == "maple"
        assert added == sorted(added, reverse=True)
        assert added[-1] < 0 < added[0]
        model = models[kind] if kind != "ensemble" else models[kind].estimators_[opinion.member]
        (linear,) = (each for each in model.rankers_ if each.name == "linear")
        bias = linear.bias[model.classes_.tolist().index("tulip")]
        assert bias + sum(added) == pytest.approx(opinion.values["margin"], abs=1e-5)
    for shown in (str(found), found.to_html()):
        assert re.search(r"for: .*tulip", shown)
        assert re.search(r"against: .*maple", shown)


@pytest.fixture(scope="module")
def named(planted: tuple[list[str], list[list[str]]]) -> LightXMLClassifier:
    """A model of words whose labels have texts; that of one is written with signs and blanks."""
    texts, labels = planted
    names = {word: [f"{word} <of> the North", word] for word in PLANTED} | {"oak": "oak\x1b[2J"}
    model = LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0)
    return model.fit(texts, labels, label_texts=names)


def test_where_the_texts_of_a_label_stand_is_told(named: LightXMLClassifier) -> None:
    text = "In some Tulips of the north, the TULIP"
    found = explain(named, text, "tulip")
    assert [(m.text, m.label_text, m.is_whole) for m in found.mentions] == [
        ("Tulips", "tulip", True),
        ("Tulips of the north", "tulip <of> the North", True),
        ("TULIP", "tulip", True),
    ]
    assert all(text[m.start : m.end] == m.text for m in found.mentions)
    assert "Tulips of the north (of tulip &lt;of&gt; the North)" in found.to_html()
    assert "Tulips of the north (of tulip <of> the North)" in str(found)
    part = explain(named, "the North of this", "tulip").mentions
    assert [(m.text, m.is_whole) for m in part] == [("North", False)]  # without the, of
    assert explain(named, "something else", "tulip").mentions == ()
    other = explain(named, "an oak 2J", "oak")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", str(other) + other.to_html())


def test_a_misspelt_label_is_answered_with_those_that_are_much_like_it(
    named: LightXMLClassifier,
) -> None:
    with pytest.raises(ValueError, match=r"label 'Tulpi' is not among .*\. Is 'tulip' meant\?"):
        explain(named, "a", "Tulpi")
    with pytest.raises(ValueError, match=r"Is 'otter' \('otter <of> the North'\)"):
        explain(named, "a", "otter of the north")
    with pytest.raises(ValueError, match=r"labels of the model, such as 'anvil'\."):
        explain(named, "a", "zzz")


# --- what is left as it is, what is refused ------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_twice_and_nothing_is_changed(models: dict[str, Any], kind: str) -> None:
    before = pickle.dumps(models[kind])
    first = explain(models[kind], TEXT)
    assert explain(models[kind], TEXT) == first
    assert pickle.dumps(models[kind]) == before
    assert pickle.loads(pickle.dumps(first)) == first


@pytest.mark.parametrize("kind", ["encoder", "frozen", "both", "features", "pipeline", "ensemble"])
@pytest.mark.parametrize(
    "text", ["", "  \n\t ", "...", "\x00\x1b[31m\x7f", "\u202eمرحبا שלום", "👩\u200d🔬"]
)
def test_any_text_is_explained(models: dict[str, Any], kind: str, text: str) -> None:
    found = explain(models[kind], text, "tulip")
    assert np.isfinite([found.logit, *(word.weight for word in found.words)]).all()
    assert bool(found.words) == bool(text.strip())
    for line in str(found).splitlines():
        assert len(line) <= 80
        assert all(c.isprintable() or c == "\u200d" for c in line)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", found.to_html())


def test_a_text_of_100_000_words_is_explained(models: dict[str, Any]) -> None:
    text = f"{'of ' * 99_999}tulip"
    words = explain(models["features"], text, "tulip", max_predictions=8).words
    assert max(words, key=lambda word: word.weight) == words[-1]


@pytest.mark.parametrize(
    ("estimator", "arguments", "error", "message"),
    [
        ("features", (["a text"],), TypeError, "text is of type list; expected one document"),
        ("features", (None,), TypeError, "text is of type NoneType"),
        ("features", ("\ud800",), ValueError, "lone surrogate"),
        ("features", ("a", "oak"), ValueError, "label 'oak' is not among the 6 labels"),
        ("features", ("a", ["oak"]), ValueError, r"label \['oak'\] is not among"),
        ("pipeline", ("a", 3), ValueError, "label 3 is not among the 6 labels of the model, such"),
        (None, ("a",), TypeError, "estimator is a NoneType; expected a fitted LightXMLClassifier"),
        (TfidfVectorizer(), ("a",), TypeError, "estimator is a TfidfVectorizer"),
        (make_pipeline(TfidfVectorizer()), ("a",), TypeError, "estimator is a Pipeline"),
        (LightXMLClassifier(), ("a",), NotFittedError, "not fitted"),
        (LightXMLEnsemble(), ("a",), NotFittedError, "not fitted"),
        (make_pipeline(TfidfVectorizer(), LightXMLClassifier()), ("a",), NotFittedError, "fitted"),
    ],
)  # fmt: skip
def test_what_cannot_be_explained_is_named(
    models: dict[str, Any], estimator: Any, arguments: Any, error: Any, message: str
) -> None:
    model = models[estimator] if isinstance(estimator, str) else estimator
    with pytest.raises(error, match=message):
        explain(model, *arguments)


def test_a_model_of_numbers_asks_for_its_pipeline(models: dict[str, Any]) -> None:
    with pytest.raises(
        TypeError, match=r"numeric matrix of .* columns and reads no text.*Pipeline"
    ):
        explain(models["pipeline"][-1], TEXT)


@pytest.mark.parametrize("value", [0, 2.5, "all"])
def test_a_bound_that_is_none_is_named(models: dict[str, Any], value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="max_predictions"):
        explain(models["features"], TEXT, max_predictions=value)


# --- how it looks --------------------------------------------------------------------------------

EXAMPLE = Explanation(
    "A <b>bold</b> tulip & more",
    "<i>tulip</i>",
    0.75,
    1.0986,
    (
        Word(0, 1, "A", 0.0),
        Word(5, 9, "bold", -0.5),
        Word(14, 19, "tulip", 2.0),
        Word(22, 26, "more", 0.001),
    ),
    (
        Opinion("linear", {"margin": -0.25}, "<i>tulip</i>"),
        Opinion("neighbors", {"share of 10": 0.5, "share of 50": 0.123}, None),
    ),
    (Neighbor(7, 0.6), Neighbor(3, 0.25), Neighbor(5, 0.0001)),
)


def test_a_terminal_shows_the_words_that_count() -> None:
    assert str(EXAMPLE) == repr(EXAMPLE)
    assert str(EXAMPLE).splitlines() == [
        "A <b>bold</b> tulip & more",
        "    0.750  <i>tulip</i>",
        "    logit +1.10. What it loses without a word:",
        "     +2.00  ++++++++++++++++++++  tulip",
        "     -0.50  -----                 bold",
        "    (2 more, with less weight)",
        "    What each ranker thinks of the label, and its own best:",
        "    linear     margin -0.25",
        "               best: <i>tulip</i>",
        "    neighbors  share of 10 0.50, share of 50 0.12",
        "               best: (none)",
        "    The nearest training documents with the label, and their shares:",
        "     60.0%  document 7",
        "     25.0%  document 3",
    ]


def test_html_shows_the_text_as_it_is_and_colors_the_words_that_count() -> None:
    page = EXAMPLE.to_html()
    assert page.startswith("<!DOCTYPE html>")
    assert '<meta charset="utf-8">' in page
    box = re.search(r'<div dir="auto".*?>(.*?)</div>', page, re.DOTALL)
    assert box is not None
    assert html.unescape(re.sub(r"<[^>]*>", "", box[1])) == EXAMPLE.text
    colored = re.findall(r"background: rgba\((\d+), [^)]* ([\d.]+)\)[^>]*>([^<]*)<", box[1])
    assert [(word, float(alpha)) for _, alpha, word in colored] == [("bold", 0.16), ("tulip", 0.65)]
    assert colored[0][0] != colored[1][0]
    assert "<b>bold" not in page
    assert "<i>" not in page
    assert "document 7 (60.0%), document 3 (25.0%)." in page
    assert "<bdi>share of 10 0.50, share of 50 0.12</bdi>" in page
    assert EXAMPLE._repr_html_() in page


def test_a_script_in_text_or_label_stays_text(models: dict[str, Any]) -> None:
    hostile = "tulip <script>alert('x')</script> \"><img src=x onerror=alert(1)>"
    found = explain(models["features"], hostile, "tulip")
    opinion = Opinion(hostile, {hostile: 1.0}, hostile)
    page = Explanation(hostile, hostile, 0.5, 0.0, found.words, (opinion,)).to_html()
    assert set(re.findall(r"<\s*([a-zA-Z]+)", page)) == {
        "table", "caption", "tr", "td", "html", "head", "meta", "title", "body", "div", "p", "b",
        "bdi", "span",
    }  # fmt: skip


def test_faint_weights_stay_faint() -> None:
    found = Explanation("a b", "l", 0.5, 0.0, (Word(0, 1, "a", 0.01), Word(2, 3, "b", 0.0)))
    assert "0.07)" in found.to_html()  # a tenth of the full color
    assert '0.65)">' not in re.sub(r"<p.*?</p>", "", found.to_html(), flags=re.DOTALL)


# --- the command line ----------------------------------------------------------------------------


def run(*arguments: Any, stdin: str | bytes | None = None) -> Any:
    return CliRunner().invoke(cli.app, ["explain", *map(str, arguments)], input=stdin)


@pytest.fixture(scope="module")
def saved(models: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    models["features"].save(folder)
    return folder


def test_the_command_shows_what_explain_finds(models: dict[str, Any], saved: Path) -> None:
    for label in ("tulip", "otter"):
        result = run(saved, TEXT, "--label", label, "--device", "cpu")
        assert result.exit_code == 0, result.output
        assert result.stdout == f"{explain(models['features'], TEXT, label)}\n"
    assert run(saved, TEXT).stdout == f"{explain(models['features'], TEXT)}\n"


def test_the_command_reads_standard_input_whole(models: dict[str, Any], saved: Path) -> None:
    expected = f"{explain(models['features'], TEXT.replace(' the ', chr(10)))}\n"
    for arguments in ((saved, "-"), (saved,)):
        assert run(*arguments, stdin=TEXT.replace(" the ", "\r\n") + "\n").stdout == expected
    result = run(saved, stdin=b"a\n\xff")
    assert result.exit_code == 1
    assert "line 2 is not UTF-8" in result.stderr


def test_the_command_saves_a_page_with_the_labels_name(saved: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("tulip\tA flower\n")
    page = tmp_path / "new" / "page.html"
    result = run(saved, TEXT, "--names", names, "--html", page)
    assert "  A flower" in result.stdout
    assert "<bdi>A flower</bdi>" in page.read_text("utf-8")


def test_the_command_takes_a_label_that_is_a_number(tmp_path: Path, make_classifier: Make) -> None:
    model = make_classifier(encoder=None, features=TfidfVectorizer(), feature_dim=8)
    model.fit(["red fox", "blue hen"] * 4, np.eye(2)[[0, 1] * 4]).save(tmp_path / "model")
    result = run(tmp_path / "model", "blue hen", "--label", 1)
    assert result.stdout.splitlines()[1].split()[-1] == "1"


def test_the_command_names_what_it_cannot_use(saved: Path, tmp_path: Path) -> None:
    for arguments, message in (
        ((saved, TEXT, "--label", "oak"), "--label oak is not among the 6 labels"),
        ((tmp_path / "none", TEXT, "--html", tmp_path), f"--html {tmp_path} is a folder"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1
        assert result.stderr.startswith("lightxml: error: ")
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
