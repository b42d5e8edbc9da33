"""Fitted vectorizers as plain data: arguments, vocabulary and idf; anything else through skops."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer

from lightxml.arguments import fits_int64
from lightxml.data.vocabulary import fitted_vectorizer
from lightxml.exceptions import BundleError
from lightxml.fields import FieldsVectorizer
from lightxml.files.arrays import decode_arrays, encode_arrays
from lightxml.storage import audited
from lightxml.storage.reading import errors_of, joined, split

_KINDS = {kind.__name__: kind for kind in (TfidfVectorizer, CountVectorizer, HashingVectorizer)}
_FIELDS = FieldsVectorizer.__name__
_MOST_FIELDS = 1_000
_WORDS, _SKOPS = "vectorizer.safetensors", "vectorizer.skops"
_DTYPES = {np.dtype(t).name: t for t in (np.float64, np.float32, np.int64, np.int32)}


def pack_vectorizer(vectorizer: Any) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return what the manifest says of a fitted vectorizer, and its blobs.

    Parameters
    ----------
    vectorizer : fitted transformer
        `TfidfVectorizer`, `CountVectorizer` and `HashingVectorizer` are kept as their arguments,
        vocabulary and idf, those of a `FieldsVectorizer` too; a subclass, or any other, by skops.

    Raises
    ------
    TypeError
        If it holds anything that only code can bring back, such as a tokenizer function.
    """
    if type(vectorizer) is FieldsVectorizer:
        return _pack_fields(vectorizer)
    if type(vectorizer) not in _KINDS.values():
        return {"kind": "skops"}, {_SKOPS: audited.dump(vectorizer, "features")}
    manifest = {
        "kind": type(vectorizer).__name__,
        "params": _params_to_json(vectorizer),
        "has_vocabulary": vectorizer.get_params().get("vocabulary") is not None,
    }
    if isinstance(vectorizer, HashingVectorizer):
        return manifest, {}
    terms = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
    arrays = joined(terms)
    arrays["terms"] = arrays.pop("bytes")
    if isinstance(vectorizer, TfidfVectorizer) and vectorizer.use_idf:
        arrays["idf"] = np.asarray(vectorizer.idf_, dtype=np.float64)
    return manifest | {"sizes": _sizes(arrays)}, {_WORDS: encode_arrays(arrays)}


def check_vectorizer(vectorizer: Any) -> None:
    """Check what can be told before a fit: that no argument is code.

    Raises
    ------
    TypeError
        As `pack_vectorizer`.
    """
    if type(vectorizer) is FieldsVectorizer:
        check_vectorizer(vectorizer.vectorizer)
    elif type(vectorizer) in _KINDS.values():
        _params_to_json(vectorizer)
    else:
        audited.dump(vectorizer, "features")


def unpack_vectorizer(manifest: dict[str, Any], blobs: dict[str, bytes]) -> Any:
    """Return the fitted vectorizer that `pack_vectorizer` described; no code of a file is run.

    Raises
    ------
    BundleError
        If a blob is missing, damaged, or asks for a type that is not known to be safe.
    ValueError, TypeError, KeyError
        If the manifest is no description of a vectorizer.
    """
    kind = manifest["kind"]
    if kind == _FIELDS:
        return _unpack_fields(manifest, blobs)
    blob = blobs.get(_SKOPS if kind == "skops" else _WORDS)
    if blob is None and kind != HashingVectorizer.__name__:
        raise ValueError(f"the blob of the vectorizer ({kind!r}) is missing")
    if kind == "skops":
        return _from_skops(blob or b"")
    params = {name: _param_from_json(name, v) for name, v in manifest["params"].items()}
    unfitted = _KINDS[kind](**params)
    audited.check_reading(unfitted)
    _params_to_json(unfitted)  # what could not be saved again was never saved
    if kind == HashingVectorizer.__name__:
        vectorizer = HashingVectorizer(**params)
        vectorizer.transform(["a"])  # which checks the arguments
        return vectorizer
    arrays = _read_words(manifest["sizes"], blob or b"")
    with errors_of(_WORDS):
        terms = split(arrays["terms"], arrays["lengths"])
    idf = arrays["idf"] if isinstance(unfitted, TfidfVectorizer) and unfitted.use_idf else None
    given = {"vocabulary": terms} if manifest["has_vocabulary"] else {}
    return fitted_vectorizer(_KINDS[kind], {**params, **given}, terms, idf)


