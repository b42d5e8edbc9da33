"""What kind of file a table is, by its name and its first bytes, and how it is written."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lightxml.datasets.tables.dialect import Dialect, tell_dialect
from lightxml.datasets.tables.encodings import tell_encoding
from lightxml.datasets.tables.streams import PACKED, SAMPLE_BYTES, Stream

Kind = Literal["delimited", "json lines", "json array", "fasttext", "parquet", "excel"]

_OF_SUFFIX: dict[str, Kind] = {
    ".csv": "delimited",
    ".tsv": "delimited",
    ".tab": "delimited",
    ".jsonl": "json lines",
    ".ndjson": "json lines",
    ".parquet": "parquet",
    ".xlsx": "excel",
}
PREFIX = "__label__"
_TAGGED = re.compile(rf"\s*{PREFIX}\S")


@dataclass(frozen=True)
class Written:
    """What the caller knows of how a file is written; None is told from the file.

    Attributes
    ----------
    encoding : str or None
    delimiter : str or None
        One character.
    header : bool or None
        Whether the first line names the columns. Without names they are "1", "2", ...
    quotes : bool or None
    """

    encoding: str | None = None
    delimiter: str | None = None
    header: bool | None = None
    quotes: bool | None = None


@dataclass(frozen=True)
class Form:
    """What a file is.

    Attributes
    ----------
    kind : str
    encoding : str
        Of texts.
    dialect : Dialect or None
        Of a delimited file.
    """

    kind: Kind
    encoding: str = "utf-8"
    dialect: Dialect | None = None

    def __str__(self) -> str:
        if self.kind in ("parquet", "excel"):
            return self.kind.capitalize()
        names = {"json lines": "JSON lines", "json array": "a JSON array", "fasttext": "fastText"}
        told = names.get(self.kind, "")
        if self.dialect is not None:
            shown = {"\t": "tabs", ",": "commas", ";": "semicolons"}
            told = f"columns between {shown.get(self.dialect.delimiter, self.dialect.delimiter)}"
            told += "" if self.dialect.quotes else ", quotes are characters"
        return told if self.encoding.startswith("utf-8") else f"{told}, {self.encoding}"


def has_columns(path: Path) -> bool:
    """Tell by a file's name that it is a table; what ends in .txt, or in nothing, may be lines."""
    return suffix_of(path) in (*_OF_SUFFIX, ".json")


def suffix_of(path: Path) -> str:
    """Return what a file's name ends in, in lower case, without that of a packed file."""
    name = path.name.lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    return Path(name).suffix


def tell_form(stream: Stream, path: Path, wanted: Sequence[str], written: Written) -> Form:
    """Return the form of a file by its name and its beginning.

    Parameters
    ----------
    stream : Stream
    path : Path
    wanted : sequence of str
        Columns that are asked for.
    written : Written

    Raises
    ------
    ValueError
        If its encoding cannot be told.
    """
    sample = stream.sample()
    suffix = suffix_of(path)
    if sample[:4] == b"PAR1":
        return Form("parquet")
    if suffix == ".xlsx":
        return Form("excel")
    encoding = written.encoding or tell_encoding(sample, path)
    text = sample.decode(encoding, "replace")
    if len(sample) >= SAMPLE_BYTES:
        text = text[: text.rfind("\n") + 1] or text
    kind = _OF_SUFFIX.get(suffix) or _kind(text)
    if kind != "delimited":
        return Form(kind, encoding)
    dialect = tell_dialect(text, suffix, wanted, delimiter=written.delimiter, quotes=written.quotes)
    return Form(kind, encoding, dialect)


def _kind(text: str) -> Kind:
    begin = text.lstrip()[:1]
    if begin == "[":
        return "json array"
    if begin == "{":
        return "json lines"
    lines = [line for line in io.StringIO(text, newline="\n") if line.strip()]
    if lines and sum(_TAGGED.match(line) is not None for line in lines) > len(lines) / 2:
        return "fasttext"
    return "delimited"
