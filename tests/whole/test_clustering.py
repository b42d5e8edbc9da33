"""Clusters of equal size: how many rows each gets, and what may not change the result."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import parallel_config
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_info, threadpool_limits

from lightxml import clustering
from lightxml.clustering import BalancedKMeans, count_halvings


def make_blocks(n_blocks: int, size: int, *, seed: int = 0) -> tuple[sp.csr_array, np.ndarray]:
    """Rows in blocks, shuffled: those of a block have columns of their own, and some noise."""
    rng = np.random.default_rng(seed)
    block = rng.permutation(np.repeat(np.arange(n_blocks), size))
    own = block[:, None] * 20 + rng.integers(20, size=(len(block), 8))
    noise = rng.integers(n_blocks * 20, size=(len(block), 2))
    columns = np.hstack([own, noise]).ravel()
    rows = np.repeat(np.arange(len(block)), 10)
    values = rng.uniform(0.5, 1, len(rows))
    return sp.csr_array((values, (rows, columns)), (len(block), n_blocks * 20)), block


def sizes_of(model: BalancedKMeans) -> list[int]:
    return np.bincount(model.labels_, minlength=model.n_clusters_).tolist()


def spread_within(X: Any, clusters: np.ndarray) -> float:
    """Return the mean squared distance of the rows to the means of their clusters."""
    X = X.toarray() if sp.issparse(X) else X
    means = np.array([X[clusters == k].mean(axis=0) for k in range(clusters.max() + 1)])
    return float(((X - means[clusters]) ** 2).sum(axis=1).mean())


# --- sizes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_rows", "max_cluster_size", "sizes"),
    [
        (1, 100, [1]),
        (1, 1, [1]),
        (3, 1, [1, 1, 1]),
        (7, 1, [1] * 7),
        (100, 100, [100]),
        (101, 100, [50, 51]),
        (200, 100, [100, 100]),
        (201, 100, [50, 50, 50, 51]),
        (9, 4, [2, 2, 2, 3]),
        (5, np.int8(100), [5]),
    ],
)
def test_rows_are_halved_until_no_cluster_is_too_large(
    n_rows: int, max_cluster_size: int, sizes: list[int]
) -> None:
    X = np.random.default_rng(0).normal(size=(n_rows, 3))
    model = BalancedKMeans(max_cluster_size, random_state=0).fit(X)
    assert sizes_of(model) == sizes
    assert model.n_clusters_ == len(sizes)
    assert model.n_features_in_ == 3
    assert model.labels_.dtype == np.int64


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.integers(1, 60), st.booleans(), st.integers(0, 2**32))
def test_sizes_differ_by_at_most_one_and_none_exceeds_the_limit(
    n_rows: int, max_cluster_size: int, sparse: bool, seed: int
) -> None:
    max_cluster_size = max(max_cluster_size, n_rows // 20)
    X: Any = np.random.default_rng(seed).poisson(0.4, size=(n_rows, 6))  # many alike, some zero
    X = sp.csr_array(X) if sparse else X
    sizes = sizes_of(BalancedKMeans(max_cluster_size, random_state=seed).fit(X))
    assert sum(sizes) == n_rows
    assert 1 <= min(sizes) <= max(sizes) <= max_cluster_size
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) < max(2 * n_rows / max_cluster_size, 2)


def test_670091_rows_and_clusters_of_100_mean_8192_clusters() -> None:
    n_clusters = 2 ** count_halvings(670_091, 100)
    assert n_clusters == 8192
    assert divmod(670_091, n_clusters)[0] == 81


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize(
    "row", [[0.0, 0, 0], [0.1, 0.2, 0.3], [1e-20, 0, 0]], ids=["zero", "alike", "tiny"]
)
def test_rows_that_are_all_the_same_are_cut_in_their_order_without_a_warning(
    row: list[float], sparse: bool, dtype: type
) -> None:
    X: Any = np.tile(np.array(row, dtype=dtype), (20, 1))
    model = BalancedKMeans(5, random_state=0).fit(sp.csr_array(X) if sparse else X)
    assert model.labels_.tolist() == np.repeat(range(4), 5).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_of_rows_that_are_the_same_the_first_go_to_the_left(seed: int) -> None:
    kinds = np.random.default_rng(seed).uniform(size=(5, 3))
    kind = np.random.default_rng(seed).integers(5, size=600)
    labels = BalancedKMeans(100, random_state=0).fit(sp.csr_array(kinds[kind])).labels_
    for k in range(5):
        assert (np.diff(labels[kind == k]) >= 0).all()


def test_rows_that_differ_by_rounding_give_no_warning() -> None:
    X = np.ones((50, 4)) + 1e-12 * np.random.default_rng(0).normal(size=(50, 4))
    with pytest.warns(match="distinct clusters"):
        KMeans(2, n_init=1, random_state=0).fit(X.round(3))  # what is kept from the user
    for n_jobs in (1, 2):
        assert sizes_of(BalancedKMeans(13, random_state=0, n_jobs=n_jobs).fit(X)) == [
            12, 13, 12, 13]  # fmt: skip


def test_zero_rows_among_others_and_zero_columns_have_clusters_too() -> None:
    X, _ = make_blocks(4, 20)
    X = sp.csr_array(sp.vstack([X, sp.csr_array((33, X.shape[1]))]))
    model = BalancedKMeans(15, random_state=0).fit(X)
    assert sizes_of(model) == [14, 14, 14, 14, 14, 14, 14, 15]


# --- what may not change the result -------------------------------------------------------------


@pytest.fixture(scope="module")
def blocks() -> tuple[sp.csr_array, np.ndarray]:
    return make_blocks(16, 25)


@pytest.fixture(scope="module")
def expected(blocks: tuple[sp.csr_array, np.ndarray]) -> np.ndarray:
    return BalancedKMeans(25, random_state=0).fit_predict(blocks[0])


def with_64_bit_indices(X: sp.csr_array) -> sp.csr_array:
    X = X.copy()
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def in_halves_and_backwards(X: sp.csr_array) -> sp.csr_array:
    """Store every entry as two, in descending order of the columns."""
    entries = X.tocoo()
    order = np.lexsort([-entries.col, entries.row]).repeat(2)
    parts = (entries.data[order] / 2, entries.col[order], 2 * X.indptr)
    return sp.csr_array(parts, shape=X.shape)


@pytest.mark.parametrize(
    "convert",
    [
        sp.csr_array.toarray,
        lambda X: X.toarray(order="F"),
        sp.csr_matrix,
        sp.csc_array,
        sp.coo_matrix,
        with_64_bit_indices,
        in_halves_and_backwards,
        lambda X: X.astype(np.float32),
    ],
    ids=["dense", "Fortran", "csr_matrix", "csc", "coo", "int64", "not canonical", "float32"],
)
def test_dense_and_sparse_rows_of_any_format_give_the_same_clusters(
    blocks: tuple[sp.csr_array, np.ndarray], expected: np.ndarray, convert: Any
) -> None:
    X = convert(blocks[0])
    before = X.copy()
    model = BalancedKMeans(25, random_state=0).fit(X)
    assert np.array_equal(model.labels_, expected)
    if sp.issparse(X):
        assert np.array_equal(X.data, before.data)
        X, before = X.toarray(), before.toarray()
    assert np.array_equal(X, before)


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("n_jobs", [2, None])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_jobs_and_threads_change_nothing_and_stay_as_they_were(
    blocks: tuple[sp.csr_array, np.ndarray],
    expected: np.ndarray,
    sparse: bool,
    n_jobs: int | None,
    n_threads: int,
) -> None:
    X = blocks[0] if sparse else blocks[0].toarray()
    with threadpool_limits(n_threads):
        before = threadpool_info()
        model = BalancedKMeans(25, random_state=0, n_jobs=n_jobs).fit(X)
        assert threadpool_info() == before
    assert np.array_equal(model.labels_, expected)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_every_split_finds_its_centres_in_one_thread(
    blocks: tuple[sp.csr_array, np.ndarray], n_jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_threads: list[int] = []

    class Watched(KMeans):
        def fit(self, X: Any, y: Any = None) -> Watched:
            n_threads.extend(pool["num_threads"] for pool in threadpool_info())
            return super().fit(X)

    monkeypatch.setattr(clustering, "KMeans", Watched)
    with threadpool_limits(2):
        BalancedKMeans(100, random_state=0, n_jobs=n_jobs).fit(blocks[0])
    assert set(n_threads) == {1}
    assert len(n_threads) == 3 * len(threadpool_info())


def test_a_joblib_context_chooses_the_jobs(
    blocks: tuple[sp.csr_array, np.ndarray], expected: np.ndarray
) -> None:
    with parallel_config(n_jobs=2):
        model = BalancedKMeans(25, random_state=0).fit(blocks[0])
    assert np.array_equal(model.labels_, expected)


def test_warning_filters_stay_as_they_were(blocks: tuple[sp.csr_array, np.ndarray]) -> None:
    before = list(warnings.filters)
    BalancedKMeans(25, random_state=0, n_jobs=2).fit(blocks[0])
    assert warnings.filters == before


def numpys_own_state() -> bytes:
    return pickle.dumps(np.random.get_state())  # noqa: NPY002


@pytest.mark.parametrize(
    "random_state", [0, np.random.RandomState(3), np.random.default_rng(3)], ids=["int", "RS", "G"]
)
def test_the_same_seed_gives_the_same_clusters_and_is_not_advanced(
    blocks: tuple[sp.csr_array, np.ndarray], random_state: Any
) -> None:
    before, numpys_own = pickle.dumps(random_state), numpys_own_state()
    model = BalancedKMeans(30, random_state=random_state)
    first = model.fit(blocks[0]).labels_
    assert np.array_equal(clone(model).fit(blocks[0]).labels_, first)
    assert pickle.dumps(random_state) == before
    assert numpys_own_state() == numpys_own


def test_another_seed_gives_other_clusters(blocks: tuple[sp.csr_array, np.ndarray]) -> None:
    labels = [BalancedKMeans(30, random_state=seed).fit(blocks[0]).labels_ for seed in (0, 1)]
    assert not np.array_equal(*labels)
    numpys_own = numpys_own_state()
    BalancedKMeans(30).fit(blocks[0])
    assert numpys_own_state() == numpys_own


def test_columns_that_no_row_uses_change_nothing(
    blocks: tuple[sp.csr_array, np.ndarray], expected: np.ndarray
) -> None:
    X = blocks[0].tocoo()
    wide = sp.csr_array((X.data, (X.row, X.col * 1000)), (X.shape[0], X.shape[1] * 1000))
    assert np.array_equal(BalancedKMeans(25, random_state=0).fit(wide).labels_, expected)


# --- how good they are --------------------------------------------------------------------------


def test_rows_that_belong_together_come_together() -> None:
    X, block = make_blocks(2, 50)
    clusters = BalancedKMeans(50, random_state=0).fit_predict(X)
    assert adjusted_rand_score(block, clusters) == 1


def test_clusters_are_far_tighter_than_random_ones_of_the_same_sizes(
    blocks: tuple[sp.csr_array, np.ndarray], expected: np.ndarray
) -> None:
    X, block = blocks
    shuffled = np.random.default_rng(0).permutation(expected)
    within, at_best, by_chance = (spread_within(X, c) for c in (expected, block, shuffled))
    assert at_best <= within < at_best + 0.4 * (by_chance - at_best)
    assert adjusted_rand_score(block, expected) > 0.4


def test_exchanging_means_and_cut_makes_clusters_tighter(
    blocks: tuple[sp.csr_array, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    def mean_spread() -> float:
        models = [BalancedKMeans(25, random_state=seed).fit(blocks[0]) for seed in range(3)]
        return float(np.mean([spread_within(blocks[0], model.labels_) for model in models]))

    exchanged = mean_spread()
    monkeypatch.setattr(clustering, "MAX_CUTS", 1)
    assert exchanged < 0.97 * mean_spread()


def test_a_sample_of_the_rows_makes_clusters_as_tight(
    blocks: tuple[sp.csr_array, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    def mean_spread() -> float:
        models = [BalancedKMeans(25, random_state=seed).fit(blocks[0]) for seed in range(5)]
        return float(np.mean([spread_within(blocks[0], model.labels_) for model in models]))

    from_all = mean_spread()
    monkeypatch.setattr(clustering, "MAX_SAMPLE", 60)
    assert mean_spread() < 1.05 * from_all


def test_each_cut_is_the_best_for_its_two_means() -> None:
    X = np.random.default_rng(0).normal(size=(40, 2))
    labels = BalancedKMeans(20, random_state=0).fit_predict(X)
    means = [X[labels == side].mean(axis=0) for side in (0, 1)]
    key = ((X - means[0]) ** 2).sum(axis=1) - ((X - means[1]) ** 2).sum(axis=1)
    assert key[labels == 0].max() <= key[labels == 1].min()


def test_neighbours_in_number_are_halves_of_one_cluster(
    blocks: tuple[sp.csr_array, np.ndarray], expected: np.ndarray
) -> None:
    coarser = BalancedKMeans(50, random_state=0).fit_predict(blocks[0])
    assert np.array_equal(expected // 2, coarser)


# --- the estimator ------------------------------------------------------------------------------


# The checks' 50 rows in three groups want few clusters, but more than the default's one. None
# is excused; one that must be goes into `expected_failed_checks`, with its reason.
@parametrize_with_checks([BalancedKMeans(max_cluster_size=15, random_state=0)])
def test_it_keeps_scikit_learns_contract(estimator: BalancedKMeans, check: Any) -> None:
    check(estimator)


def test_arguments_are_kept_and_can_be_set() -> None:
    model = BalancedKMeans(7, random_state=3, n_jobs=2)
    assert clone(model).get_params() == {"max_cluster_size": 7, "random_state": 3, "n_jobs": 2}
    X = np.arange(12.0)[:, None]
    assert model.fit(X).n_clusters_ == 2
    assert model.set_params(max_cluster_size=3).fit(X).n_clusters_ == 4
    assert repr(BalancedKMeans()) == "BalancedKMeans()"
    with pytest.raises(TypeError, match="positional"):
        BalancedKMeans(7, 3)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"max_cluster_size": 0}, ValueError, r"^max_cluster_size == 0, must be >= 1"),
        ({"max_cluster_size": 2.0}, TypeError, r"^max_cluster_size must be an instance of int"),
        ({"max_cluster_size": None}, TypeError, r"^max_cluster_size must be an instance of int"),
        ({"random_state": "seed"}, TypeError, "SeedSequence expects int"),
        ({"n_jobs": 0}, ValueError, "n_jobs == 0"),
    ],
)
def test_bad_arguments_are_refused_at_fit(
    params: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        BalancedKMeans(**{"max_cluster_size": 2, **params}).fit(np.eye(5))


def test_column_numbers_out_of_range_are_refused() -> None:
    X = sp.csr_array(np.eye(4))
    X.indices[2] = 2**30
    with pytest.raises(ValueError, match=r"^X is a damaged sparse matrix \(.+\)\. Build it again"):
        BalancedKMeans(2).fit(X)
