"""Clusters of equal size: rows are halved again and again by balanced 2-means."""

from __future__ import annotations

import warnings
from functools import cache
from numbers import Integral
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import check_scalar, validate_data
from threadpoolctl import ThreadpoolController

from lightxml.data.matrices import check_indices
from lightxml.data.random import RandomState, own_generator
from lightxml.rankers.sent import received, sent_once

# What bounds the cost of a split, whatever its size. The exchange between means and cut, which
# sees every row, makes up for it: the clusters of 22,625 real labels and of 150,000 synthetic
# ones were as tight, to within 1 %, as when KMeans saw all rows or had 300 iterations.
MAX_SAMPLE = 10_000  # rows that KMeans sees
MAX_ITER = 10  # iterations of KMeans
MAX_CUTS = 20  # almost all splits settle before; more brought under 1 %


class BalancedKMeans(ClusterMixin, BaseEstimator):
    """Cluster rows into clusters of equal size by balanced 2-means, halving again and again.

    Each split takes its two centres from `sklearn.cluster.KMeans`, sorts the rows by the
    difference of their squared distances to the two, and cuts in the middle. The means of the
    two halves then take the place of the centres and the rows are cut again, until no row
    changes sides (at most 20 times); no such exchange makes the halves looser. Equal keys are
    cut in the order of the rows, so identical rows are no obstacle.

    All clusters are halved equally often, as often as the largest needs, so that their number
    is a power of two and all sizes differ by at most one: 670,091 rows give 8,192 clusters of
    81 or 82, and 201 rows four of 50 or 51. (With ``max_cluster_size=1``, clusters of one row
    are left as they are.)

    The result does not depend on `n_jobs`, on joblib's backend, nor on the number of threads
    that BLAS and OpenMP may use: each split runs in one thread, with a seed made of
    `random_state` and the split's place in the tree.

    Parameters
    ----------
    max_cluster_size : int, default=100
        No cluster gets more rows than this.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the centres. An instance is not advanced: a second fit repeats the first.
    n_jobs : int or None, default=None
        How many splits are made at the same time; -1 for one on each processor. None is 1 unless
        in a `joblib.parallel_config` context. Threads that share `X`, unless such a context
        names another backend, which sends `X` to each of its processes once.

    Attributes
    ----------
    labels_ : ndarray of int64, shape (n_samples,)
        The cluster of each row, from 0 to ``n_clusters_ - 1``. Numbers follow the tree: the
        clusters 2 i and 2 i + 1 are the halves of one.
    n_clusters_ : int
        The number of clusters.
    n_features_in_ : int
        The number of columns seen in `fit`.
    feature_names_in_ : ndarray of str, shape (n_features,)
        The names of the columns. Only when `X` has some, all of them str.

    Notes
    -----
    Time grows with n_samples x log2(n_samples / max_cluster_size). So that the first splits of
    a large matrix do not outweigh all others, KMeans sees at most 10,000 rows of a split, drawn
    at random, for at most 10 iterations; the exchange of means and cut that follows sees all of
    them. The parts at work take at most one and a half times the memory of `X` beside it.

    Rows are compared by their Euclidean distance; normalise them to unit length first to
    compare by cosine.

    References
    ----------
    Y. Prabhu et al., "Parabel: Partitioned Label Trees for Extreme Classification with
    Application to Dynamic Search Advertising", WWW 2018: trees of labels by balanced 2-means.

    M. I. Malinen and P. Fränti, "Balanced K-Means for Clustering", S+SSPR 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from lightxml.clustering import BalancedKMeans
    >>> X = np.array([[0.0], [9.1], [0.2], [9.0], [0.1], [9.3]])
    >>> BalancedKMeans(max_cluster_size=3, random_state=0).fit_predict(X).tolist() in (
    ...     [0, 1, 0, 1, 0, 1], [1, 0, 1, 0, 1, 0])
    True
    """

    def __init__(
        self,
        max_cluster_size: int = 100,
        *,
        random_state: RandomState = None,
        n_jobs: int | None = None,
    ) -> None:
        self.max_cluster_size = max_cluster_size
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> Self:
        """Cluster the rows of X.

        Parameters
        ----------
        X : sparse or dense matrix of numbers, shape (n_samples, n_features)
            Left as it is. float32 is computed in float32, which halves the memory.
        y : None
            Not used; there for scikit-learn's convention.

        Returns
        -------
        BalancedKMeans
            Itself.

        Raises
        ------
        TypeError, ValueError
            If `max_cluster_size` is not an int of at least 1, `random_state` is no seed, or X
            is not a matrix of finite numbers with a row and a column, or is a damaged sparse one.
        """
        if sp.issparse(X):
            check_indices(X, "X")
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32])
        if sp.issparse(X) and not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()  # KMeans takes repeated entries for different columns
        parts = sent_once(_parts_of(X))
        n_halvings = count_halvings(X.shape[0], self.max_cluster_size)
        root = int(own_generator(self.random_state).integers(2**63))

        clusters = [np.arange(X.shape[0])]  # the rows of each
        # Both settings are the whole process's: made here, once, so that threads which put them
        # back in any order change nothing. Rows that are all but identical are no news.
        with (
            _thread_pools().limit(limits=1),
            warnings.catch_warnings(),
            Parallel(self.n_jobs, prefer="threads") as parallel,
        ):
            warnings.simplefilter("ignore", ConvergenceWarning)
            for depth in range(n_halvings):
                halves = parallel(
                    delayed(_halve)([root, depth, place], rows, X.shape, *parts)
                    for place, rows in enumerate(clusters)
                )
                clusters = [half for pair in halves for half in pair if len(half)]

        self.n_clusters_ = len(clusters)
        self.labels_ = np.empty(X.shape[0], dtype=np.int64)
        for number, rows in enumerate(clusters):
            self.labels_[rows] = number
        return self

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn that sparse matrices are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def count_halvings(n_rows: int, max_cluster_size: int) -> int:
    """Return how often `n_rows` must be halved until no part is above `max_cluster_size`."""
    check_scalar(max_cluster_size, "max_cluster_size", Integral, min_val=1)
    n_halvings = 0
    while n_rows > int(max_cluster_size) << n_halvings:
        n_halvings += 1
    return n_halvings


