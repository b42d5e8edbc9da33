"""Several processes that train together: as one that computes their batches in turn.

As a module under ``python -m torch.distributed.run`` this file is such a process.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

import lightxml.training.checkpoints
import lightxml.training.loop
from lightxml import LightXMLClassifier, load
from lightxml.datasets import label_sets, make_xmc
from lightxml.exceptions import NonFiniteLossError
from tests.conftest import small_config
from tests.network.test_encoders import save_pretrained

ROOT = Path(__file__).parents[2]
# Batches of 7 make 9 of 60 documents: in the last step of an epoch one process has none.
COMMON: dict[str, Any] = {
    "features": TfidfVectorizer(),
    "feature_dim": 16,
    "batch_size": 7,
    "max_epochs": 2,
    "dropout": 0.3,
    "precision": "fp32",
    "device": "cpu",
    "random_state": 0,
    "rankers": ("network",),
}
ENCODER = {"encoder": small_config(), "max_length": 16, "se_block": True}
SETTINGS: dict[str, dict[str, Any]] = {
    "an encoder and features": {**COMMON, **ENCODER},
    "labels in chunks": {
        **COMMON,
        "encoder": None,
        "label_dim": 8,
        "swa_every": 1,
    },
    "label clusters": {
        **COMMON,
        **ENCODER,
        "label_clusters": True,
        "max_cluster_size": 2,
        "n_candidate_clusters": 2,
        "label_dim": 8,
        "n_random_negatives": 2,
        "loss_correction": True,
    },
}


def fit(setting: str, begin: int = 0, **params: Any) -> LightXMLClassifier:
    X, y = make_xmc(72, 12, n_labels_per_document=2, n_words_per_document=12, random_state=0)
    model = LightXMLClassifier(**{**SETTINGS[setting], **params})
    own = slice(begin, begin + 60)
    weights = None if setting == "an encoder and features" else 1 + np.arange(60) % 3
    return model.fit(X[own], y[own], sample_weight=weights, X_val=X[60:], y_val=y[60:])


def fit_several(encoder: Path, **params: Any) -> LightXMLClassifier:
    """Fit all rankers, a frozen encoder's among them; the final one is the plain mean."""
    X, y = make_xmc(72, 12, n_labels_per_document=2, n_words_per_document=12, random_state=0)
    frozen = {"encoder": str(encoder), "freeze_encoder": True, "max_length": 16}
    more = {"rankers": ("linear", "neighbors", "label_texts", "network"), "final_ranker": None}
    model = LightXMLClassifier(**{**COMMON, **frozen, **more, **params})
    return model.fit(X[:60], y[:60], label_texts=[f"label {j}" for j in range(12)])


def outcome(model: LightXMLClassifier) -> dict[str, Any]:
    """All that a fit has learnt, in JSON; float32 goes through it unchanged."""
    weights = {name: w.flatten().tolist() for name, w in model.network_.state_dict().items()}
    texts, _ = make_xmc(72, 12, n_labels_per_document=2, n_words_per_document=12, random_state=0)
    scores = model.decision_function(texts).tolist()
    rankers = [ranker.name for ranker in model.rankers_]
    return {"weights": weights, "scores": scores, "history": model.history_, "rankers": rankers}


def error_of(setting: str, **params: Any) -> str:
    """Return the kind and the text of the error that a fit ends with."""
    try:
        fit(setting, **params)
    except (NonFiniteLossError, ValueError, SystemExit) as error:
        return f"{type(error).__name__}: {error}"
    return "none"


def signal_second(number: int, at_step: int) -> list[int]:
    """Let the second process send itself a signal, once; return the steps as they begin."""
    steps: list[int] = []
    seed_generators = lightxml.training.loop.seed_generators

    def send(seed: int, step: int, *rest: int, device: torch.device) -> None:
        if os.environ["RANK"] == "1" and step == at_step and step not in steps:
            os.kill(os.getpid(), number)
        steps.append(step)
        seed_generators(seed, step, *rest, device=device)

    lightxml.training.loop.seed_generators = send
    return steps


