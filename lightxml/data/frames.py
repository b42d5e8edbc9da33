"""Data frames and columns of any library that narwhals knows, as arrays and lists."""

from __future__ import annotations

from numbers import Real
from typing import Any

import narwhals as nw
import numpy as np


def is_frame(values: Any) -> bool:
    """Tell a data frame, such as pandas' or polars', or an arrow table."""
    return bool(nw.dependencies.is_into_dataframe(values))


def listed(values: Any) -> list[Any]:
    """Return the entries of a collection as Python's own, where its library gives them so."""
    for method in ("to_pylist", "to_list"):  # arrow; pandas and polars
        if hasattr(values, method):
            return list(getattr(values, method)())
    return list(values)


def is_number(value: Any) -> bool:
    """Tell a real number or a truth value, numpy's included."""
    return isinstance(value, (Real, np.bool_))


def is_of_numbers(frame: Any) -> bool:
    """Tell whether all columns of a frame are numbers or truth values, each of any type."""
    if hasattr(frame, "dtypes") and hasattr(frame, "iloc"):
        # pandas' way, since narwhals knows no sparse columns, and no two of one name.
        kinds = [getattr(dtype, "kind", "O") for dtype in frame.dtypes]
        return all(
            kind in "biuf" or (kind == "O" and len(frame) > 0 and is_number(frame.iloc[0, j]))
            for j, kind in enumerate(kinds)
        )
    types = nw.from_native(frame, eager_only=True).schema.values()
    return all(dtype.is_numeric() or dtype == nw.Boolean for dtype in types)


def array_of(frame: Any) -> Any:
    """Return the values of a frame, shape (n_rows, n_columns); pandas' sparse ones stay sparse."""
    if not hasattr(frame, "iloc"):
        return nw.from_native(frame, eager_only=True).to_numpy()
    if len(frame.columns) and all(hasattr(dtype, "fill_value") for dtype in frame.dtypes):
        return frame.sparse.to_coo()
    return np.asarray(frame)


def names_of(frame: Any) -> list[Any]:
    """Return the names of a frame's columns, numpy's numbers as Python's own."""
    if hasattr(frame, "column_names"):  # arrow's `columns` are the data
        return list(frame.column_names)
    return [name.item() if isinstance(name, np.generic) else name for name in frame.columns]


def places_of(frame: Any, classes: Any, name: str) -> np.ndarray | None:
    """Return where each of `classes` stands among a frame's columns; None: they are numbers.

    Parameters
    ----------
    frame : data frame
        With a column for each label.
    classes : sequence of labels
    name : str
        The argument's name, for messages.

    Returns
    -------
    ndarray of int64, shape (n_labels,), or None
        None where the labels are known by the numbers of their columns only.

    Raises
    ------
    ValueError
        If a column is no label, or a label has no column.
    """
    labels = classes.tolist() if isinstance(classes, np.ndarray) else list(classes)
    if labels == list(range(len(labels))):
        return None
    columns = names_of(frame)
    place = {column: j for j, column in enumerate(columns)}
    known = set(labels)
    for column in columns:
        if column not in known:
            raise ValueError(
                f"{name} has the column {column!r}, which is none of the labels (such as "
                f"{labels[0]!r}). Give it the columns that y had at fit."
            )
    for label in labels:
        if label not in place:
            raise ValueError(
                f"{name} has no column {label!r}; expected one for each label, in any order."
            )
    if len(columns) != len(labels):
        raise ValueError(f"{name} has a column twice; expected one for each label.")
    return np.array([place[label] for label in labels], dtype=np.int64)
