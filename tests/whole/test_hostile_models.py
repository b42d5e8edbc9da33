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
from sklearn.ensemble import StackingClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union

from lightxml import LightXMLClassifier, LightXMLEnsemble, load
from lightxml.exceptions import BundleError
from lightxml.files.arrays import encode_arrays
from lightxml.files.bundle import RECORD, Bundle
from lightxml.files.load import load_bundle
from lightxml.files.save import save_bundle
from lightxml.rankers.final import Logistic, n_columns_of
from lightxml.rankers.fit_final import fit_trees
from lightxml.storage.reading import joined
from tests.network.test_encoders import save_pretrained

Documents = tuple[list[str], sp.csr_array]
Make = Callable[..., LightXMLClassifier]
Change = Callable[[dict[str, Any], dict[str, bytes]], None]
WEIGHTS, TOKENIZER, CLASSES = "weights.safetensors", "tokenizer.json", "classes.safetensors"
RANKERS, TEXTS = "rankers.safetensors", "label_texts.safetensors"
THRESHOLDS = "thresholds.safetensors"


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


def with_thresholds(*values: float) -> Change:
    """Give each label a threshold of its own."""

    def apply(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        manifest["threshold"] = None
        blobs[THRESHOLDS] = encode_arrays({"thresholds": np.array(values, np.float32)})

    return apply


HUGE = 10**12
TAMPERINGS: dict[str, tuple[Change, str]] = {
    "no weights": (with_blob(WEIGHTS, None), RECORD),
    "no tokenizer": (with_blob(TOKENIZER, None), RECORD),
    "no classes": (with_manifest("classes", "kind", value="str"), RECORD),
    "a pickle named safetensors": (with_blob(WEIGHTS, pickle.dumps(Payload())), WEIGHTS),
    "NaN among the weights": (with_nan, WEIGHTS),
    "an array too many": (with_arrays(lambda a: a.update(more=np.zeros(3, np.float32))), WEIGHTS),
    "an array too few": (with_arrays(lambda a: a.pop("head.bias")), WEIGHTS),
    "weights of fewer labels": (
        with_arrays(lambda a: a.update({"head.weight": a["head.weight"][:-1]})),
        WEIGHTS,
    ),
    "a tokenizer that is a list": (with_blob(TOKENIZER, b"[]"), TOKENIZER),
    "a tokenizer without a model": (with_tokenizer(lambda t: t.pop("model")), TOKENIZER),
    "a tokenizer without truncation": (
        with_tokenizer(lambda t: t.update(truncation=None)),
        TOKENIZER,
    ),
    "a token number beyond the embeddings": (
        with_tokenizer(lambda t: t["model"]["vocab"].update(zebra=10**6)),
        RECORD,
    ),
    "a template without one of its tokens": (  # tokenizers panics, with what is no Exception
        with_tokenizer(lambda t: t["post_processor"]["special_tokens"].pop("[SEP]")),
        RECORD,
    ),
    "no room for text": (with_tokenizer(lambda t: t["truncation"].update(max_length=2)), RECORD),
    "a config that names code": (with_encoder(auto_map={"AutoModel": "modeling.Evil"}), RECORD),
    "a decoder": (with_encoder(model_type="gpt2"), RECORD),
    "another architecture": (with_encoder(model_type="distilbert"), WEIGHTS),
    "a billion layers": (with_encoder(num_hidden_layers=10**9), RECORD),
    "no layers": (with_encoder(num_hidden_layers=0), RECORD),
    "a width of 10^6": (with_encoder(hidden_size=10**6), WEIGHTS),
    "a vocabulary of 10^12": (with_encoder(vocab_size=HUGE), WEIGHTS),
    "no attention heads": (with_encoder(num_attention_heads=0), RECORD),
    "a tokenizer without its unknown token": (
        with_tokenizer(lambda t: t["model"]["vocab"].pop("[UNK]")),
        RECORD,
    ),
    "padding beyond what the config has": (with_encoder(pad_token_id=10**6), RECORD),
    "10^12 labels in the config": (with_encoder(num_labels=HUGE), RECORD),
    "10^9 positions": (with_encoder(max_position_embeddings=10**9), RECORD),
    "a billion layers in lists": (
        with_encoder(model_type="modernbert", num_hidden_layers=10**9),
        RECORD,
    ),
    "a billion layers of a group": (
        with_encoder(model_type="albert", inner_group_num=10**9),
        RECORD,
    ),
    "a billion layers in a layer": (
        with_encoder(model_type="mobilebert", num_feedforward_networks=10**9),
        RECORD,
    ),
    "a window of 10^9 tokens": (
        with_encoder(model_type="longformer", attention_window=[4, 10**9]),
        RECORD,
    ),
    "heads below 0": (with_encoder(num_attention_heads=-2), RECORD),
    "an architecture that fetches code": (with_encoder(model_type="mra"), RECORD),
    "no encoder": (without("network", "encoder"), RECORD),
    "no network": (without("network"), RECORD),
    "padding beyond the embeddings": (with_manifest("network", "pad_id", value=10**6), RECORD),
    "no feature layers": (with_manifest("network", "n_feature_layers", value=0), RECORD),
    "an unknown pooling": (with_manifest("network", "pooling", value="max"), RECORD),
    "a summary in the middle": (with_manifest("network", "summary", value="mid"), RECORD),
    "a prompt that is a number": (with_manifest("network", "prompt", value=3), RECORD),
    "half a length of 1": (with_manifest("network", "normalize", value=0.5), RECORD),
    "dropout of 7": (with_manifest("network", "dropout", value=7), RECORD),
    "an SE block without weights": (with_manifest("network", "se_block", value=False), WEIGHTS),
    "an unknown form of y": (with_manifest("label_form", value="frame"), RECORD),
    "a history that is a text": (with_manifest("history", value="long"), RECORD),
    "no arguments": (without("params"), RECORD),
    "an unknown argument": (with_manifest("params", "code", value="x"), RECORD),
    "a wrong argument": (with_manifest("params", "max_epochs", value="x"), RECORD),
    "an argument beyond int64": (with_manifest("params", "max_epochs", value=2**63), RECORD),
    "an argument with a code config": (
        with_manifest("params", "encoder", value={"config": {"model_type": "bert", "auto_map": 1}}),
        RECORD,
    ),
    "another estimator": (with_manifest("estimator", value="Other"), RECORD),
    "10^12 labels": (with_labels(None, n_labels=HUGE), RECORD),
    "labels without a number": (without("classes", "n_labels"), RECORD),
    "labels of an unknown kind": (with_manifest("classes", "kind", value="obj"), RECORD),
    "more labels than weights": (with_labels(None, n_labels=13), RECORD),
    "fewer labels than weights": (with_labels(["a", "b"], kind="str", n_labels=2), RECORD),
    "fewer labels than it says": (with_labels(["a", "b"], kind="str"), CLASSES),
    "no labels": (with_labels(None, n_labels=0), RECORD),
    "a label twice": (with_labels(["a"] * 12, kind="str"), CLASSES),
    "texts as numbers": (with_labels([*"abcdefghijkl"], kind="int"), CLASSES),
    "numbers as texts": (with_labels([*range(12)], kind="str"), CLASSES),
    "neither network nor rankers": (with_manifest("network", value=None), RECORD),
    "rankers that are a list": (with_manifest("panel", value=[1]), RECORD),
    "label texts that are not there": (with_manifest("has_label_texts", value=True), RECORD),
    "no threshold": (without("threshold"), RECORD),
    "a threshold of 0": (with_manifest("threshold", value=0), RECORD),
    "a threshold that is a text": (with_manifest("threshold", value="micro_f1"), RECORD),
    "a threshold that is true": (with_manifest("threshold", value=True), RECORD),
    "thresholds that are not there": (with_manifest("threshold", value=None), RECORD),
    "thresholds of other labels": (with_thresholds(0.5, 0.5), THRESHOLDS),
    "a label's threshold of 0": (with_thresholds(*[0.5] * 11, 0), THRESHOLDS),
    "a label's threshold of 2": (with_thresholds(*[0.5] * 11, 2), THRESHOLDS),
    "no form of X": (without("n_features"), RECORD),
    "numbers for an encoder": (with_manifest("n_features", value=5), RECORD),
    "a classifier as argument that is not there": (
        with_manifest("params", "final_ranker", value={"kind": "as fitted"}),
        RECORD,
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


def reading_files() -> Any:
    """What is asked for its arguments is harmless; what was fitted opens what texts name."""
    files = [__file__, np.__file__] * 4
    vectorizer = make_pipeline(CountVectorizer(input="filename"), LogisticRegression())
    stack = StackingClassifier([("a", vectorizer)], cv=2).fit(files, [0, 1] * 4)
    del stack.named_estimators_  # the one part that skops does not trust
    return stack.set_params(a=make_pipeline(CountVectorizer(), LogisticRegression()))


def with_skops(make: Callable[[], Any]) -> Change:
    """Put what skops keeps in the place of the vectorizer."""

    def apply(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        manifest["vectorizer"] = {"kind": "skops"}
        blobs["vectorizer.skops"] = skops.io.dumps(make())

    return apply


WORDS = "vectorizer.safetensors"
# Of a model that reads features only.
FEATURE_TAMPERINGS: dict[str, tuple[Change, str]] = {
    "neither encoder nor features": (
        with_manifest("network", "features", value=None),
        RECORD,
    ),
    "features of an unknown kind": (with_features(kind="secret"), RECORD),
    "10^12 features": (with_features(n_features=HUGE), RECORD),
    "a width of 10^12": (with_features(width=HUGE), WEIGHTS),
    "10^12 columns": (with_features(n_columns=HUGE), WEIGHTS),
    "dense where it is sparse": (with_features(kind="dense"), WEIGHTS),
    "a negative column": (with_numbers("features.columns", 0, -1), RECORD),
    "a column beyond the features": (with_numbers("features.columns", -1, 10**6), RECORD),
    "columns out of order": (with_numbers("features.columns", 3, 0), RECORD),
    "no vocabulary": (with_blob(WORDS, None), RECORD),
    "a pickle as skops": (
        lambda manifest, blobs: (
            manifest.update(vectorizer={"kind": "skops"}),
            blobs.update({"vectorizer.skops": pickle.dumps(Payload())}),
        )[0],
        "vectorizer.skops",
    ),
    "a vectorizer that reads files": (
        with_manifest("vectorizer", "params", "input", value="filename"),
        RECORD,
    ),
    "a vectorizer with an argument that none has": (
        with_manifest("vectorizer", "params", "encoding", value={"a": 1}),
        RECORD,
    ),
    "n-grams of 1e308 words": (
        with_manifest("vectorizer", "params", "ngram_range", value=[1, 1e308]),
        RECORD,
    ),
    "n-grams of words that are no whole number": (
        with_manifest("vectorizer", "params", "ngram_range", value=[1, 2.0]),
        RECORD,
    ),
    "a vectorizer's argument beyond int64": (
        with_manifest("vectorizer", "params", "max_features", value=2**63),
        RECORD,
    ),
    "a vectorizer that may never end": (
        with_manifest("vectorizer", "params", "token_pattern", value=r"(\w+)+!"),
        RECORD,
    ),
    "a fitted part that reads files": (with_skops(reading_files), "vectorizer.skops"),
    "a part that may never end": (
        with_skops(lambda: make_union(TfidfVectorizer(token_pattern=r"(\w+)+!"))),
        "vectorizer.skops",
    ),
    "a vectorizer of other features": (
        with_manifest("vectorizer", value={"kind": "HashingVectorizer", "params": {
            "input": "content", "dtype": "float64", "ngram_range": [1, 1], "n_features": 64,
        }}),
        RECORD,
    ),
    "names for features that have none": (
        with_blob("feature_names.safetensors", encode_arrays(joined(["a", "b"]))),
        RECORD,
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
    "a head of an unknown kind": (with_head(kind="secret"), RECORD),
    "a head without a kind": (without("network", "head", "kind"), RECORD),
    "a head that is a text": (with_manifest("network", "head", value="clustered"), RECORD),
    "one layer where there are clusters": (with_manifest("network", "head", value=None), WEIGHTS),
    "label embeddings of width 10^12": (with_head(label_dim=HUGE), WEIGHTS),
    "10^12 clusters": (with_head(n_clusters=HUGE), RECORD),
    "a cluster too many": (with_head(n_clusters=5), WEIGHTS),
    "clusters without their number": (without("network", "head", "n_clusters"), RECORD),
    "no candidate clusters": (with_head(n_candidate_clusters=0), RECORD),
    "a negative cluster": (with_numbers("head.cluster_of", 3, -1), RECORD),
    "a cluster out of range": (with_numbers("head.cluster_of", 3, 4), RECORD),
    "a cluster without a label": (
        with_arrays(lambda a: a.update({"head.cluster_of": np.minimum(a["head.cluster_of"], 2)})),
        RECORD,
    ),
    "clusters as an argument": (with_manifest("params", "label_clusters", value=[0] * 12), RECORD),
}


def nested(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
    manifest["members"][1] = copy.deepcopy(manifest)
    blobs.update({f"1/{name}": blob for name, blob in list(blobs.items())})


ENSEMBLE_TAMPERINGS: dict[str, tuple[Change, str]] = {
    "no members": (with_manifest("members", value=[]), RECORD),
    "no list of members": (without("members"), RECORD),
    "a member without blobs": (
        lambda manifest, blobs: manifest["members"].append(manifest["members"][0]),
        "2/lightxml.json",
    ),
    "a member's weights missing": (with_blob("1/weights.safetensors", None), "1/lightxml.json"),
    "a member that is an ensemble": (nested, "1/lightxml.json"),
    "a member's argument out of range": (
        with_manifest("members", 1, "params", "dropout", value=7),
        "1/lightxml.json",
    ),
    "members with other labels": (
        lambda manifest, blobs: (
            manifest["members"][1]["classes"].update(kind="int"),
            blobs.update({f"1/{CLASSES}": encode_arrays({"values": np.arange(12) + 1})}),
        )[0],
        RECORD,
    ),
    "members with other forms of y": (
        with_manifest("members", 1, "label_form", value="dense"),
        RECORD,
    ),
    "a member with fewer labels": (
        with_manifest("members", 1, "classes", "n_labels", value=11),
        "1/",
    ),
    "members that read something else": (
        lambda manifest, blobs: manifest["members"][1].update(vectorizer=None),
        RECORD,
    ),
    "an argument too many": (with_manifest("params", "estimator", value="x"), RECORD),
    "n_estimators of 0": (with_manifest("params", "n_estimators", value=0), RECORD),
    "n_estimators beyond int64": (with_manifest("params", "n_estimators", value=2**63), RECORD),
    "a seed that is a text": (with_manifest("params", "random_state", value="x"), RECORD),
    "a seed below 0": (with_manifest("params", "random_state", value=-1), RECORD),
    "given what cannot be given": (with_manifest("given", value=["estimator"]), RECORD),
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


def without_argument(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
    """Put a classifier in the place of the trees that answers, but cannot be cloned."""
    n_columns = manifest["panel"]["final"]["n_columns"]
    classifier = LogisticRegression().fit(np.eye(2, n_columns), [0, 1])
    del classifier.tol
    manifest["panel"]["final"] = {"kind": "scikit-learn"}
    manifest["params"]["final_ranker"] = "as fitted"
    blobs["final.skops"] = skops.io.dumps(classifier)


# Of a model of words, with a text for each label and trees that decide.
WORD_TAMPERINGS: dict[str, tuple[Change, str]] = {
    "no rankers": (with_manifest("panel", "rankers", value=[]), RECORD),
    "rankers without a name": (with_manifest("panel", "rankers", value=[{}]), RECORD),
    "a ranker of an unknown kind": (with_ranker("linear", name="os"), RANKERS),
    "a ranker that nothing describes": (
        lambda manifest, blobs: manifest["panel"]["rankers"].pop(0),
        RANKERS,
    ),
    "a ranker twice": (
        lambda manifest, blobs: manifest["panel"]["rankers"].append(
            manifest["panel"]["rankers"][0]
        ),
        RECORD,
    ),
    "a ranker without arrays": (
        lambda manifest, blobs: manifest["panel"]["rankers"].append({"name": "label_tree"}),
        RANKERS,
    ),
    "no rankers' arrays": (with_blob(RANKERS, None), RECORD),
    "no training documents": (with_manifest("panel", "n_documents", value=0), RECORD),
    "more documents of a label than of all": (with_number("panel.counts", 0, 10**6), RANKERS),
    "a negative count": (with_number("panel.counts", 0, -1), RANKERS),
    "a preference for fewer labels": (
        with_arrays(lambda a: a.update({"panel.raised": np.zeros(3, np.float32)}), RANKERS),
        RANKERS,
    ),
    "linear: 10^12 labels": (with_ranker("linear", n_labels=HUGE), RECORD),
    "linear: a feature out of range": (with_number("linear.weights_columns", 0, 10**6), RANKERS),
    "neighbors: documents of other features": (with_ranker("neighbors", n_features=3), RECORD),
    "neighbors: a feature out of range": (with_number("neighbors.rows_columns", 0, 10**6), RANKERS),
    "label texts: 10^12 documents": (with_ranker("label_texts", n_documents=HUGE), RANKERS),
    "label texts: a text of no label": (with_number("label_texts.owners", -1, 12), RANKERS),
    "label texts: for numbers": (as_numbers, RECORD),
    "neighbors: a likely label out of range": (
        with_number("neighbors.told_columns", 0, 12),
        RANKERS,
    ),
    "final: an unknown kind": (with_manifest("panel", "final", "kind", value="code"), RANKERS),
    "final: trees of other rankers": (
        with_manifest("panel", "final", "n_columns", value=3),
        RANKERS,
    ),
    "final: a column out of range": (with_number("final.column", 0, 99), RANKERS),
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
    "final: a classifier without an argument": (without_argument, "final.skops"),
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
}

# Of a model with a frozen encoder and all rankers.
RANKER_TAMPERINGS: dict[str, tuple[Change, str]] = {
    "vectors: another width": (with_ranker("vectors", width=5), RECORD),
    "vectors: a label out of range": (with_number("vectors.y_columns", 0, 12), RANKERS),
    "vectors: no encoder": (without_network, RECORD),
    "label vectors: 10^12 labels": (with_ranker("label_vectors", n_labels=HUGE), RECORD),
    "label vectors: another width": (with_ranker("label_vectors", width=5), RECORD),
    "label vectors: a text of no label": (with_number("label_vectors.owners", -1, 12), RANKERS),
    "label vectors: keys of one dimension": (with_array("label_vectors.keys", np.ravel), RANKERS),
    "label vectors: fewer than texts": (
        with_array("label_vectors.keys", lambda a: a[1:]),
        RANKERS,
    ),
    "label vectors: no length": (with_array("label_vectors.keys", lambda a: 0 * a), RANKERS),
    "network: a label half seen": (with_number("network.seen", 0, 2), RANKERS),
    "network: an output that is not there": (with_number("network.outputs", -1, 12), RANKERS),
    "network: an output twice": (with_number("network.outputs", 0, 5), RANKERS),
}

# Of a model of numbers whose labels are described by rows.
ROW_TAMPERINGS: dict[str, tuple[Change, str]] = {
    "rows: other features": (with_ranker("label_texts", n_features=3), RECORD),
    "rows: values of another length": (with_number("label_texts.values", 0, 1e30), RANKERS),
    "10^12 columns of X": (with_manifest("n_features", value=HUGE), RECORD),
    "final: a weight too large to multiply": (with_number("final.weights", 0, 1e300), RANKERS),
    "final: a bias too large to add to": (
        with_manifest("panel", "final", "bias", value=1e300),
        RANKERS,
    ),
    "final: weights for other columns": (with_array("final.weights", lambda a: a[1:]), RANKERS),
}


def save(model: LightXMLClassifier | LightXMLEnsemble, factory: pytest.TempPathFactory) -> Path:
    folder = factory.mktemp("saved") / "model"
    model.save(folder)
    load(folder, "cpu")  # what the first load imports is not a cost of the rows
    return folder


def of_features(**params: Any) -> LightXMLClassifier:
    """A network that reads features only."""
    given = {"rankers": ("network",), "feature_dim": 16, "max_epochs": 1, "device": "cpu"}
    return LightXMLClassifier(None, features=TfidfVectorizer(), **given, **params)


@pytest.fixture(scope="module")
def saved(fitted: LightXMLClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(fitted, tmp_path_factory)


@pytest.fixture(scope="module")
def saved_features(documents: Documents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(of_features().fit(*documents), tmp_path_factory)


@pytest.fixture(scope="module")
def saved_clusters(documents: Documents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    clusters = {"label_clusters": np.arange(12) // 3, "n_candidate_clusters": 2, "label_dim": 8}
    return save(of_features(**clusters).fit(*documents), tmp_path_factory)


@pytest.fixture(scope="module")
def saved_ensemble(documents: Documents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = LightXMLEnsemble(of_features(), n_estimators=2, random_state=0)
    return save(model.fit(*documents), tmp_path_factory)


@pytest.fixture(scope="module")
def saved_words(documents: Documents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    X, y = documents
    model = LightXMLClassifier(None, features=TfidfVectorizer(), final_ranker=None, random_state=0)
    model.fit(X, y, label_texts=X[: y.shape[1]])
    panel = model._model.panel
    columns = np.random.default_rng(0).random((400, n_columns_of(panel.rankers)), np.float32)
    trees = fit_trees(columns, columns[:, 0] > 0.5, np.ones(400), seed=0)
    model._model = replace(model._model, panel=replace(panel, final=trees))
    return save(model, tmp_path_factory)


@pytest.fixture(scope="module")
def saved_rankers(
    make_classifier: Make, documents: Documents, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    X, y = documents
    model = make_classifier(
        encoder=save_pretrained(tmp_path_factory.mktemp("encoder"), "bert"),
        features=TfidfVectorizer(),
        freeze_encoder=True,
        max_epochs=1,
        rankers=("linear", "neighbors", "label_texts", "network"),
    )
    return save(model.fit(X, y, label_texts=X[: y.shape[1]]), tmp_path_factory)


@pytest.fixture(scope="module")
def saved_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    X, y = sp.csr_array(np.eye(40, 8) + 0.1), np.tile(np.eye(4, dtype=int), (10, 1))
    model = LightXMLClassifier(rankers=("neighbors", "label_texts"), device="cpu")
    model.fit(X, y, label_texts=X[:4])
    panel = model._model.panel
    final = Logistic(np.array([0, 1], np.int32), np.ones(2), 0.0)
    model._model = replace(model._model, panel=replace(panel, final=final))
    return save(model, tmp_path_factory)


TABLES = {
    "saved": TAMPERINGS,
    "saved_features": FEATURE_TAMPERINGS,
    "saved_clusters": CLUSTER_TAMPERINGS,
    "saved_ensemble": ENSEMBLE_TAMPERINGS,
    "saved_words": WORD_TAMPERINGS,
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


def test_a_model_of_a_later_version_says_to_upgrade(saved: Path, tmp_path: Path) -> None:
    bundle = load_bundle(saved)
    manifest = copy.deepcopy(bundle.manifest)
    manifest["params"]["a_later_argument"] = None
    save_bundle(Bundle(manifest, dict(bundle.blobs)), tmp_path / "model")
    with pytest.raises(BundleError, match=r"has the argument 'a_later_argument'.*Upgrade lightxml"):
        load(tmp_path / "model", "cpu")


def test_weights_of_another_model_are_refused(
    make_classifier: Make, documents: Documents, saved: Path, tmp_path: Path
) -> None:
    X, y = documents
    make_classifier(max_epochs=1).fit(X, y[:, :9]).save(tmp_path / "other")
    one, other = load_bundle(saved), load_bundle(tmp_path / "other")
    swapped = Bundle(one.manifest, {**one.blobs, WEIGHTS: other.blobs[WEIGHTS]})
    save_bundle(swapped, tmp_path / "swapped")
    with pytest.raises(BundleError, match=WEIGHTS):  # it shows in their shapes
        load(tmp_path / "swapped", "cpu")


def with_largest(name: str, blob: str = WEIGHTS) -> Change:
    """Make all numbers of an array the largest of their kind."""

    def change(found: dict[str, np.ndarray]) -> None:
        found[name] = np.full_like(found[name], np.finfo(found[name].dtype).max)

    return with_arrays(change, blob)


@pytest.mark.parametrize("method", ["predict_topk", "predict_proba", "decision_function"])
@pytest.mark.parametrize(
    ("kind", "change"),
    {
        "saved": with_largest("head.weight"),
        "saved_features": with_largest("features.weight"),
        "saved_clusters": with_largest("head.project.weight"),
        "saved_ensemble": with_largest("head.weight", f"0/{WEIGHTS}"),
    }.items(),
)
def test_weights_too_large_to_multiply_are_an_error_not_a_score(
    kind: str, change: Change, method: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    bundle = load_bundle(request.getfixturevalue(kind))
    manifest, blobs = copy.deepcopy(bundle.manifest), dict(bundle.blobs)
    change(manifest, blobs)
    save_bundle(Bundle(manifest, blobs), tmp_path / "model")
    model = load(tmp_path / "model", "cpu")
    texts, _ = request.getfixturevalue("documents")
    with pytest.raises(ValueError, match="are not finite: numbers of X, or weights of the model"):
        getattr(model, method)(texts)


@pytest.mark.parametrize(
    "method", ["predict_topk", "predict", "predict_proba", "decision_function"]
)
def test_numbers_too_large_to_multiply_are_an_error_not_a_score(method: str) -> None:
    X, y = np.random.default_rng(0).random((40, 5)), np.tile(np.eye(4, dtype=int), (10, 1))
    model = LightXMLClassifier(None, max_epochs=1, device="cpu").fit(X, y)
    with pytest.raises(ValueError, match="Scale X to smaller numbers"):
        getattr(model, method)(X * 3e38)
