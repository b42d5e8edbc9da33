"""How a network is made: what a fit decides, a save writes and a load reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lightxml.network.described import Described, check_counts
from lightxml.network.heads.one_vs_all import OneVsAllHead

_ONE_VS_ALL: Described = {"kind": OneVsAllHead.kind}


@dataclass(frozen=True)
class NetworkConfig:
    """All that `LightXMLNetwork` is made by, but for its encoder.

    Attributes
    ----------
    n_labels : int
    head : dict
        The kind and the sizes of the head; as `Head.describe` gives them.
    features : dict or None
        The same of the feature embedding; None: the encoder alone represents a document.
    n_feature_layers : int
        The last hidden layers of the encoder whose summary vectors are joined; all, if there are
        fewer.
    dropout : float
    se_block : bool
    frozen : bool
        Whether the encoder stays as it is: its summary vectors are then rounded to half
        precision, in which they can be kept, and standardised.
    """

    n_labels: int
    head: Described = field(default_factory=lambda: dict(_ONE_VS_ALL))
    features: Described | None = None
    n_feature_layers: int = 5
    dropout: float = 0.5
    se_block: bool = False
    frozen: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return what a saved model's manifest says of it; the labels are counted elsewhere."""
        return {
            "features": self.features,
            "n_feature_layers": self.n_feature_layers,
            "dropout": self.dropout,
            "se_block": self.se_block,
            "frozen": self.frozen,
            # The first kind of head had no name.
            "head": None if self.head == _ONE_VS_ALL else self.head,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any], n_labels: int) -> NetworkConfig:
        """Read it from a manifest, of which nothing is taken for granted.

        What heads and embeddings are made by, they check themselves.

        Raises
        ------
        ValueError, TypeError, LookupError
            If it describes no network.
        """
        has_encoder = values["encoder"] is not None
        features, head = values.get("features"), values.get("head")
        if features is None and not has_encoder:
            raise ValueError("it has neither an encoder nor features")
        check_counts(values, n_feature_layers=1 if has_encoder else 0)
        return cls(
            n_labels=n_labels,
            head=dict(_ONE_VS_ALL) if head is None else head,
            features=features,
            n_feature_layers=values["n_feature_layers"],
            dropout=values["dropout"],
            se_block=bool(values["se_block"]) and has_encoder,
            frozen=bool(values.get("frozen")),
        )
