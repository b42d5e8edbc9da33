"""What the vectors of the labels' texts say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from lightxml.rankers import label_vectors
from lightxml.rankers.base import Documents
from lightxml.rankers.label_vectors import LabelVectors, fit_label_vectors

WIDTH = 6
TEXTS = [("a", "b"), (), ("c",), ("d", "e", "f"), ("g",)]  # of five labels
N_TEXTS, N_LABELS = 7, len(TEXTS)
OWNERS = np.array([0, 0, 2, 3, 3, 3, 4])


def read(points: np.ndarray) -> Documents:
    empty = sp.csr_array((len(points), 0), dtype=np.float32)
    return Documents(empty, vectors=points.astype(np.float16))


@pytest.fixture(scope="module")
def keys() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N_TEXTS, WIDTH))


@pytest.fixture(scope="module")
def documents() -> Documents:
    return read(3 * np.random.default_rng(1).normal(size=(20, WIDTH)) + 1)


@pytest.fixture(scope="module")
def ranker(keys: np.ndarray, documents: Documents) -> LabelVectors:
    return fit_label_vectors(TEXTS, keys, documents)


def best_cosines(documents: Documents, keys: np.ndarray) -> np.ndarray:
    """The best cosine of each label's texts by its definition, 0 without a text."""
    assert documents.vectors is not None
    queries = documents.vectors.astype(np.float64)
    centre = queries.mean(axis=0)
    queries, keys = queries - centre, keys - centre
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    cosines = queries @ (keys / np.linalg.norm(keys, axis=1, keepdims=True)).T
    found = np.zeros((len(documents), N_LABELS))
    for label in set(OWNERS.tolist()):
        found[:, label] = cosines[:, label == OWNERS].max(axis=1)
    return found


def test_the_best_of_a_labels_texts_counts(
    ranker: LabelVectors,
    documents: Documents,
    keys: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everything = sp.csr_array(np.ones((20, N_LABELS), np.float32))
    expected = best_cosines(documents, keys)
    for at_once in (2**20, 3 * WIDTH, 1):
        monkeypatch.setattr(label_vectors, "_NUMBERS_AT_ONCE", at_once)
        said = ranker.score(documents, everything).reshape(20, N_LABELS)
        np.testing.assert_allclose(said, expected, atol=2e-3)


def test_the_labels_with_the_largest_cosines_are_proposed(
    ranker: LabelVectors,
    documents: Documents,
    keys: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = best_cosines(documents, keys)
    expected[:, 1] = -np.inf  # it has no text
    best = np.sort(np.argsort(-expected, axis=1)[:, :2], axis=1)
    for at_once in (2**20, 3 * N_TEXTS, 1):
        monkeypatch.setattr(label_vectors, "_COSINES_AT_ONCE", at_once)
        found = ranker.propose(documents, 2)
        np.testing.assert_array_equal(found.indices.reshape(20, 2), best)
        said = ranker.score(documents, found)[:, 0]
        np.testing.assert_allclose(found.data, said, atol=1e-6)
    assert np.diff(ranker.propose(documents, 50).indptr).tolist() == [4] * 20


def test_what_is_said_of_a_label_depends_on_no_other_candidate(
    ranker: LabelVectors, documents: Documents
) -> None:
    everything = sp.csr_array(np.ones((20, N_LABELS), np.float32))
    alone = sp.csr_array(np.eye(1, N_LABELS, 3, dtype=np.float32).repeat(20, axis=0))
    said = ranker.score(documents, everything).reshape(20, N_LABELS)[:, 3]
    np.testing.assert_array_equal(ranker.score(documents, alone)[:, 0], said)


def test_no_label_has_a_text_or_a_vector() -> None:
    for texts, vectors in (([(), ()], np.empty((0, WIDTH))), ([("a",), ()], np.zeros((1, WIDTH)))):
        documents = read(np.outer([1, -1, 0], np.ones(WIDTH)))  # their mean is 0
        ranker = fit_label_vectors(texts, vectors, documents)
        assert ranker.propose(documents, 2).shape == (3, 2)
        assert ranker.propose(documents, 2).nnz == 0
        everything = sp.csr_array(np.ones((3, 2), np.float32))
        assert not ranker.score(documents, everything).any()


def test_a_document_at_the_centre_is_near_nothing(ranker: LabelVectors) -> None:
    documents = Documents(sp.csr_array((1, 0), dtype=np.float32), vectors=ranker.centre[None])
    assert not ranker.score(documents, sp.csr_array(np.ones((1, N_LABELS), np.float32))).any()
    assert np.isfinite(ranker.propose(documents, 2).data).all()


def test_a_description_makes_the_same_ranker(ranker: LabelVectors, documents: Documents) -> None:
    again = LabelVectors.made_of(*ranker.describe())
    first, second = (each.propose(documents, 3) for each in (ranker, again))
    np.testing.assert_array_equal(first.toarray(), second.toarray())


def changed(array: np.ndarray, value: Any) -> np.ndarray:
    array = array.copy()
    array.flat[0] = value
    return array


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, a: a.update(keys=a["keys"][:-1]), r"keys is float16 of shape \(6, 6\)"),
        (lambda s, a: a.update(keys=a["keys"].astype(np.float32)), "keys is float32"),
        (lambda s, a: a.update(keys=changed(a["keys"], np.nan)), "keys holds NaN"),
        (lambda s, a: a.update(keys=2 * a["keys"]), "keys are not of length 1"),
        (lambda s, a: a.pop("keys"), "keys is missing"),
        (lambda s, a: s.update(width=WIDTH + 1), "keys is float16"),
        (lambda s, a: a.update(centre=changed(a["centre"], np.inf)), "centre holds NaN"),
        (lambda s, a: a.update(centre=a["centre"][1:]), "centre is float32 of shape"),
        (lambda s, a: s.update(n_labels=4), "owners are out of range"),
        (lambda s, a: s.update(n_labels="5"), "n_labels is '5'"),
        (lambda s, a: a.update(owners=changed(a["owners"], -1)), "owners are out of range"),
        (lambda s, a: a.update(owners=a["owners"][::-1].copy()), "in the order of their labels"),
        (lambda s, a: a.pop("owners"), "owners is missing"),
    ],
)
def test_what_is_no_such_ranker_is_refused(
    ranker: LabelVectors, change: Callable[[Any, Any], Any], message: str
) -> None:
    settings, arrays = ranker.describe()
    change(settings, arrays)
    with pytest.raises(ValueError, match=message):
        LabelVectors.made_of(settings, arrays)
