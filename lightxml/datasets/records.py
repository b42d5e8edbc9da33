"""Documents and labels from named columns of CSV, TSV and JSON-lines files."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightxml.datasets.lines import AT_ONCE, MAX_LINE_BYTES, json_lines, text_lines
from lightxml.exceptions import BundleError
from lightxml.files.strict_json import parse_json

if TYPE_CHECKING:
    from sklearn.utils import Bunch

# scikit-learn takes seconds to import, and a check of the columns needs none of it.

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON = (".jsonl", ".ndjson", ".json")
_SHOWN = 20  # names in a message

# A list as Python, pandas or numpy prints it: quoted texts or whole numbers, commas or blanks
# between them. Possessive, so that each character is looked at once.
_QUOTED = r"""(?:'(?:[^'\\\n]|\\.)*+'|"(?:[^"\\\n]|\\.)*+")"""
_PRINTED_LIST = re.compile(
    rf"\[\s*+(?:{_QUOTED}\s*+,?+\s*+)*+\]|\[\s*+(?:-?\d{{1,18}}+(?:,\s*+|\s++|(?=\])))*+\]"
    rf"|\((?:{_QUOTED}(?:,\s*+)?+)++\)|\{{(?:{_QUOTED}(?:,\s*+)?+)++\}}"
)
_ENTRIES = re.compile(rf"{_QUOTED}|-?\d++")

# Where in which file a row stands, and its values in the order of the columns asked for.
_Row = tuple[str, list[Any]]


def is_record_file(path: Path) -> bool:
    """Tell by its name a file with columns: .csv, .tsv, .jsonl, .ndjson or .json, or packed .gz."""
    return _kind(path) in (*_DELIMITERS, *_JSON)


def load_records(path: Path, texts: Sequence[str], labels: str | None, separator: str) -> Bunch:
    """Read documents with their labels.

    Parameters
    ----------
    path : Path
        As `is_record_file` tells; UTF-8. A CSV or TSV file has the names of its columns in its
        first line, a file of JSON lines an object on each.
    texts : sequence of str
        The columns whose texts are joined by a blank to make a document.
    labels : str or None
        The column of the labels: a text that `separator` splits, blanks around each label
        dropped; or a list of strings or whole numbers, as JSON or Python write it; in JSON lines
        one whole number, too.
    separator : str

    Returns
    -------
    bunch : Bunch
        As `load_xmc` gives it, with a training part alone.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        A column is missing, or a line is not of the file's form; the message names file, line,
        what was found and what to do.
    """
    from lightxml.datasets.parts import make_bunch, make_part

    _check_named(path, texts, labels, separator)
    assert labels is not None
    documents: list[str] = []

    def label_lists() -> Iterator[list[str]]:
        for where, (*values, cell) in rows(path, [*texts, labels]):
            documents.append(_document(values, texts, where))
            yield _labels(cell, separator, f"{where}: its {labels!r}")

    part = make_part(documents, label_lists())
    if not documents:
        raise ValueError(f"{path}: holds no document.")
    return make_bunch(part, None, None, names={}, description=f"Read from {path.name}")


def check_records(path: Path, texts: Sequence[str], labels: str | None, separator: str) -> None:
    """Check all that `load_records` would refuse up to the first document, and read no more."""
    _check_named(path, texts, labels, separator)
    next(rows(path, [*texts, labels or ""]), None)


def check_texts(path: Path, texts: Sequence[str]) -> None:
    """Check all that `read_texts` would refuse up to the first document, and read no more."""
    _check_texts_named(path, texts)
    next(rows(path, texts), None)


