"""A fitted model as a bundle, and back: the one serializer of save, pickle and copy."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.sparse as sp
import sklearn
import torch
from sklearn.base import clone
from tokenizers import Tokenizer

import lightxml
from lightxml.data.documents import max_length_of
from lightxml.data.inputs import Reader
from lightxml.exceptions import BundleError
from lightxml.files.arrays import decode_arrays, encode_arrays
from lightxml.files.bundle import RECORD, Bundle
from lightxml.files.strict_json import parse_json
from lightxml.network import encoders
from lightxml.network.encoders import EncoderConfig
from lightxml.network.features import DenseEmbedding, FeatureEmbedding, SparseEmbedding
from lightxml.network.heads.chunked import ChunkedHead
from lightxml.network.heads.clustered import ClusteredHead
from lightxml.network.linear import LinearClassifiers
from lightxml.network.neighbours import Neighbours
from lightxml.network.network import LightXMLNetwork
from lightxml.predicting.fitted import FittedModel
from lightxml.runtime.devices import seeded, use_one_thread_if_forked
from lightxml.storage.vectorizers import pack_vectorizer, unpack_vectorizer

_WEIGHTS, _TOKENIZER = "weights.safetensors", "tokenizer.json"
_CLASSES, _NAMES = "classes.json", "feature_names.json"
# The fitted vectorizer gives the first one back; the others are folders of this machine.
_NOT_SAVED = ("features", "memory", "checkpoint_dir")
# A clusterer, or an array of clusters: the fitted clusters stand for it.
_AS_FITTED = "as fitted"
_FORMS = ("dense", "csr_matrix", "csr_array", "collections")


def pack_model(fitted: FittedModel) -> Bundle:
    """Return the fitted parts, without the classes and the vectorizer, as a bundle."""
    network, neighbours = fitted.network, fitted.network.neighbours
    weights = {k: v.detach().cpu().numpy() for k, v in network.state_dict().items()}
    if neighbours is not None:
        weights["neighbours.keys"] = weights["neighbours.keys"].astype(np.float16)
    if (linear := network.linear) is not None:
        weights["linear.starts"] = linear.weights.indptr.astype(np.int64)
        weights["linear.labels"] = linear.weights.indices.astype(np.int32)
        weights["linear.weights"] = linear.weights.data.astype(np.float16)
        weights["linear.bias"] = linear.bias
    encoder, features = network.encoder, network.features
    manifest: dict[str, Any] = {
        "network": {
            "encoder": None if encoder is None else encoders.config_to_dict(encoder.config),
            "features": None if features is None else _describe_features(features),
            "n_feature_layers": network.n_feature_layers,
            "dropout": network.dropout.p,
            "se_block": network.se_block is not None,
            "frozen": network.is_frozen,
            "neighbours": None if neighbours is None else _describe_neighbours(neighbours),
            "linear": None
            if linear is None
            else {"n_entries": linear.weights.nnz, "weight": linear.weight},
            "head": _describe_head(network),
        },
        "label_form": fitted.label_form,
        "history": fitted.history,
    }
    blobs = {_WEIGHTS: encode_arrays(weights)}
    if fitted.tokenizer is not None:
        manifest["network"] |= {"pad_id": network.pad_id, "summary": network.summary}
        blobs[_TOKENIZER] = fitted.tokenizer.to_str().encode()
    return Bundle(manifest, blobs)


def _describe_features(features: FeatureEmbedding) -> dict[str, Any]:
    described = {"n_features": features.n_features, "width": features.width}
    if isinstance(features, SparseEmbedding):
        return {"kind": "sparse", "n_columns": len(features.columns), **described}
    return {"kind": "dense", **described}


def _describe_neighbours(neighbours: Neighbours) -> dict[str, Any]:
    n_documents, n_entries = len(neighbours.keys), len(neighbours.documents)
    return {"n_documents": n_documents, "n_entries": n_entries, "weight": neighbours.weight}


def _describe_head(network: LightXMLNetwork) -> dict[str, Any] | None:
    head = network.head
    if isinstance(head, ChunkedHead):
        return {"kind": "chunked", "label_dim": head.weight.shape[1]}
    if isinstance(head, ClusteredHead):
        return {
            "kind": "clustered",
            "label_dim": head.project.out_features,
            "n_clusters": head.n_clusters,
            "n_candidate_clusters": head.n_candidate_clusters,
        }
    return None


def unpack_model(
    bundle: Bundle,
    classes: np.ndarray,
    vectorizer: Any = None,
    feature_names: np.ndarray | None = None,
) -> FittedModel:
    """Return the fitted parts, the network on the CPU.

    Raises
    ------
    BundleError
        If a part is missing, of a wrong kind, or does not fit the others.
    """
    with _manifest_errors():
        label_form = bundle.manifest["label_form"]
        if label_form not in _FORMS:
            raise ValueError(f"label_form is {label_form!r}")
        history = [{k: _number(v) for k, v in row.items()} for row in bundle.manifest["history"]]
        network, tokenizer = _unpack_network(bundle, len(classes))
        if vectorizer is not None:
            _check_width(vectorizer, network)
        if feature_names is not None:
            features = network.features
            if features is None or len(feature_names) != features.n_features:
                raise ValueError(f"it names {len(feature_names)} features, which it has not")
    reads_texts = tokenizer is not None or vectorizer is not None
    n_features = None if reads_texts or network.features is None else network.features.n_features
    reader = Reader(reads_texts, vectorizer, n_features, feature_names)
    return FittedModel(network, tokenizer, reader, classes, label_form, history)


def pack(estimator: str, params: dict[str, Any], fitted: FittedModel) -> Bundle:
    """Return a fitted estimator as a bundle that holds nothing but JSON and arrays.

    Parameters
    ----------
    estimator : str
        The class's name.
    params : dict
        The constructor's arguments.
    fitted : FittedModel

    Raises
    ------
    TypeError
        If a label is neither an int nor a str, or the vectorizer holds code.
    """
    model = pack_model(fitted)
    blobs = {**model.blobs, _CLASSES: _classes_to_json(fitted.classes)}
    if fitted.feature_names is not None:
        blobs[_NAMES] = json.dumps(fitted.feature_names.tolist()).encode()
    vectorizer = None
    if fitted.vectorizer is not None:
        vectorizer, more = pack_vectorizer(fitted.vectorizer)
        blobs |= more
    manifest = {
        "estimator": estimator,
        "versions": {
            "lightxml": lightxml.__version__,
            "torch": torch.__version__.split("+")[0],
            "transformers": encoders.library_version(),
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
        },
        "params": params_to_json(params),
        "vectorizer": vectorizer,
        **model.manifest,
    }
    return Bundle(manifest, blobs)


def params_to_json(params: dict[str, Any]) -> dict[str, Any]:
    """Return a constructor's arguments as JSON can say them; with a warning, None for the rest."""
    return {name: _param_to_json(name, value) for name, value in params.items()}


