"""What a reading looks like that is wrong: each sign, and the option that mends or confirms it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from lightxml.datasets.tables.cells import brief
from lightxml.datasets.tables.reading import SEPARATOR, Reading

# What stands between labels, if it is in most cells; other signs only if their parts come again.
_SEPARATORS = " [,|\n\t\u3001\uff0c\uff1b\u30fb\u060c"  # the last ones: Chinese, Japanese, Arabic
_NO_SIGN = " ;()[]{}'\""  # a blank alone only between numbers
_FEW = 0.05  # of the documents, with two labels by chance
_NUMBERS = re.compile(r"\s*\d+(?: +\d+)+\s*")
_LEAST = 20  # documents, of which all may have a label by chance


def check_labels(
    cells: Iterable[tuple[str, int]], y: Sequence[Sequence[str]], reading: Reading, what: str
) -> None:
    """Refuse labels that look wrong, unless the caller has said how they are written.

    Parameters
    ----------
    cells : iterable of (str, int)
        Different cells of text, and how many documents have each.
    y : sequence of sequences of str
    reading : Reading
        What the caller has said.
    what : str
        The file, for messages.

    Raises
    ------
    ValueError
        If no document has two labels, and most cells hold another separator or brackets; or if
        one of several labels is in every document.
    """
    if reading.label_separator is not None or reading.label_form is not None:
        return
    n_several = sum(len(labels) > 1 for labels in y)
    if n_several <= _FEW * len(y):
        _check_separators(cells, n_several, what)
    counts = Counter(label for labels in y for label in labels)
    label, count = counts.most_common(1)[0] if counts else ("", 0)
    if len(counts) > 1 and count == len(y) >= _LEAST:
        raise ValueError(
            f"{what}: the label {brief(label)} is in every one of {count:,} documents, so that it"
            f" tells nothing. If it is one all the same, pass label_separator={SEPARATOR!r}, or"
            " what stands between labels; else name another label_column."
        )


def _check_separators(cells: Iterable[tuple[str, int]], n_several: int, what: str) -> None:
    holds: Counter[str] = Counter()
    example: dict[str, str] = {}
    different = []
    n_cells = 0
    for cell, count in cells:
        n_cells += count
        different.append(cell)
        found = {sign for sign in set(cell.strip()) if not sign.isalnum() and sign not in _NO_SIGN}
        if cell.strip()[:1] in ("[", "(", "{"):
            found.add("[")
        if _NUMBERS.fullmatch(cell):
            found.add(" ")
        for sign in found:
            holds[sign] += count
            example.setdefault(sign, cell)
    for sign, count in sorted(holds.items(), key=lambda item: (item[0] != "[", -item[1])):
        if count > n_cells / 2 and (sign in _SEPARATORS or _come_again(different, sign)):
            _refuse(sign, 100 * count / n_cells, example[sign], n_several, what)


def _come_again(cells: list[str], sign: str) -> bool:
    """Tell whether cells are made of parts that are in other cells too, as labels are."""
    parts = {part.strip() for cell in cells for part in cell.split(sign)}
    return len(parts) <= len(cells) / 2


def _refuse(sign: str, percent: float, example: str, n_several: int, what: str) -> None:
    number = f"{n_several:,} documents have" if n_several else "no document has"
    told = f"{what}: {number} more than one label, and {percent:.0f} % of the cells are such as"
    told += f" {brief(example)}"
    if sign == "[":
        raise ValueError(
            f"{told}. If each is a list, put its labels into quotes; if each is one label, pass"
            f" label_separator={SEPARATOR!r}."
        )
    raise ValueError(
        f"{told}. Pass label_separator={sign!r}; or label_separator={SEPARATOR!r}, if each cell is"
        " one label."
    )


def repeated(X: Sequence[str], y: Sequence[Sequence[str]]) -> list[tuple[int, int]]:
    """Return the documents whose text an earlier one has, with other labels; and the first such."""
    first: dict[str, int] = {}
    pairs = []
    for i, text in enumerate(X):
        earlier = first.setdefault(text, i)
        if earlier != i and text and set(y[i]) != set(y[earlier]):
            pairs.append((i, earlier))
    return pairs


def check_rows(
    pairs: Sequence[tuple[int, int]],
    y: Sequence[Sequence[str]],
    reading: Reading,
    where: Sequence[str],
) -> None:
    """Refuse documents that look like pairs of document and label, unless `group_by` is given.

    Parameters
    ----------
    pairs : sequence of (int, int)
        Of `repeated`.
    y : sequence of sequences of str
    reading : Reading
    where : sequence of two str
        Where the documents of the first pair stand.

    Raises
    ------
    ValueError
        If no document has two labels, and over a tenth of them repeat the text of another.
    """
    if reading.group_by is not None or len(pairs) <= len(y) / 10:
        return
    if any(len(labels) > 1 for labels in y):
        return
    raise ValueError(
        f"{where[0]}: has the text of {where[1]} and another label, as {len(pairs):,} of"
        f" {len(y):,} rows have, and no row has two labels: each looks like a pair of document and"
        " label. Pass group_by with the column that the rows of one document share, such as"
        f" group_by={reading.text_column[0]!r}; or group_by='', if each row is a document."
    )
