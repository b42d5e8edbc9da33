"""The texts of labels, checked and put into one canonical form: a tuple of ``str`` a class."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from lightxml.data.labels import as_classes

_TEXT = "a str, a list of str, or None"


@dataclass(frozen=True)
class ClassTexts:
    """The canonical form of `label_texts`.

    Attributes
    ----------
    classes : ndarray of shape (n_labels,)
        The labels of y and those that only have a text, sorted together.
    columns : ndarray of int64, shape (n_labels_of_y,)
        Where each label of y is among `classes`.
    texts : tuple of tuples of str, length n_labels
        The texts of each class: none empty, none twice; no text is an empty tuple.
    """

    classes: np.ndarray
    columns: np.ndarray
    texts: tuple[tuple[str, ...], ...]


def check_label_texts(
    label_texts: Any, classes: np.ndarray, *, indicator: bool, name: str = "label_texts"
) -> ClassTexts:
    """Check the texts of labels; the caller's object is left as it is.

    Parameters
    ----------
    label_texts : mapping of label to text, or sequence of texts
        A text is a ``str``, a list of ``str`` (name, synonyms, description), or None. A sequence
        has one for each column, and is for an indicator matrix only.
    classes : ndarray of shape (n_labels_of_y,)
        The labels of y.
    indicator : bool
        Whether y is an indicator matrix, whose columns are all the labels that there are. Else
        labels that only have a text become classes too.
    name : str
        The argument's name, for messages.

    Raises
    ------
    TypeError
        If `label_texts`, or a label's text, is of a kind that holds no text.
    ValueError
        If it has the wrong length, names a label that cannot be one, holds text that is not valid
        Unicode (a lone surrogate), or no label has any text.
    """
    known = classes.tolist()
    if isinstance(label_texts, Mapping):
        given = dict(label_texts)
        new = _new_labels(given, known, indicator, name)
    else:
        given = dict(zip(known, _sequence(label_texts, len(known), indicator, name), strict=True))
        new = []
    found = {label: _texts(value, f"{name}[{shown(label)}]") for label, value in given.items()}
    if not any(found.values()):
        raise ValueError(f"{name} gives no label any text. Leave it out, or give some texts.")
    together = sorted([*known, *new]) if new else known
    place = {label: i for i, label in enumerate(together)}
    return ClassTexts(
        as_classes(together) if new else classes,
        np.array([place[label] for label in known], dtype=np.int64),
        tuple(found.get(label, ()) for label in together),
    )


def check_label_rows(
    label_texts: Any, n_labels: int, n_features: int, *, name: str = "label_texts"
) -> sp.csr_array:
    """Check what describes labels where X is numeric: a matrix of rows like those of X.

    Returns
    -------
    csr_array of float32, shape (n_labels, n_features)
        Indices sorted, no stored zeros. An empty row is a label without a description.

    Raises
    ------
    TypeError
        If it is no matrix.
    ValueError
        If it has the wrong shape, or holds NaN, infinity or what is not a real number.
    """
    expected = f"a matrix of shape ({n_labels}, {n_features}): labels x columns of X"
    if not sp.issparse(label_texts) and getattr(label_texts, "ndim", None) != 2:
        raise TypeError(
            f"{name} is of type {type(label_texts).__name__}; X is numeric, so expected {expected}."
        )
    if label_texts.shape != (n_labels, n_features):
        raise ValueError(f"{name} has shape {label_texts.shape}; expected {expected}.")
    matrix = label_texts if sp.issparse(label_texts) else np.asarray(label_texts)
    if matrix.dtype.kind not in "biuf":
        raise ValueError(f"{name} has dtype {matrix.dtype}; expected {expected}, of real numbers.")
    rows = sp.csr_array(matrix, dtype=np.float32, copy=True)
    try:
        rows.check_format(full_check=True)
    except ValueError as error:
        raise ValueError(f"{name} is a damaged sparse matrix ({error}).") from None
    rows.sum_duplicates()
    rows.eliminate_zeros()
    wrong = np.flatnonzero(~np.isfinite(rows.data))
    if len(wrong):
        row = int(np.searchsorted(rows.indptr, wrong[0], side="right")) - 1
        raise ValueError(
            f"{name}[{row}, {rows.indices[wrong[0]]}] is {rows.data[wrong[0]]}; expected numbers "
            "that float32 has. Fill or leave out missing ones first."
        )
    return rows


def shown(value: Any) -> str:
    """Return a label or a text for a message: short, and escaped as Python's `repr` escapes it."""
    return reprlib.repr(value)


def _new_labels(given: dict[Any, Any], known: list[Any], indicator: bool, name: str) -> list[Any]:
    """Return the labels that only have a text."""
    of_y = set(known)
    new = [label for label in given if label not in of_y]
    if not new:
        return []
    if indicator:
        raise ValueError(
            f"{name} has the label {shown(new[0])}, which is no column of y. Name columns by "
            "their number, or by the frame's names; append an empty column for a label that has "
            "no document."
        )
    is_text = isinstance(known[0], str)
    for label in new:
        number = isinstance(label, (int, float, np.number)) and label == label  # not NaN
        if not (isinstance(label, str) if is_text else number):
            raise ValueError(
                f"{name} has the label {shown(label)} ({type(label).__name__}), but y's labels "
                f"are of type {type(known[0]).__name__}, such as {shown(known[0])}."
            )
    return [label.item() if isinstance(label, np.generic) else label for label in new]


def _sequence(label_texts: Any, n_labels: int, indicator: bool, name: str) -> list[Any]:
    kind = type(label_texts).__name__
    if not indicator:
        raise TypeError(
            f"{name} is of type {kind}; expected a mapping of label to text, such as "
            "{'4472': 'sunflower'}."
        )
    is_sequence = hasattr(label_texts, "__len__") and hasattr(label_texts, "__getitem__")
    if isinstance(label_texts, (str, bytes, Set)) or not is_sequence:
        raise TypeError(
            f"{name} is of type {kind}; expected a mapping of label to text, or a sequence with a "
            "text (or None) for each column of y."
        )
    if getattr(label_texts, "ndim", 1) != 1:
        raise ValueError(f"{name} has {label_texts.ndim} dimensions; expected a text a column.")
    if len(label_texts) != n_labels:
        raise ValueError(
            f"{name} has {len(label_texts)} entries, but y has {n_labels} columns; expected one "
            "for each."
        )
    return list(label_texts)


def _texts(value: Any, where: str) -> tuple[str, ...]:
    """Return a label's texts: none empty, each once."""
    if isinstance(value, str):
        value = [value]
    elif _is_missing(value):
        return ()
    elif not isinstance(value, (list, tuple)) and getattr(value, "ndim", 0) != 1:
        raise TypeError(f"{where} is {_found(value)}; expected {_TEXT}.")
    texts: dict[str, None] = {}
    for i, text in enumerate(value):
        if not isinstance(text, str):
            raise TypeError(
                f"{where}[{i}] is {_found(text)}; expected str. Leave out what is missing."
            )
        text = str.__str__(text)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{where} has a lone surrogate at character {error.start}; it is not valid "
                "Unicode. Decode the source with errors='replace', or remove the character."
            ) from None
        if text.strip():
            texts[text] = None
    return tuple(texts)


def _is_missing(value: Any) -> bool:
    """Tell None, NaN and pandas' NA from texts; comparing them raises in some libraries."""
    return not hasattr(value, "__len__") and str(value) in {"None", "nan", "NaN", "NaT", "<NA>"}


def _found(value: Any) -> str:
    return f"{shown(value)} ({type(value).__name__})"
