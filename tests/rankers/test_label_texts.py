"""What label texts say of documents."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from lightxml.rankers.base import Documents
from lightxml.rankers.label_texts import LabelTexts, fit_label_rows, fit_label_texts
from lightxml.rankers.sparse import normalized

TRAINING = ["the history of england", "a history of the plough", "the sea", "history"] * 5
COLUMNS = ("cosine", "coverage", "matched", "mention")


def documents(texts: list[str]) -> Documents:
    return Documents(sp.csr_array((len(texts), 1), dtype=np.float32), texts)


def fitted(texts: list[tuple[str, ...]], training: list[str] = TRAINING) -> LabelTexts:
    return fit_label_texts(texts, documents(training))


def said(ranker: LabelTexts, text: str) -> list[dict[str, float]]:
    """What is said of each label for a document."""
    everything = sp.csr_array(np.ones((1, ranker.n_labels), np.float32))
    scores = ranker.score(documents([text]), everything)
    return [dict(zip(COLUMNS, row, strict=True)) for row in scores.tolist()]


def test_a_text_that_stands_in_the_document_is_mentioned() -> None:
    ranker = fitted([("Sea trade",), ("History",), ("England -- History",)])
    sea, history, both = said(ranker, "England, history: sea TRADE")
    assert sea["mention"] == sea["matched"] > 0
    assert sea["coverage"] == both["coverage"] == pytest.approx(1)
    assert both["mention"] > history["mention"] > 0
    (sea, _, both) = said(ranker, "History of England. Trade on the sea")
    assert sea["mention"] == both["mention"] == 0  # other order, words between
    assert both["coverage"] == pytest.approx(1)


def test_one_frequent_word_says_less_than_a_rare_one() -> None:
    ranker = fitted([("History",), ("Plough",), ("History of ploughs",)])
    history, plough, both = said(ranker, "history of the plough")
    assert history["coverage"] == plough["coverage"] == pytest.approx(1)
    assert history["matched"] < plough["matched"] < both["matched"]
    assert history["cosine"] < plough["cosine"] < both["cosine"]
    proposed = ranker.propose(documents(["history of the plough"]), 3).toarray()[0]
    assert np.argsort(-proposed).tolist() == [2, 1, 0]


def test_the_best_of_several_texts_counts() -> None:
    several = fitted([("sea", "a plough of iron"), ("ocean",)])
    one = fitted([("sea",), ("ocean",)])
    assert said(several, "the sea")[0]["coverage"] == pytest.approx(1)
    assert said(one, "the sea")[0]["coverage"] == pytest.approx(1)
    assert several.propose(documents(["a plough on the sea"]), 2).nnz == 1  # a label once


def test_equal_texts_say_the_same() -> None:
    first, second = said(fitted([("the sea",), ("The SEA",)]), "the sea")
    assert first == second


def test_labels_without_a_word_are_never_proposed() -> None:
    ranker = fitted([(), ("--",), ("sea",)])
    assert ranker.propose(documents(["the sea", ""]), 3).toarray().astype(bool).tolist() == [
        [False, False, True],
        [False, False, False],
    ]
    assert said(ranker, "the sea")[0] == said(ranker, "the sea")[1] == dict.fromkeys(COLUMNS, 0)


def test_no_label_has_a_word() -> None:
    ranker = fitted([("",), ()])
    assert ranker.propose(documents(["the sea"]), 5).nnz == 0
    assert not ranker.score(documents(["the sea"]), sp.csr_array(np.ones((1, 2)))).any()


def test_scripts_without_blanks_are_matched_by_characters() -> None:
    ranker = fitted([("学校",), ("海",)], ["私の学校は海にある"])
    school, sea = said(ranker, "新しい学校")
    assert school["mention"] > 0
    assert sea["coverage"] == 0


def test_a_score_does_not_depend_on_other_candidates_or_documents() -> None:
    ranker = fitted([("sea",), ("history", "england"), (), ("plough",)])
    texts = documents([*TRAINING, ""])
    everything = sp.csr_array(np.ones((len(texts), 4), np.float32))
    scores = ranker.score(texts, everything).reshape(len(texts), 4, 4)
    some = sp.csr_array(np.array([[1, 0, 0, 1]] * len(texts), np.float32))
    np.testing.assert_array_equal(
        ranker.score(texts, some).reshape(len(texts), 2, 4), scores[:, [0, 3]]
    )
    alone = ranker.score(texts.part(1, 2), everything[:1])
    np.testing.assert_array_equal(alone, scores[1])


def test_a_text_of_1_mb_costs_no_more_than_its_heaviest_words() -> None:
    words = " ".join(f"w{i}" for i in range(30_000))
    ranker = fitted([(words * 5,), ("sea",)])
    assert np.diff(ranker.weights.indptr).tolist() == [200, 1]
    assert said(ranker, words)[0]["coverage"] == pytest.approx(1)


def test_a_numeric_X_is_compared_with_rows() -> None:
    rows = normalized(sp.csr_array(np.array([[1, 1, 0], [0, 0, 2], [0, 0, 0]], np.float32)))
    ranker = fit_label_rows(rows)
    assert ranker.columns == COLUMNS[:3]
    numbers = Documents(normalized(sp.csr_array(np.array([[3.0, 0, 0]], np.float32))))
    assert ranker.propose(numbers, 3).indices.tolist() == [0]
    scores = ranker.score(numbers, sp.csr_array(np.ones((1, 3), np.float32)))
    np.testing.assert_allclose(scores[:, 0], [0.5**0.5, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(scores[:, 1], [0.5, 0, 0], rtol=1e-6)


def test_nothing_of_documents_x_labels_is_made() -> None:
    n_labels = 20_000
    ranker = fitted([(f"name {i} {i % 97}",) for i in range(n_labels)])
    texts = documents([f"name {i} and {i + 1}" for i in range(2000)])
    ranker.propose(texts.part(0, 1), 50)  # makes what is made once
    tracemalloc.start()
    found = ranker.propose(texts, 50)
    ranker.score(texts, found)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6 < len(texts) * n_labels * 4


@pytest.mark.parametrize("numeric", [False, True])
def test_stored_and_back(numeric: bool) -> None:
    if numeric:
        ranker = fit_label_rows(sp.csr_array(np.eye(3, 4, dtype=np.float32)))
        texts = Documents(normalized(sp.csr_array(np.ones((2, 4), np.float32))))
    else:
        ranker = fitted([("sea", "ocean"), (), ("history",)])
        texts = documents(["the sea", "history"])
    again = LabelTexts.made_of(*ranker.describe())
    everything = sp.csr_array(np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(ranker.score(texts, everything), again.score(texts, everything))
    np.testing.assert_array_equal(
        ranker.propose(texts, 3).toarray(), again.propose(texts, 3).toarray()
    )


Change = Callable[[dict[str, Any], dict[str, np.ndarray]], Any]


def item(name: str, at: int, value: float) -> Change:
    def change(settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name][at] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, a: s.update(n_labels=2), "owners are out of range"),
        (lambda s, a: s.update(n_labels="3"), "n_labels is '3'; expected"),
        (lambda s, a: s.update(n_labels=-1), "n_labels is -1; expected"),
        (lambda s, a: s.update(n_documents=2**40), "n_documents is 1099511627776; expected"),
        (lambda s, a: a.update(owners=a["owners"].astype(float)), "owners is float64"),
        (item("owners", 0, -1), "owners are out of range"),
        (item("owners", 0, 2), "not in the order of their labels"),
        (item("starts", 0, 1), "do not begin where they should"),
        (item("starts", 1, 0), "do not begin where they should"),
        (item("starts", 1, 99), "do not begin where they should"),
        (lambda s, a: a.update(starts=a["starts"][:-1]), "do not begin where they should"),
        (item("texts", 0, 99), "texts are out of range"),
        (item("texts", 0, -1), "texts are out of range"),
        (item("frequencies", 0, 21), "frequencies are out of range"),
        (item("frequencies", 0, -1), "frequencies are out of range"),
        (lambda s, a: a.update(frequencies=a["frequencies"][1:]), "not as many as its words"),
        (lambda s, a: a.update(vocabulary=np.zeros(4, np.uint8)), "out of range|not as many"),
        (lambda s, a: a.pop("texts"), "texts is missing"),
        (lambda s, a: a.pop("vocabulary"), "vocabulary is missing"),
    ],
)
def test_what_is_no_such_ranker_is_refused(change: Change, message: str) -> None:
    settings, arrays = fitted([("sea", "ocean"), (), ("history",)]).describe()
    change(settings, arrays)
    with pytest.raises(ValueError, match=message):
        LabelTexts.made_of(settings, arrays)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (item("values", 0, np.nan), "holds NaN"),
        (item("columns", 0, 9), "columns are out of range"),
        (item("columns", 1, 0), "in order, or one comes twice"),
        (lambda s, a: a.update(values=a["values"][1:]), "values is float32 of shape"),
        (lambda s, a: s.update(n_features=1), "columns are out of range"),
    ],
)
def test_what_are_no_such_rows_is_refused(change: Change, message: str) -> None:
    settings, arrays = fit_label_rows(sp.csr_array(np.ones((2, 3), np.float32))).describe()
    change(settings, arrays)
    with pytest.raises(ValueError, match=message):
        LabelTexts.made_of(settings, arrays)
