"""The training loop, read from top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn

from lightxml.data.documents import Documents
from lightxml.network.batches import Batch, Targets, collate, make_targets, training_batches
from lightxml.network.network import LightXMLNetwork
from lightxml.network.pending import PendingOptimizer
from lightxml.runtime.devices import seed_generators
from lightxml.runtime.distributed import ALONE, Ranks, within_step
from lightxml.runtime.interrupts import HeldSignals
from lightxml.runtime.progress import Progress
from lightxml.training.checkpoints import Checkpoints
from lightxml.training.config import TrainingConfig
from lightxml.training.divergence import LossWatch
from lightxml.training.optimizers import learning_rate_factor, make_optimizers
from lightxml.training.state import TrainingState

Made = TypeVar("Made")


def train(
    network: LightXMLNetwork,
    documents: Documents,
    y: sp.csr_array,
    config: TrainingConfig,
    validate: Callable[[LightXMLNetwork], dict[str, float]] | None = None,
    checkpoints: Checkpoints | None = None,
    numbers: np.ndarray | None = None,
    ranks: Ranks = ALONE,
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
    documents : Documents
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

    Returns
    -------
    history : list of dict, one an epoch
        ``epoch`` (from 1), ``loss`` (mean over documents of the sum over labels, with dropout
        on, during the epoch), and what `validate` returned.

    Raises
    ------
    NonFiniteLossError
        If a step's loss is NaN or infinite. On a CPU the weights are then those before the step.
    CheckpointError
        If the checkpoint is not of such a network.
    """
    n_documents, device = len(documents), network.device
    n_batches = math.ceil(n_documents / config.batch_size)
    steps_an_epoch = math.ceil(n_batches / config.accumulate)
    n_steps = steps_an_epoch * config.max_epochs
    optimizers = make_optimizers(
        network, config.learning_rate, config.head_learning_rate, config.weight_decay, config.seed
    )
    factor = learning_rate_factor(config.schedule, n_steps)
    swa_from = math.inf if config.swa_start is None else config.swa_start * n_steps
    trained = nn.ParameterList(p for p in network.parameters() if p.requires_grad)
    state = TrainingState(trained, optimizers, epoch_loss=torch.zeros((), device=device))
    watch = LossWatch(
        device,
        f"Lower learning_rate ({config.learning_rate}) or head_learning_rate "
        f"({config.head_learning_rate}), or set precision='fp32'.",
        numbers,
    )
    if checkpoints is not None:
        checkpoints.restore(state)
    state.share(ranks)
    dense = [p for group in optimizers[0].param_groups for p in group["params"]]
    # An encoder may have a pooler, say, or other weights of no use here.
    loss_of = ranks.share_loss(network.loss, dense, some_unused=network.trains_encoder)
    tables = [o.pending for o in optimizers if isinstance(o, PendingOptimizer)]
    rates = [(group, group["lr"]) for o in optimizers for group in o.param_groups]
    shown: dict[str, str] = {}

    def make_batch(rows: np.ndarray) -> tuple[Batch, Targets]:
        batch = collate(documents, rows, network.pad_id, device, training=True)
        return batch, make_targets(y, rows, device)

    def pause(*, at_epoch_end: bool = False) -> None:
        if checkpoints is None:
            return
        # A signal may have come to one process only; they go on, or end, together.
        is_due = checkpoints.is_due(at_epoch_end=at_epoch_end)
        caught, due = ranks.largest(signals.caught or 0, is_due)
        if caught or due:
            watch.settle(state.trained)
            checkpoints.write(state)
            (caught,) = ranks.largest(signals.caught or caught)
        if caught:
            signals.caught = caught
            signals.deliver()

    progress = Progress(
        f"{n_documents:,} documents, {y.shape[1]:,} labels, {n_steps:,} steps in "
        f"{config.max_epochs} epochs" + (f", from step {state.step:,} on" if state.step else ""),
        n_documents=round(n_documents * (config.max_epochs - state.step / steps_an_epoch)),
        on_cpu=device.type == "cpu",
        verbose=config.verbose,
    )
    with progress, HeldSignals(active=checkpoints is not None) as signals:
        for epoch in range(len(state.history), config.max_epochs):
            if config.stop_on and (
                epochs_since_best(state.history, config.stop_on) >= config.n_iter_no_change
            ):
                break
            network.train()
            rng = np.random.default_rng([config.seed, epoch])
            batches = training_batches(documents.lengths, config.batch_size, rng)
            begin = state.step - epoch * steps_an_epoch
            seen = sum(map(len, batches[: begin * config.accumulate]))
            groups = in_groups(batches, config.accumulate)[begin:]
            shares = [own_share(len(group), ranks) for group in groups]
            made = ahead(
                [group[j] for group, own in zip(groups, shares, strict=True) for j in own],
                make_batch,
            )
            for group, own in zip(groups, shares, strict=True):
                n_in_step = sum(len(rows) for rows in group)
                step_loss = torch.zeros((), device=device)
                for j in own:
                    batch, targets = next(made)
                    seed_generators(config.seed, state.step, j, device=device)
                    with within_step(loss_of, is_last=j == own[-1]):
                        loss = loss_of(batch, targets)
                        # A process without a batch takes part with nought.
                        loss = loss / (n_in_step if ranks.rank < len(group) else math.inf)
                        loss.backward()
                    step_loss += loss.detach()
                ranks.add_up(step_loss)
                watch.look(step_loss, state.step + 1, np.concatenate(group))
                for parameters, rate in rates:
                    parameters["lr"] = rate * factor(state.step)
                share_tables(tables, len(group), ranks)
                for optimizer in optimizers:
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)
                state.epoch_loss += step_loss * n_in_step
                state.step += 1
                seen += n_in_step
                if state.step >= swa_from and state.step % config.swa_every == 0:
                    state.add_to_mean()
                if progress.wants_estimate and device.type == "cuda":
                    torch.cuda.synchronize(device)
                progress.step(n_in_step)
                if progress.wants_values:
                    mean_loss = state.epoch_loss.item() / seen
                    shown |= {"epoch": str(epoch + 1), "loss": f"{mean_loss:.2f}"}
                    progress.show(shown)
                pause()
            watch.settle(state.trained)
            record = {"epoch": epoch + 1, "loss": state.epoch_loss.item() / n_documents}
            state.epoch_loss.zero_()
            with state.mean_weights():
                if validate is not None:
                    record.update(validate(network.eval()))
                    shown["P@1"] = f"{record['precision_at_1']:.3f}"
                state.history.append(record)
                if config.stop_on and epochs_since_best(state.history, config.stop_on) == 0:
                    state.keep_as_best()
            shown |= {"epoch": str(epoch + 1), "loss": f"{record['loss']:.2f}"}
            if progress.wants_epoch:
                progress.show(shown)
            pause(at_epoch_end=True)
        if shown and config.verbose:
            progress.show(shown)
    state.finish()
    network.eval()
    return state.history


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