def check_class(bundle: Bundle, expected: str) -> None:
    """Check the name of the class that a bundle holds.

    Raises
    ------
    BundleError
        If it is another.
    """
    found = bundle.manifest.get("estimator")
    if found != expected:
        raise BundleError(
            f"{RECORD}: holds a {str(found)[:100]}, not a {expected}; use lightxml.load."
        )


def unpack(bundle: Bundle) -> tuple[dict[str, Any], FittedModel]:
    """Return the arguments and the fitted parts; the network on the CPU.

    Raises
    ------
    BundleError
        If a part is missing, of a wrong kind, or does not fit the others.
    """
    with _manifest_errors():
        params = {k: _param_from_json(v) for k, v in bundle.manifest["params"].items()}
        weights = _blob(bundle, _WEIGHTS)
        _count_tensors(weights)
        most = len(weights) // 4  # each label has a bias, at the least
        classes = _classes_from_json(_blob(bundle, _CLASSES), most)
        vectorizer = bundle.manifest.get("vectorizer")
        if vectorizer is not None:
            vectorizer = unpack_vectorizer(vectorizer, bundle.blobs)
            # As it was before `fit`: the fitted one is made of the same arguments.
            params["features"] = clone(vectorizer)
        names = None
        if _NAMES in bundle.blobs:
            names = _names_from_json(bundle.blobs[_NAMES])
    fitted = unpack_model(bundle, classes, vectorizer, names)
    if params.get("label_clusters") == _AS_FITTED:
        params["label_clusters"] = fitted.label_clusters
    return params, fitted


@contextmanager
def _manifest_errors() -> Iterator[None]:
    try:
        yield
    except BundleError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError,
            ImportError) as error:  # fmt: skip
        raise BundleError(
            f"{RECORD}: its manifest does not describe a model ({error}). "
            "Save the model again or fetch a fresh copy."
        ) from error


def _blob(bundle: Bundle, name: str) -> bytes:
    if name not in bundle.blobs:
        raise BundleError(f"{RECORD}: lists no {name}; this is no whole model.")
    return bundle.blobs[name]