def main(out: str, kill_at: str = "-1", folder: str = "") -> None:
    """Fit as one of several processes, and leave the outcome in a file of its own."""
    torch.set_num_threads(1)
    rank = os.environ["RANK"]
    if folder:
        lightxml.training.checkpoints.REST = 0
        signal_second(signal.SIGKILL, int(kill_at))
        params = {"checkpoint_dir": folder, "checkpoint_minutes": 1e-9}
        found = {"label clusters": outcome(fit("label clusters", **params))}
    else:
        found = {setting: outcome(fit(setting)) for setting in SETTINGS}
        # Of a fit without a seed, all have the first process's.
        found["several rankers"] = outcome(fit_several(Path(out, "encoder")))
        found["no seed"] = outcome(fit("labels in chunks", random_state=None))
        found["errors"] = {
            "diverges": error_of("an encoder and features", head_learning_rate=1e30),
            "arguments": error_of("labels in chunks", batch_size=7 + int(rank)),
            "documents": error_of("labels in chunks", begin=int(rank)),
        }
        found["no errors left"] = outcome(fit("labels in chunks"))
        steps = signal_second(signal.SIGTERM, at_step=6)
        found["errors"]["signal"] = error_of("label clusters", checkpoint_dir=Path(out, "kept"))
        stopped_at = steps[-1]
        found["resumed"] = outcome(fit("label clusters", checkpoint_dir=Path(out, "kept")))
        found["steps"] = [stopped_at, steps[steps.index(stopped_at) + 1 :][0], steps[-1]]
    Path(out, f"{rank}.json").write_text(json.dumps(found), "utf-8")


def run(*arguments: str, processes: int = 2, timeout: float = 300) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes), "-m", *arguments]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    return subprocess.run(
        command, env=environment, timeout=timeout, capture_output=True, text=True, check=False
    )


