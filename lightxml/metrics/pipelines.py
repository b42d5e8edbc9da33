"""A Pipeline's last step: it ranks labels, and the Pipeline has no `predict_topk` of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def last_step(estimator: Any) -> Any:
    """Return a Pipeline's last step, or the estimator itself."""
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def before_last_step(estimator: Any, X: Any) -> Any:
    """Return what the last step reads of `X`."""
    several = isinstance(estimator, Pipeline) and len(estimator) > 1
    return estimator[:-1].transform(X) if several else X


def rank_labels(estimator: Any, X: Any, k: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return a fitted estimator's k best labels of each document, and its classes.

    Without k they are 10 labels, or all if there are fewer.

    Raises
    ------
    TypeError
        If the last step has no `predict_topk`.
    """
    model, k = _ranking_step(estimator, k, 10)
    return model.predict_topk(before_last_step(estimator, X), k=k), model.classes_


def score_labels(
    estimator: Any, X: Any, k: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the k best labels of each document, their probabilities, and the classes.

    As `rank_labels`; without k they are 5 labels.
    """
    model, k = _ranking_step(estimator, k, 5)
    before = before_last_step(estimator, X)
    topk, scores = model.predict_topk(before, k=k, return_scores=True)
    return topk, scores, model.classes_


def _ranking_step(estimator: Any, k: int | None, default: int) -> tuple[Any, int]:
    """Return the last step, and how many labels it is to rank."""
    model = last_step(estimator)
    if not hasattr(model, "predict_topk"):
        raise TypeError(
            f"estimator is a {type(model).__name__}, which has no predict_topk; expected a fitted "
            "LightXMLClassifier or LightXMLEnsemble, or a Pipeline that ends in one."
        )
    if k is None:
        check_is_fitted(model)
        k = min(default, len(model.classes_))
    return model, k