def _unpack_network(bundle: Bundle, n_labels: int) -> tuple[LightXMLNetwork, Tokenizer | None]:
    use_one_thread_if_forked()
    values, blob = bundle.manifest["network"], _blob(bundle, _WEIGHTS)
    n_tensors = _count_tensors(blob)
    config = tokenizer = None
    if values["encoder"] is not None:
        tokenizer = _unpack_tokenizer(_blob(bundle, _TOKENIZER))
        config = encoders.config_from_dict(values["encoder"])
        if not 1 <= config.num_hidden_layers <= n_tensors:
            raise ValueError(
                f"{config.num_hidden_layers} hidden layers cannot be made of {n_tensors} tensors"
            )
    # First without memory, so that what does not fit the weights costs none.
    with torch.device("meta"):
        outline = _build(values, config, tokenizer, n_labels)
    expected = {
        name: (str(t.dtype).removeprefix("torch."), tuple(t.shape))
        for name, t in outline.state_dict().items()
    }
    if outline.neighbours is not None:
        expected["neighbours.keys"] = ("float16", expected["neighbours.keys"][1])
    described = values.get("linear")
    if described is not None:
        if not isinstance(outline.features, SparseEmbedding):
            raise ValueError("it has linear classifiers, and no sparse features for them")
        _check_counts(described, n_entries=0)
        expected |= {
            "linear.starts": ("int64", (len(outline.features.columns) + 1,)),
            "linear.labels": ("int32", (described["n_entries"],)),
            "linear.weights": ("float16", (described["n_entries"],)),
            "linear.bias": ("float32", (n_labels,)),
        }
    weights = decode_arrays(blob, expected, name=_WEIGHTS)
    linear = None
    if described is not None:
        linear = _unpack_linear(weights, _number(described["weight"]))
    with seeded(0, torch.device("cpu")):  # its random weights are replaced at once
        network = _build(values, config, tokenizer, n_labels)
    network.load_state_dict({name: torch.from_numpy(a) for name, a in weights.items()})
    if isinstance(network.features, SparseEmbedding):
        network.features.check_columns()
    if network.neighbours is not None:
        network.neighbours.check()
    network.linear = linear
    if isinstance(network.head, ClusteredHead):
        network.head.arrange()
    network.eval()
    return network, tokenizer


def _unpack_linear(weights: dict[str, np.ndarray], weight: float) -> LinearClassifiers:
    """Take the linear classifiers out of the arrays of a model."""
    starts, labels, values, bias = (
        weights.pop(f"linear.{name}") for name in ("starts", "labels", "weights", "bias")
    )
    matrix = sp.csr_array((len(starts) - 1, len(bias)), dtype=np.float32)
    # Not through the constructor, which reads what is to be checked first.
    kind = np.int32 if len(labels) < 2**31 else np.int64
    matrix.indptr, matrix.indices = starts.astype(kind), labels.astype(kind)
    matrix.data = values.astype(np.float32)
    if not 0 <= weight < 1:
        raise ValueError(f"the weight of its linear classifiers is {weight}")
    linear = LinearClassifiers(matrix, bias, weight)
    linear.check()
    return linear


def _build(
    values: dict[str, Any], config: EncoderConfig | None, tokenizer: Tokenizer | None, n_labels: int
) -> LightXMLNetwork:
    encoder = None
    features: FeatureEmbedding | None = None
    if config is not None:
        assert tokenizer is not None
        _check_counts(values, pad_id=0, n_feature_layers=1)
        if values["summary"] not in ("first", "last"):
            raise ValueError(f"summary is {values['summary']!r}")
        encoder = encoders.assemble(
            encoders.model_from_config(config),
            tokenizer,
            pad_id=values["pad_id"],
            summary=values["summary"],
            max_length=max_length_of(tokenizer),
        )
    described = values.get("features")
    if described is not None:
        _check_counts(described, n_features=1, width=1)
        if described["kind"] == "sparse":
            _check_counts(described, n_columns=1)
            columns = torch.empty(described["n_columns"], dtype=torch.int64)
            features = SparseEmbedding(described["n_features"], columns, described["width"])
        elif described["kind"] == "dense":
            features = DenseEmbedding(described["n_features"], described["width"])
        else:
            raise ValueError(f"its features are {described['kind']!r}")
    if encoder is None and features is None:
        raise ValueError("it has neither an encoder nor features")
    described = values.get("head")
    head: dict[str, Any] = {}
    if described is not None:
        _check_counts(described, label_dim=1)
        head["label_dim"] = described["label_dim"]
        if described["kind"] == "clustered":
            _check_counts(described, n_clusters=1, n_candidate_clusters=1)
            if described["n_clusters"] > n_labels:
                raise ValueError(f"it has {described['n_clusters']} clusters of {n_labels} labels")
            head["n_candidate_clusters"] = described["n_candidate_clusters"]
            # Any of that many; its own come with the weights.
            head["label_clusters"] = np.arange(n_labels) % described["n_clusters"]
        elif described["kind"] != "chunked":
            raise ValueError(f"its head is {described['kind']!r}")
    network = LightXMLNetwork(
        encoder,
        n_labels,
        **head,
        features=features,
        n_feature_layers=values["n_feature_layers"],
        dropout=values["dropout"],
        se_block=bool(values["se_block"]) and encoder is not None,
        frozen=bool(values.get("frozen")),
    )
    described = values.get("neighbours")
    if described is not None:
        _check_counts(described, n_documents=1, n_entries=0)
        network.neighbours = Neighbours(
            described["n_documents"],
            described["n_entries"],
            n_labels,
            network.widths,
            _number(described["weight"]),
        )
    return network


