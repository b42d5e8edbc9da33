"""Bytes and lines of a file, packed or not, or of standard input; told what it is by its bytes."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from lightxml.datasets.lines import MAX_LINE_BYTES

STANDARD_INPUT = Path("-")
PACKED = (".gz", ".bz2", ".xz", ".zip")
SAMPLE_BYTES = 2**18  # of which the form of a file is told
_CHUNK = 2**20

_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile)


class Stream:
    """A stream that is read once, of which the beginning can be looked at before.

    Parameters
    ----------
    file : binary file
    path : Path
        For messages.
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self._begun = b""

    def sample(self) -> bytes:
        """Return the first bytes, at most 256 KiB; of a pipe what is there, at least one read."""
        if not self._begun:
            self._begun = self._read(SAMPLE_BYTES)
            while 0 < len(self._begun) < SAMPLE_BYTES and not self._is_pipe():
                more = self._read(SAMPLE_BYTES - len(self._begun))
                if not more:
                    break
                self._begun += more
        return self._begun

    def chunks(self) -> Iterator[bytes]:
        """Yield all bytes, those of the sample first."""
        if self._begun:
            begun, self._begun = self._begun, b""
            yield begun
        while chunk := self._read(_CHUNK):
            yield chunk

    def _is_pipe(self) -> bool:
        return self._path == STANDARD_INPUT or self._path.is_fifo()

    def _read(self, most: int) -> bytes:
        try:
            return self._file.read1(most)  # type: ignore[attr-defined]
        except _DAMAGED as error:
            raise damaged(self._path, error) from error
        except OSError as error:  # of bz2 and gzip, without a number
            if error.errno is not None:
                raise
            raise damaged(self._path, error) from error


def damaged(path: Path, error: Exception) -> ValueError:
    """Return the error for a packed file that cannot be unpacked."""
    return ValueError(f"{path}: cannot be unpacked whole ({error}). Fetch it again.")


@contextmanager
def open_stream(path: Path) -> Iterator[Stream]:
    """Open a file, or standard input for -, unpacked by what its first bytes say.

    That is gzip, bzip2, xz or zip.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is packed and damaged, or a zip archive of several files.
    """
    if path == STANDARD_INPUT:
        if sys.stdin is None:
            raise ValueError("standard input is closed; give a file or a pipe.")
        yield Stream(_unpacked(cast("io.BufferedReader", sys.stdin.buffer), path), path)
        return
    with path.open("rb") as file:
        yield Stream(_unpacked(file, path), path)


def _unpacked(file: io.BufferedReader, path: Path) -> BinaryIO:
    begin = file.peek(6)[:6]
    if begin[:2] == b"\x1f\x8b":
        return cast("BinaryIO", gzip.open(file))
    if begin[:3] == b"BZh":
        return cast("BinaryIO", bz2.open(file))
    if begin == b"\xfd7zXZ\x00":
        return cast("BinaryIO", lzma.open(file))
    if begin[:4] == b"PK\x03\x04" and file.seekable() and not path.name.lower().endswith(".xlsx"):
        return _member(file, path)
    return file


def _member(file: BinaryIO, path: Path) -> BinaryIO:
    try:
        archive = zipfile.ZipFile(file)
        # What a Mac's archiver adds beside the files.
        names = [
            name for name in archive.namelist()
            if not name.endswith("/") and not name.startswith("__MACOSX/")
        ]  # fmt: skip
        if len(names) != 1:
            shown = ", ".join(ascii(name) for name in names[:5])
            raise ValueError(
                f"{path}: holds {len(names)} files ({shown}); expected one. Unpack it, and give the"
                " file that is meant."
            )
        return cast("BinaryIO", archive.open(names[0]))
    except (*_DAMAGED, NotImplementedError, RuntimeError) as error:  # unknown packing, a password
        raise damaged(path, error) from error


def decoded_lines(stream: Stream, encoding: str, path: Path) -> Iterator[str]:
    r"""Yield the lines with their ends; only "\n" ends a line.

    Raises
    ------
    ValueError
        At a line longer than 64 MiB, or where the bytes are not of this encoding; the message
        names file, line, what was found and what to do.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    begun, number = "", 0

    def decoded(chunk: bytes, *, final: bool = False) -> str:
        try:
            return decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            raise _undecodable(error, begun, number, encoding, path) from error

    for chunk in stream.chunks():
        text = begun + decoded(chunk)
        end = text.rfind("\n") + 1
        begun = text[end:]
        if len(begun) > MAX_LINE_BYTES:
            raise ValueError(
                f"{path}, line {number + text.count(chr(10)) + 1:,}: is longer than"
                f" {MAX_LINE_BYTES // 2**20} MiB; expected a document a line."
            )
        for line in io.StringIO(text[:end], newline="\n"):
            number += 1
            yield line
    begun += decoded(b"", final=True)
    if begun:
        yield begun


def _undecodable(
    error: UnicodeDecodeError, begun: str, number: int, encoding: str, path: Path
) -> ValueError:
    data, start = error.object, error.start
    before = begun + data[:start].decode(encoding, "replace")
    line = number + before.count("\n") + 1
    around = data[max(0, data.rfind(b"\n", 0, start) + 1, start - 20) : start + 12].split(b"\n")[0]
    western = around.decode("cp1252", "replace")
    name = "UTF-8" if encoding.startswith("utf-8") else encoding
    return ValueError(
        f"{path}, line {line:,}: is not {name} (byte 0x{data[start]:02x}). Pass its encoding:"
        f" encoding='cp1252' would read {western!r} there."
    )
