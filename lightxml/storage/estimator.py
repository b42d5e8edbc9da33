"""A fitted estimator as a bundle, and back: its arguments, labels, vectorizer and model."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from sklearn.base import clone

from lightxml.arguments import ARGUMENTS
from lightxml.datasets.tables.reading import reading_of
from lightxml.exceptions import BundleError, warn
from lightxml.files.arrays import decode_all, encode_arrays
from lightxml.files.bundle import RECORD, Bundle
from lightxml.predicting.fitted import FittedModel
from lightxml.rankers.stored import checked, count
from lightxml.storage import audited, rankers
from lightxml.storage.model import own_classifier, pack_model, unpack_model
from lightxml.storage.reading import (
    FINAL,
    blob_of,
    errors_of,
    joined,
    manifest_errors,
    split,
)
from lightxml.storage.vectorizers import check_vectorizer, pack_vectorizer, unpack_vectorizer
from lightxml.version import __version__

_CLASSES, _NAMES = "classes.safetensors", "feature_names.safetensors"
_LIBRARIES = ("torch", "transformers", "scikit-learn", "numpy")
# Of no meaning on another machine; and the fitted vectorizer gives `features` back.
_NOT_SAVED = {name for name, a in ARGUMENTS.items() if a.saved == "no"} | {"features"}
# A clusterer, an array of clusters, or a classifier: what was fitted stands for it.
_AS_FITTED = "as fitted"


def _installed() -> dict[str, str]:
    """Return the versions of the libraries that are there; models of words do without torch.

    As installed: to import them would take long where there is no network.
    """
    found = {}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name).split("+")[0]
    return found


def pack(
    estimator: str,
    params: dict[str, Any],
    fitted: FittedModel,
    reading: dict[str, Any] | None = None,
) -> Bundle:
    """Return a fitted estimator as a bundle that holds nothing but JSON and arrays.

    Parameters
    ----------
    estimator : str
        The class's name.
    params : dict
        The constructor's arguments.
    fitted : FittedModel
    reading : dict, or None
        The arguments of `lightxml.datasets.load_table` that read its table.

    Raises
    ------
    TypeError
        If `reading` has others, a label is neither an int nor a str, or the vectorizer, or a final
        ranker of the user's own, holds code.
    """
    model = pack_model(fitted)
    classes, of_classes = _pack_classes(fitted.classes)
    blobs = {**model.blobs, **of_classes}
    if fitted.feature_names is not None:
        blobs[_NAMES] = encode_arrays(joined(fitted.feature_names.tolist()))
    vectorizer = None
    if fitted.vectorizer is not None:
        vectorizer, more = pack_vectorizer(fitted.vectorizer)
        blobs |= more
    if fitted.panel is not None:
        blobs |= rankers.pack_final(fitted.panel)
    manifest = {
        "estimator": estimator,
        "versions": {
            "lightxml": __version__,
            **_installed(),
        },
        "params": params_to_json(params),
        "classes": classes,
        "vectorizer": vectorizer,
        **model.manifest,
    }
    if reading is not None:
        manifest["reading"] = reading_of(reading).as_arguments()
    return Bundle(manifest, blobs)


def warn_if_unsavable(params: dict[str, Any]) -> None:
    """Warn before a fit, not after, that its model could not be saved.

    Warns
    -----
    UserWarning
        If the vectorizer, or a final ranker of the user's own, holds code.
    """
    for name in ("features", "final_ranker"):
        value = params[name]
        if hasattr(value, "get_params") and not isinstance(value, type):
            try:
                if name == "features":
                    check_vectorizer(value)
                else:
                    audited.dump(value, name)
            except TypeError as error:
                warn(f"The model of this fit cannot be saved. {error}")


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
        _check_version(bundle.manifest)
        params = {k: _param_from_json(k, v) for k, v in bundle.manifest["params"].items()}
        classes = _unpack_classes(bundle)
        vectorizer = bundle.manifest.get("vectorizer")
        if vectorizer is not None:
            vectorizer = unpack_vectorizer(vectorizer, bundle.blobs)
            # As it was before `fit`: the fitted one is made of the same arguments.
            params["features"] = clone(vectorizer)
        names = None
        if _NAMES in bundle.blobs:
            names = np.array(_read_texts(bundle.blobs[_NAMES], _NAMES), dtype=object)
        classifier = rankers.unpack_final(bundle.blobs)
    fitted = unpack_model(bundle, classes, vectorizer, names, classifier)
    if params.get("label_clusters") == _AS_FITTED:
        params["label_clusters"] = fitted.label_clusters
    if params.get("final_ranker") == _AS_FITTED:
        own = own_classifier(fitted)
        params["final_ranker"] = None if own is None else _unfitted(own)
    return params, fitted


def unpack_reading(bundle: Bundle) -> dict[str, Any] | None:
    """Return how the table was read that a model was trained on; None where nothing is said.

    Raises
    ------
    BundleError
        If it has what `lightxml.datasets.load_table` does not take.
    """
    with manifest_errors():
        reading = bundle.manifest.get("reading")
        return None if reading is None else reading_of(dict(reading)).as_arguments()


def _unfitted(classifier: Any) -> Any:
    """Return a classifier from a file as it was before `fit`.

    Raises
    ------
    BundleError
    """
    try:
        return clone(classifier)
    except Exception as error:  # what comes of attributes that a file has set, or left out
        raise BundleError(f"{FINAL}: is damaged ({error}).") from error


def _param_to_json(name: str, value: Any) -> Any:
    if name in _NOT_SAVED:
        return None
    if name == "label_clusters" and not isinstance(value, (bool, np.bool_, str, type(None))):
        return _AS_FITTED
    if name == "final_ranker" and hasattr(value, "predict_proba"):
        return _AS_FITTED
    if name == "rankers" and isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, (str, os.PathLike)):
        return _without_place(name, value)
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if name == "device":  # torch's own object
        return str(value)
    if name == "encoder":
        from lightxml.network import encoders

        if isinstance(value, encoders.EncoderConfig):
            return {"config": encoders.config_to_dict(value)}
    warn(f"{name}={value!r} cannot be saved and is kept as None; the fitted model is whole.")
    return None


def _check_version(manifest: dict[str, Any]) -> None:
    """Say what to do of a model with an argument that only a later version has."""
    if unknown := manifest["params"].keys() - ARGUMENTS.keys():
        raise BundleError(
            f"{RECORD}: has the argument {min(unknown)[:100]!r}, which lightxml "
            f"{__version__} does not know; it was saved by lightxml "
            f"{str((manifest.get('versions') or {}).get('lightxml'))[:20]}. Upgrade lightxml."
        )


def _without_place(name: str, value: str | os.PathLike[str]) -> str:
    """Return a word or a path; of a path of this machine its end, which says enough elsewhere.

    An encoder's folder begins with ``./``, so that it is never taken for a name on the hub.
    """
    text = os.fspath(value)
    is_folder = os.path.isabs(text) or not isinstance(value, str) or os.path.isdir(text)
    if os.path.isabs(text):
        text = os.path.basename(text.rstrip("/\\"))
    if name != "encoder" or not is_folder or text.startswith("."):
        return text
    return f"./{text}"


def _param_from_json(name: str, value: Any) -> Any:
    if name == "rankers" and isinstance(value, list):
        return tuple(value)
    if isinstance(value, dict):
        from lightxml.network import encoders

        return encoders.config_from_dict(value["config"])
    if isinstance(value, list):
        raise ValueError(f"an argument is {value!r}")
    return value


def _pack_classes(classes: np.ndarray) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return what the manifest says of the labels, and their blob."""
    n_labels = len(classes)
    if classes.dtype.kind in "iu" and np.array_equal(classes, np.arange(n_labels)):
        return {"kind": "range", "n_labels": n_labels}, {}
    values = classes.tolist()
    kinds = {type(value) for value in values}
    for value in values:
        if type(value) not in (int, str) or len(kinds) > 1:
            raise TypeError(
                f"The label {value!r} is a {type(value).__name__}; only int and str labels, of one "
                "type, can be saved. Fit on such labels, or pickle the estimator."
            )
    kind = kinds.pop().__name__
    arrays = joined(values) if kind == "str" else {"values": np.array(values, dtype=np.int64)}
    return {"kind": kind, "n_labels": n_labels}, {_CLASSES: encode_arrays(arrays)}


