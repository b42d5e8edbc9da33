"""Documents and labels of a table."""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightxml.data.fields import joined
from lightxml.datasets.tables.cells import (
    LabelForm,
    brief,
    is_marked,
    labels_of,
    printed_list,
    shown,
    tell_label_form,
)
from lightxml.datasets.tables.forms import Form
from lightxml.datasets.tables.reading import SEPARATOR, Reading, reading_of
from lightxml.datasets.tables.suspicions import check_labels, check_rows, repeated
from lightxml.datasets.tables.table import FASTTEXT_COLUMNS, Table, is_name, open_table

if TYPE_CHECKING:
    from sklearn.utils import Bunch

_LOOKED_AT = 100  # cells, of which is told whether labels are in lists


@dataclass(frozen=True)
class Documents:
    """What a table holds, and how it was understood.

    Attributes
    ----------
    X : list of str
    y : list of tuple of str
        Labels of each document, each once, in the order of the file.
    reading : Reading
        With all that was told from the file, but for how it is written.
    told : list of str
        Lines that say what was understood.
    """

    X: list[str]
    y: list[tuple[str, ...]]
    reading: Reading
    told: list[str]


def load_table(
    path: str | os.PathLike[str],
    *,
    text_column: str | Sequence[str] | None = None,
    label_column: str | Sequence[str] | None = None,
    label_separator: str | None = None,
    label_form: LabelForm | None = None,
    group_by: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    quotes: bool | None = None,
) -> Bunch:
    r"""Read documents and their labels from a table, in the forms in which people have them.

    CSV and its like (any delimiter), JSON lines, a JSON array, fastText's lines
    (``__label__a __label__b text``), Parquet (with pyarrow) and Excel (with pandas and openpyxl);
    packed by gzip, bzip2, xz or zip. What an argument does not say is told from the file, and a
    reading that looks wrong is an error that names the argument.

    Parameters
    ----------
    path : str or path-like
        ``"-"`` is standard input.
    text_column : str or list of str, default=None
        The columns of the texts; a missing one is empty. Several are fields of a document, joined
        as `lightxml.fields.join_fields` does. In JSON, dots lead into objects: ``"meta.title"``.
        Without names in a CSV file columns are ``"1"``, ``"2"``, ... A fastText file needs none.
    label_column : str or list of str, default=None
        The columns of the labels.
    label_separator : str, default=None
        What stands between the labels of a cell; None is ``";"``. Blanks around a label are
        dropped. Lists as JSON or Python write them need none.
    label_form : {"separated", "one-hot", "tags", "prefixed", "bracketed"}, default=None
        How labels are written: between separators, or as lists; as 0 or 1 in a column that has
        the label's name; ``<a><b>``; ``__label__a __label__b``; ``[a, b]`` without quotes. None is
        told from all cells.
    group_by : str, default=None
        A column whose value all rows of one document share: they become one, with the labels of
        all. The empty string: each row is a document.
    encoding : str, default=None
        As Python names it. None: told by a byte order mark; else UTF-8, UTF-16, or Windows-1252
        where it looks like that.
    delimiter : str of one character, default=None
        Between the fields of a CSV file.
    header : bool, default=None
        Whether its first line names the columns. None: it does, unless columns are asked for by
        their numbers.
    quotes : bool, default=None
        Whether double quotes surround fields, or are characters as others are.

    Returns
    -------
    data : Bunch
        ``X`` : list of str, the documents. ``y`` : list of tuple of str, the labels of each.
        ``reading`` : dict, the arguments that read a table like this one:
        ``load_table(other, **data.reading)``. ``DESCR`` : str, what was understood.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        A column is missing, a line is not of the file's form, or the reading looks wrong: labels
        with another separator in most cells, or in brackets, a label in every document, a row for
        each pair of document and label. The message names file, line, what was found and what to
        do.
    TypeError
        An argument is of a wrong type.
    ImportError
        What reads Parquet or Excel is not installed.
    """
    arguments = {
        "text_column": text_column,
        "label_column": label_column,
        "label_separator": label_separator,
        "label_form": label_form,
        "group_by": group_by,
        "encoding": encoding,
        "delimiter": delimiter,
        "header": header,
        "quotes": quotes,
    }
    found = read_documents(Path(path), reading_of(arguments))
    from sklearn.utils import Bunch  # which takes a second

    return Bunch(
        X=found.X, y=found.y, reading=found.reading.as_arguments(), DESCR="\n".join(found.told)
    )


def read_documents(path: Path, reading: Reading) -> Documents:
    """Read a table as `load_table` does."""
    with open_table(path, _wanted(reading), reading.written) as table:
        reading = with_columns(table, reading)
        check_named(table, reading, labels=True)
        rows = _Rows(table, reading)
        for number, cells in table.rows(_wanted(reading)):
            rows.add(number, cells)
    if not rows.numbers:
        raise ValueError(f"{path}: holds no document.")
    return rows.documents()


