"""JSON from strangers, read strictly and within limits."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from lightxml.exceptions import BundleError

MAX_JSON_BYTES = 64 * 2**20
DAMAGED = "The file is damaged or was changed: save the model again or fetch a fresh copy."


def parse_json(
    data: bytes,
    *,
    name: str,
    max_bytes: int = MAX_JSON_BYTES,
    max_depth: int = 64,
    advice: str = DAMAGED,
) -> Any:
    """Parse JSON from a stranger: strictly, and with size and depth checked before parsing.

    Parameters
    ----------
    data : bytes
        UTF-8, without a byte order mark.
    name : str
        The file's name, for messages.
    max_bytes : int, default=64 MiB
        The longest document. Parsed, it can take 25 times as much memory.
    max_depth : int, default=64
        The deepest nesting of arrays and objects.
    advice : str
        What to do, at the end of messages; by default, about a saved model.

    Returns
    -------
    object
        ``dict``, ``list``, ``str``, ``int``, ``float``, ``bool`` or ``None``.

    Raises
    ------
    BundleError
        A limit is passed, the text is not JSON in UTF-8, a key comes twice, a number is NaN
        or infinite, or an integer takes more than 64 bits.
    """
    if len(data) > max_bytes:
        raise BundleError(
            f"{name}: holds {len(data)} bytes of JSON; at most {max_bytes} are read. {advice}"
        )
    if _is_deeper(data, max_depth):
        raise BundleError(f"{name}: is nested deeper than {max_depth} levels. {advice}")

    def refuse(what: str) -> BundleError:
        return BundleError(f"{name}: holds {what}. {advice}")

    def parse_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise refuse(f"the key {twice[:100]!r} twice")
        return result

    def parse_int(text: str) -> int:
        # The length first: the conversion of a long one is slow, or refused by Python itself.
        if len(text) > 20 or not -(2**63) <= (value := int(text)) < 2**64:
            raise refuse("an integer of more than 64 bits")
        return value

    def parse_float(text: str) -> float:
        if not math.isfinite(value := float(text)):
            raise refuse("a number beyond the range of floats")
        return value

    def parse_constant(text: str) -> Any:
        raise refuse(f"{text}, which is not JSON")

    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=parse_object,
            parse_int=parse_int,
            parse_float=parse_float,
            parse_constant=parse_constant,
        )
    except BundleError:
        raise
    except ValueError as error:  # UnicodeDecodeError, JSONDecodeError
        raise BundleError(f"{name}: is not JSON in UTF-8 ({error}). {advice}") from error


def _is_deeper(data: bytes, max_depth: int) -> bool:
    if data.count(b"[") + data.count(b"{") <= max_depth:
        return False
    depth = 0
    # A string is taken as one token, closed or not, so that each byte is looked at once.
    for token in re.finditer(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', data, re.DOTALL):
        first = data[token.start()]
        if first in b"[{":
            depth += 1
            if depth > max_depth:
                return True
        elif first in b"]}":
            depth -= 1
    return False
