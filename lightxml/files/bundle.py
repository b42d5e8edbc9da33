"""Models on disk: a folder of blobs named by their digests, and a record that commits them.

A bundle is a manifest (anything that JSON can say) and named blobs (bytes). On disk::

    model/
        lightxml.json                    the record: format, manifest, blob table, own digest
        4f1c...e9.safetensors            a blob, named by its sha256
        a07b...31.json                   another

The blobs are written first, the record last and by atomic rename, so a save that is killed
anywhere leaves the old model or the new one. Loading trusts nothing: it opens only what the
record lists, and the record and every blob must have the digests that were written down.
Nothing here can run code from a file.

While a save is under way, side files named ``.lightxml-*`` exist: blobs in the writing, the
record to come, and a copy of the record to be replaced. The two records tell a later save,
should this one be killed, which blobs are left over; no other file is ever deleted.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from lightxml.exceptions import BundleError
from lightxml.files.strict_json import DAMAGED, parse_json

# To raise the format:
# 1. Raise it only when this version would misread, or could not read, what the new version
#    writes. A new optional key in the manifest is no reason.
# 2. Add 1 to FORMAT. In `_check_record`, accept the old numbers from OLDEST on too and lift what
#    they hold to the new shape there, so that the rest of the package knows the newest only.
# 3. Save a small bundle with the last version of the old format, put it under tests/data and
#    test that it loads; that test stays for ever. (Format 1 was never released and is refused.)
# 4. Leave the envelope alone: one JSON object in canonical form with the keys "format" and
#    "digest". Older versions check these two first, and can then say "upgrade lightxml"
#    instead of "damaged".
# 5. Say in CHANGELOG.md which versions read and write which formats.
FORMAT = 2
OLDEST = 2

RECORD = "lightxml.json"
MAX_RECORD_BYTES = 2 * 2**20  # a manifest of a few kilobytes is usual; large things are blobs
MAX_BLOBS = 200  # a load holds all of them open at once, and some systems allow 256 open files

_BLOB_FILE = re.compile(r"[0-9a-f]{64}\.[a-z0-9]{1,16}")
_BLOB_NAME = re.compile(r"(?:\w[\w.-]*/)*\w[\w.-]*", re.ASCII)
_SIDE_FILE = re.compile(r"\.lightxml-[0-9a-f]{16}\.(?:blob|json)")
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_CHUNK = 16 * 2**20
_ATTEMPTS = 100
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Bundle:
    """A model as plain data.

    Attributes
    ----------
    manifest : dict
        What JSON can say and give back unchanged: ``str`` keys, lists (no tuples), finite
        floats, integers of at most 64 bits, at most 2 MiB in all.
    blobs : dict of str to bytes
        The large parts, by name, e.g. ``"weights.safetensors"``. Names are one or more
        parts of ASCII letters, digits, ``_``, ``.`` and ``-``, joined by ``/``; at most 200.
        To save, a memoryview of bytes does as well, and nothing is copied.
    """

    manifest: dict[str, Any]
    blobs: dict[str, bytes]


def save_bundle(bundle: Bundle, path: str | os.PathLike[str]) -> None:
    """Write a bundle to a folder, so that the folder holds the old model or the new one.

    The folder is made if need be. Files in it that no save of this package wrote are left
    alone. Savers to one path wait for each other (threads and processes of one machine);
    where the file system has no locks, they do not wait, and nothing is swept.

    Parameters
    ----------
    bundle : Bundle
        Not changed. The same bundle always gives the same files, byte for byte.
    path : str or path-like
        A folder, or a path where one can be made.

    Raises
    ------
    TypeError, ValueError
        The bundle is not what `Bundle` describes; nothing was written.
    OSError
        The file system refused (disk full, no permission, a file where the folder should be).
        The model that was there still loads.
    """
    record, files = _describe(bundle)
    folder = Path(path)
    _make_folder(folder)
    with _exclusive(folder) as locked:
        try:
            with contextlib.suppress(BundleError):  # there is no model yet, or a damaged one
                _write_side(folder, _read(folder / RECORD, MAX_RECORD_BYTES), ".json")
            side_record = _write_side(folder, record, ".json")
            _sync_folder(folder)
            for file, blob in files.items():
                if not _holds(folder / file, blob):
                    os.replace(_write_side(folder, blob, ".blob"), folder / file)
            _sync_folder(folder)
            os.replace(side_record, folder / RECORD)
            _sync_folder(folder)
        finally:
            if locked:
                # After a success this removes the replaced model, after a failure what was
                # written in vain. That it may fail takes nothing from either.
                with contextlib.suppress(OSError, BundleError):
                    _sweep(folder)


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
    return _check_record(_read(file, MAX_RECORD_BYTES), name=str(file))


# The record


def _describe(bundle: Bundle) -> tuple[bytes, dict[str, bytes]]:
    """Give the record of a bundle, and its blobs by file name; refuse what would not load."""
    blobs, files = {}, {}
    for name, blob in bundle.blobs.items():
        if not isinstance(name, str):
            raise TypeError(f"bundle.blobs has the name {name!r}; expected str.")
        if not isinstance(blob, (bytes, memoryview)):
            raise TypeError(f"bundle.blobs[{name!r}] is {type(blob).__name__}; expected bytes.")
        digest = hashlib.sha256(blob).hexdigest()
        file = digest + _suffix(name)
        blobs[name] = {"file": file, "size": len(blob), "sha256": digest}
        files[file] = blob
    record: dict[str, Any] = {"format": FORMAT, "manifest": bundle.manifest, "blobs": blobs}
    record["digest"] = hashlib.sha256(_canonical(record)).hexdigest()
    data = _canonical(record)
    try:
        read_back = _check_record(data, name=RECORD)
    except BundleError as error:
        raise ValueError(f"The bundle would not load: {error}") from error
    if read_back["manifest"] != bundle.manifest:
        raise ValueError(
            "bundle.manifest does not come back from JSON as it is: "
            "use str keys only, and lists in place of tuples."
        )
    return data, files


def _suffix(name: str) -> str:
    """Give a blob's file the ending of its name, for people who look into the folder."""
    ending = re.search(r"\.[a-z0-9]{1,16}\Z", name)
    return ending.group() if ending else ".bin"


