"""Checkpoints: a fit that was stopped goes on, and ends as if nothing had happened."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV

from lightxml import LightXMLClassifier
from lightxml.data.labels import encode
from lightxml.exceptions import CheckpointError, CheckpointWarning
from lightxml.files import save
from lightxml.files.load import load_bundle, read_record
from lightxml.fitting.fingerprints import fingerprint
from lightxml.network.heads import chunked
from lightxml.training import checkpoints
from lightxml.training import loop as training
from lightxml.training.checkpoints import Checkpoints, checkpoints_in
from lightxml.training.state import TrainingState
from tests.conftest import small_config
from tests.network.test_encoders import save_pretrained

Make = Callable[..., LightXMLClassifier]
Stop = Callable[[int], AbstractContextManager[None]]

Documents = tuple[list[str], sp.csr_array]
# All that makes a training hard to repeat: dropout and negatives drawn at random, label clusters,
# tables with optimizers of their own, averaged weights, several batches a step, of which the last
# is smaller. 7 batches are 4 steps an epoch.
HARD: dict[str, Any] = {
    "encoder": small_config(),
    "rankers": ("network",),
    "features": TfidfVectorizer(),
    "feature_dim": 16,
    "se_block": True,
    "dropout": 0.3,
    "accumulate": 2,
    "swa_start": 0.3,
    "swa_every": 1,
    "max_epochs": 3,
    "label_clusters": True,
    "max_cluster_size": 2,
    "n_candidate_clusters": 2,
    "label_dim": 8,
    "n_random_negatives": 2,
    "loss_correction": True,
}
HARD["encoder"].num_hidden_layers = 1
STEPS = 12


class Stopped(Exception):
    """In place of a power cut."""


@pytest.fixture(autouse=True)
def at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a checkpoint be due after every step and every epoch."""
    monkeypatch.setattr(Checkpoints, "is_due", lambda self, *, at_epoch_end: True)


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Stop:
    """Return a context in which a fit is stopped after so many checkpoints."""
    left: list[int] = []
    write = Checkpoints.write

    def counted(self: Checkpoints, state: TrainingState) -> None:
        write(self, state)
        if left:
            left[0] -= 1
            if left[0] == 0:
                raise Stopped

    @contextmanager
    def stop(n: int) -> Iterator[None]:
        left[:] = [n]
        with pytest.raises(Stopped):
            yield
        left.clear()

    monkeypatch.setattr(Checkpoints, "write", counted)
    return stop


def fit(model: LightXMLClassifier, documents: Documents) -> LightXMLClassifier:
    X, y = documents
    return model.fit(X[:50], y[:50], X_val=X[50:], y_val=y[50:])


def assert_equal(model: LightXMLClassifier, other: LightXMLClassifier, X: list[str]) -> None:
    weights, others = model.network_.state_dict(), other.network_.state_dict()
    assert weights.keys() == others.keys()
    for name, value in weights.items():
        assert torch.equal(value, others[name]), name
    assert model.history_ == other.history_
    assert np.array_equal(model.decision_function(X), other.decision_function(X))


