"""A table of a file: the names of its columns, and its rows one by one."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from lightxml.datasets.tables import columnar, json_files
from lightxml.datasets.tables.cells import brief, shown
from lightxml.datasets.tables.dialect import Dialect, next_row, reader_of, swallowed
from lightxml.datasets.tables.forms import PREFIX, Form, Written, tell_form
from lightxml.datasets.tables.nested import has, names_in, value_of
from lightxml.datasets.tables.streams import Stream, decoded_lines, open_stream

_LOOKED_AT = 64  # records of which one has to have a column
FASTTEXT_COLUMNS = ["text", "labels"]


@dataclass(frozen=True)
class Table:
    """An open table, to be read once.

    Attributes
    ----------
    path : Path
    form : Form
    columns : list of str
        Names; of JSON those of the first record.
    unit : str
        What is counted to say where a row stands: "line", "row" or "record".
    first : list
        The cells of the first row; of no row none.
    has_numbers : bool
        Whether its columns have numbers for names, as it has no header.
    """

    path: Path
    form: Form
    columns: list[str]
    unit: str
    first: list[Any]
    has_numbers: bool
    _read: Callable[[Sequence[str]], Iterator[tuple[int, list[Any]]]]

    def rows(self, wanted: Sequence[str]) -> Iterator[tuple[int, list[Any]]]:
        """Yield where each row stands, and its cells in these columns; None where one is missing.

        Raises
        ------
        ValueError
            A column is not there, or a row is not of the file's form.
        """
        return self._read(wanted)

    def where(self, number: int) -> str:
        """Say where a row stands."""
        return f"{self.path}, {self.unit} {number:,}"


@contextmanager
def open_table(path: Path, wanted: Sequence[str], written: Written) -> Iterator[Table]:
    """Open a file, tell its form, and read its first row.

    Parameters
    ----------
    path : Path
        - is standard input.
    wanted : sequence of str
        Columns that will be asked for: the form that has them is preferred.
    written : Written

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        Its form cannot be told, or its first row is not of that form.
    ImportError
        What reads Parquet or Excel is not installed.
    """
    with open_stream(path) as stream:
        form = tell_form(stream, path, wanted, written)
        _check_written(path, form, written)
        if form.kind == "delimited":
            yield _delimited(path, stream, form, wanted, written)
        elif form.kind == "fasttext":
            yield _fasttext(path, stream, form)
        elif form.kind in ("parquet", "excel"):
            with columnar.opened(path, stream, form.kind) as (columns, rows):
                yield _of_lists(path, form, columns, "row", rows)
        else:
            reader = json_files.lines if form.kind == "json lines" else json_files.array
            unit = "line" if form.kind == "json lines" else "record"
            yield _of_records(path, form, unit, reader(stream, form.encoding, path))


def _check_written(path: Path, form: Form, written: Written) -> None:
    """Refuse what is said of a delimited file and is about none."""
    if form.kind == "delimited":
        return
    for name in ("delimiter", "header", "quotes"):
        if (value := getattr(written, name)) is not None:
            raise ValueError(f"{name}={value!r} is about a file like CSV; {path} is {form}.")


def _delimited(
    path: Path, stream: Stream, form: Form, wanted: Sequence[str], written: Written
) -> Table:
    assert form.dialect is not None
    lines = decoded_lines(stream, form.encoding, path)
    cells = _cells(path, lines, form.dialect, are_sure=written.quotes is True)
    number, first = next(cells, (0, []))
    if _is_header(path, first, wanted, written):
        return _of_lists(path, form, first, "line", cells)
    columns = [str(i) for i in range(1, len(first) + 1)]
    rows = chain([(number, first)], cells)
    return _of_lists(path, form, columns, "line", rows, has_numbers=True)


def _is_header(path: Path, first: list[str], wanted: Sequence[str], written: Written) -> bool:
    """Tell whether the first row names the columns.

    Raises
    ------
    ValueError
        If columns are asked for by number, and it may be either.
    """
    if written.header is not None:
        return written.header
    numbered = [name for name in wanted if name not in first and name.isascii() and name.isdigit()]
    if not numbered or len(numbered) < len(wanted):
        return True
    if all(is_name(cell) for cell in first) and len(set(first)) == len(first):
        raise ValueError(
            f"{path}: its first line is {shown(first)}. If these name the columns, give names:"
            f" text_column={first[0]!r}; if they are a document, say so with header=False."
        )
    return False


def is_name(cell: str) -> bool:
    """Tell what may be the name of a column: short, and in one word."""
    return 0 < len(cell) <= 30 and " " not in cell.strip() and not cell[:1].isdigit()


def _cells(
    path: Path, lines: Iterable[str], dialect: Dialect, *, are_sure: bool
) -> Iterator[tuple[int, list[str]]]:
    """Yield the line in which each row begins, and its fields; empty lines are none.

    Unless the quotes `are_sure`, a row that swallows others is an error.
    """
    looks = dialect.quotes and not are_sure
    row_lines: list[str] = []  # those of the row that is being read

    def noted() -> Iterator[str]:
        for line in lines:
            row_lines.append(line)
            yield line

    reader, n_fields = reader_of(noted(), dialect), 0
    while True:
        begin = reader.line_num + 1
        row_lines.clear()
        try:
            row = next_row(reader)
        except csv.Error as error:
            raise ValueError(
                f"{path}, line {begin:,}: is no row of fields ({_reason(error)}); it begins"
                f" {brief(row_lines[0].rstrip())}. Put fields that hold the delimiter, quotes or"
                " line ends into double quotes, and double the quotes within; or pass quotes=False,"
                " if quotes are characters as others are."
            ) from error
        if row is None:
            return
        if not row:
            continue
        n_fields = n_fields or len(row)
        if looks and len(row_lines) > 1 and swallowed(row_lines, dialect.delimiter, n_fields):
            raise ValueError(
                f"{path}, line {begin:,}: a quote opens there and closes in line"
                f" {reader.line_num:,}, but each of these lines has all {n_fields} fields. Pass"
                " quotes=False, if quotes are characters as others are; or quotes=True, if this is"
                " one row."
            )
        yield begin, row


def _reason(error: csv.Error) -> str:
    if "new-line character" in str(error):
        return "a carriage return stands within a field"
    return str(error)


def _of_lists(
    path: Path,
    form: Form,
    columns: list[str],
    unit: str,
    rows: Iterable[tuple[int, Sequence[Any]]],
    *,
    has_numbers: bool = False,
) -> Table:
    """Return a table whose rows have a cell for each column."""
    rows = iter(rows)
    first = next(rows, None)

    def read(wanted: Sequence[str]) -> Iterator[tuple[int, list[Any]]]:
        for name in wanted:
            _check_there(path, form, columns, name, [] if first is None else list(first[1]))
        places = [columns.index(name) for name in wanted]
        n_columns = len(columns)
        for number, row in chain([] if first is None else [first], rows):
            if len(row) != n_columns:
                raise ValueError(
                    f"{path}, {unit} {number:,}: has {len(row)} fields; expected {n_columns}, as in"
                    " the first line. Put fields that hold the delimiter, quotes or line ends into"
                    " double quotes."
                )
            yield number, [row[place] for place in places]

    cells = [] if first is None else list(first[1])
    return Table(path, form, columns, unit, cells, has_numbers, read)


def _check_there(path: Path, form: Form, columns: list[str], name: str, first: list[Any]) -> None:
    if columns.count(name) == 1:
        return
    found = "no column" if name not in columns else f"{columns.count(name)} columns"
    advice = ""
    if form.kind == "delimited":
        told = form.dialect.delimiter if form.dialect else ""
        advice = f" Its first line, split at {told!r}, names the columns {shown(columns)}."
        if name not in columns and not all(map(is_name, columns)):
            advice += (
                " If that is a document, pass header=False, and columns by their numbers:"
                " text_column='1'."
            )
        if len(columns) == 1:
            advice += f" Another delimiter is passed as delimiter={other(told)!r}."
        raise ValueError(f"{path}: has {found} {name!r}; expected one.{advice}")
    raise ValueError(f"{path}: has {found} {name!r}; expected one of {shown(columns)}.")


def other(delimiter: str) -> str:
    """Return a delimiter other than this one, for a message."""
    return ";" if delimiter != ";" else ","


def _of_records(
    path: Path, form: Form, unit: str, records: Iterator[tuple[int, dict[str, Any]]]
) -> Table:
    """Return a table of JSON objects, whose columns may be missing in some."""
    begun = list(islice(records, _LOOKED_AT))
    columns = names_in(begun[0][1]) if begun else []

    def read(wanted: Sequence[str]) -> Iterator[tuple[int, list[Any]]]:
        for name in wanted:
            if begun and not any(has(record, name) for _, record in begun):
                raise ValueError(
                    f"{path}, {unit} {begun[0][0]:,}: has no {name!r}; it has {shown(columns)}."
                )
        for number, record in chain(begun, records):
            yield number, [value_of(record, name) for name in wanted]

    first = [value_of(begun[0][1], name) for name in columns] if begun else []
    return Table(path, form, columns, unit, first, False, read)


def _fasttext(path: Path, stream: Stream, form: Form) -> Table:
    """Return a table of fastText's lines: labels with their prefix, and words."""

    def rows() -> Iterator[tuple[int, list[Any]]]:
        lines = decoded_lines(stream, form.encoding, path)
        for number, line in enumerate(lines, start=1):
            words = line.split()
            n_labels = next(
                (i for i, w in enumerate(words) if not w.startswith(PREFIX)), len(words)
            )
            labels = [word.removeprefix(PREFIX) for word in words[:n_labels]]
            if words:
                yield number, [" ".join(words[n_labels:]), labels]

    return _of_lists(path, form, FASTTEXT_COLUMNS, "line", rows())
