"""By what a fit is known: its arguments and data, as far as they decide what it learns."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, TypeAlias

import joblib
import numpy as np
import scipy.sparse as sp
from sklearn.base import clone

from lightxml.arguments import ARGUMENTS
from lightxml.data.labels import Labels
from lightxml.data.matrices import FeatureMatrix

TextsOrRows: TypeAlias = tuple[tuple[str, ...], ...] | sp.csr_array | None

# Where and how noisily a fit runs, what it keeps on disk; the random state is told as a seed.
_LEFT_OUT = {name for name, argument in ARGUMENTS.items() if not argument.changes_result}
# A fit that goes on is told by the weights that it goes on from: without, it is any other fit.
_LEFT_OUT |= {"random_state", "warm_start"}
# Chosen at the end, of what no checkpoint holds: with another, a fit goes on all the same.
_CHOSEN_LAST = {"threshold"}


def fingerprint(
    params: dict[str, Any],
    seed: int | None,
    X: list[str] | FeatureMatrix,
    labels: Labels,
    validation: tuple[list[str] | FeatureMatrix, sp.csr_array] | None,
    label_texts: TextsOrRows = None,
    sample_weight: np.ndarray | None = None,
    start: str | None = None,
) -> str:
    """Return the name of a fit: the same for the same arguments and data, 32 hex digits.

    Parameters
    ----------
    params : dict
        The arguments of `LightXMLClassifier`, by name. Of a local encoder's folder, the files'
        contents count.
    seed : int or None
        None if every fit draws its own.
    X : list of str, or csr_array or ndarray of float32
        In canonical form, as are the labels.
    labels : Labels
    validation : documents and labels in the same forms, or None
    label_texts : tuple of tuples of str, csr_array or None
    sample_weight : ndarray of float64, shape (n_documents,), or None
    start : str or None
        What tells the weights that a network goes on from; None: it begins anew.

    Raises
    ------
    TypeError
        If an argument, such as a vectorizer with a lambda, has no content that can be told.
    """
    told = {name: value for name, value in params.items() if name not in _LEFT_OUT | _CHOSEN_LAST}
    told["encoder"] = _encoder(params["encoder"])
    for name in ("features", "label_clusters"):  # as they are before they are fitted
        if hasattr(told[name], "get_params"):
            told[name] = clone(told[name])
    try:
        arguments = joblib.hash((told, seed)) + (start or "")
    except Exception as error:  # whatever pickle raises for what it cannot take
        raise TypeError(
            "checkpoint_dir needs arguments whose content can be told, so that a fit finds its own "
            f"checkpoints again, and one of these cannot be pickled ({error}). Use a named "
            "function in place of a lambda in features."
        ) from error
    return _with_data(arguments, X, labels, validation, label_texts, sample_weight)


def common_ground(
    params: dict[str, Any],
    X: list[str] | FeatureMatrix,
    labels: Labels,
    validation: tuple[list[str] | FeatureMatrix, sp.csr_array] | None,
    label_texts: TextsOrRows = None,
    sample_weight: np.ndarray | None = None,
) -> dict[str, Any]:
    """Return what the processes of one training must all be given alike, by name.

    The encoder is left out: a folder may have another path on another machine.

    Parameters
    ----------
    params, X, labels, validation, label_texts, sample_weight : as `fingerprint` takes them
    """
    plain = {
        name: value
        for name, value in params.items()
        if name not in _LEFT_OUT | {"encoder"}
        and isinstance(value, (bool, int, float, str, type(None)))
    }
    return {
        **plain,
        "checkpoint_dir is None": params["checkpoint_dir"] is None,
        "X_val is None": validation is None,
        "the shape of y": labels.matrix.shape,
        "the content of X, y, X_val, y_val, label_texts and sample_weight": _with_data(
            "", X, labels, validation, label_texts, sample_weight
        ),
    }


def _with_data(
    arguments: str,
    X: list[str] | FeatureMatrix,
    labels: Labels,
    validation: tuple[list[str] | FeatureMatrix, sp.csr_array] | None,
    label_texts: TextsOrRows,
    sample_weight: np.ndarray | None,
) -> str:
    digest = hashlib.sha256(arguments.encode())
    _add_documents(digest, X)
    _add_labels(digest, labels.matrix)
    digest.update(repr(labels.classes.tolist()).encode())
    if validation is not None:
        _add_documents(digest, validation[0])
        _add_labels(digest, validation[1])
    if label_texts is not None:
        _add_label_texts(digest, label_texts)
    if sample_weight is not None:
        digest.update(b"sample_weight")
        digest.update(sample_weight.data)
    return digest.hexdigest()[:32]


def _encoder(encoder: Any) -> Any:
    if encoder is None:
        return None
    if not isinstance(encoder, (str, os.PathLike)):
        from lightxml.network.encoders import config_to_dict

        return config_to_dict(encoder)
    if not os.path.isdir(encoder):
        return encoder
    folder, contents = Path(encoder), {}
    # Its vectors depend on the files of steps behind the model too, such as 1_Pooling/config.json.
    for file in sorted([*folder.glob("*"), *folder.glob("*/config.json")]):
        if file.is_file():
            with file.open("rb") as stream:
                name = file.relative_to(folder).as_posix()
                contents[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return contents


def _add_documents(digest: Any, X: list[str] | FeatureMatrix) -> None:
    if isinstance(X, list):
        for text in X:
            data = text.encode()
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
    else:
        digest.update(repr((type(X).__name__, X.shape)).encode())
        parts = (X.indptr, X.indices, X.data) if isinstance(X, sp.sparray) else (X,)
        for part in parts:
            digest.update(np.ascontiguousarray(part).view(np.uint8).data)


def _add_labels(digest: Any, y: sp.csr_array) -> None:
    digest.update(repr(y.shape).encode())
    for part in (y.indptr, y.indices):
        digest.update(part.astype(np.int64).data)


def _add_label_texts(digest: Any, label_texts: Any) -> None:
    if sp.issparse(label_texts):
        _add_documents(digest, label_texts)
        return
    for texts in label_texts:
        digest.update(len(texts).to_bytes(8, "little"))
        _add_documents(digest, list(texts))
