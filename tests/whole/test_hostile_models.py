"""Models from strangers: what is signed as it should be, and yet is no model.

`tests/files/test_bundle.py` damages files; here the files are whole, with the right digests, and
what they say is wrong or unsafe. Each row must end in `BundleError` with the file's name, cost
little memory, and run nothing.
"""

from __future__ import annotations

import copy
import json
import pickle
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import skops.io
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier, LightXMLEnsemble, load
from lightxml.exceptions import BundleError
from lightxml.files.arrays import encode_arrays
from lightxml.files.bundle import Bundle, load_bundle, save_bundle
from lightxml.rankers.base import Documents as Read
from lightxml.rankers.centroids import fit_centroids
from lightxml.rankers.final import Logistic, fit_trees, n_columns_of
from lightxml.rankers.sparse import normalized
from lightxml.storage.reading import joined
from tests.network.test_encoders import save_pretrained

Documents = tuple[list[str], sp.csr_array]
Change = Callable[[dict[str, Any], dict[str, bytes]], None]
WEIGHTS, TOKENIZER, CLASSES = "weights.safetensors", "tokenizer.json", "classes.safetensors"
RANKERS, TEXTS = "rankers.safetensors", "label_texts.safetensors"


class Payload:
    """Pickled, it would leave a trace when loaded."""

    def __reduce__(self) -> tuple:
        return (exec, ("import sys; sys.payload_was_run = True",))


def header(weights: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(weights[:8], "little")
    return json.loads(weights[8 : 8 + length]), weights[8 + length :]


def arrays(weights: bytes) -> dict[str, np.ndarray]:
    table, data = header(weights)
    dtypes = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1"}
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], dtypes[entry["dtype"]]).reshape(
            entry["shape"]
        )
        for name, entry in table.items()
    }


