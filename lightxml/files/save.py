"""Writing a bundle so that a folder holds the old model or the new one, whatever happens."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from lightxml.exceptions import BundleError
from lightxml.files.bundle import RECORD, Bundle
from lightxml.files.load import open_file, read_file
from lightxml.files.record import MAX_RECORD_BYTES, check_record, describe

_SIDE_FILE = re.compile(r"\.lightxml-[0-9a-f]{16}\.(?:blob|json)")
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_CHUNK = 16 * 2**20


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
    record, files = describe(bundle)
    folder = Path(path)
    _make_folder(folder)
    with _exclusive(folder) as locked:
        try:
            with contextlib.suppress(BundleError):  # there is no model yet, or a damaged one
                _write_side(folder, read_file(folder / RECORD, MAX_RECORD_BYTES), ".json")
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
        with open_file(file, str(file)) as stream:
            position = 0
            while chunk := stream.read(_CHUNK):
                if chunk != blob[position : position + len(chunk)]:
                    return False
                position += len(chunk)
            return position == len(blob)
    except (OSError, BundleError):
        return False


def _sync_folder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):  # Windows, which opens no folders
        return
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
    record = check_record(read_file(file, MAX_RECORD_BYTES), name=str(file), oldest=1)
    return {entry["file"] for entry in record["blobs"].values()}
