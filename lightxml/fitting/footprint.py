"""How much memory a fit will take, before it begins."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch

from lightxml.exceptions import warn
from lightxml.network.network import LightXMLNetwork
from lightxml.network.pending import ADAMW_BYTES
from lightxml.rankers.base import Documents
from lightxml.rankers.panel import N_PROPOSALS
from lightxml.runtime.memory import free_memory

_ENTRY = 8  # bytes of a value and its column
_COLUMNS = {"linear": 1, "neighbors": 2, "label_texts": 4, "network": 1}
_WITH_VECTORS = {"neighbors", "label_texts"}  # one more


def training_memory(
    network: LightXMLNetwork, batch_size: int, length: int, *, averages: bool
) -> dict[str, int]:
    """Estimate the bytes that training takes beside the network, by what they are for.

    Parameters
    ----------
    network : LightXMLNetwork
        On its device.
    batch_size : int
    length : int
        Tokens of the longest document.
    averages : bool
        Whether the mean of the weights is kept.

    Returns
    -------
    dict of int
        ``"optimizer"`` (gradients and moments), ``"average"``, ``"encoder"`` (activations) and
        ``"output"`` (logits, or candidates).

    References
    ----------
    Korthikanti et al., "Reducing Activation Recomputation in Large Transformer Models", MLSys
    2023, equation 1: 34 bytes a number of hidden state and 5 a number of attention, at 16 bits.
    """
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    needed = {"optimizer": 0, "average": 4 * trained * averages, "encoder": 0, "output": 0}
    for part in (network.features, network.head):
        if part is not None:
            trained -= sum(p.numel() for p in part.parameters())
            for name, size in part.training_bytes(batch_size).items():
                needed[name] += size
    needed["optimizer"] += ADAMW_BYTES * trained  # of the encoder and its gates
    if network.trains_encoder:
        assert network.encoder is not None
        config = network.encoder.config
        per_layer = 34 * config.hidden_size + 5 * config.num_attention_heads * length
        width = 1 if network.autocast_dtype is not None else 2  # in units of 16 bits
        per_token = width * config.num_hidden_layers * per_layer
        needed["encoder"] = per_token * batch_size * length
    return needed


def rankers_memory(
    documents: Documents, y: sp.csr_array, rankers: tuple[str, ...], n_held_out: int, n_texts: int
) -> dict[str, int]:
    """Estimate the bytes that fitting all rankers but the network takes, by what they are for.

    Parameters
    ----------
    documents : Documents
    y : csr_array, shape (n_documents, n_labels)
    rankers : tuple of str
    n_held_out : int
        Documents that fit the final ranker.
    n_texts : int
        Of labels, with vectors.

    Returns
    -------
    dict of int
        ``"rows"``, ``"linear"``, ``"vectors"`` and ``"candidates"``.
    """
    rows, n_labels = documents.rows, y.shape[1]
    needed = dict.fromkeys(("rows", "linear", "vectors", "candidates"), 0)
    if {"linear", "neighbors"} & set(rankers) and rows.shape[1]:
        # Of what is not held out and of all: rows, what is searched of them, 81 likely labels or
        # neighbors of each.
        needed["rows"] = 2 * _ENTRY * (2 * rows.nnz + 81 * len(documents))
    if "linear" in rankers:
        # The features of a label's documents, once where they are fitted and once where they join.
        of_labels = int(np.diff(rows.indptr) @ np.diff(y.indptr))
        needed["linear"] = 2 * _ENTRY * of_labels
    has_vectors = documents.vectors is not None
    if documents.vectors is not None:
        # As float16 and, to be searched, as float32.
        needed["vectors"] = 2 * 6 * (len(documents) + n_texts) * documents.vectors.shape[1]
    said = sum(_COLUMNS[name] + (has_vectors and name in _WITH_VECTORS) for name in rankers)
    n_candidates = min(N_PROPOSALS * (len(rankers) + 1), n_labels)
    # What is said, how far below the best it is, and two columns more; held three times.
    needed["candidates"] = 3 * 4 * (2 * said + 2) * n_held_out * n_candidates
    return needed


def warn_if_rankers_are_short(
    documents: Documents, y: sp.csr_array, rankers: tuple[str, ...], n_held_out: int, n_texts: int
) -> None:
    """Warn if fitting the rankers is likely to take more memory than is free.

    Warns
    -----
    UserWarning
        With the estimate, what is free, and the arguments to change.
    """
    needed = rankers_memory(documents, y, rankers, n_held_out, n_texts)
    advice = {
        "rows": "rows and neighbors (fewer features: min_df, max_features of the vectorizer)",
        "linear": "linear classifiers (rankers without 'linear')",
        "vectors": "vectors of documents and label texts (a narrower encoder)",
        "candidates": "what the rankers say of documents held out (a smaller validation_fraction)",
    }
    _warn("Fitting the rankers", needed, free_memory(), advice)


def warn_if_short(
    network: LightXMLNetwork, batch_size: int, length: int, *, averages: bool
) -> None:
    """Warn if a training is likely to take more memory than is free.

    Warns
    -----
    UserWarning
        With the estimate, what is free, and the arguments to change.
    """
    needed = training_memory(network, batch_size, length, averages=averages)
    advice = {
        "optimizer": "gradients and moments (labels after a layer of width label_dim have none)",
        "average": "the mean of the weights (swa_start=None does without)",
        "encoder": "the encoder (a smaller batch_size with accumulate, a smaller max_length)",
        "output": "logits (a smaller batch_size with accumulate; fewer n_candidate_clusters)",
    }
    _warn("Training", needed, free_on(network.device), advice)


def _warn(what: str, needed: dict[str, int], free: int | None, advice: dict[str, str]) -> None:
    total = sum(needed.values())
    if free is None or total <= free:
        return
    parts = ", ".join(
        f"{size / 2**30:.1f} for {advice[name]}"
        for name, size in sorted(needed.items(), key=lambda item: -item[1])
        if size
    )
    warn(
        f"{what} may take {total / 2**30:.1f} GiB more memory, and {free / 2**30:.1f} GiB are "
        f"free. Of it, {parts}."
    )


def free_on(device: torch.device) -> int | None:
    """Return the bytes that are free on a device; None where it does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_memory() if device.type == "cpu" else None
