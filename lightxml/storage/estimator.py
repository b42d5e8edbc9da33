"""A fitted estimator as a bundle, and back: its arguments, labels, vectorizer and network."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import sklearn
import torch
from sklearn.base import clone

import lightxml
from lightxml.exceptions import BundleError, warn
from lightxml.files.bundle import RECORD, Bundle
from lightxml.files.strict_json import parse_json
from lightxml.fitting.table import ARGUMENTS
from lightxml.network import encoders
from lightxml.network.encoders import EncoderConfig
from lightxml.predicting.fitted import FittedModel
from lightxml.storage.network import (
    blob_of,
    manifest_errors,
    most_labels,
    pack_model,
    unpack_model,
)
from lightxml.storage.vectorizers import pack_vectorizer, unpack_vectorizer

_CLASSES, _NAMES = "classes.json", "feature_names.json"
# Of no meaning on another machine; and the fitted vectorizer gives `features` back.
_NOT_SAVED = {name for name, a in ARGUMENTS.items() if a.saved == "no"} | {"features"}
# A clusterer, or an array of clusters: the fitted clusters stand for it.
_AS_FITTED = "as fitted"


def pack(estimator: str, params: dict[str, Any], fitted: FittedModel) -> Bundle:
    """Return a fitted estimator as a bundle that holds nothing but JSON and arrays.

    Parameters
    ----------
    estimator : str
        The class's name.
    params : dict
        The constructor's arguments.
    fitted : FittedModel

    Raises
    ------
    TypeError
        If a label is neither an int nor a str, or the vectorizer holds code.
    """
    model = pack_model(fitted)
    blobs = {**model.blobs, _CLASSES: _classes_to_json(fitted.classes)}
    if fitted.feature_names is not None:
        blobs[_NAMES] = json.dumps(fitted.feature_names.tolist()).encode()
    vectorizer = None
    if fitted.vectorizer is not None:
        vectorizer, more = pack_vectorizer(fitted.vectorizer)
        blobs |= more
    manifest = {
        "estimator": estimator,
        "versions": {
            "lightxml": lightxml.__version__,
            "torch": torch.__version__.split("+")[0],
            "transformers": encoders.library_version(),
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
        },
        "params": params_to_json(params),
        "vectorizer": vectorizer,
        **model.manifest,
    }
    return Bundle(manifest, blobs)


def params_to_json(params: dict[str, Any]) -> dict[str, Any]:
    """Return a constructor's arguments as JSON can say them; with a warning, None for the rest."""
    return {name: _param_to_json(name, value) for name, value in params.items()}


def check_class(bundle: Bundle, expected: str) -> None:
    """Check the name of the class that a bundle holds.

    Raises
    ------
    BundleError
        If it is another.
    """
    found = bundle.manifest.get("estimator")
    if found != expected:
        raise BundleError(
            f"{RECORD}: holds a {str(found)[:100]}, not a {expected}; use lightxml.load."
        )


def unpack(bundle: Bundle) -> tuple[dict[str, Any], FittedModel]:
    """Return the arguments and the fitted parts; the network on the CPU.

    Raises
    ------
    BundleError
        If a part is missing, of a wrong kind, or does not fit the others.
    """
    with manifest_errors():
        params = {k: _param_from_json(v) for k, v in bundle.manifest["params"].items()}
        classes = _classes_from_json(blob_of(bundle, _CLASSES), most_labels(bundle))
        vectorizer = bundle.manifest.get("vectorizer")
        if vectorizer is not None:
            vectorizer = unpack_vectorizer(vectorizer, bundle.blobs)
            # As it was before `fit`: the fitted one is made of the same arguments.
            params["features"] = clone(vectorizer)
        names = None
        if _NAMES in bundle.blobs:
            names = _names_from_json(bundle.blobs[_NAMES])
    fitted = unpack_model(bundle, classes, vectorizer, names)
    if params.get("label_clusters") == _AS_FITTED:
        params["label_clusters"] = fitted.label_clusters
    return params, fitted


def _param_to_json(name: str, value: Any) -> Any:
    if name in _NOT_SAVED:
        return None
    if name == "label_clusters" and not isinstance(value, (bool, np.bool_, str, type(None))):
        return _AS_FITTED
    if isinstance(value, EncoderConfig):
        return {"config": encoders.config_to_dict(value)}
    if isinstance(value, (str, os.PathLike)):
        text = os.fspath(value)
        # A path of this machine says nothing elsewhere, and may say too much.
        return os.path.basename(text.rstrip("/\\")) if os.path.isabs(text) else text
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.device):
        return str(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    warn(f"{name}={value!r} cannot be saved and is kept as None; the fitted model is whole.")
    return None


def _param_from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return encoders.config_from_dict(value["config"])
    if isinstance(value, list):
        raise ValueError(f"an argument is {value!r}")
    return value


def _classes_to_json(classes: np.ndarray) -> bytes:
    if classes.dtype.kind in "iu" and np.array_equal(classes, np.arange(len(classes))):
        return json.dumps({"range": len(classes)}).encode()
    values = classes.tolist()
    for value in values:
        if type(value) not in (int, str):
            raise TypeError(
                f"The label {value!r} is a {type(value).__name__}; only int and str labels can "
                "be saved. Fit on such labels, or pickle the estimator."
            )
    return json.dumps({"dtype": classes.dtype.name, "values": values}).encode()


def _classes_from_json(blob: bytes, most: int) -> np.ndarray:
    """Read the labels, of which there can be at most `most`, before memory is spent on them."""
    record = parse_json(blob, name=_CLASSES)
    if not isinstance(record, dict):
        raise BundleError(f"{_CLASSES}: holds no labels.")
    n_labels, values = record.get("range"), record.get("values")
    if record.keys() == {"range"} and type(n_labels) is int and 0 < n_labels <= most:
        return np.arange(n_labels)
    if record.keys() != {"dtype", "values"} or not isinstance(values, list) or not values:
        raise BundleError(f"{_CLASSES}: holds no labels, or more than the weights have room for.")
    kinds = {type(value) for value in values}
    if not kinds <= {int, str} or len(set(values)) < len(values):
        raise BundleError(f"{_CLASSES}: holds labels that are neither int nor str, or one twice.")
    if record["dtype"] == "int64" and kinds == {int}:
        return np.array(values, dtype=np.int64)
    if record["dtype"] != "object":
        raise BundleError(f"{_CLASSES}: has labels of dtype {str(record['dtype'])[:20]!r}.")
    classes = np.empty(len(values), dtype=object)
    classes[:] = values
    return classes


def _names_from_json(blob: bytes) -> np.ndarray:
    names = parse_json(blob, name=_NAMES)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BundleError(f"{_NAMES}: is no list of names.")
    return np.array(names, dtype=object)
