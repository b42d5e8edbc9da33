"""Documents that the network does not learn from: checked, set aside, measured."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp

from lightxml.data.documents import Documents
from lightxml.data.inputs import Inputs, Reader
from lightxml.data.labels import Labels, encode_known
from lightxml.fitting.rare_labels import RareLabels
from lightxml.metrics.measures import precision_at_k
from lightxml.network import prediction
from lightxml.network.network import LightXMLNetwork
from lightxml.runtime.distributed import Ranks

# Documents, and their labels as a csr_array of shape (n_documents, n_labels).
Validation: TypeAlias = tuple[Inputs, sp.csr_array]


def check_validation(X_val: Any, y_val: Any, reader: Reader, labels: Labels) -> Validation:
    """Check validation documents and their labels against those of the training.

    Raises
    ------
    TypeError, ValueError
        Naming the argument.
    """
    inputs = reader.check(X_val, name="X_val")
    known = encode_known(y_val, labels.classes, labels.form, len(inputs), name="y_val")
    return inputs, known


def hold_out(
    inputs: Inputs, labels: Labels, fraction: float, seed: int
) -> tuple[Inputs, Labels, Validation]:
    """Set documents aside, drawn from the seed: a fraction of them, or so many.

    Raises
    ------
    ValueError
        If no document with a label is left to train on.
    """
    n_documents = len(inputs)
    n_val = int(fraction) if fraction >= 1 else max(1, round(fraction * n_documents))
    # A stream of its own: who is set aside has nothing to do with the order of the training.
    order = np.random.default_rng([seed, 0, 0, 0]).permutation(n_documents)
    rows, rows_val = np.sort(order[n_val:]), np.sort(order[:n_val])
    matrix = labels.matrix[rows]
    if matrix.nnz == 0:
        raise ValueError(
            f"validation_fraction={fraction} sets {n_val} of {n_documents} documents aside, and "
            "none with a label is left to train on. Lower validation_fraction, or pass X_val and "
            "y_val."
        )
    held = (inputs.only(rows_val), labels.matrix[rows_val])
    return inputs.only(rows), replace(labels, matrix=matrix), held


@dataclass(frozen=True)
class Measurement:
    """P@1, P@3 and P@5 of a network on held-out documents, as prediction would rank them.

    Attributes
    ----------
    documents : Documents
        Held out, as the network reads them.
    y : csr_array of shape (len(documents), n_labels)
    rare : RareLabels or None
        What prediction adds to the labels' biases.
    ranks : Ranks
        Each process measures its share.
    """

    documents: Documents
    y: sp.csr_array
    rare: RareLabels | None
    ranks: Ranks

    def __call__(self, network: LightXMLNetwork) -> dict[str, float]:
        """Return the figures that join an epoch's history."""
        ks = [k for k in (1, 3, 5) if k <= self.y.shape[1]]
        begin, end = (
            len(self.documents) * n // self.ranks.size
            for n in (self.ranks.rank, self.ranks.rank + 1)
        )
        with nullcontext() if self.rare is None else self.rare.lifted(network.head):
            share, _ = prediction.predict_topk(network, self.documents.part(begin, end), ks[-1])
        columns = np.concatenate(self.ranks.gather(share))
        return {f"precision_at_{k}": precision_at_k(self.y, columns, k) for k in ks}
