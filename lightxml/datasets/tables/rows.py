"""The rows of a table as they come, and the documents that they make."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lightxml.data.fields import joined
from lightxml.datasets.tables.cells import LabelForm, brief, is_marked, labels_of, tell_label_form
from lightxml.datasets.tables.reading import SEPARATOR, Reading
from lightxml.datasets.tables.suspicions import check_labels, check_rows, repeated
from lightxml.datasets.tables.table import Table
from lightxml.datasets.tables.told import described, understood


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


class Rows:
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
        told = [f"{what}: {understood(self.table.form, reading, self.values)}.", *described(X, y)]
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


def _key(value: Any) -> Any:
    return value if isinstance(value, (str, int, type(None))) else repr(value)
