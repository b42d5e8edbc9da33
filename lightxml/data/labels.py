"""Labels checked and put into one canonical form, sparse from end to end.

The canonical form is a ``csr_array`` of shape (n_documents, n_labels) with sorted column
numbers and every stored entry 1, beside the labels of its columns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import MultiLabelBinarizer

from lightxml.data.frames import array_of, is_frame, listed, names_of, places_of
from lightxml.data.matrices import check_indices
from lightxml.data.texts import is_missing
from lightxml.exceptions import warn

LabelForm = Literal["dense", "csr_matrix", "csr_array", "collections"]

_ACCEPTED = (
    "an indicator matrix of shape (n_documents, n_labels), dense or sparse, "
    "or a list with a collection of labels for each document"
)
_INDICATOR, _COLLECTIONS = "an indicator matrix", "a list of collections of labels"


@dataclass(frozen=True)
class Labels:
    """The canonical form of ``y``.

    Attributes
    ----------
    matrix : csr_array of int8, shape (n_documents, n_labels)
        1 where the document has the label; nothing else is stored.
    classes : ndarray of shape (n_labels,)
        The label of each column.
    form : str
        The form `y` had, which `decode` returns to: ``"dense"``, ``"csr_matrix"``,
        ``"csr_array"`` or ``"collections"``.
    """

    matrix: sp.csr_array
    classes: np.ndarray
    form: LabelForm


def encode(y: Any, n_documents: int, *, name: str = "y") -> Labels:
    """Check the labels of a training set and put them into canonical form.

    Parameters
    ----------
    y : indicator matrix of shape (n_documents, n_labels), or list of collections of labels
        Dense, a data frame or any scipy sparse format, entries 0 or 1; repeated entries count
        once.
    n_documents : int
    name : str
        The argument's name, for messages.

    Returns
    -------
    Labels
        `classes` is ``arange(n_labels)`` for an indicator matrix, columns that are never used
        included, and the names of a frame's columns; else the sorted labels.

    Raises
    ------
    TypeError
        If `y`, or one of its collections, is of a kind that cannot hold labels.
    ValueError
        If the shape, the length or a value is wrong, or no document has any label.
    """
    if is_collections(y, name=name):
        labels = _encode_collections(y, n_documents, name)
    else:
        matrix, form = _encode_indicator(y, n_documents, name)
        classes = _named(y, name) if is_frame(y) else np.arange(matrix.shape[1])
        labels = Labels(matrix, classes, form)
    if labels.matrix.nnz == 0:
        raise ValueError(f"{name} gives no document any label; nothing can be learnt from it.")
    return labels


def encode_more(
    y: Any, classes: np.ndarray, form: LabelForm, n_documents: int, *, name: str = "y"
) -> Labels:
    """Check the labels of more documents; labels that are not among `classes` come behind them.

    Parameters
    ----------
    y : as `encode` takes it
        Columns of an array that are more than there are classes are new labels; so are those of a
        frame with names that are none. Columns of all `classes` are expected.
    classes : ndarray of shape (n_labels,)
    form : str
    n_documents : int
    name : str

    Returns
    -------
    Labels
        The `classes`, and new ones sorted among themselves. `form` is the one given.

    Raises
    ------
    TypeError, ValueError
        As `encode_known` and `extended`; that no document has a label is no error.
    """
    _check_kind(y, form, name)
    if form == "collections":
        rows = _check_rows(y, n_documents, name)
        together = extended(classes, [label for row in rows for label in row], form, name=name)
        return Labels(encode_known(y, together, form, n_documents, name=name), together, form)
    matrix, _ = _encode_indicator(y, n_documents, name)
    labels: list[Any] = list(range(matrix.shape[1]))
    is_named = is_frame(y) and classes.tolist() != list(range(len(classes)))
    if is_named:
        labels = _named(y, name).tolist()
    place = {label: i for i, label in enumerate(labels)}
    for label in classes.tolist():
        if label not in place:
            raise ValueError(
                f"{name} has no column {label!r}; expected one for each of the {len(classes)} "
                "labels of the model, and new ones behind them."
            )
    together = extended(classes, labels, form, name=name)
    order = [place[label] for label in together.tolist()]
    return Labels(_canonical(matrix[:, order]), together, form)


def extended(
    classes: np.ndarray, labels: Iterable[Any], form: LabelForm, *, name: str = "y"
) -> np.ndarray:
    """Return the classes, and behind them the labels that are none, sorted among themselves.

    Parameters
    ----------
    classes : ndarray of shape (n_labels,)
    labels : iterable of labels
        In any order, with repetitions.
    form : str
        Columns of an array are numbered without a gap.
    name : str
        The argument's name, for messages.

    Raises
    ------
    ValueError
        If a new label is of another type, or its number is not the next one.
    """
    known = classes.tolist()
    of_model = set(known)
    new = list({label: None for label in labels if label not in of_model})
    if not new:
        return classes
    for label in new:
        if isinstance(label, str) != isinstance(known[0], str):
            raise ValueError(
                f"{name} has the label {label!r:.100} ({type(label).__name__}), but the model's "
                f"labels are {type(known[0]).__name__}, such as {known[0]!r:.100}."
            )
    new.sort()
    is_numbered = form != "collections" and known == list(range(len(known)))
    if is_numbered and new != list(range(len(known), len(known) + len(new))):
        raise ValueError(
            f"{name} has the label {new[0]!r:.100}, but labels are the columns of y: the next one "
            f"is {len(known)}."
        )
    return as_classes([*known, *new])


def encode_known(
    y: Any, classes: np.ndarray, form: LabelForm, n_documents: int, *, name: str = "y"
) -> sp.csr_array:
    """Check the labels of other documents against the classes of a fitted model.

    Labels outside `classes`, in a list of collections, are left out: no ranking of `classes`
    can hit them. The columns of a frame may be in any order.

    Returns
    -------
    csr_array of int8, shape (n_documents, n_labels)

    Raises
    ------
    TypeError, ValueError
        As `encode`; also if the number of columns or their names differ, or a list of collections
        is given where the model was fitted on an indicator matrix, or the reverse.
    """
    _check_kind(y, form, name)
    if form == "collections":
        rows = _check_rows(y, n_documents, name)
        column = {label: j for j, label in enumerate(classes.tolist())}
        known = [sorted({column[label] for label in row if label in column}) for row in rows]
        indices = np.fromiter((j for row in known for j in row), dtype=np.int64)
        indptr = np.concatenate([[0], np.cumsum([len(row) for row in known])])
        ones = np.ones(len(indices), dtype=np.int8)
        return sp.csr_array((ones, indices, indptr), shape=(n_documents, len(classes)))
    matrix, _ = _encode_indicator(y, n_documents, name)
    if matrix.shape[1] != len(classes):
        raise ValueError(
            f"{name} has {matrix.shape[1]} columns, but LightXMLClassifier was fitted with "
            f"{len(classes)} labels; expected one column for each."
        )
    places = places_of(y, classes, name) if is_frame(y) else None
    return matrix if places is None else _canonical(matrix[:, places])


def _check_kind(y: Any, form: LabelForm, name: str) -> None:
    """Refuse an indicator matrix where the model learnt collections, and the reverse."""
    collections = is_collections(y, name=name)
    if collections != (form == "collections"):
        now, then = _COLLECTIONS, _INDICATOR
        if not collections:
            now, then = then, now
        raise ValueError(f"{name} is {now}, but the model was fitted on {then}. Give it as that.")


def has_known(y: Any, known: sp.csr_array, classes: np.ndarray, *, name: str) -> bool:
    """Tell whether any document has a label, and warn where the model knows none of all.

    Parameters
    ----------
    y : as `encode_known` takes it
    known : csr_array, shape (n_documents, n_labels)
        What it returned.
    classes : ndarray of shape (n_labels,)
    name : str
        The argument's name, for the message.

    Warns
    -----
    UserWarning
        If there are labels, and none is one of `classes`.
    """
    if known.nnz == 0 and is_collections(y):
        example = next((label for row in listed(y) for label in row), None)
        if example is not None:
            warn(
                f"None of the labels of {name} (such as {example!r}) is known (such as "
                f"{classes.tolist()[0]!r}), so that none can be hit. Give them as the model "
                "learnt them, of the same type."
            )
    return bool(known.nnz > 0)


def decode(matrix: sp.csr_array, classes: np.ndarray, form: LabelForm) -> Any:
    """Return predictions in the form that `y` had at fit.

    Parameters
    ----------
    matrix : csr_array of shape (n_documents, n_labels)
        Every stored entry is a predicted label; column numbers are sorted.
    classes : ndarray of shape (n_labels,)
    form : str
        ``Labels.form`` of the training labels.

    Returns
    -------
    ndarray of int64, csr_matrix, csr_array, or list of tuples of labels
    """
    if form == "collections":
        starts = matrix.indptr
        return [
            tuple(classes[matrix.indices[starts[i] : starts[i + 1]]].tolist())
            for i in range(matrix.shape[0])
        ]
    indicator = matrix.astype(np.int64)
    if form == "dense":
        return indicator.toarray()
    return sp.csr_matrix(indicator) if form == "csr_matrix" else indicator


def is_collections(y: Any, *, name: str = "y") -> bool:
    """Tell a list of collections of labels from an indicator matrix, by its type alone."""
    if sp.issparse(y) or is_frame(y):
        return False
    if isinstance(y, np.ndarray):
        return y.dtype == object and y.ndim == 1
    is_sequence = isinstance(y, Sequence) and not isinstance(y, (str, bytes, bytearray))
    is_column = hasattr(y, "to_list") or hasattr(y, "to_pylist")
    if is_sequence or (is_column and hasattr(y, "__len__")):
        return True
    if y is None:
        raise ValueError(  # in the words by which scikit-learn's checks know this error
            f"LightXMLClassifier requires {name} to be passed, but the target {name} is None; "
            f"expected {_ACCEPTED}."
        )
    raise TypeError(f"{name} is of type {type(y).__name__}; expected {_ACCEPTED}.")


def _encode_collections(y: Any, n_documents: int, name: str) -> Labels:
    rows = _check_rows(y, n_documents, name)
    binarizer = MultiLabelBinarizer(sparse_output=True)
    try:
        matrix = binarizer.fit_transform(rows)
    except TypeError as error:
        raise TypeError(
            f"{name} mixes labels that cannot be sorted ({error}). "
            "Use labels of one type, such as str."
        ) from None
    return Labels(_canonical(matrix), binarizer.classes_, "collections")


def _check_rows(y: Any, n_documents: int, name: str) -> list[list[Any]]:
    collections = listed(y)
    _check_length(len(collections), n_documents, name)
    rows = [_check_row(row, f"{name}[{i}]") for i, row in enumerate(collections)]
    if not any(isinstance(row, (set, frozenset)) for row in collections):
        _refuse_indicator_rows(rows, name)
    return rows


def _check_row(row: Any, where: str) -> list[Any]:
    if type(row) is list:
        return [_check_label(label, where) for label in row]
    if is_missing(row):
        raise ValueError(
            f"{where} is {row}; expected a collection of labels. "
            "Pass [] for a document without labels."
        )
    if isinstance(row, (str, bytes, Number, np.bool_)):
        raise ValueError(
            f"{where} is the single label {row!r}; expected a collection of labels. "
            f"Pass [{row!r}] for one label, or an indicator matrix for all documents."
        )
    is_collection = isinstance(row, Collection) and not isinstance(row, Mapping)
    if (is_collection or hasattr(row, "__array__")) and getattr(row, "ndim", 1) == 1:
        return [_check_label(label, where) for label in listed(row)]
    raise TypeError(
        f"{where} is of type {type(row).__name__}; expected a list, tuple, set or 1-D array of "
        "labels."
    )


def _check_label(label: Any, where: str) -> Any:
    if type(label) is str:
        return label
    if isinstance(label, np.generic):
        label = label.item()  # as Python's own, so that equal labels are one and can be saved
    if is_missing(label):
        raise ValueError(f"{where} holds the missing label {label}. Remove missing labels first.")
    if isinstance(label, int) and not -(2**63) <= label < 2**63:
        raise ValueError(f"{where} holds the label {label}, beyond 64 bits. Use str labels.")
    try:
        hash(label)
    except TypeError:
        raise TypeError(
            f"{where} holds the label {label!r} of type {type(label).__name__}, which cannot be "
            "hashed. Use str or int labels."
        ) from None
    return label


def _refuse_indicator_rows(rows: list[list[Any]], name: str) -> None:
    """Catch an indicator matrix written as nested lists: it would be learnt as labels 0 and 1.

    As labels, 0 and 1 fill at most two places of a row, and in no more than one order.
    """
    width = len(rows[0])
    if (
        width > 1
        and all(len(row) == width for row in rows)
        and all(isinstance(value, (int, float)) and value in (0, 1) for r in rows for value in r)
        and (len(set(rows[0])) < width or any(row != rows[0] for row in rows))
    ):
        raise ValueError(
            f"{name} is a list of {len(rows)} rows of {width} zeros and ones, which reads as the "
            f"labels 0 and 1. Pass np.asarray({name}) for an indicator matrix."
        )


def _encode_indicator(y: Any, n_documents: int, name: str) -> tuple[sp.csr_array, LabelForm]:
    form: LabelForm = "dense"
    if sp.issparse(y):
        form = "csr_array" if isinstance(y, sp.sparray) else "csr_matrix"
    else:
        y = array_of(y) if is_frame(y) else np.asarray(y)
    if y.dtype.kind not in "biufO":
        raise ValueError(f"{name} has dtype {y.dtype}; expected {_ACCEPTED}.")
    if y.ndim != 2:
        raise ValueError(f"{name} is {y.ndim}-D with shape {y.shape}; expected {_ACCEPTED}.")
    _check_length(y.shape[0], n_documents, name)
    if y.shape[1] == 0:
        raise ValueError(f"{name} has no columns; expected at least one label.")
    if sp.issparse(y):
        check_indices(y, name)
        entries = sp.coo_array(y)
    else:
        entries = _nonzero(y, name)
    wrong = np.flatnonzero((entries.data != 0) & (entries.data != 1))
    if len(wrong):
        i = wrong[0]
        raise ValueError(
            f"{name}[{entries.row[i]}, {entries.col[i]}] is {entries.data[i]}; expected 0 or 1."
        )
    return _canonical(entries), form


def _named(frame: Any, name: str) -> np.ndarray:
    """Return the names of a frame's columns, which are the labels."""
    labels = [_check_label(label, f"{name}.columns") for label in names_of(frame)]
    seen: set[Any] = set()
    for label in labels:
        if label in seen:
            raise ValueError(f"{name} has two columns {label!r}; expected one for each label.")
        seen.add(label)
    if len(kinds := {type(label) for label in labels}) > 1:
        raise TypeError(
            f"{name} names its columns by {' and '.join(sorted(k.__name__ for k in kinds))}. "
            "Use names of one type, such as str."
        )
    return as_classes(labels)


