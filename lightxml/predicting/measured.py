"""What `fit` has measured on documents that it did not learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

KS = (1, 3, 5)
Source = Literal["held out", "folds", "X_val"]
_WHICH: dict[Source, str] = {
    "held out": "held out",
    "folds": "held out in turn, in five folds",
    "X_val": "of X_val",
}


@dataclass(frozen=True)
class Measured:
    """How well documents were ranked that the rankers had not learned from.

    Attributes
    ----------
    source : {"held out", "folds", "X_val"}
    n_documents : int
    precision : mapping of int to float
        P@k by k: 1, 3 and 5, as far as there are so many labels.
    """

    source: Source
    n_documents: int
    precision: Mapping[int, float]

    @property
    def which(self) -> str:
        """Which documents these are, in words that follow "documents"."""
        return _WHICH[self.source]

    def as_json(self) -> dict[str, Any]:
        """Return it as the manifest of a saved model has it."""
        figures = {f"precision_at_{k}": value for k, value in self.precision.items()}
        return {"source": self.source, "n_documents": self.n_documents, **figures}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Return what `as_json` gave.

        Raises
        ------
        ValueError, LookupError, TypeError
            If it is anything else.
        """
        rest = dict(value)
        source, n_documents = rest.pop("source"), rest.pop("n_documents")
        if source not in _WHICH:
            raise ValueError(f"it was measured on documents of {str(source)[:100]!r}")
        if type(n_documents) is not int or n_documents < 1:
            raise ValueError(f"it was measured on {str(n_documents)[:100]} documents")
        known = {f"precision_at_{k}": k for k in KS}
        precision = {known[name]: figure for name, figure in rest.items()}
        for figure in precision.values():
            if type(figure) not in (int, float) or not 0 <= figure <= 1:
                raise ValueError(f"a precision is {str(figure)[:100]}")
        return cls(source, n_documents, dict(sorted(precision.items())))
