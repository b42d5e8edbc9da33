"""Rankers of other labels, and a vectorizer of more words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer

from lightxml.data.vocabulary import with_new_words
from lightxml.rankers.base import Documents
from lightxml.rankers.label_texts import fit_label_rows, fit_label_texts
from lightxml.rankers.label_tree import fit_label_tree
from lightxml.rankers.label_vectors import fit_label_vectors
from lightxml.rankers.linear import fit_linear
from lightxml.rankers.neighbors import fit_neighbors
from lightxml.rankers.vectors import fit_vectors
from tests.rankers.tasks import topics

N_LABELS = 12
READ, Y = topics()
TEXTS = [f"topic{i % N_LABELS} words" for i in range(len(READ))]
VECTORS = np.random.default_rng(0).normal(size=(len(READ), 8)).astype(np.float16)
DOCUMENTS = Documents(READ.rows, TEXTS, VECTORS)
NAMES = [(f"topic{j}", f"the topic {j}") for j in range(N_LABELS)]
EVERY = sp.csr_array(np.ones(Y.shape))
RANKERS = {
    "linear": lambda: fit_linear(DOCUMENTS, Y, EVERY, seed=0),
    "label_tree": lambda: fit_label_tree(DOCUMENTS, Y, seed=0),
    "neighbors": lambda: fit_neighbors(DOCUMENTS, Y),
    "vectors": lambda: fit_vectors(DOCUMENTS, Y),
    "label_texts": lambda: fit_label_texts(NAMES, DOCUMENTS),
    "label_rows": lambda: fit_label_rows(sp.csr_array((Y.T @ READ.rows).astype(np.float32))),
    "label_vectors": lambda: fit_label_vectors(NAMES, np.repeat(VECTORS[:12], 2, 0), DOCUMENTS),
}


@pytest.mark.parametrize("name", RANKERS)
def test_a_ranker_of_other_labels_says_the_same_of_those_it_knew(name: str) -> None:
    ranker: Any = RANKERS[name]()
    source = np.array([0, 2, 3, -1, 5, 11, -1])  # the fourth and the last are new
    moved = ranker.relabeled(source)
    asked = sp.csr_array(np.ones((len(DOCUMENTS), len(source)), dtype=np.float32))
    found = moved.score(DOCUMENTS, asked).reshape(len(DOCUMENTS), len(source), -1)
    before = ranker.score(DOCUMENTS, EVERY).reshape(len(DOCUMENTS), N_LABELS, -1)
    known = source >= 0
    np.testing.assert_array_equal(found[:, known], before[:, source[known]])
    proposed = moved.propose(DOCUMENTS, 3)
    assert proposed.shape == (len(DOCUMENTS), len(source))
    assert not proposed[:, np.flatnonzero(~known)].nnz
    assert len(set(found[:, ~known].reshape(-1, found.shape[2])[:, 0])) == 1  # nothing to tell
    settings, arrays = moved.describe()
    again = type(ranker).made_of(settings, arrays)
    np.testing.assert_array_equal(again.score(DOCUMENTS, asked), moved.score(DOCUMENTS, asked))


@pytest.mark.parametrize("kind", [TfidfVectorizer, CountVectorizer])
def test_new_words_get_columns_behind_the_others(kind: Any) -> None:
    vectorizer = kind().fit(["the cat", "the dog"])
    wider = with_new_words(vectorizer, ["a cat and some mice", "mice"], 4)
    before, after = (
        each.transform(["the cat the mice"]).toarray()[0] for each in (vectorizer, wider)
    )
    assert list(wider.get_feature_names_out()) == ["cat", "dog", "the", "and", "mice", "some"]
    assert len(vectorizer.vocabulary_) == 3
    scale = np.linalg.norm(after[:3]) / np.linalg.norm(before) if kind is TfidfVectorizer else 1
    np.testing.assert_allclose(after[:3], before * scale)
    assert after[4] > 0
    if kind is TfidfVectorizer:
        np.testing.assert_array_equal(wider.idf_[:3], vectorizer.idf_)
        assert wider.idf_[4] == pytest.approx(np.log(5 / 3) + 1)
    assert wider.get_params() == vectorizer.get_params()


def test_no_more_features_are_kept_than_were_asked_for() -> None:
    vectorizer = TfidfVectorizer(max_features=4).fit(["the cat", "the dog"])
    wider = with_new_words(vectorizer, ["once twice", "twice"], 4)
    assert list(wider.get_feature_names_out()) == ["cat", "dog", "the", "twice"]
    full = with_new_words(wider, ["more"], 5)
    assert full is wider


@pytest.mark.parametrize(
    "vectorizer",
    [HashingVectorizer(n_features=8), TfidfVectorizer(vocabulary=["cat"])],
)
def test_a_vocabulary_that_is_given_stays(vectorizer: Any) -> None:
    vectorizer.fit(["a cat"])
    assert with_new_words(vectorizer, ["a dog"], 2) is vectorizer
