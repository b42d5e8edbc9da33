"""The loss of all labels and the step of their weights, a chunk of labels at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lightxml.network.batches import Targets
from lightxml.network.heads.weighting import total, total_of, weigh
from lightxml.network.pending import PendingOptimizer

# Numbers in a chunk of the weights: on a CPU they stay in its cache between the products that
# read them; a GPU wants large products.
_BLOCK = {"cpu": 2**21, "cuda": 2**25, "mps": 2**25}
_DECAY = 0.999  # of the mean of squares, a step


@dataclass(frozen=True)
class HeadGradient:
    """What a batch's gradient of the labels' weights is made of.

    Attributes
    ----------
    queries : Tensor of float32, shape (batch, label_dim)
    targets : Targets
    scale : Tensor of float32, shape ()
        The gradient of the loss itself.
    """

    queries: torch.Tensor
    targets: Targets
    scale: torch.Tensor


class ChunkedRMSprop(PendingOptimizer):
    """RMSprop without momentum, with one mean of squares a label, a chunk of labels at a time.

    A label moves by ``-lr g / sqrt(v)``, where v is a running mean over the steps of the mean of
    ``g^2`` over its weights, its bias among them: over the first 1,000 steps the mean of all, then
    with a decay of 0.999. A chunk's logits are computed once more, for its gradient; the gradient
    of all labels never exists, and the state is one number a label. Weights in bf16 are rounded at
    random, up or down as often as makes the mean right: rounded to the nearest, most steps would
    move nothing.

    Parameters
    ----------
    weight : Parameter, shape (n_labels, label_dim)
    bias : Parameter, shape (n_labels,)
    pending : list of HeadGradient
        Emptied by each step.
    lr : float
    seed : int
        With the numbers of step and chunk, it decides how to round.

    References
    ----------
    Tieleman, Hinton, "RMSprop", Coursera lecture 6.5, 2012; one number a row as in Shazeer, Stern,
    "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", ICML 2018.
    """

    def __init__(
        self,
        weight: nn.Parameter,
        bias: nn.Parameter,
        pending: list[HeadGradient],
        lr: float,
        seed: int,
    ) -> None:
        super().__init__([weight, bias], pending, lr)
        self.seed = seed

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move all labels."""
        group, pending = self.param_groups[0], self.pending
        weight, bias = group["params"]
        if not pending:
            return
        state = self.state[bias]  # of float32, to which a loaded state is cast
        if not state:
            state.update(step=0, squares=torch.zeros_like(bias))
        state["step"] += 1
        share = max(1 / state["step"], 1 - _DECAY)
        queries = torch.cat([part.queries for part in pending]).to(weight.dtype)
        chunks = zip(*(_chunks(weight, part.targets) for part in pending), strict=True)
        for number, chunk in enumerate(chunks):
            labels = chunk[0][0]
            of_logits = torch.cat(
                [
                    _logits_gradient(weight, bias, part.queries, part.targets, *place)[0]
                    * part.scale
                    for part, place in zip(pending, chunk, strict=True)
                ],
                dim=1,
            )  # (chunk, all documents)
            change, of_bias = of_logits.to(weight.dtype) @ queries, of_logits.sum(dim=1)
            squares = torch.linalg.vector_norm(change, dim=1, dtype=torch.float32).square()
            mean = state["squares"][labels]
            mean.lerp_((squares + of_bias.square()) / (weight.shape[1] + 1), share)
            rates = -group["lr"] / mean.sqrt().clamp(min=1e-10)
            bias[labels] += rates * of_bias
            if weight.dtype == torch.float32:
                weight[labels] += change.mul_(rates[:, None])
                continue
            generator = torch.Generator(weight.device)
            key = np.random.SeedSequence([self.seed, state["step"], number])
            generator.manual_seed(int(key.generate_state(1, np.uint32)[0]))
            moved = change.float().mul_(rates[:, None]).add_(weight[labels])
            weight[labels] = round_at_random(moved, generator)


def round_at_random(values: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Round float32 to bf16: up with the probability that makes the mean right, else down."""
    noise = torch.randint(
        2**16, values.shape, generator=generator, device=values.device, dtype=torch.int32
    )
    # bf16 is the upper half of float32: what is added carries into it, or is cut off.
    bits = noise.add_(values.contiguous().view(torch.int32)).bitwise_and_(-(2**16))
    return bits.view(torch.float32).bfloat16()


def chunk_bytes(weight: torch.Tensor, training_dtype: torch.dtype, batch_size: int) -> int:
    """Return about how many bytes a training step takes for its chunks of labels."""
    label_dim = weight.shape[1]
    numbers = min(weight.numel(), max(label_dim, _BLOCK[weight.device.type]))
    # In bf16: the change, in both precisions; what decides the rounding; and the result of it.
    of_weights = 4 if training_dtype == torch.float32 else 12
    # Logits four times: as computed, with their biases, by document, and of all documents.
    return numbers * of_weights + 16 * batch_size * (numbers // label_dim)


def _chunks(weight: torch.Tensor, targets: Targets) -> list[tuple[slice, slice]]:
    """Return the chunks of labels, and where their positive entries are among the targets."""
    size = max(1, _BLOCK[weight.device.type] // weight.shape[1])
    begins = np.arange(0, len(weight), size)
    edges = np.searchsorted(targets.host_columns, np.append(begins, len(weight))).tolist()
    return [
        (slice(begin, min(begin + size, len(weight))), slice(edges[i], edges[i + 1]))
        for i, begin in enumerate(begins.tolist())
    ]


def _logits_gradient(
    weight: torch.Tensor,
    bias: torch.Tensor,
    queries: torch.Tensor,
    targets: Targets,
    labels: slice,
    where: slice,
    *,
    with_loss: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the gradient of a chunk's logits, float32 of shape (chunk, batch), and their loss."""
    rows = weight[labels]
    if rows.dtype == torch.float32:
        logits = torch.addmm(bias[labels, None], rows, queries.T)
    else:
        logits = (rows @ queries.to(rows.dtype).T).float() + bias[labels, None]
    positive = targets.columns[where] - labels.start, targets.rows[where]
    loss = None
    if with_loss:
        of_positive = total_of(logits[positive], positive[1], targets.weights)
        loss = total(F.softplus(logits).T, targets.weights) - of_positive
    gradient = logits.sigmoid_()
    gradient[positive] -= 1
    weigh(gradient.T, targets.weights)
    return gradient, loss


class ChunkedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        queries: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        targets: Targets,
        pending: list[HeadGradient],
    ) -> torch.Tensor:
        total = queries.new_zeros(())
        of_queries = torch.zeros_like(queries)
        for chunk in _chunks(weight, targets):
            of_logits, loss = _logits_gradient(
                weight, bias, queries, targets, *chunk, with_loss=True
            )
            assert loss is not None
            total += loss
            of_queries += of_logits.T.to(weight.dtype) @ weight[chunk[0]]
        ctx.save_for_backward(queries, of_queries)
        ctx.targets, ctx.pending = targets, pending
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        queries, of_queries = ctx.saved_tensors
        ctx.pending.append(HeadGradient(queries, ctx.targets, gradients[0]))
        return of_queries * gradients[0], None, None, None, None
