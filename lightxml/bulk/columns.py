"""Predictions as columns beside those of a table, for engines that hand out tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

ADDED = ("predicted", "scores")  # as `lightxml predict` names them


def check_columns(columns: Iterable[str], text_column: str) -> None:
    """Refuse a table without the texts, or with what is to be added.

    Raises
    ------
    ValueError
    """
    there = list(columns)
    if text_column not in there:
        raise ValueError(
            f"text_column={text_column!r} is no column of the table; it has {there}. Pass one of"
            " these."
        )
    for name in ADDED:
        if name in there:
            raise ValueError(
                f"The table has a column {name!r} already, which the predictions get. Rename it."
            )


def predicted(model: Any, texts: Any, asked: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Return the labels of each text, and their scores; of no texts, none.

    Parameters
    ----------
    model : fitted LightXMLClassifier or LightXMLEnsemble
    texts : sized collection of str
    asked : dict
        Arguments of `predict_topk`.
    """
    if not len(texts):  # an engine's part of a table may be empty
        return [], []
    labels, scores = model.predict_topk(texts, return_scores=True, **asked)
    return labels.tolist(), scores.tolist()
