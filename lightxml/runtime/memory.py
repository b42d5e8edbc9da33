"""How much memory is free, and arrays that go to disk where it is not enough."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path, PurePosixPath

import numpy as np

_SHARE = 0.25  # of the free memory, that one array may take


def free_memory() -> int | None:
    """Return the bytes that a process can have now, of the machine and of its container.

    None where neither says.
    """
    found = [free for free in (_free_in_machine(), free_in_container()) if free is not None]
    return min(found, default=None)


def free_in_container(root: Path = Path("/")) -> int | None:
    """Return the bytes that the control groups of this process leave it; None without a limit.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are.

    References
    ----------
    Linux kernel documentation, "Control Group v2" and "Memory Resource Controller" (v1).
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    found = []
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            mounted, limit, usage, idle = (
                "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
            )  # fmt: skip
        elif "memory" in controllers.split(","):
            mounted, limit, usage, idle = (
                "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                "total_inactive_file",
            )  # fmt: skip
        else:
            continue
        # Inside a container the path may be that of the host, which is not there; and each group
        # above has a limit too.
        inner = PurePosixPath(path.lstrip("/"))
        for group in (inner, *inner.parents):
            folder = root / mounted / group
            try:
                most, used = (int((folder / name).read_text("ascii")) for name in (limit, usage))
                table = (folder / "memory.stat").read_text("ascii").split()
            except (OSError, ValueError):  # there is no such group, or it says "max"
                continue
            given_back = int(dict(zip(table[::2], table[1::2], strict=False)).get(idle, 0))
            found.append(max(most - used + given_back, 0))
    return min(found, default=None)


def _free_in_machine() -> int | None:
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
