"""Why a model gives a text a label."""

from __future__ import annotations

from lightxml.inspection.explanation import Explanation, Neighbor, Opinion, Word
from lightxml.inspection.occlusion import explain

__all__ = ["Explanation", "Neighbor", "Opinion", "Word", "explain"]
