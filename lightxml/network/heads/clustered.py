"""LightXML's head for many labels: a generator of candidates and a discriminator among them."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import nn

from lightxml.network.batches import Targets
from lightxml.network.described import Described, check_counts
from lightxml.network.heads.base import (
    INITIAL_BIAS,
    Head,
    Represented,
    above,
    kept_rows,
    linear,
    queries,
    start_at_centroids,
    top_k,
)
from lightxml.network.heads.candidates import CandidateLoss, Rescaled, candidate_logits
from lightxml.network.heads.weighting import total
from lightxml.network.pending import ADAMW_BYTES
from lightxml.network.tables import BLOCK, RowAdagrad, TableGradient

# Of what label embeddings are multiplied with, so that no document speaks louder than others.
# Behind a bottleneck with all labels (`ChunkedHead`), one length only slowed the training down.
QUERY_LENGTH = 8.0
# Of the embeddings' rate in terms of the other weights'; chosen on validation documents.
LABEL_RATE = 10.0


class ClusteredHead(Head):
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

    kind = "clustered"
    by_label = ("embeddings",)
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
        if self.cluster_of.is_meta:
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
            setattr(self, name, torch.from_numpy(array).to(self.cluster_of.device))
        # On the host, where the sizes of arrays are decided.
        self.host_clusters, self.host_sizes = clusters, np.sort(sizes)

    def set_clusters(self, clusters: np.ndarray) -> None:
        """Take the cluster of each label, int64 of shape (n_labels,)."""
        self.cluster_of.copy_(torch.from_numpy(clusters.astype(np.int64)))
        self.arrange()

    def check(self) -> None:
        """Refuse clusters out of range or empty, and arrange the labels by them."""
        self.arrange()

    @property
    def n_labels(self) -> int:
        """Labels that it ranks."""
        return len(self.embeddings)

    @property
    def label_bias(self) -> torch.Tensor:
        """The labels' biases themselves, shape (n_labels,), outside of differentiation."""
        return self.embeddings.data[:, -1]

    @property
    def label_clusters(self) -> np.ndarray:
        """The cluster of each label, int64 of shape (n_labels,)."""
        return self.cluster_of.cpu().numpy()

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
            to_generator, to_discriminator = Rescaled.apply(representation)
        logits = linear(self.generator, to_generator, dtype)  # (batch, n_clusters)
        clusters = self.cluster_of[targets.columns]
        gold = torch.zeros_like(logits)
        gold[targets.rows, clusters] = 1  # a cluster with two of the labels is one positive
        weights = targets.weights
        generator_loss = total(F.softplus(logits), weights) - total(logits * gold, weights)

        chosen, taken = self._choose(logits.detach(), gold, self._most_gold(targets))
        labels, present = self._candidates(chosen, taken)
        slots = self._places(chosen)[targets.rows, clusters] + self.place[targets.columns]
        if self.n_random_negatives:
            drawn, there = self._random_negatives(chosen)
            labels, present = torch.cat([labels, drawn], 1), torch.cat([present, there], 1)
        query = self._query(to_discriminator, dtype)
        discriminator_loss: torch.Tensor = CandidateLoss.apply(
            query, self.embeddings, labels, present, targets.rows, slots, self.pending, weights
        )
        return generator_loss + discriminator_loss

    def start(
        self, represented: Represented, y: sp.csr_array, labels: np.ndarray | None = None
    ) -> None:
        """Begin each label, and each cluster of labels, at its documents.

        Of some labels, those clusters begin that have no others.
        """
        clusters = self.label_clusters
        rows = np.arange(self.n_labels) if labels is None else labels
        start_at_centroids(self.embeddings, queries(self, represented), y, labels)
        self.embeddings.data[rows, -1] = INITIAL_BIAS
        begin = None
        if labels is not None:
            begin = np.setdiff1d(np.arange(self.n_clusters), np.delete(clusters, labels))
        membership = sp.csr_array(
            (np.ones(len(clusters), dtype=np.float32), (np.arange(len(clusters)), clusters))
        )
        of_clusters = sp.csr_array(y @ membership)
        start_at_centroids(self.generator.weight, represented(), of_clusters, begin)

    @torch.no_grad()
    def take_over(self, earlier: Head, source: np.ndarray) -> None:
        """Go on where another head has ended, as `Head.take_over`; its own clusters stay.

        A cluster is the one that its labels were in; of new labels alone, it is a new one.
        """
        of_clusters = np.full(self.n_clusters, -1)
        known = source >= 0
        assert earlier.label_clusters is not None
        of_clusters[self.label_clusters[known]] = earlier.label_clusters[source[known]]
        given = earlier.state_dict()
        for name, own in self.state_dict().items():
            if name in self.by_label or name.startswith("generator."):
                rows, sources = kept_rows(source if name in self.by_label else of_clusters)
                own[rows] = given[name][sources].to(own)
            elif name != "cluster_of":
                own.copy_(given[name])

    def optimizer(self, rate: float, seed: int) -> RowAdagrad:
        """Return what moves the embeddings; the two linear layers are AdamW's."""
        return RowAdagrad(self.embeddings, self.pending, LABEL_RATE * rate)

    def training_bytes(self, batch_size: int) -> dict[str, int]:
        """Count gradients and moments of the linear layers, and a batch's candidates."""
        others = sum(p.numel() for p in self.parameters()) - self.embeddings.numel()
        n_candidates = self.n_candidate_clusters * self.largest + self.n_random_negatives
        # Labels, masks, places, logits and their order by label; then the clusters' logits.
        output = batch_size * (72 * n_candidates + 40 * self.n_clusters)
        if self.embeddings.is_cuda:
            # Copies of the candidates' rows, or what the touched rows move by: blocks of both.
            of_document = n_candidates * self.embeddings.shape[1]
            output += 4 * max(of_document, min(batch_size * of_document, BLOCK["cuda"]))
        return {"optimizer": ADAMW_BYTES * others, "output": output}

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

    def logits(self, representation: torch.Tensor) -> torch.Tensor:
        """Return the logit of every label's score, float32 of shape (batch, n_labels)."""
        of_clusters = self.generator(representation)
        logits = F.linear(self.query(representation), self.embeddings)
        return _logit_of_product(logits, of_clusters[:, self.cluster_of])

    def logits_of(self, representation: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Return the logits of some labels' scores, of each document its own."""
        of_clusters = self.generator(representation).gather(1, self.cluster_of[columns])
        logits = candidate_logits(self.embeddings, self.query(representation), columns)
        return _logit_of_product(logits, of_clusters)

    def rank(self, representation: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits of the k best candidates and their columns, equal ones by column.

        More clusters than `n_candidate_clusters` are searched where `k` labels might not be in
        those.
        """
        n_needed = int(np.searchsorted(self.host_sizes.cumsum(), k)) + 1
        logits = self.generator(representation)
        best, chosen = top_k(logits, max(self.n_candidate_clusters, n_needed))
        values, labels = self._score(representation, best, chosen)
        # By label: then equal values come in that order.
        labels, order = labels.sort(dim=1, stable=True)
        values, where = top_k(values.gather(1, order), k)
        return values, labels.gather(1, where)

    def positive(
        self, representation: torch.Tensor, least: float
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
        values, labels = self._score(representation, best, chosen)
        rows, where, values = above(values, least)
        return rows, labels[rows, where], values

    def _score(
        self, representation: torch.Tensor, of_clusters: torch.Tensor, chosen: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits of the labels of clusters, -inf where there is none, and the labels."""
        labels, present = self._candidates(chosen)
        logits = candidate_logits(self.embeddings, self.query(representation), labels)
        of_clusters = of_clusters.repeat_interleave(self.largest, dim=1)
        return _logit_of_product(logits, of_clusters).masked_fill(~present, -torch.inf), labels

    def describe(self) -> Described:
        """Return its kind and sizes; what acts in training only is not kept."""
        return {
            "kind": self.kind,
            "label_dim": self.project.out_features,
            "n_clusters": self.n_clusters,
            "n_candidate_clusters": self.n_candidate_clusters,
        }

    @classmethod
    def made_of(cls, described: Described, width: int, n_labels: int) -> ClusteredHead:
        """Return a new head with any clusters, of that number: its own are to be set or loaded."""
        check_counts(described, label_dim=1, n_clusters=1, n_candidate_clusters=1)
        if described["n_clusters"] > n_labels:
            raise ValueError(f"it has {described['n_clusters']} clusters of {n_labels} labels")
        return cls(
            width,
            np.arange(n_labels) % described["n_clusters"],
            described["label_dim"],
            n_candidate_clusters=described["n_candidate_clusters"],
            n_random_negatives=described.get("n_random_negatives", 0),
            loss_correction=described.get("loss_correction", False),
        )


def _logit_of_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the logit of ``sigmoid(a) sigmoid(b)``, exact for small and large ones too."""
    log_product = F.logsigmoid(a) + F.logsigmoid(b)
    # log p - log(1 - p); beyond 2^-149 from 1, float32 has no other 1 - p.
    return log_product - torch.log((-torch.expm1(log_product)).clamp(min=2.0**-149))
