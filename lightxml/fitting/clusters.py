"""Label clusters: the features of labels, their clusters, and the check of given ones."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import normalize
from sklearn.utils import get_tags
from threadpoolctl import threadpool_limits

from lightxml.arguments import EXPECTED_CLUSTERS
from lightxml.clustering import BalancedKMeans, count_halvings
from lightxml.data.inputs import Inputs
from lightxml.data.labels import Labels
from lightxml.data.matrices import FeatureMatrix
from lightxml.data.random import RandomState, own_generator
from lightxml.data.texts import is_missing
from lightxml.exceptions import warn
from lightxml.fitting import decisions

# Beyond this many times the mean of the others, the largest cluster sets what a step costs: the
# candidates of a batch are padded to the longest list. Against the mean of all, two clusters
# could never be out of balance: it is at least half of the larger one.
MAX_IMBALANCE = 4
MAX_DENSE_BYTES = 2**30  # for clusterers that take no sparse features


def make_label_clusters(
    label_clusters: Any,
    X: FeatureMatrix | None,
    y: sp.csr_array,
    *,
    max_cluster_size: int = 100,
    random_state: RandomState = None,
    n_jobs: int | None = None,
) -> np.ndarray:
    """Return the cluster of each label, made from the documents or given.

    A clusterer sees the features (`label_features`) of the labels that have a document; the
    others are spread over the smallest clusters (`spread_empty`). `BalancedKMeans` leaves room
    for them, so that no cluster exceeds its `max_cluster_size` in the end either.

    Parameters
    ----------
    label_clusters : True, clusterer, or array of int, shape (n_labels,)
        True is ``BalancedKMeans(max_cluster_size)``. Any scikit-learn clusterer with `labels_`
        after `fit` will do, also at the end of a Pipeline; it is cloned, gets a seed where its
        `random_state` is None, and is fitted in one thread, as several change the centres. An
        array gives a number for each label; numbers may be skipped.
    X : csr_array or ndarray of float, shape (n_documents, n_features), or None
        The documents' features, such as TF-IDF. Only a clusterer needs them.
    y : csr_array, shape (n_documents, n_labels)
        The labels of the documents as `lightxml.data.labels.encode` gives them.
    max_cluster_size : int, default=100
        For ``label_clusters=True``.
    random_state : int, RandomState, Generator or None, default=None
        Seed for a clusterer without one. An instance is not advanced.
    n_jobs : int or None, default=None
        For ``label_clusters=True``.

    Returns
    -------
    ndarray of int64, shape (n_labels,)
        Numbers from 0 to n_clusters - 1, all of them used.

    Raises
    ------
    TypeError
        If `label_clusters` is none of the above.
    ValueError
        If a given array has not one number for each label, or holds a missing, negative or
        fractional one; if a clusterer fails, leaves a label without a cluster (-1, as DBSCAN
        does), has no `labels_` of the right length, or takes dense features only where these
        would need more than 1 GiB.

    Warns
    -----
    UserWarning
        If the largest cluster has over 4 times as many labels as the others on average.
    """
    if label_clusters is True:
        label_clusters = BalancedKMeans(max_cluster_size, n_jobs=n_jobs)
    if isinstance(label_clusters, BaseEstimator):
        numbers = _fit_clusters(label_clusters, X, y, random_state)
    else:
        numbers = _check_numbers(label_clusters, y.shape[1])
    clusters = np.unique(numbers, return_inverse=True)[1].astype(np.int64)  # none skipped
    _warn_of_imbalance(np.bincount(clusters))
    return clusters


def cluster_labels(
    params: dict[str, Any], inputs: Inputs, labels: Labels, seed: int
) -> np.ndarray | None:
    """Return each label's cluster, or None where labels are not to be clustered."""
    n_labels = len(labels.classes)
    if not decisions.wants_clusters(params, n_labels):
        return None
    given = params["label_clusters"]
    reads = isinstance(given, (bool, np.bool_, str, BaseEstimator))
    clusters = make_label_clusters(
        True if isinstance(given, (str, np.bool_)) else given,
        matrix_of(inputs) if reads else inputs.matrix,
        labels.matrix,
        max_cluster_size=params["max_cluster_size"],
        random_state=seed,
        n_jobs=params["n_jobs"],
    )
    check_sizes(params, clusters)
    return clusters


def matrix_of(inputs: Inputs) -> FeatureMatrix:
    """Return the features of documents; of documents without, TF-IDF of their words."""
    if inputs.matrix is not None:
        return inputs.matrix
    return sp.csr_array(TfidfVectorizer(sublinear_tf=True).fit_transform(inputs.texts))


