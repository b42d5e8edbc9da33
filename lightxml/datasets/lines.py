"""Lines of files and streams: texts in UTF-8, JSON objects, documents as they come."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

from lightxml.exceptions import BundleError
from lightxml.files.strict_json import parse_json

AT_ONCE = 64  # documents handed on together, when as many are waiting
MAX_LINE_BYTES = 64 * 2**20  # of a file: a few kilobytes of gzip can unpack to more than memory
_CHUNK = 2**20  # bytes


def read_documents(stream: BufferedReader) -> Iterator[list[str]]:
    r"""Yield the lines that are waiting: from a slow source one by one, else in batches.

    Only "\n" or "\r\n" ends a line; an empty line is a document too. A byte order mark is
    dropped.

    Parameters
    ----------
    stream : buffered binary file, pipe or terminal

    Yields
    ------
    list of str, length 1 to 64

    Raises
    ------
    ValueError
        At a line that is not UTF-8 or longer than 64 MiB, once the lines before it were yielded.
    """
    number = 0
    for lines in _waiting_lines(stream):
        for begin in range(0, len(lines), AT_ONCE):
            documents: list[str] = []
            for line in lines[begin : begin + AT_ONCE]:
                number += 1
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    if documents:
                        yield documents
                    raise ValueError(
                        f"line {number:,} is not UTF-8 (byte 0x{line[error.start]:02x} at position"
                        f" {error.start:,}). Convert the documents to UTF-8 first."
                    ) from error
                documents.append(text.removesuffix("\r"))
            yield documents


def byte_lines(path: Path) -> Iterator[bytes]:
    r"""Yield the lines of a file with their ends; only "\n" ends a line.

    A file whose name ends in ``.gz`` is unpacked as it is read. A byte order mark is dropped.

    Raises
    ------
    ValueError
        At a line longer than 64 MiB, or where a gzip file is damaged or cut off.
    OSError
        The file cannot be read.
    """
    with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as file:
        number = 0
        try:
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise ValueError(
                        f"{path}, line {number:,}: is longer than {MAX_LINE_BYTES // 2**20} MiB; "
                        "expected a document a line."
                    )
                yield line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(
                f"{path}: is no whole gzip file ({error}), after {number:,} lines. Fetch it again."
            ) from error


def text_lines(path: Path) -> Iterator[str]:
    r"""Yield the lines of a UTF-8 file, as `byte_lines` gives them, without "\n" or "\r\n".

    Raises
    ------
    ValueError
        As `byte_lines`, and at a line that is not UTF-8.
    """
    for number, line in enumerate(byte_lines(path), start=1):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}, line {number:,}: not UTF-8 (byte 0x{line[error.start]:02x}"
                f" at position {error.start:,}). Convert the file to UTF-8 first."
            ) from error
        yield text.removesuffix("\n").removesuffix("\r")


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield where each line stands ("file, line 7") and the JSON object on it, strictly parsed.

    Lines that hold nothing but blanks are left out.

    Raises
    ------
    ValueError
        As `byte_lines`, and at a line that is no JSON object or passes the limits of `parse_json`.
    """
    for number, line in enumerate(byte_lines(path), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number:,}"
        advice = "Expected one JSON object on each line."
        try:
            value = parse_json(line, name=where, max_bytes=MAX_LINE_BYTES, advice=advice)
        except BundleError as error:  # of no saved model here
            raise ValueError(str(error)) from error
        if not isinstance(value, dict):
            raise ValueError(f"{where}: holds a {type(value).__name__}. {advice}")
        yield where, value


def _waiting_lines(stream: BufferedReader) -> Iterator[list[bytes]]:
    begun: list[bytes] = []  # of a line that has not ended; joined once, when it does
    size = 0
    # read1 waits until there is something and returns what there is, without filling a buffer.
    while chunk := stream.read1(_CHUNK):
        first, *lines = chunk.split(b"\n")
        begun.append(first)
        size += len(first)
        if size > MAX_LINE_BYTES:
            raise ValueError(
                f"a line is longer than {MAX_LINE_BYTES // 2**20} MiB; expected a document a line."
            )
        if lines:
            yield [b"".join(begun), *lines[:-1]]
            begun, size = [lines[-1]], len(lines[-1])
    if size:
        yield [b"".join(begun)]
