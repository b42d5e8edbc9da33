"""A training on disk: two bundles written by turns, so that one is always whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lightxml.exceptions import BundleError, CheckpointError, CheckpointWarning, warn
from lightxml.files.bundle import RECORD, Bundle
from lightxml.files.load import load_bundle, read_record
from lightxml.files.save import save_bundle
from lightxml.runtime.ranks import ALONE, Ranks
from lightxml.training.parts import Part, read_part, seed_of_parts, write_part
from lightxml.training.state import TrainingState

FORMAT = 1
# Training goes on for so many times what the last write took before there is another.
REST = 50
WORTH_KEEPING = 20.0  # seconds that a part took
_GUESS = 50e6  # bytes of weights a second, before there was one
_SLOTS = ("checkpoint-a", "checkpoint-b")
_EXTRA = "extra/"
_SMALL = "small.bin"
_LARGE = 64 * 2**20  # bytes from which a tensor is a file of its own, and not copied to be written
_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32,
        torch.int16, torch.int8, torch.uint8, torch.bool,
    )
}  # fmt: skip


class Checkpoints:
    """The checkpoints of one fit, in a folder that no other fit writes to.

    Parameters
    ----------
    folder : Path
        Its newest whole checkpoint is read at once.
    seconds : float
        From one checkpoint to the next, within an epoch.
    seed : int
        Of this fit; `seed` is then that of the checkpoint, if there is one.
    ranks : Ranks, optional
        The processes of this fit. Only the first reads and writes, and tells the others.
    more_follows : bool, default=False
        Whether the fit is not done when the network is trained.
    is_kept : bool, default=False
        Whether the end of the training is kept too, as part of something larger that goes on.

    Attributes
    ----------
    seed : int
        What the fit has to draw from.
    extra : dict of str to ndarray
        What the fit wants back before it builds the network: put in by the fit, and there again
        when it goes on.

    Raises
    ------
    CheckpointError
        If there are checkpoints, and none can be used.

    Warns
    -----
    CheckpointWarning
        If the newest checkpoint is damaged, and the one before is used.
    """

    def __init__(
        self,
        folder: Path,
        seconds: float,
        seed: int,
        ranks: Ranks = ALONE,
        *,
        more_follows: bool = False,
        is_kept: bool = False,
    ) -> None:
        self.seed = seed
        self.is_kept = is_kept
        self._more_follows = more_follows
        self.extra: dict[str, np.ndarray] = {}
        self._ranks = ranks
        self._folder, self._seconds = folder, seconds
        self._duration = 0.0
        self._written_at = time.monotonic()
        self._warned = False
        self._next = _SLOTS[0]
        self._found: Bundle | None = None
        self.seed, self.extra = ranks.from_first(self._begin)

    def _begin(self) -> tuple[int, dict[str, np.ndarray]]:
        self._find()
        if self._found is None:
            seed = seed_of_parts(self._folder)
            return self.seed if seed is None else seed, {}
        tensors = _unpack(self._found, extra=True)
        extra = {name.removeprefix(_EXTRA): tensor.numpy() for name, tensor in tensors}
        return self._found.manifest["seed"], extra

    def restore(self, state: TrainingState) -> None:
        """Put what the checkpoint holds into a state that has just begun, if there is one.

        That of the first process; `TrainingState.share` is how the others get it.

        Raises
        ------
        CheckpointError
            If it is not of such a network.
        """
        self._ranks.from_first(lambda: self._restore(state))

    def _restore(self, state: TrainingState) -> None:
        bundle, self._found = self._found, None
        if bundle is not None:
            try:
                state.restore(bundle.manifest["state"], dict(_unpack(bundle, extra=False)))
            except (LookupError, ValueError, TypeError, RuntimeError) as error:
                raise CheckpointError(
                    f"{self._folder}: its checkpoint does not fit the network that these arguments "
                    f"make ({error}). Delete the folder to begin anew."
                ) from error
        self._duration = sum(_n_bytes(t) for t in state.tensors().values()) / _GUESS
        self._written_at = time.monotonic()

    def is_due(self, *, at_epoch_end: bool) -> bool:
        """Tell whether it is time for a checkpoint, and the last one's cost has been earned.

        Only the first process ever says so.
        """
        if not self._ranks.is_first:
            return False
        rest = REST * self._duration
        passed = time.monotonic() - self._written_at
        return passed >= (rest if at_epoch_end else max(rest, self._seconds))

    @property
    def is_due_at_end(self) -> bool:
        """Whether the end of the training is to be kept: if it took longer than the write will."""
        passed = time.monotonic() - self._written_at
        return self._more_follows and self._ranks.is_first and passed > self._duration

    def part(self, name: str, make: Callable[[], Part]) -> Part:
        """Return a part of the fit that comes beside the training: made, or as it was made before.

        Only the first process asks. A part is kept if it took long.

        Parameters
        ----------
        name : str
        make : callable
        """
        if (found := read_part(self._folder, name)) is not None:
            return found
        began = time.monotonic()
        part = make()
        if time.monotonic() - began >= WORTH_KEEPING:
            write_part(self._folder, name, part, seed=self.seed)
        return part

    def write(self, state: TrainingState) -> None:
        """Write a checkpoint in place of the older of two.

        Warns
        -----
        CheckpointWarning
            If the disk refuses, or has no room for two; the one before is kept.
        """
        if not self._ranks.is_first:
            return
        began = time.monotonic()
        extra = {_EXTRA + name: torch.from_numpy(a) for name, a in self.extra.items()}
        table, blobs = _pack({**state.tensors(), **extra})
        manifest = {
            "checkpoint_format": FORMAT,
            "seed": self.seed,
            "state": state.numbers(),
            "tensors": table,
        }
        try:
            self._warn_if_full(sum(len(blob) for blob in blobs.values()))
            save_bundle(Bundle(manifest, blobs), self._folder / self._next)
            self._next = _SLOTS[1 - _SLOTS.index(self._next)]
        except OSError as error:
            self._warn(
                f"{self._folder}: the checkpoint after step {state.step} could not be written "
                f"({error}). The training goes on; free some disk, or it can only go on "
                "from an earlier step.",
            )
        self._written_at = time.monotonic()
        self._duration = self._written_at - began

    def _find(self) -> None:
        """Read the newest whole checkpoint; an unfinished first one counts as none."""
        ages: dict[str, tuple[int, int]] = {}
        faults: list[str] = []
        for slot in _SLOTS:
            if os.path.lexists(self._folder / slot / RECORD):
                try:
                    ages[slot] = _age(read_record(self._folder / slot)["manifest"])
                except BundleError as error:
                    faults.append(str(error))
        for slot in sorted(ages, key=lambda slot: ages[slot], reverse=True):
            try:
                self._found = load_bundle(self._folder / slot)
            except BundleError as error:
                faults.append(str(error))
                continue
            self._next = _SLOTS[1 - _SLOTS.index(slot)]
            if faults:
                self._warn(
                    f"{' '.join(faults)} The fit goes on from the checkpoint before, after step "
                    f"{ages[slot][0]}."
                )
            return
        if faults:
            raise CheckpointError(
                f"{self._folder}: holds checkpoints of this fit, but none that can be used. "
                f"{' '.join(faults)} Delete the folder to begin anew."
            )

    def _warn_if_full(self, size: int) -> None:
        # The new one is whole before the one that it replaces is deleted.
        n_there = sum(os.path.lexists(self._folder / slot / RECORD) for slot in _SLOTS)
        needed = size * (2 if n_there < 2 else 1)
        free = shutil.disk_usage(self._folder).free
        if needed > free and not self._warned:
            self._warned = True
            self._warn(
                f"{self._folder}: its checkpoints want {needed / 1e9:,.2f} GB more, and the disk "
                f"has {free / 1e9:,.2f} GB free. Free some, or pass another checkpoint_dir."
            )

    def _warn(self, message: str) -> None:
        warn(message, CheckpointWarning)


@contextlib.contextmanager
def checkpoints_in(
    folder: Path,
    seconds: float,
    seed: int,
    ranks: Ranks = ALONE,
    *,
    more_follows: bool = False,
    is_kept: bool = False,
) -> Iterator[Checkpoints]:
    """Let one fit have its checkpoints: nobody else meanwhile, and nobody after it was done.

    If they `is_kept`, whoever asked for that deletes the folder.

    Parameters
    ----------
    folder : Path
    seconds, seed, ranks, more_follows, is_kept : as `Checkpoints` takes them

    Raises
    ------
    CheckpointError
        Also if another fit has the folder, in this process or another of this machine.
    OSError
        If the folder cannot be made.
    """

    def enter() -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(
                f"checkpoint_dir: the folder {folder} cannot be made ({error}). Pass one that can "
                "be written."
            ) from error
        stack.enter_context(_locked(folder))

    with contextlib.ExitStack() as stack:
        ranks.from_first(enter)
        try:
            yield Checkpoints(
                folder, seconds, seed, ranks, more_follows=more_follows, is_kept=is_kept
            )
        except BaseException:
            if ranks.is_first:
                with contextlib.suppress(OSError):
                    folder.rmdir()  # unless there is a checkpoint
            raise
        if ranks.is_first and not is_kept:
            # What cannot be deleted is left: the next such fit ends where this one did.
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # no such locks here
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckpointError(
                f"{folder}: another fit with the same arguments and data writes its checkpoints "
                "there. Wait for it, or pass another checkpoint_dir."
            ) from None
        except OSError:  # file systems that cannot
            pass
        yield
    finally:
        os.close(descriptor)


def _age(manifest: dict[str, Any]) -> tuple[int, int]:
    """Return the step and the number of finished epochs of a checkpoint.

    Raises
    ------
    BundleError
        If it is of another format.
    """
    found = manifest.get("checkpoint_format")
    if found != FORMAT:
        raise BundleError(
            f"{RECORD}: is a checkpoint of format {found!r}; this version of lightxml goes on "
            f"from format {FORMAT}."
        )
    state = manifest["state"]  # an epoch's last step comes before its validation
    return state["step"], len(state["history"])


def _pack(
    tensors: dict[str, torch.Tensor],
) -> tuple[list[list[Any]], dict[str, Any]]:
    """Return a table of names, dtypes, shapes and files in their order there, and the files.

    Raw bytes, not safetensors: those of a large table on the CPU are written from where they are,
    and bfloat16 needs no detour.
    """
    table: list[list[Any]] = []
    small: list[memoryview] = []
    blobs: dict[str, Any] = {}
    for name, tensor in tensors.items():
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        view = flat.view(torch.uint8).numpy().data
        file = _SMALL
        if len(view) < _LARGE:
            small.append(view)
        else:
            file = f"{len(blobs)}.bin"
            blobs[file] = view
        dtype = str(tensor.dtype).removeprefix("torch.")
        table.append([name, dtype, list(tensor.shape), file])
    blobs[_SMALL] = b"".join(small)
    return table, blobs


def _unpack(bundle: Bundle, *, extra: bool) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield what `_pack` took, each with its name; a large file is dropped once it is read."""
    begin = 0
    for name, dtype, shape, file in bundle.manifest["tensors"]:
        size = int(np.prod(shape, dtype=np.int64)) * _DTYPES[dtype].itemsize
        is_small = file == _SMALL
        if name.startswith(_EXTRA) == extra:
            blob = bundle.blobs[file] if is_small else bundle.blobs.pop(file)
            part = np.frombuffer(blob, np.uint8, size, begin if is_small else 0)
            yield name, torch.from_numpy(part.copy()).view(_DTYPES[dtype]).reshape(shape)
        begin += size if is_small else 0


def _n_bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()
