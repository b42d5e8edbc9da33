"""The training loop, read from top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from lightxml.batches import Batch, collate, training_batches
from lightxml.documents import Documents
from lightxml.exceptions import NonFiniteLossError
from lightxml.network import LightXMLNetwork
from lightxml.optimizers import learning_rate_factor, make_optimizers
from lightxml.progress import Progress
from lightxml.targets import Targets, make_targets

Made = TypeVar("Made")


@dataclass(frozen=True)
class TrainingConfig:
    """How to train; the names are those of `LightXMLClassifier`'s arguments.

    `seed` decides the order of the documents.
    """

    max_epochs: int
    batch_size: int
    accumulate: int
    learning_rate: float
    head_learning_rate: float
    weight_decay: float
    schedule: Literal["linear", "constant"]
    swa_start: float | None
    swa_every: int
    seed: int
    verbose: int


def train(
    network: LightXMLNetwork,
    documents: Documents,
    y: sp.csr_array,
    config: TrainingConfig,
    validate: Callable[[LightXMLNetwork], dict[str, float]] | None = None,
) -> list[dict[str, float]]:
    """Train the network on its device, and leave the averaged weights in it.

    Dropout draws from torch's current generator; the caller seeds it.

    Parameters
    ----------
    network : LightXMLNetwork
        Changed in place: it ends with the averaged weights, if averaging had begun, and in
        evaluation mode.
    documents : Documents
        With the summary vectors, if the encoder is frozen.
    y : csr_array of shape (n_documents, n_labels)
    config : TrainingConfig
    validate : callable, optional
        Called after each epoch with the weights that prediction would use; what it returns
        joins the epoch's history.

    Returns
    -------
    history : list of dict, one an epoch
        ``epoch`` (from 1), ``loss`` (mean over documents of the sum over labels, with dropout
        on, during the epoch), and what `validate` returned.

    Raises
    ------
    NonFiniteLossError
        If an epoch's loss is NaN or infinite.
    """
    n_documents, device = len(documents), network.device
    n_batches = math.ceil(n_documents / config.batch_size)
    steps_an_epoch = math.ceil(n_batches / config.accumulate)
    n_steps = steps_an_epoch * config.max_epochs
    optimizers = make_optimizers(
        network, config.learning_rate, config.head_learning_rate, config.weight_decay, config.seed
    )
    factor = learning_rate_factor(config.schedule, n_steps)
    schedules = [torch.optim.lr_scheduler.LambdaLR(o, factor) for o in optimizers]
    trained = nn.ParameterList(p for p in network.parameters() if p.requires_grad)
    swa_from = math.inf if config.swa_start is None else config.swa_start * n_steps
    averaged: AveragedModel | None = None
    history: list[dict[str, float]] = []
    shown: dict[str, str] = {}
    step = 0

    def make_batch(rows: np.ndarray) -> tuple[Batch, Targets]:
        batch = collate(documents, rows, network.pad_id, device, training=True)
        return batch, make_targets(y, rows, device)

    progress = Progress(
        f"{n_documents:,} documents, {y.shape[1]:,} labels, {n_steps:,} steps in "
        f"{config.max_epochs} epochs",
        n_documents=n_documents * config.max_epochs,
        on_cpu=device.type == "cpu",
        verbose=config.verbose,
    )
    with progress:
        for epoch in range(config.max_epochs):
            network.train()
            rng = np.random.default_rng([config.seed, epoch])
            epoch_loss = torch.zeros((), device=device)
            seen = 0
            batches = training_batches(documents.lengths, config.batch_size, rng)
            made = ahead(batches, make_batch)
            for group in in_groups(batches, config.accumulate):
                n_in_step = sum(len(rows) for rows in group)
                for _ in group:
                    batch, targets = next(made)
                    loss = network.loss(batch, targets) / n_in_step
                    loss.backward()
                    epoch_loss += loss.detach() * n_in_step
                for optimizer in optimizers:
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)
                for schedule in schedules:
                    schedule.step()
                step += 1
                seen += n_in_step
                if step >= swa_from and step % config.swa_every == 0:
                    averaged = averaged or AveragedModel(trained)
                    averaged.update_parameters(trained)
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
                with mean_weights(trained, averaged):
                    record.update(validate(network.eval()))
                shown["P@1"] = f"{record['precision_at_1']:.3f}"
            history.append(record)
            if config.verbose:
                shown |= {"epoch": str(epoch + 1), "loss": f"{record['loss']:.2f}"}
                progress.show(shown)
    if averaged is not None:
        _exchange(trained, averaged)
    network.eval()
    return history


@contextmanager
def mean_weights(trained: nn.ParameterList, averaged: AveragedModel | None) -> Iterator[None]:
    """Let the network have the averaged weights, where there are any, and then its own again."""
    if averaged is not None:
        _exchange(trained, averaged)
    try:
        yield
    finally:
        if averaged is not None:
            _exchange(trained, averaged)


def _exchange(trained: nn.ParameterList, averaged: AveragedModel) -> None:
    for own, mean in zip(trained, averaged.module.parameters(), strict=True):
        own.data, mean.data = mean.data, own.data


def ahead(batches: list[np.ndarray], make: Callable[[np.ndarray], Made]) -> Iterator[Made]:
    """Make one batch in a thread while another is learnt from."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = pool.submit(make, batches[0])
        for rows in batches[1:]:
            made, waiting = waiting.result(), pool.submit(make, rows)
            yield made
        yield waiting.result()


def in_groups(batches: list[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    """Yield the batches of each optimizer step."""
    for begin in range(0, len(batches), size):
        yield batches[begin : begin + size]


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
