"""Settings to begin with, as arguments of `LightXMLClassifier`: the README's table, by name.

``from lightxml.presets import presets``, then ``presets["frozen"]`` is a plain dict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def _pairs() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    # Words and pairs of words, as in the README's table.
    return TfidfVectorizer(sublinear_tf=True, min_df=2, ngram_range=(1, 2), max_features=100_000)


_MADE_BY: dict[str, Callable[[], dict[str, Any]]] = {
    "features": lambda: {"encoder": None, "features": _pairs()},
    "frozen": lambda: {"freeze_encoder": True, "features": _pairs()},
    "trained": lambda: {"features": _pairs(), "max_epochs": 8},
    "encoder": lambda: {"max_epochs": 3},
    "clusters": lambda: {"features": _pairs(), "label_clusters": True},
    # LightXML as published, apart from what is of each data set (docs/reproduce.md).
    "paper": lambda: {
        "rankers": ("network",),
        "threshold": 0.5,
        "head_learning_rate": 1e-4,
        "schedule": "constant",
    },
}


class Presets(Mapping[str, dict[str, Any]]):
    """Dicts of arguments by name, each made anew: what is done to one stays with it."""

    def __getitem__(self, name: str) -> dict[str, Any]:
        if name not in _MADE_BY:
            raise KeyError(f"{name!r} is no preset; expected one of {', '.join(_MADE_BY)}.")
        return _MADE_BY[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(_MADE_BY)

    def __len__(self) -> int:
        return len(_MADE_BY)


presets = Presets()
