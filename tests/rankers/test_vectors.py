"""What the training documents with the nearest vectors say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from lightxml.rankers import vectors
from lightxml.rankers.base import Documents
from lightxml.rankers.vectors import Vectors, fit_vectors

N, WIDTH, N_LABELS = 80, 6, 5


def read(points: np.ndarray) -> Documents:
    empty = sp.csr_array((len(points), 0), dtype=np.float32)
    return Documents(empty, vectors=points.astype(np.float32))


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """Vectors that all lie to one side, as those of encoders do."""
    return np.random.default_rng(0).normal(size=(N, WIDTH)).astype(np.float32) + 3


@pytest.fixture(scope="module")
def y() -> sp.csr_array:
    return sp.csr_array((np.random.default_rng(1).random((N, N_LABELS)) < 0.3).astype(np.int8))


@pytest.fixture(scope="module")
def ranker(points: np.ndarray, y: sp.csr_array) -> Vectors:
    return fit_vectors(read(points), y)


def dense(
    points: np.ndarray, y: sp.csr_array, new: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """The labels' shares by their definition, in float64."""
    centre = points.mean(axis=0, dtype=np.float64)
    keys, queries = points - centre, new - centre
    keys = (keys / np.linalg.norm(keys, axis=1, keepdims=True)).astype(np.float16)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    shares = []
    for cosines in queries @ keys.astype(np.float64).T:
        nearest = np.argsort(-cosines)[:30]
        votes = np.exp(cosines[nearest] / 0.05)
        votes *= 1 if weights is None else weights[nearest]
        shares.append(votes @ y.toarray()[nearest] / votes.sum())
    return np.array(shares)


def test_shares_are_those_of_their_definition(
    ranker: Vectors, points: np.ndarray, y: sp.csr_array, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = points[:20] + np.random.default_rng(2).normal(size=(20, WIDTH))
    everything = sp.csr_array(np.ones((20, N_LABELS), np.float32))
    found = ranker.score(read(new), everything).reshape(20, N_LABELS)
    np.testing.assert_allclose(found, dense(points, y, new), atol=1e-4)
    monkeypatch.setattr(vectors, "_COSINES_AT_ONCE", 3 * N)  # three documents a block
    blocked = ranker.score(read(new), everything).reshape(20, N_LABELS)
    np.testing.assert_allclose(blocked, found, atol=1e-6)


def test_a_document_votes_with_its_weight(points: np.ndarray, y: sp.csr_array) -> None:
    weights = np.random.default_rng(3).random(N)
    weights[:40] = 0
    weighted = fit_vectors(read(points), y, sample_weight=weights)
    found = weighted.propose(read(points), N_LABELS).toarray()
    np.testing.assert_allclose(found, dense(points, y, points.copy(), weights), atol=1e-4)


def test_the_labels_with_the_largest_shares_are_proposed(
    ranker: Vectors, points: np.ndarray
) -> None:
    documents = read(points)
    found = ranker.propose(documents, 2)
    assert (np.diff(found.indptr) == 2).all()
    best = np.sort(ranker.propose(documents, N_LABELS).toarray(), axis=1)[:, -2:]
    np.testing.assert_array_equal(np.sort(found.data.reshape(-1, 2), axis=1), best)
    np.testing.assert_array_equal(ranker.score(documents, found)[:, 0], found.data)


def test_documents_are_searched_once(
    ranker: Vectors, points: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = read(points)
    found = ranker.propose(documents, 3)
    monkeypatch.setattr(vectors, "directions", lambda *args: pytest.fail("searched again"))
    assert ranker.score(documents, found).shape == (found.nnz, 1)


@pytest.mark.parametrize("n", [1, 2])
def test_a_handful_of_documents_and_one_at_the_centre(n: int) -> None:
    y = sp.csr_array(np.eye(n, 3, dtype=np.int8))
    few = fit_vectors(read(np.eye(n, 4)), y)
    shares = few.propose(read(np.stack([few.centre, np.zeros(4)])), 3).toarray()
    assert np.isfinite(shares).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)


def test_a_description_makes_the_same_ranker(ranker: Vectors, points: np.ndarray) -> None:
    again = Vectors.made_of(*ranker.describe())
    first, second = (each.propose(read(points), 3) for each in (ranker, again))
    np.testing.assert_array_equal(first.toarray(), second.toarray())


def changed(array: np.ndarray, value: Any) -> np.ndarray:
    array = array.copy()
    array.flat[0] = value
    return array


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, a: a.update(keys=a["keys"][:-1]), "keys"),
        (lambda s, a: a.update(keys=a["keys"].astype(np.float32)), "keys"),
        (lambda s, a: a.update(keys=changed(a["keys"], np.nan)), "keys"),
        (lambda s, a: a.pop("keys"), "keys is missing"),
        (lambda s, a: s.update(width=WIDTH + 1), "keys|centre"),
        (lambda s, a: a.update(centre=changed(a["centre"], np.inf)), "centre holds NaN"),
        (lambda s, a: a.update(votes=changed(a["votes"], -1)), "votes are negative"),
        (lambda s, a: a.update(votes=a["votes"][1:]), "votes is float32 of shape"),
        (lambda s, a: s.update(n_labels=2), "y_columns are out of range"),
        (lambda s, a: a.update(y_columns=changed(a["y_columns"], -1)), "y_columns are out of ra"),
        (lambda s, a: a.update(y_pointers=changed(a["y_pointers"], 1)), "y_pointers do not rise"),
        (lambda s, a: a.pop("y_columns"), "y_columns is missing"),
    ],
)
def test_what_is_no_such_ranker_is_refused(
    ranker: Vectors, change: Callable[[Any, Any], Any], message: str
) -> None:
    settings, arrays = ranker.describe()
    change(settings, arrays)
    with pytest.raises(ValueError, match=message):
        Vectors.made_of(settings, arrays)


def test_a_part_of_the_documents_says_the_same(ranker: Vectors, points: np.ndarray) -> None:
    documents = read(points)
    part = ranker.propose(documents.part(7, 9), 3).toarray()
    np.testing.assert_allclose(part, ranker.propose(documents, 3).toarray()[7:9], atol=1e-6)
    assert replace(documents).memo is documents.memo
    assert documents.part(0, N - 1).memo == {}
    assert documents.part(0, N) is documents
