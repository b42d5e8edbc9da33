"""What a saved model is, told from its record and the headers of its arrays alone."""

from __future__ import annotations

import math
import os
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightxml.arguments import ARGUMENTS, by_group
from lightxml.exceptions import BundleError
from lightxml.files.arrays import MAX_HEADER_BYTES, read_header, shape_of
from lightxml.files.bundle import RECORD
from lightxml.files.load import peek_bundle
from lightxml.predicting.measured import Measured
from lightxml.storage.reading import LABEL_TEXTS, RANKERS, WEIGHTS

_MARGIN = 12  # columns for the names at the left
_LONGEST = 200  # characters of anything that the record says

DEFAULTS: Mapping[str, Any] = {name: argument.default for name, argument in ARGUMENTS.items()}


def describe(path: str | os.PathLike[str], *, width: int = 80) -> str:
    """Return lines that say what a saved model is, without loading its arrays.

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
    names = [prefix + name for prefix in ("", "0/") for name in (WEIGHTS, RANKERS, LABEL_TEXTS)]
    record, beginnings = peek_bundle(path, names, 8 + MAX_HEADER_BYTES)
    try:
        rows = rows_of(record["manifest"], beginnings, record["format"])
    except BundleError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise BundleError(
            f"{RECORD}: its manifest does not describe a model ({_plain(error)}). "
            "Save the model again or fetch a fresh copy."
        ) from error
    size = sum(entry["size"] for entry in record["blobs"].values())
    size += (Path(path) / RECORD).stat().st_size
    rows["size"] = f"{_in_bytes(size)} in {len(record['blobs']) + 1} files"
    return "\n".join(_wrap(name, text, width) for name, text in rows.items())


def rows_of(
    manifest: dict[str, Any], blobs: Mapping[str, bytes], format_number: int
) -> dict[str, str]:
    """Return what `describe` says but for the size, by what it is about.

    Parameters
    ----------
    manifest : dict
        Of a classifier, or of an ensemble, of which the first member is described.
    blobs : mapping of str to bytes
        The model's, of which the beginnings are enough.
    format_number : int
    """
    members = manifest.get("members")
    one, prefix = (manifest, "") if members is None else (members[0], "0/")
    rows = _rows(one, format_number, _shapes_of(blobs, prefix, one))
    if members is not None:
        rows["model"] = (
            f"{_plain(manifest['estimator'])} of {len(members):,}, the first of them a"
            f" {rows['model']}:"
        )
    return rows


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
        "encoder": _encoder(network or manifest["encoder"], shapes),
        "features": _features(manifest),
    }
    if (panel := manifest["panel"]) is None:
        rows["rankers"] = "network, alone"
    else:
        rows["rankers"] = "; ".join(_ranker(each, shapes) for each in panel["rankers"])
        rows["final"] = _final(panel["final"], shapes)
    rows["threshold"] = _threshold(manifest)
    if (measured := manifest.get("measured")) is not None:
        rows["measured"] = _measured(Measured.from_json(measured))
    if manifest["has_label_texts"]:
        rows["label texts"] = f"{_length(shapes, 'lengths'):,}, kept as they were given"
    rows["labels"] = f"{_count(manifest['classes']['n_labels'])}{_head(network)}"
    rows["labels"] += f", given as {_plain(manifest['label_form'])}"
    if (reading := manifest.get("reading")) is not None:
        rows["table"] = ", ".join(f"{_plain(k)}={_argument(v)}" for k, v in reading.items())
    changed = {k: v for group in by_group(manifest["params"]).values() for k, v in group.items()}
    rows["arguments"] = ", ".join(f"{_plain(k)}={_argument(v)}" for k, v in changed.items())
    rows["arguments"] = rows["arguments"] or "all as by default"
    if manifest["history"]:
        last = manifest["history"][-1]
        rows["history"] = "last: " + ", ".join(f"{_plain(k)} {_number(v)}" for k, v in last.items())
    return rows


def _encoder(reader: dict[str, Any] | None, shapes: dict[str, list[int]]) -> str:
    """Say what reads texts: a network, or a frozen encoder alone."""
    if reader is None or reader["encoder"] is None:
        return "none"
    names = [name for name in shapes if name.startswith("encoder.")]
    numbers = [re.findall(r"\.(?:layers?|block)\.(\d{1,6})\.", name) for name in names]
    layers = [int(found[0]) for found in numbers if found]
    n_weights = sum(math.prod(shapes[name]) for name in names)
    text = (
        f"{_plain(reader['encoder']['model_type'])}, {max(layers, default=-1) + 1} layers,"
        f" {n_weights:,} weights"
    )
    if "n_feature_layers" not in reader:
        return f"{text}; frozen, for its vectors"
    return (
        f"{text}; {_count(reader['n_feature_layers'])} layers are read"
        f"{'; frozen' if reader.get('frozen') else ''}"
        f"{'; SE block' if reader['se_block'] else ''}"
    )


def _head(network: dict[str, Any] | None) -> str:
    head = None if network is None else network["head"]
    if head is None:
        return ""
    text = f", embedded in {_count(head['label_dim'])}" if "label_dim" in head else ""
    if head["kind"] == "clustered":
        text += (
            f", in {_count(head['n_clusters'])} clusters of which"
            f" {_count(head['n_candidate_clusters'])} are ranked"
        )
    return text


def _features(manifest: dict[str, Any]) -> str:
    vectorizer, network, panel = manifest["vectorizer"], manifest["network"], manifest["panel"]
    source = "numeric X" if vectorizer is None else _plain(vectorizer["kind"])
    embedded = None if network is None else network["features"]
    if embedded is not None:
        return (
            f"{_count(embedded['n_features'])} ({_plain(embedded['kind'])}), from {source},"
            f" embedded in {_count(embedded['width'])}"
        )
    for ranker in () if panel is None else panel["rankers"]:
        if "n_features" in ranker:
            return f"{_count(ranker['n_features'])}, from {source}"
    return "none"


def _ranker(described: dict[str, Any], shapes: dict[str, list[int]]) -> str:
    name = described["name"]
    match name:
        case "linear":
            return f"linear, {_length(shapes, 'linear.weights_columns'):,} weights"
        case "neighbors" | "vectors":
            return f"{name}, {_count(described['n_documents'])} training documents"
        case "label_texts":
            return f"label_texts, {_length(shapes, 'label_texts.owners'):,} texts"
    return _plain(name)


def _final(described: dict[str, Any], shapes: dict[str, list[int]]) -> str:
    match described["kind"]:
        case "trees":
            return f"{_length(shapes, 'final.starts') - 1:,} trees"
        case "logistic":
            return f"logistic regression, {_length(shapes, 'final.used'):,} columns"
        case "mean":
            return "mean of the probabilities"
    return f"a classifier of {_plain(described['kind'])}"


def _threshold(manifest: dict[str, Any]) -> str:
    threshold = manifest["threshold"]
    return "one for each label" if threshold is None else _number(threshold)


def _measured(measured: Measured) -> str:
    figures = ", ".join(f"P@{k} {value:.3f}" for k, value in measured.precision.items())
    return f"{figures} on {measured.n_documents:,} documents {measured.which}"


def _length(shapes: dict[str, list[int]], name: str) -> int:
    (length,) = shapes[name]
    return length


def _shapes_of(
    beginnings: Mapping[str, bytes], prefix: str, manifest: dict[str, Any]
) -> dict[str, list[int]]:
    """Return the shapes of a model's arrays, from the headers of the blobs that it must have."""
    is_there = {
        WEIGHTS: manifest["network"] is not None or manifest["encoder"] is not None,
        RANKERS: manifest["panel"] is not None,
        LABEL_TEXTS: bool(manifest["has_label_texts"]),
    }
    if not is_there[WEIGHTS] and not is_there[RANKERS]:
        raise ValueError("it has neither rankers nor a network")
    shapes = {}
    for name in (prefix + name for name, there in is_there.items() if there):
        if name not in beginnings:
            raise BundleError(f"{RECORD}: lists no {name}; this is no whole model.")
        header, _ = read_header(beginnings[name], name)
        for key, entry in header.items():
            if (shape := shape_of(entry)) is None:
                raise BundleError(f"{name}: its header gives {_plain(key)} no shape.")
            shapes[key] = shape
    return shapes


def _argument(value: Any) -> str:
    if isinstance(value, dict):  # a config given as encoder
        return f"config({_plain(value['config']['model_type'])})"
    return _plain(repr(tuple(value) if isinstance(value, list) else value))


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
