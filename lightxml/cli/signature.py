"""Options that several commands share, or that are made from a table, as one dict."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any


def taking(into: str, options: Mapping[str, Any]) -> Callable[[Callable[..., None]], Any]:
    """Let a command take more options than its signature has, which it is handed as a dict.

    Parameters
    ----------
    into : str
        The command's argument that is handed the dict; it has those options that were given.
    options : mapping of str to type
        ``Annotated`` with `typer.Option`, by the options' names; each is None by default.
    """

    def decorate(command: Callable[..., None]) -> Any:
        signature = inspect.signature(command, eval_str=True)
        parameters = [p for p in signature.parameters.values() if p.name != into]
        more = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for name, kind in options.items()
        ]

        @wraps(command)
        def wrapped(**values: Any) -> None:
            given = {name: values.pop(name) for name in options}
            command(**values, **{into: {k: v for k, v in given.items() if v not in (None, [])}})

        plain = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        wrapped.__signature__ = signature.replace(parameters=[*plain, *more])  # type: ignore[attr-defined]
        wrapped.__annotations__ = {p.name: p.annotation for p in (*plain, *more)}
        return wrapped

    return decorate
