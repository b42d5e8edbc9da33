"""Why a model gives a text a label."""

from __future__ import annotations

from lightxml.inspection.explanation import (
    Explanation,
    Feature,
    Mention,
    Neighbor,
    Opinion,
    Word,
)
from lightxml.inspection.occlusion import explain

__all__ = ["Explanation", "Feature", "Mention", "Neighbor", "Opinion", "Word", "explain"]
