"""The ranker "neighbors": shares of labels, what a search finds, that it is kept."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from lightxml.rankers.base import Documents
from lightxml.rankers.neighbors import Neighbors, fit_neighbors
from lightxml.rankers.sparse import normalized
from tests.rankers.tasks import Task, topics


@pytest.fixture(scope="module")
def task() -> Task:
    return topics()


@pytest.fixture(scope="module")
def new() -> Documents:
    return topics(30, seed=1)[0]


@pytest.fixture(scope="module")
def ranker(task: Task) -> Neighbors:
    return fit_neighbors(*task)


def every(n: int, n_labels: int) -> sp.csr_array:
    return sp.csr_array(np.ones((n, n_labels), dtype=np.float32))


def shares(cosines: np.ndarray, y: np.ndarray, n: int, weight: np.ndarray) -> np.ndarray:
    """By the book, with everything dense."""
    found = np.zeros((len(cosines), y.shape[1]))
    for i, row in enumerate(cosines):
        nearest = np.argsort(-row, kind="stable")[:n]
        votes = row[nearest] ** 2 * weight[nearest]
        found[i] = votes @ y[nearest] / votes.sum()
    return found


@pytest.mark.parametrize("weighted", [False, True], ids=["votes of 1", "sample weights"])
def test_it_says_the_share_of_a_labels_documents_among_the_nearest(
    task: Task, new: Documents, weighted: bool
) -> None:
    documents, y = task
    weight = np.random.default_rng(0).uniform(0, 2, 200) if weighted else np.ones(200)
    ranker = fit_neighbors(documents, y, sample_weight=weight if weighted else None)
    found = ranker.score(new, every(len(new), y.shape[1])).reshape(len(new), -1, 2)
    assert ranker.columns == ("share of 10", "share of 50")
    cosines = (new.rows @ ranker.rows.T).toarray()
    for column, n in enumerate((10, 50)):
        expected = shares(cosines, y.toarray(), n, weight)
        np.testing.assert_allclose(found[:, :, column], expected, atol=1e-5)


def test_a_document_of_weight_2_votes_as_if_it_were_there_twice(task: Task, new: Documents) -> None:
    documents, y = task
    few, twice = np.arange(6), np.array([0, 1, 2, 3, 4, 5, 0, 3])  # all are among the nearest 10
    weight = np.array([2.0, 1, 1, 2, 1, 1])
    rankers = [
        fit_neighbors(Documents(documents.rows[few]), y[few], sample_weight=weight),
        fit_neighbors(Documents(documents.rows[twice]), y[twice]),
        fit_neighbors(Documents(documents.rows[few]), y[few]),
    ]
    everything = sp.csr_array(np.ones((len(new), y.shape[1]), dtype=np.float32))
    one, both, plain = (ranker.score(new, everything) for ranker in rankers)
    np.testing.assert_allclose(one, both, atol=1e-6)
    assert np.abs(plain - both).max() > 0.01


def test_it_proposes_the_largest_shares(ranker: Neighbors, task: Task, new: Documents) -> None:
    y = task[1]
    found = ranker.propose(new, 3)
    assert np.diff(found.indptr).max() == 3
    np.testing.assert_allclose(found.data, ranker.score(new, found).mean(axis=1), atol=1e-6)
    whole = ranker.score(new, every(len(new), y.shape[1])).mean(axis=1).reshape(len(new), -1)
    np.testing.assert_allclose(np.sort(whole)[:, -3:].sum(), found.data.sum(), rtol=1e-5)


def test_where_documents_are_many_a_search_finds_the_nearest_by_their_rarer_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All have a word in common, and two of each kind another; of a word 20 postings are kept."""
    monkeypatch.setattr("lightxml.rankers.neighbors._N_POSTINGS", 20)
    n, rng = 400, np.random.default_rng(0)
    kind = np.repeat(np.arange(n // 2), 2)
    words = np.eye(n // 2, dtype=np.float32)[kind] * rng.uniform(1, 2, (n, 1))
    rows = normalized(sp.csr_array(np.hstack([np.ones((n, 1)), words]).astype(np.float32)))
    ranker = fit_neighbors(Documents(rows), sp.csr_array(np.eye(n, dtype=np.float32)))
    found = ranker.nearest(np.arange(n))
    expected = (rows @ rows.T).toarray()
    np.testing.assert_allclose(found.data, expected[found.nonzero()], atol=1e-3)  # whole cosines
    same = kind[:, None] == kind
    assert (found.toarray() > 0)[same].all()
    assert np.diff(found.indptr).max() == 22  # the other 20 are those with the common word heaviest


def test_a_known_document_is_left_out_where_it_learns_what_is_likely(task: Task) -> None:
    """Each document has a label of its own, which all that is like it lacks."""
    documents, y = task
    own = sp.csr_array(sp.hstack([sp.eye_array(len(documents)), y]))
    ranker = fit_neighbors(documents, own)
    likely = ranker.likely(10)
    assert (likely[:, : len(documents)].diagonal() == 0).all()
    assert np.diff(likely.indptr).max() == 10
    # Others' labels are as if the document had never been there.
    i = 3
    rest = np.delete(np.arange(len(documents)), i)
    alone = fit_neighbors(Documents(documents.rows[rest]), own[rest])
    found = alone.propose(Documents(ranker.rows[[i]]), 10)
    np.testing.assert_allclose(likely[[i]].toarray(), found.toarray(), atol=1e-6)


def test_documents_without_a_word_in_common_get_nothing(ranker: Neighbors) -> None:
    n_features, n_labels = ranker.rows.shape[1], ranker.y.shape[1]
    empty = Documents(sp.csr_array((2, n_features), dtype=np.float32))
    assert ranker.propose(empty, 5).nnz == 0
    assert not ranker.score(empty, every(2, n_labels)).any()
    nothing = fit_neighbors(empty, sp.csr_array((2, n_labels)))
    assert nothing.propose(topics(4)[0], 5).nnz == 0
    assert nothing.likely(5).shape == (2, n_labels)


def test_of_equal_shares_the_first_labels_are_proposed() -> None:
    one = Documents(sp.csr_array(np.ones((1, 1), dtype=np.float32)))
    ranker = fit_neighbors(one, every(1, 9))
    np.testing.assert_array_equal(ranker.propose(one, 3).indices, [0, 1, 2])


def test_a_score_depends_on_the_pair_alone(ranker: Neighbors, task: Task, new: Documents) -> None:
    n_labels = task[1].shape[1]
    whole = ranker.score(new, every(len(new), n_labels)).reshape(len(new), n_labels, 2)
    one = sp.csr_array(([1.0], [3], [0, 1]), shape=(1, n_labels))
    for i in (0, 5):
        np.testing.assert_array_equal(ranker.score(new.part(i, i + 1), one)[0], whole[i, 3])


def test_two_rankers_asked_about_the_same_documents_answer_for_themselves(
    ranker: Neighbors, task: Task
) -> None:
    documents, y = task
    turned = fit_neighbors(documents, sp.csr_array(y[:, ::-1]))
    asked = topics(5, seed=2)[0]
    pairs = every(5, y.shape[1])
    first = ranker.score(asked, pairs).reshape(5, -1, 2)
    other = turned.score(asked, pairs).reshape(5, -1, 2)
    np.testing.assert_allclose(other, first[:, ::-1], atol=1e-6)


def test_it_names_the_documents_that_speak_for_a_label(ranker: Neighbors, task: Task) -> None:
    documents, y = task
    asked = documents.part(4, 5)
    label = int(y[[4]].indices[0])
    found = ranker.explain(asked, label)
    assert found.documents[0] == 4
    assert found.cosines[0] == pytest.approx(1, abs=1e-3)
    assert (y[:, [label]].toarray()[found.documents] == 1).all()
    one = sp.csr_array(([1.0], [label], [0, 1]), shape=(1, y.shape[1]))
    assert found.shares.sum() == pytest.approx(float(ranker.score(asked, one)[0, 1]), abs=1e-5)


def test_numbers_may_be_counted_in_64_bits(ranker: Neighbors, task: Task, new: Documents) -> None:
    documents, y = task
    wide = [
        sp.csr_array((m.data, m.indices.astype(np.int64), m.indptr.astype(np.int64)), m.shape)
        for m in (documents.rows, y, new.rows)
    ]
    other = fit_neighbors(Documents(wide[0]), wide[1])
    found = other.propose(Documents(wide[2]), 4)
    np.testing.assert_array_equal(found.toarray(), ranker.propose(new, 4).toarray())


def test_described_and_made_of_it_says_the_same(ranker: Neighbors, new: Documents) -> None:
    other = Neighbors.made_of(*ranker.describe())
    pairs = every(len(new), ranker.y.shape[1])
    np.testing.assert_array_equal(other.score(new, pairs), ranker.score(new, pairs))


def nan(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array[0] = np.nan
    return array


@pytest.mark.parametrize(
    ("name", "harm", "complaint"),
    [
        ("rows_columns", lambda a: a + 10_000, "out of range"),
        ("rows_columns", lambda a: a[::-1].copy(), "do not rise within a row"),
        ("rows_pointers", lambda a: a + 1, "rise from 0"),
        ("rows_values", nan, "NaN"),
        ("rows_values", lambda a: a.astype(np.float32), "expected float16"),
        ("y_columns", lambda a: a * 0 - 1, "out of range"),
        ("y_columns", lambda a: a.astype(np.float64), "expected int32"),
        ("y_pointers", lambda a: a[:-1], "of length"),
        ("y_pointers", lambda a: np.r_[a[0], a[2], a[1], a[3:]], "rise from 0"),
        ("votes", lambda a: -a, "negative"),
        ("votes", nan, "NaN"),
        ("votes", lambda a: a[1:], "of length"),
        ("votes", None, "missing"),
    ],
)
def test_arrays_that_are_none_of_its_own_are_refused(
    ranker: Neighbors, name: str, harm: Any, complaint: str
) -> None:
    settings, arrays = ranker.describe()
    if harm is None:
        del arrays[name]
    else:
        arrays[name] = harm(arrays[name])
    with pytest.raises(ValueError, match=complaint):
        Neighbors.made_of(settings, arrays)


def test_nothing_of_documents_times_labels_is_made() -> None:
    n, n_labels = 3_000, 20_000  # 240 MB of float32
    rng = np.random.default_rng(0)
    rows = normalized(sp.csr_array(sp.random_array((n, 2_000), density=0.005, random_state=rng)))
    y = sp.csr_array((np.ones(n), (np.arange(n), rng.integers(n_labels, size=n))), (n, n_labels))
    tracemalloc.start()
    try:
        documents = Documents(rows)
        ranker = fit_neighbors(documents, y)
        ranker.score(documents, ranker.propose(documents, 50))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60e6
