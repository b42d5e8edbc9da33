"""How much memory a training will take, before it begins."""

from __future__ import annotations

import torch

from lightxml.fitting.panel_footprint import warn_if_more
from lightxml.network.network import LightXMLNetwork
from lightxml.network.pending import ADAMW_BYTES
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
    warn_if_more("Training", needed, free_on(network.device), advice)


def free_on(device: torch.device) -> int | None:
    """Return the bytes that are free on a device; None where it does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_memory() if device.type == "cpu" else None
