"""``lightxml info``: what a saved model is."""

from __future__ import annotations

import typer

from lightxml.cli.options import Model
from lightxml.runtime.terminal import WIDTH


def info(model: Model) -> None:
    """Say what a saved model is, without loading its weights."""
    from lightxml.files.hub import folder_of
    from lightxml.storage.description import describe

    typer.echo(describe(folder_of(model), width=WIDTH))
