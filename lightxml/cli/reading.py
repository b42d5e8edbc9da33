"""How a command reads its table: by its options, else as the model's training did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lightxml.cli.wording import in_options, speaking_options
from lightxml.datasets.tables.forms import has_columns
from lightxml.datasets.tables.load import check_table, read_documents
from lightxml.datasets.tables.reading import Reading, reading_of
from lightxml.datasets.tables.streams import STANDARD_INPUT
from lightxml.runtime.terminal import printable

if TYPE_CHECKING:
    from sklearn.utils import Bunch

_PANEL = "How a table is read"


def _option(type_: Any, *names: str, help: str, metavar: str | None = None) -> Any:
    option = typer.Option(
        *names, help=help, metavar=metavar, rich_help_panel=_PANEL, show_default=False
    )
    return Annotated[type_ | None, option]


_HOW = {
    "encoding": _option(
        str, help="Such as cp1252. Default: told from the file.", metavar="NAME"
    ),
    "delimiter": _option(
        str, help="Between the fields of a CSV file. Default: told from the file.", metavar="CHAR"
    ),
    "header": _option(
        bool, "--header/--no-header",
        help="The first line names the columns, or does not: then they are 1, 2, ...",
    ),
    "quotes": _option(
        bool, "--quotes/--no-quotes", help="Double quotes surround fields, or are characters."
    ),
}  # fmt: skip
_TEXT = {
    "text_column": _option(
        list[str], metavar="NAME",
        help="A column of the file's texts; repeatable, then each has features of its own.",
    ),
}  # fmt: skip
# What `predict` needs, and what the commands that read labels do.
OF_TEXTS: Mapping[str, Any] = _TEXT | _HOW
OF_LABELS: Mapping[str, Any] = {
    **_TEXT,
    "label_column": _option(
        list[str], metavar="NAME",
        help="A column of its labels; repeatable. Columns of 0 and 1 are labels of their names.",
    ),
    "label_separator": _option(
        str, metavar="TEXT", help="Between the labels of a cell; lists need none. Default: ;"
    ),
    "label_form": _option(
        str, metavar="FORM",
        help="separated, one-hot, tags (<a><b>), prefixed (__label__a) or bracketed ([a, b]).",
    ),
    "group_by": _option(
        str, metavar="NAME",
        help="A column that the rows of one document share: they become one. '': none.",
    ),
    **_HOW,
}  # fmt: skip


def given_reading(given: Mapping[str, Any], data: Path) -> Reading:
    """Return what a command's options say of its table.

    Raises
    ------
    ValueError
        If one is wrong, or `data` is a folder, which has no columns.
    """
    if given and data.is_dir():
        option = next(iter(given)).replace("_", "-")
        raise ValueError(f"--{option} is about a table; {data} is a folder.")
    spoken = {
        name: _unescaped(value) if name in ("label_separator", "delimiter") else value
        for name, value in given.items()
    }
    with speaking_options(OF_LABELS):
        return reading_of(spoken)


def as_in_training(
    given: Mapping[str, Any], data: Path, trained: Mapping[str, Any] | None
) -> tuple[Reading, list[str]]:
    """Return a reading by options and, where they say nothing, by that of the training.

    Parameters
    ----------
    given : mapping
        Options.
    data : Path
    trained : mapping, or None
        `reading_` of the model.

    Returns
    -------
    reading : Reading
    told : list of str
        Where they differ.
    """
    if trained is None or data.is_dir():
        return given_reading(given, data), []
    by_options = given_reading(given, data).as_arguments()
    told = []
    for name in given:
        value, before = by_options.get(name), trained.get(name)
        if before is not None and value != before:
            option = name.replace("_", "-")
            told.append(f"--{option} is {_shown(value)}; in training it was {_shown(before)}.")
    before = dict(trained)
    if {"label_column", "label_separator"} & given.keys():
        before.pop("label_form", None)
    return reading_of(before | {name: by_options[name] for name in given}), told


def check_data(data: Path, reading: Reading, *, labels: bool = True) -> None:
    """Refuse data that are not there, and a table without the columns of the reading."""
    if data.is_dir() or data == STANDARD_INPUT or data.is_fifo():  # a pipe is read once only
        return
    with speaking_options(OF_LABELS):
        check_table(data, reading, labels=labels)


def read_data(data: Path, reading: Reading) -> tuple[Bunch, Reading | None, list[str]]:
    """Read a folder, or a table as a training part.

    Returns
    -------
    bunch : Bunch
        As `load_xmc` gives it.
    reading : Reading or None
        Of a table, with what was told from it.
    told : list of str
        What was understood.
    """
    if data.is_dir():
        from lightxml.datasets import load_xmc

        return load_xmc(data), None, []
    with speaking_options(OF_LABELS):
        found = read_documents(data, reading)
    from lightxml.datasets.parts import make_bunch, make_part

    part = make_part(found.X, found.y)
    bunch = make_bunch(part, None, None, names={}, description=f"Read from {data.name}")
    told = [printable(in_options(line, OF_LABELS)) for line in found.told]
    return bunch, found.reading, told


@contextmanager
def opened_table(data: Path, reading: Reading) -> Iterator[Any]:
    """Open a table for its rows; errors speak options."""
    from lightxml.datasets.tables.load import check_named, with_columns
    from lightxml.datasets.tables.table import open_table

    with (
        speaking_options(OF_LABELS),
        open_table(data, reading.text_column, reading.written) as table,
    ):
        reading = with_columns(table, reading)
        check_named(table, reading, labels=False)
        yield table, reading


def is_table(data: Path, given: Mapping[str, Any]) -> bool:
    """Tell a table from a file with a document a line: by its name, or by what is said of it."""
    return bool(given) or has_columns(data)


def _unescaped(value: str) -> str:
    r"""Return what a shell passes for a control character, such as \n and \t, as one."""
    return value.replace(r"\n", "\n").replace(r"\t", "\t").replace(r"\r", "\r")


def _shown(value: Any) -> str:
    return " and ".join(map(repr, value)) if isinstance(value, (list, tuple)) else repr(value)
