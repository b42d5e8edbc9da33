"""How much memory is free: of the machine, and of the container."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightxml.runtime import memory
from lightxml.runtime.memory import free_in_container, free_memory


def write(folder: Path, files: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name).write_text(f"{value}\n", encoding="ascii")


def of_process(root: Path, cgroup: str) -> None:
    write(root / "proc/self", {"cgroup": cgroup})


def test_the_second_version_counts_what_files_would_give_back(tmp_path: Path) -> None:
    of_process(tmp_path, "0::/pod/one")
    stat = "anon 500\ninactive_file 100"
    group = tmp_path / "sys/fs/cgroup/pod/one"
    write(group, {"memory.max": 1000, "memory.current": 600, "memory.stat": stat})
    assert free_in_container(tmp_path) == 500


@pytest.mark.parametrize(("outer", "free"), [("max", 400), (700, 100), (600, 0), (10**6, 400)])
def test_every_group_above_has_its_limit(tmp_path: Path, outer: object, free: int) -> None:
    of_process(tmp_path, "0::/pod/one")
    for folder, most in (("pod/one", 1000), ("pod", outer)):
        files = {"memory.max": most, "memory.current": 600, "memory.stat": ""}
        write(tmp_path / "sys/fs/cgroup" / folder, files)
    assert free_in_container(tmp_path) == free


def test_the_first_version_is_read_where_the_hosts_path_is_not_there(tmp_path: Path) -> None:
    of_process(tmp_path, "9:cpu,cpuacct:/docker/1\n8:memory:/docker/1")
    limits = {"memory.limit_in_bytes": 1000, "memory.usage_in_bytes": 900}
    write(tmp_path / "sys/fs/cgroup/memory", {**limits, "memory.stat": "total_inactive_file 50"})
    assert free_in_container(tmp_path) == 150


@pytest.mark.parametrize("cgroup", ["0::/", "3:cpu:/a", None])
def test_without_a_limit_the_machine_counts(tmp_path: Path, cgroup: str | None) -> None:
    if cgroup is not None:
        of_process(tmp_path, cgroup)
    assert free_in_container(tmp_path) is None


def test_the_smaller_of_both_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_in_container", lambda: 7)
    assert free_memory() == 7
    monkeypatch.setattr(memory, "free_in_container", lambda: None)
    assert (free_memory() or 8) > 7
