"""joblib's backends: the caller chooses, the fit stays the same, and data is sent once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from joblib import Parallel, parallel_config, register_parallel_backend
from joblib._parallel_backends import LokyBackend

from lightxml import clustering
from lightxml.clustering import BalancedKMeans
from lightxml.rankers import label_tree, linear
from lightxml.rankers.base import Documents
from lightxml.rankers.label_tree import fit_label_tree
from lightxml.rankers.linear import fit_linear
from tests.rankers.tasks import topics

Fitted = dict[str, np.ndarray]


@pytest.fixture(autouse=True)
def several_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_LABELS_AT_ONCE", 7)
    monkeypatch.setattr(label_tree, "_LABELS_A_CLUSTER", 10)


def a_linear_ranker() -> Fitted:
    documents, y = wide_topics()
    likely = sp.csr_array(np.ones(y.shape, dtype=np.float32))
    return fit_linear(documents, y, likely, seed=0).describe()[1]


def a_label_tree() -> Fitted:
    return fit_label_tree(*wide_topics(), seed=0).describe()[1]


def label_clusters() -> Fitted:
    rows = wide_topics()[0].rows
    return {"labels": BalancedKMeans(30, random_state=0).fit(rows).labels_}


def dense_clusters() -> Fitted:
    rows = wide_topics()[0].rows.toarray()
    return {"labels": BalancedKMeans(30, random_state=0).fit(rows).labels_}


FITS = [a_linear_ranker, a_label_tree, label_clusters, dense_clusters]


def wide_topics() -> tuple[Documents, sp.csr_array]:
    """Documents of which joblib maps the larger arrays from files."""
    documents, y = topics(2_000, 40)
    assert documents.rows.data.nbytes > 2**18
    return documents, y


def assert_same(found: Fitted, expected: Fitted) -> None:
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


class Watched(LokyBackend):
    """Processes, as joblib's own, that tell when they are chosen."""

    n_chosen = 0

    def configure(self, *args: Any, **more: Any) -> Any:
        Watched.n_chosen += 1
        return super().configure(*args, **{**more, "max_nbytes": 1_000})


@pytest.mark.slow
@pytest.mark.parametrize("fit", FITS)
def test_processes_of_the_callers_choice_fit_the_same_bits(fit: Callable[[], Fitted]) -> None:
    register_parallel_backend("watched", Watched)
    expected = fit()
    before = Watched.n_chosen
    with parallel_config(backend="watched", n_jobs=2):
        found = fit()
    assert Watched.n_chosen > before
    assert_same(found, expected)


@pytest.fixture(scope="module")
def dask_client() -> Iterator[None]:
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster):
        yield


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # what dask warns of is its own
@pytest.mark.parametrize("fit", FITS)
def test_dask_fits_the_same_bits(fit: Callable[[], Fitted], dask_client: None) -> None:
    with parallel_config(backend="dask"):
        found = fit()
    assert_same(found, fit())


@pytest.mark.parametrize("fit", FITS)
def test_what_calls_share_is_the_same_array_in_each(
    fit: Callable[[], Fitted], monkeypatch: pytest.MonkeyPatch
) -> None:
    """joblib, Ray and dask send an array once that is an argument of several calls."""
    runs: list[list[tuple[Any, ...]]] = []

    class Noting(Parallel):
        def __call__(self, iterable: Any) -> Any:
            tasks = list(iterable)
            runs.append([arguments for _, arguments, _ in tasks])
            return super().__call__(tasks)

    monkeypatch.setattr(linear, "Parallel", Noting)
    monkeypatch.setattr(clustering, "Parallel", Noting)
    fit()
    longest = max(runs, key=len)
    assert len(longest) > 3
    in_each = set.intersection(*({id(a) for a in arguments} for arguments in longest))
    assert sum(a.nbytes for a in longest[0] if is_array(a) and id(a) in in_each) > 2**18
    for arguments in longest:
        assert all(isinstance(a, (int, float, tuple, list)) or is_array(a) for a in arguments)
        assert sum(a.nbytes for a in arguments if is_array(a) and id(a) not in in_each) < 10_000


def is_array(argument: Any) -> bool:
    return isinstance(argument, (np.ndarray, np.generic))
