"""All rankers together: from documents and label texts to probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml.rankers import final, held_out
from lightxml.rankers.base import Documents
from lightxml.rankers.fit_panel import Fitted, _likely_for_more, fit_panel
from lightxml.rankers.neighbors import fit_neighbors
from lightxml.rankers.opinions import DOCUMENTS_AT_ONCE
from lightxml.rankers.panel import best
from lightxml.rankers.sparse import normalized, ones_of
from lightxml.rankers.trees import Trees

N_LABELS, N_TRAINED = 40, 30
NAMES = ("linear", "neighbors", "label_texts")
TEXTS = [(f"name{label}",) for label in range(N_LABELS)]


class Task:
    """Documents of two labels each; a document holds most labels' names, and words of theirs.

    Labels from `N_TRAINED` on have no training document.
    """

    def __init__(self, n: int = 300, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        texts, self.y = self.draw(n, N_TRAINED)
        self.vectorizer = TfidfVectorizer(min_df=2, dtype=np.float32).fit(texts)
        self.documents = self.read(texts)

    def draw(self, n: int, n_labels: int) -> tuple[list[str], sp.csr_array]:
        y = np.zeros((n, N_LABELS), dtype=np.int8)
        texts = []
        for i in range(n):
            labels = self.rng.choice(n_labels, size=2, replace=False, p=weights(n_labels))
            y[i, labels] = 1
            words = [f"noise{self.rng.integers(50)}" for _ in range(4)]
            for label in labels:
                words += [f"word{label}x{self.rng.integers(3)}"] * (self.rng.random() < 0.9)
                words += [f"name{label}"] * (self.rng.random() < 0.8)
            texts.append(" ".join(words))
        return texts, sp.csr_array(y)

    def read(self, texts: list[str]) -> Documents:
        return Documents(normalized(sp.csr_array(self.vectorizer.transform(texts))), texts)

    def fit(self, **settings: Any) -> Fitted:
        given = {"names": NAMES, "label_texts": TEXTS, "seed": 0} | settings
        return fit_panel(self.documents, self.y, **given)


def weights(n_labels: int) -> np.ndarray:
    found = 1 / np.arange(1, n_labels + 1)
    return found / found.sum()


@pytest.fixture(scope="module")
def task() -> Task:
    return Task()


@pytest.fixture(scope="module")
def fitted(task: Task) -> Fitted:
    return task.fit()


@pytest.fixture(scope="module")
def large() -> tuple[Task, Fitted]:
    task = Task(held_out.SMALL)
    return task, task.fit()


def probabilities(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


def hits(labels: np.ndarray, y: sp.csr_array) -> np.ndarray:
    return np.take_along_axis(y.toarray(), labels, axis=1)


def test_probabilities_are_calibrated(large: tuple[Task, Fitted]) -> None:
    task, fitted = large
    texts, y = task.draw(1500, N_TRAINED)
    labels, logits = fitted.panel.rank(task.read(texts), 5)
    said, right = probabilities(logits).ravel(), hits(labels, y).ravel()
    place = (said * 10).astype(int).clip(0, 9)
    error = sum(abs((said - right)[place == i].sum()) for i in range(10)) / len(said)
    assert error < 0.03


def test_all_together_are_better_than_each_alone(large: tuple[Task, Fitted]) -> None:
    task, fitted = large
    texts, y = task.draw(500, N_LABELS)
    documents = task.read(texts)

    def precision(panel: Any) -> float:
        return float(hits(panel.rank(documents, 2)[0], y).mean())

    together = precision(fitted.panel)
    for name in NAMES:
        assert precision(task.fit(names=(name,)).panel) < together


def test_the_first_five_of_twenty_are_those_of_five(task: Task, fitted: Fitted) -> None:
    five, twenty = (fitted.panel.rank(task.documents.part(0, 50), k) for k in (5, 20))
    for few, many in zip(five, twenty, strict=True):
        np.testing.assert_array_equal(few, many[:, :5])


def test_a_document_says_the_same_in_any_block(task: Task, fitted: Fitted) -> None:
    assert len(task.documents) > DOCUMENTS_AT_ONCE
    together = fitted.panel.rank(task.documents, 5)
    alone = fitted.panel.rank(task.documents.part(299, 300), 5)
    np.testing.assert_array_equal(alone[0][0], together[0][-1])
    np.testing.assert_allclose(alone[1][0], together[1][-1], atol=1e-5)


def test_held_out_documents_join_the_rankers(large: tuple[Task, Fitted]) -> None:
    task, fitted = large
    assert fitted.scored is not None
    assert 0 < fitted.scored.shape[0] <= held_out.n_held_out(held_out.SMALL)
    _, neighbors, texts = fitted.panel.rankers
    assert neighbors.y.shape[0] == texts.words.n_documents == len(task.documents)
    assert neighbors.y.nnz == task.y.nnz  # hidden labels too
    assert isinstance(fitted.panel.final, Trees)


def test_what_was_likely_for_a_document_stays_its_own_when_more_join() -> None:
    rng = np.random.default_rng(0)
    n, n_labels = 120, 90
    rows = normalized(sp.csr_array(sp.random_array((n, 50), density=0.2, random_state=rng)))
    every = Documents(rows)
    y = sp.csr_array((rng.random((n, n_labels)) < 0.03).astype(np.float32))
    hidden, held = np.array([4, 7]), np.array([0, 11, 12, 50, 119])
    learned = np.setdiff1d(np.arange(n), held)
    shown = y.toarray()
    shown[:, hidden] = 0
    before = fit_neighbors(Documents(rows[learned]), sp.csr_array(shown[learned]))
    before = replace(before, told=ones_of(before.likely(30)))
    whole = fit_neighbors(every, y)
    found = _likely_for_more(before, whole, every, hidden, held).toarray() > 0
    rest = np.setdiff1d(np.arange(n_labels), hidden)
    assert before.told is not None
    np.testing.assert_array_equal(found[learned][:, rest], before.told.toarray()[:, rest] > 0)
    new = before.propose(Documents(rows[held]), 30).toarray() > 0
    np.testing.assert_array_equal(found[held][:, rest], new[:, rest])
    near = whole.nearest(np.arange(n)).toarray() > 0
    for label in hidden:
        own = np.flatnonzero(y[:, [label]].toarray())
        np.testing.assert_array_equal(found[:, label], near[own].any(axis=0))


def test_where_all_is_noise_one_ranker_is_kept_and_calibrated() -> None:
    rng = np.random.default_rng(0)
    rows = normalized(sp.csr_array(sp.random_array((60, 30), density=0.2, random_state=rng)))
    y = sp.csr_array((rng.random((60, 4)) < 0.3).astype(np.int8))
    fitted = fit_panel(Documents(rows.astype(np.float32)), y, names=("linear", "neighbors"), seed=0)
    assert probabilities(fitted.panel.rank(Documents(rows.astype(np.float32)), 4)[1]).max() < 0.9


@pytest.mark.parametrize("n", [1, 2, 7])
def test_a_handful_of_documents(n: int) -> None:
    rows = sp.csr_array(np.eye(n, 8, dtype=np.float32))
    y = sp.csr_array(np.eye(n, 3, dtype=np.int8) + np.eye(n, 3, k=1, dtype=np.int8) > 0)
    panel = fit_panel(Documents(rows), y, names=("linear", "neighbors"), seed=0).panel
    labels, logits = panel.rank(Documents(rows), 3)
    assert np.sort(labels, axis=1).tolist() == [[0, 1, 2]] * n
    assert np.isfinite(logits).all()


def test_of_a_few_large_groups_one_is_held_out() -> None:
    texts = ["cats purr", "dogs bark"] * 20
    documents = Documents(sp.csr_array((40, 1), dtype=np.float32), texts)
    numbers = held_out.draw_held_out(documents, 8, np.random.default_rng(0))
    assert {texts[i] for i in numbers} in ({"cats purr"}, {"dogs bark"})
    assert len(numbers) == 20


def test_equal_documents_are_held_out_together() -> None:
    texts = [f"text {i // 3}" for i in range(300)]
    documents = Documents(sp.csr_array((300, 1), dtype=np.float32), texts)
    numbers = held_out.draw_held_out(documents, 50, np.random.default_rng(0))
    assert len(numbers) == 48
    assert (np.bincount(numbers // 3) % 3 == 0).all()
    fold = held_out.draw_folds(documents, np.random.default_rng(0), 5).reshape(100, 3)
    assert (fold == fold[:, :1]).all()
    assert np.bincount(fold[:, 0]).tolist() == [20] * 5


@pytest.mark.parametrize(
    ("n", "expected"), [(2_500, 500), (5_000, 500), (20_000, 2_000), (10**6, 5_000)]
)
def test_how_many_are_held_out(n: int, expected: int) -> None:
    assert held_out.n_held_out(n) == expected


def test_ties_are_for_the_smaller_number() -> None:
    labels, logits = best(sp.csr_array(np.array([[0, 2, 5, 2, 5]], np.float32)), 5)
    assert labels.tolist() == [[2, 4, 1, 3, 0]]
    assert logits.tolist() == [[5, 5, 2, 2, final.LOWEST]]


@pytest.mark.parametrize("kind", ["trees", "logistic", "mean"])
def test_final_rankers_are_stored_and_back(large: tuple[Task, Fitted], kind: str) -> None:
    _, fitted = large
    rankers = fitted.panel.rankers
    columns = np.random.default_rng(0).random((50, final.n_columns_of(rankers)), np.float32)
    learned: final.FinalRanker = {
        "trees": fitted.panel.final,
        "logistic": final.Logistic(np.int32([0, 3]), np.array([1.0, -2.0]), 0.5),
        "mean": final.mean_of(rankers),
    }[kind]
    again = final.made_of(*final.describe(learned), rankers)
    np.testing.assert_array_equal(again(columns), learned(columns))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, a: s.update(kind="code"), "unknown kind"),
        (lambda s, a: s.update(bias="0"), "bias is no number"),
        (lambda s, a: s.update(bias=float("nan")), "bias is no number"),
        (lambda s, a: a.update(used=np.int32([0, 99])), "a column that is not there"),
        (lambda s, a: a.update(used=np.int32([0, -1])), "a column that is not there"),
        (lambda s, a: a.update(weights=np.ones(3)), "expected float64 of length 2"),
        (lambda s, a: a.update(weights=np.array([1, np.nan])), "NaN"),
        (lambda s, a: a.pop("weights"), "weights is missing"),
        (lambda s, a: s.update(kind="trees", n_columns=5), "of other rankers"),
    ],
)
def test_what_is_no_final_ranker_is_refused(
    fitted: Fitted, change: Callable[[Any, Any], Any], message: str
) -> None:
    learned = final.Logistic(np.int32([0, 3]), np.array([1.0, -2.0]), 0.5)
    settings, arrays = final.describe(learned)
    change(settings, arrays)
    with pytest.raises(ValueError, match=message):
        final.made_of(settings, arrays, fitted.panel.rankers)