def read_texts(path: Path, texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield the documents alone, up to 64 at a time; as `load_records` otherwise."""
    _check_texts_named(path, texts)
    documents = []
    for where, values in rows(path, texts):
        documents.append(_document(values, texts, where))
        if len(documents) == AT_ONCE:
            yield documents
            documents = []
    if documents:
        yield documents


def column_names(path: Path) -> list[str]:
    """Return the names of the columns; of JSON lines, the keys of the first."""
    _check_kind(path)
    if _kind(path) in _JSON:
        return next((list(record) for _, record in json_lines(path)), [])
    return next(_cells(path), ("", []))[1]


def _check_named(path: Path, texts: Sequence[str], labels: str | None, separator: str) -> None:
    if not texts or labels is None:
        found = _shown(column_names(path))
        raise ValueError(
            f"{path}: has the columns {found}. Say which hold the text (--text-column) and the"
            " labels (--label-column)."
        )
    if not separator:
        raise ValueError("--label-separator is empty; expected what stands between two labels.")


def _check_texts_named(path: Path, texts: Sequence[str]) -> None:
    if not texts:
        found = _shown(column_names(path))
        raise ValueError(
            f"{path}: has the columns {found}. Say which hold the text (--text-column)."
        )


def rows(path: Path, columns: Sequence[str]) -> Iterator[_Row]:
    _check_kind(path)
    return _json_rows(path, columns) if _kind(path) in _JSON else _table_rows(path, columns)


def _json_rows(path: Path, columns: Sequence[str]) -> Iterator[_Row]:
    for where, record in json_lines(path):
        for name in columns:
            if name not in record:
                raise ValueError(f"{where}: has no {name!r}; it has {_shown(list(record))}.")
        yield where, [record[name] for name in columns]


def _table_rows(path: Path, columns: Sequence[str]) -> Iterator[_Row]:
    cells = _cells(path)
    _, header = next(cells, ("", []))
    for name in columns:
        if header.count(name) != 1:
            found = "no column" if name not in header else f"{header.count(name)} columns"
            raise ValueError(
                f"{path}: has {found} {name!r}; expected one. Its first line, split at"
                f" {_DELIMITERS[_kind(path)]!r}, names the columns {_shown(header)}."
            )
    places = [header.index(name) for name in columns]
    for where, row in cells:
        if len(row) != len(header):
            raise ValueError(
                f"{where}: has {len(row)} fields; expected {len(header)}, as in the first line."
                " Put fields that hold the delimiter, quotes or line ends into double quotes."
            )
        yield where, [row[place] for place in places]


def _cells(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield where each row of a CSV or TSV file begins, and its fields; empty lines are none."""
    reader = csv.reader(
        text_lines(path, keep_ends=True), delimiter=_DELIMITERS[_kind(path)], strict=True
    )
    while True:
        where = f"{path}, line {reader.line_num + 1:,}"
        # Documents are longer than the module's limit, which holds for the whole process.
        limit = csv.field_size_limit(MAX_LINE_BYTES)
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise ValueError(
                f"{where}: is no row of fields ({error}). Put fields that hold the delimiter,"
                " quotes or line ends into double quotes, and double the quotes within."
            ) from error
        finally:
            csv.field_size_limit(limit)
        if row is None:
            return
        if row:
            yield where, row


def _document(values: list[Any], columns: Sequence[str], where: str) -> str:
    for value, name in zip(values, columns, strict=True):
        if not isinstance(value, str):
            raise ValueError(
                f"{where}: its {name!r} is {_brief(value)} ({type(value).__name__}); expected a"
                " string."
            )
    return " ".join(value for value in values if value)


def _labels(cell: Any, separator: str, what: str) -> list[str]:
    if isinstance(cell, str) and (found := printed_list(cell)) is not None:
        cell = found
    if isinstance(cell, str):
        return [label for part in cell.split(separator) if (label := part.strip())]
    labels = cell if isinstance(cell, list) else [cell]
    for label in labels:
        # A bool is an int too.
        if type(label) not in (str, int):
            raise ValueError(
                f"{what} holds {_brief(label)} ({type(label).__name__}); expected a list of strings"
                " or whole numbers, or a string of labels."
            )
    return [str(label) for label in labels]


def printed_list(cell: str) -> list[Any] | None:
    """Return the list that a cell of text holds, in JSON or as Python prints it; None if none.

    Labels that merely stand in brackets are none: every entry is quoted, or a whole number.
    """
    cell = cell.strip()
    if cell[:1] == "[" and cell[-1:] == "]":
        try:
            found = parse_json(cell.encode(), name="cell", max_bytes=MAX_LINE_BYTES)
        except (BundleError, UnicodeEncodeError):
            found = None
        if isinstance(found, list):
            return found
    if not _PRINTED_LIST.fullmatch(cell):
        return None
    return [
        int(entry) if entry[0] not in "'\"" else re.sub(r"\\(['\"\\])", r"\1", entry[1:-1])
        for entry in _ENTRIES.findall(cell)
    ]


def _check_kind(path: Path) -> None:
    if not is_record_file(path):
        raise ValueError(
            f"{path}: expected a file that ends in {', '.join((*_DELIMITERS, *_JSON))}, or one of"
            " these and .gz."
        )


def _kind(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _shown(names: list[str]) -> str:
    more = ", ..." if len(names) > _SHOWN else ""
    return ", ".join(_brief(name) for name in names[:_SHOWN]) + more or "(none)"


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
