"""Fields of a document, such as title and body, in one text."""

from __future__ import annotations

from collections.abc import Sequence

# ASCII's unit separator: white space to Python, and to all that reads words.
SEPARATOR = "\x1f"


def join_fields(*columns: Sequence[str]) -> list[str]:
    """Join the columns of a table to documents whose fields can be told apart.

    Parameters
    ----------
    *columns : sequences of str, all of one length
        Such as titles and bodies; the most telling one first, since an encoder reads the
        beginning.

    Returns
    -------
    list of str
        The fields of each document with a separator between them, which counts as a blank.

    Raises
    ------
    ValueError
        If the columns differ in length, or there is none.

    Examples
    --------
    >>> from lightxml.fields import join_fields
    >>> [text.split("\\x1f") for text in join_fields(["A title"], ["and a body"])]
    [['A title ', ' and a body']]
    """
    if len({len(column) for column in columns}) != 1:
        lengths = ", ".join(str(len(column)) for column in columns) or "no column"
        raise ValueError(f"columns have {lengths} texts; expected as many in each.")
    return [joined(fields) for fields in zip(*columns, strict=True)]


def joined(fields: Sequence[str]) -> str:
    """Return the text of a document with these fields."""
    return f" {SEPARATOR} ".join(field.replace(SEPARATOR, " ") for field in fields)


def fields_of(text: str) -> list[str]:
    """Return the fields of a document; one without a separator has one."""
    return text.split(SEPARATOR)
