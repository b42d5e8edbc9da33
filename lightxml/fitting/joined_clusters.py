"""Label clusters that stay, and take new labels in."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from lightxml.data.inputs import Inputs
from lightxml.data.labels import Labels
from lightxml.fitting.clusters import (
    check_sizes,
    cluster_labels,
    label_features,
    matrix_of,
    spread_empty,
)

_AT_ONCE = 1_024  # new labels, whose distances to all clusters are held


def clusters_with_new(
    params: dict[str, Any], inputs: Inputs, labels: Labels, kept: np.ndarray, seed: int
) -> np.ndarray | None:
    """Return each label's cluster, those that labels had among them.

    Clusters that have lost all labels are gone. Where all labels are new, they are clustered anew.

    Parameters
    ----------
    params : dict
        The arguments of `LightXMLClassifier`, by name.
    inputs : Inputs
        All training documents.
    labels : Labels
    kept : ndarray of int64, shape (n_labels,)
        The cluster of each label; -1 for a new one.
    seed : int

    Returns
    -------
    ndarray of int64, shape (n_labels,)
        Numbers from 0, all in use.

    Raises
    ------
    ValueError
        As `cluster_labels`.
    """
    if (kept < 0).all():
        return cluster_labels({**params, "label_clusters": True}, inputs, labels, seed)
    clusters = np.full(len(kept), -1)
    clusters[kept >= 0] = np.unique(kept[kept >= 0], return_inverse=True)[1]
    if (kept < 0).any():
        features = label_features(matrix_of(inputs), labels.matrix)
        clusters = join_nearest(clusters, features, int(params["max_cluster_size"]))
    check_sizes(params, clusters)
    return clusters


def join_nearest(clusters: np.ndarray, features: Any, max_cluster_size: int) -> np.ndarray:
    """Put each new label into the nearest cluster with room, in the order of the labels.

    A cluster's place is the mean of its earlier labels' features. A cluster has room up to
    `max_cluster_size`; where the labels are more than that leaves room for, up to their mean
    number a cluster, rounded up. A label whose documents have no feature in common with any of
    these labels joins the smallest cluster.

    Parameters
    ----------
    clusters : ndarray of int64, shape (n_labels,)
        Numbers from 0, all in use; -1 for a new label.
    features : csr_array or ndarray, shape (n_labels, n_features)
        Of `label_features`.
    max_cluster_size : int

    Returns
    -------
    ndarray of int64, shape (n_labels,)
    """
    joined = np.array(clusters, dtype=np.int64)
    is_known = joined >= 0
    sizes = np.bincount(joined[is_known])
    room = max(max_cluster_size, -(-len(joined) // len(sizes)))
    entries = (1 / sizes[joined[is_known]], (joined[is_known], np.flatnonzero(is_known)))
    centers = sp.csr_array(entries, shape=(len(sizes), len(joined))) @ features
    lengths = np.asarray(
        centers.multiply(centers).sum(axis=1) if sp.issparse(centers) else (centers**2).sum(axis=1)
    ).ravel()
    new = np.flatnonzero(~is_known)
    for begin in range(0, len(new), _AT_ONCE):
        some = new[begin : begin + _AT_ONCE]
        products = features[some] @ centers.T
        products = products.toarray() if sp.issparse(products) else np.asarray(products)
        # Squared distances to a label's own features, but for what all clusters have in common.
        distances = lengths - 2 * products
        for label, product, distance in zip(some, products, distances, strict=True):
            if product.any():
                nearest = int(np.where(sizes < room, distance, np.inf).argmin())
                joined[label] = nearest
                sizes[nearest] += 1
    return spread_empty(joined, len(sizes))
