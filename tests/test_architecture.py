"""The floors of the design: imports only go down, and the ground floor knows no torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "lightxml"
FLOORS = [
    {
        "exceptions",
        "texts",
        "labels",
        "rankings",
        "support_vectors",
        "metrics",
        "clustering",
        "label_clusters",
        "datasets",
        "strict_json",
        "arrays",
        "bundle",
        "joined",
        "progress",
        "evaluation",
        "lines",
        "records",
        "terminal",
        "description",
        "explanation",
        "matrices",
        "memory",
        "vectorizers",
        "interrupts",
        "notebook",
        "pipelines",
    },
    {
        "devices",
        "distributed",
        "documents",
        "encoders",
        "batches",
        "chunked",
        "clustered",
        "features",
        "heads",
        "losses",
        "linear",
        "neighbours",
        "network",
        "optimizers",
        "tables",
        "rare_labels",
        "divergence",
        "targets",
    },
    {
        "averaging",
        "checkpoints",
        "fingerprints",
        "fitted",
        "fitting",
        "footprint",
        "frozen",
        "inputs",
        "training",
        "training_state",
        "prediction",
        "persistence",
        "parameters",
    },
    {"classifier"},
    {"ensemble", "inspection", "recipes", "reproduction", "plot", "cli", "__main__"},
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imported(path: Path) -> set[str]:
    """Every module that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            if node.module == "lightxml":
                names.update(f"lightxml.{alias.name}" for alias in node.names)
    return names


def place(path: Path) -> str:
    """The module or package of ``lightxml`` that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_go_down(path: Path) -> None:
    for name in imported(path):
        if name.startswith("lightxml."):
            target = name.split(".")[1]
            if target in FLOOR:  # else a name such as lightxml.__version__
                assert FLOOR[target] <= FLOOR[place(path)], f"{path.name} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_torch_and_transformers_stay_where_they_belong(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported(path)}
    if FLOOR[place(path)] == 0:
        assert not roots & {"torch", "transformers", "tokenizers"}
    if place(path) != "encoders":
        assert "transformers" not in roots


def test_every_module_has_a_floor() -> None:
    assert {place(path) for path in MODULES} == set(FLOOR)


@pytest.mark.parametrize(
    "module", ["lightxml", "lightxml.metrics", "lightxml.datasets", "lightxml.label_clusters"]
)
def test_light_imports_do_not_load_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