def as_classes(labels: list[Any]) -> np.ndarray:
    """Return labels as an array: int64 where all are int, else objects."""
    if all(type(label) is int for label in labels):
        return np.array(labels, dtype=np.int64)
    classes = np.empty(len(labels), dtype=object)
    classes[:] = labels
    return classes


def _nonzero(y: np.ndarray, name: str) -> sp.coo_array:
    if y.dtype == object:  # None is no zero, and pandas' NA no truth value: entry by entry
        for (i, j), value in np.ndenumerate(y):
            if not (isinstance(value, (Number, np.bool_)) and value in (0, 1)):
                raise ValueError(f"{name}[{i}, {j}] is {value!r}; expected 0 or 1.")
        y = y.astype(bool)
    if y.dtype == np.float16:  # which sparse matrices cannot hold
        y = y.astype(np.float32)
    rows, columns = np.nonzero(y)
    return sp.coo_array((y[rows, columns], (rows, columns)), shape=y.shape)


def _canonical(entries: Any) -> sp.csr_array:
    entries = sp.coo_array(entries)
    kept = entries.data != 0
    ones = np.ones(np.count_nonzero(kept), dtype=np.int8)
    coordinates = (entries.row[kept], entries.col[kept])
    matrix = sp.csr_array(sp.coo_array((ones, coordinates), shape=entries.shape))
    matrix.sum_duplicates()  # sorts the column numbers as well
    matrix.data[:] = 1
    return matrix


def _check_length(n_rows: int, n_documents: int, name: str) -> None:
    if n_rows != n_documents:
        raise ValueError(
            f"{name} has {n_rows} rows, but there are {n_documents} documents; "
            "expected one row for each."
        )
