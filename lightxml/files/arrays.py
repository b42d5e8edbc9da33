"""Arrays as safetensors bytes, and back with every claim of the header checked first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.numpy

from lightxml.exceptions import BundleError
from lightxml.files.strict_json import DAMAGED, parse_json

MAX_HEADER_BYTES = 4 * 2**20  # of a safetensors blob: some 30,000 arrays
_DTYPES = {  # safetensors' names and numpy's
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}


def encode_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Write arrays in the safetensors format; equal arrays give equal bytes in any order.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Floats of 16, 32 or 64 bits, all finite, integers of 8 to 64 bits, or bool; any
        shape, strides and byte order. (bfloat16 is not numpy's: pass its bits as uint16.)

    Returns
    -------
    bytes

    Raises
    ------
    TypeError
        A dtype that the format does not have.
    ValueError
        A NaN or an infinity.
    """
    plain = {}
    for key, array in arrays.items():
        if array.dtype.name not in _DTYPES.values():
            raise TypeError(
                f"arrays[{key!r}] has dtype {array.dtype}; expected one of "
                f"{', '.join(sorted(_DTYPES.values()))}. Convert it first."
            )
        if not _is_finite(array):
            raise ValueError(
                f"arrays[{key!r}] holds NaN or infinite values; a file with them would not load."
            )
        plain[key] = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    return safetensors.numpy.save(plain)


def decode_arrays(
    data: bytes, expected: Mapping[str, tuple[str, tuple[int, ...]]], *, name: str
) -> dict[str, np.ndarray]:
    """Read arrays from the safetensors format; the header is checked before an array is made.

    Parameters
    ----------
    data : bytes
        What `encode_arrays` gave.
    expected : mapping of str to (str, tuple of int)
        The numpy dtype name and the shape of each array; exactly these must be there.
    name : str
        The blob's name, for messages.

    Returns
    -------
    dict of str to ndarray
        In the order of `expected`; writable. Of a ``bytearray`` they are parts, not copies.

    Raises
    ------
    BundleError
        Names, dtypes, shapes or extents are not the expected ones, a float is NaN or
        infinite, or a bool is neither 0 nor 1.
    """
    header, start = read_header(data, name)
    if unlike := header.keys() ^ expected.keys():
        key = min(unlike)
        found = "an unexpected array" if key in header else "no array"
        raise BundleError(f"{name}: holds {found} {key[:100]!r}. {DAMAGED}")
    spans = []
    for key, (dtype, shape) in expected.items():
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if (flaw := _header_flaw(header[key], dtype, shape, size)) is not None:
            raise BundleError(f"{name}: array {key!r} has {flaw}. {DAMAGED}")
        spans.append((*header[key]["data_offsets"], key))
    position = 0
    for begin, end, key in sorted(spans):
        if begin != position:
            raise BundleError(f"{name}: array {key!r} overlaps another or leaves a hole. {DAMAGED}")
        position = end
    if start + position != len(data):
        raise BundleError(
            f"{name}: holds {len(data)} bytes; its arrays end at {start + position}. {DAMAGED}"
        )
    arrays = {}
    for key, (dtype, shape) in expected.items():
        stored = np.dtype(dtype).newbyteorder("<")
        offset = start + header[key]["data_offsets"][0]
        flat = np.frombuffer(data, stored, count=math.prod(shape), offset=offset)
        if flat.dtype == bool and flat.view(np.uint8).max(initial=0) > 1:
            raise BundleError(f"{name}: array {key!r} holds a bool that is not 0 or 1. {DAMAGED}")
        if not _is_finite(flat):
            raise BundleError(f"{name}: array {key!r} holds NaN or infinite values. {DAMAGED}")
        is_own = flat.flags.writeable and flat.flags.aligned
        arrays[key] = flat.reshape(shape).astype(dtype, copy=not is_own)
    return arrays


def decode_all(data: bytes, *, name: str) -> dict[str, np.ndarray]:
    """Read all arrays there are; what they should be is for the caller to check.

    Parameters
    ----------
    data, name
        As `decode_arrays` takes them.

    Returns
    -------
    dict of str to ndarray
        Together no larger than `data`.

    Raises
    ------
    BundleError
        As `decode_arrays`, but for names, dtypes and shapes.
    """
    header, _ = read_header(data, name)
    expected = {}
    for key, entry in header.items():
        dtype = _DTYPES.get(str(entry.get("dtype"))) if isinstance(entry, dict) else None
        shape = shape_of(entry)
        too_large = shape is None or len(shape) > 8 or math.prod(filter(None, shape)) > len(data)
        if dtype is None or shape is None or too_large:
            raise BundleError(f"{name}: array {key[:100]!r} has no dtype or no shape. {DAMAGED}")
        expected[key] = dtype, tuple(shape)
    return decode_arrays(data, expected, name=name)


def shape_of(entry: Any) -> list[int] | None:
    """Return the shape that a header gives an array; None where it gives none."""
    shape = entry.get("shape") if isinstance(entry, dict) else None
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        return None
    return shape


def read_header(data: bytes, name: str) -> tuple[dict[str, Any], int]:
    """Return the header of a safetensors blob, and where the arrays start; the latter not needed.

    Raises
    ------
    BundleError
        The header is longer than the blob or 4 MiB, or no JSON object.
    """
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(len(data) - 8, MAX_HEADER_BYTES):
        raise BundleError(
            f"{name}: says that its header has {length} bytes; the file has {len(data)}, and "
            f"at most {MAX_HEADER_BYTES} are read. {DAMAGED}"
        )
    header = parse_json(data[8 : 8 + length], name=name, max_bytes=MAX_HEADER_BYTES)
    if not isinstance(header, dict):
        raise BundleError(f"{name}: its header is not a JSON object. {DAMAGED}")
    return header, 8 + length


def _header_flaw(entry: Any, dtype: str, shape: tuple[int, ...], size: int) -> str | None:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        return "no dtype, shape and data_offsets in the header"
    if _DTYPES.get(str(entry["dtype"])) != dtype or entry["shape"] != list(shape):
        found = f"{str(entry['dtype'])[:20]} of shape {str(entry['shape'])[:100]}"
        return f"the dtype and shape {found}; expected {dtype} of shape {list(shape)}"
    match entry["data_offsets"]:
        case [int(begin), int(end)] if begin >= 0 and end - begin == size:
            return None
    return f"the data_offsets {str(entry['data_offsets'])[:100]}; expected {size} bytes"


def _is_finite(array: np.ndarray) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())
