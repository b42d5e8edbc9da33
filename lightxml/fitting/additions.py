"""What is added to a trained network's logits: neighbors, linear classifiers, rare labels."""

from __future__ import annotations

from dataclasses import dataclass

import scipy.sparse as sp

from lightxml.data.documents import Documents
from lightxml.fitting.rare_labels import RareLabels
from lightxml.fitting.support_vectors import N_CANDIDATES, fit_classifiers
from lightxml.network import prediction
from lightxml.network.linear import LinearClassifiers
from lightxml.network.neighbours import make_neighbours
from lightxml.network.network import LightXMLNetwork
from lightxml.runtime.distributed import Ranks


@dataclass(frozen=True)
class Additions:
    """What a network gets beside its training, and the documents that this is made of.

    Attributes
    ----------
    documents : Documents
        Of the training, as the network reads them.
    y : csr_array of shape (len(documents), n_labels)
    neighbor_weight, linear_weight : float
        0 for none.
    rare : RareLabels or None
    """

    documents: Documents
    y: sp.csr_array
    neighbor_weight: float
    linear_weight: float
    rare: RareLabels | None

    def remember(self, network: LightXMLNetwork) -> None:
        """Give the network the training documents, as it represents them now, as neighbors."""
        if self.neighbor_weight:
            representations = prediction.represent_all(network, self.documents)
            network.neighbours = make_neighbours(
                representations, self.y, network.widths, self.neighbor_weight
            )

    def complete(
        self, network: LightXMLNetwork, ranks: Ranks, *, seed: int, n_jobs: int | None, verbose: int
    ) -> None:
        """Give the trained network all of it."""
        self.remember(network)
        if self.linear_weight:
            network.linear = ranks.from_first(
                lambda: self._classifiers(network, seed, n_jobs, verbose)
            )
        if self.rare is not None:
            # Raised is the logit that comes out in the end.
            self.rare.lift(network.head, 1 / (1 - self.linear_weight))

    def _classifiers(
        self, network: LightXMLNetwork, seed: int, n_jobs: int | None, verbose: int
    ) -> LinearClassifiers:
        features = self.documents.features
        assert isinstance(features, sp.csr_array)
        k = min(N_CANDIDATES, self.y.shape[1])
        candidates, _ = prediction.predict_topk(network, self.documents, k)
        weights, bias = fit_classifiers(
            features, self.y, candidates, seed=seed, n_jobs=n_jobs, verbose=verbose
        )
        return LinearClassifiers(weights, bias, self.linear_weight)
