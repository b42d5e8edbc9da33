"""How an encoder is fed, and which of its vectors stands for a text."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

from lightxml.network.described import check_counts

Place: TypeAlias = Literal["first", "last", "mean"]
Pooling: TypeAlias = Literal["cls", "mean", "last"]


@dataclass(frozen=True)
class Reading:
    """How an encoder is fed, and which of its vectors stands for a text.

    Attributes
    ----------
    pad_id : int
        The token number for padding.
    summary : {"first", "last", "mean"}
        What stands for the whole document in each layer: the token in this place, such as [CLS]
        and a decoder's last; the mean of all tokens where none is made for it.
    pooling : {"cls", "mean", "last"}
        What of the last layer is the vector that texts are compared by: the summary token, the
        mean of all tokens, the last token.
    normalize : bool
        Whether that vector is scaled to length 1.
    prompt : str
        Put before each text.
    """

    pad_id: int
    summary: Place
    pooling: Pooling = "mean"
    normalize: bool = False
    prompt: str = ""

    def describe(self) -> dict[str, Any]:
        """Return it as JSON can say it, for `made_of`."""
        return asdict(self)

    @classmethod
    def made_of(cls, values: dict[str, Any]) -> Reading:
        """Return what `describe` described; other values may stand among these.

        Models that were saved before there were `normalize` and `prompt` are without.

        Raises
        ------
        ValueError, KeyError
            If a value is missing, or not such as `describe` gives it.
        """
        made = cls(
            values["pad_id"],
            values["summary"],
            values["pooling"],
            values.get("normalize", False),
            values.get("prompt", ""),
        )
        check_counts(values, pad_id=0)
        if made.summary not in get_args(Place):
            raise ValueError(f"summary is {made.summary!r}")
        if made.pooling not in get_args(Pooling):
            raise ValueError(f"pooling is {made.pooling!r}")
        if type(made.normalize) is not bool or type(made.prompt) is not str:
            raise ValueError(f"normalize is {made.normalize!r} and prompt {made.prompt!r}")
        return made
