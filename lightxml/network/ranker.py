"""The network as one ranker among others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from lightxml.network import prediction
from lightxml.network.network import LightXMLNetwork
from lightxml.rankers.base import Documents
from lightxml.rankers.sparse import destinations, narrow

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
    outputs : ndarray of int64, shape (n_labels,)
        The network's output for each label, rising; -1 for a label that has come since.
    n_documents : int
        Training documents at the fit that trained it.
    """

    name: ClassVar[str] = "network"

    network: LightXMLNetwork
    seen: np.ndarray
    outputs: np.ndarray
    n_documents: int

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what `score` says."""
        return ("logit",)

    def propose(self, documents: Documents, k: int) -> sp.csr_array:
        """Return the labels with the largest logits, as `Ranker.propose` does."""
        n_outputs = self.network.head.n_labels
        columns, logits = prediction.predict_topk(
            self.network, documents.encoded, min(k, n_outputs)
        )
        order = np.argsort(columns, axis=1)
        columns = destinations(self.outputs, n_outputs)[np.take_along_axis(columns, order, axis=1)]
        logits = np.take_along_axis(logits, order, axis=1)
        kept = (columns >= 0) & self.seen[columns]
        pointers = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
        shape = (len(columns), len(self.seen))
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
        columns[is_there] = np.maximum(self.outputs[candidates.indices], 0)
        logits = prediction.predict_logits_of(self.network, documents.encoded, columns)
        return np.where(self.seen[candidates.indices], logits[is_there], np.float32(UNSEEN))[
            :, None
        ]

    def relabeled(self, source: np.ndarray) -> NetworkRanker:
        """Return the network as a ranker of other labels; it has not seen the new ones."""
        is_new = source < 0
        outputs = np.where(is_new, -1, self.outputs[source])
        return replace(self, seen=self.seen[source] & ~is_new, outputs=outputs)

    def describe(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return settings and arrays, without the network, which is kept beside."""
        arrays: dict[str, np.ndarray] = {
            "seen": self.seen.astype(np.uint8),
            "outputs": self.outputs.astype(np.int32),
        }
        return {"n_documents": self.n_documents}, arrays


def ranker_of(network: LightXMLNetwork, n_documents: int, seen: np.ndarray) -> NetworkRanker:
    """Return the ranker of a network that has an output for each of the labels."""
    return NetworkRanker(network, seen, np.arange(len(seen)), n_documents)
