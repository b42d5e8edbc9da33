"""The parts of a data set (train, test, validation) with one set of label columns."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils import Bunch


@dataclass(frozen=True)
class Part:
    """Documents and their labels, before the columns of several parts are brought together."""

    X: list[str] | csr_array  # n_documents texts, or their features in as many rows
    labels: np.ndarray  # (n_part_labels,), objects (str), sorted: the labels this part uses
    y: csr_array  # (n_documents, n_part_labels)


def make_part(texts: list[str], label_lists: Iterable[Iterable[str]]) -> Part:
    """Binarise the labels of each document; a label repeated in a document counts once.

    It takes the label lists one by one and keeps numbers only, so that a file of many
    millions of labels is never a list of as many strings.
    """
    numbers: dict[str, int] = {}
    flat, ends = array("q"), array("q", [0])
    for labels in label_lists:
        flat.extend(numbers.setdefault(label, len(numbers)) for label in labels)
        ends.append(len(flat))
    names = as_names(numbers)
    order = np.argsort(names)
    column = np.empty(len(order), dtype=np.int64)
    column[order] = np.arange(len(order))
    indices = column[np.asarray(flat, dtype=np.int64)]
    return Part(texts, names[order], indicator(indices, np.asarray(ends), len(order)))


def make_numbered_part(X: list[str] | csr_array, indices: np.ndarray, indptr: np.ndarray) -> Part:
    """Binarise labels that are numbers: those of document i are ``indices[indptr[i]:indptr[i+1]]``.

    A label's name is its number, in decimal. Numbers that no document has cost nothing.
    """
    used, indices = np.unique(indices, return_inverse=True)
    names = as_names(map(str, used.tolist()))
    order = np.argsort(names)
    column = np.empty(len(order), dtype=np.int64)
    column[order] = np.arange(len(order))
    return Part(X, names[order], indicator(column[indices], indptr, len(order)))


def as_names(names: Iterable[str]) -> np.ndarray:
    """Return names as an array of objects.

    numpy's own text would give each the room of the longest, and drop a NUL at its end.
    """
    texts = list(names)
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array


def indicator(indices: np.ndarray, indptr: np.ndarray, n_labels: int) -> csr_array:
    """Build a CSR matrix of int64 ones with sorted indices; repeated entries count once."""
    # Much of scikit-learn wants 32-bit indices.
    dtype = np.int32 if max(len(indices), n_labels) < 2**31 else np.int64
    y = csr_array(
        # Not int8: scikit-learn's OneVsRestClassifier numbers its classes in this type.
        (np.ones(len(indices), dtype=np.int64), indices.astype(dtype), indptr.astype(dtype)),
        shape=(len(indptr) - 1, n_labels),
    )
    y.sum_duplicates()  # sorts the indices of each row as well
    y.data[:] = 1
    return y


def _align(part: Part, labels: np.ndarray) -> tuple[csr_array, int, int]:
    """Give `part` the columns `labels` (sorted); what has no column is dropped and counted.

    Returns
    -------
    y : csr_array of shape (n_documents, len(labels))
    n_labels, n_occurrences : int
        How many labels have no column, and how often they occur.
    """
    column = np.searchsorted(labels, part.labels)
    known = labels[np.minimum(column, len(labels) - 1)] == part.labels
    kept = known[part.y.indices]
    indptr = np.concatenate([[0], np.cumsum(kept)])[part.y.indptr]
    y = indicator(column[part.y.indices[kept]], indptr, len(labels))
    return y, int((~known).sum()), int((~kept).sum())


def make_bunch(
    train: Part,
    test: Part | None,
    validation: Part | None,
    *,
    names: dict[str, str],
    description: str,
) -> Bunch:
    """Bring the parts together on the columns of the training labels (at least one).

    Parameters
    ----------
    train, test, validation : Part or None
        The columns of all are the labels of `train`.
    names : dict of str to str
        Readable names of labels; a label without one is its own name.
    description : str
        What stands below the counts in ``DESCR``.

    Returns
    -------
    bunch : Bunch
        As `load_xmc` describes it.
    """
    labels = train.labels
    bunch: dict[str, Any] = {"X_train": train.X, "y_train": train.y}
    n_unseen_labels, n_unseen_occurrences = {}, {}
    lines = [_count("train", train)]
    for key, part in (("test", test), ("validation", validation)):
        bunch[f"X_{key}"] = bunch[f"y_{key}"] = None
        if part is None:
            continue
        bunch[f"X_{key}"] = part.X
        bunch[f"y_{key}"], n_labels, n_occurrences = _align(part, labels)
        n_unseen_labels[key], n_unseen_occurrences[key] = n_labels, n_occurrences
        lines.append(
            f"{_count(key, part)}; {n_labels:,} of them ({n_occurrences:,} occurrences)"
            " not in train: no columns"
        )
    return Bunch(
        **bunch,
        labels=labels,
        label_names=as_names(names.get(label, label) for label in labels.tolist()),
        n_unseen_labels=n_unseen_labels,
        n_unseen_occurrences=n_unseen_occurrences,
        DESCR="\n".join(lines) + "\n\n" + description,
    )


def _count(key: str, part: Part) -> str:
    n_documents = part.y.shape[0]
    return (
        f"{key}: {n_documents:,} documents, {len(part.labels):,} labels,"
        f" {part.y.nnz / max(n_documents, 1):.2f} labels a document"
    )


def label_sets(y: csr_array, labels: np.ndarray) -> list[tuple[str, ...]]:
    """Give the labels of each row by name, as `lightxml.LightXMLClassifier.fit` also takes them.

    Parameters
    ----------
    y : csr_array of shape (n_documents, n_labels)
        Indicator matrix; an entry that is stored counts as set.
    labels : ndarray of str, shape (n_labels,)
        Name of each column.

    Returns
    -------
    sets : list of tuple of str
        For each row the names of its labels, in the order of the columns.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from lightxml.datasets import label_sets
    >>> label_sets(csr_array([[1, 0, 1], [0, 0, 0]]), np.array(["a", "b", "c"]))
    [('a', 'c'), ()]
    """
    # Objects, so that the rows share one string for each label.
    names = labels.astype(object)[y.indices].tolist()
    ends = y.indptr.tolist()
    return [tuple(names[a:b]) for a, b in pairwise(ends)]
