"""How a delimited file is written: its delimiter, its quotes, and whether its first line names."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from lightxml.datasets.lines import MAX_LINE_BYTES

DELIMITERS = (",", "\t", ";", "|")
_OF_SUFFIX = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_MOST_ROWS = 2_000  # of a sample


@dataclass(frozen=True)
class Dialect:
    """How the rows of a delimited file are written.

    Attributes
    ----------
    delimiter : str
        One character.
    quotes : bool
        Whether double quotes surround fields that hold delimiters, quotes or line ends; else they
        are characters as others are.
    """

    delimiter: str
    quotes: bool


def tell_dialect(
    sample: str,
    suffix: str,
    wanted: Sequence[str],
    *,
    delimiter: str | None,
    quotes: bool | None,
) -> Dialect:
    """Return the dialect of a file that begins so.

    The delimiter is the one that gives the first line the columns asked for; else that of the
    file's name, if rows agree on it; else the one on which most rows agree. Quotes are taken for
    characters only where a reading with them is wrong, or swallows lines that are rows
    themselves, and one without them gives each row as many fields.

    Parameters
    ----------
    sample : str
        Whole lines.
    suffix : str
        What the file's name ends in, in lower case.
    wanted : sequence of str
        Names of columns.
    delimiter, quotes : str, bool or None
        What is known.
    """
    if delimiter is None:
        delimiter = _delimiter(sample, suffix, wanted, quotes is not False)
    if quotes is None:
        with_quotes = Dialect(delimiter, True)
        quotes = _fields(sample, with_quotes) is not None and not _swallows(sample, with_quotes)
        quotes = quotes or not _is_plain(sample, delimiter)
    return Dialect(delimiter, quotes)


def reader_of(lines: Iterable[str], dialect: Dialect) -> Any:
    """Return the csv module's reader of lines in this dialect."""
    if dialect.quotes:
        return csv.reader(lines, delimiter=dialect.delimiter, strict=True)
    return csv.reader(lines, delimiter=dialect.delimiter, quoting=csv.QUOTE_NONE)


def next_row(reader: Any) -> list[str] | None:
    """Return the reader's next row; None at the end.

    Documents are longer than the module's limit, which holds for the whole process.
    """
    limit = csv.field_size_limit(MAX_LINE_BYTES)
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(limit)


def swallowed(lines: Sequence[str], delimiter: str, n_fields: int) -> bool:
    """Tell whether a row of several lines may be as many rows, from a lone quote to the next.

    Each of its lines then has all fields; for two lines of two fields that is no sign.
    """
    if n_fields < 2 or len(lines) * n_fields <= 4:
        return False
    return all(line.count(delimiter) == n_fields - 1 for line in lines)


def _delimiter(sample: str, suffix: str, wanted: Sequence[str], quotes: bool) -> str:
    own = _OF_SUFFIX.get(suffix)
    ordered = [own, *(d for d in DELIMITERS if d != own)] if own else list(DELIMITERS)
    agreed: dict[str, float] = {}
    for delimiter in ordered:
        dialect = Dialect(delimiter, quotes)
        first = next(iter(_rows(sample, dialect)[0]), [])
        if wanted and len(first) > 1 and set(wanted) <= set(first):
            return delimiter
        fields = _fields(sample, dialect) or _fields(sample, Dialect(delimiter, False)) or Counter()
        n_fields, n_rows = fields.most_common(1)[0] if fields else (0, 0)
        if n_fields > 1:
            agreed[delimiter] = n_rows / sum(fields.values())
    if own is not None and agreed.get(own, 0) > 0.9:
        return own
    best = max(agreed.items(), key=lambda item: item[1], default=(None, 0.0))
    return best[0] if best[0] is not None and best[1] > 0.9 else own or ","


def _lines(sample: str) -> list[str]:
    return list(io.StringIO(sample, newline="\n"))  # only a newline ends one


def _rows(sample: str, dialect: Dialect) -> tuple[list[list[str]], list[int], csv.Error | None]:
    """Return the rows of a sample, where each ends, and what ended the reading, if anything did."""
    rows: list[list[str]] = []
    ends: list[int] = []
    reader = reader_of(_lines(sample), dialect)
    try:
        while len(rows) < _MOST_ROWS and (row := next_row(reader)) is not None:
            if row:
                rows.append(row)
                ends.append(reader.line_num)
    except csv.Error as error:
        return rows, ends, error
    return rows, ends, None


def _fields(sample: str, dialect: Dialect) -> Counter[int] | None:
    """Return how many rows have how many fields; None if there is an error among them."""
    rows, _, error = _rows(sample, dialect)
    # The sample may end within a field of several lines.
    if error is not None and "unexpected end of data" not in str(error):
        return None
    return Counter(map(len, rows))


def _is_plain(sample: str, delimiter: str) -> bool:
    """Tell whether each row has as many fields if quotes are characters, and few stand around one.

    Where many do, quotes mean what they usually do, and one of them is wrong.
    """
    rows, _, error = _rows(sample, Dialect(delimiter, False))
    if error is not None or len({len(row) for row in rows}) != 1:
        return False
    fields = [field for row in rows for field in row]
    quoted = sum(len(field) > 1 and field[0] == field[-1] == '"' for field in fields)
    return quoted < 0.05 * len(rows)


def _swallows(sample: str, dialect: Dialect) -> bool:
    """Tell whether a row of the sample is several rows, as `swallowed` does, its open end too."""
    lines = _lines(sample)
    rows, ends, error = _rows(sample, dialect)
    if error is not None:
        ends.append(len(lines))
    for begin, end in pairwise([0, *ends]):
        if end - begin > 1 and swallowed(lines[begin:end], dialect.delimiter, len(rows[0])):
            return True
    return False