def check_table(path: Path, reading: Reading, *, labels: bool) -> None:
    """Check all that would be refused up to the first document, and read no more."""
    with open_table(path, _wanted(reading), reading.written) as table:
        reading = with_columns(table, reading)
        check_named(table, reading, labels=labels)
        first = next(table.rows(_wanted(reading) if labels else reading.text_column), None)
        if first is not None:
            document_of(first[1][: len(reading.text_column)], reading.text_column, table, first[0])


def with_columns(table: Table, reading: Reading) -> Reading:
    """Return a reading with what the table says: that it has no header, or fastText's columns."""
    if table.has_numbers:
        return replace(reading, written=replace(reading.written, header=False))
    if table.columns is not FASTTEXT_COLUMNS:
        return reading
    text, labels = FASTTEXT_COLUMNS
    return replace(
        reading,
        text_column=reading.text_column or (text,),
        label_column=reading.label_column or (labels,),
    )


def check_named(table: Table, reading: Reading, *, labels: bool) -> None:
    """Refuse a reading that names no column of texts, or of labels where they are wanted."""
    if reading.text_column and (reading.label_column or not labels):
        return
    found = shown(table.columns)
    if table.first:
        cells = zip(table.columns, table.first, strict=False)
        found = shown_pairs([(name, cell) for name, cell in cells])
    which = "hold the text (text_column) and the labels (label_column)" if labels else (
        "hold the text (text_column)"
    )  # fmt: skip
    advice = ""
    if table.form.kind == "delimited" and not all(map(is_name, table.columns)):
        advice = (
            " If its first line is a document, pass header=False: columns are then '1', '2', ..."
        )
    raise ValueError(f"{table.path}: has the columns {found}. Say which {which}.{advice}")


def shown_pairs(pairs: Sequence[tuple[str, Any]]) -> str:
    """Return columns, each with its first cell, as a message can show them."""
    more = ", ..." if len(pairs) > 10 else ""
    return ", ".join(f"{brief(name)} ({brief(cell)})" for name, cell in pairs[:10]) + more


def document_of(values: Sequence[Any], columns: Sequence[str], table: Table, number: int) -> str:
    """Join the texts of a row, each a field; a missing one is empty.

    Raises
    ------
    ValueError
        If one is no text.
    """
    if len(values) == 1 and type(values[0]) is str:
        return values[0]
    texts: list[str] = []
    for value, name in zip(values, columns, strict=True):
        parts = value if isinstance(value, list) else [value]
        found = []
        for part in parts:
            if isinstance(part, (int, float)) and not isinstance(part, bool):
                part = str(part)
            if part is not None and not isinstance(part, str):
                raise ValueError(
                    f"{table.where(number)}: its {name!r} is {brief(value)}"
                    f" ({type(value).__name__}); expected a text. Name a column of texts, or a key"
                    " within it after a dot."
                )
            if part:
                found.append(part)
        texts.append(" ".join(found))
    return texts[0] if len(texts) == 1 else joined(texts)


def _wanted(reading: Reading) -> list[str]:
    grouped = [reading.group_by] if reading.group_by else []
    return [*reading.text_column, *reading.label_column, *grouped]


