"""A fitted model as arrays and a manifest, and back: the part that save, pickle and copy share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lightxml.arguments import PROBABILITY
from lightxml.data.inputs import Reader
from lightxml.files.arrays import decode_all, encode_arrays
from lightxml.files.bundle import Bundle
from lightxml.predicting.fitted import FittedModel
from lightxml.predicting.measured import Measured
from lightxml.rankers.final import OfScikitLearn
from lightxml.rankers.stored import checked, count
from lightxml.storage import rankers
from lightxml.storage.reading import LABEL_TEXTS, THRESHOLDS, blob_of, errors_of, manifest_errors

_FORMS = ("dense", "csr_matrix", "csr_array", "collections")


def pack_model(fitted: FittedModel) -> Bundle:
    """Return the fitted parts as a bundle, without classes, vectorizer and the user's classifier.

    These are kept as they are in a pickle, and in a form of their own in a saved model.
    """
    manifest: dict[str, Any] = {
        "label_form": fitted.label_form,
        "history": fitted.history,
        "n_features": fitted.reader.n_features,  # None: X is documents
        "network": None,
        "encoder": None,  # without a network
        "panel": None,
        "n_outputs": None,  # of the network, which may know fewer labels than there are
        "has_label_texts": fitted.label_texts is not None,
        "threshold": None,  # each label has its own
    }
    blobs: dict[str, bytes] = {}
    if fitted.measured is not None:
        manifest["measured"] = fitted.measured.as_json()
    if fitted.network is not None:
        from lightxml.storage.network import pack_network

        packed = pack_network(fitted.network, fitted.tokenizer)
        manifest["network"], blobs = packed.manifest, packed.blobs
        manifest["n_outputs"] = fitted.network.head.n_labels
    elif fitted.encoder is not None:
        from lightxml.storage.network import pack_encoder

        packed = pack_encoder(fitted.encoder, fitted.tokenizer)
        manifest["encoder"], blobs = packed.manifest, packed.blobs
    if fitted.panel is not None:
        packed = rankers.pack_panel(fitted.panel)
        manifest["panel"] = packed.manifest
        blobs = blobs | packed.blobs
    if fitted.label_texts is not None:
        blobs = {**blobs, LABEL_TEXTS: rankers.pack_label_texts(fitted.label_texts)}
    if isinstance(fitted.threshold, np.ndarray):
        blobs = {**blobs, THRESHOLDS: encode_arrays({"thresholds": fitted.threshold})}
    else:
        manifest["threshold"] = fitted.threshold
    return Bundle(manifest, blobs)


def unpack_model(
    bundle: Bundle,
    classes: np.ndarray,
    vectorizer: Any = None,
    feature_names: np.ndarray | None = None,
    classifier: Any = None,
) -> FittedModel:
    """Return the fitted parts, the network on the CPU.

    Parameters
    ----------
    bundle : Bundle
        Of `pack_model`.
    classes : ndarray of shape (n_labels,)
    vectorizer : fitted transformer or None
    feature_names : ndarray of str, or None
    classifier : fitted classifier or None
        The user's own final ranker.

    Raises
    ------
    BundleError
        If a part is missing, of a wrong kind, or does not fit the others.
    """
    with manifest_errors():
        manifest = bundle.manifest
        label_form = manifest["label_form"]
        if label_form not in _FORMS:
            raise ValueError(f"label_form is {label_form!r}")
        history = [{k: _number(v) for k, v in row.items()} for row in manifest["history"]]
        reads_texts = manifest["n_features"] is None
        n_columns = None if reads_texts else count(manifest, "n_features", least=1)
        network = encoder = tokenizer = None
        if manifest["network"] is not None:
            from lightxml.storage.network import unpack_network

            of_network = Bundle(manifest["network"], bundle.blobs)
            n_outputs = count(manifest, "n_outputs", least=1)
            if manifest["panel"] is None and n_outputs != len(classes):
                raise ValueError(f"it has {len(classes)} labels, but its network {n_outputs}")
            network, tokenizer = unpack_network(of_network, n_outputs)
        elif manifest["encoder"] is not None:
            from lightxml.storage.network import unpack_encoder

            encoder, tokenizer = unpack_encoder(Bundle(manifest["encoder"], bundle.blobs))
        if not reads_texts and not (tokenizer is None and vectorizer is None):
            raise ValueError("it reads numbers, but has a tokenizer or a vectorizer for texts")
        n_features = n_columns
        if vectorizer is not None:
            n_features = vectorizer.transform(["a"]).shape[1]
        if network is not None and network.features is not None:
            expected = network.features.n_features
            if n_features != expected:
                raise ValueError(f"it reads {n_features} features, but its network {expected}")
        if feature_names is not None and len(feature_names) != n_columns:
            raise ValueError(f"it names {len(feature_names)} features, which it has not")
        panel = texts = None
        if manifest["panel"] is not None:
            panel = rankers.unpack_panel(
                Bundle(manifest["panel"], bundle.blobs),
                n_labels=len(classes),
                n_features=n_features,
                reads_texts=reads_texts,
                network=network,
                encoder=encoder,
                classifier=classifier,
            )
        elif network is None:
            raise ValueError("it has neither rankers nor a network")
        if manifest["has_label_texts"]:
            blob = blob_of(bundle, LABEL_TEXTS)
            texts = rankers.unpack_label_texts(blob, len(classes))
        threshold = manifest["threshold"]
        if threshold is None:
            threshold = _thresholds(blob_of(bundle, THRESHOLDS), len(classes))
        else:
            PROBABILITY.check("threshold", threshold)
        measured = manifest.get("measured")
        measured = None if measured is None else Measured.from_json(measured)
    reader = Reader(reads_texts, vectorizer, n_columns, feature_names)
    return FittedModel(
        reader,
        classes,
        label_form,
        network,
        tokenizer,
        history,
        panel=panel,
        label_texts=texts,
        encoder=encoder,
        threshold=threshold,
        measured=measured,
    )


def for_pickle(fitted: FittedModel) -> tuple[Any, ...]:
    """Return what a pickle keeps of a fitted model; `from_pickle` makes the model of it."""
    return (
        pack_model(fitted),
        fitted.classes,
        fitted.vectorizer,
        fitted.feature_names,
        own_classifier(fitted),
        fitted.given,
    )


def from_pickle(kept: tuple[Any, ...]) -> FittedModel:
    """Return the fitted model of `for_pickle`, its network on the CPU."""
    *parts, given = kept
    return replace(unpack_model(*parts), given=given)


def own_classifier(fitted: FittedModel) -> Any:
    """Return the final ranker that is the user's own, a fitted classifier; None without."""
    if fitted.panel is None or not isinstance(fitted.panel.final, OfScikitLearn):
        return None
    return fitted.panel.final.classifier


def _thresholds(blob: bytes, n_labels: int) -> np.ndarray:
    """Return each label's threshold."""
    arrays = decode_all(blob, name=THRESHOLDS)
    with errors_of(THRESHOLDS):
        thresholds = checked(arrays, "thresholds", np.float32, n_labels)
        if not ((thresholds > 0) & (thresholds <= 1)).all():
            raise ValueError(f"a threshold is not {PROBABILITY.text}")
    return thresholds


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"the history holds {value!r}; expected a number")
    return value
