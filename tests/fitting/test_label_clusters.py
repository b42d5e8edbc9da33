"""Label features, label clusters made or given, and what is refused as either."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.cluster import AgglomerativeClustering, FeatureAgglomeration, KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_info, threadpool_limits

from lightxml.clustering import BalancedKMeans
from lightxml.fitting import clusters as label_clusters
from lightxml.fitting.clusters import label_features, make_label_clusters, spread_empty

# --- label features ---------------------------------------------------------------------------

X = np.array([[3.0, 4, 0], [0, 2, 0], [0, 0, 0], [0, 0, 5]])
# Labels: two documents; one; none; only the empty document; the empty one and another.
Y = np.array([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1]])
SUM = np.array([0.6, 0.8 + 1, 0])  # of (3, 4, 0) / 5 and (0, 1, 0)
FEATURES = np.array([SUM / np.linalg.norm(SUM), [0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make_y", [np.asarray, sp.csr_array, sp.csc_matrix, sp.coo_array])
@pytest.mark.parametrize("make_x", [np.asarray, sp.csr_array, sp.csr_matrix])
def test_a_label_is_the_normalised_sum_of_its_documents_normalised_rows(
    make_x: Any, make_y: Any, dtype: type
) -> None:
    documents, y = make_x(X.astype(dtype)), make_y(Y.astype(np.int8))
    features = label_features(documents, y)
    assert type(features) is (np.ndarray if make_x is np.asarray else sp.csr_array)
    assert features.dtype == dtype
    dense = features.toarray() if sp.issparse(features) else features
    np.testing.assert_allclose(dense, FEATURES, rtol=1e-6)
    before = documents.toarray() if sp.issparse(documents) else documents
    assert np.array_equal(before, X)  # the caller's rows are not normalised


def test_label_features_of_many_labels_stay_sparse() -> None:
    n = 1_000_000
    y = sp.csr_array((np.ones(3, dtype=np.int8), [0, n // 2, n - 1], [0, 1, 2, 3]), shape=(3, n))
    documents = sp.csr_array((np.ones(3), [0, n - 1, n - 1], [0, 1, 2, 3]), shape=(3, n))
    features = label_features(documents, y)
    assert features.shape == (n, n)
    assert features.nnz == 3


# --- labels without a document ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "n_clusters", "spread"),
    [
        ([0, 1, 1, 2], 3, [0, 1, 1, 2]),
        ([0, 0, 0, 1, -1], 2, [0, 0, 0, 1, 1]),
        ([-1, 0, -1, 0, 0, 1, -1, -1], 2, [1, 0, 1, 0, 0, 1, 0, 1]),
        ([0, -1, -1, 0, -1], 3, [0, 1, 2, 0, 1]),
        ([-1, -1, -1], 2, [0, 1, 0]),
    ],
    ids=["none", "one", "until all are equal", "unused clusters too", "all"],
)
def test_labels_without_a_cluster_go_to_the_smallest(
    numbers: list[int], n_clusters: int, spread: list[int]
) -> None:
    given = np.array(numbers)
    assert spread_empty(given, n_clusters).tolist() == spread
    assert given.tolist() == numbers


@given(st.lists(st.integers(-1, 5), max_size=60))
def test_spreading_never_makes_a_cluster_larger_than_it_must(numbers: list[int]) -> None:
    before = np.bincount([n for n in numbers if n >= 0], minlength=6)
    spread = spread_empty(np.array(numbers, dtype=int), 6)
    after = np.bincount(spread, minlength=6)
    assert all(s == n for s, n in zip(spread, numbers, strict=True) if n >= 0)
    grown = after > before
    if grown.any():
        assert after[grown].max() <= after.min() + 1


# --- clusters that are made -------------------------------------------------------------------


def make_task(n_labels: int, n_empty: int = 0, *, seed: int = 0) -> tuple[sp.csr_array, Any]:
    """Documents of one label each, whose columns tell its group of ten; empties come first."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(n_labels - n_empty), 2)
    columns = (label // 10)[:, None] * 8 + rng.integers(8, size=(len(label), 5))
    values = rng.uniform(1, 2, columns.size).astype(np.float32)
    entries = (values, (np.repeat(np.arange(len(label)), 5), columns.ravel()))
    documents = sp.csr_array(entries, (len(label), (n_labels // 10 + 1) * 8))
    ones = np.ones(len(label), dtype=np.int8)
    y = sp.csr_array((ones, label + n_empty, np.arange(len(label) + 1)), (len(label), n_labels))
    return documents, y


@pytest.mark.parametrize("n_labels", [1, 2, 100, 101, 201, 333])
@pytest.mark.parametrize("part_empty", [0, 0.1, 0.9])
def test_true_makes_clusters_of_equal_size_whatever_part_has_documents(
    n_labels: int, part_empty: float
) -> None:
    documents, y = make_task(n_labels, int(part_empty * n_labels))
    clusters = make_label_clusters(True, documents, y, max_cluster_size=20, random_state=0)
    sizes = np.bincount(clusters)
    assert clusters.shape == (n_labels,)
    assert clusters.dtype == np.int64
    assert max(sizes) <= 20
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == 2 ** int(np.ceil(np.log2(n_labels / 20))) or n_labels <= 20


def test_true_is_balanced_k_means_on_the_label_features() -> None:
    documents, y = make_task(80)
    made = make_label_clusters(True, documents, y, max_cluster_size=10, random_state=0)
    group = np.arange(80) // 10
    assert np.mean([len(set(made[group == g])) for g in range(8)]) < 2.5  # 5.6 by chance
    own = BalancedKMeans(10, random_state=5)
    by_hand = BalancedKMeans(10, random_state=5).fit_predict(label_features(documents, y))
    assert np.array_equal(make_label_clusters(own, documents, y), by_hand)
    dense = make_label_clusters(own, documents.toarray(), y)
    assert np.array_equal(dense, by_hand)


def test_labels_with_documents_are_shared_out_before_those_without_are_spread() -> None:
    documents, y = make_task(160, 80)
    clusters = make_label_clusters(True, documents, y, max_cluster_size=20, random_state=0)
    assert np.bincount(clusters[80:]).tolist() == [10] * 8
    assert np.bincount(clusters[:80]).tolist() == [10] * 8
    few, y = make_task(160, 157)
    clusters = make_label_clusters(True, few, y, max_cluster_size=20, random_state=0)
    assert np.bincount(clusters).tolist() == [20] * 8


@pytest.mark.parametrize(
    "clusterer",
    [
        KMeans(8, n_init=1),
        AgglomerativeClustering(8),
        make_pipeline(TruncatedSVD(8), AgglomerativeClustering(8)),
    ],
    ids=lambda clusterer: (
        type(clusterer[-1] if hasattr(clusterer, "steps") else clusterer).__name__
    ),
)
@pytest.mark.filterwarnings("ignore:label_clusters are far out of balance")
def test_any_clusterer_that_gives_every_row_a_cluster_will_do(clusterer: BaseEstimator) -> None:
    documents, y = make_task(90, 10)
    state = repr(vars(clusterer))
    results = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            results.append(make_label_clusters(clusterer, documents, y, random_state=0))
    assert np.array_equal(*results)
    assert set(results[0]) == set(range(8))
    assert repr(vars(clusterer)) == state  # a clone was fitted


@pytest.mark.filterwarnings("ignore:label_clusters are far out of balance")
def test_a_seed_of_the_clusterers_own_is_kept_and_a_missing_one_is_given() -> None:
    documents, y = make_task(80)
    features = label_features(documents, y)
    with threadpool_limits(1):
        alone = KMeans(3, n_init=1, random_state=7).fit(features).labels_
    for random_state in (0, 1):
        made = make_label_clusters(
            KMeans(3, n_init=1, random_state=7), documents, y, random_state=random_state
        )
        assert len(set(zip(made, alone, strict=True))) == 3
    callers = np.random.RandomState(0)
    state = repr(callers.get_state())
    first, second = (
        make_label_clusters(True, documents, y, max_cluster_size=20, random_state=callers)
        for _ in range(2)
    )
    assert np.array_equal(first, second)
    assert repr(callers.get_state()) == state


class Numbers(BaseEstimator):
    """A clusterer whose result is known beforehand."""

    def __init__(self, labels: Any = None) -> None:
        self.labels = labels

    def fit(self, X: Any, y: Any = None) -> Numbers:
        self.n_threads_ = {pool["num_threads"] for pool in threadpool_info()}
        if self.labels is not None:
            self.labels_ = self.labels
        return self


def test_skipped_numbers_are_closed_up_before_labels_without_documents_are_spread() -> None:
    documents, y = make_task(6, 2)
    made = make_label_clusters(Numbers([7, 7, 2, 7]), documents, y)
    assert made.tolist() == [0, 0, 1, 1, 0, 1]


FEW = make_task(6, 2)


def test_a_clusterer_is_fitted_in_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    clusterer = Numbers([0, 0, 1, 1])
    monkeypatch.setattr(label_clusters, "clone", lambda _: clusterer)
    with threadpool_limits(2):
        make_label_clusters(clusterer, *FEW)
    assert clusterer.n_threads_ == {1}


REFUSED_CLUSTERERS: list[tuple[BaseEstimator, str]] = [
    (GaussianMixture(2), "label_clusters=GaussianMixture(n_components=2) has no labels_ after fit; "
     "expected True, a clusterer (an instance), or an array with a cluster number for each label."),
    (FeatureAgglomeration(2), "label_clusters=FeatureAgglomeration() has 8 labels_ after fit on 4 "
     "rows; expected a clusterer of rows."),
    (Numbers([0, -1, 1, -1]), "label_clusters=Numbers(labels=[0, -1, 1, -1]) leaves 2 labels "
     "without a cluster, label 3 the first of them. Take a clusterer that gives every row one, "
     "such as BalancedKMeans, or choose their clusters and pass an array."),
    (KMeans(5), "label_clusters=KMeans(n_clusters=5) failed on the features of 4 labels: "
     "n_samples=4 should be >= n_clusters=5."),
    (BalancedKMeans(0), "max_cluster_size == 0, must be >= 1."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("clusterer", "message"),
    REFUSED_CLUSTERERS,
    ids=[type(row[0]).__name__ for row in REFUSED_CLUSTERERS],
)
def test_a_clusterer_that_does_not_cluster_every_label_is_refused(
    clusterer: BaseEstimator, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make_label_clusters(clusterer, *FEW)


def test_a_dense_clusterer_is_refused_before_too_large_an_array_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(label_clusters, "MAX_DENSE_BYTES", 100)
    message = (
        "label_clusters=AgglomerativeClustering() takes no sparse matrix, and the features of 4 "
        "labels would need 0.0 GiB as a dense one. Take a clusterer that does, or put a "
        "TruncatedSVD before it in a Pipeline."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make_label_clusters(AgglomerativeClustering(), *FEW)


# --- clusters that are given ------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        [5, 2, 2, 9, 5, 2],
        (5, 2, 2, 9, 5, 2),
        np.array([5, 2, 2, 9, 5, 2], dtype=np.uint8),
        np.array([5.0, 2, 2, 9, 5, 2]),
        np.array([5, 2, 2, 9, 5, 2], dtype=object),
        pd.Series([5, 2, 2, 9, 5, 2], index=list("fedcba")),
        pd.Series([5, 2, 2, 9, 5, 2], dtype="Int64"),
        np.array([50, 2, 2, 2**63, 50, 2], dtype=np.uint64),
    ],
    ids=["list", "tuple", "uint8", "float", "object", "Series", "Int64", "uint64"],
)
def test_given_numbers_are_numbered_anew_without_gaps(given: Any) -> None:
    clusters = make_label_clusters(given, None, FEW[1])
    assert clusters.tolist() == [1, 0, 0, 2, 1, 0]
    assert clusters.dtype == np.int64


EXPECTED = (
    "expected True, a clusterer (an instance), or an array with a cluster number for each label."
)
NUMBER = "expected a cluster number of 0 or above for every label."
SHAPE = "but there are 6 labels; expected one cluster number for each."

REFUSED: list[tuple[str, Any, type[Exception], str]] = [
    ("short", [0, 1, 0], ValueError, f"label_clusters has shape (3,), {SHAPE}"),
    ("column", np.zeros((6, 1)), ValueError, f"label_clusters has shape (6, 1), {SHAPE}"),
    ("negative", [0, 1, -1, 0, 1, -2], ValueError, f"label_clusters[2] is negative (-1); {NUMBER}"),
    ("NaN", [0, 1, 0, np.nan, 1, 0], ValueError, f"label_clusters[3] is missing (nan); {NUMBER}"),
    ("NA", np.array([0, 1, 1, 0, 1, pd.NA], dtype=object), ValueError,
     f"label_clusters[5] is missing (<NA>); {NUMBER}"),
    ("fraction", [0, 1, 0, 0.5, 1, 0], ValueError,
     f"label_clusters[3] is no whole number (0.5); {NUMBER}"),
    ("infinite", [0, 1, 0, np.inf, 1, 0], ValueError,
     f"label_clusters[3] is no whole number (inf); {NUMBER}"),
    ("texts", list("abcabc"), TypeError, "label_clusters has dtype <U1; expected int."),
    ("bools", [True, False] * 3, TypeError, "label_clusters has dtype bool; expected int."),
    ("False", False, TypeError, f"label_clusters is False; {EXPECTED}"),
    ("word", "kmeans", TypeError, f"label_clusters is 'kmeans'; {EXPECTED}"),
    ("class", KMeans, TypeError,
     f"label_clusters is <class 'sklearn.cluster._kmeans.KMeans'>; {EXPECTED}"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "error", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_numbers_that_are_no_clusters_are_refused(
    given: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        make_label_clusters(given, None, FEW[1])


# --- balance ----------------------------------------------------------------------------------


def given_sizes(sizes: list[int]) -> tuple[np.ndarray, None, sp.csr_array]:
    return np.repeat(np.arange(len(sizes)), sizes), None, sp.csr_array((1, sum(sizes)), dtype="i1")


@pytest.mark.parametrize(
    "sizes", [[1919, 81], [5, 1], [41, 10, 10, 10], [1, 1, 1, 5], [900, 1, 99]]
)
def test_clusters_far_out_of_balance_give_a_warning_with_the_sizes(sizes: list[int]) -> None:
    message = (
        f"label_clusters are far out of balance: of {len(sizes)} clusters the largest has "
        f"{max(sizes):,} labels, the smallest {min(sizes):,}, the median {np.median(sizes):,.0f}. "
        "A document that meets the largest is ranked against all of it, so memory and time grow "
        "with it. label_clusters=True makes clusters of equal size."
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$") as caught:
        make_label_clusters(*given_sizes(sizes))
    assert caught[0].filename == __file__


@pytest.mark.parametrize("sizes", [[2000], [4, 1], [40, 10, 10, 10], [82, 81], [100, 30, 80, 4]])
def test_clusters_of_moderate_balance_give_none(sizes: list[int]) -> None:
    assert np.bincount(make_label_clusters(*given_sizes(sizes))).tolist() == sizes


def test_a_clusterer_s_clusters_are_judged_with_the_labels_that_were_spread() -> None:
    documents, y = make_task(20, 10)
    lopsided = Numbers([0] * 9 + [1])
    sizes = np.bincount(make_label_clusters(lopsided, documents, y))
    assert sizes.tolist() == [10, 10]
    with pytest.warns(UserWarning, match="of 2 clusters the largest has 9 labels, the smallest 1,"):
        make_label_clusters(lopsided, *make_task(10))
