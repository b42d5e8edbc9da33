"""Objects of scikit-learn's that are no plain data here: through skops, with its list of types."""

from __future__ import annotations

import io
import pickle
import zipfile
from typing import Any

from lightxml.exceptions import BundleError


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
        return skops.io.loads(data)
    except BundleError:
        raise
    except Exception as error:  # zipfile, json and skops raise what they meet
        raise BundleError(f"{name}: is damaged ({error}).") from error


def _shown(value: Any) -> str:
    return " ".join(repr(value).split())
