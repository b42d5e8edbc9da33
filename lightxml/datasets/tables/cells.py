"""The labels that a cell of a table holds, in the forms that people write them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import chain
from typing import Any, Literal, get_args

from lightxml.datasets.lines import MAX_LINE_BYTES
from lightxml.datasets.tables.forms import PREFIX
from lightxml.exceptions import BundleError
from lightxml.files.strict_json import parse_json

LabelForm = Literal["separated", "one-hot", "tags", "prefixed", "bracketed"]
LABEL_FORMS: tuple[LabelForm, ...] = get_args(LabelForm)

# A list as Python, pandas or numpy prints it: quoted texts or whole numbers, commas or blanks
# between them. Possessive, so that each character is looked at once.
_QUOTED = r"""(?:'(?:[^'\\\n]|\\.)*+'|"(?:[^"\\\n]|\\.)*+")"""
_PRINTED_LIST = re.compile(
    rf"\[\s*+(?:{_QUOTED}\s*+,?+\s*+)*+\]|\[\s*+(?:-?\d{{1,18}}+(?:,\s*+|\s++|(?=\])))*+\]"
    rf"|\((?:{_QUOTED}(?:,\s*+)?+)++\)|\{{(?:{_QUOTED}(?:,\s*+)?+)++\}}"
)
_ENTRIES = re.compile(rf"{_QUOTED}|-?\d++")
_BRACKETED = re.compile(r"[\[({][^\[\](){}]*+[\])}]")
_TAGS = re.compile(r"(?:<[^<>]++>)++")
_ONE_HOT = {
    "0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True, "": False,
}  # fmt: skip


def printed_list(cell: str) -> list[Any] | None:
    """Return the list that a cell of text holds, in JSON or as Python prints it; None if none.

    Labels that merely stand in brackets are none: every entry is quoted, or a whole number.
    """
    cell = cell.strip()
    if cell[:1] not in ("[", "(", "{"):
        return None
    if cell[0] == "[" and cell[-1] == "]":
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


def tell_label_form(columns: Collection[Collection[Any]]) -> LabelForm:
    """Return the form of the labels in columns whose different cells are given.

    All of 0 and 1 (also as numbers, or True and False): one-hot. All ``<a><b>``: tags. All words
    that begin with ``__label__``: prefixed. All in brackets, and not all lists that JSON or Python
    writes: bracketed. Else separated, or lists.
    """
    if _are_one_hot(chain.from_iterable(columns)):
        return "one-hot"
    cells = [cell for some in columns for cell in some if cell is not None and cell != ""]
    if cells and all(isinstance(cell, str) for cell in cells):
        if all(_TAGS.fullmatch(cell.strip()) for cell in cells):
            return "tags"
        if all(all(w.startswith(PREFIX) for w in cell.split()) for cell in cells):
            return "prefixed"
        if all(_BRACKETED.fullmatch(cell.strip()) for cell in cells) and any(
            printed_list(cell) is None for cell in cells
        ):
            return "bracketed"
    return "separated"


def is_marked(cell: Any) -> bool:
    """Tell whether a one-hot cell says yes.

    Raises
    ------
    ValueError
        If it is neither yes nor no; the message goes on after the name of the cell.
    """
    marked = _marked(cell)
    if marked is None:
        raise ValueError(
            f"is {brief(cell)}; expected 0 or 1, as other documents have there. Give columns"
            " that all hold 0 and 1, or none that does."
        )
    return marked


def labels_of(cell: Any, form: LabelForm, separator: str) -> list[str]:
    """Return the labels of a cell that is not one-hot.

    Raises
    ------
    ValueError
        If it holds anything but texts and whole numbers, or what is not of this form; the message
        goes on after the name of the cell.
    """
    if cell is None:
        return []
    if isinstance(cell, str):
        if form == "tags":
            return _tags(cell.strip())
        if form == "prefixed":
            return [word.removeprefix(PREFIX) for word in cell.split()]
        found = printed_list(cell)
        if found is None and form == "bracketed":
            inner, separator = _inner(cell.strip()), separator or ","
            return [label for part in inner.split(separator) if (label := part.strip(" '\""))]
        if found is None:
            return [label for part in cell.split(separator) if (label := part.strip())]
        cell = found
    labels = cell if isinstance(cell, list) else [cell]
    for label in labels:
        if type(label) not in (str, int):  # a bool is an int too
            advice = ""
            if isinstance(label, dict):
                advice = (
                    f" Name the key that is meant, such as {next(iter(label), 'name')!r}, after"
                )
                advice += " the column's name and a dot."
            raise ValueError(
                f"holds {brief(label)} ({type(label).__name__}); expected a list of strings"
                f" or whole numbers, or a string of labels.{advice}"
            )
    return [label for each in labels if (label := str(each).strip())]


def brief(value: Any) -> str:
    """Return a value as a message can show it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def shown(names: Iterable[str], most: int = 20) -> str:
    """Return names as a message can show them."""
    names = list(names)
    more = ", ..." if len(names) > most else ""
    return ", ".join(brief(name) for name in names[:most]) + more or "(none)"


def _are_one_hot(cells: Iterable[Any]) -> bool:
    marks = set()
    for cell in cells:
        if (marked := _marked(cell)) is None:
            return False
        marks.add(marked)
    return True in marks


def _marked(cell: Any) -> bool | None:
    if cell is None:
        return False
    if isinstance(cell, (bool, int, float)):
        return bool(cell) if cell in (0, 1) else None
    return _ONE_HOT.get(cell.strip().lower()) if isinstance(cell, str) else None


def _tags(cell: str) -> list[str]:
    if cell and not _TAGS.fullmatch(cell):
        raise ValueError(f"is {brief(cell)}; expected labels in <>, as others have them.")
    return [label for part in cell[1:-1].split("><") if (label := part.strip())] if cell else []


def _inner(cell: str) -> str:
    if cell and not _BRACKETED.fullmatch(cell):
        raise ValueError(f"is {brief(cell)}; expected brackets, as others have them.")
    return cell[1:-1]
