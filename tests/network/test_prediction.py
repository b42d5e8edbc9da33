"""Ranking: what must not change an answer, where it may run, and what it may cost."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightxml import LightXMLClassifier, load
from lightxml.data.documents import EncodedDocuments, TokenStore
from lightxml.network import prediction
from lightxml.network.batches import Batch
from lightxml.network.heads.base import above, top_k
from lightxml.network.heads.one_vs_all import OneVsAllHead

Documents = tuple[list[str], sp.csr_array]
Make = Callable[..., LightXMLClassifier]

# Of a float32 score, whatever batch its document is in.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def model(make_classifier: Make, documents: Documents) -> LightXMLClassifier:
    """A fitted estimator in float32, with twelve labels; tests only read it."""
    return make_classifier(max_epochs=3, precision="fp32").fit(*documents)


@pytest.fixture(scope="module")
def without_weights(
    make_classifier: Make, documents: Documents, labels: list[tuple[str, ...]]
) -> LightXMLClassifier:
    """An estimator of named labels whose scores are its biases, whatever the document."""
    model = make_classifier(max_epochs=1).fit(documents[0], labels)
    with torch.no_grad():
        model.network_.head.weight.zero_()
    return model


def texts(max_size: int = 12) -> st.SearchStrategy[list[str]]:
    """Documents of learnt words, of any characters, and of none."""
    words = st.lists(st.sampled_from(["kodona", "rizisa", "vevafe", "zezime"]), max_size=20)
    document = st.one_of(words.map(" ".join), st.text(max_size=30))
    return st.lists(document, min_size=1, max_size=max_size)


def agree(found: np.ndarray, expected: np.ndarray) -> bool:
    return np.allclose(found, expected, rtol=0, atol=TOLERANCE)


# What changes no answer ------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(X=texts(), ks=st.tuples(st.integers(1, 12), st.integers(1, 12)))
def test_a_shorter_ranking_is_the_start_of_a_longer_one(
    model: LightXMLClassifier, X: list[str], ks: tuple[int, int]
) -> None:
    short, long = sorted(ks)
    labels, scores = model.predict_topk(X, short, return_scores=True)
    all_labels, all_scores = model.predict_topk(X, long, return_scores=True)
    assert np.array_equal(labels, all_labels[:, :short])
    assert np.array_equal(scores, all_scores[:, :short])


@settings(max_examples=25, deadline=None)
@given(X=texts(), data=st.data())
def test_order_changes_no_score(
    model: LightXMLClassifier, X: list[str], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(X))))
    shuffled = model.decision_function([X[i] for i in order])
    assert agree(shuffled, model.decision_function(X)[order])


@settings(max_examples=25, deadline=None)
@given(X=texts(max_size=4), neighbors=texts())
def test_neighbors_change_no_score(
    model: LightXMLClassifier, X: list[str], neighbors: list[str]
) -> None:
    together = model.decision_function([*neighbors, *X, *neighbors])
    begin = len(neighbors)
    assert agree(together[begin : begin + len(X)], model.decision_function(X))


@settings(max_examples=25, deadline=None)
@given(X=texts(), max_tokens=st.integers(1, 200), max_logits=st.integers(1, 100))
def test_the_size_of_batches_changes_no_score(
    model: LightXMLClassifier, X: list[str], max_tokens: int, max_logits: int
) -> None:
    expected = model.decision_function(X)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(prediction.MAX_TOKENS, "cpu", max_tokens)
        patch.setattr(prediction, "_MAX_LOGITS", max_logits)
        assert agree(model.decision_function(X), expected)


@settings(max_examples=50, deadline=None)
@given(X=texts())
def test_every_score_is_a_probability_and_every_method_tells_the_same(
    model: LightXMLClassifier, X: list[str]
) -> None:
    scores = model.predict_proba(X)
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all(), "NaN is neither"
    labels, ranked = model.predict_topk(X, 12, return_scores=True)
    assert np.array_equal(np.sort(labels, axis=1), np.tile(np.arange(12), (len(X), 1)))
    assert (np.diff(ranked, axis=1) <= 0).all()
    assert np.array_equal(np.take_along_axis(scores, labels, axis=1), ranked)
    assert np.array_equal(model.predict(X).toarray(), scores >= 0.5)


def test_predict_takes_the_scores_that_are_shown_as_a_half(
    without_weights: LightXMLClassifier,
) -> None:
    # Logits around zero whose scores round to one half, or to the floats below it.
    bias = [0.0, -0.0, 1e-30, -1e-30, -1e-8, -3e-8, -6e-8, -9e-8, -1.2e-7, -2e-7, -1e-6, 1e-6]
    with torch.no_grad():
        without_weights.network_.head.bias.copy_(torch.tensor(bias))
    scores = without_weights.predict_proba(["a"])[0]
    assert 0 < (scores == 0.5).sum() < 12
    chosen = tuple(without_weights.classes_[scores >= 0.5])
    assert without_weights.predict(["a"] * 9) == [chosen] * 9
    labels, ranked = without_weights.predict_topk(["a"], 12, return_scores=True)
    assert set(labels[ranked >= 0.5]) == set(chosen)


# Ties ------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(bias=st.lists(st.sampled_from([-1.0, 0.0, 2.0]), min_size=12, max_size=12))
def test_labels_tied_at_any_place_come_in_the_order_of_classes(
    without_weights: LightXMLClassifier, bias: list[float]
) -> None:
    with torch.no_grad():
        without_weights.network_.head.bias.copy_(torch.tensor(bias))
    expected = without_weights.classes_[np.argsort(-np.array(bias), kind="stable")]
    for k in range(1, 13):
        assert without_weights.predict_topk(["a b", ""], k).tolist() == [expected[:k].tolist()] * 2


# Threads and processes -------------------------------------------------------------------------


def test_eight_threads_on_one_estimator_answer_as_one(
    model: LightXMLClassifier, documents: Documents
) -> None:
    X = documents[0]
    slices = [X[i : i + 12] for i in range(0, 48, 6)]
    expected = [model.predict_topk(s, 4, return_scores=True) for s in slices]
    start = threading.Barrier(8)

    def predict(i: int) -> list[Any]:
        start.wait(timeout=60)
        return [model.predict_topk(slices[i], 4, return_scores=True) for _ in range(5)]

    with ThreadPoolExecutor(8) as pool:
        for answers, (labels, scores) in zip(pool.map(predict, range(8)), expected, strict=True):
            for found_labels, found_scores in answers:
                assert np.array_equal(found_labels, labels)
                assert agree(found_scores, scores)


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks processes")
# What Python 3.12 says of every fork of a process with threads is what these tests are about.
may_fork = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@contextmanager
def torch_threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_a_forked_child(work: Callable[[], Any], path: Path) -> Any:
    """Return what `work` returns in a forked child; a child that hangs is a failure."""

    def report() -> None:
        path.write_bytes(pickle.dumps((work(), torch.get_num_threads())))

    child = multiprocessing.get_context("fork").Process(target=report)
    child.start()
    child.join(timeout=120)
    if child.is_alive():
        child.kill()
        child.join()
        pytest.fail("The forked child hangs.")
    assert child.exitcode == 0
    answer, n_threads = pickle.loads(path.read_bytes())
    assert n_threads == 1
    return answer


@needs_fork
@may_fork
@pytest.mark.parametrize("task", ["predict", "fit"])
def test_a_forked_child_works_after_its_parent_predicted(
    make_classifier: Make,
    model: LightXMLClassifier,
    documents: Documents,
    tmp_path: Path,
    task: str,
) -> None:
    X, y = documents
    with torch_threads(2):  # those that the child has not
        expected = model.decision_function(X)
        if task == "predict":
            found = in_a_forked_child(lambda: model.decision_function(X), tmp_path / "answer")
            assert agree(found, expected)
        else:
            again = make_classifier(max_epochs=1)
            found = in_a_forked_child(lambda: again.fit(X, y).score(X, y), tmp_path / "answer")
            assert 0 <= found <= 1
        assert torch.get_num_threads() == 2, "the parent keeps its own"
        assert np.array_equal(model.decision_function(X), expected)


@needs_fork
@may_fork
@pytest.mark.slow
def test_a_forked_child_works_from_any_thread_and_can_load(
    model: LightXMLClassifier, documents: Documents, tmp_path: Path
) -> None:
    X = documents[0]
    model.save(tmp_path / "model")

    def work() -> list[np.ndarray]:
        # OpenMP keeps its settings for each thread apart: the forked one comes last.
        with ThreadPoolExecutor(2) as pool:
            answers = [*pool.map(model.decision_function, [X, X, X])]
        answers.append(model.decision_function(X))
        answers.append(load(tmp_path / "model", "cpu").decision_function(X))
        answers.append(copy.deepcopy(model).decision_function(X))
        return answers

    with torch_threads(2):
        expected = model.decision_function(X)
        found = in_a_forked_child(work, tmp_path / "answer")
        assert all(agree(answer, expected) for answer in found)


def test_outside_a_forked_child_the_threads_are_the_callers(
    model: LightXMLClassifier, documents: Documents
) -> None:
    with torch_threads(2):
        model.predict_topk(documents[0][:2])
        assert torch.get_num_threads() == 2


@pytest.mark.slow
def test_joblibs_processes_answer_the_same(model: LightXMLClassifier, documents: Documents) -> None:
    X = documents[0]
    with joblib.parallel_config("loky", n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(model.decision_function)(X[i::2]) for i in (0, 1))
    for i in (0, 1):
        assert agree(found[i], model.decision_function(X[i::2]))


# What it costs ---------------------------------------------------------------------------------

needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")


def held_bytes(column: int) -> int:
    """Return this process's memory from /proc: column 0 is what is mapped, 1 what is resident."""
    pages = Path("/proc/self/statm").read_text().split()[column]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@needs_proc
