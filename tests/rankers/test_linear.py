"""The ranker "linear": what it proposes and says, what it learns from, that it is kept."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from lightxml.rankers import sparse
from lightxml.rankers.base import Documents
from lightxml.rankers.linear import Linear, fit_linear
from lightxml.rankers.sparse import normalized
from tests.rankers.tasks import Task, topics


@pytest.fixture(scope="module")
def task() -> Task:
    return topics()


@pytest.fixture(scope="module")
def ranker(task: Task) -> Linear:
    documents, y = task
    return fit_linear(documents, y, sp.csr_array(np.ones(y.shape)), seed=0)


def every(n: int, n_labels: int) -> sp.csr_array:
    return sp.csr_array(np.ones((n, n_labels), dtype=np.float32))


def test_it_says_the_margins(ranker: Linear, task: Task) -> None:
    documents, y = task
    found = ranker.score(documents, every(*y.shape)).reshape(y.shape)
    expected = (documents.rows @ ranker.weights.T).toarray() + ranker.bias
    np.testing.assert_allclose(found, expected, atol=1e-6)
    is_own = y.toarray() > 0
    assert found[is_own].min() > found[~is_own].max()
    assert ranker.columns == ("margin",)


def test_long_texts_are_scored_to_the_same_bits(
    ranker: Linear, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents, y = task
    found = ranker.score(documents, every(*y.shape))
    monkeypatch.setattr(sparse, "_FEW_PRODUCTS", -1)  # as if no text were short
    np.testing.assert_array_equal(ranker.score(documents, every(*y.shape)), found)


def test_it_proposes_what_it_scores_highest(ranker: Linear, task: Task) -> None:
    documents = task[0]
    found = ranker.propose(documents, 2)
    assert np.diff(found.indptr).max() == 2
    np.testing.assert_allclose(found.data, ranker.score(documents, found)[:, 0], atol=1e-6)
    best = ranker.propose(documents, 1).indices
    np.testing.assert_array_equal(best, (documents.rows @ ranker.weights.T).toarray().argmax(1))
    assert found.has_sorted_indices


def test_a_score_depends_on_the_pair_alone(ranker: Linear, task: Task) -> None:
    documents, y = task
    whole = ranker.score(documents, every(*y.shape)).reshape(y.shape)
    one = sp.csr_array(([1.0], [3], [0, 1]), shape=(1, y.shape[1]))
    for i in (0, 5):
        assert ranker.score(documents.part(i, i + 1), one)[0, 0] == whole[i, 3]


def test_an_empty_document_gets_the_bias_and_no_proposal(ranker: Linear) -> None:
    n_labels, n_features = ranker.weights.shape
    empty = Documents(sp.csr_array((2, n_features), dtype=np.float32))
    assert ranker.propose(empty, 5).nnz == 0
    scores = ranker.score(empty, every(2, n_labels)).reshape(2, n_labels)
    np.testing.assert_array_equal(scores, np.tile(ranker.bias, (2, 1)))


def test_likely_documents_are_learned_to_be_told_apart() -> None:
    """A label's twin words, in many documents that lack it, next to no other in common."""
    n, own = 3_000, 20
    rng = np.random.default_rng(0)
    X = sp.lil_array(sp.random_array((n, 60), density=0.1, random_state=rng))
    X[: own + 100, 0] = 3.0
    X[:own, 1] = 0.5
    documents = Documents(normalized(sp.csr_array(X)))
    y = sp.csr_array((np.ones(own), (np.arange(own), np.zeros(own, int))), shape=(n, 2))
    twins = np.arange(own, own + 100)
    likely = sp.csr_array((np.ones(100), (twins, np.zeros(100, int))), shape=(n, 2))
    pairs = sp.csr_array((np.ones(100), (twins, np.zeros(100, int))), shape=(n, 2))
    told = {
        known: fit_linear(documents, y, likely if known else sp.csr_array((n, 2)), seed=0)
        .score(documents, pairs)
        .mean()
        for known in (False, True)
    }
    assert told[True] < told[False] - 0.1


