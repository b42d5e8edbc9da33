"""Documents and labels of a table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightxml.datasets.tables.cells import LabelForm, brief, shown
from lightxml.datasets.tables.reading import Reading, reading_of
from lightxml.datasets.tables.rows import Documents, Rows, document_of
from lightxml.datasets.tables.table import FASTTEXT_COLUMNS, Table, is_name, open_table

if TYPE_CHECKING:
    from sklearn.utils import Bunch


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
        rows = Rows(table, reading)
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


def _wanted(reading: Reading) -> list[str]:
    grouped = [reading.group_by] if reading.group_by else []
    return [*reading.text_column, *reading.label_column, *grouped]