class _Rows:
    """The rows of a table as they come: texts, and a number for each different cell of labels."""

    def __init__(self, table: Table, reading: Reading) -> None:
        self.table, self.reading = table, reading
        self.n_texts, self.n_labels = len(reading.text_column), len(reading.label_column)
        self.texts: list[str] = []
        self.numbers = array("q")
        self.codes = [array("q") for _ in range(self.n_labels)]
        self.cells: list[dict[Any, int]] = [{} for _ in range(self.n_labels)]
        self.values: list[list[Any]] = [[] for _ in range(self.n_labels)]
        self.first: list[list[int]] = [[] for _ in range(self.n_labels)]  # rows of the cells
        self.groups: list[Any] = []

    def add(self, number: int, row: list[Any]) -> None:
        self.texts.append(
            document_of(row[: self.n_texts], self.reading.text_column, self.table, number)
        )
        for column, cell in enumerate(row[self.n_texts : self.n_texts + self.n_labels]):
            # True is 1 to a dict, and a list is no key.
            key = cell if type(cell) is str else (type(cell), repr(cell))
            code = self.cells[column].setdefault(key, len(self.values[column]))
            if code == len(self.values[column]):
                self.values[column].append(cell)
                self.first[column].append(len(self.numbers))
            self.codes[column].append(code)
        if self.reading.group_by:
            self.groups.append(_key(row[-1]))
        self.numbers.append(number)

    def where(self, row: int) -> str:
        return self.table.where(self.numbers[row])

    def documents(self) -> Documents:
        given = self.reading
        form = given.label_form or tell_label_form(self.values)
        separator = given.label_separator or ("," if form == "bracketed" else SEPARATOR)
        reading = replace(given, label_form=form)
        if form in ("separated", "bracketed"):
            reading = replace(reading, label_separator=separator)
        y = self._labels(form, separator)
        what = str(self.table.path)
        if form == "separated":
            check_labels(self._text_cells(), y, given, what)
        X = self.texts
        if given.group_by:
            X, y = self._grouped(y)
        else:
            pairs = repeated(X, y)
            if pairs:
                places = [self.where(row) for row in pairs[0]]
                check_rows(pairs, y, given, places)
        told = [f"{what}: {self._understood(self.table.form, reading)}.", *described(X, y)]
        if not given.group_by and pairs:
            told.append(
                f"Documents with the text of an earlier one and other labels: {len(pairs):,}."
            )
        return Documents(X, y, reading, told)

    def _labels(self, form: LabelForm, separator: str) -> list[tuple[str, ...]]:
        of_cells: list[list[tuple[str, ...]]] = []
        names = self.reading.label_column
        for name, values, first in zip(names, self.values, self.first, strict=True):
            found: list[tuple[str, ...]] = []
            for value, row in zip(values, first, strict=True):
                try:
                    if form == "one-hot":
                        found.append((name,) if is_marked(value) else ())
                    else:
                        found.append(tuple(dict.fromkeys(labels_of(value, form, separator))))
                except ValueError as error:
                    raise ValueError(f"{self.where(row)}: its {name!r} {error}") from error
            of_cells.append(found)
        columns = [[found[code] for code in codes]
                   for found, codes in zip(of_cells, self.codes, strict=True)]  # fmt: skip
        if len(columns) == 1:
            return columns[0]
        return [
            tuple(dict.fromkeys(label for labels in row for label in labels))
            for row in zip(*columns, strict=True)
        ]

    def _text_cells(self) -> Iterator[tuple[str, int]]:
        for values, codes in zip(self.values, self.codes, strict=True):
            counts = Counter(codes)
            for code, value in enumerate(values):
                if isinstance(value, str) and value.strip():
                    yield value, counts[code]

    def _grouped(self, y: list[tuple[str, ...]]) -> tuple[list[str], list[tuple[str, ...]]]:
        places: dict[Any, int] = {}
        first: list[int] = []
        labels: list[dict[str, None]] = []
        for row, key in enumerate(self.groups):
            place = places.setdefault(key, len(first))
            if place == len(first):
                first.append(row)
                labels.append({})
            elif self.texts[row] != self.texts[first[place]]:
                raise ValueError(
                    f"{self.where(row)}: has the {self.reading.group_by!r} of"
                    f" {self.table.unit} {self.numbers[first[place]]:,}, but another text. Rows of"
                    " one document have one text: name another column in group_by."
                )
            labels[place].update(dict.fromkeys(y[row]))
        return [self.texts[row] for row in first], [tuple(each) for each in labels]

    def _understood(self, form: Form, reading: Reading) -> str:
        told = {
            "one-hot": "labels are columns of 0 and 1",
            "tags": "labels in <>",
            "prefixed": "labels with __label__",
            "bracketed": "lists of labels in brackets",
        }.get(reading.label_form or "")
        if told is None:
            values = (v for some in self.values for v in some if v is not None and v != "")
            are_lists = all(
                isinstance(v, list) or (isinstance(v, str) and printed_list(v) is not None)
                for v in islice(values, _LOOKED_AT)
            )
            told = "lists of labels" if are_lists else f"labels between {reading.label_separator!r}"
        if reading.group_by:
            told += f", rows with one {reading.group_by!r} are one document"
        return f"{form}; {told}"


def described(X: Sequence[str], y: Sequence[Sequence[str]]) -> list[str]:
    """Return lines that say how many documents and labels there are, and what labels look like."""
    counts = Counter(label for labels in y for label in labels)
    mean = sum(counts.values()) / len(y)
    lines = [f"{len(X):,} documents, {len(counts):,} labels, {mean:.1f} a document"]
    if counts:
        best = ", ".join(f"{brief(label)} ({n:,})" for label, n in counts.most_common(3))
        lines.append(
            f"The most frequent labels: {best}; the longest: {brief(max(counts, key=len))}"
        )
    if without := sum(not labels for labels in y):
        lines.append(f"Documents without a label: {without:,}.")
    if empty := sum(not text.strip() for text in X):
        lines.append(f"Documents without a text: {empty:,}.")
    return lines


def _key(value: Any) -> Any:
    return value if isinstance(value, (str, int, type(None))) else repr(value)
