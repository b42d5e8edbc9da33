"""Documents from a stream of lines, handed on as they come."""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedReader

AT_ONCE = 64  # documents handed on together, when as many are waiting
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
        At a line that is not UTF-8, once the lines before it were yielded.
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


def _waiting_lines(stream: BufferedReader) -> Iterator[list[bytes]]:
    rest = b""
    # read1 waits until there is something and returns what there is, without filling a buffer.
    while chunk := stream.read1(_CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        yield lines
    if rest:
        yield [rest]
