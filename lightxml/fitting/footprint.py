"""How much memory a training will take, before it begins."""

from __future__ import annotations

import warnings

import torch

from lightxml.network.features import SparseEmbedding
from lightxml.network.heads.chunked import ChunkedHead, chunk_memory
from lightxml.network.heads.clustered import ClusteredHead
from lightxml.network.network import LightXMLNetwork
from lightxml.network.tables import BLOCK
from lightxml.runtime.memory import free_memory


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
    features, head = network.features, network.head
    tables = 0
    if isinstance(features, SparseEmbedding):
        tables += features.weight.numel()
    if isinstance(head, ChunkedHead):
        tables += head.weight.numel()
    if isinstance(head, ClusteredHead):
        tables += head.embeddings.numel()
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    needed = {"optimizer": 3 * 4 * (trained - tables), "average": 4 * trained * averages}
    needed["encoder"] = 0
    if network.trains_encoder:
        assert network.encoder is not None
        config = network.encoder.config
        per_layer = 34 * config.hidden_size + 5 * config.num_attention_heads * length
        width = 1 if network.autocast_dtype is not None else 2  # in units of 16 bits
        per_token = width * config.num_hidden_layers * per_layer
        needed["encoder"] = per_token * batch_size * length
    if isinstance(head, ClusteredHead):
        n_candidates = head.n_candidate_clusters * head.largest + head.n_random_negatives
        # Labels, masks, places, logits and their order by label; then the clusters' logits.
        needed["output"] = batch_size * (72 * n_candidates + 40 * head.n_clusters)
        if head.embeddings.is_cuda:
            # Copies of the candidates' rows, or what the touched rows move by: blocks of both.
            of_document = n_candidates * head.embeddings.shape[1]
            block = min(batch_size * of_document, BLOCK["cuda"])
            needed["output"] += 4 * max(of_document, block)
    elif isinstance(head, ChunkedHead):
        needed["output"] = chunk_memory(head, batch_size)
    else:
        needed["output"] = 3 * 4 * batch_size * head.n_labels
    return needed


def warn_if_short(
    network: LightXMLNetwork, batch_size: int, length: int, *, averages: bool
) -> None:
    """Warn if a training is likely to take more memory than is free.

    Warns
    -----
    UserWarning
        With the estimate, what is free, and the arguments to change.
    """
    free = free_on(network.device)
    needed = training_memory(network, batch_size, length, averages=averages)
    total = sum(needed.values())
    if free is None or total <= free:
        return
    advice = {
        "optimizer": "gradients and moments (labels after a layer of width label_dim have none)",
        "average": "the mean of the weights (swa_start=None does without)",
        "encoder": "the encoder (a smaller batch_size with accumulate, a smaller max_length)",
        "output": "logits (a smaller batch_size with accumulate; fewer n_candidate_clusters)",
    }
    parts = ", ".join(
        f"{size / 2**30:.1f} for {advice[name]}"
        for name, size in sorted(needed.items(), key=lambda item: -item[1])
        if size
    )
    warnings.warn(
        f"Training may take {total / 2**30:.1f} GiB more memory, and {free / 2**30:.1f} GiB are "
        f"free. Of it, {parts}.",
        UserWarning,
        stacklevel=4,
    )


def free_on(device: torch.device) -> int | None:
    """Return the bytes that are free on a device; None where it does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_memory() if device.type == "cpu" else None
