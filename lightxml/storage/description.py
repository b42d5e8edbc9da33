"""What a saved model is, told from its record and the header of its weights alone."""

from __future__ import annotations

import math
import os
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightxml.exceptions import BundleError
from lightxml.files.arrays import MAX_HEADER_BYTES, read_header
from lightxml.files.bundle import RECORD, peek_bundle
from lightxml.fitting.table import ARGUMENTS, by_group

_WEIGHTS = "weights.safetensors"
_MARGIN = 12  # columns for the names at the left
_LONGEST = 200  # characters of anything that the record says

DEFAULTS: Mapping[str, Any] = {name: argument.default for name, argument in ARGUMENTS.items()}


def describe(path: str | os.PathLike[str], *, width: int = 80) -> str:
    """Return lines that say what a saved model is, without loading its weights.

    The record is checked as a load checks it, and that every file is there in its size; the
    digests of the files are not.

    Parameters
    ----------
    path : str or path-like
        The folder that `LightXMLClassifier.save` wrote.
    width : int, default=80
        Columns of the terminal.

    Returns
    -------
    str
        Printable characters and line ends only, whatever the model says of itself.

    Raises
    ------
    BundleError
        The folder holds no whole model, or its record does not describe one.
    """
    weights = _WEIGHTS
    record, beginning = peek_bundle(path, weights, 8 + MAX_HEADER_BYTES)
    if not beginning:  # of an ensemble, perhaps
        weights = f"0/{_WEIGHTS}"
        record, beginning = peek_bundle(path, weights, 8 + MAX_HEADER_BYTES)
    if not beginning:
        raise BundleError(f"{RECORD}: lists no {_WEIGHTS}; this is no whole model.")
    shapes = _shapes(beginning)
    try:
        manifest = record["manifest"]
        members = manifest.get("members")
        rows = _rows(manifest if members is None else members[0], record["format"], shapes)
        if members is not None:
            rows["model"] = (
                f"{_plain(manifest['estimator'])} of {len(members):,}, the first of them a"
                f" {rows['model']}:"
            )
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise BundleError(
            f"{RECORD}: its manifest does not describe a model ({_plain(error)}). "
            "Save the model again or fetch a fresh copy."
        ) from error
    size = sum(entry["size"] for entry in record["blobs"].values())
    size += (Path(path) / RECORD).stat().st_size
    rows["size"] = f"{_in_bytes(size)} in {len(record['blobs']) + 1} files"
    return "\n".join(_wrap(name, text, width) for name, text in rows.items())


def _rows(
    manifest: dict[str, Any], format_number: int, shapes: dict[str, list[int]]
) -> dict[str, str]:
    network, versions = manifest["network"], dict(manifest.get("versions") or {})
    version = versions.pop("lightxml", "unknown")
    libraries = ", ".join(f"{_plain(name)} {_plain(number)}" for name, number in versions.items())
    rows = {
        "model": _plain(manifest["estimator"]),
        "format": f"{format_number}, saved by lightxml {_plain(version)}",
        "libraries": libraries or "unknown",
        "encoder": _encoder(network, shapes),
        "features": _features(network.get("features"), manifest.get("vectorizer")),
    }
    if (neighbours := network.get("neighbours")) is not None:
        rows["neighbours"] = (
            f"{_count(neighbours['n_documents'])} training documents, weight"
            f" {_number(neighbours['weight'])}"
        )
    if (linear := network.get("linear")) is not None:
        rows["linear"] = (
            f"a classifier for each label, {_count(linear['n_entries'])} weights, weight"
            f" {_number(linear['weight'])}"
        )
    rows["labels"] = _labels(network.get("head"), shapes)
    rows["labels"] += f", given as {_plain(manifest['label_form'])}"
    changed = {k: v for group in by_group(manifest["params"]).values() for k, v in group.items()}
    rows["arguments"] = ", ".join(f"{_plain(k)}={_argument(v)}" for k, v in changed.items())
    rows["arguments"] = rows["arguments"] or "all as by default"
    last = manifest["history"][-1] if manifest["history"] else {}
    rows["history"] = "last: " + ", ".join(f"{_plain(k)} {_number(v)}" for k, v in last.items())
    return rows


def _encoder(network: dict[str, Any], shapes: dict[str, list[int]]) -> str:
    if network["encoder"] is None:
        return "none"
    names = [name for name in shapes if name.startswith("encoder.")]
    layers = [int(n) for name in names for n in re.findall(r"\.layers?\.(\d{1,6})\.", name)]
    n_weights = sum(math.prod(shapes[name]) for name in names)
    return (
        f"{_plain(network['encoder']['model_type'])}, {max(layers, default=-1) + 1} layers,"
        f" {n_weights:,} weights; {_count(network['n_feature_layers'])} layers are read"
        f"{'; frozen' if network.get('frozen') else ''}"
        f"{'; SE block' if network['se_block'] else ''}"
    )


def _labels(head: dict[str, Any] | None, shapes: dict[str, list[int]]) -> str:
    clustered = head is not None and head["kind"] == "clustered"
    (n_labels,) = shapes["head.cluster_of" if clustered else "head.bias"]
    text = f"{n_labels:,}"
    if head is not None:
        text += f", embedded in {_count(head['label_dim'])}"
    if head is not None and clustered:
        text += (
            f", in {_count(head['n_clusters'])} clusters of which"
            f" {_count(head['n_candidate_clusters'])} are ranked"
        )
    return text


def _features(features: dict[str, Any] | None, vectorizer: dict[str, Any] | None) -> str:
    if features is None:
        return "none"
    source = "numeric X" if vectorizer is None else _plain(vectorizer["kind"])
    return (
        f"{_count(features['n_features'])} ({_plain(features['kind'])}), from {source}, embedded"
        f" in {_count(features['width'])}"
    )


def _shapes(beginning: bytes) -> dict[str, list[int]]:
    header, _ = read_header(beginning, _WEIGHTS)
    shapes = {}
    for name, entry in header.items():
        shape = entry.get("shape") if isinstance(entry, dict) else None
        if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
            raise BundleError(f"{_WEIGHTS}: its header gives {_plain(name)} no shape.")
        shapes[name] = shape
    return shapes


def _argument(value: Any) -> str:
    if isinstance(value, dict):  # a config given as encoder
        return f"config({_plain(value['config']['model_type'])})"
    return _plain(repr(value))


def _count(value: Any) -> str:
    if type(value) is not int:
        raise ValueError(f"{_plain(value)} is no count")
    return f"{value:,}"


def _number(value: Any) -> str:
    if type(value) not in (int, float):
        raise ValueError(f"{_plain(value)} is no number")
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}"


def _plain(value: Any) -> str:
    """Return text that does nothing to a terminal, on one line."""
    text = "".join(c if c.isprintable() else "?" for c in str(value)[:_LONGEST])
    return text if len(str(value)) <= _LONGEST else text + "..."


def _wrap(name: str, text: str, width: int) -> str:
    indent = " " * _MARGIN
    return textwrap.fill(text, width, initial_indent=f"{name:<{_MARGIN}}", subsequent_indent=indent)


def _in_bytes(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
