"""What was understood of a table, in lines for whoever gave it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

from lightxml.datasets.tables.cells import brief, printed_list
from lightxml.datasets.tables.forms import Form
from lightxml.datasets.tables.reading import Reading

_LOOKED_AT = 100  # cells, of which is told whether labels are in lists
_FORMS = {
    "one-hot": "labels are columns of 0 and 1",
    "tags": "labels in <>",
    "prefixed": "labels with __label__",
    "bracketed": "lists of labels in brackets",
}


def understood(form: Form, reading: Reading, columns: Sequence[Sequence[Any]]) -> str:
    """Return how a file is written, and how its labels are.

    Parameters
    ----------
    form : Form
    reading : Reading
    columns : sequence of sequences
        The different cells of each column of labels.
    """
    told = _FORMS.get(reading.label_form or "")
    if told is None:
        values = (v for some in columns for v in some if v is not None and v != "")
        are_lists = all(
            isinstance(v, list) or (isinstance(v, str) and printed_list(v) is not None)
            for v in islice(values, _LOOKED_AT)
        )
        told = "lists of labels" if are_lists else f"labels between {reading.label_separator!r}"
    if reading.group_by:
        told += f", rows with one {reading.group_by!r} are one document"
    return f"{form}; {told}"


def described(X: Sequence[str], y: Sequence[Sequence[str]]) -> list[str]:
    """Return lines that say how many documents and labels there are, and what labels look like."""
    counts = Counter(label for labels in y for label in labels)
    mean = sum(counts.values()) / len(y)
    lines = [f"{len(X):,} documents, {len(counts):,} labels, {mean:.1f} a document"]
    if counts:
        best = ", ".join(f"{brief(label)} ({n:,})" for label, n in counts.most_common(3))
        lines.append(
            f"The most frequent labels: {best}; the longest: {brief(max(counts, key=len))}"
        )
    if without := sum(not labels for labels in y):
        lines.append(f"Documents without a label: {without:,}.")
    if empty := sum(not text.strip() for text in X):
        lines.append(f"Documents without a text: {empty:,}.")
    return lines
