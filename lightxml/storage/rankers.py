"""A panel of rankers as arrays and a manifest, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lightxml.exceptions import BundleError
from lightxml.files.arrays import decode_all, encode_arrays
from lightxml.files.bundle import Bundle
from lightxml.rankers import final
from lightxml.rankers.base import Ranker
from lightxml.rankers.final import FinalRanker, OfScikitLearn
from lightxml.rankers.label_texts import LabelTexts
from lightxml.rankers.label_tree import LabelTree
from lightxml.rankers.label_vectors import LabelVectors
from lightxml.rankers.linear import Linear
from lightxml.rankers.neighbors import Neighbors
from lightxml.rankers.panel import Panel
from lightxml.rankers.stored import checked, count
from lightxml.rankers.vectors import Vectors
from lightxml.storage import audited
from lightxml.storage.reading import FINAL, LABEL_TEXTS, RANKERS, blob_of, errors_of, joined, split

if TYPE_CHECKING:
    from lightxml.network.network import LightXMLNetwork
    from lightxml.network.text_reader import TextReader

# By their names; the network's ranker is made of the network.
_KINDS = {
    kind.name: kind for kind in (Linear, LabelTree, Neighbors, Vectors, LabelTexts, LabelVectors)
}
_NETWORK = "network"
_OF_PANEL, _OF_FINAL = "panel", "final"
_OWN = {"kind": "scikit-learn"}


def pack_panel(panel: Panel) -> Bundle:
    """Return a panel as a bundle, without a final ranker that is the user's own."""
    arrays = {f"{_OF_PANEL}.counts": panel.counts}
    if panel.raised is not None:
        arrays[f"{_OF_PANEL}.raised"] = panel.raised
    described = []
    for ranker in panel.rankers:
        settings, more = ranker.describe()
        described.append({"name": ranker.name, **settings})
        arrays |= {f"{ranker.name}.{name}": array for name, array in more.items()}
    settings = _OWN
    if not isinstance(panel.final, OfScikitLearn):
        settings, more = final.describe(panel.final)
        arrays |= {f"{_OF_FINAL}.{name}": array for name, array in more.items()}
    manifest = {"rankers": described, "final": settings, "n_documents": panel.n_documents}
    return Bundle(manifest, {RANKERS: encode_arrays(arrays)})


def unpack_panel(
    bundle: Bundle,
    *,
    n_labels: int,
    n_features: int | None,
    reads_texts: bool,
    network: LightXMLNetwork | None,
    encoder: TextReader | None,
    classifier: Any,
) -> Panel:
    """Return the panel of a bundle.

    Parameters
    ----------
    bundle : Bundle
        Its manifest is the one of `pack_panel`.
    n_labels : int
    n_features : int or None
        Of X, or what the vectorizer makes of it; None without.
    reads_texts : bool
        Whether X is documents.
    network : LightXMLNetwork or None
    encoder : TextReader or None
        A frozen one, without a network.
    classifier : fitted classifier or None
        A final ranker of the user's own.

    Raises
    ------
    BundleError
        If what the blob holds is no panel, or does not fit labels, features or network.
    ValueError, LookupError, TypeError
        If the manifest describes none.
    """
    manifest = bundle.manifest
    names = [settings["name"] for settings in manifest["rankers"]]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"it has no rankers, or one twice: {str(names)[:100]}")
    n_documents = count(manifest, "n_documents", least=1)
    arrays = decode_all(blob_of(bundle, RANKERS), name=RANKERS)
    of_part = _by_part(arrays, {_OF_PANEL, _OF_FINAL, *names})
    with errors_of(RANKERS):
        counts = checked(of_part[_OF_PANEL], "counts", np.int64, n_labels)
        if counts.min() < 0 or counts.max() > n_documents:
            raise ValueError("its counts of documents are out of range")
        raised = None
        if "raised" in of_part[_OF_PANEL]:
            raised = checked(of_part[_OF_PANEL], "raised", np.float32, n_labels)
    rankers = []
    for settings in manifest["rankers"]:
        _check_settings(settings, n_labels, n_features, encoder if network is None else network)
        rankers.append(_ranker(settings, of_part[settings["name"]], n_labels, network))
        if isinstance(rankers[-1], LabelTexts) and rankers[-1].words is not None:
            _check_reads_texts(reads_texts)
    with errors_of(RANKERS):
        decided = _final(manifest["final"], of_part[_OF_FINAL], rankers, classifier)
    return Panel(tuple(rankers), decided, counts, n_documents, raised)


def pack_final(panel: Panel) -> dict[str, bytes]:
    """Return the blob of a final ranker that is the user's own; else nothing.

    Raises
    ------
    TypeError
        If skops does not trust a type that it holds.
    """
    if not isinstance(panel.final, OfScikitLearn):
        return {}
    return {FINAL: audited.dump(panel.final.classifier, "final_ranker")}


