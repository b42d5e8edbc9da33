"""Models from strangers: what is signed as it should be, and yet is no model.

`tests/test_bundle.py` damages files; here the files are whole, with the right digests, and what
they say is wrong or unsafe. Each row must end in `BundleError` with the file's name, cost little
memory, and run nothing.
"""

from __future__ import annotations

import copy
import json
import pickle
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier, LightXMLEnsemble, load
from lightxml.exceptions import BundleError
from lightxml.files.arrays import encode_arrays
from lightxml.files.bundle import Bundle, load_bundle, save_bundle

Documents = tuple[list[str], sp.csr_array]
Change = Callable[[dict[str, Any], dict[str, bytes]], None]
WEIGHTS, TOKENIZER, CLASSES = "weights.safetensors", "tokenizer.json", "classes.json"


class Payload:
    """Pickled, it would leave a trace when loaded."""

    def __reduce__(self) -> tuple:
        return (exec, ("import sys; sys.payload_was_run = True",))


def header(weights: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(weights[:8], "little")
    return json.loads(weights[8 : 8 + length]), weights[8 + length :]


def arrays(weights: bytes) -> dict[str, np.ndarray]:
    table, data = header(weights)
    dtypes = {"F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], dtypes[entry["dtype"]]).reshape(
            entry["shape"]
        )
        for name, entry in table.items()
    }


