"""Documents checked and put into one canonical form: a list of ``str``."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Set
from typing import Any

import numpy as np
import scipy.sparse as sp

from lightxml.data.frames import is_frame, listed

_ACCEPTED = "a list, tuple, 1-D array or Series of str"
_MISSING = frozenset({"None", "nan", "NaN", "NaT", "<NA>"})


def check_texts(X: Any, *, name: str = "X") -> list[str]:
    """Return the documents as a list of ``str``; the caller's object is left as it is.

    Parameters
    ----------
    X : list, tuple, 1-D array, Series or arrow array of str, length n_documents
        The documents. An empty ``str`` is a document too.
    name : str
        The argument's name, for messages.

    Returns
    -------
    list of str, length n_documents

    Raises
    ------
    TypeError
        If `X` is no such collection, or an entry is not a ``str``.
    ValueError
        If `X` is empty, has more than one dimension, or holds a document that is not valid
        Unicode (a lone surrogate).
    """
    if isinstance(X, (str, bytes, bytearray)):
        raise TypeError(
            f"{name} is a single {type(X).__name__}; expected {_ACCEPTED}. "
            f"Pass [{name}] to give one document."
        )
    if sp.issparse(X):
        raise TypeError(f"{name} is a sparse matrix of shape {X.shape}; expected {_ACCEPTED}.")
    ndim = 2 if is_frame(X) else getattr(X, "ndim", 1)
    if ndim != 1:
        advice = " Select the one column that holds the documents." if ndim > 1 else ""
        raise ValueError(f"{name} has {ndim} dimensions; expected {_ACCEPTED}.{advice}")
    # Mappings and sets have no order of documents; what has no length can be read only once.
    if isinstance(X, (Mapping, Set)) or not hasattr(X, "__len__"):
        advice = f" Pass list({name})." if hasattr(X, "__next__") else ""
        raise TypeError(f"{name} is of type {type(X).__name__}; expected {_ACCEPTED}.{advice}")
    documents = listed(X)
    if not documents:
        raise ValueError(f"{name} is empty; expected at least one document.")
    for i, document in enumerate(documents):
        if type(document) is not str:
            if not isinstance(document, str):
                raise TypeError(_not_a_string(document, f"{name}[{i}]"))
            # np.str_ and other subclasses; an enum's own __str__ would give its name.
            document = documents[i] = str.__str__(document)
        if not document.isascii():
            _check_unicode(document, f"{name}[{i}]")
    return documents


def holds_texts(X: Any) -> bool:
    """Tell documents, as a whole, from a numeric matrix: one dimension, beginning with a str."""
    if isinstance(X, str):
        return True
    if sp.issparse(X) or is_frame(X) or getattr(X, "ndim", 1) != 1 or not hasattr(X, "__len__"):
        return False
    if isinstance(X, (Mapping, Set)) or len(X) == 0:
        return False
    first = next(iter(X))
    return isinstance(first.as_py() if hasattr(first, "as_py") else first, str)  # arrow's


def is_missing(value: Any) -> bool:
    """Tell None, NaN, NaT, NA and masked entries from values.

    By what they print, since comparing them raises in some libraries (``pd.NA != pd.NA``);
    what has a length is never missing.
    """
    if value is np.ma.masked:
        return True
    return not hasattr(value, "__len__") and str(value) in _MISSING


def _not_a_string(document: Any, where: str) -> str:
    if isinstance(document, (bytes, bytearray)):
        return f"{where} is of type {type(document).__name__}; expected str. Decode it first."
    if is_missing(document):
        return f"{where} is {document}; expected str. Drop or fill missing documents first."
    if hasattr(document, "__len__"):
        return (
            f"{where} is of type {type(document).__name__}; expected str. "
            "Join its parts into one string first."
        )
    return (
        f"{where} is {reprlib.repr(document)} ({type(document).__name__}); expected str. "
        "Convert it to a string first."
    )


def _check_unicode(document: str, where: str) -> None:
    try:
        document.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{where} has a lone surrogate ({document[error.start]!r}) at character "
            f"{error.start}; it is not valid Unicode. Decode the source with "
            "errors='replace', or remove the character."
        ) from None
