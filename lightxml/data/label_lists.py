"""Labels that are listed for a fitted model: for all documents, or for each its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import numpy as np
import scipy.sparse as sp

from lightxml.data.frames import is_frame, listed
from lightxml.data.label_texts import shown
from lightxml.data.labels import encode_known
from lightxml.data.near_matches import near_matches

_ADVICE = (
    "For another list for each document, pass a matrix of shape (n_documents, n_labels) of 0 and 1."
)


def check_label_list(given: Any, classes: np.ndarray, *, name: str) -> np.ndarray | sp.csr_array:
    """Return the columns of listed labels.

    Parameters
    ----------
    given : sequence or set of labels; or matrix of 0 and 1, shape (n_documents, n_labels)
        The matrix may be dense, a data frame or in any scipy sparse format; the columns of a
        frame with names may be in any order. Labels may come twice.
    classes : ndarray of shape (n_labels,)
    name : str
        The argument's name, for messages.

    Returns
    -------
    ndarray of int64, or csr_array of shape (n_documents, n_labels)
        Sorted, each once; or, of a matrix, an entry for each label of a document.

    Raises
    ------
    TypeError
        If it is of a kind that cannot list labels.
    ValueError
        If a label is not among `classes`, or a matrix has another number of columns, or other
        entries than 0 and 1.
    """
    if sp.issparse(given) or is_frame(given) or getattr(given, "ndim", 1) == 2:
        n_rows = given.shape[0]
        return encode_known(given, classes, "csr_array", n_rows, name=name)
    known = classes.tolist()
    column = {label: j for j, label in enumerate(known)}
    ordered = not isinstance(given, Set)
    found = [
        _column(label, column, known, f"{name}[{i}] is" if ordered else f"{name} has")
        for i, label in enumerate(_listed(given, name))
    ]
    return np.unique(np.array(found, dtype=np.int64))


def _column(label: Any, column: Mapping[Any, int], known: Sequence[Any], where: str) -> int:
    if isinstance(label, np.generic):
        label = label.item()
    try:
        found = column.get(label)
    except TypeError:  # a list, which cannot be hashed
        found = None
    is_bool = isinstance(label, bool) and not isinstance(known[0], bool)  # True equals 1
    if found is not None and not is_bool:
        return found
    if is_bool or (hasattr(label, "__len__") and not isinstance(label, str)):
        raise TypeError(
            f"{where} {shown(label)} ({type(label).__name__}); expected a label. {_ADVICE}"
        )
    raise ValueError(f"{where} {shown(label)}, which is {not_among(label, known)}")


def not_among(
    label: Any,
    known: Sequence[Any],
    names: Mapping[str, str] | None = None,
    show: Callable[[Any], str] = shown,
) -> str:
    """Return the end of a message: that a label is none of the model's, and which may be meant.

    Parameters
    ----------
    label : Any
        What was given in the place of a label.
    known : sequence of labels
    names : mapping of str to str, or None
        The name of each label that has one; it may be such a name that was given.
    show : callable
        What a label is in the message.
    """
    end = f"not among the {len(known):,} labels of the model"
    by_text = {str(each): each for each in known}
    by_name = {name: by_text[each] for each, name in (names or {}).items() if each in by_text}
    near = near_matches(label, [*by_text, *by_name]) if isinstance(label, str) else []
    if not near:
        return f"{end}, such as {show(known[0])}. Give it as the model has it."
    meant = [
        show(by_text[each]) if each in by_text else f"{show(by_name[each])} ({show(each)})"
        for each in near
    ]
    return f"{end}. Is {' or '.join(meant)} meant?"


def _listed(given: Any, name: str) -> list[Any]:
    expected = "expected a sequence of labels, or a matrix of shape (n_documents, n_labels)"
    if isinstance(given, (str, bytes)):
        raise TypeError(f"{name} is the single label {shown(given)}; pass [{shown(given)}].")
    if getattr(given, "ndim", 1) != 1:
        raise ValueError(f"{name} is {given.ndim}-D; {expected}.")
    is_list = hasattr(given, "__iter__") and hasattr(given, "__len__")
    if isinstance(given, Mapping) or not is_list:
        advice = f" Pass list({name})." if hasattr(given, "__iter__") else ""
        raise TypeError(f"{name} is of type {type(given).__name__}; {expected}.{advice}")
    return sorted(given, key=str) if isinstance(given, Set) else listed(given)
