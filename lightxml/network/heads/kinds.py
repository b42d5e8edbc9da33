"""The table of heads: which there are, and which one the arguments ask for."""

from __future__ import annotations

from typing import Any

import numpy as np

from lightxml.network.described import Described
from lightxml.network.heads.base import Head
from lightxml.network.heads.chunked import ChunkedHead
from lightxml.network.heads.clustered import ClusteredHead
from lightxml.network.heads.one_vs_all import OneVsAllHead

HEADS: dict[str, type[Head]] = {
    head.kind: head for head in (OneVsAllHead, ChunkedHead, ClusteredHead)
}


def make_head(described: Described, width: int, n_labels: int) -> Head:
    """Return a new head of the kind that is described; random weights are torch's.

    Raises
    ------
    ValueError, KeyError
        If there is no such kind, or a size is missing or out of range.
    """
    kind = described["kind"]
    if kind not in HEADS:
        raise ValueError(f"its head is {kind!r}")
    return HEADS[kind].made_of(described, width, n_labels)


def choose_head(
    label_dim: int | None, clusters: np.ndarray | None, **of_clusters: Any
) -> Described:
    """Describe the head that the arguments ask for.

    Parameters
    ----------
    label_dim : int or None
        None: one linear layer over all labels.
    clusters : ndarray of int64, shape (n_labels,), or None
        None: without clusters, one layer over all labels behind a bottleneck of `label_dim`.
    **of_clusters
        What `ClusteredHead` takes besides.
    """
    if label_dim is None:
        return {"kind": OneVsAllHead.kind}
    if clusters is None:
        return {"kind": ChunkedHead.kind, "label_dim": label_dim}
    n_clusters = int(clusters.max()) + 1
    sizes = {"label_dim": label_dim, "n_clusters": n_clusters}
    return {"kind": ClusteredHead.kind, **sizes, **of_clusters}