def _check_counts(values: dict[str, Any], **least: int) -> None:
    for name, lowest in least.items():
        if type(values[name]) is not int or values[name] < lowest:
            raise ValueError(f"{name} is {values[name]!r}")


def _check_width(vectorizer: Any, network: LightXMLNetwork) -> None:
    """Refuse a vectorizer whose output the network could not read."""
    n_features = vectorizer.transform(["a"]).shape[1]
    expected = None if network.features is None else network.features.n_features
    if n_features != expected:
        raise ValueError(f"its vectorizer gives {n_features} features, its network has {expected}")


def _unpack_tokenizer(blob: bytes) -> Tokenizer:
    parse_json(blob, name=_TOKENIZER)
    try:
        tokenizer = Tokenizer.from_str(blob.decode())
    except Exception as error:  # the library raises nothing narrower
        raise BundleError(f"{_TOKENIZER}: is no tokenizer ({error}).") from error
    if tokenizer.truncation is None:
        raise BundleError(f"{_TOKENIZER}: names no maximum length.")
    return tokenizer


def _count_tensors(weights: bytes) -> int:
    length = int.from_bytes(weights[:8], "little")
    header = parse_json(weights[8 : 8 + length], name=_WEIGHTS)
    if not isinstance(header, dict) or length > len(weights) - 8:
        raise BundleError(f"{_WEIGHTS}: its header is no table of arrays.")
    return len(header)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"the history holds {value!r}; expected a number")
    return value


def _param_to_json(name: str, value: Any) -> Any:
    if name in _NOT_SAVED:
        return None
    if name == "label_clusters" and not isinstance(value, (bool, np.bool_, str, type(None))):
        return _AS_FITTED
    if isinstance(value, EncoderConfig):
        return {"config": encoders.config_to_dict(value)}
    if isinstance(value, (str, os.PathLike)):
        text = os.fspath(value)
        # A path of this machine says nothing elsewhere, and may say too much.
        return os.path.basename(text.rstrip("/\\")) if os.path.isabs(text) else text
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.device):
        return str(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    warnings.warn(
        f"{name}={value!r} cannot be saved and is kept as None; the fitted model is whole.",
        UserWarning,
        stacklevel=4,
    )
    return None


def _param_from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return encoders.config_from_dict(value["config"])
    if isinstance(value, list):
        raise ValueError(f"an argument is {value!r}")
    return value


def _classes_to_json(classes: np.ndarray) -> bytes:
    if classes.dtype.kind in "iu" and np.array_equal(classes, np.arange(len(classes))):
        return json.dumps({"range": len(classes)}).encode()
    values = classes.tolist()
    for value in values:
        if type(value) not in (int, str):
            raise TypeError(
                f"The label {value!r} is a {type(value).__name__}; only int and str labels can "
                "be saved. Fit on such labels, or pickle the estimator."
            )
    return json.dumps({"dtype": classes.dtype.name, "values": values}).encode()


def _classes_from_json(blob: bytes, most: int) -> np.ndarray:
    """Read the labels, of which there can be at most `most`, before memory is spent on them."""
    record = parse_json(blob, name=_CLASSES)
    if not isinstance(record, dict):
        raise BundleError(f"{_CLASSES}: holds no labels.")
    n_labels, values = record.get("range"), record.get("values")
    if record.keys() == {"range"} and type(n_labels) is int and 0 < n_labels <= most:
        return np.arange(n_labels)
    if record.keys() != {"dtype", "values"} or not isinstance(values, list) or not values:
        raise BundleError(f"{_CLASSES}: holds no labels, or more than the weights have room for.")
    kinds = {type(value) for value in values}
    if not kinds <= {int, str} or len(set(values)) < len(values):
        raise BundleError(f"{_CLASSES}: holds labels that are neither int nor str, or one twice.")
    if record["dtype"] == "int64" and kinds == {int}:
        return np.array(values, dtype=np.int64)
    if record["dtype"] != "object":
        raise BundleError(f"{_CLASSES}: has labels of dtype {str(record['dtype'])[:20]!r}.")
    classes = np.empty(len(values), dtype=object)
    classes[:] = values
    return classes


def _names_from_json(blob: bytes) -> np.ndarray:
    names = parse_json(blob, name=_NAMES)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BundleError(f"{_NAMES}: is no list of names.")
    return np.array(names, dtype=object)
