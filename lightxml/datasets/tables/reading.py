"""How a table is understood: which columns are texts and labels, and how labels are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lightxml.datasets.tables.cells import LABEL_FORMS, LabelForm
from lightxml.datasets.tables.forms import Written

SEPARATOR = ";"


@dataclass(frozen=True)
class Reading:
    """What is known of a table; None is told from the file.

    Attributes
    ----------
    text_column, label_column : tuple of str
        Empty: not known.
    label_separator : str or None
    label_form : str or None
    group_by : str or None
        The empty string: each row is a document.
    written : Written
    """

    text_column: tuple[str, ...] = ()
    label_column: tuple[str, ...] = ()
    label_separator: str | None = None
    label_form: LabelForm | None = None
    group_by: str | None = None
    written: Written = field(default_factory=Written)

    def as_arguments(self) -> dict[str, Any]:
        """Return the arguments of `load_table` that say it, as JSON can hold them."""
        columns = {"text_column": list(self.text_column), "label_column": list(self.label_column)}
        rest = {
            "label_separator": self.label_separator,
            "label_form": self.label_form,
            "group_by": self.group_by,
            **asdict(self.written),
        }
        return columns | {name: value for name, value in rest.items() if value is not None}


def reading_of(arguments: Mapping[str, Any]) -> Reading:
    """Return the reading that arguments of `load_table` say; None says nothing.

    Raises
    ------
    TypeError, ValueError
        If one is none that `load_table` takes.
    """
    names = ("text_column", "label_column")
    columns = {name: _columns(name, arguments.get(name)) for name in names}
    known: dict[str, Any] = {}
    for name in ("label_separator", "label_form", "group_by", "encoding", "delimiter"):
        value = arguments.get(name)
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} is {value!r:.100} ({type(value).__name__}); expected a str.")
        known[name] = value
    for name in ("header", "quotes"):
        value = arguments.get(name)
        if value is not None and not isinstance(value, bool):
            raise TypeError(f"{name} is {value!r:.100}; expected True, False or None.")
        known[name] = value
    if unknown := arguments.keys() - columns.keys() - known.keys():
        raise TypeError(f"{min(unknown)!r:.100} is no argument of load_table.")
    _check(known)
    written = Written(**{name: known.pop(name) for name in Written.__dataclass_fields__})
    return Reading(**columns, **known, written=written)  # type: ignore[arg-type]


def _columns(name: str, value: str | Sequence[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
        raise TypeError(f"{name} is {value!r:.100}; expected a str, or a list of str.")
    return tuple(value)


def _check(known: Mapping[str, Any]) -> None:
    if known["label_separator"] == "":
        raise ValueError("label_separator is empty; expected what stands between two labels.")
    if known["label_form"] not in (None, *LABEL_FORMS):
        raise ValueError(
            f"label_form is {known['label_form']!r:.100}; expected one of"
            f" {', '.join(map(repr, LABEL_FORMS))}."
        )
    if known["delimiter"] is not None and (
        len(known["delimiter"]) != 1 or known["delimiter"] in '\r\n"'
    ):
        raise ValueError(f"delimiter is {known['delimiter']!r:.100}; expected one character.")
    if known["encoding"] is not None:
        import codecs

        try:
            is_text = codecs.lookup(known["encoding"])._is_text_encoding
        except LookupError:
            is_text = False
        if not is_text:
            raise ValueError(
                f"encoding is {known['encoding']!r:.100}, which Python does not know; expected one"
                " such as 'utf-8', 'cp1252' or 'gb18030'."
            )
