"""Spark on this machine: it predicts the same, also when a task dies."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier, LightXMLEnsemble
from lightxml.bulk import predict_spark
from lightxml.datasets import label_sets, make_xmc

sql: Any = pytest.importorskip("pyspark.sql")
if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
    pytest.skip("Spark needs Java", allow_module_level=True)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # what Spark warns of is its own
]
TEXTS, Y = make_xmc(600, 30, random_state=0)
NAMES = np.array([f"topic {j}" for j in range(30)], dtype=object)
WORDS = LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0)


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        session = (
            sql.SparkSession.builder.master("local[2, 4]")  # two cores; a task may fail thrice
            .config("spark.ui.enabled", "false")
            .config("spark.driver.memory", "1g")
            .config("spark.sql.execution.arrow.maxRecordsPerBatch", 50)
            .getOrCreate()
        )
        yield session
        session.stop()


def frame_of(spark: Any) -> Any:
    return spark.createDataFrame(list(enumerate(TEXTS)), ["id", "title"]).repartition(4)


def rows_of(frame: Any) -> tuple[np.ndarray, np.ndarray]:
    rows = sorted(frame.collect(), key=lambda row: row["id"])
    assert [row["title"] for row in rows] == TEXTS
    return tuple(np.array([row[name] for row in rows]) for name in ("predicted", "scores"))


def assert_as_predicted(found: tuple[np.ndarray, np.ndarray], model: Any) -> None:
    expected = model.predict_topk(TEXTS, 3, return_scores=True)
    for array, known in zip(found, expected, strict=True):
        np.testing.assert_array_equal(array, known)


@pytest.mark.parametrize("kind", ["names", "numbers", "ensemble"])
def test_two_workers_predict_the_same(spark: Any, kind: str, tmp_path: Path) -> None:
    model: Any = LightXMLEnsemble(WORDS, n_estimators=2) if kind == "ensemble" else WORDS
    model.fit(TEXTS, Y if kind == "numbers" else label_sets(Y, NAMES)).save(tmp_path / "model")
    found = predict_spark(frame_of(spark), tmp_path / "model", "title", 3)
    assert found.columns == ["id", "title", "predicted", "scores"]
    assert_as_predicted(rows_of(found), model)


def test_a_model_that_takes_the_folder_of_another_is_loaded(spark: Any, tmp_path: Path) -> None:
    for names in (NAMES, NAMES[::-1]):
        model = WORDS.fit(TEXTS, label_sets(Y, names))
        model.save(tmp_path / "model")
        found = predict_spark(frame_of(spark), tmp_path / "model", "title", 3)
        assert_as_predicted(rows_of(found), model)


def test_a_killed_worker_loses_nothing(spark: Any, tmp_path: Path) -> None:
    model = WORDS.fit(TEXTS, Y)
    model.save(tmp_path / "model")
    mark = tmp_path / "killed"

    def killed_once(batches: Iterator[Any]) -> Iterator[Any]:
        for number, batch in enumerate(batches):
            yield batch
            if number == 1 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)

    frame = frame_of(spark)
    found = rows_of(
        predict_spark(frame.mapInPandas(killed_once, frame.schema), tmp_path / "model", "title", 3)
    )
    assert mark.exists()
    assert_as_predicted(found, model)


def test_columns_are_checked_before_anything_runs(spark: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="text_column='body' is no column"):
        predict_spark(frame_of(spark), tmp_path / "model", "body")
