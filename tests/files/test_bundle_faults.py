"""A save that fails or is killed anywhere leaves the old model or the new one, whole."""

from __future__ import annotations

import errno
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lightxml.exceptions import BundleError
from lightxml.files import load as load_module
from lightxml.files import save as save_module
from lightxml.files.bundle import Bundle
from lightxml.files.load import load_bundle, read_record
from lightxml.files.save import save_bundle

SHARED = b"a tokenizer that does not change" * 50
OLD = Bundle({"model": "old"}, {"weights.bin": b"old weights" * 100, "tokenizer.json": SHARED})
NEW = Bundle({"model": "new"}, {"weights.bin": b"new weights" * 90, "tokenizer.json": SHARED})
THIRD = Bundle({"model": "third"}, {"weights.bin": b"third weights"})

# Every call by which a save touches the disk
CALLS = ("mkdir", "open", "write", "fsync", "close", "replace", "unlink", "listdir")


class Killed(BaseException):
    """Stands for the death of the process."""


class Disk:
    """Counts the calls of a save to the disk, and lets one go wrong."""

    def __init__(self, fault: Callable[[Disk, Callable[..., Any], tuple[Any, ...]], Any]) -> None:
        self.fault = fault
        self.calls: list[tuple[str, Any]] = []

    def call(self, name: str, real: Callable[..., Any], *args: Any) -> Any:
        self.calls.append((name, args))
        if name == "fsync":  # no need to wait for the disk itself
            real = _nothing
        return self.fault(self, real, args)

    @property
    def count(self) -> int:
        return len(self.calls)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name in CALLS:
                real = getattr(os, name)
                patch.setattr(os, name, lambda *args, n=name, r=real: self.call(n, r, *args))
            yield


def _nothing(*args: Any) -> None:
    """Do nothing, at any call."""


