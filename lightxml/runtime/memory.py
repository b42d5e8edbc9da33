"""How much memory is free, and arrays that go to disk where it is not enough."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

_SHARE = 0.25  # of the free memory, that one array may take


def free_memory() -> int | None:
    """Return the bytes that this machine can give to a process now; None where it does not say."""
    try:  # Linux: what the page cache would give back counts
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def make_array(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Return an array: in memory, or mapped from a nameless file if it would take too much.

    Too much is more than a quarter of what is free. The file is gone with the array.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    free = free_memory()
    if free is None or size <= _SHARE * free:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="lightxml-") as file:
        file.truncate(size)
        return np.memmap(file, dtype, mode="r+", shape=shape)
