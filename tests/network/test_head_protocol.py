"""What every head answers (`lightxml.network.heads.base.Head`), held against its own logits."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lightxml.data.inputs import Reader
from lightxml.fitting.footprint import training_memory
from lightxml.network.batches import Targets, make_targets
from lightxml.network.config import NetworkConfig
from lightxml.network.features import describe_features
from lightxml.network.heads import chunks
from lightxml.network.heads.base import Head, above, top_k
from lightxml.network.heads.kinds import HEADS, choose_head, make_head
from lightxml.network.heads.one_vs_all import OneVsAllHead
from lightxml.network.network import LightXMLNetwork
from lightxml.network.pending import PendingOptimizer
from lightxml.predicting.fitted import FittedModel
from lightxml.storage.model import pack_model, unpack_model
from lightxml.training.optimizers import make_optimizers

WIDTH, N_LABELS, N_DOCUMENTS = 6, 24, 12
CLUSTERS = np.random.default_rng(0).permutation(np.arange(N_LABELS) % 7)
RNG = np.random.default_rng(1)
Y = sp.csr_array((RNG.random((N_DOCUMENTS, N_LABELS)) < 0.15).astype(np.int8))
DESCRIBED: dict[str, dict[str, Any]] = {
    "one_vs_all": {},
    "chunked": {"label_dim": 4},
    "clustered": {"label_dim": 4, "n_clusters": 7, "n_candidate_clusters": 2},
}
WITH_PENDING = pytest.mark.parametrize("kind", ["chunked", "clustered"])


def new_head(kind: str, n_labels: int = N_LABELS, **sizes: Any) -> Head:
    """A head as it begins."""
    torch.manual_seed(0)
    return make_head({"kind": kind, **DESCRIBED[kind], **sizes}, WIDTH, n_labels)


def learnt(head: Head) -> Head:
    """The head with weights far from the start, where all labels are alike, and its clusters."""
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_()
    if head.label_clusters is not None:
        head.set_clusters(CLUSTERS)
    return head


@pytest.fixture(params=HEADS)
def head(request: pytest.FixtureRequest) -> Head:
    return learnt(new_head(request.param))


def representation(n: int = N_DOCUMENTS) -> torch.Tensor:
    return torch.randn(n, WIDTH, generator=torch.Generator().manual_seed(1))


def targets(y: sp.csr_array = Y) -> Targets:
    return make_targets(y, np.arange(y.shape[0]), torch.device("cpu"))


def loss_of(head: Head, e: torch.Tensor, y: sp.csr_array = Y) -> torch.Tensor:
    return head.loss(e, targets(y), torch.float32)


def test_the_table_names_every_kind() -> None:
    assert HEADS.keys() == DESCRIBED.keys()
    assert all(cls.kind == kind for kind, cls in HEADS.items())


# In prediction ---------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [1, 5, N_LABELS, 3 * N_LABELS], ids="{} columns".format)
def test_logits_of_some_labels_are_those_among_all(head: Head, m: int) -> None:
    e = representation()
    columns = torch.from_numpy(np.random.default_rng(0).integers(N_LABELS, size=(N_DOCUMENTS, m)))
    with torch.no_grad():
        found, logits = head.logits_of(e, columns), head.logits(e)
    assert found.dtype == logits.dtype == torch.float32
    assert logits.shape == (N_DOCUMENTS, N_LABELS)
    torch.testing.assert_close(found, logits.gather(1, columns), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("k", [1, 7, N_LABELS])
def test_a_ranking_is_by_the_logits_best_first(head: Head, k: int) -> None:
    e = representation()
    with torch.no_grad():
        (values, columns), logits = head.rank(e, k), head.logits(e)
    torch.testing.assert_close(values, logits.gather(1, columns), atol=1e-5, rtol=1e-5)
    assert (values.diff(dim=1) <= 0).all()
    assert all(len(set(row)) == k for row in columns.tolist())
    if k == N_LABELS or head.label_clusters is None:
        assert torch.equal(columns, top_k(logits, k)[1])


@pytest.mark.parametrize("least", [-1.0, 0.0, 1e4])
def test_labels_above_a_score_are_all_found_in_whatever_cluster(head: Head, least: float) -> None:
    e = representation()
    with torch.no_grad():
        *found, values = head.positive(e, least)
        *expected, wanted = above(head.logits(e), least)
    order = np.lexsort([part.numpy() for part in reversed(found)])
    for ours, theirs in zip(found, expected, strict=True):
        assert ours[order].tolist() == theirs.tolist()
    torch.testing.assert_close(values[order], wanted, atol=1e-5, rtol=1e-5)
    assert (len(values) == 0) == (least == 1e4)


def test_a_labels_bias_is_its_own(head: Head) -> None:
    with torch.no_grad():
        before = head.logits(representation())
        head.label_bias[3] += 2
        after = head.logits(representation())
    assert (after[:, 3] > before[:, 3]).all()
    others = torch.arange(N_LABELS) != 3
    assert torch.equal(after[:, others], before[:, others])
    assert head.label_bias.shape == (head.n_labels,) == (N_LABELS,)


def test_every_label_begins_with_a_small_probability() -> None:
    for kind in HEADS:
        with torch.no_grad():
            assert torch.sigmoid(new_head(kind).logits(torch.zeros(1, WIDTH))).max() < 0.01, kind


# In training -----------------------------------------------------------------------------------


def test_a_document_counts_the_same_in_whatever_batch(head: Head) -> None:
    e = representation()
    alone = [loss_of(head, e[[i]], Y[[i]]) for i in range(N_DOCUMENTS)]
    torch.testing.assert_close(sum(alone), loss_of(head, e))


@pytest.mark.parametrize("kind", HEADS)
def test_its_optimizers_together_move_every_weight_and_the_loss_falls(kind: str) -> None:
    head, e = new_head(kind), representation()
    own = head.optimizer(0.02, seed=0)
    elsewhere = [] if own is None else [id(p) for g in own.param_groups for p in g["params"]]
    rest = [p for p in head.parameters() if id(p) not in elsewhere]
    optimizers = [torch.optim.AdamW(rest, 0.02), *([] if own is None else [own])]
    before = [p.detach().clone() for p in head.parameters()]
    losses = []
    with head.in_training():
        for _ in range(60):
            loss = loss_of(head, e)
            losses.append(loss.item())
            (loss / N_DOCUMENTS).backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
    assert losses[-1] < losses[0] / 2
    for parameter, begin in zip(head.parameters(), before, strict=True):
        assert not torch.equal(parameter, begin)
        assert parameter.dtype == torch.float32


@WITH_PENDING
def test_a_step_that_is_dropped_moves_nothing_and_leaves_nothing_behind(kind: str) -> None:
    head = learnt(new_head(kind))
    optimizer = head.optimizer(0.5, seed=0)
    assert isinstance(optimizer, PendingOptimizer)
    before = [p.detach().clone() for p in head.parameters()]
    loss_of(head, representation().requires_grad_()).backward()
    assert optimizer.pending
    optimizer.zero_grad()
    assert not optimizer.pending
    optimizer.step()
    assert not optimizer.state
    for parameter, begin in zip(head.parameters(), before, strict=True):
        assert torch.equal(parameter, begin)


@WITH_PENDING
def test_an_optimizer_goes_on_from_its_state(kind: str) -> None:
    heads = [learnt(new_head(kind)) for _ in range(2)]
    unbroken, broken = (head.optimizer(0.1, seed=0) for head in heads)
    for step in range(4):
        if step == 2:
            state = broken.state_dict()
            broken = heads[1].optimizer(0.7, seed=0)
            broken.load_state_dict(state)
        for head, optimizer in zip(heads, (unbroken, broken), strict=True):
            loss_of(head, representation()).backward()
            optimizer.step()
            optimizer.zero_grad()
    for ours, theirs in zip(*(head.parameters() for head in heads), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("kind", HEADS)
def test_documents_that_are_told_apart_by_their_labels_are_ranked_right_from_the_start(
    kind: str,
) -> None:
    directions = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(3))
    label_of = np.arange(40) % 5
    e = directions[label_of] + 0.1 * representation(40)
    y = sp.csr_array((np.ones(40, np.int8), (np.arange(40), label_of)), shape=(40, N_LABELS))
    head = new_head(kind, n_candidate_clusters=7) if kind == "clustered" else new_head(kind)
    parts = np.split(np.arange(40), [13, 20])
    head.start(lambda: ((rows, e[rows]) for rows in parts), y)
    with torch.no_grad():
        columns = head.rank(e, 1)[1].flatten().numpy()
    # Clusters, and a bottleneck that is drawn at random, lose some.
    assert (columns == label_of).mean() >= (1.0 if kind == "one_vs_all" else 0.75)


def test_another_head_takes_the_weights_of_labels_over(head: Head) -> None:
    """Labels go, come and change places; what each says of a document stays."""
    source = np.array([-1, *np.random.default_rng(0).permutation(N_LABELS)[:15], -1, -1])
    known = source >= 0
    sizes, clusters = {}, None
    if head.label_clusters is not None:  # new ones in clusters that there were
        clusters = np.unique(CLUSTERS[np.where(known, source, source[1])], return_inverse=True)[1]
        sizes = {"n_clusters": int(clusters.max()) + 1}
    heads = [new_head(head.kind, len(source), **sizes) for _ in range(2)]
    for each in heads:
        if clusters is not None:
            each.set_clusters(clusters)
    taken, fresh = heads
    taken.take_over(head, source)
    e = representation()
    with torch.no_grad():
        found, before = taken.logits(e)[:, known], head.logits(e)[:, source[known]]
    torch.testing.assert_close(found, before, atol=1e-5, rtol=1e-5)
    for name in taken.by_label:
        new = torch.from_numpy(~known)
        assert torch.equal(taken.state_dict()[name][new], fresh.state_dict()[name][new])
    # Then the new ones, and no others, begin at their documents.
    y = np.outer(np.arange(N_DOCUMENTS) < 5, np.arange(len(source)) % 3 == 0).astype(np.int8)
    kept = {name: value.clone() for name, value in taken.state_dict().items()}
    taken.start(lambda: [(np.arange(N_DOCUMENTS), e)], sp.csr_array(y), np.flatnonzero(~known))
    for name, value in taken.state_dict().items():
        rows = torch.from_numpy(known) if name in taken.by_label else slice(None)
        assert torch.equal(value[rows], kept[name][rows]), name
    first = taken.by_label[0]
    assert taken.state_dict()[first][0].norm() > 0.9
    assert not torch.equal(taken.state_dict()[first][0], kept[first][0])


def test_the_estimate_counts_what_adamw_moves(head: Head) -> None:
    own = head.optimizer(0.1, seed=0)
    # A bias of each label counts with the rest where it is not in the same array.
    elsewhere = 0 if own is None else own.param_groups[0]["params"][0].numel()
    n_weights = sum(p.numel() for p in head.parameters())
    few, many = head.training_bytes(1), head.training_bytes(100)
    assert few["optimizer"] == many["optimizer"] == 12 * (n_weights - elsewhere)
    assert many["output"] > few["output"] > 0


class Largest(TorchDispatchMode):
    """Record the size of the largest tensor that any operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        out = function(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided:
                self.size = max(self.size, tensor.numel())
        return out


@pytest.mark.parametrize("kind", HEADS)
def test_a_few_logits_are_made_without_the_others(kind: str) -> None:
    n_labels, n_documents = 20_000, 32
    sizes = {"n_clusters": n_labels // 50} if kind == "clustered" else {}
    head = new_head(kind, n_labels, **sizes)
    e, columns = representation(n_documents), torch.randint(n_labels, (n_documents, 5))
    with torch.no_grad(), Largest() as largest:
        head.logits_of(e, columns)
    # The clusters' logits, or the table of labels: it is turned, not copied.
    assert largest.size <= n_labels * WIDTH < n_documents * n_labels // 4


@WITH_PENDING
def test_no_array_of_documents_times_labels_is_made(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_labels, n_documents = 50_000, 32
    monkeypatch.setitem(chunks._BLOCK, "cpu", 2_000)
    sizes = {"n_clusters": 1_000, "n_random_negatives": 50} if kind == "clustered" else {}
    head = new_head(kind, n_labels, **sizes)
    optimizer = head.optimizer(0.1, seed=0)
    labels = RNG.integers(n_labels, size=3 * n_documents)
    rows = np.repeat(np.arange(n_documents), 3)
    y = sp.csr_array((np.ones(len(rows), np.int8), (rows, labels)), (n_documents, n_labels))
    optimizer.step()
    assert not optimizer.state
    with Largest() as largest:
        loss_of(head, representation(n_documents).requires_grad_(), y).backward()
        optimizer.step()
        if kind == "clustered":
            with torch.no_grad():
                head.rank(representation(n_documents), 5)
    # The labels' own table is the largest there is.
    assert largest.size <= n_labels * 5 < n_documents * n_labels


# In a saved model ------------------------------------------------------------------------------


def test_it_is_made_again_by_its_description_and_its_arrays(head: Head) -> None:
    described = json.loads(json.dumps(head.describe()))
    again = make_head(described, WIDTH, N_LABELS)
    again.load_state_dict(head.state_dict())
    again.check()
    assert again.describe() == head.describe()
    assert type(again) is type(head)
    with torch.no_grad():
        for k in (1, N_LABELS):
            for ours, theirs in zip(
                again.rank(representation(), k), head.rank(representation(), k), strict=True
            ):
                assert torch.equal(ours, theirs)
    if head.label_clusters is not None:
        assert np.array_equal(again.label_clusters, CLUSTERS)


@pytest.mark.parametrize("kind", HEADS)
def test_sizes_that_are_none_are_refused(kind: str) -> None:
    for name in DESCRIBED[kind]:
        for value in (0, -1, "4", 1.5, True, None):
            with pytest.raises(ValueError, match=name):
                new_head(kind, **{name: value})
    with pytest.raises(ValueError, match="its head is 'secret'"):
        make_head({"kind": "secret"}, WIDTH, N_LABELS)


def test_clusters_that_are_none_are_refused(head: Head) -> None:
    if head.label_clusters is None:
        with pytest.raises(TypeError, match="has no label clusters"):
            head.set_clusters(CLUSTERS)
        return
    for wrong, message in ((-1, "out of range"), (7, "out of range"), (2**40, "out of range")):
        clusters = CLUSTERS.copy()
        clusters[3] = wrong
        with pytest.raises(ValueError, match=message):
            head.set_clusters(clusters)
    with pytest.raises(ValueError, match="cluster 6 of its labels has no label"):
        head.set_clusters(np.minimum(CLUSTERS, 5))


@pytest.mark.parametrize(
    ("label_dim", "clusters", "kind"),
    [(None, None, "one_vs_all"), (4, None, "chunked"), (4, CLUSTERS, "clustered")],
)
def test_the_arguments_choose_a_head(
    label_dim: int | None, clusters: np.ndarray | None, kind: str
) -> None:
    described = choose_head(label_dim, clusters, n_candidate_clusters=2)
    assert described == {"kind": kind, **DESCRIBED[kind]}


class TwiceHead(OneVsAllHead):
    """A fourth head: all that the package is told of it is its line in the table."""

    kind = "twice"

    def logits(self, representation: torch.Tensor) -> torch.Tensor:
        return 2 * super().logits(representation)


def test_a_fourth_head_is_trained_counted_and_saved_by_its_line_in_the_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(HEADS, "twice", TwiceHead)
    matrix = sp.csr_array(np.eye(N_DOCUMENTS, 9, dtype=np.float32))
    features = describe_features(matrix, WIDTH)
    config = NetworkConfig(N_LABELS, {"kind": "twice"}, features, n_feature_layers=0)
    network = LightXMLNetwork(config)
    network.features.fit(matrix)
    assert network.config == config
    moved = {id(p) for o in make_optimizers(network, 1e-3, 1e-2, 0.01, 0) for g in o.param_groups
             for p in g["params"]}  # fmt: skip
    assert moved == {id(p) for p in network.parameters()}
    assert training_memory(network, 10, 1, averages=False)["output"] == 12 * 10 * N_LABELS
    classes = np.arange(N_LABELS)
    bundle = pack_model(
        FittedModel(Reader(False, n_features=9), classes, "dense", network, None, [])
    )
    again = unpack_model(bundle, classes).network
    assert again.config == config
    assert type(again.head) is TwiceHead
    e = representation()
    assert torch.equal(again.head.logits(e), network.head.logits(e))
