"""What ``evaluate`` and ``train --test-size`` measure, and the tables that show it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lightxml.runtime.terminal import peak_memory

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse import csr_array

# Of which those that reach the threshold are given: more than 100 labels a document do not.
_N_RANKED = 100


@dataclass(frozen=True)
class Figures:
    """What was measured on documents.

    Attributes
    ----------
    ranking : dict of str to float
        P, nDCG, R and, with propensities, PSP and PSnDCG at 1, 3 and 5.
    others : dict of str to dict
        P of what bounds the model, above and, where the training part is known, below.
    decided : dict of str to float
        What the threshold makes of it.
    ranked : ndarray of shape (n_documents, at most 100)
        Labels, best first.
    n_documents : int
    seconds : float
        Of the prediction.
    """

    ranking: dict[str, float]
    others: dict[str, dict[str, float]]
    decided: dict[str, float]
    ranked: np.ndarray
    n_documents: int
    seconds: float


def measured(
    estimator: Any,
    X: Any,
    y_true: csr_array,
    *,
    y_train: csr_array | None = None,
    propensity: tuple[float, float] | None = None,
) -> Figures:
    """Measure a model.

    Parameters
    ----------
    estimator : LightXMLClassifier or LightXMLEnsemble
    X : documents or matrix
    y_true : csr_array of shape (n_documents, n_labels)
        In the columns of `classes_`.
    y_train : csr_array of shape (n_training_documents, n_labels), or None
        For the row of the most frequent labels, and for propensities.
    propensity : tuple of two float, or None
        A and B of the propensity model; None leaves PSP out.
    """
    from lightxml.metrics.measures import precision_at_k, propensities
    from lightxml.metrics.tables import (
        decision_metrics,
        frequency_ranking,
        most_possible,
        rank_metrics,
    )

    began = time.monotonic()
    n_ranked = min(_N_RANKED, len(estimator.classes_))
    ranked, scores = estimator.predict_topk(X, n_ranked, return_scores=True)
    seconds = time.monotonic() - began
    weights = None
    if propensity is not None:
        weights = propensities(y_train, a=propensity[0], b=propensity[1])
    columns = _columns_of(ranked, estimator.classes_)
    ranking = rank_metrics(y_true, columns, weights)
    cuts = {name: int(name[2:]) for name in ranking if name.startswith("P@")}
    others = {"most_possible": {name: most_possible(y_true, k) for name, k in cuts.items()}}
    if y_train is not None:
        frequent = frequency_ranking(y_train, y_true.shape[0], max(cuts.values()))
        others["most_frequent"] = {
            name: precision_at_k(y_true, frequent, k) for name, k in cuts.items()
        }
    decided = decision_metrics(y_true, columns, scores, estimator.threshold_)
    return Figures(ranking, others, decided, ranked, y_true.shape[0], seconds)


def as_json(figures: Figures) -> dict[str, float]:
    """Return all figures in one dict."""
    more = {f"{name}_{cut}": p for name, row in figures.others.items() for cut, p in row.items()}
    return {**figures.ranking, **figures.decided, **more}


def as_text(figures: Figures, estimator: Any) -> str:
    """Return tables for a terminal, and how long it took."""
    return (
        f"{_table(figures)}\n\n{_decisions(figures.decided, estimator)}\n\n"
        f"Predicted in {figures.seconds:,.1f} s"
        f" ({figures.n_documents / figures.seconds:,.0f} documents/s), {peak_memory()}."
    )


def _columns_of(ranked: np.ndarray, classes: np.ndarray) -> np.ndarray:
    import numpy as np

    column_of = {label: column for column, label in enumerate(classes.tolist())}
    found = [column_of[label] for label in ranked.ravel().tolist()]
    return np.array(found, dtype=np.int64).reshape(ranked.shape)


def _decisions(decided: dict[str, float], estimator: Any) -> str:
    from lightxml.metrics.tables import format_table

    threshold, n_best = estimator.threshold_, min(5, len(estimator.classes_))
    told = f"of {threshold:.3g}" if isinstance(threshold, float) else "of each label"
    averages = ("micro", "macro", "samples")
    table = format_table({"F1": {name: decided[f"{name}_f1"] for name in averages}})
    return (
        f"{table}\n\n"
        f"Labels a document at the threshold {told}: {decided['labels_given']:.2f} given, "
        f"{decided['labels_true']:.2f} true.\n"
        f"Documents without a label: {decided['documents_given_none']:,} are given none, "
        f"{decided['documents_without_labels']:,} have none that the model knows.\n"
        f"Calibration error of the best {n_best}: {100 * decided['calibration_error']:.2f} %."
    )


def _table(figures: Figures) -> str:
    from lightxml.metrics.tables import format_table

    table: dict[str, dict[str, float]] = {}
    for key, value in figures.ranking.items():
        name, _, cut = key.partition("@")
        table.setdefault(name, {})[f"@{cut}"] = value
    for name, row in figures.others.items():
        told = "P, most frequent labels" if name == "most_frequent" else "P, most possible"
        table[told] = {f"@{cut[2:]}": value for cut, value in row.items()}
    return format_table(table)