def test_given_labels_alone_are_fitted_anew(ranker: Linear, task: Task) -> None:
    documents, y = task
    more = sp.csr_array(sp.hstack([y, y[:, [0]], sp.csr_array((y.shape[0], 1))]))
    n_old = y.shape[1]
    changed = sp.csr_array(more.tolil())
    changed.data[changed.indices == 1] = 0
    changed.eliminate_zeros()  # label 1 lost all documents; label 2 is not asked about
    changed = sp.csr_array(changed)
    found = ranker.update(documents, changed, every(*changed.shape), np.array([n_old, 1]), seed=0)
    assert found.weights.shape[0] == n_old + 2
    assert found.weights[[1]].nnz == 0
    assert found.bias[1] == -1
    assert (found.weights[[2]] != ranker.weights[[2]]).nnz == 0
    np.testing.assert_allclose(
        found.weights[[n_old]].toarray(), ranker.weights[[0]].toarray(), atol=0.2
    )
    assert (found.weights[[n_old + 1]].nnz, found.bias[n_old + 1]) == (0, -1)


def test_it_explains_a_margin_as_a_sum(ranker: Linear, task: Task) -> None:
    documents, y = task
    document = documents.part(4, 5)
    label = int(y[[4]].indices[0])
    found = ranker.explain(document, label)
    one = sp.csr_array(([1.0], [label], [0, 1]), shape=(1, y.shape[1]))
    assert found.margin == pytest.approx(float(ranker.score(document, one)[0, 0]), abs=1e-5)
    assert found.margin == pytest.approx(found.bias + found.contributions.sum(), abs=1e-5)
    assert set(found.columns) <= set(document.rows.indices)
    assert (np.diff(found.contributions) <= 0).all()


def test_described_and_made_of_it_says_the_same(ranker: Linear, task: Task) -> None:
    documents, y = task
    other = Linear.made_of(*ranker.describe())
    pairs = every(*y.shape)
    np.testing.assert_array_equal(other.score(documents, pairs), ranker.score(documents, pairs))
    assert (other.propose(documents, 3) != ranker.propose(documents, 3)).nnz == 0


def nan(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array[0] = np.nan
    return array


@pytest.mark.parametrize(
    ("name", "harm", "complaint"),
    [
        ("weights_columns", lambda a: a * 0 - 1, "out of range"),
        ("weights_columns", lambda a: a + 10_000, "out of range"),
        ("weights_columns", lambda a: a[::-1].copy(), "do not rise within a row"),
        ("weights_columns", lambda a: a.astype(np.int64), "expected int32"),
        ("weights_columns", lambda a: a[:-1], "do not rise from 0 to"),
        ("weights_pointers", lambda a: a[::-1].copy(), "rise from 0"),
        ("weights_pointers", lambda a: np.r_[a[0], a[2], a[1], a[3:]], "rise from 0"),
        ("weights_pointers", lambda a: a + 1, "rise from 0"),
        ("weights_pointers", lambda a: a[:-1], "of length"),
        ("weights_values", nan, "NaN"),
        ("weights_values", lambda a: a.reshape(-1, 1), "of shape"),
        ("weights_values", lambda a: a[:-1], "expected float16 of length"),
        ("bias", nan, "NaN"),
        ("bias", lambda a: a[:-1], "of length"),
        ("bias", None, "missing"),
    ],
)
def test_arrays_that_are_none_of_its_own_are_refused(
    ranker: Linear, name: str, harm: Any, complaint: str
) -> None:
    settings, arrays = ranker.describe()
    if harm is None:
        del arrays[name]
    else:
        arrays[name] = harm(arrays[name])
    with pytest.raises(ValueError, match=complaint):
        Linear.made_of(settings, arrays)


def test_it_predicts_without_numba(ranker: Linear) -> None:
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "import numpy as np, scipy.sparse as sp\n"
        "from lightxml.rankers.base import Documents\n"
        "from lightxml.rankers.linear import Linear\n"
        "import lightxml.rankers.neighbors\n"
        "one = sp.csr_array(np.ones((1, 1), dtype=np.float32))\n"
        "made = Linear(one, np.zeros(1, dtype=np.float32))\n"
        "assert made.score(Documents(one), made.propose(Documents(one), 1))[0, 0] == 1\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