@pytest.mark.slow
def test_a_thousand_predictions_leak_neither_memory_nor_files(
    model: LightXMLClassifier, documents: Documents
) -> None:
    X = documents[0]

    def predict(times: int) -> None:
        for i in range(times):
            model.predict_topk(X[i % 50 : i % 50 + 3], 3, return_scores=True)
            model.predict(X[i % 50 : i % 50 + 3])

    predict(200)
    memory, files = held_bytes(1), len(os.listdir("/proc/self/fd"))
    predict(1_000)
    assert held_bytes(1) - memory < 2**20, "half a kilobyte a prediction"
    assert len(os.listdir("/proc/self/fd")) == files


def test_no_more_documents_at_a_time_than_their_logits_allow(
    model: LightXMLClassifier, documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, read, m = model.network_, model._read(documents[0]).encoded, 24
    columns = np.random.default_rng(0).integers(12, size=(len(read), m))
    expected = np.take_along_axis(prediction.predict_logits(network, read), columns, axis=1)
    sizes: list[int] = []
    logits_of = network.logits_of

    def counted(batch: Batch, wanted: torch.Tensor) -> torch.Tensor:
        sizes.append(len(wanted))
        return logits_of(batch, wanted)

    monkeypatch.setattr(network, "logits_of", counted)
    monkeypatch.setattr(prediction, "_MAX_LOGITS", 7 * m)
    assert agree(prediction.predict_logits_of(network, read, columns), expected)
    assert (max(sizes), sum(sizes)) == (7, len(read))


@contextmanager
def memory_limit(n_bytes: int) -> Iterator[None]:
    """Let an allocation fail that takes this process more than so far above what it holds."""
    import resource  # which not every system has

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (held_bytes(0) + n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


class WideNetwork(torch.nn.Module):
    """Ranks the labels the same for every document: label j by ``ranking[j]``."""

    pad_id = 0
    device = torch.device("cpu")

    def __init__(self, ranking: np.ndarray) -> None:
        super().__init__()
        self.head = OneVsAllHead(1, len(ranking))
        with torch.no_grad():
            self.head.weight[:, 0] = torch.from_numpy(ranking / len(ranking))
        # Of one batch; a fresh one each time would cost more than all else here.
        self.out = torch.empty(2**26 // len(ranking), len(ranking))

    def logits(self, batch: Batch) -> torch.Tensor:
        lengths = batch.tokens.lengths[:, None].float()
        out = self.out[: len(lengths)]
        return torch.addmm(self.head.bias, lengths, self.head.weight.T, out=out)

    def rank(self, batch: Batch, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        return top_k(self.logits(batch), k)

    def positive(self, batch: Batch, least: float) -> tuple[torch.Tensor, ...]:
        return above(self.logits(batch), least)


@needs_proc
@pytest.mark.parametrize(
    "n_documents", [3_000, pytest.param(100_000, marks=pytest.mark.slow)], ids="{:,}".format
)
def test_documents_times_100000_labels_are_never_held_at_once(n_documents: int) -> None:
    n_labels = 100_000
    most = 512 * 2**20  # one batch of logits, and what ranks it
    assert n_documents * n_labels * np.dtype(np.float32).itemsize > 2 * most
    ranking = np.random.default_rng(0).permutation(n_labels)
    starts = np.concatenate([[0], np.cumsum(np.tile([1, 2, 3], n_documents)[:n_documents])])
    store = EncodedDocuments(TokenStore(np.ones(starts[-1], dtype=np.int32), starts))
    best = np.argsort(-ranking)[:5]
    # Each of torch's threads would map memory of its own.
    with torch_threads(1), memory_limit(most):
        network: Any = WideNetwork(ranking)
        columns, logits = prediction.predict_topk(network, store, 5)
        positive = prediction.predict_positive(network, store, 0.5)
    assert (columns == best).all()
    assert np.isfinite(logits).all()
    assert positive.shape == (n_documents, n_labels)
    assert positive.nnz == 0


# Devices ---------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("trained_on", "moved_to"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_cpu_and_cuda_agree(
    make_classifier: Make, documents: Documents, tmp_path: Path, trained_on: str, moved_to: str
) -> None:
    X, y = documents
    here = make_classifier(max_epochs=3, device=trained_on, precision="fp32").fit(X, y)
    here.save(tmp_path / "model")
    there = load(tmp_path / "model", device=moved_to)
    assert (here.network_.device.type, there.network_.device.type) == (trained_on, moved_to)
    np.testing.assert_allclose(there.decision_function(X), here.decision_function(X), atol=1e-4)
    labels, scores = here.predict_topk(X, 3, return_scores=True)
    _, moved_scores = there.predict_topk(X, 3, return_scores=True)
    np.testing.assert_allclose(moved_scores, scores, atol=1e-4)
    # The same labels, but for those that are as good as tied.
    by_there = np.take_along_axis(there.predict_proba(X), labels, axis=1)
    np.testing.assert_allclose(by_there, moved_scores, atol=1e-4)
