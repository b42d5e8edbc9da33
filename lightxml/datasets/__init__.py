"""Data sets: files in the field's layout, the docstrings of this machine, synthetic documents.

The names are loaded on first use, so that a look at a file's columns stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightxml.datasets.label_texts import load_label_texts
    from lightxml.datasets.parts import label_sets
    from lightxml.datasets.pydocs import load_pydocs
    from lightxml.datasets.synthetic import make_xmc
    from lightxml.datasets.tables.load import load_table
    from lightxml.datasets.xmc import load_xmc

__all__ = ["label_sets", "load_label_texts", "load_pydocs", "load_table", "load_xmc", "make_xmc"]

_HOME = {
    "label_sets": "parts",
    "load_label_texts": "label_texts",
    "load_pydocs": "pydocs",
    "load_table": "tables.load",
    "make_xmc": "synthetic",
    "load_xmc": "xmc",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"lightxml.datasets.{_HOME[name]}"), name)
    raise AttributeError(f"module 'lightxml.datasets' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