def _unpack_classes(bundle: Bundle) -> np.ndarray:
    """Return the labels; of a range, before memory is spent, no more than there can be."""
    described = bundle.manifest["classes"]
    kind, n_labels = described["kind"], count(described, "n_labels", least=1)
    if kind == "range":
        # Each has 4 bytes in some blob, at the least.
        if n_labels > sum(len(blob) for blob in bundle.blobs.values()) // 4:
            raise ValueError(f"it has {n_labels} labels, and no room for what is known of them")
        return np.arange(n_labels)
    blob = blob_of(bundle, _CLASSES)
    if kind == "int":
        arrays = decode_all(blob, name=_CLASSES)
        with errors_of(_CLASSES):
            classes = checked(arrays, "values", np.int64, n_labels)
    elif kind == "str":
        texts = _read_texts(blob, _CLASSES)
        classes = np.empty(len(texts), dtype=object)
        classes[:] = texts
    else:
        raise ValueError(f"its labels are of an unknown kind, {str(kind)[:20]!r}")
    if len(classes) != n_labels or len(set(classes.tolist())) < n_labels:
        raise BundleError(f"{_CLASSES}: holds {len(classes)} labels, or one twice.")
    return classes


def _read_texts(blob: bytes, name: str) -> list[str]:
    arrays = decode_all(blob, name=name)
    with errors_of(name):
        lengths = checked(arrays, "lengths", np.int32)
        return split(checked(arrays, "bytes", np.uint8), lengths)
