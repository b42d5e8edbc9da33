"""Predictions for a frame of Spark's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lightxml.bulk.columns import ADDED, check_columns, predicted
from lightxml.files.load import read_record

if TYPE_CHECKING:
    import pandas as pd


def predict_spark(
    frame: Any,
    folder: str | os.PathLike[str],
    text_column: str = "text",
    k: int | None = None,
    *,
    labels: Any = None,
    exclude: Any = None,
    device: str = "auto",
) -> Any:
    """Rank labels for the texts of a Spark frame, by its `mapInPandas`: when rows are asked for.

    Each worker process loads the model once, and again if the folder then holds another.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
    folder : str or path
        Of a saved model, where this process and every worker can read it.
    text_column : str, default="text"
    k : int or None, default=None
        As `predict_topk` takes it.
    labels, exclude : sequence of labels, or None, default=None
        As `predict_topk` takes them.
    device : str, default="auto"
        As `load` takes it.

    Returns
    -------
    pyspark.sql.DataFrame
        The frame and two columns: ``predicted``, arrays of labels, and ``scores``, arrays of
        float32.

    Raises
    ------
    BundleError
        If the folder holds no record of a model.
    ValueError
        If the texts' column is not there, or one of the new ones is.

    Examples
    --------
    With the extra ``spark``::

        predict_spark(spark.read.parquet("titles"), "MODEL", "title").write.parquet("labels")
    """
    from pyspark.sql.types import ArrayType, FloatType, LongType, StringType, StructField

    check_columns(frame.columns, text_column)
    asked = {"k": k, "labels": labels, "exclude": exclude}
    where = str(folder)
    manifest = read_record(where)["manifest"]
    of_labels = manifest.get("members", [manifest])[0]["classes"]["kind"]
    kinds = StringType() if of_labels == "str" else LongType(), FloatType()

    def answered(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        model = _loaded(where, read_record(where)["digest"], device)
        for batch in batches:
            found = predicted(model, batch[text_column], asked)
            yield batch.assign(**dict(zip(ADDED, found, strict=True)))

    schema = frame.schema
    for name, kind in zip(ADDED, kinds, strict=True):
        schema = type(schema)([*schema.fields, StructField(name, ArrayType(kind))])
    return frame.mapInPandas(answered, schema)


@lru_cache(maxsize=1)
def _loaded(folder: str, digest: str, device: str) -> Any:
    """Return the model, which a worker process then keeps; the digest tells it from another."""
    from lightxml import load

    return load(folder, device)