def with_arrays(change: Callable[[dict[str, np.ndarray]], Any], blob: str = WEIGHTS) -> Change:
    def apply(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        found = arrays(blobs[blob])
        change(found)
        blobs[blob] = encode_arrays(found)

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


def with_labels(values: list[str] | list[int] | None, **described: Any) -> Change:
    """Change the labels' blob, and what the manifest says of them."""

    def apply(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        if values is not None and isinstance(values[0], str):
            blobs[CLASSES] = encode_arrays(joined(values))
        elif values is not None:
            blobs[CLASSES] = encode_arrays({"values": np.array(values, dtype=np.int64)})
        manifest["classes"].update(described)

    return apply


HUGE = 10**12
TAMPERINGS: dict[str, tuple[Change, str]] = {
    "no weights": (with_blob(WEIGHTS, None), "lightxml.json"),
    "no tokenizer": (with_blob(TOKENIZER, None), "lightxml.json"),
    "no classes": (with_manifest("classes", "kind", value="str"), "lightxml.json"),
    "a pickle named safetensors": (with_blob(WEIGHTS, pickle.dumps(Payload())), WEIGHTS),
    "a pickle as tokenizer": (with_blob(TOKENIZER, pickle.dumps(Payload())), TOKENIZER),
    "a pickle as classes": (
        lambda manifest, blobs: (
            manifest["classes"].update(kind="str"),
            blobs.update({CLASSES: pickle.dumps(Payload())}),
        )[0],
        CLASSES,
    ),
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
    "an unknown pooling": (with_manifest("network", "pooling", value="max"), "lightxml.json"),
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
    "10^12 labels": (with_labels(None, n_labels=HUGE), "lightxml.json"),
    "10^9 labels": (with_labels(None, n_labels=10**9), "lightxml.json"),
    "labels without a number": (without("classes", "n_labels"), "lightxml.json"),
    "labels of an unknown kind": (with_manifest("classes", "kind", value="obj"), "lightxml.json"),
    "more labels than weights": (with_labels(None, n_labels=13), WEIGHTS),
    "fewer labels than weights": (with_labels(["a", "b"], kind="str", n_labels=2), WEIGHTS),
    "fewer labels than it says": (with_labels(["a", "b"], kind="str"), CLASSES),
    "no labels": (with_labels(None, n_labels=0), "lightxml.json"),
    "a label twice": (with_labels(["a"] * 12, kind="str"), CLASSES),
    "a number twice": (with_labels([7] * 12, kind="int"), CLASSES),
    "texts as numbers": (with_labels([*"abcdefghijkl"], kind="int"), CLASSES),
    "numbers as texts": (with_labels([*range(12)], kind="str"), CLASSES),
    "labels that are longer than they are": (
        lambda manifest, blobs: (
            manifest["classes"].update(kind="str"),
            blobs.update(
                {
                    CLASSES: encode_arrays(
                        {"bytes": np.zeros(3, np.uint8), "lengths": np.full(12, 2**30, np.int32)}
                    )
                }
            ),
        )[0],
        CLASSES,
    ),
    "neither network nor rankers": (with_manifest("network", value=None), "lightxml.json"),
    "rankers that are a list": (with_manifest("panel", value=[1]), "lightxml.json"),
    "label texts that are not there": (
        with_manifest("has_label_texts", value=True),
        "lightxml.json",
    ),
    "no form of X": (without("n_features"), "lightxml.json"),
    "numbers for an encoder": (with_manifest("n_features", value=5), "lightxml.json"),
    "a classifier as argument that is not there": (
        with_manifest("params", "final_ranker", value={"kind": "as fitted"}),
        "lightxml.json",
    ),
}


def with_numbers(name: str, place: int, value: float, blob: str = WEIGHTS) -> Change:
    """Change one number of an array of them."""

    def change(found: dict[str, np.ndarray]) -> None:
        found[name] = found[name].copy()
        found[name][place] = value

    return with_arrays(change, blob)


def with_features(**values: Any) -> Change:
    def apply(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        manifest["network"]["features"].update(values)

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
    "dense where it is sparse": (with_features(kind="dense"), WEIGHTS),
    "a negative column": (with_numbers("features.columns", 0, -1), "lightxml.json"),
    "a column beyond the features": (with_numbers("features.columns", -1, 10**6), "lightxml.json"),
    "columns out of order": (with_numbers("features.columns", 3, 0), "lightxml.json"),
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
        with_blob("feature_names.safetensors", encode_arrays(joined(["a", "b"]))),
        "lightxml.json",
    ),
    "names that are numbers": (
        with_blob("feature_names.safetensors", encode_arrays({"values": np.arange(2)})),
        "feature_names.safetensors",
    ),
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
        lambda manifest, blobs: (
            manifest["members"][1]["classes"].update(kind="int"),
            blobs.update({f"1/{CLASSES}": encode_arrays({"values": np.arange(12) + 1})}),
        )[0],
        "lightxml.json",
    ),
    "members with other forms of y": (
        with_manifest("members", 1, "label_form", value="dense"),
        "lightxml.json",
    ),
    "a member with fewer labels": (
        with_manifest("members", 1, "classes", "n_labels", value=11),
        "1/",
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


def with_ranker(name: str, /, **values: Any) -> Change:
    """Change what the manifest says of a ranker."""

    def apply(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        found = [each for each in manifest["panel"]["rankers"] if each["name"] == name]
        found[0].update(values)

    return apply


def with_number(name: str, place: int, value: float) -> Change:
    return with_numbers(name, place, value, RANKERS)


def with_array(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    return with_arrays(lambda a: a.update({name: change(a[name])}), RANKERS)


def with_texts(**values: np.ndarray) -> Change:
    return with_arrays(lambda a: a.update(values), TEXTS)


def without_network(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
    manifest["network"] = None


def as_numbers(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
    """Say of a model of texts that it reads numbers."""
    width = manifest["panel"]["rankers"][0]["n_features"]
    manifest.update(n_features=width, vectorizer=None, network=None)
    panel = manifest["panel"]
    panel["rankers"] = [each for each in panel["rankers"] if each["name"] == "label_texts"]
    kept = {n: a for n, a in arrays(blobs[RANKERS]).items() if n.startswith(("label_t", "panel"))}
    blobs[RANKERS] = encode_arrays(kept)


# Of a model with a frozen encoder and all rankers but centroids.
RANKER_TAMPERINGS: dict[str, tuple[Change, str]] = {
    "no rankers": (with_manifest("panel", "rankers", value=[]), "lightxml.json"),
    "rankers without a name": (with_manifest("panel", "rankers", value=[{}]), "lightxml.json"),
    "a name that is a list": (with_ranker("linear", name=[1]), "lightxml.json"),
    "a ranker of an unknown kind": (with_ranker("linear", name="os"), RANKERS),
    "a ranker that nothing describes": (
        lambda manifest, blobs: manifest["panel"]["rankers"].pop(0),
        RANKERS,
    ),
    "a ranker twice": (
        lambda manifest, blobs: manifest["panel"]["rankers"].append(
            manifest["panel"]["rankers"][0]
        ),
        "lightxml.json",
    ),
    "a ranker without arrays": (
        lambda manifest, blobs: manifest["panel"]["rankers"].append({"name": "centroids"}),
        RANKERS,
    ),
    "no rankers' arrays": (with_blob(RANKERS, None), "lightxml.json"),
    "a pickle as rankers": (with_blob(RANKERS, pickle.dumps(Payload())), RANKERS),
    "no training documents": (with_manifest("panel", "n_documents", value=0), "lightxml.json"),
    "more documents of a label than of all": (with_number("panel.counts", 0, 10**6), RANKERS),
    "a negative count": (with_number("panel.counts", 0, -1), RANKERS),
    "counts of fewer labels": (with_array("panel.counts", lambda a: a[1:]), RANKERS),
    "a preference for fewer labels": (
        with_arrays(lambda a: a.update({"panel.raised": np.zeros(3, np.float32)}), RANKERS),
        RANKERS,
    ),
    "linear: 10^12 labels": (with_ranker("linear", n_labels=HUGE), "lightxml.json"),
    "linear: 10^12 features": (with_ranker("linear", n_features=HUGE), "lightxml.json"),
    "linear: no number of labels": (with_ranker("linear", n_labels=None), "lightxml.json"),
    "linear: a label out of place": (with_number("linear.weights_pointers", 3, 10**9), RANKERS),
    "linear: a feature out of range": (with_number("linear.weights_columns", 0, 10**6), RANKERS),
    "linear: a negative feature": (with_number("linear.weights_columns", 0, -1), RANKERS),
    "linear: weights of full precision": (
        with_array("linear.weights_values", lambda a: a.astype("<f4")),
        RANKERS,
    ),
    "linear: fewer weights than features": (
        with_array("linear.weights_values", lambda a: a[1:]),
        RANKERS,
    ),
    "linear: no bias": (with_arrays(lambda a: a.pop("linear.bias"), RANKERS), RANKERS),
    "neighbors: 10^12 documents": (with_ranker("neighbors", n_documents=HUGE), RANKERS),
    "neighbors: documents of other features": (
        with_ranker("neighbors", n_features=3),
        "lightxml.json",
    ),
    "neighbors: a label out of range": (with_number("neighbors.y_columns", 0, 12), RANKERS),
    "neighbors: a feature out of range": (with_number("neighbors.rows_columns", 0, 10**6), RANKERS),
    "neighbors: labels that begin nowhere": (with_number("neighbors.y_pointers", 0, 1), RANKERS),
    "neighbors: a negative vote": (with_number("neighbors.votes", 0, -1), RANKERS),
    "neighbors: fewer votes": (with_array("neighbors.votes", lambda a: a[1:]), RANKERS),
    "vectors: 10^12 documents": (with_ranker("vectors", n_documents=HUGE), RANKERS),
    "vectors: another width": (with_ranker("vectors", width=5), "lightxml.json"),
    "vectors: keys of one dimension": (with_array("vectors.keys", np.ravel), RANKERS),
    "vectors: a label out of range": (with_number("vectors.y_columns", 0, 12), RANKERS),
    "vectors: no encoder": (without_network, "lightxml.json"),
    "label texts: 10^12 documents": (with_ranker("label_texts", n_documents=HUGE), RANKERS),
    "label texts: a text of no label": (with_number("label_texts.owners", -1, 12), RANKERS),
    "label texts: out of order": (with_number("label_texts.owners", 0, 3), RANKERS),
    "label texts: a word out of range": (with_number("label_texts.texts", 0, 10**6), RANKERS),
    "label texts: a text without words": (with_number("label_texts.starts", 1, 0), RANKERS),
    "label texts: no UTF-8": (with_number("label_texts.vocabulary", 0, 0xFF), RANKERS),
    "label texts: words in more documents than there are": (
        with_number("label_texts.frequencies", 0, 10**6),
        RANKERS,
    ),
    "label texts: for numbers": (as_numbers, "lightxml.json"),
    "label vectors: 10^12 labels": (with_ranker("label_vectors", n_labels=HUGE), "lightxml.json"),
    "label vectors: another width": (with_ranker("label_vectors", width=5), "lightxml.json"),
    "label vectors: a text of no label": (with_number("label_vectors.owners", -1, 12), RANKERS),
    "label vectors: keys of one dimension": (with_array("label_vectors.keys", np.ravel), RANKERS),
    "label vectors: fewer than texts": (
        with_array("label_vectors.keys", lambda a: a[1:]),
        RANKERS,
    ),
    "label vectors: no length": (with_array("label_vectors.keys", lambda a: 0 * a), RANKERS),
    "network: a label half seen": (with_number("network.seen", 0, 2), RANKERS),
    "network: fewer labels": (with_array("network.seen", lambda a: a[1:]), RANKERS),
    "final: an unknown kind": (with_manifest("panel", "final", "kind", value="code"), RANKERS),
    "final: no kind": (with_manifest("panel", "final", value=[]), "lightxml.json"),
    "final: trees of other rankers": (
        with_manifest("panel", "final", "n_columns", value=3),
        RANKERS,
    ),
    "final: a baseline that is a text": (
        with_manifest("panel", "final", "baseline", value="0"),
        RANKERS,
    ),
    "final: a column out of range": (with_number("final.column", 0, 99), RANKERS),
    "final: a node that is its own child": (with_number("final.left", 0, 0), RANKERS),
    "final: a child outside its tree": (with_number("final.right", 0, 10**6), RANKERS),
    "final: a node with two parents": (
        with_arrays(lambda a: a.update({"final.left": a["final.right"]}), RANKERS),
        RANKERS,
    ),
    "final: 10^9 nodes in a tree": (with_number("final.starts", 1, 10**9), RANKERS),
    "final: fewer values than nodes": (with_array("final.value", lambda a: a[1:]), RANKERS),
    "final: a column that is not there": (
        lambda manifest, blobs: (
            manifest["panel"].update(final={"kind": "logistic", "bias": 0.0}),
            with_arrays(
                lambda a: a.update(
                    {"final.used": np.array([99], np.int32), "final.weights": np.zeros(1)}
                ),
                RANKERS,
            )(manifest, blobs),
        )[0],
        RANKERS,
    ),
    "final: a classifier that is not there": (
        with_manifest("panel", "final", value={"kind": "scikit-learn"}),
        RANKERS,
    ),
    "final: a pickle": (with_blob("final.skops", pickle.dumps(Payload())), "final.skops"),
    "final: a vectorizer": (
        lambda manifest, blobs: (
            manifest["panel"].update(final={"kind": "scikit-learn"}),
            blobs.update({"final.skops": skops.io.dumps(TfidfVectorizer())}),
        )[0],
        RANKERS,
    ),
    "texts of fewer labels": (with_texts(sizes=np.ones(3, np.int32)), TEXTS),
    "more texts than there are": (with_texts(sizes=np.full(12, 9, np.int32)), TEXTS),
    "a negative number of texts": (with_texts(sizes=np.array([-1, 3] * 6, np.int32)), TEXTS),
    "texts beyond the bytes": (with_texts(lengths=np.full(12, 2**30, np.int32)), TEXTS),
    "texts in another code": (
        with_arrays(lambda a: a.update(bytes=np.full_like(a["bytes"], 0xFF)), TEXTS),
        TEXTS,
    ),
    "a surrogate in a text": (
        with_texts(**joined(["\ud800"]), sizes=np.array([1, *[0] * 11], np.int32)),
        TEXTS,
    ),
    "texts as a pickle": (with_blob(TEXTS, pickle.dumps(Payload())), TEXTS),
}

# Of a model of numbers whose labels are described by rows, with centroids.
ROW_TAMPERINGS: dict[str, tuple[Change, str]] = {
    "centroids: a feature out of range": (
        with_number("centroids.centroids_columns", 0, 99),
        RANKERS,
    ),
    "centroids: fewer lengths": (with_array("centroids.lengths", lambda a: a[1:]), RANKERS),
    "centroids: other labels": (with_ranker("centroids", n_labels=3), "lightxml.json"),
    "rows: other features": (with_ranker("label_texts", n_features=3), "lightxml.json"),
    "rows: a column out of range": (with_number("label_texts.columns", 0, 99), RANKERS),
    "rows: values of another length": (with_number("label_texts.values", 0, 1e30), RANKERS),
    "rows: a value of 0": (with_number("label_texts.values", 0, 0), RANKERS),
    "10^12 columns of X": (with_manifest("n_features", value=HUGE), "lightxml.json"),
    "no columns of X": (with_manifest("n_features", value=0), "lightxml.json"),
    "final: weights for other columns": (with_array("final.weights", lambda a: a[1:]), RANKERS),
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
        rankers=("network",),
        max_epochs=1,
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
        rankers=("network",),
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
        None,
        features=TfidfVectorizer(),
        rankers=("network",),
        feature_dim=16,
        max_epochs=1,
        device="cpu",
    )
    LightXMLEnsemble(one, n_estimators=2, random_state=0).fit(*documents).save(folder)
    load(folder, "cpu")
    return folder


@pytest.fixture(scope="module")
def saved_rankers(
    make_classifier: Callable[..., LightXMLClassifier],
    documents: Documents,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    X, y = documents
    model = make_classifier(
        encoder=save_pretrained(folder.parent / "encoder", "bert"),
        features=TfidfVectorizer(),
        freeze_encoder=True,
        max_epochs=1,
        rankers=("linear", "neighbors", "label_texts", "network"),
    )
    texts = [X[i] for i in range(y.shape[1])]
    model.fit(X, y, label_texts=texts)
    panel = model._model.panel
    columns = np.random.default_rng(0).random((400, n_columns_of(panel.rankers)), np.float32)
    trees = fit_trees(columns, columns[:, 0] > 0.5, np.ones(400), seed=0)
    model._model = replace(model._model, panel=replace(panel, final=trees))
    model.save(folder)
    load(folder, "cpu")
    return folder


@pytest.fixture(scope="module")
def saved_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    X, y = sp.csr_array(np.eye(40, 8) + 0.1), np.tile(np.eye(4, dtype=int), (10, 1))
    model = LightXMLClassifier(rankers=("neighbors", "label_texts"), device="cpu")
    model.fit(X, y, label_texts=X[:4])
    panel = model._model.panel
    of_rows = Read(normalized(X))
    rankers = (fit_centroids(of_rows, sp.csr_array(y)), panel.rankers[-1])
    final = Logistic(np.array([0, 1], np.int32), np.ones(2), 0.0)
    model._model = replace(model._model, panel=replace(panel, rankers=rankers, final=final))
    model.save(folder)
    load(folder, "cpu")
    return folder


TABLES = {
    "saved": TAMPERINGS,
    "saved_features": FEATURE_TAMPERINGS,
    "saved_clusters": CLUSTER_TAMPERINGS,
    "saved_ensemble": ENSEMBLE_TAMPERINGS,
    "saved_rankers": RANKER_TAMPERINGS,
    "saved_rows": ROW_TAMPERINGS,
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, table in TABLES.items() for name in table]
)
def test_what_is_no_model_is_refused(
    kind: str, name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    change, file = TABLES[kind][name]
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


def test_weights_of_another_model_are_refused(
    make_classifier: Callable[..., LightXMLClassifier],
    documents: Documents,
    saved: Path,
    tmp_path: Path,
) -> None:
    X, y = documents
    make_classifier(max_epochs=1).fit(X, y[:, :9]).save(tmp_path / "other")
    one, other = load_bundle(saved), load_bundle(tmp_path / "other")
    swapped = Bundle(one.manifest, {**one.blobs, WEIGHTS: other.blobs[WEIGHTS]})
    save_bundle(swapped, tmp_path / "swapped")
    with pytest.raises(BundleError, match=WEIGHTS):  # it shows in their shapes
        load(tmp_path / "swapped", "cpu")
