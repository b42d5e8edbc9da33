"""What the command line says, in lines for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklearn.utils import Bunch

WIDTH = 80  # columns of a terminal
# Not printable, but part of how words are written: soft hyphen, joiners, marks of direction.
_HARMLESS = "\u00ad\u200b\u200c\u200d\u200e\u200f"


def warning_line(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """Return a warning as one line; what `warnings.formatwarning` can be."""
    return f"lightxml: warning: {printable(' '.join(str(message).split()))}\n"


def answer(document: str, labels: Iterable[Any], scores: Iterable[float]) -> str:
    """Return a document and its labels, each on a line."""
    lines = [shorten(document, WIDTH)]
    for label, score in zip(labels, scores, strict=True):
        lines.append(f"    {score:5.3f}  {shorten(str(label), WIDTH - 11)}")
    return "\n".join(lines)


def shorten(text: str, width: int) -> str:
    """Return text on one line of this width, without what a terminal would obey."""
    text = " ".join(text.split())
    text = text if len(text) <= width else text[: width - 3] + "..."
    return printable(text)


def printable(text: str) -> str:
    """Return text without what a terminal would obey, line ends among it."""
    return "".join(c if c.isprintable() or c in _HARMLESS else "?" for c in text)


def sizes(bunch: Bunch) -> str:
    """Return how much there is to learn from."""
    n_documents = bunch.y_train.shape[0]
    return (
        f"{n_documents:,} documents to learn from, {len(bunch.labels):,} labels,"
        f" {bunch.y_train.nnz / n_documents:.1f} a document"
    )


def peak_memory() -> str:
    """Return the most memory that this process had so far."""
    try:
        import resource
    except ImportError:  # not on Windows
        return "peak memory unknown"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    return f"peak memory {peak * unit / 2**30:.1f} GiB"
