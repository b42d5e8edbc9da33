"""The training loop, read from top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sp
import torch
from torch.optim.swa_utils import AveragedModel

from lightxml.batches import TokenStore, collate, to_device, training_batches
from lightxml.exceptions import NonFiniteLossError
from lightxml.losses import binary_cross_entropy
from lightxml.network import LightXMLNetwork
from lightxml.progress import Progress

WARM_UP = 0.05  # of all steps, with the linear schedule


@dataclass(frozen=True)
class TrainingConfig:
    """How to train; the names are those of `LightXMLClassifier`'s arguments.

    `swa_every` is None for ten times an epoch; `seed` decides the order of the documents.
    """

    max_epochs: int
    batch_size: int
    accumulate: int
    learning_rate: float
    head_learning_rate: float
    weight_decay: float
    schedule: Literal["linear", "constant"]
    swa_start: float | None
    swa_every: int | None
    seed: int
    verbose: int


def train(
    network: LightXMLNetwork,
    store: TokenStore,
    y: sp.csr_array,
    config: TrainingConfig,
    validate: Callable[[LightXMLNetwork], dict[str, float]] | None = None,
) -> tuple[LightXMLNetwork, list[dict[str, float]]]:
    """Train the network on its device.

    Dropout draws from torch's current generator; the caller seeds it.

    Parameters
    ----------
    network : LightXMLNetwork
        Changed in place.
    store : TokenStore of n_documents
    y : csr_array of shape (n_documents, n_labels)
    config : TrainingConfig
    validate : callable, optional
        Called after each epoch with the weights that prediction would use; what it returns
        joins the epoch's history.

    Returns
    -------
    network : LightXMLNetwork
        With the averaged weights, if averaging had begun; in evaluation mode.
    history : list of dict, one an epoch
        ``epoch`` (from 1), ``loss`` (mean over documents of the sum over labels, with dropout
        on, during the epoch), and what `validate` returned.

    Raises
    ------
    NonFiniteLossError
        If an epoch's loss is NaN or infinite.
    """
    n_documents, device = len(store), network.device
    n_batches = math.ceil(n_documents / config.batch_size)
    steps_an_epoch = math.ceil(n_batches / config.accumulate)
    n_steps = steps_an_epoch * config.max_epochs
    optimizer = make_optimizer(network, config)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor(config, n_steps))
    swa_from = math.inf if config.swa_start is None else config.swa_start * n_steps
    swa_every = config.swa_every or max(1, steps_an_epoch // 10)
    averaged: AveragedModel | None = None
    history: list[dict[str, float]] = []
    shown: dict[str, str] = {}
    step = 0
    progress = Progress(
        n_documents=n_documents,
        n_labels=y.shape[1],
        n_steps=n_steps,
        max_epochs=config.max_epochs,
        on_cpu=device.type == "cpu",
        verbose=config.verbose,
    )
    with progress:
        for epoch in range(config.max_epochs):
            network.train()
            rng = np.random.default_rng([config.seed, epoch])
            epoch_loss = torch.zeros((), device=device)
            seen = 0
            batches = training_batches(store.lengths, config.batch_size, rng)
            for group in in_groups(batches, config.accumulate):
                n_in_step = sum(len(rows) for rows in group)
                for rows in group:
                    logits = network(collate(store, rows, network.pad_id, device))
                    loss = binary_cross_entropy(logits, *positives(y, rows, device)) / n_in_step
                    loss.backward()
                    epoch_loss += loss.detach() * n_in_step
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                schedule.step()
                step += 1
                seen += n_in_step
                if step >= swa_from and step % swa_every == 0:
                    averaged = averaged or AveragedModel(network)
                    averaged.update_parameters(network)
                if progress.wants_estimate and device.type == "cuda":
                    torch.cuda.synchronize(device)
                progress.step(n_in_step)
                if progress.wants_values:
                    shown |= {"epoch": str(epoch + 1), "loss": f"{epoch_loss.item() / seen:.2f}"}
                    progress.show(shown)
            record: dict[str, float] = {"epoch": epoch + 1, "loss": epoch_loss.item() / n_documents}
            if not math.isfinite(record["loss"]):
                raise NonFiniteLossError(
                    f"The loss of epoch {epoch + 1} is {record['loss']}. Lower learning_rate "
                    f"({config.learning_rate}) or head_learning_rate "
                    f"({config.head_learning_rate}), or set precision='fp32'."
                )
            if validate is not None:
                record.update(validate(trained(network, averaged)))
                shown["P@1"] = f"{record['precision_at_1']:.3f}"
            history.append(record)
            if config.verbose:
                shown |= {"epoch": str(epoch + 1), "loss": f"{record['loss']:.2f}"}
                progress.show(shown)
    return trained(network, averaged), history


def trained(network: LightXMLNetwork, averaged: AveragedModel | None) -> LightXMLNetwork:
    """Return the weights that prediction uses, in evaluation mode."""
    chosen = network if averaged is None else averaged.module
    assert isinstance(chosen, LightXMLNetwork)  # AveragedModel says only Module
    return chosen.eval()


def make_optimizer(network: LightXMLNetwork, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW with a rate for the encoder and one for the rest; biases and norms do not decay."""
    groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        in_encoder = name.startswith("encoder.")
        decays = parameter.ndim > 1  # biases and the scales of layer norms are vectors
        groups.setdefault((in_encoder, decays), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": config.learning_rate if in_encoder else config.head_learning_rate,
                "weight_decay": config.weight_decay if decays else 0.0,
            }
            for (in_encoder, decays), parameters in groups.items()
        ],
        fused=network.device.type in ("cpu", "cuda"),
    )


def learning_rate_factor(config: TrainingConfig, n_steps: int) -> Callable[[int], float]:
    """Return the schedule: the factor on every learning rate at a step, counted from 0."""
    if config.schedule == "constant":
        return lambda step: 1.0
    warm_up = max(1, round(WARM_UP * n_steps))

    def linear(step: int) -> float:
        if step < warm_up:
            return (step + 1) / (warm_up + 1)
        return max(0.0, (n_steps - step) / max(1, n_steps - warm_up))

    return linear


def in_groups(batches: list[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    """Yield the batches of each optimizer step."""
    for begin in range(0, len(batches), size):
        yield batches[begin : begin + size]


def positives(
    y: sp.csr_array, rows: np.ndarray, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the positions of the positive entries of some rows, numbered within the batch."""
    begins, ends = y.indptr[rows], y.indptr[rows + 1]
    columns = np.concatenate([y.indices[b:e] for b, e in zip(begins, ends, strict=True)])
    batch_rows = np.repeat(np.arange(len(rows)), ends - begins)
    return to_device(batch_rows, device), to_device(columns.astype(np.int64), device)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Let torch draw from `seed` on the CPU and `device`; put the caller's generators back."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        if device.type != "mps":
            yield
            return
        state = torch.mps.get_rng_state()  # fork_rng knows CUDA's form of several devices only
        torch.mps.manual_seed(seed)
        try:
            yield
        finally:
            torch.mps.set_rng_state(state)
