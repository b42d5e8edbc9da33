"""Extreme multi-label text classification as a scikit-learn estimator.

The public names are loaded on first use, so that ``import lightxml`` takes no time. torch is
imported where there is a network: not before one is fitted or loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightxml.version import __version__

if TYPE_CHECKING:
    from lightxml.classifier import LightXMLClassifier
    from lightxml.ensemble import LightXMLEnsemble, load

__all__ = ["LightXMLClassifier", "LightXMLEnsemble", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name in ("LightXMLClassifier", "LightXMLEnsemble", "load"):
        from lightxml import ensemble

        return getattr(ensemble, name)
    raise AttributeError(f"module 'lightxml' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