def _canonical(record: dict[str, Any]) -> bytes:
    text = json.dumps(record, sort_keys=True, ensure_ascii=True, allow_nan=False, indent=1)
    return text.encode("ascii") + b"\n"


def _check_record(data: bytes, *, name: str, oldest: int = OLDEST) -> dict[str, Any]:
    record = parse_json(data, name=name, max_bytes=MAX_RECORD_BYTES)
    if not isinstance(record, dict) or not {"format", "digest"} <= record.keys():
        raise BundleError(
            f"{name}: is not a record of lightxml: expected an object with a format and a "
            f"digest. {DAMAGED}"
        )
    unsigned = {key: value for key, value in record.items() if key != "digest"}
    # Against the bytes too: a changed space or escape gives the same object.
    if (
        record["digest"] != hashlib.sha256(_canonical(unsigned)).hexdigest()
        or _canonical(record) != data
    ):
        raise BundleError(f"{name}: does not match its own digest. {DAMAGED}")
    number = record["format"]
    if type(number) is not int or number < 1:
        raise BundleError(f"{name}: has format {number!r}; expected a whole number. {DAMAGED}")
    if number > FORMAT:
        raise BundleError(
            f"{name}: has format {number}; this version of lightxml reads up to {FORMAT}. "
            "Upgrade lightxml to load this model."
        )
    if number < oldest:
        raise BundleError(
            f"{name}: has format {number}: it was made by an earlier version of lightxml. This "
            f"version reads format {FORMAT}; train the model again."
        )
    if record.keys() != {"format", "manifest", "blobs", "digest"}:
        raise BundleError(f"{name}: has the keys {sorted(record)}. {DAMAGED}")
    if not isinstance(record["manifest"], dict) or not isinstance(record["blobs"], dict):
        raise BundleError(f"{name}: manifest and blobs must be objects. {DAMAGED}")
    if len(record["blobs"]) > MAX_BLOBS:
        raise BundleError(
            f"{name}: lists {len(record['blobs'])} blobs; at most {MAX_BLOBS} are read. {DAMAGED}"
        )
    for key, entry in record["blobs"].items():
        if not _BLOB_NAME.fullmatch(key) or not _is_entry(key, entry):
            raise BundleError(f"{name}: lists blob {key[:100]!r} in a wrong form. {DAMAGED}")
    return record


def _is_entry(name: str, entry: Any) -> bool:
    # The file's name follows from the digest, so no record can name any other file.
    return (
        isinstance(entry, dict)
        and entry.keys() == {"file", "size", "sha256"}
        and isinstance(entry["sha256"], str)
        and entry["file"] == entry["sha256"] + _suffix(name)
        and _BLOB_FILE.fullmatch(entry["file"]) is not None
        and type(entry["size"]) is int
        and entry["size"] >= 0
    )


# Reading


def _read_steadily(folder: Path, read: Callable[[Path, dict[str, Any]], _Result]) -> _Result:
    """Check the record and read with it; again, if a save replaced it meanwhile."""
    file = folder / RECORD
    for _ in range(_ATTEMPTS):
        # The record stays open, so that its successor cannot be taken for it (same inode).
        with _open(file, str(file)) as stream:
            try:
                data = _read_stream(stream, str(file), max_bytes=MAX_RECORD_BYTES)
                return read(folder, _check_record(data, name=str(file)))
            except BundleError:
                # A save may have replaced the record, and swept a blob, since we opened it.
                if not _is_replaced(file, stream):
                    raise
    raise BundleError(
        f"{file}: was replaced {_ATTEMPTS} times while being read. "
        "Load when fewer saves to this folder are under way."
    )


def _open(file: Path, label: str) -> BinaryIO:
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


