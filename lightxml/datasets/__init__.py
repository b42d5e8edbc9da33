"""Data sets: files in the field's layout, the docstrings of this machine, synthetic documents."""

from __future__ import annotations

from lightxml.datasets.parts import label_sets
from lightxml.datasets.pydocs import load_pydocs
from lightxml.datasets.synthetic import make_xmc
from lightxml.datasets.xmc import load_xmc

__all__ = ["label_sets", "load_pydocs", "load_xmc", "make_xmc"]