def healthy(disk: Disk, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    return real(*args)


def refused_at(point: int) -> Callable[..., Any]:
    """The call fails and does nothing (but a file is closed even if that fails)."""

    def fault(disk: Disk, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if disk.count == point:
            if disk.calls[-1][0] == "close":
                real(*args)
            raise OSError(errno.EIO, "Input/output error")
        return real(*args)

    return fault


def failed_after(point: int) -> Callable[..., Any]:
    """The call does its work and fails all the same, as over a network."""

    def fault(disk: Disk, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        result = real(*args)
        if disk.count == point:
            if disk.calls[-1][0] == "open":
                os.close(result)
            raise OSError(errno.EIO, "Input/output error")
        return result

    return fault


def killed_at(point: int) -> Callable[..., Any]:
    """From this call on nothing happens any more, the cleaning up included."""

    def fault(disk: Disk, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if disk.count >= point:
            if disk.calls[-1][0] == "close":
                real(*args)  # as the system does for the dead
            raise Killed
        return real(*args)

    return fault


def killed_half_way(point: int) -> Callable[..., Any]:
    """As `killed_at`, but a write does half of its work first, and any other call all of it."""
    dead = killed_at(point)

    def fault(disk: Disk, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if disk.count == point:
            name = disk.calls[-1][0]
            if name == "write":
                real(args[0], args[1][: len(args[1]) // 2])
            elif name == "open":
                os_close(real(*args))
            elif name != "close":
                real(*args)
        return dead(disk, real, args)

    return fault


os_close = os.close


def full_at(point: int) -> Callable[..., Any]:
    """The disk takes half of this write, and nothing of any later one."""

    def fault(disk: Disk, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if disk.calls[-1][0] == "write" and disk.count >= point:
            if disk.count > point:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(args[0], args[1][: len(args[1]) // 2])
        return real(*args)

    return fault


def start_nothing(folder: Path) -> None:
    """There is no such folder yet."""


def start_old(folder: Path) -> None:
    save_bundle(OLD, folder)


def start_damaged(folder: Path) -> None:
    """A blob that the new model shares is damaged."""
    save_bundle(OLD, folder)
    entry = read_record(folder)["blobs"]["tokenizer.json"]
    (folder / entry["file"]).write_bytes(SHARED[:-1] + b"?")


def start_after_a_kill(folder: Path) -> None:
    """A save of a third model was killed just before it was done."""
    save_bundle(OLD, folder)
    disk = Disk(healthy)
    with disk.in_use():
        save_bundle(OLD, folder)
    commit = 1 + max(i for i, (name, _) in enumerate(disk.calls) if name == "replace")
    with Disk(killed_at(commit)).in_use(), pytest.raises(Killed):
        save_bundle(THIRD, folder)
    assert len(os.listdir(folder)) > 4


STARTS: dict[Callable[[Path], None], list[Bundle | None]] = {  # and what may be left
    start_nothing: [None, NEW],
    start_old: [OLD, NEW],
    start_damaged: [None, OLD, NEW],  # OLD: when the blob is mended, and no more
    start_after_a_kill: [OLD, NEW],
}


def loaded(folder: Path) -> Bundle | None:
    """Give the model in the folder, or None if there is none."""
    try:
        return load_bundle(folder)
    except BundleError:
        return None


def holds_only_its_model(folder: Path) -> bool:
    ours = {entry["file"] for entry in read_record(folder)["blobs"].values()}
    return set(os.listdir(folder)) == {"lightxml.json", *ours}


def count_calls(start: Callable[[Path], None], folder: Path) -> list[tuple[str, Any]]:
    start(folder)
    disk = Disk(healthy)
    with disk.in_use():
        save_bundle(NEW, folder)
    assert load_bundle(folder) == NEW
    return disk.calls


@pytest.fixture(autouse=True, scope="module")
def _no_sync() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", _nothing)
        yield


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    "make_fault", [refused_at, failed_after, killed_at, killed_half_way, full_at]
)
def test_a_fault_at_any_call_leaves_the_old_model_or_the_new_one(
    tmp_path: Path, start: Callable[[Path], None], make_fault: Callable[[int], Callable[..., Any]]
) -> None:
    calls = count_calls(start, tmp_path / "counted" / "model")
    points = [i for i, (name, _) in enumerate(calls, 1) if make_fault != full_at or name == "write"]
    assert len(points) >= (3 if make_fault == full_at else 25)
    ends = set()
    for point in points:
        folder = tmp_path / str(point) / "model"
        if start != start_nothing:
            folder.parent.mkdir()
        start(folder)
        before = set(os.listdir(folder)) if folder.is_dir() else set()
        disk = Disk(make_fault(point))
        error: BaseException | None = None
        with disk.in_use():
            try:
                save_bundle(NEW, folder)
            except (OSError, Killed) as caught:
                error = caught
        assert disk.count >= point
        model = loaded(folder)
        assert model in STARTS[start], calls[point - 1]
        ends.add(model == NEW)
        if error is None:
            assert model == NEW
        if isinstance(error, OSError):
            # Disk full or refused: it costs nothing, and what the dead left may go.
            left = set(os.listdir(folder)) if folder.is_dir() else set()
            assert model == NEW or left <= before, calls[point - 1]
            assert not any(name.startswith(".lightxml-") for name in left - before)
        if make_fault == full_at:
            assert isinstance(error, OSError)
            assert error.errno == errno.ENOSPC

        save_bundle(THIRD, folder)
        assert load_bundle(folder) == THIRD
        name, args = calls[point - 1]
        if not (name == "open" and Path(args[0]).name == "lightxml.json"):
            # (A fault in reading the old record hides which blobs are to be swept.)
            assert holds_only_its_model(folder), calls[point - 1]
    assert ends == ({False} if make_fault == full_at else {False, True})


def test_the_record_is_renamed_after_everything_is_on_the_disk(tmp_path: Path) -> None:
    calls = count_calls(start_old, tmp_path / "model")
    files: dict[int, str] = {}
    unsynced: set[str] = set()
    entries_unsynced = False
    committed = False
    disk = Disk(healthy)
    real_open = os.open

    def follow(disk: Disk, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        nonlocal entries_unsynced, committed
        result = real(*args)
        name = disk.calls[-1][0]
        if name == "open":
            files[result] = str(args[0])
        elif name == "write":
            unsynced.add(files[args[0]])
        elif name == "fsync":
            unsynced.discard(files[args[0]])
            entries_unsynced &= files[args[0]] != str(tmp_path / "model")
        elif name == "replace":
            assert str(args[0]) not in unsynced
            if Path(args[1]).name == "lightxml.json":
                assert not unsynced
                assert not entries_unsynced
                committed = True
            entries_unsynced = True
        elif name == "unlink" and Path(args[0]).name[0] != ".":
            assert committed
            assert not entries_unsynced
        return result

    disk.fault = follow
    with disk.in_use():
        save_bundle(OLD, tmp_path / "model")
    assert os.open is real_open
    assert committed
    assert not entries_unsynced
    assert [name for name, _ in disk.calls] == [name for name, _ in calls]


def test_each_new_folder_is_on_the_disk_too(tmp_path: Path) -> None:
    calls = count_calls(start_nothing, tmp_path / "a" / "b")
    made = [str(args[0]) for name, args in calls if name == "mkdir"]
    assert made == [str(tmp_path / "a"), str(tmp_path / "a" / "b")]
    for folder in made:
        after = calls[[str(args[0]) for _, args in calls].index(folder) + 1 :]
        opened, synced = after[:2]
        assert opened[0] == "open"
        assert str(opened[1][0]) == os.path.dirname(folder)
        assert synced[0] == "fsync"


def test_side_files_that_a_stranger_left_do_no_harm(tmp_path: Path) -> None:
    save_bundle(OLD, tmp_path)
    os.mkfifo(tmp_path / f".lightxml-{'0' * 16}.json")
    (tmp_path / f".lightxml-{'1' * 16}.json").symlink_to("/dev/zero")
    (tmp_path / f".lightxml-{'2' * 16}.json").symlink_to("lightxml.json")
    (tmp_path / f".lightxml-{'3' * 16}.json").write_bytes(b"[" * 100_000)
    (tmp_path / f".lightxml-{'4' * 16}.blob").mkdir()
    save_bundle(OLD, tmp_path)
    assert load_bundle(tmp_path) == OLD
    (tmp_path / f".lightxml-{'4' * 16}.blob").rmdir()  # a folder is never deleted
    assert holds_only_its_model(tmp_path)


def test_a_blob_larger_than_one_write_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(save_module, "_CHUNK", 7)
    disk = Disk(healthy)
    with disk.in_use():
        save_bundle(OLD, tmp_path)
        save_bundle(OLD, tmp_path)
    assert sum(name == "write" for name, _ in disk.calls) > 300
    assert load_bundle(tmp_path) == OLD


def test_a_file_system_that_cannot_sync_folders_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(descriptor: int) -> None:
        if os.path.isdir(f"/dev/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fsync)
    save_bundle(OLD, tmp_path / "a" / "model")
    assert load_bundle(tmp_path / "a" / "model") == OLD


def test_without_locks_nothing_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    save_bundle(OLD, tmp_path)
    before = set(os.listdir(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", flock)
        save_bundle(NEW, tmp_path)
        assert load_bundle(tmp_path) == NEW
        assert before <= set(os.listdir(tmp_path))
        before = set(os.listdir(tmp_path))
        with Disk(full_at(1)).in_use(), pytest.raises(OSError, match="No space left"):
            save_bundle(THIRD, tmp_path)
        assert load_bundle(tmp_path) == NEW
        assert set(os.listdir(tmp_path)) == before
    save_bundle(THIRD, tmp_path)
    assert holds_only_its_model(tmp_path)


def test_a_model_can_be_saved_over_any_damage(tmp_path: Path) -> None:
    damages: list[Callable[[Path], Any]] = [
        lambda file: file.write_bytes(b""),
        lambda file: os.truncate(file, 10),
        lambda file: os.truncate(file, 10**8),
        lambda file: file.unlink(),
        lambda file: (file.unlink(), file.symlink_to("none")),
        lambda file: (file.unlink(), file.symlink_to("/dev/zero")),
        lambda file: (file.unlink(), os.mkfifo(file)),
    ]
    for i, (damage, which) in enumerate(itertools.product(damages, range(3))):
        folder = tmp_path / str(i)
        save_bundle(OLD, folder)
        damage(sorted(folder.iterdir())[which])
        assert loaded(folder) is None
        save_bundle(OLD, folder)
        assert load_bundle(folder) == OLD
        assert holds_only_its_model(folder)


def test_a_stopped_save_cleans_up(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a write."""
    save_bundle(OLD, tmp_path)
    before = set(os.listdir(tmp_path))

    def interrupt(disk: Disk, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if [name for name, _ in disk.calls].count("write") == 3 and disk.calls[-1][0] == "write":
            raise KeyboardInterrupt
        return real(*args)

    with Disk(interrupt).in_use(), pytest.raises(KeyboardInterrupt):
        save_bundle(NEW, tmp_path)
    assert load_bundle(tmp_path) == OLD
    assert set(os.listdir(tmp_path)) == before


# Several at once


def models(n: int) -> list[Bundle]:
    blob = b"weights %d" * 500
    return [
        Bundle({"n": i}, {"weights.bin": blob % ((i,) * 500), "tokenizer.json": SHARED})
        for i in range(n)
    ]


def run_all(*workers: Callable[[], None]) -> None:
    """Run each in a thread; raise what any of them raised."""
    errors: list[BaseException] = []

    def run(worker: Callable[[], None]) -> None:
        try:
            worker()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_savers_in_threads_end_with_one_whole_model_and_readers_always_succeed(
    tmp_path: Path,
) -> None:
    candidates = models(2)  # few, so that one and the same model comes back again and again
    save_bundle(candidates[0], tmp_path)
    saving = threading.Event()
    saving.set()
    loads = [0, 0]

    def save(seed: int) -> None:
        choose = random.Random(seed).choice
        for _ in range(40):
            save_bundle(choose(candidates), tmp_path)

    def savers() -> None:
        try:
            run_all(*(lambda seed=seed: save(seed) for seed in range(3)))
        finally:
            saving.clear()

    def read(which: int) -> None:
        while saving.is_set():
            assert load_bundle(tmp_path) in candidates
            assert read_record(tmp_path)["manifest"]["n"] in (0, 1)
            loads[which] += 1

    run_all(savers, lambda: read(0), lambda: read(1))
    assert min(loads) > 5
    assert load_bundle(tmp_path) in candidates
    assert holds_only_its_model(tmp_path)


def test_a_reader_between_whose_steps_a_save_commits_and_sweeps_reads_the_new_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_bundle(OLD, tmp_path)
    real_check = load_module.check_record
    pending = [NEW, OLD, NEW]

    def check(data: bytes, *, name: str) -> dict[str, Any]:
        record = real_check(data, name=name)
        if pending:  # the record is read: now its blobs go
            monkeypatch.setattr(load_module, "check_record", real_check)
            save_bundle(pending.pop(), tmp_path)
            monkeypatch.setattr(load_module, "check_record", check)
        return record

    monkeypatch.setattr(load_module, "check_record", check)
    assert load_bundle(tmp_path) == NEW
    assert not pending


def test_a_reader_that_is_overtaken_for_ever_gives_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_bundle(OLD, tmp_path)
    monkeypatch.setattr(load_module, "_is_replaced", lambda file, stream: True)
    next(file for file in tmp_path.iterdir() if file.suffix == ".bin").unlink()
    with pytest.raises(BundleError, match=r"lightxml\.json: was replaced 100 times"):
        load_bundle(tmp_path)


def test_a_reader_with_open_blobs_is_not_disturbed_by_a_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_bundle(OLD, tmp_path)
    real_read = load_module._read_stream
    pending = [NEW]

    def read(stream: Any, label: str, *, max_bytes: int) -> bytes:
        if pending and label.endswith(")"):  # the first blob
            save_bundle(pending.pop(), tmp_path)
        return real_read(stream, label, max_bytes=max_bytes)

    monkeypatch.setattr(load_module, "_read_stream", read)
    assert load_bundle(tmp_path) == OLD
    assert load_bundle(tmp_path) == NEW


# The same with real processes


SAVER = """
import sys
from lightxml.files.bundle import Bundle
from lightxml.files.save import save_bundle
name, path, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
for i in range(times):
    blobs = {"weights.bin": f"{name} {i % 2}".encode() * 50_000, "tokenizer.json": b"shared"}
    save_bundle(Bundle({"saver": name, "i": i % 2}, blobs), path)
"""


def start_saver(name: str, folder: Path, times: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", SAVER, name, str(folder), str(times)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def is_whole(model: Bundle) -> bool:
    name = f"{model.manifest['saver']} {model.manifest['i']}".encode()
    return model.blobs == {"weights.bin": name * 50_000, "tokenizer.json": b"shared"}


@pytest.mark.slow
def test_savers_killed_at_any_time_leave_a_whole_model(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    start_saver("first", folder, 1).communicate()
    moments = random.Random(0)
    for i in range(25):
        savers = [start_saver(f"{i}{name}", folder, 10_000) for name in "ab"]
        end = time.monotonic() + moments.uniform(0.0, 0.15)
        while time.monotonic() < end:
            assert is_whole(load_bundle(folder))
        for saver in savers:
            saver.send_signal(signal.SIGKILL)
            saver.communicate()
        assert is_whole(load_bundle(folder))
    start_saver("last", folder, 2).communicate()
    assert load_bundle(folder).manifest["saver"] == "last"
    assert holds_only_its_model(folder)


@pytest.mark.slow
def test_a_child_forked_during_a_save_does_not_keep_the_lock(tmp_path: Path) -> None:
    release, hold = os.pipe()
    children = []

    def fork_once(disk: Disk, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if disk.calls[-1][0] == "replace" and not children:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                children.append(os.fork())
            if not children[0]:
                os_close(hold)
                os.read(release, 1)  # until the parent closes its end
                os._exit(0)
        return real(*args)

    with Disk(fork_once).in_use():
        save_bundle(OLD, tmp_path)
    saver = threading.Thread(target=save_bundle, args=(NEW, tmp_path), daemon=True)
    saver.start()
    saver.join(30)
    waiting = saver.is_alive()
    os.close(hold)
    os.close(release)
    os.waitpid(children[0], 0)
    assert not waiting
    assert load_bundle(tmp_path) == NEW


@pytest.mark.slow
def test_a_full_disk_is_an_os_error_and_costs_nothing(tmp_path: Path) -> None:
    """A real limit of the system on a file's size stands for the disk's end."""
    save_bundle(OLD, tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    code = (
        "import resource, signal, sys; from lightxml.files.save import *;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "save_bundle(Bundle({}, {'small': b'x', 'weights.bin': bytes(10**6)}), sys.argv[1])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=False, capture_output=True, text=True
    )
    assert run.returncode == 1
    assert "OSError: [Errno 27] File too large" in run.stderr
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