def _pack_fields(vectorizer: FieldsVectorizer) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return each field's vectorizer as `pack_vectorizer` does, its blob named by its number."""
    manifests: list[dict[str, Any] | None] = []
    blobs: dict[str, bytes] = {}
    for number, part in enumerate(vectorizer.vectorizers_):
        if part is None:
            manifests.append(None)
            continue
        manifest, of_part = pack_vectorizer(part)
        manifests.append(manifest)
        blobs |= {_of_field(name, number): blob for name, blob in of_part.items()}
    return {"kind": _FIELDS, "fields": manifests}, blobs


def _unpack_fields(manifest: dict[str, Any], blobs: dict[str, bytes]) -> FieldsVectorizer:
    described = manifest["fields"]
    if not 0 < len(described) <= _MOST_FIELDS or not any(described):
        raise ValueError(f"its vectorizer has {len(described)} fields")
    parts: list[Any] = []
    for number, part in enumerate(described):
        if part is None:
            parts.append(None)
            continue
        if part["kind"] == _FIELDS:
            raise ValueError("a field of its vectorizer has fields")
        own = {name: blobs[_of_field(name, number)]
               for name in (_WORDS, _SKOPS) if _of_field(name, number) in blobs}  # fmt: skip
        parts.append(unpack_vectorizer(part, own))
    vectorizer = FieldsVectorizer(clone(next(part for part in parts if part is not None)))
    vectorizer.vectorizers_ = parts
    return vectorizer


def _of_field(name: str, number: int) -> str:
    return name.replace("vectorizer", f"vectorizer_{number}")


def _params_to_json(vectorizer: Any) -> dict[str, Any]:
    params = vectorizer.get_params()
    return {name: _param_to_json(name, v) for name, v in params.items() if name != "vocabulary"}


def _sizes(arrays: dict[str, np.ndarray]) -> dict[str, int]:
    return {name: len(array) for name, array in arrays.items()}


def _read_words(sizes: dict[str, int], blob: bytes) -> dict[str, np.ndarray]:
    dtypes = {"terms": "uint8", "lengths": "int32", "idf": "float64"}
    expected = {name: (dtypes[name], (int(size),)) for name, size in sizes.items()}
    return decode_arrays(blob, expected, name=_WORDS)


def _param_to_json(name: str, value: Any) -> Any:
    if name == "input" and value != "content":
        pass  # it would read files, which a loaded model never does
    elif name == "token_pattern" and isinstance(value, str) and audited.may_never_end(value):
        pass
    elif name == "dtype":
        dtype = np.dtype(value).name
        if dtype in _DTYPES:
            return dtype
    elif name == "stop_words" and isinstance(value, Iterable) and not isinstance(value, str):
        words = list(map(str, value))
        return words if isinstance(value, (list, tuple)) else sorted(words)  # of a set
    elif name == "ngram_range":
        # With a float scikit-learn fails too, but only on a text that is long enough.
        if not all(isinstance(n, Integral) and fits_int64(n) for n in value):
            raise TypeError(
                f"features has ngram_range={value!r}; expected two ints that int64 can hold."
            )
        return [int(n) for n in value]
    elif isinstance(value, Integral) and not fits_int64(value):
        raise TypeError(f"features has {name}={value!r}; expected an int that int64 can hold.")
    elif isinstance(value, np.generic):
        return value.item()
    elif value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"features has {name}={value!r}. {audited.advice(value)}")


def _param_from_json(name: str, value: Any) -> Any:
    if name == "dtype":
        return _DTYPES[value]
    return tuple(value) if name == "ngram_range" else value


def _from_skops(data: bytes) -> Any:
    vectorizer = audited.load(data, _SKOPS)
    try:
        vectorizer.get_params()
    except Exception as error:  # what comes of attributes that a file has set
        raise BundleError(f"{_SKOPS}: is damaged ({error}).") from error
    if not hasattr(vectorizer, "transform"):
        raise BundleError(f"{_SKOPS}: holds no vectorizer.")
    return vectorizer