def check_sizes(params: dict[str, Any], clusters: np.ndarray) -> None:
    """Hold the arguments about candidates against the clusters that there are.

    Raises
    ------
    ValueError
        If there are not so many labels outside of a document's clusters as are to be drawn.

    Warns
    -----
    UserWarning
        If there are not so many clusters as are to be candidates.
    """
    sizes = np.sort(np.bincount(clusters))[::-1]
    n_taken, n_random = params["n_candidate_clusters"], params["n_random_negatives"]
    if n_taken > len(sizes):
        warn(
            f"n_candidate_clusters={n_taken} is more than the {len(sizes)} clusters of labels; "
            "all are taken. Lower it, or max_cluster_size."
        )
    n_left = int(sizes[n_taken:].sum())
    if n_random > n_left:
        raise ValueError(
            f"n_random_negatives={n_random} is more than the {n_left} labels that are left beside "
            f"{n_taken} clusters of {sizes[0]}. Lower it, or n_candidate_clusters."
        )


def check_given_clusters(label_clusters: Any, n_labels: int) -> None:
    """Check an array of cluster numbers, before anything is fitted; a clusterer shows later.

    Raises
    ------
    TypeError, ValueError
    """
    if not isinstance(label_clusters, (bool, np.bool_, str, type(None), BaseEstimator)):
        _check_numbers(label_clusters, n_labels)


def label_features(X: FeatureMatrix, y: Any) -> FeatureMatrix:
    """Describe each label by its documents: the normalised sum of their normalised rows.

    Parameters
    ----------
    X : sparse or dense matrix of float, shape (n_documents, n_features)
    y : sparse or dense indicator matrix, shape (n_documents, n_labels)

    Returns
    -------
    csr_array or ndarray, shape (n_labels, n_features)
        Sparse if `X` is, and of its type. Rows of Euclidean length 1; a label without a
        document, or with documents whose rows are all zero, has a row of zeros.

    References
    ----------
    H.-F. Yu et al., "PECOS: Prediction for Enormous and Correlated Output Spaces", JMLR 2022
    (PIFA, positive instance feature aggregation).
    """
    rows = normalize(X)  # a copy; rows of zeros stay
    sums = sp.csr_array(y).T.tocsr().astype(rows.dtype) @ rows
    if sp.issparse(sums):
        parts = (sums.data, sums.indices, sums.indptr)
        if sums.nnz < 2**31:  # many clusterers take 32-bit indices only
            parts = (sums.data, *(part.astype(np.int32, copy=False) for part in parts[1:]))
        sums = sp.csr_array(parts, shape=sums.shape)
        sums.sort_indices()
    return normalize(sums, copy=False)


def spread_empty(numbers: np.ndarray, n_clusters: int) -> np.ndarray:
    """Put each label without a cluster into the smallest one, counting those put before.

    Parameters
    ----------
    numbers : ndarray of int, shape (n_labels,)
        The cluster of each label; -1 for a label without one.
    n_clusters : int
        The number of clusters; those that `numbers` does not use are filled too.

    Returns
    -------
    ndarray of int64, shape (n_labels,)
        A copy without -1. Of clusters of equal size the lowest number is filled first.
    """
    spread = np.array(numbers, dtype=np.int64)
    sizes = np.bincount(spread[spread >= 0], minlength=n_clusters).tolist()
    smallest_first = [(size, number) for number, size in enumerate(sizes)]
    heapq.heapify(smallest_first)
    for label in np.flatnonzero(spread < 0).tolist():
        size, number = smallest_first[0]
        spread[label] = number
        heapq.heapreplace(smallest_first, (size + 1, number))
    return spread


