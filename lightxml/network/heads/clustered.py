"""LightXML's head for many labels: a generator of candidates and a discriminator among them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lightxml.network.batches import SparseRows, Targets
from lightxml.network.heads.base import INITIAL_BIAS, Shares, above, linear, top_k
from lightxml.network.tables import BLOCK, TableGradient, group_by_column, weighted_sum

# Of what label embeddings are multiplied with, so that no document speaks louder than others.
# Behind a bottleneck with all labels (`ChunkedHead`), one length only slowed the training down.
QUERY_LENGTH = 8.0


class ClusteredHead(nn.Module):
    """Rank the labels of the best label clusters.

    The *generator*, a linear layer, gives each cluster a logit. The *discriminator*, a linear
    layer to width `label_dim`, gives each label of the best clusters a logit: the product of what
    it makes of the document, scaled to one length, with the label's embedding, plus the label's
    bias. A label's score is
    ``sigmoid(its logit) * sigmoid(its cluster's logit)``.

    In training, the clusters of a document's own labels are always among its candidates, which
    grow beyond `n_candidate_clusters` for a document with more of such clusters. The loss is the
    sum of both parts' binary cross-entropies, summed over clusters and candidates.

    Parameters
    ----------
    width : int
        Width of the text representation.
    clusters : ndarray of int64, shape (n_labels,)
        The cluster of each label: numbers from 0, each in use.
    label_dim : int
    n_candidate_clusters : int
    n_random_negatives : int
        In training, labels from outside a document's candidate clusters that join its candidates.
    loss_correction : bool
        Whether the generator's gradient of the representation is given the length of the
        discriminator's, batch by batch.

    Attributes
    ----------
    embeddings : Parameter, shape (n_labels, label_dim + 1)
        With the bias in the last column. Its ``grad`` stays None.
    pending : list of TableGradient
        What its gradient is made of, one for each backward pass since the last step.

    References
    ----------
    Jiang et al., LightXML, AAAI 2021, sections "Label Recall" and "Label Ranking"; the random
    negatives as in Mittal et al., "DeepXML", WSDM 2021. The length and the bias are ours.
    """

    cluster_of: torch.Tensor
    members: torch.Tensor
    place: torch.Tensor
    starts: torch.Tensor
    sizes: torch.Tensor

    def __init__(
        self,
        width: int,
        clusters: np.ndarray,
        label_dim: int,
        *,
        n_candidate_clusters: int,
        n_random_negatives: int = 0,
        loss_correction: bool = False,
    ) -> None:
        super().__init__()
        n_labels, n_clusters = len(clusters), int(clusters.max()) + 1
        self.n_candidate_clusters = min(n_candidate_clusters, n_clusters)
        self.n_random_negatives = n_random_negatives
        self.loss_correction = loss_correction
        self.generator = nn.Linear(width, n_clusters)
        nn.init.constant_(self.generator.bias, INITIAL_BIAS)
        self.project = nn.Linear(width, label_dim)
        self.embeddings = nn.Parameter(torch.empty(n_labels, label_dim + 1))
        nn.init.normal_(self.embeddings, std=0.1 * label_dim**-0.5)
        nn.init.constant_(self.embeddings[:, -1], INITIAL_BIAS)
        self.pending: list[TableGradient] = []
        self.register_buffer("cluster_of", torch.from_numpy(clusters.astype(np.int64)))
        # Made of the above by `arrange`, and so not saved.
        sizes = {"members": n_labels, "place": n_labels, "starts": n_clusters, "sizes": n_clusters}
        for name, size in sizes.items():
            self.register_buffer(name, torch.zeros(size, dtype=torch.int64), persistent=False)
        self.arrange()

    @torch.no_grad()
    def arrange(self) -> None:
        """List the labels by cluster: ``members[starts[c]:starts[c] + sizes[c]]`` are c's.

        Raises
        ------
        ValueError
            If a cluster's number is out of range, or a cluster has no label.
        """
        if self.sizes.is_meta:
            return
        clusters = self.cluster_of.cpu().numpy()
        if clusters.min() < 0 or clusters.max() >= self.n_clusters:
            raise ValueError("the clusters of its labels are out of range")
        sizes = np.bincount(clusters, minlength=self.n_clusters)
        if not sizes.all():
            raise ValueError(f"cluster {sizes.argmin()} of its labels has no label")
        members = np.argsort(clusters, kind="stable")
        starts = sizes.cumsum() - sizes
        place = np.empty_like(members)
        place[members] = np.arange(len(members)) - starts[clusters[members]]
        made = {"members": members, "place": place, "starts": starts, "sizes": sizes}
        for name, array in made.items():
            getattr(self, name).copy_(torch.from_numpy(array))
        # On the host, where the sizes of arrays are decided.
        self.host_clusters, self.host_sizes = clusters, np.sort(sizes)

    @property
    def n_labels(self) -> int:
        """Labels that it ranks."""
        return len(self.embeddings)

    @property
    def label_bias(self) -> torch.Tensor:
        """The labels' biases themselves, shape (n_labels,), outside of differentiation."""
        return self.embeddings.data[:, -1]

    @property
    def n_clusters(self) -> int:
        """Clusters of labels."""
        return len(self.sizes)

    @property
    def largest(self) -> int:
        """Labels of the largest cluster."""
        return int(self.host_sizes[-1])

    @property
    def n_logits(self) -> int:
        """Numbers that ranking holds at a time for each document."""
        return self.n_clusters + 4 * self.n_candidate_clusters * self.largest

    def query(self, representation: torch.Tensor) -> torch.Tensor:
        """Return what the embeddings are multiplied with, (batch, label_dim + 1)."""
        return self._query(representation, torch.float32)

    def _query(self, representation: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        projected = linear(self.project, representation, dtype)
        return F.pad(QUERY_LENGTH * F.normalize(projected), (0, 1), value=1.0)

    def loss(
        self, representation: torch.Tensor, targets: Targets, dtype: torch.dtype
    ) -> torch.Tensor:
        """Return the training loss, with the two linear layers in `dtype`; float32 of shape ()."""
        to_generator = to_discriminator = representation
        if self.loss_correction:
            to_generator, to_discriminator = _Rescaled.apply(representation)
        logits = linear(self.generator, to_generator, dtype)  # (batch, n_clusters)
        clusters = self.cluster_of[targets.columns]
        gold = torch.zeros_like(logits)
        gold[targets.rows, clusters] = 1  # a cluster with two of the labels is one positive
        generator_loss = F.softplus(logits).sum() - (logits * gold).sum()

        chosen, taken = self._choose(logits.detach(), gold, self._most_gold(targets))
        labels, present = self._candidates(chosen, taken)
        slots = self._places(chosen)[targets.rows, clusters] + self.place[targets.columns]
        if self.n_random_negatives:
            drawn, there = self._random_negatives(chosen)
            labels, present = torch.cat([labels, drawn], 1), torch.cat([present, there], 1)
        query = self._query(to_discriminator, dtype)
        discriminator_loss: torch.Tensor = _CandidateLoss.apply(
            query, self.embeddings, labels, present, targets.rows, slots, self.pending
        )
        return generator_loss + discriminator_loss

    def _most_gold(self, targets: Targets) -> int:
        """Return the most clusters that the labels of one document are in."""
        pairs = np.unique(
            targets.host_rows * self.n_clusters + self.host_clusters[targets.host_columns]
        )
        return int(np.bincount(pairs // self.n_clusters).max(initial=0))

    def _choose(
        self, logits: torch.Tensor, gold: torch.Tensor, most_gold: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return each document's clusters, (batch, n_chosen), and which of them it is to have.

        Its own come first, then the best others; only a document that has more than
        `n_candidate_clusters` of its own has more of them than others.
        """
        n_chosen = max(self.n_candidate_clusters, most_gold)
        chosen = logits.masked_fill(gold.bool(), torch.inf).topk(n_chosen, dim=1)[1]
        n_taken = gold.sum(dim=1, keepdim=True).clamp(min=self.n_candidate_clusters)
        return chosen, torch.arange(n_chosen, device=chosen.device) < n_taken

    def _candidates(
        self, chosen: torch.Tensor, taken: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the labels of clusters, (batch, n_chosen * largest), and which are there.

        A smaller cluster's row is filled up with any labels.
        """
        within = torch.arange(self.largest, device=chosen.device)
        present = within < self.sizes[chosen][:, :, None]
        if taken is not None:
            present &= taken[:, :, None]
        places = (self.starts[chosen][:, :, None] + within).clamp(max=self.n_labels - 1)
        return self.members[places].flatten(1), present.flatten(1)

    def _places(self, chosen: torch.Tensor) -> torch.Tensor:
        """Return where each chosen cluster's labels begin among the candidates, by cluster."""
        begins = torch.arange(chosen.shape[1], device=chosen.device) * self.largest
        places = chosen.new_zeros(len(chosen), self.n_clusters)
        return places.scatter_(1, chosen, begins.expand_as(chosen))

    def _random_negatives(self, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw labels from outside the chosen clusters, each document its own, none twice.

        The labels outside, in the order of their clusters, are cut into as many runs of equal
        length as are wanted, and one is drawn from each.
        """
        outside = self.sizes.expand(len(chosen), -1).scatter(1, chosen, 0)
        ends = outside.cumsum(dim=1)  # (batch, n_clusters)
        n_outside, n_drawn = ends[:, -1:], self.n_random_negatives
        edges = torch.arange(n_drawn + 1, device=chosen.device) * n_outside // n_drawn
        lengths = edges.diff(dim=1)  # (batch, n_drawn)
        # float32, which every device has: below 2^24 labels its product stays under the length.
        chance = torch.rand(lengths.shape, device=chosen.device)
        number = edges[:, :-1] + (chance * lengths).long()
        cluster = torch.searchsorted(ends, number, right=True).clamp(max=self.n_clusters - 1)
        within = number - (ends - outside).gather(1, cluster)
        places = (self.starts[cluster] + within).clamp(max=self.n_labels - 1)
        return self.members[places], lengths > 0

    def logits(self, representation: torch.Tensor, shares: Shares | None = None) -> torch.Tensor:
        """Return the logit of every label's score, float32 of shape (batch, n_labels)."""
        of_clusters = self.generator(representation)
        logits = F.linear(self.query(representation), self.embeddings)
        if shares is not None:
            logits = logits + shares(0, self.n_labels)
        return _logit_of_product(logits, of_clusters[:, self.cluster_of])

    def rank(
        self, representation: torch.Tensor, k: int, shares: Shares | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits of the k best candidates and their columns, equal ones by column.

        More clusters than `n_candidate_clusters` are searched where `k` labels might not be in
        those.
        """
        n_needed = int(np.searchsorted(self.host_sizes.cumsum(), k)) + 1
        logits = self.generator(representation)
        best, chosen = top_k(logits, max(self.n_candidate_clusters, n_needed))
        values, labels = self._score(representation, best, chosen, shares)
        # By label: then equal values come in that order.
        labels, order = labels.sort(dim=1, stable=True)
        values, where = top_k(values.gather(1, order), k)
        return values, labels.gather(1, where)

    def positive(
        self, representation: torch.Tensor, least: float, shares: Shares | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return rows, columns and logits of all labels above `least`, of any cluster.

        A product is at most as large as either factor.
        """
        logits = self.generator(representation)
        n_chosen = int((logits > least).sum(dim=1).max())
        if not n_chosen:
            none = chosen = logits.new_zeros(0, dtype=torch.int64)
            return none, chosen, logits.new_zeros(0)
        best, chosen = top_k(logits, n_chosen)
        values, labels = self._score(representation, best, chosen, shares)
        rows, where, values = above(values, least)
        return rows, labels[rows, where], values

    def _score(
        self,
        representation: torch.Tensor,
        of_clusters: torch.Tensor,
        chosen: torch.Tensor,
        shares: Shares | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits of the labels of clusters, -inf where there is none, and the labels."""
        labels, present = self._candidates(chosen)
        logits = candidate_logits(self.embeddings, self.query(representation), labels)
        if shares is not None:
            logits = logits + shares(0, self.n_labels).gather(1, labels)
        of_clusters = of_clusters.repeat_interleave(self.largest, dim=1)
        return _logit_of_product(logits, of_clusters).masked_fill(~present, -torch.inf), labels


def candidate_logits(
    table: torch.Tensor, queries: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Return the products of each query with its own rows of a table.

    Parameters
    ----------
    table : Tensor of float32, shape (n_rows, width)
    queries : Tensor of float32, shape (n, width)
    labels : Tensor of int64, shape (n, n_candidates)

    Returns
    -------
    Tensor of float32, shape (n, n_candidates)
    """
    n, n_candidates = labels.shape
    if n_candidates > len(table):  # with padding; all are fewer
        return (queries @ table.T).gather(1, labels)
    if table.device.type == "cpu":
        # Reads each row once and copies none.
        starts = torch.arange(0, labels.numel() + 1, n_candidates)
        where = _sparse(starts, labels.flatten(), (n, len(table)))
        return torch.sparse.sampled_addmm(where, queries, table.T, beta=0.0).values().view(n, -1)
    return gathered_logits(table, queries, labels)


def gathered_logits(
    table: torch.Tensor, queries: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Return what `candidate_logits` does, of copies of the rows: some documents' at a time."""
    size = max(1, BLOCK["cuda"] // (labels.shape[1] * table.shape[1]))
    parts = []
    for some, of_some in zip(queries.split(size), labels.split(size), strict=True):
        rows = table.index_select(0, of_some.flatten()).view(*of_some.shape, -1)
        parts.append(torch.bmm(rows, some.unsqueeze(2)).squeeze(2))
    return torch.cat(parts)


def _sparse(starts: torch.Tensor, columns: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    zeros = torch.zeros(len(columns))  # multiplied by nought, as beta has it
    return torch.sparse_csr_tensor(starts, columns, zeros, shape, check_invariants=False)


with warnings.catch_warnings():  # torch's, that this kind of tensor is young: said once a process
    warnings.simplefilter("ignore")
    _sparse(torch.zeros(2, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), (1, 1))


def _logit_of_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the logit of ``sigmoid(a) sigmoid(b)``, exact for small and large ones too."""
    log_product = F.logsigmoid(a) + F.logsigmoid(b)
    # log p - log(1 - p); beyond 2^-149 from 1, float32 has no other 1 - p.
    return log_product - torch.log((-torch.expm1(log_product)).clamp(min=2.0**-149))


class _Rescaled(torch.autograd.Function):
    """Two copies of a representation, for the generator and for the discriminator.

    On the way back the generator's gradient is scaled to the norm of the discriminator's, batch
    by batch, before the two are added; where a norm is zero or not finite, they are just added.
    """

    @staticmethod
    def forward(ctx: Any, representation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return representation.view_as(representation), representation.view_as(representation)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        of_generator, of_discriminator = gradients
        ratio = of_discriminator.norm() / of_generator.norm()
        usable = torch.isfinite(ratio) & (ratio > 0)
        return of_generator * torch.where(usable, ratio, 1.0) + of_discriminator


class _CandidateLoss(torch.autograd.Function):
    """Binary cross-entropy of the candidates' logits, summed.

    The gradient of the embeddings is not made: what it is made of goes on `pending`.
    """

    @staticmethod
    def forward(
        ctx: Any,
        queries: torch.Tensor,
        table: torch.Tensor,
        labels: torch.Tensor,
        present: torch.Tensor,
        rows: torch.Tensor,
        slots: torch.Tensor,
        pending: list[TableGradient],
    ) -> torch.Tensor:
        logits = candidate_logits(table, queries, labels)
        loss = (F.softplus(logits) * present).sum() - logits[rows, slots].sum()
        gradient = logits.sigmoid_().mul_(present)
        gradient[rows, slots] -= 1
        starts = torch.arange(len(labels), device=labels.device) * labels.shape[1]
        by_row = SparseRows(labels.flatten(), starts, gradient.flatten())
        ctx.save_for_backward(queries, weighted_sum(table, by_row))
        ctx.by_row, ctx.pending = by_row, pending
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        queries, of_queries = ctx.saved_tensors
        by_row: SparseRows = ctx.by_row
        rows = torch.arange(len(queries), device=queries.device)
        rows = rows.repeat_interleave(len(by_row.numbers) // len(queries))
        columns, by_column = group_by_column(by_row.numbers, rows, by_row.weights)
        ctx.pending.append(TableGradient(columns, by_column, queries * gradients[0]))
        return of_queries * gradients[0], None, None, None, None, None, None
