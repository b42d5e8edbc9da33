"""Objects of scikit-learn's that are no plain data here: through skops, with its list of types."""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections.abc import Iterator
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

import numpy as np

from lightxml.exceptions import BundleError

_FEW = 16  # repeats that cost little, even where they stand in others


def advice(value: Any) -> str:
    """Return what to do with what cannot be saved: pickle it, if that is possible."""
    try:
        pickle.dumps(value)
    except Exception:  # pickle raises what it meets
        return (
            "It cannot be saved without code of yours, nor pickled. Use a function with a name, "
            "from a module that can be imported, in the place of a lambda or an inner function; "
            "then pickle the estimator."
        )
    return "It cannot be saved without code of yours; pickle the estimator instead."


# skops imports the whole of scikit-learn, which takes longer than a prediction: only where needed.
def dump(value: Any, argument: str) -> bytes:
    """Return an object as skops writes it.

    Parameters
    ----------
    value : Any
    argument : str
        Where it came from, for messages.

    Raises
    ------
    TypeError
        If it holds a type that skops does not trust: then only code could bring it back.
    """
    import skops.io

    try:
        data: bytes = skops.io.dumps(value)  # stored, not compressed
        untrusted = skops.io.get_untrusted_types(data=data)
    except Exception as error:  # skops raises what it meets
        raise TypeError(f"{argument}={_shown(value)}: {error} {advice(value)}") from error
    for part in _parts(value):
        try:
            check_reading(part)
        except ValueError as error:
            raise TypeError(f"{argument}={_shown(value)}: {error}. {advice(value)}") from error
    if untrusted:
        raise TypeError(f"{argument}={_shown(value)} holds {', '.join(untrusted)}. {advice(value)}")
    return data


def load(data: bytes, name: str) -> Any:
    """Return the object that `dump` wrote; no code of the file is run.

    Raises
    ------
    BundleError
        If the blob of that name is damaged, compressed, or asks for a type that is not trusted.
    """
    import skops.io

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > len(data):
                raise BundleError(f"{name}: is compressed, which no save of this package does.")
        if untrusted := skops.io.get_untrusted_types(data=data):
            raise BundleError(f"{name}: asks for {', '.join(untrusted)[:200]}, which is refused.")
        value = skops.io.loads(data)
        for part in _parts(value):
            check_reading(part)
        return value
    except BundleError:
        raise
    except Exception as error:  # zipfile, json and skops raise what they meet
        raise BundleError(f"{name}: is damaged ({error}).") from error


def check_reading(part: Any) -> None:
    """Refuse a vectorizer that would open files by the names that texts give it, or never end.

    Raises
    ------
    ValueError
    """
    reads = getattr(part, "input", "content")
    if reads != "content" and hasattr(part, "transform"):
        raise ValueError(f"it reads {reads!r}; expected 'content'")
    pattern = getattr(part, "token_pattern", None)
    if isinstance(pattern, str) and may_never_end(pattern):
        raise ValueError(
            f"its token_pattern {pattern!r:.200} repeats what repeats, which can take for ever on "
            "some texts; with possessive repeats (++, *+) it would not"
        )


def may_never_end(pattern: str) -> bool:
    """Tell whether a pattern repeats, without limit, what itself repeats without limit.

    Such a pattern can take a time that is exponential in the length of a text. Possessive repeats,
    which never go back, do not count.
    """
    try:
        return _is_nested(_parser.parse(pattern), repeated=False)
    except (re.error, RecursionError):
        return False  # the vectorizer refuses it in words of its own


def _is_nested(parsed: Any, *, repeated: bool) -> bool:
    for kind, argument in parsed:
        inside = repeated
        if kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
            is_long = argument[1] > _FEW
            if is_long and repeated:
                return True
            inside = repeated or is_long
        for part in argument if isinstance(argument, tuple) else (argument,):
            several = part if isinstance(part, list) else [part]
            for one in several:
                if isinstance(one, _parser.SubPattern) and _is_nested(one, repeated=inside):
                    return True
    return False


def _parts(value: Any) -> Iterator[Any]:
    """Yield an object and all that it holds: attributes, entries, and theirs."""
    waiting, seen = [value], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen or isinstance(part, (str, bytes, int, float, type(None))):
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, (list, tuple, set, frozenset)):
            waiting += part
        elif isinstance(part, np.ndarray):
            waiting += part.ravel().tolist() if part.dtype == object else []
        waiting += vars(part).values() if hasattr(part, "__dict__") else []


def _shown(value: Any) -> str:
    return " ".join(repr(value).split())
