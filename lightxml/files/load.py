"""Reading a bundle from a folder that nobody vouches for."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from lightxml.exceptions import BundleError
from lightxml.files.bundle import RECORD, Bundle
from lightxml.files.record import MAX_RECORD_BYTES, check_record
from lightxml.files.strict_json import DAMAGED

_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_ATTEMPTS = 100
_Result = TypeVar("_Result")


def load_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Read a bundle and check all of it: the record's form and digest, each blob's size and digest.

    Only files that the record lists are opened, and only regular files, or links to such, are
    read. A load beside a save gives the old model or the new one.

    Parameters
    ----------
    path : str or path-like
        The folder.

    Returns
    -------
    Bundle

    Raises
    ------
    BundleError
        Anything is missing, unreadable, changed, unsafe or of a newer format. The message
        begins with the file's name; a refusal by the system is chained as its cause.
    """
    return _read_steadily(
        Path(path),
        lambda folder, record: Bundle(record["manifest"], _read_blobs(folder, record["blobs"])),
    )


def peek_bundle(
    path: str | os.PathLike[str], names: Sequence[str], n_bytes: int
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Read the record, and the beginnings of some blobs; of the others, check the sizes alone.

    Parameters
    ----------
    path : str or path-like
        The bundle's folder.
    names : sequence of str
        The blobs' names.
    n_bytes : int
        How much of each to read, at most.

    Returns
    -------
    record : dict
        As `read_record`.
    beginnings : dict of str to bytes
        Of those of the blobs that there are. Their digests are not checked.

    Raises
    ------
    BundleError
        As `load_bundle`, but for what is wrong inside a blob.
    """

    def peek(folder: Path, record: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
        with _open_blobs(folder, record["blobs"]) as streams:
            there = [name for name in names if name in streams]
            return record, {
                name: _read_start(streams[name][1], streams[name][0], n_bytes) for name in there
            }

    return _read_steadily(Path(path), peek)


def read_record(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read and check the record alone, without its blobs.

    Parameters
    ----------
    path : str or path-like
        The bundle's folder.

    Returns
    -------
    dict
        ``"format"`` (int), ``"manifest"`` (dict), ``"blobs"`` (for each name a dict of
        ``"file"``, ``"size"`` in bytes and ``"sha256"``) and ``"digest"`` (of the record).

    Raises
    ------
    BundleError
        The record is missing, unreadable, changed, unsafe or of a newer format.
    """
    file = Path(path) / RECORD
    return check_record(read_file(file, MAX_RECORD_BYTES), name=str(file))


def _read_steadily(folder: Path, read: Callable[[Path, dict[str, Any]], _Result]) -> _Result:
    """Check the record and read with it; again, if a save replaced it meanwhile."""
    file = folder / RECORD
    for _ in range(_ATTEMPTS):
        # The record stays open, so that its successor cannot be taken for it (same inode).
        with open_file(file, str(file)) as stream:
            try:
                data = _read_stream(stream, str(file), max_bytes=MAX_RECORD_BYTES)
                return read(folder, check_record(data, name=str(file)))
            except BundleError:
                # A save may have replaced the record, and swept a blob, since we opened it.
                if not _is_replaced(file, stream):
                    raise
    raise BundleError(
        f"{file}: was replaced {_ATTEMPTS} times while being read. "
        "Load when fewer saves to this folder are under way."
    )


def open_file(file: Path, label: str) -> BinaryIO:
    """Open a regular file, or a link to one; never wait for a pipe, never read a device."""
    try:
        descriptor = os.open(file, _READ)
    except OSError as error:
        raise BundleError(
            f"{label}: cannot be read ({error.strerror}). "
            "Give the folder that save wrote, whole and readable."
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BundleError(f"{label}: is not a regular file. {DAMAGED}")
    return os.fdopen(descriptor, "rb")


def read_file(file: Path, max_bytes: int) -> bytes:
    with open_file(file, str(file)) as stream:
        return _read_stream(stream, str(file), max_bytes=max_bytes)


def _read_stream(stream: BinaryIO, label: str, *, max_bytes: int) -> bytes:
    """Read to the end in one pass; the caller checks what came, never the file again."""
    size = os.fstat(stream.fileno()).st_size
    if size > max_bytes:
        raise BundleError(f"{label}: holds {size} bytes; expected at most {max_bytes}. {DAMAGED}")
    return _read_start(stream, label, size)


def _read_start(stream: BinaryIO, label: str, n_bytes: int) -> bytes:
    # Into memory that can be written, so that arrays can be made of it without a copy.
    data: Any = bytearray(n_bytes)
    try:
        n_read = stream.readinto(data)  # type: ignore[attr-defined]
        del data[n_read:]
        started: bytes = data
        return started
    except OSError as error:
        raise BundleError(f"{label}: cannot be read ({error.strerror}). {DAMAGED}") from error


@contextlib.contextmanager
def _open_blobs(folder: Path, table: dict[str, Any]) -> Iterator[dict[str, tuple[str, BinaryIO]]]:
    """Open all blobs, and check their sizes; by name, each with a label for messages."""
    with contextlib.ExitStack() as stack:
        # All are opened before one is read: what is open stays readable when a save sweeps it.
        streams = {}
        for name, entry in table.items():
            label = f"{folder / entry['file']} ({name})"
            streams[name] = label, stack.enter_context(open_file(folder / entry["file"], label))
        sizes = {name: os.fstat(stream.fileno()).st_size for name, (_, stream) in streams.items()}
        for name, (label, _) in streams.items():
            if sizes[name] != table[name]["size"]:
                raise BundleError(
                    f"{label}: holds {sizes[name]} bytes; expected {table[name]['size']}. {DAMAGED}"
                )
        yield streams


def _read_blobs(folder: Path, table: dict[str, Any]) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}  # by digest: equal blobs are read, and held, once
    with _open_blobs(folder, table) as streams:
        for name, (label, stream) in streams.items():
            digest = table[name]["sha256"]
            if digest not in contents:
                data = _read_stream(stream, label, max_bytes=table[name]["size"])
                if hashlib.sha256(data).hexdigest() != digest:
                    raise BundleError(f"{label}: does not match its digest. {DAMAGED}")
                contents[digest] = data
    return {name: contents[entry["sha256"]] for name, entry in table.items()}


def _is_replaced(file: Path, stream: BinaryIO) -> bool:
    try:
        return not os.path.samestat(os.stat(file), os.fstat(stream.fileno()))
    except OSError:
        return False
