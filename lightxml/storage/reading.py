"""What all parts of a saved model are read with: errors that name a file, blobs, lists of texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from lightxml.exceptions import BundleError
from lightxml.files.bundle import RECORD, Bundle

WEIGHTS, RANKERS, FINAL = "weights.safetensors", "rankers.safetensors", "final.skops"
LABEL_TEXTS, THRESHOLDS = "label_texts.safetensors", "thresholds.safetensors"


@contextmanager
def manifest_errors() -> Iterator[None]:
    """Say of any error that the manifest describes no model.

    Raises
    ------
    BundleError
    """
    try:
        yield
    except BundleError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError,
            ImportError) as error:  # fmt: skip
        raise BundleError(
            f"{RECORD}: its manifest does not describe a model ({error}). "
            "Save the model again or fetch a fresh copy."
        ) from error


@contextmanager
def errors_of(name: str) -> Iterator[None]:
    """Say of any error in what a blob holds that it is the blob's.

    Raises
    ------
    BundleError
    """
    try:
        yield
    except BundleError:
        raise
    except (ValueError, TypeError, LookupError) as error:
        raise BundleError(
            f"{name}: does not hold what it should ({error}). "
            "Save the model again or fetch a fresh copy."
        ) from error


def blob_of(bundle: Bundle, name: str) -> bytes:
    """Return a blob that no such model is without.

    Raises
    ------
    BundleError
    """
    if name not in bundle.blobs:
        raise BundleError(f"{RECORD}: lists no {name}; this is no whole model.")
    return bundle.blobs[name]


def joined(texts: Sequence[str], *, errors: str = "surrogatepass") -> dict[str, np.ndarray]:
    """Return texts as their UTF-8 bytes, one after the other, and the lengths of these.

    Not as JSON, of which a load reads 64 MiB at most. By default lone surrogates are kept too.
    """
    encoded = [text.encode("utf-8", errors) for text in texts]
    return {
        "bytes": np.frombuffer(b"".join(encoded), dtype=np.uint8),
        "lengths": np.array([len(text) for text in encoded], dtype=np.int32),
    }


def split(
    joined_bytes: np.ndarray, lengths: np.ndarray, *, errors: str = "surrogatepass"
) -> list[str]:
    """Return the texts that `joined` joined.

    Raises
    ------
    ValueError
        If the lengths are not those of the bytes, or these are no UTF-8.
    """
    if (lengths < 0).any() or lengths.sum(dtype=np.int64) != len(joined_bytes):
        raise ValueError("its texts have other lengths than it says")
    data = joined_bytes.tobytes()
    ends = np.cumsum(lengths, dtype=np.int64).tolist()
    begins = [0, *ends[:-1]]
    return [data[a:b].decode("utf-8", errors) for a, b in zip(begins, ends, strict=True)]