def subfolders(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def slots_by_age(folder: Path) -> list[Path]:
    """The two checkpoints of the one fit in a folder, the older first."""
    (subfolder,) = folder.iterdir()
    return sorted(subfolder.iterdir(), key=age)


def age(slot: Path) -> tuple[int, int]:
    """The steps and the epochs, validation included, that a checkpoint comes after."""
    state = read_record(slot)["manifest"]["state"]
    return state["step"], len(state["history"])


@pytest.fixture(scope="module")
def unbroken(make_classifier: Make, documents: Documents) -> LightXMLClassifier:
    return fit(make_classifier(**HARD), documents)


@dataclass(frozen=True)
class Hard:
    """A training that is hard to repeat, and what it ends with if it is not stopped."""

    model: LightXMLClassifier
    documents: Documents
    unbroken: LightXMLClassifier

    def fit(self) -> None:
        fit(self.model, self.documents)

    def ends_as_unbroken(self) -> None:
        self.fit()
        assert_equal(self.model, self.unbroken, self.documents[0])


@pytest.fixture
def hard(
    make_classifier: Make, documents: Documents, unbroken: LightXMLClassifier, tmp_path: Path
) -> Hard:
    """One with its checkpoints in `tmp_path`."""
    model = make_classifier(**HARD, checkpoint_dir=str(tmp_path))
    return Hard(model, documents, unbroken)


@pytest.mark.parametrize("every", [1, 7])
def test_a_fit_stopped_again_and_again_ends_as_an_unbroken_one(
    every: int, hard: Hard, stop_after: Stop, tmp_path: Path
) -> None:
    moments = [(step, step // 4 - n) for step in range(1, STEPS + 1) for n in (1, 0)
               if n == 0 or step % 4 == 0]  # fmt: skip
    for moment in moments[every - 1 :: every]:
        with stop_after(every):
            hard.fit()
        assert age(slots_by_age(tmp_path)[-1]) == moment
        assert not hasattr(hard.model, "network_"), "half-trained, but looks fitted"
    hard.ends_as_unbroken()
    assert subfolders(tmp_path) == [], "a fit that is done needs no checkpoints"


def test_a_stopped_fit_of_several_rankers_goes_on_too(
    make_classifier: Make, documents: Documents, stop_after: Stop, tmp_path: Path
) -> None:
    X, y = documents
    params = {"features": TfidfVectorizer(), "feature_dim": 16, "rankers": "auto"}
    expected = make_classifier(**params, validation_fraction=12).fit(X, y)
    model = make_classifier(**params, validation_fraction=12, checkpoint_dir=tmp_path)
    with stop_after(5):
        model.fit(X, y)
    assert_equal(model.fit(X, y), expected, X)
    assert [ranker.name for ranker in model.rankers_] == [
        "linear",
        "neighbors",
        "vectors",
        "network",
    ]
    assert subfolders(tmp_path) == []


def test_large_tables_are_files_of_their_own(
    hard: Hard, stop_after: Stop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checkpoints, "_LARGE", 8_000)
    with stop_after(9):
        hard.fit()
    assert len(read_record(slots_by_age(tmp_path)[1])["blobs"]) > 5
    hard.ends_as_unbroken()


def test_clusters_come_from_the_checkpoint(
    hard: Hard, stop_after: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stop_after(2):
        hard.fit()

    def refuse(*arguments: Any) -> None:
        raise AssertionError("clustered anew")

    monkeypatch.setattr("lightxml.fitting.network.cluster_labels", refuse)
    hard.ends_as_unbroken()


@pytest.mark.parametrize(
    "what", ["frozen encoder", "dense matrix", "labels in chunks", "labels of 16 bits"]
)
def test_what_is_made_anew_before_the_training_is_the_same_again(
    what: str,
    monkeypatch: pytest.MonkeyPatch,
    make_classifier: Make,
    documents: Documents,
    stop_after: Stop,
    tmp_path: Path,
) -> None:
    X, y = documents
    params: dict[str, Any] = {"batch_size": 16}
    if what == "frozen encoder":
        encoder = save_pretrained(tmp_path / "encoder", "bert")
        params |= {"encoder": encoder, "freeze_encoder": True, "se_block": True}
    else:
        X = TfidfVectorizer().fit_transform(X)
        params |= {"encoder": None}
        if what == "dense matrix":
            X = X.toarray()
        else:
            params |= {"label_dim": 8, "swa_start": 0.3, "swa_every": 1}
        if what == "labels of 16 bits":
            monkeypatch.setitem(chunked.TRAINING_DTYPE, "cpu", torch.bfloat16)
    expected = make_classifier(**params).fit(X, y)
    model = make_classifier(**params, checkpoint_dir=tmp_path / "checkpoints")
    with stop_after(6):
        model.fit(X, y)
    assert_equal(model.fit(X, y), expected, X)


def test_early_stopping_goes_on_too(
    make_classifier: Make, documents: Documents, stop_after: Stop, tmp_path: Path
) -> None:
    params = {**HARD, "max_epochs": 8, "early_stopping": True, "n_iter_no_change": 1}
    expected = make_classifier(**params).fit(*documents)
    assert expected.n_iter_ < 8
    model = make_classifier(**params, checkpoint_dir=tmp_path)
    for _ in range(expected.n_iter_):  # a checkpoint after each of 4 steps, and the epoch's
        with stop_after(5):
            model.fit(*documents)
    assert_equal(model.fit(*documents), expected, documents[0])


def test_a_fit_without_a_seed_goes_on_with_the_one_it_drew(
    make_classifier: Make,
    documents: Documents,
    stop_after: Stop,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    drawn = iter([11, 11, 99])
    monkeypatch.setattr("lightxml.fitting.fit.draw_seed", lambda random_state: next(drawn))
    expected = fit(make_classifier(**HARD), documents)
    model = make_classifier(**HARD, checkpoint_dir=tmp_path, random_state=None)
    with stop_after(6):
        fit(model, documents)
    assert_equal(fit(model, documents), expected, documents[0])
    assert list(drawn) == [], "drawn each time, but the checkpoint's counts"


def test_what_decides_the_fit_has_a_subfolder_of_its_own(
    make_classifier: Make, documents: Documents, stop_after: Stop, tmp_path: Path
) -> None:
    X, y = documents
    base: dict[str, Any] = {"encoder": None, "features": TfidfVectorizer(), "max_epochs": 1}
    other_word = [X[0][:-1] + "x", *X[1:]]
    other_label = y.toarray()
    other_label[0, 0] ^= 1
    same: list[tuple[dict[str, Any], Any, Any]] = [
        ({}, X, y),
        ({"verbose": 0, "device": torch.device("cpu")}, tuple(X), y.tocoo()),
        ({"features": TfidfVectorizer().fit(X), "checkpoint_minutes": 3}, X, y.toarray()),
        ({"random_state": np.random.RandomState(0)}, X, y),
        ({"threshold": 0.3}, X, y),  # chosen when all else is done
    ]
    other: list[tuple[dict[str, Any], Any, Any]] = [
        ({"dropout": 0.2}, X, y),
        ({"features": TfidfVectorizer(min_df=2)}, X, y),
        ({"random_state": 1}, X, y),
        ({"random_state": None}, X, y),
        ({}, other_word, y),
        ({}, X, other_label),
        ({}, X[::-1], y),
    ]
    for n, cases in ((1, same), (1 + len(other), other)):
        for params, X_case, y_case in cases:
            with stop_after(1):
                make_classifier(**{**base, "checkpoint_dir": tmp_path, **params}).fit(
                    X_case, y_case
                )
        assert len(subfolders(tmp_path)) == n
    with stop_after(1):
        make_classifier(**base, checkpoint_dir=tmp_path).fit(X, y, X_val=X, y_val=y)
    assert len(subfolders(tmp_path)) == 2 + len(other)


def test_an_encoders_folder_counts_by_what_is_in_it(
    documents: Documents, fitted: LightXMLClassifier, tmp_path: Path
) -> None:
    labels = encode(documents[1], len(documents[0]))

    def name(folder: Path) -> str:
        params = fitted.get_params(deep=False) | {"encoder": folder}
        return fingerprint(params, 0, documents[0], labels, None)

    fitted.network_.encoder.save_pretrained(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    before = name(tmp_path / "one")
    assert name(tmp_path / "two") == before
    (tmp_path / "one" / "config.json").write_text("{}")
    assert name(tmp_path / "one") != before


def test_a_vectorizer_that_cannot_be_told_from_others_is_refused(
    make_classifier: Make, documents: Documents, tmp_path: Path
) -> None:
    features = TfidfVectorizer(tokenizer=lambda text: text.split(), token_pattern=None)
    model = make_classifier(encoder=None, features=features, checkpoint_dir=tmp_path)
    with (
        pytest.warns(UserWarning, match="cannot be saved"),
        pytest.raises(TypeError, match=r"checkpoint_dir needs .* lambda in features"),
    ):
        model.fit(*documents)


def test_the_clones_of_a_grid_search_share_the_folder(
    make_classifier: Make, documents: Documents, tmp_path: Path
) -> None:
    X, y = documents
    searches = [
        GridSearchCV(
            make_classifier(encoder=None, features=TfidfVectorizer(), max_epochs=2, **params),
            {"dropout": [0.1, 0.4]},
            cv=2,
        ).fit(X, y.toarray())
        for params in ({}, {"checkpoint_dir": tmp_path})
    ]
    plain, kept = (search.cv_results_["mean_test_score"].tolist() for search in searches)
    assert plain == kept
    assert subfolders(tmp_path) == []


# Damage


@pytest.fixture
def stopped(hard: Hard, stop_after: Stop, tmp_path: Path) -> Hard:
    """One that was stopped when there were two checkpoints."""
    with stop_after(7):
        hard.fit()
    assert len(slots_by_age(tmp_path)) == 2
    return hard


def tear(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


@pytest.mark.parametrize("what", ["record", "blob"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    what: str, stopped: Hard, tmp_path: Path
) -> None:
    newest = slots_by_age(tmp_path)[1]
    (file,) = newest.glob("*.json" if what == "record" else "*.bin")
    tear(file)
    with pytest.warns(CheckpointWarning, match=rf"{file.name}.* from the checkpoint before, after"):
        stopped.ends_as_unbroken()


def test_without_a_whole_checkpoint_the_error_says_what_to_do(
    stopped: Hard, tmp_path: Path
) -> None:
    for slot in slots_by_age(tmp_path):
        tear(next(slot.glob("*.bin")))
    with pytest.raises(CheckpointError, match=r"none that can be used.* Delete the folder"):
        stopped.fit()
    assert not hasattr(stopped.model, "network_")
    shutil.rmtree(tmp_path)
    stopped.fit()


def test_checkpoints_of_another_format_are_not_read(stopped: Hard, tmp_path: Path) -> None:
    for slot in slots_by_age(tmp_path):
        read = load_bundle(slot)
        read.manifest["checkpoint_format"] = 99
        save.save_bundle(read, slot)
    with pytest.raises(CheckpointError, match="format 99; this version of lightxml goes on from"):
        stopped.fit()


def test_a_checkpoint_of_another_network_is_not_read(stopped: Hard, tmp_path: Path) -> None:
    """As a version that builds another network from the same arguments would find it."""
    for slot in slots_by_age(tmp_path):
        read = load_bundle(slot)
        read.manifest["tensors"][0][2].reverse()
        save.save_bundle(read, slot)
    with pytest.raises(CheckpointError, match=r"does not fit .*weights/0 has the shape"):
        stopped.fit()


def test_a_first_checkpoint_that_was_never_finished_counts_as_none(
    hard: Hard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*args: Any) -> Path:
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(save, "_write_side", cut)
        with pytest.raises(Stopped):
            hard.fit()
    hard.ends_as_unbroken()


# What is kept besides the state, and the folder


def test_what_the_fit_wants_before_the_network_is_there_again(tmp_path: Path) -> None:
    network = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(2)).sum().backward()
    optimizer.step()
    parameters = torch.nn.ParameterList(network.parameters())
    state = TrainingState(parameters, [optimizer], torch.zeros(()), step=3)
    first = Checkpoints(tmp_path, 600, seed=5)
    first.extra["clusters"] = np.array([[0, 2], [1, 1]], dtype=np.int32)
    first.write(state)
    again = Checkpoints(tmp_path, 600, seed=6)
    assert again.seed == 5
    assert again.extra["clusters"].dtype == np.int32
    assert again.extra["clusters"].tolist() == [[0, 2], [1, 1]]


def test_two_fits_do_not_write_to_one_folder(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    with (
        checkpoints_in(tmp_path / "a", 600, 0),
        pytest.raises(CheckpointError, match="another fit with the same arguments and data"),
        checkpoints_in(tmp_path / "a", 600, 0),
    ):
        pass


def test_a_folder_that_cannot_be_made_is_named(
    make_classifier: Make, documents: Documents, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    model = make_classifier(checkpoint_dir=tmp_path / "file")
    with pytest.raises(OSError, match=r"checkpoint_dir: the folder .* cannot be made"):
        model.fit(*documents)


def test_a_full_disk_is_warned_of_once_and_before(
    hard: Hard, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda path: usage(10**6, 0, 10**4))
    with pytest.warns(CheckpointWarning) as caught:
        hard.ends_as_unbroken()
    (warning,) = caught
    assert "want" in str(warning.message)
    assert "the disk has 0.00 GB free. Free some, or pass another checkpoint_dir" in str(
        warning.message
    )


def test_a_disk_that_refuses_does_not_end_the_training(
    hard: Hard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_bundle", refuse)
    with pytest.warns(CheckpointWarning, match=r"step \d+ could not be written .*No space left"):
        hard.ends_as_unbroken()


def test_checkpoints_rest_fifty_times_what_they_took(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()  # of `at_every_step`
    now = [0.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    save = checkpoints.save_bundle

    def slow(*args: Any) -> None:
        save(*args)
        now[0] += 30.0

    monkeypatch.setattr(checkpoints, "save_bundle", slow)
    parameters = torch.nn.ParameterList([torch.nn.Parameter(torch.zeros(4))])
    state = TrainingState(parameters, [], torch.zeros(()))
    kept = Checkpoints(tmp_path, 600.0, seed=0)
    kept.restore(state)
    due: list[tuple[float, bool, bool]] = []
    for minute in range(1, 61):
        now[0] += 60.0
        timed, at_end = kept.is_due(at_epoch_end=False), kept.is_due(at_epoch_end=True)
        if minute in (1, 10, 11, 34, 35):
            due.append((minute, timed, at_end))
        if timed:
            kept.write(state)
    # Nothing is known of the cost at first; then 50 x 30 s = 25 minutes, at epoch ends too.
    assert due == [(1, False, True), (10, True, True), (11, False, False), (34, False, False),
                   (35, True, True)]  # fmt: skip


# Signals


@pytest.mark.parametrize(
    ("number", "expected"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_signal_waits_for_the_step_and_a_checkpoint(
    number: int,
    expected: type[BaseException],
    hard: Hard,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(Checkpoints, "is_due", lambda self, *, at_epoch_end: False)
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        raise_in_step(patch, number, step=6)
        with pytest.raises(expected) as caught:
            hard.fit()
    if expected is SystemExit:
        assert caught.value.code == 143
    assert signal.getsignal(number) is before
    assert not hasattr(hard.model, "network_")
    (slot,) = slots_by_age(tmp_path)
    assert age(slot)[0] == 7
    hard.ends_as_unbroken()


def raise_in_step(patch: pytest.MonkeyPatch, number: int, step: int) -> None:
    """Send the signal before the first batch of a step, counted from 0."""
    seed = training.seed_generators

    def seeding(*numbers: int, device: torch.device) -> None:
        if numbers[1:] == (step, 0):
            signal.raise_signal(number)
        seed(*numbers, device=device)

    patch.setattr(training, "seed_generators", seeding)


def test_a_handler_of_the_callers_is_called_afterwards(
    hard: Hard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[tuple[int, list[str]]] = []

    def handler(number: int, frame: Any) -> None:
        seen.append((number, [slot.name for slot in slots_by_age(tmp_path)]))

    before = signal.signal(signal.SIGTERM, handler)
    try:
        raise_in_step(monkeypatch, signal.SIGTERM, step=0)
        with pytest.raises(SystemExit):
            hard.fit()
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [(signal.SIGTERM, ["checkpoint-a"])]


def test_a_second_signal_does_not_wait(
    hard: Hard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seed = training.seed_generators

    def seeding(*numbers: int, device: torch.device) -> None:
        if numbers[1] == 1:  # both batches of the step
            signal.raise_signal(signal.SIGINT)
        seed(*numbers, device=device)

    monkeypatch.setattr(training, "seed_generators", seeding)
    with pytest.raises(KeyboardInterrupt):
        hard.fit()
    (slot,) = slots_by_age(tmp_path)
    assert age(slot)[0] == 1


@pytest.mark.parametrize("how", ["no folder", "in a thread", "ignored"])
def test_signals_are_left_alone_where_they_are_not_ours(
    how: str,
    make_classifier: Make,
    documents: Documents,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    handlers: list[Any] = []
    seed = training.seed_generators

    def seeding(*numbers: int, device: torch.device) -> None:
        handlers.append(signal.getsignal(signal.SIGTERM))
        seed(*numbers, device=device)

    monkeypatch.setattr(training, "seed_generators", seeding)
    ours = signal.SIG_IGN if how == "ignored" else signal.getsignal(signal.SIGTERM)
    before = signal.signal(signal.SIGTERM, ours)
    try:
        folder = None if how == "no folder" else tmp_path
        model = make_classifier(max_epochs=1, checkpoint_dir=folder)
        if how == "in a thread":
            thread = threading.Thread(target=model.fit, args=documents)
            thread.start()
            thread.join()
        else:
            model.fit(*documents)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert model.n_iter_ == 1
    assert set(handlers) == {ours}


# Whole processes

SCRIPT = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from lightxml import LightXMLClassifier
from lightxml.files import save
from lightxml.training import checkpoints
from lightxml.training import loop as training
from lightxml.datasets import make_xmc
from sklearn.feature_extraction.text import TfidfVectorizer
from tests.training.test_checkpoints import HARD

folder, output, death, step = sys.argv[1:]
checkpoints.Checkpoints.is_due = lambda self, *, at_epoch_end: True
seed, write_side, at = training.seed_generators, save._write_side, [0]

def seeding(*numbers, device):
    at[0] = numbers[1]
    if death == "step" and numbers[1] == int(step):
        os.kill(os.getpid(), signal.SIGKILL)
    seed(*numbers, device=device)

def writing(folder, data, suffix):
    if death == "write" and at[0] + 1 == int(step) and suffix == ".blob":
        (folder / ".lightxml-0123456789abcdef.blob").write_bytes(data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return write_side(folder, data, suffix)

training.seed_generators, save._write_side = seeding, writing
X, y = make_xmc(60, 12, n_labels_per_document=2, n_words_per_document=12, random_state=0)
model = LightXMLClassifier(
    **HARD, max_length=32, batch_size=8, learning_rate=2e-3,
    head_learning_rate=2e-2, device="cpu", random_state=0,
    checkpoint_dir=None if folder == "none" else folder,
)
model.fit(X[:50], y[:50], X_val=X[50:], y_val=y[50:])
model.save(output)
"""


def run(*arguments: Any) -> tuple[int, str]:
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT, *map(str, arguments)]
    done = subprocess.run(
        command, env=environment, cwd=root, timeout=300, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_a_process_killed_three_times_ends_as_an_unbroken_one(
    documents: Documents, tmp_path: Path
) -> None:
    assert run("none", tmp_path / "unbroken", "none", 0)[0] == 0
    kept = tmp_path / "kept"
    first, second, third = sorted(random.sample(range(1, STEPS), 3))
    for death, step in (("step", first), ("write", second), ("step", third)):
        print("killed by", death, step)
        code, said = run(kept, tmp_path / "never", death, step)
        assert code == -signal.SIGKILL, said
    code, said = run(kept, tmp_path / "resumed", "none", 0)
    assert code == 0, said
    model, other = (LightXMLClassifier.load(tmp_path / n) for n in ("resumed", "unbroken"))
    assert_equal(model, other, documents[0])
    assert subfolders(kept) == []
