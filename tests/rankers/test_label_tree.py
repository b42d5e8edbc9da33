"""The ranker "label_tree": what a path says, what its classifiers learn from, that it is kept."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from lightxml.rankers import label_tree
from lightxml.rankers.base import Documents
from lightxml.rankers.fit_panel import fit_panel
from lightxml.rankers.label_tree import LabelTree, fit_label_tree
from tests.rankers.tasks import Task, topics


@pytest.fixture(scope="module")
def task() -> Task:
    documents, y = topics(400, 40)
    return documents, sp.csr_array(sp.hstack([y, sp.csr_array((400, 1))], dtype=np.float32))


@pytest.fixture(scope="module")
def tree(task: Task) -> LabelTree:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_tree, "_LABELS_A_CLUSTER", 10)
        return fit_label_tree(*task, seed=0)


def every(n: int, n_labels: int) -> sp.csr_array:
    return sp.csr_array(np.ones((n, n_labels), dtype=np.float32))


def test_it_says_the_path_through_the_labels_cluster(tree: LabelTree, task: Task) -> None:
    documents, y = task
    assert tree.columns == ("path", "margin of the cluster", "margin in the cluster")
    path, margin, inside = tree.score(documents, every(*y.shape)).reshape(*y.shape, 3).T
    of_clusters = (documents.rows @ tree.clusters.weights.T).toarray() + tree.clusters.bias
    of_labels = (documents.rows @ tree.labels.weights.T).toarray() + tree.labels.bias
    np.testing.assert_allclose(margin[:40].T, of_clusters[:, tree.cluster[:40]], atol=1e-5)
    np.testing.assert_allclose(inside[:40].T, of_labels[:, :40], atol=1e-5)
    expected = -(np.maximum(0, 1 - margin) ** 2) - np.maximum(0, 1 - inside) ** 2
    np.testing.assert_allclose(path, expected, atol=1e-5)
    own = y.toarray().T > 0
    assert np.median(path[own]) > np.quantile(path[~own], 0.99)


def test_a_label_without_a_document_is_never_likely(tree: LabelTree, task: Task) -> None:
    documents, y = task
    assert tree.cluster.tolist().count(-1) == 1
    lone = sp.csr_array((np.ones(400), np.full(400, 40), np.arange(401)), shape=y.shape)
    assert np.array_equal(tree.score(documents, lone), np.tile(np.float32([-8, -1, -1]), (400, 1)))


def test_it_proposes_nothing(tree: LabelTree, task: Task) -> None:
    found = tree.propose(task[0], 5)
    assert (found.shape, found.nnz) == ((400, 41), 0)


def test_a_score_depends_on_the_pair_alone(tree: LabelTree, task: Task) -> None:
    documents, y = task
    whole = tree.score(documents, every(*y.shape)).reshape(*y.shape, 3)
    one = sp.csr_array(([1.0], [3], [0, 1]), shape=(1, y.shape[1]))
    assert np.array_equal(tree.score(documents.part(5, 6), one)[0], whole[5, 3])
    none = sp.csr_array((1, y.shape[1]))
    assert tree.score(documents.part(5, 6), none).shape == (0, 3)


def test_labels_of_like_documents_share_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_tree, "_LABELS_A_CLUSTER", 10)
    documents, y = topics(400, 20)
    twins = sp.csr_array(sp.hstack([y, y]))
    cluster = fit_label_tree(documents, twins, seed=0).cluster
    assert np.array_equal(cluster[:20], cluster[20:])
    assert len(set(cluster.tolist())) > 1


def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_tree, "_LABELS_A_CLUSTER", 10)
    first, second = (fit_label_tree(*task, seed=3, n_jobs=n).describe()[1] for n in (1, 2))
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_new_label_joins_the_cluster_of_its_documents(tree: LabelTree, task: Task) -> None:
    documents, y = task
    twin = sp.csr_array(sp.hstack([y[:, :40], y[:, [7]], y[:, [8]]]))  # the label without one, too
    found = tree.update(documents, twin, np.array([40, 41]), seed=0)
    assert found.cluster.tolist() == [*tree.cluster[:40], tree.cluster[7], tree.cluster[8]]
    assert (found.labels.weights[:40] != tree.labels.weights[:40]).nnz == 0
    path = found.score(documents, every(*twin.shape)).reshape(*twin.shape, 3)[:, :, 0]
    own = y[:, [7]].toarray()[:, 0] > 0
    assert np.median(path[own, 40]) > np.quantile(path[~own, 40], 0.99)


def test_it_is_kept_as_settings_and_arrays(tree: LabelTree, task: Task) -> None:
    documents, y = task
    settings, arrays = tree.describe()
    found = LabelTree.made_of(settings, arrays)
    assert np.array_equal(*(each.score(documents, every(*y.shape)) for each in (tree, found)))
    damaged = {
        "cluster": np.full(41, 4, dtype=np.int32),
        "labels_bias": arrays["labels_bias"][:-1],
        "clusters_bias": arrays["clusters_bias"][:-1],
    }
    for name, array in damaged.items():
        with pytest.raises(
            ValueError, match=name.removeprefix("labels_").removeprefix("clusters_")
        ):
            LabelTree.made_of(settings, {**arrays, name: array})


def test_it_goes_with_linear_where_labels_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    documents, y = topics(60, 12)

    def names(of: tuple[str, ...]) -> list[str]:
        return [ranker.name for ranker in fit_panel(documents, y, names=of, seed=0).panel.rankers]

    assert names(("linear", "neighbors")) == ["linear", "neighbors"]
    monkeypatch.setattr("lightxml.rankers.fit_panel.FEWEST_LABELS", 12)
    assert names(("linear", "neighbors")) == ["linear", "label_tree", "neighbors"]
    assert names(("neighbors",)) == ["neighbors"]


def test_no_terms_make_one_cluster() -> None:
    documents = Documents(sp.csr_array((4, 3), dtype=np.float32))
    y = sp.csr_array(np.eye(4, dtype=np.float32))
    assert fit_label_tree(documents, y, seed=0).cluster.tolist() == [0, 0, 0, 0]