@cache
def _thread_pools() -> ThreadpoolController:
    """Return this process's BLAS and OpenMP: the imports above have loaded them."""
    return ThreadpoolController()


def _parts_of(X: Any) -> tuple[np.ndarray, ...]:
    """Return a matrix as arrays."""
    if not sp.issparse(X):
        return (X,)
    indices, indptr = X.indices, X.indptr
    if max(X.nnz, *X.shape) < 2**31:  # as scipy would have them, for each split anew
        indices, indptr = (a.astype(np.int32, copy=False) for a in (indices, indptr))
    return X.data, indices, indptr


def _halve(
    seed: list[int], rows: np.ndarray, shape: tuple[int, int], *parts: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Cut some rows of a matrix into two halves, the first of which may have one row fewer."""
    if len(rows) < 2:
        return rows[:0], rows
    parts = received(parts)
    X = parts[0] if len(parts) == 1 else sp.csr_array(parts, shape=shape)
    part = X[rows]
    if sp.issparse(part):
        part = _without_unused_columns(part)
    # Of a thread, OpenMP's alone: it keeps its limit by thread. Of another process, both.
    with _thread_pools().limit(limits=1):
        return _halves(part, rows, np.random.default_rng(seed))


def _halves(part: Any, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cut rows, whose matrix is `part`."""
    n_rows, n_left = len(rows), len(rows) // 2
    direction = _between_centres(part, rng)
    left = np.zeros(n_rows, dtype=bool)
    for _ in range(MAX_CUTS):
        # |x - a|^2 - |x - b|^2 is 2 x.(b - a) and a constant: a row's key is x.(b - a).
        order = np.argsort(part @ direction, kind="stable")
        is_left = np.zeros(n_rows, dtype=bool)
        is_left[order[:n_left]] = True
        if np.array_equal(is_left, left):
            break
        left = is_left
        weights = np.where(left, -1 / n_left, 1 / (n_rows - n_left)).astype(part.dtype)
        direction = part.T @ weights  # from the mean of the left rows to that of the others
    return rows[left], rows[~left]


def _between_centres(part: Any, rng: np.random.Generator) -> np.ndarray:
    """Return the difference of the two centres that KMeans finds in (a sample of) the rows."""
    if part.shape[0] > MAX_SAMPLE:
        part = part[np.sort(rng.choice(part.shape[0], MAX_SAMPLE, replace=False))]
    if sp.issparse(part):  # KMeans takes 32-bit indices only, which now suffice
        indices, indptr = (a.astype(np.int32, copy=False) for a in (part.indices, part.indptr))
        part = sp.csr_array((part.data, indices, indptr), shape=part.shape)
    seed = int(rng.integers(2**31))
    kmeans = KMeans(n_clusters=2, n_init=1, max_iter=MAX_ITER, random_state=seed).fit(part)
    return kmeans.cluster_centers_[1] - kmeans.cluster_centers_[0]


def _without_unused_columns(part: Any) -> sp.csr_array:
    """Number the columns anew without those that are zero: centres are dense, and they many."""
    used = np.zeros(part.shape[1], dtype=bool)
    used[part.indices] = True
    number = np.cumsum(used, dtype=np.int32) - 1
    n_used = max(int(np.count_nonzero(used)), 1)  # KMeans wants a column, also of zeros
    # Indices and indptr must be of one width, and 32 bits do for all but the largest parts.
    indptr = part.indptr.astype(np.int32) if part.nnz < 2**31 else part.indptr
    return sp.csr_array((part.data, number[part.indices], indptr), (part.shape[0], n_used))
