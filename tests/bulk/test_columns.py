"""Predictions as columns: what the tables of Ray and Spark get, without their engines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier
from lightxml.bulk import RayPredictor
from lightxml.bulk.columns import check_columns
from lightxml.datasets import label_sets, make_xmc

TEXTS, Y = make_xmc(120, 12, random_state=0)
NAMES = np.array([f"topic {j}" for j in range(12)], dtype=object)


@pytest.fixture(scope="module", params=["int", "str"])
def model(request: pytest.FixtureRequest) -> LightXMLClassifier:
    y = Y if request.param == "int" else label_sets(Y, NAMES)
    return LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0).fit(TEXTS, y)


def test_a_batch_of_rays_gets_lists_of_labels_and_scores_beside_what_it_has(
    model: LightXMLClassifier, tmp_path: Path
) -> None:
    model.save(tmp_path / "model")
    first = model.classes_[0]
    labels, scores = model.predict_topk(TEXTS, k=3, return_scores=True, exclude=[first])
    predictor = RayPredictor(tmp_path / "model", "title", 3, exclude=[first])
    batch = pa.table({"id": range(120), "title": TEXTS})
    found = predictor(batch)
    assert found.column_names == ["id", "title", "predicted", "scores"]
    assert found.select(["id", "title"]) == batch
    assert found["predicted"].to_pylist() == labels.tolist()
    assert found["scores"].to_pylist() == scores.tolist()
    none = predictor(batch.slice(0, 0))
    assert (none.num_rows, none.schema) == (0, found.schema)


def test_a_batch_that_is_no_arrow_table_is_refused(
    model: LightXMLClassifier, tmp_path: Path
) -> None:
    model.save(tmp_path / "model")
    with pytest.raises(
        TypeError, match=r'a dict; expected an arrow table\. Pass batch_format="pyar'
    ):
        RayPredictor(tmp_path / "model")({"text": np.array(TEXTS)})


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        (["id", "title"], r"text_column='text' is no column of the table; it has \['id', 'title'"),
        (["text", "scores"], "has a column 'scores' already"),
    ],
)
def test_columns_that_are_missing_or_taken_are_named(columns: list[str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        check_columns(columns, "text")