def _read(file: Path, max_bytes: int) -> bytes:
    with _open(file, str(file)) as stream:
        return _read_stream(stream, str(file), max_bytes=max_bytes)


def _read_stream(stream: BinaryIO, label: str, *, max_bytes: int) -> bytes:
    """Read to the end in one pass; the caller checks what came, never the file again."""
    size = os.fstat(stream.fileno()).st_size
    if size > max_bytes:
        raise BundleError(f"{label}: holds {size} bytes; expected at most {max_bytes}. {DAMAGED}")
    return _read_start(stream, label, size)


def _read_start(stream: BinaryIO, label: str, n_bytes: int) -> bytes:
    try:
        return stream.read(n_bytes)
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
            streams[name] = label, stack.enter_context(_open(folder / entry["file"], label))
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


# Writing


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    if not folder.parent.is_dir() and folder.parent != folder:
        _make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):  # another saver was quicker, or it is a file
        os.mkdir(folder)
    if not folder.is_dir():
        raise NotADirectoryError(
            errno.ENOTDIR, "Not a folder, so no model can be saved", str(folder)
        )
    _sync_folder(folder.parent)


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[bool]:
    """Hold the folder's advisory lock; give whether there is such a thing here.

    The folder itself is locked, so no lock file is left in a model. The lock ends with the
    process, however it ends.
    """
    try:
        import fcntl
    except ImportError:
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    locked = False
    try:
        with contextlib.suppress(OSError):  # file systems that cannot
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            locked = True
        yield locked
    finally:
        if locked:  # closing is not enough: a child forked meanwhile shares the open folder
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _write_side(folder: Path, data: bytes, suffix: str) -> Path:
    """Write a new side file, down to the disk."""
    file = folder / f".lightxml-{secrets.token_hex(8)}{suffix}"
    descriptor = os.open(file, _CREATE, 0o666)  # less the caller's umask
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view[:_CHUNK]) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(file)
        raise
    return file


def _holds(file: Path, blob: bytes) -> bool:
    """Tell whether the file, itself and no link, already holds the blob."""
    try:
        if file.is_symlink():
            return False
        with _open(file, str(file)) as stream:
            position = 0
            while chunk := stream.read(_CHUNK):
                if chunk != blob[position : position + len(chunk)]:
                    return False
                position += len(chunk)
            return position == len(blob)
    except (OSError, BundleError):
        return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that cannot
            raise
    finally:
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Delete side files, and the blobs that their records list and the present one does not.

    Only under the lock: then every side file belongs to this save or to a dead one.
    """
    listed = _listed(folder / RECORD) if os.path.lexists(folder / RECORD) else set()
    side_files = [folder / name for name in os.listdir(folder) if _SIDE_FILE.fullmatch(name)]
    for side_file in sorted(side_files):
        with contextlib.suppress(OSError):  # what cannot be deleted now is left to a later save
            for name in sorted(_left_over(side_file) - listed):
                (folder / name).unlink(missing_ok=True)
            side_file.unlink()


def _left_over(side_file: Path) -> set[str]:
    """Give the blobs that a side record lists; a torn one was not yet followed by blobs."""
    if side_file.suffix != ".json":
        return set()
    try:
        return _listed(side_file)
    except BundleError as error:
        if isinstance(error.__cause__, OSError):  # it cannot be read: not torn
            raise error.__cause__ from None
        return set()


def _listed(file: Path) -> set[str]:
    # Of any format: a save over an older model sweeps what that one leaves.
    record = _check_record(_read(file, MAX_RECORD_BYTES), name=str(file), oldest=1)
    return {entry["file"] for entry in record["blobs"].values()}


def join(bundles: list[Bundle], manifest: dict[str, Any]) -> Bundle:
    """Return one bundle of several, with the given manifest beside theirs.

    The blobs are named ``"0/weights.safetensors"`` and so on; on disk, equal ones are one file.
    """
    blobs = {f"{i}/{name}": b for i, part in enumerate(bundles) for name, b in part.blobs.items()}
    return Bundle({**manifest, "members": [part.manifest for part in bundles]}, blobs)


def split(bundle: Bundle) -> list[Bundle]:
    """Return the bundles that were joined.

    Raises
    ------
    BundleError
        If it lists no members, or more than it could have blobs for.
    """
    manifests = bundle.manifest.get("members")
    if not isinstance(manifests, list) or not all(isinstance(m, dict) for m in manifests):
        raise BundleError(f"{RECORD}: has no list of members. {DAMAGED}")
    if not 1 <= len(manifests) <= MAX_BLOBS:
        raise BundleError(f"{RECORD}: has {len(manifests)} members. {DAMAGED}")
    parts = []
    for i, manifest in enumerate(manifests):
        prefix = f"{i}/"
        blobs = {
            name.removeprefix(prefix): blob
            for name, blob in bundle.blobs.items()
            if name.startswith(prefix)
        }
        parts.append(Bundle(manifest, blobs))
    return parts
