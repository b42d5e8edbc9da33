"""Predictions without end: documents in batches, in bounded memory, by several processes; the
datasets of Ray and the frames of Spark.
"""

from __future__ import annotations

from lightxml.bulk.batches import predict_batches
from lightxml.bulk.ray import RayPredictor
from lightxml.bulk.spark import predict_spark

__all__ = ["RayPredictor", "predict_batches", "predict_spark"]
