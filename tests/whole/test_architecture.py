"""The house: which package may import which, and where torch is known."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "lightxml"

# A package imports itself and what stands before it in this table, on an earlier line.
FLOORS = [
    {"exceptions", "presets", "arguments", "rankers", "version"},
    {"data"},
    {"metrics", "fields"},
    {"files", "clustering", "plot", "runtime"},
    {"datasets", "network"},
    {"training", "predicting"},
    {"fitting", "storage"},
    {"base"},
    {"classifier"},
    {"ensemble", "inspection"},
    {"bulk"},
    {"serving"},
    {"cli"},
    {"__main__"},
]
# The modules that import torch, transformers or numba, whole packages among them (None). All
# others do so where there is a network, or never.
HEAVY: dict[str, set[str] | None] = {
    "network": None,
    "training": None,
    "rankers": {"solver"},
    "runtime": {"devices", "distributed"},
    "predicting": {"frozen"},
    "fitting": {"network", "measurement", "footprint", "continued"},
    "storage": {"network"},
    "cli": {"reproduction"},
}
WITHOUT_TORCH = (
    FLOORS[0] | FLOORS[1] | {"files", "clustering", "plot", "datasets", "inspection", "bulk"}
)

FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imported(path: Path) -> set[str]:
    """Every module that a file imports, wherever in the file, with the names taken from it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def package_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_go_down(path: Path) -> None:
    package, names = package_of(path), imported(path)
    for name in names:
        if name.startswith("lightxml.") and (target := name.split(".")[1]) in FLOOR:
            allowed = target == package or FLOOR[target] < FLOOR[package]
            assert allowed, f"{path.name} imports {name}"
    roots = {name.split(".")[0] for name in names}
    assert package not in WITHOUT_TORCH or "torch" not in roots
    assert path == PACKAGE / "network" / "encoders.py" or "transformers" not in roots


def test_every_package_has_a_floor() -> None:
    assert {package_of(path) for path in FILES} == set(FLOOR)


def test_what_is_not_heavy_loads_without_torch() -> None:
    heavy, light = set(), []
    for path in FILES:
        *packages, name = path.relative_to(PACKAGE).with_suffix("").parts
        modules = HEAVY.get(packages[0] if packages else name, set())
        if modules is None or name in modules:
            heavy.add((packages[0], name))
        else:
            light.append(".".join(("lightxml", *packages, name)).removesuffix(".__init__"))
    assert heavy >= {(package, name) for package in HEAVY for name in HEAVY[package] or ()}
    code = f"""
import importlib, sys
for name in {[name for name in light if name != "lightxml.__main__"]}:
    importlib.import_module(name)
    heavy = {{"torch", "transformers", "numba", "matplotlib"}} & sys.modules.keys()
    assert not heavy, f"{{name}} imports {{heavy}}"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
