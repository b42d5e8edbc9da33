"""What the command line says, in lines for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklearn.utils import Bunch

WIDTH = 80  # columns of a terminal


def warning_line(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """Return a warning as one line; what `warnings.formatwarning` can be."""
    return f"lightxml: warning: {message}\n"


def answer(document: str, labels: Iterable[Any], scores: Iterable[float]) -> str:
    """Return a document and its labels, each on a line."""
    lines = [_shorten(document, WIDTH)]
    for label, score in zip(labels, scores, strict=True):
        lines.append(f"    {score:5.3f}  {_shorten(str(label), WIDTH - 11)}")
    return "\n".join(lines)


def _shorten(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 3] + "..."


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
