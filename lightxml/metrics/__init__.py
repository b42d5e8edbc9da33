"""Metrics of rankings, plain and propensity-scored, and of probabilities; scorers."""

from __future__ import annotations

from lightxml.metrics.measures import (
    make_topk_scorer,
    ndcg_at_k,
    precision_at_k,
    propensities,
    psndcg_at_k,
    psp_at_k,
    recall_at_k,
)
from lightxml.metrics.probabilities import calibration_error, f1_at_threshold

__all__ = [
    "calibration_error",
    "f1_at_threshold",
    "make_topk_scorer",
    "ndcg_at_k",
    "precision_at_k",
    "propensities",
    "psndcg_at_k",
    "psp_at_k",
    "recall_at_k",
]
