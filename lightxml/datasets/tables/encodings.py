"""Which encoding a file's first bytes are in, as far as that can be told."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

# The longer mark of two that begin alike comes first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HIGH = re.compile(rb"[\x80-\xff]+")
# Letters of Western Europe, typographic quotes and dashes, and signs such as that of the euro.
_WESTERN = re.compile(rb"[\xc0-\xd6\xd8-\xf6\xf8-\xff]|[\x80\x85\x91-\x97\xa0-\xbf]")


def tell_encoding(sample: bytes, path: Path) -> str:
    """Return the encoding of a file that begins so, by a name that `codecs` knows.

    A byte order mark tells; so do NUL bytes in every second place (UTF-16), and bytes that are
    valid UTF-8. What is left is taken for Windows-1252, which has all of Latin-1's letters, where
    single bytes of its letters stand among ASCII.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) > len(sample) / 8 and min(even, odd) < max(even, odd) / 8:
        return "utf-16-le" if odd > even else "utf-16-be"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(sample)  # a character that the sample cuts is waited for
    except UnicodeDecodeError as error:
        if not _is_western(sample):
            line = sample.count(b"\n", 0, error.start) + 1
            raise ValueError(
                f"{path}, line {line:,}: is not UTF-8 (byte 0x{sample[error.start]:02x}), nor in a"
                " Western encoding. Pass its own, such as encoding='gb18030', encoding='shift_jis'"
                " or encoding='cp1251'."
            ) from error
        return "cp1252"
    return "utf-8"


def _is_western(sample: bytes) -> bool:
    runs = _HIGH.findall(sample)
    high = sum(map(len, runs))
    short = sum(len(run) for run in runs if len(run) <= 2)
    return (
        short > 0.95 * high
        and len(_WESTERN.findall(sample)) > 0.95 * high
        and high < 0.2 * len(sample)
    )
