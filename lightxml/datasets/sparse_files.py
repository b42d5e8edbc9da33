"""Parts of data sets whose documents are features: the repository's sparse text files."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from lightxml.datasets.lines import byte_lines
from lightxml.datasets.parts import Part, make_numbered_part

# At most 18 digits: more would not go into 64 bits. Possessive, so that no line is tried twice.
_NUMBERS = re.compile(rb"\d{1,18}(?:,\d{1,18})*+")
_ENTRIES = re.compile(rb"(?:\d{1,18}:[-+.\deE]++(?: ++|\Z))*+")


class _Rows:
    """Sparse rows as they are read: 12 bytes an entry."""

    def __init__(self) -> None:
        self.columns, self.values, self.ends = array("q"), array("f"), array("q", [0])

    def add(self, entries: bytes) -> None:
        """Add the row ``column:value column:value``; ValueError if it is none."""
        if not _ENTRIES.fullmatch(entries):
            raise ValueError
        flat = entries.replace(b":", b" ").split()
        self.columns.extend(map(int, flat[::2]))
        self.values.extend(map(float, flat[1::2]))
        self.ends.append(len(self.columns))

    def matrix(self, file: Path, n_columns: int) -> csr_array:
        """Return the rows as a matrix of float32, its entries checked."""
        columns, values = np.asarray(self.columns), np.asarray(self.values)
        ends = np.asarray(self.ends)
        _check_range(file, columns, ends, n_columns)
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            raise ValueError(
                f"{file}, line {_line_of(wrong[0], ends):,}: holds a value beyond the range of"
                " float32."
            )
        dtype = np.int32 if max(len(columns), n_columns) < 2**31 else np.int64
        parts = (values, columns.astype(dtype), ends.astype(dtype))
        matrix = csr_array(parts, shape=(len(ends) - 1, n_columns))
        matrix.sum_duplicates()  # sorts the columns of each row as well
        return matrix


def read_labelled_rows(file: Path) -> Part:
    """Read lines of ``label,label column:value column:value`` below a line of "N F L".

    N is the number of documents, F that of features and L that of labels; both count from 0.

    Raises
    ------
    ValueError
        A line is not of this form, a number is out of range, or there are not N lines.
    """
    lines = _lines(file)
    n_documents, n_features, n_labels = _header(file, lines, "documents, features and labels")
    rows, labels, label_ends = _Rows(), array("q"), array("q", [0])
    for number, line in lines:
        head, _, entries = line.partition(b" ")
        if b":" in head:  # a document without labels
            head, entries = b"", line
        try:
            if head and not _NUMBERS.fullmatch(head):
                raise ValueError
            labels.extend(map(int, head.split(b",")) if head else ())
            label_ends.append(len(labels))
            rows.add(entries.lstrip())
        except ValueError:
            raise _malformed(file, number, line, "label,label column:value column:value") from None
    features = rows.matrix(file, n_features)
    _check_count(file, features.shape[0], n_documents)
    indices, indptr = np.asarray(labels), np.asarray(label_ends)
    _check_range(file, indices, indptr, n_labels)
    return make_numbered_part(features, indices, indptr)


def read_matrix_pair(features_file: Path, labels_file: Path) -> Part:
    """Read two matrices of lines ``column:value column:value``, each below its numbers of both.

    Raises
    ------
    ValueError
        As `read_labelled_rows`; also if a label has a value other than 0 or 1.
    """
    features, y = _read_matrix(features_file), _read_matrix(labels_file)
    if features.shape[0] != y.shape[0]:
        raise ValueError(
            f"{features_file} has {features.shape[0]:,} rows but {labels_file} has"
            f" {y.shape[0]:,}; expected one for each document in both."
        )
    y.eliminate_zeros()
    wrong = np.flatnonzero(y.data != 1)
    if len(wrong):
        raise ValueError(
            f"{labels_file}, line {_line_of(wrong[0], y.indptr):,}: gives label"
            f" {y.indices[wrong[0]]:,} the value {y.data[wrong[0]]:g}; expected 0 or 1."
        )
    return make_numbered_part(features, y.indices, y.indptr)


def _read_matrix(file: Path) -> csr_array:
    lines = _lines(file)
    n_rows, n_columns = _header(file, lines, "rows and columns")
    rows = _Rows()
    for number, line in lines:
        try:
            rows.add(line.lstrip())
        except ValueError:
            raise _malformed(file, number, line, "column:value column:value") from None
    matrix = rows.matrix(file, n_columns)
    _check_count(file, matrix.shape[0], n_rows)
    return matrix


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(byte_lines(file), start=1):
        yield number, line.replace(b"\t", b" ").rstrip()


def _header(file: Path, lines: Iterator[tuple[int, bytes]], what: str) -> list[int]:
    """Read the first line: as many counts as `what` names."""
    n_counts = len(re.split(r", | and ", what))
    _, line = next(lines, (1, b""))
    counts = line.split()
    if len(counts) != n_counts or not all(re.fullmatch(rb"\d{1,18}", count) for count in counts):
        raise ValueError(
            f"{file}, line 1: expected {n_counts} counts, of {what}; found {_shown(line)}."
        )
    return [int(count) for count in counts]


def _check_count(file: Path, found: int, expected: int) -> None:
    if found != expected:
        raise ValueError(
            f"{file}: its first line promises {expected:,} lines below; found {found:,}."
        )


def _check_range(file: Path, numbers: np.ndarray, ends: np.ndarray, end: int) -> None:
    wrong = np.flatnonzero(numbers >= end)
    if len(wrong):
        raise ValueError(
            f"{file}, line {_line_of(wrong[0], ends):,}: holds the number {numbers[wrong[0]]};"
            f" by the first line, expected at most {end - 1}."
        )


def _line_of(entry: int, ends: np.ndarray) -> int:
    # The rows begin in line 2.
    return int(np.searchsorted(ends, entry, side="right")) + 1


def _malformed(file: Path, number: int, line: bytes, form: str) -> ValueError:
    return ValueError(f'{file}, line {number:,}: expected "{form}"; found {_shown(line)}.')


def _shown(line: bytes) -> str:
    return ascii(line[:60].decode("utf-8", "replace"))
