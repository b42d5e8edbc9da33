"""Parts of a fit on disk, beside the checkpoints of its training: done once, kept for a restart."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lightxml.exceptions import BundleError, CheckpointWarning, warn
from lightxml.files.bundle import RECORD, Bundle
from lightxml.files.load import load_bundle, read_record
from lightxml.files.save import save_bundle

_FOLDER = "parts"
_KINDS = {np.dtype(kind).name for kind in (np.float32, np.float16, np.int64, np.int32)}


@dataclass(frozen=True)
class Part:
    """What a part of a fit came to.

    Attributes
    ----------
    settings : dict
        Plain JSON values.
    arrays : mapping of str to ndarray
        Of one dimension.
    """

    settings: dict[str, Any]
    arrays: Mapping[str, np.ndarray]


def write_part(folder: Path, name: str, part: Part, *, seed: int) -> None:
    """Write a part.

    Warns
    -----
    CheckpointWarning
        If the disk refuses.
    """
    kinds = {key: array.dtype.name for key, array in part.arrays.items()}
    manifest = {"seed": seed, "settings": part.settings, "kinds": kinds}
    blobs: dict[str, Any] = {
        f"{key}.bin": np.ascontiguousarray(array).view(np.uint8).data
        for key, array in part.arrays.items()
    }
    try:
        save_bundle(Bundle(manifest, blobs), folder / _FOLDER / name)
    except OSError as error:
        warn(
            f"{folder}: {name} could not be written ({error}). The fit goes on; killed from here "
            "on, it fits them again.",
            CheckpointWarning,
        )


def read_part(folder: Path, name: str) -> Part | None:
    """Return a part as it was written; None where there is none.

    Warns
    -----
    CheckpointWarning
        If it is damaged: then it is as if there were none.
    """
    path = folder / _FOLDER / name
    if not os.path.lexists(path / RECORD):
        return None
    try:
        bundle = load_bundle(path)
        kinds = bundle.manifest["kinds"]
        if not _KINDS.issuperset(kinds.values()):
            raise ValueError(f"kinds are {kinds}")
        arrays = {key: np.frombuffer(bundle.blobs[f"{key}.bin"], kinds[key]) for key in kinds}
        return Part(bundle.manifest["settings"], arrays)
    except (BundleError, LookupError, ValueError, TypeError, AttributeError) as error:
        warn(f"{path}: cannot be used ({error}); {name} is fitted again.", CheckpointWarning)
        return None


def seed_of_parts(folder: Path) -> int | None:
    """Return the seed of the fit that wrote parts here; None without any that can be read."""
    for record in sorted(folder.glob(f"{_FOLDER}/*/{RECORD}")):
        try:
            seed = read_record(record.parent)["manifest"]["seed"]
        except (BundleError, LookupError):
            continue
        if type(seed) is int:
            return seed
    return None