def _fit_clusters(prototype: BaseEstimator, X: Any, y: sp.csr_array, seed: RandomState) -> Any:
    """Return the number of every label's cluster, as a clone of the clusterer finds them."""
    has_document = np.bincount(y.indices, minlength=y.shape[1]) > 0
    n_labels, n_seen = len(has_document), int(np.count_nonzero(has_document))
    clusterer = clone(prototype)
    n_clusters = 0
    if isinstance(clusterer, BalancedKMeans):
        # As many clusters as all labels need, the seen ones shared out evenly.
        n_halvings = count_halvings(n_labels, clusterer.max_cluster_size)
        n_clusters = min(2**n_halvings, n_labels)
        clusterer.set_params(max_cluster_size=-(-n_seen // 2**n_halvings))
    own_seed = int(own_generator(seed).integers(2**31))
    without_seed = {
        name: own_seed
        for name, value in clusterer.get_params().items()
        if value is None and name.split("__")[-1] == "random_state"
    }
    clusterer.set_params(**without_seed)
    labels = _fit_rows(clusterer, label_features(X, y[:, has_document]), repr(prototype))
    if labels.min() < 0:
        left_out = np.flatnonzero(has_document)[labels < 0]
        raise ValueError(
            f"label_clusters={prototype!r} leaves {len(left_out):,} labels without a cluster, "
            f"label {left_out[0]} the first of them. Take a clusterer that gives every row one, "
            "such as BalancedKMeans, or choose their clusters and pass an array."
        )
    used, renumbered = np.unique(labels, return_inverse=True)
    numbers = np.full(n_labels, -1)
    numbers[has_document] = renumbered
    return spread_empty(numbers, max(n_clusters, len(used)))


def _fit_rows(clusterer: BaseEstimator, features: Any, name: str) -> np.ndarray:
    """Fit a clusterer, the last step of a Pipeline perhaps, and return its labels of the rows."""
    steps = list(clusterer) if isinstance(clusterer, Pipeline) else [clusterer]
    if sp.issparse(features) and not get_tags(steps[0]).input_tags.sparse:
        n_bytes = features.dtype.itemsize * features.shape[0] * features.shape[1]
        if n_bytes > MAX_DENSE_BYTES:
            raise ValueError(
                f"label_clusters={name} takes no sparse matrix, and the features of "
                f"{features.shape[0]:,} labels would need {n_bytes / 2**30:,.1f} GiB as a dense "
                "one. Take a clusterer that does, or put a TruncatedSVD before it in a Pipeline."
            )
        features = features.toarray()
    try:
        with threadpool_limits(1):
            clusterer.fit(features)
    except (ValueError, TypeError, AttributeError) as error:  # of what is no clusterer, perhaps
        raise ValueError(
            f"label_clusters={name} failed on the features of {features.shape[0]:,} labels: {error}"
        ) from error
    if not hasattr(steps[-1], "labels_"):
        raise ValueError(
            f"label_clusters={name} has no labels_ after fit; expected {EXPECTED_CLUSTERS}."
        )
    labels = np.asarray(steps[-1].labels_)
    if len(labels) != features.shape[0]:
        raise ValueError(
            f"label_clusters={name} has {len(labels):,} labels_ after fit on "
            f"{features.shape[0]:,} rows; expected a clusterer of rows."
        )
    return labels


def _check_numbers(given: Any, n_labels: int) -> np.ndarray:
    """Check an array of cluster numbers that the caller gave."""
    if isinstance(given, (type, str)) or not hasattr(given, "__len__") or sp.issparse(given):
        raise TypeError(f"label_clusters is {given!r}; expected {EXPECTED_CLUSTERS}.")
    numbers = np.asarray(given)
    if numbers.shape != (n_labels,):
        raise ValueError(
            f"label_clusters has shape {numbers.shape}, but there are {n_labels:,} labels; "
            "expected one cluster number for each."
        )
    if numbers.dtype == object:  # such as [0, None]
        missing = np.array([is_missing(number) for number in numbers.tolist()])
        if not missing.any():
            numbers = np.array(numbers.tolist())
    elif numbers.dtype.kind == "f":
        missing = np.isnan(numbers)
    else:
        missing = np.zeros(n_labels, dtype=bool)
    _refuse(numbers, missing, "is missing")
    if numbers.dtype.kind not in "iuf":
        raise TypeError(f"label_clusters has dtype {numbers.dtype}; expected int.")
    _refuse(numbers, numbers < 0, "is negative")
    _refuse(numbers, ~np.isfinite(numbers) | (numbers != np.floor(numbers)), "is no whole number")
    return numbers


def _refuse(numbers: np.ndarray, wrong: np.ndarray, problem: str) -> None:
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(
            f"label_clusters[{i}] {problem} ({numbers[i]}); expected a cluster number of 0 or "
            "above for every label."
        )


def _warn_of_imbalance(sizes: np.ndarray) -> None:
    largest, others = sizes.max(), np.delete(sizes, np.argmax(sizes))
    if len(others) and largest > MAX_IMBALANCE * others.mean():
        warn(
            f"label_clusters are far out of balance: of {len(sizes):,} clusters the largest has "
            f"{largest:,} labels, the smallest {sizes.min():,}, the median {np.median(sizes):,.0f}."
            " A document that meets the largest is ranked against all of it, so memory and time "
            "grow with it. label_clusters=True makes clusters of equal size."
        )
