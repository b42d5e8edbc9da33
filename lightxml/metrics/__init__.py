"""Metrics at the top of a ranking, plain and propensity-scored, and scorers made from them."""

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

__all__ = [
    "make_topk_scorer",
    "ndcg_at_k",
    "precision_at_k",
    "propensities",
    "psndcg_at_k",
    "psp_at_k",
    "recall_at_k",
]
