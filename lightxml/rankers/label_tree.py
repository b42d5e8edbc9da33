"""The ranker "label_tree": classifiers of clusters of labels, and of the labels in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from lightxml.rankers.base import Documents
from lightxml.rankers.linear import Linear, fit_classifiers
from lightxml.rankers.sparse import blocks, heaviest, normalized
from lightxml.rankers.stored import checked, count

FEWEST_LABELS = 1_000  # with documents; below it, a classifier can meet the others' documents
_LABELS_A_CLUSTER = 100
_N_OTHERS = 5_000  # documents drawn for the classifier of a cluster
_MOST_OF_CLUSTER = 1_000  # documents of its cluster that a label's classifier must be told from
_N_TERMS = 60
_LABELS_AT_ONCE = 4096  # new labels times clusters, dense, may be too much
_WIDTH = 64  # numbers that clusters are made by
_NEVER = np.float32(-8)  # 2 * -(1 - -1)**2, what two margins of -1 say


@dataclass(frozen=True)
class LabelTree:
    """Clusters of labels with a classifier each, and classifiers that tell their labels apart.

    With the margin m of the label's cluster and the margin n of the label, the path to it has
    ``-max(0, 1 - m)**2 - max(0, 1 - n)**2``, the logarithm of the product of what Bonsai takes
    for probabilities. It proposes no labels: it tells those that others propose from each other.

    Attributes
    ----------
    clusters : Linear
        Of as many "labels" as there are clusters.
    labels : Linear
    cluster : ndarray of int32, shape (n_labels,)
        The cluster of each label; -1 for those without a document.
    """

    name: ClassVar[str] = "label_tree"

    clusters: Linear
    labels: Linear
    cluster: np.ndarray

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what `score` says."""
        return ("path", "margin of the cluster", "margin in the cluster")

    def propose(self, documents: Documents, k: int) -> sp.csr_array:
        """Return no labels."""
        return sp.csr_array((len(documents), len(self.cluster)), dtype=np.float32)

    def score(self, documents: Documents, candidates: sp.csr_array) -> np.ndarray:
        """Return the path and both margins of the candidates, as `Ranker.score` does."""
        cluster = self.cluster[candidates.indices]
        of_clusters, place = _pattern(candidates, cluster, len(self.clusters.bias))
        margin = self.clusters.score(documents, of_clusters)[place, 0]
        inside = self.labels.score(documents, candidates)[:, 0]
        path = -(np.maximum(0, 1 - margin) ** 2) - np.maximum(0, 1 - inside) ** 2
        said = np.stack([path, margin, inside], axis=1)
        said[cluster < 0] = _NEVER, -1, -1
        return said.astype(np.float32)

    def update(
        self,
        documents: Documents,
        y: sp.csr_array,
        labels: np.ndarray,
        *,
        seed: int,
        sample_weight: np.ndarray | None = None,
        n_jobs: int | None = None,
    ) -> LabelTree:
        """Return a tree with the classifiers of some labels fitted anew; the clusters' stay.

        A label that had no document joins the cluster whose classifier says most of the label's
        documents together.

        Parameters
        ----------
        documents, y, seed, sample_weight, n_jobs
            As `fit_label_tree` takes them: all documents, the new ones among them. Labels may have
            been appended.
        labels : ndarray of int64
            Column numbers, each once.
        """
        cluster = np.full(y.shape[1], -1, dtype=np.int32)
        cluster[: len(self.cluster)] = self.cluster
        new = np.flatnonzero((cluster < 0) & (np.bincount(y.indices, minlength=y.shape[1]) > 0))
        centroids = _centroids(documents.rows, y, new)
        for begin, end in blocks(len(new), _LABELS_AT_ONCE):
            margins = (centroids[begin:end] @ self.clusters.weights.T).toarray()
            cluster[new[begin:end]] = (margins + self.clusters.bias).argmax(axis=1)
        inside = _fit_inside(documents, y, cluster, labels, seed, sample_weight, n_jobs)
        of_labels = self.labels.replaced(labels, *inside, y.shape[1])
        return LabelTree(self.clusters, of_labels, cluster)

    def widened(self, n_features: int) -> LabelTree:
        """Return the tree for documents with more features, which it gives no weight."""
        return LabelTree(
            self.clusters.widened(n_features), self.labels.widened(n_features), self.cluster
        )

    def relabeled(self, source: np.ndarray) -> LabelTree:
        """Return the tree with other labels, as `Ranker.relabeled` does."""
        cluster = np.where(source < 0, np.int32(-1), self.cluster[source])
        return LabelTree(self.clusters, self.labels.relabeled(source), cluster)

    def describe(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return settings and arrays, as `Ranker.describe` does."""
        _, of_clusters = self.clusters.describe()
        settings, of_labels = self.labels.describe()
        arrays = {f"clusters_{name}": array for name, array in of_clusters.items()}
        arrays |= {f"labels_{name}": array for name, array in of_labels.items()}
        settings |= {"n_clusters": len(self.clusters.bias)}
        return settings, arrays | {"cluster": self.cluster}

    @classmethod
    def made_of(cls, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> LabelTree:
        """Return the ranker that `describe` described.

        Raises
        ------
        ValueError
            If the arrays are not such as `describe` gives them.
        """
        n_clusters = count(settings, "n_clusters", least=1)
        of_clusters = Linear.made_of(
            {**settings, "n_labels": n_clusters}, _part("clusters_", arrays)
        )
        of_labels = Linear.made_of(settings, _part("labels_", arrays))
        cluster = checked(arrays, "cluster", np.int32, len(of_labels.bias))
        if cluster.min(initial=-1) < -1 or cluster.max(initial=-1) >= n_clusters:
            raise ValueError(f"cluster is out of range; expected -1 to {n_clusters - 1}")
        return cls(of_clusters, of_labels, cluster)


def fit_label_tree(
    documents: Documents,
    y: sp.csr_array,
    *,
    seed: int,
    sample_weight: np.ndarray | None = None,
    n_jobs: int | None = None,
) -> LabelTree:
    """Cluster the labels by their documents, and fit the classifiers.

    Parameters
    ----------
    documents : Documents
    y : csr_array, shape (n_documents, n_labels)
        An entry is a label of a document. At least one label has a document.
    seed : int
        From 0 to below 2**64.
    sample_weight : ndarray of float, shape (n_documents,), or None
        The factor of C for each document; 0 leaves it out.
    n_jobs : int or None
        Threads, as joblib counts them, or what a `joblib.parallel_config` of the caller's makes.
        The result is the same with any number and any backend.

    References
    ----------
    Khandagale, Xiao, Babbar, "Bonsai: Diverse and Shallow Trees for Extreme Multi-label
    Classification", Machine Learning, 2020: labels represented by the sum of their documents,
    clusters without balance, the product along the path. Here there is one tree of two levels,
    and not all documents teach a classifier but drawn ones.
    """
    trained = np.flatnonzero(np.bincount(y.indices, minlength=y.shape[1]))
    n_clusters = max(1, len(trained) // _LABELS_A_CLUSTER)
    cluster = np.full(y.shape[1], -1, dtype=np.int32)
    cluster[trained] = _clustered(_centroids(documents.rows, y, trained), n_clusters, seed)
    more: dict[str, Any] = {"seed": seed, "sample_weight": sample_weight, "n_jobs": n_jobs}
    of_cluster = _has_cluster(y, cluster, n_clusters)
    nobody = sp.csr_array(of_cluster.shape, dtype=np.float32)
    clusters = Linear(
        *fit_classifiers(
            documents, of_cluster, nobody, np.arange(n_clusters), n_drawn=_N_OTHERS, **more
        )
    )
    n_features = documents.rows.shape[1]
    nothing = np.full(1, -1, dtype=np.float32)
    labels = Linear(sp.csr_array((1, n_features), dtype=np.float32), nothing)
    inside = _fit_inside(documents, y, cluster, trained, **more)
    return LabelTree(clusters, labels.replaced(trained, *inside, y.shape[1]), cluster)


def _fit_inside(
    documents: Documents,
    y: sp.csr_array,
    cluster: np.ndarray,
    labels: np.ndarray,
    seed: int,
    sample_weight: np.ndarray | None,
    n_jobs: int | None,
) -> tuple[sp.csr_array, np.ndarray]:
    """Fit classifiers that tell a label's documents from the others of its cluster."""
    return fit_classifiers(
        documents,
        y,
        _has_cluster(y, cluster, int(cluster.max()) + 1),
        labels,
        groups=np.maximum(cluster, 0).astype(np.int64),
        most_likely=_MOST_OF_CLUSTER,
        n_drawn=0,
        seed=seed,
        sample_weight=sample_weight,
        n_jobs=n_jobs,
    )


def _has_cluster(y: sp.csr_array, cluster: np.ndarray, n_clusters: int) -> sp.csr_array:
    """Return an entry for each document that has a label of a cluster."""
    ones = sp.csr_array((np.ones(y.nnz, np.float32), y.indices, y.indptr), shape=y.shape)
    return sp.csr_array(ones @ _members(cluster, n_clusters))


def _centroids(rows: sp.csr_array, y: sp.csr_array, labels: np.ndarray) -> sp.csr_array:
    """Return the sum of some labels' documents, with length 1: the heaviest terms."""
    ones = sp.csr_array((np.ones(y.nnz, np.float32), y.indices, y.indptr), shape=y.shape)
    sums = sp.csr_array(sp.csr_array(ones.T)[labels] @ rows)
    sums.sort_indices()
    return normalized(heaviest(sums, _N_TERMS))


def _clustered(centroids: sp.csr_array, n_clusters: int, seed: int) -> np.ndarray:
    """Return the cluster of each row, by k-means of a few dimensions."""
    width = min(_WIDTH, min(centroids.shape) - 1)
    if n_clusters == 1 or width < 1:
        return np.zeros(centroids.shape[0], dtype=np.int32)
    # A prediction does without: these take a quarter of a second to import.
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.utils.extmath import randomized_svd

    state = seed % 2**32
    # One thread: sums of several are rounded differently.
    with threadpool_limits(1):
        left, sizes, _ = randomized_svd(centroids, width, random_state=state)
        points = left * sizes
        lengths = np.linalg.norm(points, axis=1, keepdims=True)
        points /= np.where(lengths == 0, 1, lengths)
        means = MiniBatchKMeans(n_clusters, batch_size=4096, n_init=1, random_state=state)
        found: np.ndarray = means.fit_predict(points).astype(np.int32)
    return found


def _members(cluster: np.ndarray, n_clusters: int) -> sp.csr_array:
    """Return an entry for each label's cluster, of shape (n_labels, n_clusters)."""
    labels = np.flatnonzero(cluster >= 0)
    ones = np.ones(len(labels), dtype=np.float32)
    pairs = sp.coo_array((ones, (labels, cluster[labels])), shape=(len(cluster), n_clusters))
    return sp.csr_array(pairs)


def _pattern(
    candidates: sp.csr_array, cluster: np.ndarray, n_clusters: int
) -> tuple[sp.csr_array, np.ndarray]:
    """Return the clusters of each document's candidates, and where among them each stands."""
    rows = np.repeat(np.arange(candidates.shape[0]), np.diff(candidates.indptr))
    keys, place = np.unique(rows * n_clusters + np.maximum(cluster, 0), return_inverse=True)
    pointers = np.searchsorted(keys, np.arange(candidates.shape[0] + 1) * n_clusters)
    ones = np.ones(len(keys), dtype=np.float32)
    shape = (candidates.shape[0], n_clusters)
    return sp.csr_array((ones, keys % n_clusters, pointers), shape=shape), place


def _part(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
