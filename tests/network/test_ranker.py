"""The network as one ranker among others: what it proposes and says is what it predicts."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from lightxml import LightXMLClassifier
from lightxml.network import prediction
from lightxml.network.ranker import UNSEEN, NetworkRanker, ranker_of
from lightxml.predicting.fitted import represented
from lightxml.rankers.base import Documents

N_LABELS = 12


@pytest.fixture(scope="module")
def read(
    fitted: LightXMLClassifier, documents: tuple[list[str], sp.csr_array]
) -> tuple[Documents, np.ndarray]:
    """Documents as rankers read them, and the network's logits of all labels."""
    read = fitted._model.read(documents[0][:20])
    return read, prediction.predict_logits(fitted.network_, read.encoded)


@pytest.fixture(scope="module")
def ranker(fitted: LightXMLClassifier, read: tuple[Documents, np.ndarray]) -> NetworkRanker:
    """One that has not seen the first document's best label, and its sixth."""
    seen = np.ones(N_LABELS, dtype=bool)
    seen[np.argsort(-read[1][0])[[0, 5]]] = False
    return ranker_of(fitted.network_, 40, seen)


def test_it_scores_any_labels_with_the_networks_logits(
    ranker: NetworkRanker, read: tuple[Documents, np.ndarray]
) -> None:
    documents, logits = read
    chosen = np.random.default_rng(0).random(logits.shape) < 0.4
    chosen[3] = False  # a document without candidates
    found = ranker.score(documents, sp.csr_array(chosen.astype(np.float32)))
    expected = logits.copy()
    expected[:, ~ranker.seen] = UNSEEN
    assert found.shape == (chosen.sum(), 1)
    np.testing.assert_allclose(found[:, 0], expected[chosen], atol=1e-5)


def test_no_candidates_have_no_scores(
    ranker: NetworkRanker, read: tuple[Documents, np.ndarray]
) -> None:
    nothing = sp.csr_array((20, N_LABELS), dtype=np.float32)
    assert ranker.score(read[0], nothing).shape == (0, 1)


def test_it_proposes_its_best_labels_but_none_that_it_has_not_seen(
    ranker: NetworkRanker, read: tuple[Documents, np.ndarray]
) -> None:
    documents, logits = read
    found = ranker.propose(documents, 5)
    best = np.argsort(-logits, axis=1)[:, :5]
    expected = np.zeros(logits.shape, dtype=bool)
    np.put_along_axis(expected, best, True, axis=1)
    expected[:, ~ranker.seen] = False
    assert found.has_sorted_indices
    np.testing.assert_array_equal(found.toarray() != 0, expected)
    np.testing.assert_allclose(found.data, logits[expected], atol=1e-5)
    np.testing.assert_allclose(ranker.score(documents, found)[:, 0], found.data, atol=1e-5)
    assert ranker.propose(documents, 100).nnz == 20 * (N_LABELS - 2)


def test_what_is_represented_once_is_not_represented_again(
    fitted: LightXMLClassifier, ranker: NetworkRanker, read: tuple[Documents, np.ndarray]
) -> None:
    documents, logits = read
    once = represented(fitted._model, documents)
    assert represented(fitted._model, once) is once
    assert once.encoded.tokens is None
    found = ranker.propose(once, N_LABELS).toarray()
    expected = np.where(ranker.seen, logits, 0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_its_description_says_which_labels_it_has_seen(ranker: NetworkRanker) -> None:
    settings, arrays = ranker.describe()
    assert settings == {"n_documents": 40}
    assert arrays["seen"].dtype == np.uint8
    np.testing.assert_array_equal(arrays["seen"], ranker.seen)
