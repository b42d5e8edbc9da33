"""Frames, Series and arrow arrays of every library: as documents, as numbers, as labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier
from lightxml.data.inputs import reader_of
from lightxml.data.labels import encode, encode_known
from lightxml.data.texts import check_texts
from lightxml.metrics import precision_at_k, propensities

TEXTS = ["cats purr", "dogs bark", ""]
ROWS = [["a", "b"], ["b"], []]
Y = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]])


def pandas_frame(columns: dict[str, Any]) -> Any:
    return pd.DataFrame(columns)


def polars_frame(columns: dict[str, Any]) -> Any:
    return pytest.importorskip("polars").DataFrame(columns)


def arrow_frame(columns: dict[str, Any]) -> Any:
    return pytest.importorskip("pyarrow").table(columns)


def arrow_column(values: list[Any]) -> Any:
    return pytest.importorskip("pyarrow").array(values)


def arrow_chunks(values: list[Any]) -> Any:
    return pytest.importorskip("pyarrow").chunked_array([values[:1], values[1:]])


def polars_column(values: list[Any]) -> Any:
    return pytest.importorskip("polars").Series(values)


every_frame = pytest.mark.parametrize("frame", [pandas_frame, polars_frame, arrow_frame])
every_column = pytest.mark.parametrize(
    "column", [list, tuple, np.array, pd.Series, polars_column, arrow_column, arrow_chunks]
)
Frame, Column = Callable[[dict[str, Any]], Any], Callable[[list[Any]], Any]


@every_column
def test_documents_come_in_any_column(column: Column) -> None:
    assert check_texts(column(TEXTS)) == TEXTS


@every_column
def test_labels_come_in_any_column(column: Column) -> None:
    y = [np.array(row, dtype=object) for row in ROWS] if column is np.array else ROWS
    if column is np.array:
        y = np.array([*y, None], dtype=object)[:-1]
    labels = encode(y if column is np.array else column(ROWS), 3)
    assert labels.classes.tolist() == ["a", "b"]
    assert labels.matrix.toarray().tolist() == [[1, 1], [0, 1], [0, 0]]


@pytest.mark.parametrize("row", [list, tuple, set, np.array, pd.Series, pd.Index, polars_column])
def test_a_documents_labels_come_in_any_collection(row: Column) -> None:
    assert encode([row(["a", "b"]), ["b"]], 2).matrix.toarray().tolist() == [[1, 1], [0, 1]]


@every_frame
@pytest.mark.parametrize("encoder", ["auto", None])
def test_a_frame_of_numbers_and_truth_values_is_numeric(frame: Frame, encoder: Any) -> None:
    X = frame({"length": [0.5, 1.5, 2.5], "count": [1, 2, 3], "is_long": [True, False, True]})
    reader, inputs = reader_of(X, encoder, None)
    assert inputs.matrix.tolist() == [[0.5, 1, 1], [1.5, 2, 0], [2.5, 3, 1]]
    assert reader.feature_names.tolist() == ["length", "count", "is_long"]


@pytest.mark.parametrize(
    "X",
    [
        np.array([[0.5, True]], dtype=object),
        [[np.True_, 0.5]],
        pd.DataFrame({"a": [0.5], "b": np.array([True], dtype=object)}),
        pd.DataFrame({"a": pd.array([1], dtype="Int64"), "b": pd.array([True], dtype="boolean")}),
        pd.DataFrame.sparse.from_spmatrix(sp.csr_matrix([[0.5, 1]])),
    ],
    ids=["objects", "nested lists", "a column of objects", "nullable", "sparse"],
)
def test_numbers_of_several_types_are_numeric(X: Any) -> None:
    _, inputs = reader_of(X, "auto", None)
    matrix = inputs.matrix
    assert (matrix.toarray() if sp.issparse(matrix) else matrix).shape == (1, 2)


@every_frame
def test_a_frame_of_texts_is_no_column(frame: Frame) -> None:
    X = frame({"title": TEXTS, "text": TEXTS})
    with pytest.raises(ValueError, match=r"^X has 2 dimensions; .* Select the one column"):
        reader_of(X, "auto", None)


@every_frame
def test_a_frames_names_are_the_labels(frame: Frame) -> None:
    named = {"cat": Y[:, 0], "ape": Y[:, 1], "dog": Y[:, 2]}
    labels = encode(frame(named), 3)
    assert labels.classes.tolist() == ["cat", "ape", "dog"]
    assert labels.matrix.toarray().tolist() == Y.tolist()
    turned = frame({name: named[name] for name in ("dog", "cat", "ape")})
    for y in (turned, Y):
        known = encode_known(y, labels.classes, labels.form, 3)
        assert known.has_canonical_format
        assert known.toarray().tolist() == Y.tolist()
    topk = [["cat"], ["ape"], ["dog"]]
    assert precision_at_k(turned, topk, 1, classes=labels.classes) == 1
    assert precision_at_k(turned, [[1], [2], [0]], 1) == 1
    assert propensities(frame(named)).tolist() == propensities(Y).tolist()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["cat", "ape", "emu"], "y has the column 'emu', which is none of the labels"),
        (["cat", "ape", "cat"], "y has no column 'dog'"),
    ],
)
def test_a_frame_of_other_labels_is_refused(names: list[str], message: str) -> None:
    classes = np.array(["cat", "ape", "dog"], dtype=object)
    with pytest.raises(ValueError, match=f"^{message}"):
        encode_known(pd.DataFrame(Y, columns=names), classes, "dense", 3)


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (["cat", "ape", "cat"], ValueError, "y has two columns 'cat'"),
        (["cat", "ape", 3], TypeError, "y names its columns by int and str"),
        (["cat", "ape", None], ValueError, r"y\.columns holds the missing label"),
    ],
)
def test_names_that_are_no_labels_are_refused(names: list[Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        encode(pd.DataFrame(Y, columns=pd.Index(names, dtype=object)), 3)


def test_a_model_of_a_frame_ranks_its_names(tmp_path: Any) -> None:
    texts, y = TEXTS[:2] * 10, pd.DataFrame(Y[:2].tolist() * 10, columns=["cat", "ape", "dog"])
    model = LightXMLClassifier(None, features=TfidfVectorizer(), final_ranker=None)
    model.fit(texts, y, label_texts=["a cat", None, "a dog"])
    assert model.predict_topk(["dogs bark"], k=1).tolist() == [["ape"]]
    assert model.score(texts, y) == model.score(texts, y[["dog", "ape", "cat"]]) == 1
    model.save(tmp_path / "model")
    assert LightXMLClassifier.load(tmp_path / "model").classes_.tolist() == ["cat", "ape", "dog"]
