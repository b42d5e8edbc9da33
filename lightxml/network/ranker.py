"""The network as one ranker among others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from lightxml.network import prediction
from lightxml.network.network import LightXMLNetwork
from lightxml.rankers.base import Documents
from lightxml.rankers.sparse import narrow

# Of a label that the network has not seen: about what the output layer says of one that is far
# from every document.
UNSEEN = -15.0


@dataclass(frozen=True)
class NetworkRanker:
    """The ranker "network": what it says is LightXML's logit.

    Attributes
    ----------
    network : LightXMLNetwork
    seen : ndarray of bool, shape (n_labels,)
        Labels with a training document. Of the others it says nothing, and proposes none.
    """

    name: ClassVar[str] = "network"

    network: LightXMLNetwork
    seen: np.ndarray

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what `score` says."""
        return ("logit",)

    def propose(self, documents: Documents, k: int) -> sp.csr_array:
        """Return the labels with the largest logits, as `Ranker.propose` does."""
        n_labels = len(self.seen)
        columns, logits = prediction.predict_topk(self.network, documents.encoded, min(k, n_labels))
        order = np.argsort(columns, axis=1)
        columns = np.take_along_axis(columns, order, axis=1)
        logits = np.take_along_axis(logits, order, axis=1)
        kept = self.seen[columns]
        pointers = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
        shape = (len(columns), n_labels)
        found: sp.csr_array = narrow(
            sp.csr_array((logits[kept], columns[kept], pointers), shape=shape)
        )
        return found

    def score(self, documents: Documents, candidates: sp.csr_array) -> np.ndarray:
        """Return the logits of the candidates, as `Ranker.score` does."""
        sizes = np.diff(candidates.indptr)
        width = int(sizes.max(initial=0))
        if not width:
            return np.empty((0, 1), dtype=np.float32)
        is_there = np.arange(width) < sizes[:, None]
        columns = np.zeros(is_there.shape, dtype=np.int64)
        columns[is_there] = candidates.indices
        logits = prediction.predict_logits_of(self.network, documents.encoded, columns)
        return np.where(self.seen[candidates.indices], logits[is_there], np.float32(UNSEEN))[
            :, None
        ]

    def describe(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return settings and arrays, without the network, which is kept beside."""
        return {}, {"seen": self.seen.astype(np.uint8)}
