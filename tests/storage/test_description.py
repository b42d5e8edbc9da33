"""``lightxml info``: what a saved model is, from its record and the header of its weights."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

import lightxml
from lightxml import LightXMLClassifier, LightXMLEnsemble
from lightxml.cli import app as cli
from lightxml.exceptions import BundleError
from lightxml.files.bundle import RECORD, Bundle
from lightxml.files.load import load_bundle, read_record
from lightxml.files.save import save_bundle
from lightxml.storage.description import DEFAULTS, describe

Make = Callable[..., LightXMLClassifier]

WEIGHTS = "weights.safetensors"


@pytest.fixture(scope="session")
def saved(
    make_classifier: Make,
    documents: Any,
    labels: list[tuple[str, ...]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    model = make_classifier(
        features=TfidfVectorizer(), rankers=("network",), feature_dim=8, se_block=True
    )
    texts = documents[0]
    model.fit(texts, labels, X_val=texts[:9], y_val=labels[:9]).save(folder)
    return folder


def rows(folder: Path) -> dict[str, str]:
    """The description as a dict; wrapped lines joined again."""
    found: dict[str, str] = {}
    for line in describe(folder).splitlines():
        name, text = line[:12].strip(), line[12:]
        last = name or list(found)[-1]
        found[last] = f"{found[last]} {text}" if last in found else text
    return found


def test_the_defaults_are_those_of_the_classifier():
    assert LightXMLClassifier().get_params() == DEFAULTS


def test_a_model_is_saved_by_sources_that_nobody_installed(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def installed(name: str) -> str:
        if name == "lightxml":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr("importlib.metadata.version", installed)
    monkeypatch.setattr("lightxml.storage.estimator.version", installed)
    lightxml.load(saved, "cpu").save(tmp_path / "model")
    assert rows(tmp_path / "model")["format"] == f"3, saved by lightxml {lightxml.__version__}"


def test_it_says_what_the_model_is(saved: Path):
    model = lightxml.load(saved, "cpu")
    found = rows(saved)
    assert list(found) == ["model", "format", "libraries", "encoder", "features", "rankers",
                           "threshold", "measured", "labels", "arguments", "history",
                           "size"]  # fmt: skip
    assert found["model"] == "LightXMLClassifier"
    assert found["format"] == f"3, saved by lightxml {lightxml.__version__}"
    assert f"numpy {np.__version__}" in found["libraries"]
    n_weights = sum(p.numel() for p in model.network_.encoder.parameters())
    assert found["encoder"] == (
        f"bert, 2 layers, {n_weights:,} weights; 2 layers are read; SE block"
    )
    n_features = model.network_.features.n_features
    assert found["features"] == f"{n_features} (sparse), from TfidfVectorizer, embedded in 8"
    assert found["rankers"] == "network, alone"
    assert found["threshold"] == "0.5"
    last = model.history_[-1]
    figures = ", ".join(f"P@{k} {last[f'precision_at_{k}']:.3f}" for k in (1, 3, 5))
    assert found["measured"] == f"{figures} on 9 documents of X_val"
    assert found["labels"] == f"{len(model.classes_)}, given as collections"
    assert found["history"] == "last: " + ", ".join(
        f"{name} {value:.4g}" for name, value in last.items()
    )
    size = sum(file.stat().st_size for file in saved.iterdir())
    assert found["size"] == f"{size / 1024:.1f} KiB in {len(list(saved.iterdir()))} files"


def test_arguments_are_those_that_differ_from_the_defaults(saved: Path):
    assert rows(saved)["arguments"] == (
        "encoder=config(bert), max_length=32, feature_dim=8, se_block=True, dropout=0.1,"
        " rankers=('network',), max_epochs=2, batch_size=8, learning_rate=0.002,"
        " head_learning_rate=0.02, device='cpu', random_state=0"
    )


def test_a_model_of_words_and_label_texts_tells_its_rankers(
    documents: Any, labels: list[tuple[str, ...]], tmp_path: Path
):
    texts = {"label 1": ["sea", "ocean"], "new": "history"}
    model = LightXMLClassifier(None, features=TfidfVectorizer(), propensity_weight=1, device="cpu")
    model.fit(documents[0], labels, label_texts=texts).save(tmp_path)
    found = rows(tmp_path)
    linear, *_ = model._model.panel.rankers
    assert list(found) == ["model", "format", "libraries", "encoder", "features", "rankers",
                           "final", "threshold", "measured", "label texts", "labels", "arguments",
                           "size"]  # fmt: skip
    assert found["encoder"] == "none"
    assert found["features"] == f"{linear.weights.shape[1]}, from TfidfVectorizer"
    assert found["rankers"] == (
        f"linear, {linear.weights.nnz:,} weights; neighbors, 60 training documents; label_texts,"
        " 3 texts"
    )
    assert found["label texts"] == "3, kept as they were given"
    assert found["labels"] == "13, given as collections"
    assert found["arguments"] == "encoder=None, propensity_weight=1, device='cpu'"


@pytest.mark.parametrize(
    ("final_ranker", "expected"),
    [(None, "mean of the probabilities"), (LogisticRegression(), "a classifier of scikit-learn")],
)
def test_the_final_ranker_is_told(documents: Any, tmp_path: Path, final_ranker: Any, expected: str):
    X = TfidfVectorizer().fit_transform(documents[0])
    model = LightXMLClassifier(final_ranker=final_ranker, random_state=0, device="cpu")
    model.fit(X, documents[1]).save(tmp_path)
    found = rows(tmp_path)
    assert found["final"] == expected
    assert found["features"] == f"{X.shape[1]}, from numeric X"


def test_a_model_of_dense_numbers(tmp_path: Path):
    X, y = np.eye(30, 5), np.eye(30, 4, dtype=int)
    LightXMLClassifier().fit(X, y).save(tmp_path)
    found = rows(tmp_path)
    assert found["encoder"] == "none"
    assert found["features"] == "5 (dense), from numeric X, embedded in 512"
    assert found["labels"] == "4, given as dense"
    assert found["arguments"] == "all as by default"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ({"label_dim": 16}, "12, embedded in 16, given as csr_array"),
        (
            {"label_clusters": np.arange(12) // 3, "n_candidate_clusters": 2},
            "12, embedded in 400, in 4 clusters of which 2 are ranked, given as csr_array",
        ),
    ],
    ids=["chunked", "clustered"],
)
def test_label_embeddings_and_clusters_are_told(
    documents: Any, tmp_path: Path, head: dict[str, Any], expected: str
):
    X, y = documents
    model = LightXMLClassifier(
        None, features=TfidfVectorizer(), rankers=("network",), max_epochs=1, device="cpu", **head
    )
    model.fit(X, y).save(tmp_path / "model")
    assert rows(tmp_path / "model")["labels"] == expected


def test_an_ensemble_is_described_by_its_first_member(documents: Any, tmp_path: Path):
    X, y = documents
    member = LightXMLClassifier(None, features=TfidfVectorizer(), device="cpu")
    LightXMLEnsemble(member, n_estimators=2).fit(X, y).save(tmp_path / "model")
    found = rows(tmp_path / "model")
    expected = "LightXMLEnsemble of 2, the first of them a LightXMLClassifier:"
    assert found["model"] == expected
    assert found["labels"] == "12, given as csr_array"


def test_a_frozen_encoder_is_said_to_be(saved: Path, tmp_path: Path):
    assert (
        "frozen"
        in rows(changed(saved, tmp_path, lambda m, b: m["network"].update(frozen=True)))["encoder"]
    )


@pytest.mark.parametrize("versions", [None, {}])
def test_versions_that_a_load_does_not_miss_are_unknown(saved: Path, tmp_path: Path, versions: Any):
    changed(saved, tmp_path, put("versions", versions))
    lightxml.load(tmp_path, "cpu")
    found = rows(tmp_path)
    assert found["format"] == "3, saved by lightxml unknown"
    assert found["libraries"] == "unknown"


def test_the_weights_are_not_read_and_torch_is_not_imported(saved: Path, tmp_path: Path):
    bundle = load_bundle(saved)
    save_bundle(bundle, tmp_path)
    file = tmp_path / read_record(tmp_path)["blobs"][WEIGHTS]["file"]
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))  # against its digest
    with pytest.raises(BundleError):
        load_bundle(tmp_path)
    code = (
        "import sys; from typer.testing import CliRunner; from lightxml.cli.app import app\n"
        "result = CliRunner().invoke(app, ['info', sys.argv[1]])\n"
        "assert result.exit_code == 0 and 'LightXMLClassifier' in result.output, result.output\n"
        "assert not {'torch', 'transformers', 'sklearn', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_the_command_prints_80_columns(saved: Path):
    result = CliRunner().invoke(cli.app, ["info", str(saved)])
    assert result.exit_code == 0
    assert result.stdout == describe(saved) + "\n"
    assert max(map(len, result.stdout.splitlines())) <= 80


# --- models from strangers ---------------------------------------------------------------------


def changed(
    source: Path, target: Path, change: Callable[[dict[str, Any], dict[str, bytes]], Any]
) -> Path:
    """A copy whose manifest and blobs are changed, and signed again."""
    bundle = load_bundle(source)
    manifest, blobs = copy.deepcopy(bundle.manifest), dict(bundle.blobs)
    change(manifest, blobs)
    save_bundle(Bundle(manifest, blobs), target)
    return target


def put(*path: Any) -> Callable[[dict[str, Any], dict[str, bytes]], None]:
    """Put the last of `path` where the others lead in the manifest."""

    def change(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        place = manifest
        for key in path[:-2]:
            place = place[key]
        place[path[-2]] = path[-1]

    return change


def header(value: Any) -> Callable[[dict[str, Any], dict[str, bytes]], None]:
    text = json.dumps(value).encode()
    data = len(text).to_bytes(8, "little") + text
    return lambda manifest, blobs: blobs.update({WEIGHTS: data})


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest, blobs: manifest.clear(),
        lambda manifest, blobs: manifest.pop("network"),
        lambda manifest, blobs: blobs.pop(WEIGHTS),
        lambda manifest, blobs: blobs.update({WEIGHTS: b"\xff" * 100}),
        lambda manifest, blobs: blobs.update({WEIGHTS: b"12"}),
        put("network", []),
        put("network", "encoder", "bert"),
        put("network", "encoder", {}),
        put("network", "features", {"kind": "sparse"}),
        put("network", "features", "width", "\x1b[2J"),
        put("network", None),
        put("panel", 3),
        put("panel", {"rankers": [{"name": "linear"}], "final": {"kind": "mean"}}),
        put("has_label_texts", True),
        put("classes", "n_labels", "many"),
        put("network", "n_feature_layers", [5]),
        put("vectorizer", [1]),
        put("params", 5),
        put("params", "encoder", {"config": 3}),
        put("history", 7),
        put("history", [[1]]),
        put("history", [{"loss": "low"}]),
        header([1]),
        header({"head.bias": 3}),
        header({"head.bias": {"shape": [-3]}}),
        header({"head.bias": {"shape": ["3"]}}),
        header({"head.bias": {"shape": [3]}, "encoder.x": {"shape": [2**60] * 1000}}),
    ],
)
def test_a_record_that_describes_no_model_ends_as_when_it_is_loaded(
    saved: Path, tmp_path: Path, change: Any
):
    changed(saved, tmp_path, change)
    with pytest.raises(BundleError, match=r"(lightxml\.json|weights\.safetensors)") as caught:
        describe(tmp_path)
    assert str(caught.value).isprintable()
    with pytest.raises(BundleError):
        lightxml.load(tmp_path, "cpu")


@pytest.mark.parametrize("damage", ["missing", "cut off", "no record"])
def test_a_damaged_folder_ends_in_the_same_error_as_a_load(
    saved: Path, tmp_path: Path, damage: str
):
    save_bundle(load_bundle(saved), tmp_path)
    blob = tmp_path / read_record(tmp_path)["blobs"][WEIGHTS]["file"]
    if damage == "missing":
        blob.unlink()
    elif damage == "cut off":
        blob.write_bytes(blob.read_bytes()[:-1])
    else:
        (tmp_path / RECORD).unlink()
    messages = []
    for read in (describe, load_bundle):
        with pytest.raises(BundleError) as caught:
            read(tmp_path)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    result = CliRunner().invoke(cli.app, ["info", str(tmp_path)])
    assert result.exit_code == 1
    assert result.stderr.startswith("lightxml: error: ")
    assert result.stderr.count("\n") == 1


def test_what_a_model_says_of_itself_does_nothing_to_the_terminal(saved: Path, tmp_path: Path):
    evil = "\x1b]0;title\x07\r\n\u202e" + "x" * 10_000

    def change(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        manifest["estimator"] = manifest["label_form"] = evil
        manifest["versions"]["lightxml"] = manifest["versions"][evil] = evil
        manifest["params"][evil] = evil
        manifest["network"]["encoder"]["model_type"] = evil
        manifest["vectorizer"]["kind"] = evil
        manifest["history"][-1][evil] = 1.0

    shown = describe(changed(saved, tmp_path, change))
    assert all(line.isprintable() and len(line) <= 80 for line in shown.splitlines())
    assert len(shown) < 5000