def with_arrays(change: Callable[[dict[str, np.ndarray]], Any]) -> Change:
    def apply(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        found = arrays(blobs[WEIGHTS])
        change(found)
        blobs[WEIGHTS] = encode_arrays(found)

    return apply


def with_nan(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
    blobs[WEIGHTS] = blobs[WEIGHTS][:-4] + np.float32(np.nan).tobytes()


def with_manifest(*path: str | int, value: Any) -> Change:
    def apply(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        *parents, last = path
        for name in parents:
            manifest = manifest[name]
        manifest[last] = value

    return apply


def without(*path: str) -> Change:
    def apply(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        *parents, last = path
        for name in parents:
            manifest = manifest[name]
        del manifest[last]

    return apply


def with_encoder(**values: Any) -> Change:
    def apply(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        manifest["network"]["encoder"].update(values)

    return apply


def with_blob(name: str, blob: bytes | None) -> Change:
    def apply(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        if blob is None:
            del blobs[name]
        else:
            blobs[name] = blob

    return apply


def with_tokenizer(change: Callable[[dict[str, Any]], Any]) -> Change:
    def apply(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        values = json.loads(blobs[TOKENIZER])
        change(values)
        blobs[TOKENIZER] = json.dumps(values).encode()

    return apply


def labels(values: list[Any], dtype: str = "object") -> bytes:
    return json.dumps({"dtype": dtype, "values": values}).encode()


HUGE = 10**12
TAMPERINGS: dict[str, tuple[Change, str]] = {
    "no weights": (with_blob(WEIGHTS, None), "lightxml.json"),
    "no tokenizer": (with_blob(TOKENIZER, None), "lightxml.json"),
    "no classes": (with_blob(CLASSES, None), "lightxml.json"),
    "a pickle named safetensors": (with_blob(WEIGHTS, pickle.dumps(Payload())), WEIGHTS),
    "a pickle as tokenizer": (with_blob(TOKENIZER, pickle.dumps(Payload())), TOKENIZER),
    "a pickle as classes": (with_blob(CLASSES, pickle.dumps(Payload())), CLASSES),
    "empty weights": (with_blob(WEIGHTS, b""), WEIGHTS),
    "a header of 1 GB": (with_blob(WEIGHTS, (2**30).to_bytes(8, "little") + b"{}"), WEIGHTS),
    "a header that is a list": (with_blob(WEIGHTS, (2).to_bytes(8, "little") + b"[]"), WEIGHTS),
    "NaN among the weights": (with_nan, WEIGHTS),
    "an array too many": (with_arrays(lambda a: a.update(more=np.zeros(3, np.float32))), WEIGHTS),
    "an array too few": (with_arrays(lambda a: a.pop("head.bias")), WEIGHTS),
    "weights of fewer labels": (
        with_arrays(lambda a: a.update({"head.weight": a["head.weight"][:-1]})),
        WEIGHTS,
    ),
    "weights of another width": (
        with_arrays(lambda a: a.update({"head.weight": a["head.weight"][:, 1:]})),
        WEIGHTS,
    ),
    "weights in another precision": (
        with_arrays(lambda a: a.update({"head.bias": a["head.bias"].astype(np.float64)})),
        WEIGHTS,
    ),
    "a tokenizer that is a list": (with_blob(TOKENIZER, b"[]"), TOKENIZER),
    "a tokenizer of 10^5 brackets": (with_blob(TOKENIZER, b"[" * 10**5), TOKENIZER),
    "a tokenizer without a model": (with_tokenizer(lambda t: t.pop("model")), TOKENIZER),
    "a tokenizer without truncation": (
        with_tokenizer(lambda t: t.update(truncation=None)),
        TOKENIZER,
    ),
    "a token number beyond the embeddings": (
        with_tokenizer(lambda t: t["model"]["vocab"].update(zebra=10**6)),
        "lightxml.json",
    ),
    "no room for text": (
        with_tokenizer(lambda t: t["truncation"].update(max_length=2)),
        "lightxml.json",
    ),
    "a config that names code": (
        with_encoder(auto_map={"AutoModel": "modeling.Evil"}),
        "lightxml.json",
    ),
    "a config that names a kernel": (
        with_encoder(attn_implementation="someone/kernel"),
        "lightxml.json",
    ),
    "a config with a private field": (with_encoder(_name_or_path="someone/x"), "lightxml.json"),
    "a decoder": (with_encoder(model_type="gpt2"), "lightxml.json"),
    "an unknown architecture": (with_encoder(model_type="evil"), "lightxml.json"),
    "another architecture": (with_encoder(model_type="distilbert"), WEIGHTS),
    "a billion layers": (with_encoder(num_hidden_layers=10**9), "lightxml.json"),
    "no layers": (with_encoder(num_hidden_layers=0), "lightxml.json"),
    "a width of 10^6": (with_encoder(hidden_size=10**6), WEIGHTS),
    "a vocabulary of 10^12": (with_encoder(vocab_size=HUGE), WEIGHTS),
    "no attention heads": (with_encoder(num_attention_heads=0), "lightxml.json"),
    "a text for a width": (with_encoder(hidden_size="wide"), "lightxml.json"),
    "no encoder": (without("network", "encoder"), "lightxml.json"),
    "an encoder that is a list": (with_manifest("network", "encoder", value=[]), "lightxml.json"),
    "no network": (without("network"), "lightxml.json"),
    "padding beyond the embeddings": (
        with_manifest("network", "pad_id", value=10**6),
        "lightxml.json",
    ),
    "padding below 0": (with_manifest("network", "pad_id", value=-1), "lightxml.json"),
    "no feature layers": (with_manifest("network", "n_feature_layers", value=0), "lightxml.json"),
    "a summary in the middle": (with_manifest("network", "summary", value="mid"), "lightxml.json"),
    "dropout of 7": (with_manifest("network", "dropout", value=7), "lightxml.json"),
    "an SE block without weights": (
        with_manifest("network", "se_block", value=False),
        WEIGHTS,
    ),
    "an unknown form of y": (with_manifest("label_form", value="frame"), "lightxml.json"),
    "a history that is a text": (with_manifest("history", value="long"), "lightxml.json"),
    "a history of texts": (with_manifest("history", value=[{"loss": "1"}]), "lightxml.json"),
    "no arguments": (without("params"), "lightxml.json"),
    "an unknown argument": (with_manifest("params", "code", value="x"), "lightxml.json"),
    "a wrong argument": (with_manifest("params", "max_epochs", value="x"), "lightxml.json"),
    "an argument that is a list": (with_manifest("params", "verbose", value=[]), "lightxml.json"),
    "an argument with a code config": (
        with_manifest("params", "encoder", value={"config": {"model_type": "bert", "auto_map": 1}}),
        "lightxml.json",
    ),
    "another estimator": (with_manifest("estimator", value="Other"), "lightxml.json"),
    "an estimator that is a number": (with_manifest("estimator", value=3), "lightxml.json"),
    "10^12 labels": (with_blob(CLASSES, json.dumps({"range": HUGE}).encode()), CLASSES),
    "more labels than weights": (with_blob(CLASSES, b'{"range": 13}'), WEIGHTS),
    "fewer labels than weights": (with_blob(CLASSES, labels(["a", "b"])), WEIGHTS),
    "no labels": (with_blob(CLASSES, labels([])), CLASSES),
    "labels that are lists": (with_blob(CLASSES, labels([[]] * 12)), CLASSES),
    "labels that are fractions": (with_blob(CLASSES, labels([0.5] * 12)), CLASSES),
    "a label twice": (with_blob(CLASSES, labels(["a"] * 12)), CLASSES),
    "labels in a dtype of 4 GB": (
        with_blob(CLASSES, labels([str(i) for i in range(12)], f"<U{10**9}")),
        CLASSES,
    ),
    "labels beyond 64 bits": (with_blob(CLASSES, labels([2**80, *range(11)], "int64")), CLASSES),
    "texts as int64": (with_blob(CLASSES, labels([str(i) for i in range(12)], "int64")), CLASSES),
}


def with_numbers(name: str, place: int, value: int) -> Change:
    """Change one number of an array of them."""

    def change(found: dict[str, np.ndarray]) -> None:
        found[name] = found[name].copy()
        found[name][place] = value

    return with_arrays(change)


def with_features(**values: Any) -> Change:
    def apply(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        manifest["network"]["features"].update(values)

    return apply


def with_neighbours(**values: Any) -> Change:
    def apply(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        manifest["network"]["neighbours"].update(values)

    return apply


def with_linear(**values: Any) -> Change:
    def apply(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        manifest["network"]["linear"].update(values)

    return apply


WORDS = "vectorizer.safetensors"
# Of a model that reads features only.
FEATURE_TAMPERINGS: dict[str, tuple[Change, str]] = {
    "neither encoder nor features": (
        with_manifest("network", "features", value=None),
        "lightxml.json",
    ),
    "features of an unknown kind": (with_features(kind="secret"), "lightxml.json"),
    "10^12 features": (with_features(n_features=HUGE), "lightxml.json"),
    "no features": (with_features(n_features=0), "lightxml.json"),
    "a width of 10^12": (with_features(width=HUGE), WEIGHTS),
    "10^12 columns": (with_features(n_columns=HUGE), WEIGHTS),
    "columns that are a text": (with_features(n_columns="many"), "lightxml.json"),
    "dense where it is sparse": (with_features(kind="dense"), "lightxml.json"),
    "a negative column": (with_numbers("features.columns", 0, -1), "lightxml.json"),
    "a column beyond the features": (with_numbers("features.columns", -1, 10**6), "lightxml.json"),
    "columns out of order": (with_numbers("features.columns", 3, 0), "lightxml.json"),
    "10^12 neighbours": (with_neighbours(n_documents=HUGE), WEIGHTS),
    "no neighbours": (with_neighbours(n_documents=0), "lightxml.json"),
    "neighbours without their number": (
        without("network", "neighbours", "n_entries"),
        "lightxml.json",
    ),
    "a weight that is a text": (with_neighbours(weight="much"), "lightxml.json"),
    "a neighbour out of range": (with_numbers("neighbours.documents", 5, 10**6), "lightxml.json"),
    "a negative neighbour": (with_numbers("neighbours.documents", 5, -1), "lightxml.json"),
    "labels that begin too late": (with_numbers("neighbours.starts", 3, 10**6), "lightxml.json"),
    "labels that begin nowhere": (with_numbers("neighbours.starts", 0, 1), "lightxml.json"),
    "neighbours of full precision": (
        with_arrays(lambda a: a.update({"neighbours.keys": a["neighbours.keys"].astype("<f4")})),
        WEIGHTS,
    ),
    "10^12 linear weights": (with_linear(n_entries=HUGE), WEIGHTS),
    "fewer linear weights than there are": (with_linear(n_entries=3), WEIGHTS),
    "linear weights without their number": (
        without("network", "linear", "n_entries"),
        "lightxml.json",
    ),
    "a linear weight that is a text": (with_linear(weight="much"), "lightxml.json"),
    "linear classifiers that count alone": (with_linear(weight=1), "lightxml.json"),
    "a negative weight of linear classifiers": (with_linear(weight=-0.5), "lightxml.json"),
    "linear classifiers that nothing describes": (
        with_manifest("network", "linear", value=None),
        WEIGHTS,
    ),
    "a linear label out of range": (with_numbers("linear.labels", 5, 10**6), "lightxml.json"),
    "a negative linear label": (with_numbers("linear.labels", 5, -1), "lightxml.json"),
    "linear weights that begin too late": (
        with_numbers("linear.starts", 3, 10**6),
        "lightxml.json",
    ),
    "linear weights that begin nowhere": (with_numbers("linear.starts", 0, 1), "lightxml.json"),
    "no vocabulary": (with_blob(WORDS, None), "lightxml.json"),
    "a pickle as vocabulary": (with_blob(WORDS, pickle.dumps(Payload())), WORDS),
    "a vocabulary that is a number": (with_manifest("vectorizer", value=3), "lightxml.json"),
    "an unknown vectorizer": (with_manifest("vectorizer", "kind", value="Evil"), "lightxml.json"),
    "a pickle as skops": (
        lambda manifest, blobs: (
            manifest.update(vectorizer={"kind": "skops"}),
            blobs.update({"vectorizer.skops": pickle.dumps(Payload())}),
        )[0],
        "vectorizer.skops",
    ),
    "a vectorizer that reads files": (
        with_manifest("vectorizer", "params", "input", value="filename"),
        "lightxml.json",
    ),
    "10^12 words": (with_manifest("vectorizer", "sizes", "terms", value=HUGE), WORDS),
    "a vectorizer of other features": (
        with_manifest("vectorizer", value={"kind": "HashingVectorizer", "params": {
            "input": "content", "dtype": "float64", "ngram_range": [1, 1], "n_features": 64,
        }}),
        "lightxml.json",
    ),
    "names for features that have none": (
        with_blob("feature_names.json", b'["a", "b"]'),
        "lightxml.json",
    ),
    "names that are numbers": (with_blob("feature_names.json", b"[1, 2]"), "feature_names.json"),
}  # fmt: skip


def with_head(**values: Any) -> Change:
    def apply(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        manifest["network"]["head"].update(values)

    return apply


# Of a model with four clusters of three labels.
CLUSTER_TAMPERINGS: dict[str, tuple[Change, str]] = {
    "a head of an unknown kind": (with_head(kind="secret"), "lightxml.json"),
    "a head without a kind": (without("network", "head", "kind"), "lightxml.json"),
    "a head that is a text": (with_manifest("network", "head", value="clustered"), "lightxml.json"),
    "one layer where there are clusters": (with_manifest("network", "head", value=None), WEIGHTS),
    "chunks where there are clusters": (with_head(kind="chunked"), WEIGHTS),
    "label embeddings of width 10^12": (with_head(label_dim=HUGE), WEIGHTS),
    "label embeddings of no width": (with_head(label_dim=0), "lightxml.json"),
    "a width that is a text": (with_head(label_dim="400"), "lightxml.json"),
    "10^12 clusters": (with_head(n_clusters=HUGE), "lightxml.json"),
    "a cluster too many": (with_head(n_clusters=5), WEIGHTS),
    "no clusters": (with_head(n_clusters=0), "lightxml.json"),
    "clusters without their number": (
        without("network", "head", "n_clusters"),
        "lightxml.json",
    ),
    "no candidate clusters": (with_head(n_candidate_clusters=0), "lightxml.json"),
    "half a candidate cluster": (with_head(n_candidate_clusters=0.5), "lightxml.json"),
    "a negative cluster": (with_numbers("head.cluster_of", 3, -1), "lightxml.json"),
    "a cluster out of range": (with_numbers("head.cluster_of", 3, 4), "lightxml.json"),
    "a cluster far out of range": (with_numbers("head.cluster_of", 3, 2**62), "lightxml.json"),
    "a cluster without a label": (
        with_arrays(lambda a: a.update({"head.cluster_of": np.minimum(a["head.cluster_of"], 2)})),
        "lightxml.json",
    ),
    "clusters as fractions": (
        with_arrays(lambda a: a.update({"head.cluster_of": a["head.cluster_of"].astype("<f4")})),
        WEIGHTS,
    ),
    "a label without a cluster": (
        with_arrays(lambda a: a.update({"head.cluster_of": a["head.cluster_of"][1:]})),
        WEIGHTS,
    ),
    "no clusters of labels": (with_arrays(lambda a: a.pop("head.cluster_of")), WEIGHTS),
    "clusters as an argument": (
        with_manifest("params", "label_clusters", value=[0] * 12),
        "lightxml.json",
    ),
    "a clusterer's name": (
        with_manifest("params", "label_clusters", value="sklearn.cluster.KMeans"),
        "lightxml.json",
    ),
}


def with_members(count: int) -> Change:
    def apply(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        manifest["members"] = [{}] * count

    return apply


def nested(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
    manifest["members"][1] = copy.deepcopy(manifest)
    blobs.update({f"1/{name}": blob for name, blob in list(blobs.items())})


ENSEMBLE_TAMPERINGS: dict[str, tuple[Change, str]] = {
    "no members": (with_manifest("members", value=[]), "lightxml.json"),
    "no list of members": (without("members"), "lightxml.json"),
    "members by name": (with_manifest("members", value={"0": {}}), "lightxml.json"),
    "members that are numbers": (with_manifest("members", value=[0, 1]), "lightxml.json"),
    "10^5 members": (with_members(10**5), "lightxml.json"),
    "a member without blobs": (
        lambda manifest, blobs: manifest["members"].append(manifest["members"][0]),
        "2/lightxml.json",
    ),
    "a member's weights missing": (with_blob("1/weights.safetensors", None), "1/lightxml.json"),
    "a member's weights damaged": (with_blob("1/weights.safetensors", b"{"), "1/weights"),
    "a pickle as a member's weights": (
        with_blob("1/weights.safetensors", pickle.dumps(Payload())),
        "1/weights",
    ),
    "a member that is an ensemble": (nested, "1/lightxml.json"),
    "a member of another class": (
        with_manifest("members", 1, "estimator", value="Pipeline"),
        "1/lightxml.json",
    ),
    "a member's argument out of range": (
        with_manifest("members", 1, "params", "dropout", value=7),
        "1/lightxml.json",
    ),
    "members with other labels": (
        with_blob("1/classes.json", labels([f"label {j}" for j in range(12)])),
        "lightxml.json",
    ),
    "members with other forms of y": (
        with_manifest("members", 1, "label_form", value="dense"),
        "lightxml.json",
    ),
    "a member with fewer labels": (
        with_blob("1/classes.json", b'{"range": 11}'),
        "1/weights",
    ),
    "members that read something else": (
        lambda manifest, blobs: manifest["members"][1].update(vectorizer=None),
        "lightxml.json",
    ),
    "no arguments of its own": (without("params"), "lightxml.json"),
    "an argument too many": (with_manifest("params", "estimator", value="x"), "lightxml.json"),
    "n_estimators of 0": (with_manifest("params", "n_estimators", value=0), "lightxml.json"),
    "a seed that is a text": (with_manifest("params", "random_state", value="x"), "lightxml.json"),
    "given what cannot be given": (with_manifest("given", value=["estimator"]), "lightxml.json"),
}


@pytest.fixture(scope="module")
def saved(fitted: LightXMLClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    fitted.save(folder)
    load(folder, "cpu")  # what the first load imports is not a cost of the rows
    return folder


@pytest.fixture(scope="module")
def saved_features(documents: Documents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    model = LightXMLClassifier(
        None,
        features=TfidfVectorizer(),
        feature_dim=16,
        max_epochs=1,
        linear_weight=0.5,
        device="cpu",
    )
    model.fit(*documents).save(folder)
    load(folder, "cpu")
    return folder


@pytest.fixture(scope="module")
def saved_clusters(documents: Documents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    model = LightXMLClassifier(
        None,
        features=TfidfVectorizer(),
        feature_dim=16,
        label_clusters=np.arange(12) // 3,
        n_candidate_clusters=2,
        label_dim=8,
        max_epochs=1,
        device="cpu",
    )
    model.fit(*documents).save(folder)
    load(folder, "cpu")
    return folder


@pytest.fixture(scope="module")
def saved_ensemble(documents: Documents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    one = LightXMLClassifier(
        None, features=TfidfVectorizer(), feature_dim=16, max_epochs=1, device="cpu"
    )
    LightXMLEnsemble(one, n_estimators=2, random_state=0).fit(*documents).save(folder)
    load(folder, "cpu")
    return folder


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("saved", name) for name in TAMPERINGS),
        *(("saved_features", name) for name in FEATURE_TAMPERINGS),
        *(("saved_clusters", name) for name in CLUSTER_TAMPERINGS),
        *(("saved_ensemble", name) for name in ENSEMBLE_TAMPERINGS),
    ],
)
def test_what_is_no_model_is_refused(
    kind: str, name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    tables = TAMPERINGS, FEATURE_TAMPERINGS, CLUSTER_TAMPERINGS, ENSEMBLE_TAMPERINGS
    change, file = next(table[name] for table in tables if name in table)
    bundle = load_bundle(request.getfixturevalue(kind))
    manifest, blobs = copy.deepcopy(bundle.manifest), dict(bundle.blobs)
    change(manifest, blobs)
    save_bundle(Bundle(manifest, blobs), tmp_path / "model")

    tracemalloc.start()
    try:
        with pytest.raises(BundleError) as caught:
            load(tmp_path / "model", "cpu")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert file in str(caught.value).split(":")[0], caught.value
    assert peak < 64 * 2**20
    assert not hasattr(sys, "payload_was_run")


def test_blobs_swapped_between_two_models_are_refused(
    make_classifier: Callable[..., LightXMLClassifier],
    documents: Documents,
    saved: Path,
    tmp_path: Path,
) -> None:
    X, y = documents
    make_classifier(max_epochs=1).fit(X, y[:, :9]).save(tmp_path / "other")
    one, other = load_bundle(saved), load_bundle(tmp_path / "other")
    for name in (WEIGHTS, CLASSES):
        swapped = Bundle(one.manifest, {**one.blobs, name: other.blobs[name]})
        save_bundle(swapped, tmp_path / "swapped")
        with pytest.raises(BundleError, match=WEIGHTS):  # both show in the weights' shapes
            load(tmp_path / "swapped", "cpu")


def test_a_bundle_of_format_1_loads_for_ever() -> None:
    folder = Path(__file__).parents[1] / "storage" / "format-1"
    model = load(folder, "cpu")
    model.network_.autocast_dtype = None  # what was expected was computed in float32
    expected = json.loads((folder / "expected.json").read_text("utf-8"))
    found, scores = model.predict_topk(expected["texts"], k=3, return_scores=True)
    assert found.tolist() == expected["labels"]
    np.testing.assert_allclose(scores, expected["scores"], atol=1e-5)
