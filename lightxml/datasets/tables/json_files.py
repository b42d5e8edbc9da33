"""Records of JSON files: an object a line, or one array of objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightxml.datasets.lines import MAX_LINE_BYTES
from lightxml.datasets.tables.streams import Stream, decoded_lines
from lightxml.exceptions import BundleError
from lightxml.files.strict_json import parse_json

_MAX_ARRAY_BYTES = 2**32


def lines(stream: Stream, encoding: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the line of each object, and it; lines of blanks are left out.

    Raises
    ------
    ValueError
        At a line that is no JSON object or passes the limits of `parse_json`.
    """
    advice = "Expected one JSON object on each line."
    for number, line in enumerate(decoded_lines(stream, encoding, path), start=1):
        if line.strip():
            where = f"{path}, line {number:,}"
            yield number, _object(_parsed(line, where, MAX_LINE_BYTES, advice), where, advice)


def array(stream: Stream, encoding: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of the one array that a file is, with their numbers from 1.

    Raises
    ------
    ValueError
        If it is none, or passes the limits of `parse_json`; it is in memory as a whole.
    """
    advice = "Expected an array of JSON objects."
    text = "".join(decoded_lines(stream, encoding, path))
    records = _parsed(text, str(path), _MAX_ARRAY_BYTES, advice)
    if not isinstance(records, list):
        raise ValueError(f"{path}: holds a {type(records).__name__}. {advice}")
    for number, record in enumerate(records, start=1):
        yield number, _object(record, f"{path}, record {number:,}", advice)


def _parsed(text: str, where: str, most: int, advice: str) -> Any:
    try:
        return parse_json(
            text.encode("utf-8", "surrogatepass"), name=where, max_bytes=most, advice=advice
        )
    except BundleError as error:  # of no saved model here
        raise ValueError(str(error)) from error


def _object(value: Any, where: str, advice: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: holds a {type(value).__name__}. {advice}")
    return value