def outcomes(out: Path) -> list[dict[str, Any]]:
    return [json.loads((out / f"{rank}.json").read_text("utf-8")) for rank in (0, 1)]


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two processes have learnt together."""
    out = tmp_path_factory.mktemp("out")
    save_pretrained(out / "encoder", "bert")
    done = run("tests.training.test_distributed", str(out))
    assert done.returncode == 0, done.stderr[-3_000:]
    return outcomes(out)


@pytest.mark.slow
def test_all_processes_end_with_the_same_model(of_two: list[dict[str, Any]]) -> None:
    first, second = of_two
    assert first == second
    assert first["no seed"]["history"] != first["labels in chunks"]["history"]


@pytest.mark.slow
def test_what_ends_one_fit_ends_it_in_all_processes_and_they_can_fit_again(
    of_two: list[dict[str, Any]],
) -> None:
    first, second = of_two
    errors = first["errors"]
    assert second["errors"] == errors
    diverging = {"head_learning_rate": 1e30, "accumulate": 2}
    assert errors["diverges"] == error_of("an encoder and features", **diverging)
    assert errors["diverges"].startswith("NonFiniteLossError")
    assert "batch_size: differs" in errors["arguments"]
    assert "7 in process 0, 8 in process 1" in errors["arguments"]
    assert (
        "the content of X, y, X_val, y_val, label_texts and sample_weight: differs"
        in errors["documents"]
    )
    assert first["no errors left"] == first["labels in chunks"]


@pytest.mark.slow
def test_a_signal_to_one_process_stops_all_after_its_step_and_they_go_on(
    of_two: list[dict[str, Any]],
) -> None:
    for found in of_two:
        assert found["errors"]["signal"] == "SystemExit: 143"
        assert found["steps"] == [6, 7, 9]
        assert found["resumed"] == found["label clusters"]


@pytest.mark.slow
def test_several_rankers_are_the_first_processs_and_all_have_them(
    of_two: list[dict[str, Any]], tmp_path: Path
) -> None:
    first, second = (found["several rankers"] for found in of_two)
    assert first == second
    save_pretrained(tmp_path, "bert")
    alone = outcome(fit_several(tmp_path, accumulate=2))
    assert first["rankers"] == alone["rankers"]
    assert first["rankers"] == [
        "linear", "neighbors", "vectors", "label_texts", "label_vectors", "network"
    ]  # fmt: skip
    np.testing.assert_allclose(first["scores"], alone["scores"], atol=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
def test_two_processes_are_one_that_accumulates_two_batches(
    of_two: list[dict[str, Any]], setting: str
) -> None:
    found, expected = of_two[0][setting], outcome(fit(setting, accumulate=2))
    for ours, alone in zip(found["history"], expected["history"], strict=True):
        assert ours["loss"] == pytest.approx(alone["loss"], rel=1e-4)
        assert ours["precision_at_1"] == pytest.approx(alone["precision_at_1"], abs=0.1)
    alone = outcome(fit(setting))["history"]
    assert found["history"][-1]["loss"] != pytest.approx(alone[-1]["loss"], rel=1e-2)
    np.testing.assert_allclose(found["scores"], expected["scores"], atol=5e-3)
    for name, weights in expected["weights"].items():
        # AdamW's first step is the sign of the gradient: tiny gradients may round either way.
        close = np.isclose(found["weights"][name], weights, atol=2e-4, rtol=1e-3)
        assert close.mean() > 0.98, name


@pytest.mark.slow
def test_a_killed_process_ends_the_others_and_the_run_goes_on(tmp_path: Path) -> None:
    folder, out = tmp_path / "checkpoints", tmp_path / "out"
    out.mkdir()
    began = time.monotonic()
    killed = run("tests.training.test_distributed", str(out), "6", str(folder))
    assert killed.returncode != 0
    assert time.monotonic() - began < 250
    assert not list(out.iterdir())
    assert len(list(folder.glob("*/*"))) >= 2, "checkpoints"
    copied = shutil.copytree(folder, tmp_path / "copied")
    resumed = run("tests.training.test_distributed", str(out), "-1", str(folder))
    assert resumed.returncode == 0, resumed.stderr[-3_000:]
    after_a_break = outcomes(out)
    unbroken = run("tests.training.test_distributed", str(out), "-1", str(tmp_path / "others"))
    assert unbroken.returncode == 0, unbroken.stderr[-3_000:]
    assert after_a_break == outcomes(out)
    assert after_a_break[0] == after_a_break[1]
    assert not list(folder.iterdir()), "a fit that is done needs no checkpoints"
    # One process goes on with the steps of two.
    alone = outcome(fit("label clusters", checkpoint_dir=copied))
    scores = after_a_break[0]["label clusters"]["scores"]
    np.testing.assert_allclose(alone["scores"], scores, atol=5e-3)


@pytest.mark.slow
def test_the_command_line_trains_in_two_processes_and_saves_once(tmp_path: Path) -> None:
    X, y = make_xmc(60, 12, n_labels_per_document=2, n_words_per_document=12, random_state=0)
    labels = label_sets(y, np.array([f"label{j}" for j in range(12)]))
    for part in ("train", "test"):
        (tmp_path / f"{part}_texts.txt").write_text("\n".join(X) + "\n", "utf-8")
        lines = "\n".join(" ".join(row) for row in labels)
        (tmp_path / f"{part}_labels.txt").write_text(lines + "\n", "utf-8")
    model = tmp_path / "model"
    done = run(
        *("lightxml", "train", str(tmp_path), "--output", str(model), "--encoder", "none"),
        *("--tfidf", "words", "--max-epochs", "15", "--random-state", "0", "--quiet"),
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    assert done.stdout.count("saved to") == 1
    assert load(model, "cpu").score(X, labels) > 0.8


if __name__ == "__main__":
    main(*sys.argv[1:])
