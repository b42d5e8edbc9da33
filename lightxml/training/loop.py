"""The training loop, read from top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn

from lightxml.data.documents import EncodedDocuments
from lightxml.network.batches import Batch, Targets, collate, make_targets, training_batches
from lightxml.network.network import LightXMLNetwork
from lightxml.network.pending import PendingOptimizer
from lightxml.runtime.devices import kept_generators, seed_generators
from lightxml.runtime.distributed import within_step
from lightxml.runtime.interrupts import HeldSignals
from lightxml.runtime.progress import Progress
from lightxml.runtime.ranks import ALONE, Ranks
from lightxml.training.checkpoints import Checkpoints
from lightxml.training.config import TrainingConfig
from lightxml.training.divergence import LossWatch
from lightxml.training.optimizers import learning_rate_factor, make_optimizers
from lightxml.training.state import TrainingState

Made = TypeVar("Made")


@dataclass(frozen=True)
class Run:
    """What the steps of a training work with; what changes is in `state` and `shown`.

    Attributes
    ----------
    network, documents, y, config, checkpoints, ranks, weights
        As `train` takes them.
    optimizers : list of Optimizer
    state : TrainingState
    watch : LossWatch
    progress : Progress
    signals : HeldSignals
    loss_of : callable
        The network's loss, whose gradients the processes add up.
    steps_an_epoch : int
    shown : dict of str
        What stands beside the progress bar.
    """

    network: LightXMLNetwork
    documents: EncodedDocuments
    y: sp.csr_array
    config: TrainingConfig
    checkpoints: Checkpoints | None
    ranks: Ranks
    optimizers: list[torch.optim.Optimizer]
    state: TrainingState
    watch: LossWatch
    progress: Progress
    signals: HeldSignals
    loss_of: Callable[..., torch.Tensor]
    steps_an_epoch: int
    weights: np.ndarray | None = None
    shown: dict[str, str] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.network.device

    @property
    def n_steps(self) -> int:
        """Of all epochs."""
        return self.steps_an_epoch * self.config.max_epochs

    @cached_property
    def rates(self) -> list[tuple[dict[str, Any], float]]:
        """Each group of weights, with the rate that the schedule is a factor of."""
        return [(group, group["lr"]) for o in self.optimizers for group in o.param_groups]

    @cached_property
    def factor(self) -> Callable[[int], float]:
        """The schedule: the factor on every rate at a step."""
        return learning_rate_factor(self.config.schedule, self.n_steps)

    @property
    def tables(self) -> list[list[Any]]:
        """What is pending of each optimizer that makes no gradient."""
        return [o.pending for o in self.optimizers if isinstance(o, PendingOptimizer)]


def train(
    network: LightXMLNetwork,
    documents: EncodedDocuments,
    y: sp.csr_array,
    config: TrainingConfig,
    validate: Callable[[LightXMLNetwork], dict[str, float]] | None = None,
    checkpoints: Checkpoints | None = None,
    numbers: np.ndarray | None = None,
    ranks: Ranks = ALONE,
    sample_weight: np.ndarray | None = None,
) -> list[dict[str, float]]:
    """Train the network on its device, and leave the averaged weights in it.

    torch's generators are seeded before each batch, from the seed, the step and the batch's place
    in it: a training that goes on from a checkpoint draws what an unbroken one does. The caller
    keeps its own (`seeded`).

    Several processes deal the batches of each step out in turn, and add up their gradients. So all
    end with the same weights: those that one process has, which computes these batches one after
    the other, but for the rounding of the sums.

    Parameters
    ----------
    network : LightXMLNetwork
        Changed in place: it ends with the averaged weights, if averaging had begun, or with those
        of the best epoch, and in evaluation mode.
    documents : EncodedDocuments
        With the summary vectors, if the encoder is frozen.
    y : csr_array of shape (n_documents, n_labels)
    config : TrainingConfig
    validate : callable, optional
        Called after each epoch with the weights that prediction would use; what it returns
        joins the epoch's history.
    checkpoints : Checkpoints, optional
        Where to go on from and to write to. Ctrl-C and SIGTERM then wait for the end of the step
        and a checkpoint.
    numbers : ndarray of int64, shape (n_documents,), optional
        What an error calls the documents.
    ranks : Ranks, optional
        The processes that train together, all with the same arguments. They begin with the first
        one's weights.
    sample_weight : ndarray of float64, shape (n_documents,), optional
        Above 0. A document's loss counts by its weight over the mean of all weights: the loss is
        their weighted mean over the documents, and a common factor changes nothing.

    Returns
    -------
    history : list of dict, one an epoch
        ``epoch`` (from 1), ``loss`` (mean over documents, by their weights, of the sum over labels,
        with dropout on, during the epoch), and what `validate` returned.

    Raises
    ------
    NonFiniteLossError
        If a step's loss is NaN or infinite. On a CPU the weights are then those before the step.
    CheckpointError
        If the checkpoint is not of such a network.
    """
    run = begin(network, documents, y, config, checkpoints, numbers, ranks, sample_weight)
    with run.progress, run.signals:
        for epoch in range(len(run.state.history), config.max_epochs):
            if config.stop_on and (
                epochs_since_best(run.state.history, config.stop_on) >= config.n_iter_no_change
            ):
                break
            train_epoch(run, epoch)
            end_epoch(run, epoch, validate)
            pause(run, at_epoch_end=True)
        if run.shown and config.verbose:
            run.progress.show(run.shown)
        if checkpoints is not None and (checkpoints.is_kept or checkpoints.is_due_at_end):
            checkpoints.write(run.state)
    run.state.finish()
    network.eval()
    return run.state.history


def begin(
    network: LightXMLNetwork,
    documents: EncodedDocuments,
    y: sp.csr_array,
    config: TrainingConfig,
    checkpoints: Checkpoints | None,
    numbers: np.ndarray | None,
    ranks: Ranks,
    sample_weight: np.ndarray | None,
) -> Run:
    """Return a training that has not begun, or is where its checkpoint ends."""
    n_documents, device = len(documents), network.device
    steps_an_epoch = math.ceil(math.ceil(n_documents / config.batch_size) / config.accumulate)
    optimizers = make_optimizers(
        network, config.learning_rate, config.head_learning_rate, config.weight_decay, config.seed
    )
    trained = nn.ParameterList(p for p in network.parameters() if p.requires_grad)
    state = TrainingState(trained, optimizers, epoch_loss=torch.zeros((), device=device))
    advice = (
        f"Lower learning_rate ({config.learning_rate}) or head_learning_rate "
        f"({config.head_learning_rate}), or set precision='fp32'."
    )
    if checkpoints is not None:
        checkpoints.restore(state)
    state.share(ranks)
    dense = [p for group in optimizers[0].param_groups for p in group["params"]]
    n_steps = steps_an_epoch * config.max_epochs
    progress = Progress(
        f"{n_documents:,} documents, {y.shape[1]:,} labels, {n_steps:,} steps in "
        f"{config.max_epochs} epochs" + (f", from step {state.step:,} on" if state.step else ""),
        n_documents=round(n_documents * (config.max_epochs - state.step / steps_an_epoch)),
        on_cpu=device.type == "cpu",
        reads_tokens=network.trains_encoder,
        verbose=config.verbose,
    )
    return Run(
        network,
        documents,
        y,
        config,
        checkpoints,
        ranks,
        optimizers,
        state,
        LossWatch(device, advice, numbers),
        progress,
        HeldSignals(active=checkpoints is not None),
        # An encoder may have a pooler, say, or other weights of no use here.
        ranks.share_loss(network.loss, dense, some_unused=network.trains_encoder),
        steps_an_epoch,
        None if sample_weight is None else sample_weight / sample_weight.mean(),
    )


def train_epoch(run: Run, epoch: int) -> None:
    """Train an epoch, or what is left of it."""
    config, state, progress = run.config, run.state, run.progress
    run.network.train()
    rng = np.random.default_rng([config.seed, epoch])
    batches = training_batches(run.documents.lengths, config.batch_size, rng)
    first = state.step - epoch * run.steps_an_epoch
    seen = sum(map(len, batches[: first * config.accumulate]))
    groups = in_groups(batches, config.accumulate)[first:]
    shares = [own_share(len(group), run.ranks) for group in groups]

    def make_batch(rows: np.ndarray) -> tuple[Batch, Targets]:
        batch = collate(run.documents, rows, run.network.pad_id, run.device, training=True)
        return batch, make_targets(run.y, rows, run.device, run.weights)

    made = ahead(
        [group[j] for group, share in zip(groups, shares, strict=True) for j in share], make_batch
    )
    for group, share in zip(groups, shares, strict=True):
        train_step(run, group, share, made)
        n_in_step = sum(len(rows) for rows in group)
        seen += n_in_step
        if progress.wants_estimate and run.device.type == "cuda":
            torch.cuda.synchronize(run.device)
        progress.step(n_in_step)
        if progress.wants_values:
            mean_loss = state.epoch_loss.item() / seen
            run.shown.update(epoch=str(epoch + 1), loss=f"{mean_loss:.2f}")
            progress.show(run.shown)
        pause(run)


def train_step(
    run: Run,
    group: list[np.ndarray],
    share: range,
    made: Iterator[tuple[Batch, Targets]],
) -> None:
    """Learn from the batches of a step: this process from its share, all from their sum."""
    config, state, ranks = run.config, run.state, run.ranks
    n_in_step = sum(len(rows) for rows in group)
    step_loss = torch.zeros((), device=run.device)
    for j in share:
        batch, targets = next(made)
        # Batch by batch: other fits, in other threads, draw from the same generators.
        with kept_generators(run.device), within_step(run.loss_of, is_last=j == share[-1]):
            seed_generators(config.seed, state.step, j, device=run.device)
            loss = run.loss_of(batch, targets)
            # A process without a batch takes part with nought.
            loss = loss / (n_in_step if ranks.rank < len(group) else math.inf)
            loss.backward()
        step_loss += loss.detach()
    ranks.add_up(step_loss)
    run.watch.look(step_loss, state.step + 1, np.concatenate(group))
    for parameters, rate in run.rates:
        parameters["lr"] = rate * run.factor(state.step)
    share_tables(run.tables, len(group), ranks)
    for optimizer in run.optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    state.epoch_loss += step_loss * n_in_step
    state.step += 1
    swa_from = math.inf if config.swa_start is None else config.swa_start * run.n_steps
    if state.step >= swa_from and state.step % config.swa_every == 0:
        state.add_to_mean()


def end_epoch(
    run: Run, epoch: int, validate: Callable[[LightXMLNetwork], dict[str, float]] | None
) -> None:
    """Measure the epoch into the history, with the weights that prediction would use."""
    config, state = run.config, run.state
    run.watch.settle(state.trained)
    record = {"epoch": epoch + 1, "loss": state.epoch_loss.item() / len(run.documents)}
    state.epoch_loss.zero_()
    with state.mean_weights():
        if validate is not None:
            record.update(validate(run.network.eval()))
            run.shown["P@1"] = f"{record['precision_at_1']:.3f}"
        state.history.append(record)
        if config.stop_on and epochs_since_best(state.history, config.stop_on) == 0:
            state.keep_as_best()
    run.shown.update(epoch=str(epoch + 1), loss=f"{record['loss']:.2f}")
    if run.progress.wants_epoch:
        run.progress.show(run.shown)


def pause(run: Run, *, at_epoch_end: bool = False) -> None:
    """Write a checkpoint where one is due, and deliver a signal that waited for it."""
    checkpoints, signals, ranks = run.checkpoints, run.signals, run.ranks
    if checkpoints is None:
        return
    # A signal may have come to one process only; they go on, or end, together.
    is_due = checkpoints.is_due(at_epoch_end=at_epoch_end)
    caught, due = ranks.largest(signals.caught or 0, is_due)
    if caught or due:
        run.watch.settle(run.state.trained)
        checkpoints.write(run.state)
        (caught,) = ranks.largest(signals.caught or caught)
    if caught:
        signals.caught = caught
        signals.deliver()


def own_share(n_batches: int, ranks: Ranks) -> range:
    """Return which of a step's batches this process computes: the first, where it has none."""
    return range(ranks.rank, n_batches, ranks.size) or range(1)


def share_tables(tables: Sequence[list[Any]], n_batches: int, ranks: Ranks) -> None:
    """Put what is pending in all processes in the place of each table's own, batch by batch."""
    for own, of_all in zip(tables, ranks.gather_pieces(tables, n_batches), strict=True):
        own[:] = of_all


def epochs_since_best(history: list[dict[str, float]], figure: str) -> int:
    """Return how many epochs have passed since the first with the largest such figure."""
    figures = [record[figure] for record in history]
    return len(figures) - 1 - figures.index(max(figures)) if figures else 0


def ahead(batches: list[np.ndarray], make: Callable[[np.ndarray], Made]) -> Iterator[Made]:
    """Make one batch in a thread while another is learnt from."""
    if not batches:
        return
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = pool.submit(make, batches[0])
        for rows in batches[1:]:
            made, waiting = waiting.result(), pool.submit(make, rows)
            yield made
        yield waiting.result()


def in_groups(batches: list[np.ndarray], size: int) -> list[list[np.ndarray]]:
    """Return the batches of each optimizer step."""
    return [batches[begin : begin + size] for begin in range(0, len(batches), size)]
