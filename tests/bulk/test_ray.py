"""A local Ray cluster of two workers: the same fit, the same predictions, a worker killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from joblib import Parallel, parallel_config
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier, clustering
from lightxml.bulk import RayPredictor
from lightxml.datasets import make_xmc
from lightxml.rankers import linear
from tests.whole.test_joblib_backends import (
    Fitted,
    a_linear_ranker,
    assert_same,
    is_array,
    label_clusters,
)

ray: Any = pytest.importorskip("ray")
pytest.importorskip("ray.data")
register_ray: Any = pytest.importorskip("ray.util.joblib").register_ray

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # what Ray warns of is its own
]
TEXTS, Y = make_xmc(2_000, 300, random_state=0)
WORDS = LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(num_cpus=2, object_store_memory=2**28, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def model() -> LightXMLClassifier:
    return clone(WORDS).fit(TEXTS, Y)


@pytest.fixture
def folder(model: LightXMLClassifier, tmp_path: Path) -> Path:
    model.save(tmp_path / "model")
    return tmp_path / "model"


def rows_of(predictor: type[RayPredictor], *arguments: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and scores of all texts, in their order, by two workers."""
    table = [{"id": i, "title": text} for i, text in enumerate(TEXTS)]
    predicted = ray.data.from_items(table, override_num_blocks=20).map_batches(
        predictor, fn_constructor_args=arguments, batch_format="pyarrow", batch_size=100,
        concurrency=2,
    )  # fmt: skip
    rows = sorted(predicted.take_all(), key=lambda row: row["id"])
    assert [row["title"] for row in rows] == TEXTS
    return tuple(np.array([row[name] for row in rows]) for name in ("predicted", "scores"))


def assert_as_predicted(found: tuple[np.ndarray, np.ndarray], model: LightXMLClassifier) -> None:
    expected = model.predict_topk(TEXTS, 3, return_scores=True)
    for array, known in zip(found, expected, strict=True):
        np.testing.assert_array_equal(array, known)


def test_a_fit_is_the_same_to_the_bit(
    cluster: None, model: LightXMLClassifier, tmp_path: Path
) -> None:
    register_ray()
    with parallel_config(backend="ray", n_jobs=2):
        other = clone(WORDS).fit(TEXTS, Y)
    for name, fitted in (("a", model), ("b", other)):
        fitted.save(tmp_path / name)
    files = [sorted(p.name for p in (tmp_path / name).iterdir()) for name in "ab"]
    assert files[0] == files[1]  # each is named by the digest of what is in it


@pytest.mark.parametrize("fit", [a_linear_ranker, label_clusters])
def test_arrays_are_not_sent_with_each_call(
    cluster: None, fit: Callable[[], Fitted], monkeypatch: pytest.MonkeyPatch
) -> None:
    register_ray()
    expected = fit()
    arguments: list[Any] = []

    class Noting(Parallel):
        def __call__(self, iterable: Any) -> Any:
            tasks = list(iterable)
            arguments.extend(argument for _, given, _ in tasks for argument in given)
            return super().__call__(tasks)

    for module in (linear, clustering):
        monkeypatch.setattr(module, "Parallel", Noting)
    with parallel_config(backend="ray", n_jobs=2):
        found = fit()
    assert sum(isinstance(argument, ray.ObjectRef) for argument in arguments) > 2
    assert all(argument.nbytes < 20_000 for argument in arguments if is_array(argument))
    assert_same(found, expected)


def test_two_workers_predict_the_same(
    cluster: None, model: LightXMLClassifier, folder: Path
) -> None:
    assert_as_predicted(rows_of(RayPredictor, folder, "title", 3), model)


class KilledOnce(RayPredictor):
    """One of the workers is killed in its third batch, once."""

    def __init__(self, mark: Path, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.mark, self.n_batches = mark, 0

    def __call__(self, batch: Any) -> Any:
        self.n_batches += 1
        if self.n_batches == 3:
            try:
                self.mark.touch(exist_ok=False)
            except FileExistsError:
                return super().__call__(batch)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(batch)


def test_a_killed_worker_loses_nothing(
    cluster: None, model: LightXMLClassifier, folder: Path, tmp_path: Path
) -> None:
    found = rows_of(KilledOnce, tmp_path / "killed", folder, "title", 3)
    assert (tmp_path / "killed").exists()
    assert_as_predicted(found, model)
