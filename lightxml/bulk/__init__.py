"""Predictions without end: documents in batches, in bounded memory, by several processes."""

from __future__ import annotations

from lightxml.bulk.batches import predict_batches

__all__ = ["predict_batches"]
