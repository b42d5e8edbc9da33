"""The docstrings of one source file: their prose, and labels for them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

SECTION = re.compile(
    r"(args|arguments|parameters|params|other parameters|keyword arg(ument)?s|attributes|methods"
    r"|returns?|yields?|receives|raises|warns|warnings?|notes?|see also|references|examples?"
    r"|usage)",
    re.IGNORECASE,
)
FIELD = re.compile(
    r"[:@](param|parameter|arg|argument|key|keyword|type|var|ivar|cvar|raises?|except|exception"
    r"|returns?|rtype|yields?)\b|>>>"
)
_INNER_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
RULE = re.compile(r"([-=~^*#])\1{2,}")


def prose(docstring: str) -> str:
    """Return the text before the first section, field or example, with single blanks.

    Knows underlined headings (numpydoc), "Args:" (Google) and ":param" (Sphinx). A title in
    the first line is text, not the heading of a section.
    """
    lines = [line.strip() for line in docstring.split("\n")]
    kept: list[str] = []
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        underlined = RULE.fullmatch(below) is not None
        section = SECTION.fullmatch(line.rstrip(": ")) and (line.endswith(":") or underlined)
        if section or FIELD.match(line) or (line and kept and underlined):
            break
        if line and not RULE.fullmatch(line) and not line.startswith(".. "):
            kept.append(line)
    return " ".join(" ".join(kept).split())


def in_words(name: str) -> str:
    """Return a name as words: ``n_components`` is n components, and ``CSRArray`` CSR Array.

    Examples
    --------
    >>> from lightxml.datasets.docstrings import in_words
    >>> in_words("TfidfVectorizer"), in_words("max_iter"), in_words("HTTPError")
    ('Tfidf Vectorizer', 'max iter', 'HTTP Error')
    """
    return _INNER_CAPITAL.sub(" ", name).replace("_", " ")


def labelled_docstrings(tree: ast.Module, module: Iterable[str]) -> Iterator[tuple[str, set[str]]]:
    """Yield the docstrings of a module, its classes, functions and methods with their labels.

    Parameters
    ----------
    tree : ast.Module
        The parsed source.
    module : iterable of str
        The parts of the module's path, ``__init__`` included.

    Yields
    ------
    docstring : str
    labels : set of str
        Parts of the module, classes, parameters.
    """
    yield from _visit(tree, _plain(part for part in module if part not in ("__init__", "__main__")))


def _visit(node: ast.AST, labels: set[str]) -> Iterator[tuple[str, set[str]]]:
    own = labels
    if isinstance(node, ast.ClassDef):
        labels = labels | _plain([node.name])
        own = labels.union(*map(_parameters, filter(_is_init, node.body)))
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        own = labels | _parameters(node)
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        docstring = ast.get_docstring(node)
        if docstring:
            yield docstring, own
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    # The inside of `if` and `try` too, where modules define what depends on the platform.
    for field in ("body", "handlers", "orelse", "finalbody"):
        for child in getattr(node, field, ()):
            yield from _visit(child, labels)


def _is_init(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == "__init__"


def _parameters(function: ast.AST) -> set[str]:
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return _plain(a.arg for a in named if a.arg not in ("self", "cls"))


def _plain(names: Iterable[str]) -> set[str]:
    return {name.strip("_") for name in names} - {""}
