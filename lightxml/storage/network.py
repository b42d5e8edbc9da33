"""A network as arrays and a manifest, and back: the part that save, pickle and copy share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from tokenizers import Tokenizer

from lightxml.data.documents import max_length_of
from lightxml.data.inputs import Reader
from lightxml.exceptions import BundleError
from lightxml.files.arrays import decode_arrays, encode_arrays
from lightxml.files.bundle import RECORD, Bundle
from lightxml.files.strict_json import parse_json
from lightxml.network import encoders
from lightxml.network.config import NetworkConfig
from lightxml.network.described import Described, check_counts
from lightxml.network.encoders import EncoderConfig, TextEncoder
from lightxml.network.linear import LinearClassifiers
from lightxml.network.neighbours import Neighbours
from lightxml.network.network import LightXMLNetwork
from lightxml.predicting.fitted import FittedModel
from lightxml.runtime.devices import seeded, use_one_thread_if_forked

_WEIGHTS, _TOKENIZER = "weights.safetensors", "tokenizer.json"
_FORMS = ("dense", "csr_matrix", "csr_array", "collections")
# Of arrays, by name: dtype and shape.
Expected = dict[str, tuple[str, tuple[int, ...]]]


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
    encoder = network.encoder
    manifest: dict[str, Any] = {
        "network": {
            "encoder": None if encoder is None else encoders.config_to_dict(encoder.config),
            **network.config.to_dict(),
            "neighbours": None if neighbours is None else _describe_neighbours(neighbours),
            "linear": None if linear is None else _describe_linear(linear),
        },
        "label_form": fitted.label_form,
        "history": fitted.history,
    }
    blobs = {_WEIGHTS: encode_arrays(weights)}
    if fitted.tokenizer is not None:
        manifest["network"] |= {"pad_id": network.pad_id, "summary": network.summary}
        blobs[_TOKENIZER] = fitted.tokenizer.to_str().encode()
    return Bundle(manifest, blobs)


def _describe_neighbours(neighbours: Neighbours) -> dict[str, Any]:
    n_documents, n_entries = len(neighbours.keys), len(neighbours.documents)
    return {"n_documents": n_documents, "n_entries": n_entries, "weight": neighbours.weight}


def _describe_linear(linear: LinearClassifiers) -> dict[str, Any]:
    return {"n_entries": linear.weights.nnz, "weight": linear.weight}


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
    with manifest_errors():
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


@contextmanager
def manifest_errors() -> Iterator[None]:
    """Say of any error that the manifest describes no model.

    Raises
    ------
    BundleError
    """
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


def blob_of(bundle: Bundle, name: str) -> bytes:
    """Return a blob that no model is without.

    Raises
    ------
    BundleError
    """
    if name not in bundle.blobs:
        raise BundleError(f"{RECORD}: lists no {name}; this is no whole model.")
    return bundle.blobs[name]


def most_labels(bundle: Bundle) -> int:
    """Return how many labels the weights have room for, before memory is spent on them."""
    weights = blob_of(bundle, _WEIGHTS)
    _count_tensors(weights)
    return len(weights) // 4  # each label has a bias, at the least


def _unpack_network(bundle: Bundle, n_labels: int) -> tuple[LightXMLNetwork, Tokenizer | None]:
    use_one_thread_if_forked()
    values, blob = bundle.manifest["network"], blob_of(bundle, _WEIGHTS)
    n_tensors = _count_tensors(blob)
    config = NetworkConfig.from_dict(values, n_labels)
    of_encoder = tokenizer = None
    if values["encoder"] is not None:
        tokenizer = _unpack_tokenizer(blob_of(bundle, _TOKENIZER))
        of_encoder = encoders.config_from_dict(values["encoder"])
        if not 1 <= of_encoder.num_hidden_layers <= n_tensors:
            raise ValueError(
                f"{of_encoder.num_hidden_layers} hidden layers cannot be made of {n_tensors} "
                "tensors"
            )

    def build() -> LightXMLNetwork:
        encoder = None
        if of_encoder is not None:
            assert tokenizer is not None
            encoder = _build_encoder(values, of_encoder, tokenizer)
        network = LightXMLNetwork(config, encoder)
        if (described := values.get("neighbours")) is not None:
            network.neighbours = _build_neighbours(described, network)
        return network

    # First without memory, so that what does not fit the weights costs none.
    with torch.device("meta"):
        outline = build()
    described = values.get("linear")
    weights = decode_arrays(blob, _expected(outline, described), name=_WEIGHTS)
    linear = None
    if described is not None:
        linear = _unpack_linear(weights, _number(described["weight"]))
    with seeded(0, torch.device("cpu")):  # its random weights are replaced at once
        network = build()
    network.load_state_dict({name: torch.from_numpy(a) for name, a in weights.items()})
    network.check()
    network.linear = linear
    network.eval()
    return network, tokenizer


def _expected(outline: LightXMLNetwork, of_linear: Described | None) -> Expected:
    """Return the arrays that a model is to have, by name."""
    expected: Expected = {
        name: (str(t.dtype).removeprefix("torch."), tuple(t.shape))
        for name, t in outline.state_dict().items()
    }
    if outline.neighbours is not None:
        expected["neighbours.keys"] = ("float16", expected["neighbours.keys"][1])
    if of_linear is not None:
        features = outline.config.features
        if features is None or "n_columns" not in features:
            raise ValueError("it has linear classifiers, and no sparse features for them")
        check_counts(of_linear, n_entries=0)
        expected |= {
            "linear.starts": ("int64", (features["n_columns"] + 1,)),
            "linear.labels": ("int32", (of_linear["n_entries"],)),
            "linear.weights": ("float16", (of_linear["n_entries"],)),
            "linear.bias": ("float32", (outline.head.n_labels,)),
        }
    return expected


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


def _build_encoder(
    values: dict[str, Any], config: EncoderConfig, tokenizer: Tokenizer
) -> TextEncoder:
    check_counts(values, pad_id=0)
    if values["summary"] not in ("first", "last"):
        raise ValueError(f"summary is {values['summary']!r}")
    return encoders.assemble(
        encoders.model_from_config(config),
        tokenizer,
        pad_id=values["pad_id"],
        summary=values["summary"],
        max_length=max_length_of(tokenizer),
    )


def _build_neighbours(described: Described, network: LightXMLNetwork) -> Neighbours:
    check_counts(described, n_documents=1, n_entries=0)
    n_documents, n_entries = described["n_documents"], described["n_entries"]
    weight = _number(described["weight"])
    return Neighbours(n_documents, n_entries, network.head.n_labels, network.widths, weight)


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
