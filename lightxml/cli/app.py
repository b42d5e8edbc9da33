"""The command line: its commands, and how they end when something is wrong."""

from __future__ import annotations

import warnings
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from lightxml.cli.demo import demo
from lightxml.cli.evaluate import evaluate
from lightxml.cli.explain import explain
from lightxml.cli.info import info
from lightxml.cli.predict import predict
from lightxml.cli.reproduce import reproduce
from lightxml.cli.serve import serve
from lightxml.cli.train import train
from lightxml.exceptions import DeviceMemoryError, NonFiniteLossError
from lightxml.runtime.terminal import printable, warning_line

# Each command imports what it uses: numpy, scikit-learn and torch take seconds, `--help` none.
# It checks first what can be checked without them.
COMMANDS = (
    demo,
    train,
    predict,
    explain,
    evaluate,
    info,
    serve,
    reproduce,
)


class _Commands(TyperGroup):
    """Commands that end with one line, not a traceback, on Ctrl-C and what a user can mend."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("\nInterrupted.", err=True)
            raise typer.Exit(130) from None
        except BrokenPipeError:  # the reader, such as `head`, has seen enough: typer ends quietly
            raise
        except (
            ValueError, TypeError, OSError, ImportError, NonFiniteLossError, DeviceMemoryError
        ) as error:  # fmt: skip
            typer.echo(f"lightxml: error: {_line(error)}", err=True)
            raise typer.Exit(1) from None


class _Grouped(TyperCommand):
    """A command whose ``--help`` shows options in groups, under their headings."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if (line := parameter.get_help_record(ctx)) is not None:
                is_argument = parameter.param_type_name == "argument"
                panel = getattr(parameter, "rich_help_panel", None)
                groups.setdefault("Arguments" if is_argument else panel or "Options", []).append(
                    line
                )
        for heading, lines in groups.items():
            with formatter.section(heading):
                formatter.write_dl(lines)


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Extreme multi-label text classification: train, predict, evaluate.",
)
for command in COMMANDS:
    app.command(cls=_Grouped)(command)


def main() -> None:
    """Run the command line."""
    warnings.formatwarning = warning_line
    app(prog_name="lightxml")


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.filename2 is None:
        error = OSError(f"{error.filename}: {error.strerror}")
    return printable(" ".join(str(error).split()))
