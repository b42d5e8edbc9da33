"""How well a network ranks documents held out, as it will when the training is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from lightxml.data.documents import EncodedDocuments
from lightxml.metrics.measures import precision_at_k
from lightxml.network import prediction
from lightxml.network.heads.base import Head
from lightxml.network.network import LightXMLNetwork
from lightxml.runtime.ranks import Ranks


@dataclass(frozen=True)
class Measurement:
    """P@1, P@3 and P@5 of a network on held-out documents, as prediction would rank them.

    Attributes
    ----------
    documents : EncodedDocuments
        Held out, as the network reads them.
    y : csr_array of shape (len(documents), n_labels)
    preferred : ndarray of float32, shape (n_labels,), or None
        What prediction adds to the labels' biases.
    ranks : Ranks
        Each process measures its share.
    """

    documents: EncodedDocuments
    y: sp.csr_array
    preferred: np.ndarray | None
    ranks: Ranks

    def __call__(self, network: LightXMLNetwork) -> dict[str, float]:
        """Return the figures that join an epoch's history."""
        ks = [k for k in (1, 3, 5) if k <= self.y.shape[1]]
        begin, end = self.ranks.share_of(len(self.documents))
        with lifted(network.head, self.preferred):
            share, _ = prediction.predict_topk(network, self.documents.part(begin, end), ks[-1])
        columns = np.concatenate(self.ranks.gather(share))
        return {f"precision_at_{k}": precision_at_k(self.y, columns, k) for k in ks}


@torch.no_grad()
def lift(head: Head, preferred: np.ndarray) -> None:
    """Add to the labels' biases what `preference` gives, of shape (n_labels,)."""
    head.label_bias.add_(torch.from_numpy(preferred).to(head.label_bias.device))


@contextmanager
def lifted(head: Head, preferred: np.ndarray | None) -> Iterator[None]:
    """Add it for a while; afterwards the biases are what they were, to the last bit."""
    if preferred is None:
        yield
        return
    before = head.label_bias.clone()
    lift(head, preferred)
    try:
        yield
    finally:
        head.label_bias.copy_(before)
