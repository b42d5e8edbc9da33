"""The weights of documents, checked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lightxml.data.inputs import Inputs
from lightxml.data.labels import Labels


def check_sample_weight(
    sample_weight: Any, n_documents: int, *, name: str = "sample_weight"
) -> np.ndarray | None:
    """Return how much each document counts, float64 of shape (n_documents,); None for 1 each.

    Parameters
    ----------
    sample_weight : array-like of shape (n_documents,), number or None
        A number is the weight of each document.
    n_documents : int
    name : str
        The argument's name, for messages.

    Raises
    ------
    TypeError
        If it holds what is no number.
    ValueError
        If it has the wrong shape, a weight is below 0, NaN or infinite, or none is above 0.
    """
    if sample_weight is None:
        return None
    try:
        weights = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} holds what is no number; expected one a document.") from None
    if weights.ndim == 0:
        weights = np.full(n_documents, weights)
    if weights.shape != (n_documents,):
        raise ValueError(
            f"{name} has shape {weights.shape}; expected a number for each of the {n_documents} "
            "documents."
        )
    wrong = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if len(wrong):
        raise ValueError(
            f"{name}[{wrong[0]}] is {weights[wrong[0]]}; expected a finite number, 0 or above."
        )
    if n_documents and not weights.any():
        raise ValueError(f"{name} is 0 for every document; expected one above 0.")
    return weights


def without_weightless(
    inputs: Inputs, labels: Labels, weights: np.ndarray | None, *, n_known: int = 0
) -> tuple[Inputs, Labels, np.ndarray | None]:
    """Leave the documents of weight 0 out, as if they had not been given.

    Parameters
    ----------
    inputs : Inputs
    labels : Labels
    weights : ndarray of float64, shape (n_documents,), or None
    n_known : int
        The first classes, which stay. Others that only a document of weight 0 has go with it;
        columns of an indicator matrix stay.

    Returns
    -------
    inputs : Inputs
    labels : Labels
    weights : ndarray of float64, shape (n_left,), or None
        None where each is 1.
    """
    if weights is None or (weights == 1).all():
        return inputs, labels, None
    rows = np.flatnonzero(weights)
    if len(rows) < len(weights):
        inputs, matrix, weights = inputs.only(rows), labels.matrix[rows], weights[rows]
        classes = labels.classes
        if labels.form == "collections":
            is_left = np.bincount(matrix.indices, minlength=len(classes)) > 0
            is_left[:n_known] = True
            matrix, classes = matrix[:, np.flatnonzero(is_left)], classes[is_left]
        labels = replace(labels, matrix=matrix, classes=classes)
    return inputs, labels, None if (weights == 1).all() else weights
