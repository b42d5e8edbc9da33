"""The command line: a file a command. It may import everything else."""

from __future__ import annotations

from lightxml.cli.app import main

__all__ = ["main"]