def unpack_final(blobs: dict[str, bytes]) -> Any:
    """Return the classifier of the user's that `pack_final` packed; None without.

    Raises
    ------
    BundleError
        If it is damaged, or asks for a type that is not trusted.
    """
    return audited.load(blobs[FINAL], FINAL) if FINAL in blobs else None


def pack_label_texts(texts: tuple[tuple[str, ...], ...]) -> bytes:
    """Return the texts of labels as arrays."""
    sizes = np.array([len(each) for each in texts], dtype=np.int32)
    flat = [text for each in texts for text in each]
    return encode_arrays({**joined(flat, errors="strict"), "sizes": sizes})


def unpack_label_texts(blob: bytes, n_labels: int) -> tuple[tuple[str, ...], ...]:
    """Return the texts of labels.

    Raises
    ------
    BundleError
        If they are not the texts of so many labels, in UTF-8.
    """
    arrays = decode_all(blob, name=LABEL_TEXTS)
    with errors_of(LABEL_TEXTS):
        sizes = checked(arrays, "sizes", np.int32, n_labels)
        lengths = checked(arrays, "lengths", np.int32)
        if (sizes < 0).any() or sizes.sum(dtype=np.int64) != len(lengths):
            raise ValueError("its labels have other numbers of texts than there are")
        if (lengths < 1).any():
            raise ValueError("it holds an empty text")
        flat = split(checked(arrays, "bytes", np.uint8), lengths, errors="strict")
    ends = np.cumsum(sizes, dtype=np.int64)
    return tuple(
        tuple(flat[end - size : end])
        for end, size in zip(ends.tolist(), sizes.tolist(), strict=True)
    )


def _by_part(arrays: dict[str, np.ndarray], parts: set[str]) -> dict[str, dict[str, np.ndarray]]:
    """Sort arrays by what they belong to; none may be left over."""
    found: dict[str, dict[str, np.ndarray]] = {part: {} for part in parts}
    for key, array in arrays.items():
        part, _, name = key.partition(".")
        if part not in found:
            raise BundleError(f"{RANKERS}: holds an unexpected array {key[:100]!r}.")
        found[part][name] = array
    return found


def _check_settings(
    settings: dict[str, Any],
    n_labels: int,
    n_features: int | None,
    reader: TextReader | None,
) -> None:
    """Refuse a ranker of other labels or other features, before its arrays are looked at."""
    name = settings["name"]
    expected = {"n_labels": n_labels, "n_features": n_features}
    if name in (Vectors.name, LabelVectors.name):
        if reader is None or reader.encoder is None:
            raise ValueError(f"its ranker {name} has no encoder that makes them")
        expected["width"] = reader.encoder.config.hidden_size
    for key, value in expected.items():
        if key in settings and settings[key] != value:
            raise ValueError(f"its ranker {name} has {key}={settings[key]!r}; expected {value}")


def _ranker(
    settings: dict[str, Any],
    arrays: dict[str, np.ndarray],
    n_labels: int,
    network: LightXMLNetwork | None,
) -> Ranker:
    name = settings["name"]
    if name == _NETWORK:
        if network is None:
            raise ValueError("its network ranks, but there is none")
        from lightxml.network.ranker import NetworkRanker

        with errors_of(RANKERS):
            seen = checked(arrays, "seen", np.uint8, n_labels)
            if seen.max() > 1:
                raise ValueError("its labels are not either seen or not")
            outputs = checked(arrays, "outputs", np.int32, n_labels)
            there = outputs[outputs >= 0]
            if outputs.min() < -1 or (np.diff(there) <= 0).any():
                raise ValueError("the outputs of its network are not in order")
            if there.max(initial=-1) >= network.head.n_labels or seen[outputs < 0].any():
                raise ValueError("it has seen labels for which its network has no output")
        n_documents = count(settings, "n_documents", least=1)
        return NetworkRanker(network, seen.astype(bool), outputs.astype(np.int64), n_documents)
    if name not in _KINDS:
        raise ValueError(f"it has a ranker of an unknown kind, {str(name)[:100]!r}")
    with errors_of(RANKERS):
        made: Ranker = _KINDS[name].made_of(settings, arrays)
        return made


def _check_reads_texts(reads_texts: bool) -> None:
    if not reads_texts:
        raise ValueError("its label_texts are compared with texts, but it reads numbers")


def _final(
    settings: dict[str, Any],
    arrays: dict[str, np.ndarray],
    rankers: list[Ranker],
    classifier: Any,
) -> FinalRanker:
    if settings != _OWN:
        return final.made_of(settings, arrays, rankers)
    if classifier is None:
        raise ValueError("its final ranker is missing")
    # What a file says of it is not looked through; it must answer as it is asked.
    columns = np.zeros((1, final.n_columns_of(rankers)), dtype=np.float32)
    try:
        shape = np.shape(classifier.predict_proba(columns))
    except Exception as error:  # what comes of attributes that a file has set
        raise ValueError(f"its final ranker does not answer ({error})") from error
    if shape != (1, 2):
        raise ValueError(f"its final ranker answers with the shape {shape}; expected (1, 2)")
    return OfScikitLearn(classifier)
