"""The texts of labels from a file: lines, CSV, JSON lines, or a thesaurus in SKOS."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lightxml.datasets.lines import text_lines
from lightxml.datasets.skos import FORMATS, concepts
from lightxml.datasets.tables.cells import printed_list
from lightxml.datasets.tables.forms import Written
from lightxml.datasets.tables.table import open_table

_RECORDS = (".csv", ".jsonl", ".ndjson", ".json")
_COLUMNS = ["label", "text"]
_HEADER = "\t".join(_COLUMNS)

# Where in which file a text stands, its label and it.
_Entry = tuple[str, str, str]


def load_label_texts(
    path: str | os.PathLike[str], *, language: str | None = None
) -> dict[str, list[str]]:
    """Read the texts of labels, as `lightxml.LightXMLClassifier.fit` takes them.

    The end of the file's name tells its form:

    - ``.csv``: columns ``label`` and ``text``, named in the first line.
    - ``.jsonl``, ``.ndjson``, ``.json``: an object on each line, such as
      ``{"label": "4472", "text": ["sunflower", "Helianthus annuus"]}``; the text may be one string.
    - ``.ttl``, ``.nt``, ``.rdf``, ``.xml``: a SKOS thesaurus [1]_ in Turtle or RDF/XML. Its labels
      are the concepts, each by its notation, or by its URI where it has none; their texts are the
      preferred names, then the alternative ones, then the definitions. Deprecated concepts are
      left out. It needs ``pip install "lightxml[skos]"``.
    - any other: lines of label, tab, text. The first line of a ``.tsv`` may be ``label``, tab,
      ``text``.

    All may be packed (``.gz``). A label may come several times: it has all these texts, in the
    order of the file, each once. Blanks around labels and texts are dropped, and so are labels
    without a text.

    Parameters
    ----------
    path : str or path-like
        UTF-8.
    language : str or None, default=None
        Of a thesaurus: the texts of this language, such as ``"en"`` (``en-GB`` too), and those
        without one. None: those of all languages.

    Returns
    -------
    texts : dict of str to list of str

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        The file or a line is not of this form, or no label has a text; the message names file,
        line, what was found and what to do. Or `language` is given for what is no thesaurus.
    ImportError
        A thesaurus, and rdflib is not installed.

    References
    ----------
    .. [1] Miles, Bechhofer, "SKOS Simple Knowledge Organization System Reference", W3C
       Recommendation, 2009.
    """
    path = Path(path)
    found: dict[str, dict[str, None]] = {}
    for where, label, text in _entries(path, language):
        label, text = label.strip(), text.strip()
        if not label:
            raise ValueError(f"{where}: its label is empty. Name the label, or leave the text out.")
        if text:
            found.setdefault(label, {})[text] = None
    if not found:
        raise ValueError(f"{path}: holds no text of a label.")
    return {label: list(texts) for label, texts in found.items()}


def for_labels(texts: dict[str, list[str]], labels: Iterable[Any], path: Path) -> dict[str, Any]:
    """Return texts by the names that labels have elsewhere: where these are ends of URIs, by them.

    Parameters
    ----------
    texts : dict of str to list of str
    labels : iterable of labels
    path : Path
        The file of the texts, for the message.

    Raises
    ------
    ValueError
        If no label has a text.
    """
    known = [str(label) for label in labels]
    if any(label in texts for label in known):
        return texts
    ends: dict[str, list[str]] = {}
    for label, some in texts.items():
        ends.setdefault(re.split(r"[/#]", label.strip("<>"))[-1], []).extend(some)
    if any(label in ends for label in known):
        return ends
    raise ValueError(
        f"{path}: none of its labels (such as {next(iter(texts))!r:.60}) is one of the"
        f" {len(known):,} known ones (such as {known[0]!r:.60}). Write them alike in both."
    )


def _entries(path: Path, language: str | None) -> Iterator[_Entry]:
    kind = Path(path.name.lower().removesuffix(".gz")).suffix
    if kind in FORMATS:
        yield from concepts(path, FORMATS[kind], language)
        return
    if language is not None:
        raise ValueError(
            f"{path}: is no thesaurus (expected a name that ends in {', '.join(FORMATS)}), so that"
            f" its texts have no language. Leave {language!r} out."
        )
    yield from _records(path) if kind in _RECORDS else _lines(path, may_have_header=kind == ".tsv")


def _lines(path: Path, *, may_have_header: bool) -> Iterator[_Entry]:
    for number, line in enumerate(text_lines(path), start=1):
        if not line.strip() or (number == 1 and may_have_header and line == _HEADER):
            continue
        label, tab, text = line.partition("\t")
        if not tab:
            raise ValueError(
                f"{path}, line {number:,}: has no tab ({line!r:.60}); expected label, tab, text."
            )
        yield f"{path}, line {number:,}", label, text


def _records(path: Path) -> Iterator[_Entry]:
    with open_table(path, _COLUMNS, Written()) as table:
        for number, (label, given) in table.rows(_COLUMNS):
            yield from _texts(label, given, table.where(number))


def _texts(label: Any, given: Any, where: str) -> Iterator[_Entry]:
    if type(label) not in (str, int):  # a bool is an int too
        raise ValueError(
            f"{where}: its 'label' is {label!r:.60} ({type(label).__name__}); expected a string"
            " or a whole number."
        )
    if isinstance(given, str):
        given = printed_list(given) or given
    for text in given if isinstance(given, list) else [given]:
        if not isinstance(text, str):
            raise ValueError(
                f"{where}: its 'text' is {text!r:.60} ({type(text).__name__}); expected a"
                " string or a list of strings. Leave out what is missing."
            )
        yield where, _valid(str(label), where), _valid(text, where)


def _valid(text: str, where: str) -> str:
    """Refuse lone surrogates, which JSON can escape and UTF-8 cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"{where}: {text!r:.60} is no valid Unicode (a lone surrogate). Write the file anew."
        ) from None
    return text
