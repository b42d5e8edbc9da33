"""Going on from the last fit: what must not have changed since, and which labels are still there.

Everything here is checked before anything takes long, and nothing imports torch.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import scipy.sparse as sp

from lightxml.arguments import is_auto
from lightxml.data.inputs import Inputs, Reader
from lightxml.data.labels import Labels
from lightxml.exceptions import warn
from lightxml.fitting import decisions
from lightxml.predicting.fitted import FittedModel

if TYPE_CHECKING:
    from lightxml.network.network import LightXMLNetwork


@dataclass(frozen=True)
class Start:
    """What a fit goes on from.

    Attributes
    ----------
    model : FittedModel
        It has a network, and stays as it is.
    source : ndarray of int64, shape (n_labels,)
        The network's output for each label of the new fit; -1 for one that begins anew.
    """

    model: FittedModel
    source: np.ndarray

    @property
    def network(self) -> LightXMLNetwork:
        """The network of the last fit."""
        assert self.model.network is not None
        return self.model.network

    @property
    def digest(self) -> str:
        """What tells this start from others: of all weights, and of the labels' outputs."""
        digest = hashlib.sha256(self.source.astype(np.int64).data)
        for name, tensor in self.network.state_dict().items():
            array = tensor.cpu().numpy()
            digest.update(repr((name, array.dtype.str, array.shape)).encode())
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        return digest.hexdigest()


def start_of(
    model: FittedModel, params: dict[str, Any], reader: Reader, inputs: Inputs, labels: Labels
) -> Start:
    """Return what a fit with a network goes on from.

    Parameters
    ----------
    model : FittedModel
        Of the last fit.
    params : dict
        The arguments of `LightXMLClassifier` now, by name.
    reader : Reader
        Of X as it is now.
    inputs : Inputs
    labels : Labels

    Raises
    ------
    ValueError
        If an argument, or X, asks for a network of another form than that of the last fit. The
        message names it, what the model has, and what to do.

    Warns
    -----
    UserWarning
        If the network has learned none of the labels.
    """
    if model.network is None:
        raise changed(f"rankers={params['rankers']!r} trains a network", "none")
    _check_input(model, reader, inputs)
    _check_reading(model, params)
    _check_representation(model.network, params)
    _check_labels(model.network, model.given, params)
    _check_not_raised(model)
    source = source_of(model, labels.classes)
    if (source < 0).all():
        warn(
            "The network of the last fit has learned none of the labels of y: it knows labels such "
            f"as {model.classes.tolist()[0]!r:.100}, and y has such as "
            f"{labels.classes.tolist()[0]!r:.100}. With warm_start=True every label begins anew."
        )
    return Start(model, source)


def source_of(model: FittedModel, classes: np.ndarray) -> np.ndarray:
    """Return the network's output for each of these labels, -1 where it has not learned one.

    It has learned those that had a training document.
    """
    outputs = np.arange(len(model.classes))
    if model.panel is not None:
        ranker: Any = next(each for each in model.panel.rankers if each.name == "network")
        outputs = np.where(ranker.seen, ranker.outputs, -1)
    known = dict(zip(model.classes.tolist(), outputs.tolist(), strict=True))
    return np.array([known.get(label, -1) for label in classes.tolist()], dtype=np.int64)


def changed(found: str, has: str) -> ValueError:
    """Return the error of what does not go with the last fit's model."""
    return ValueError(
        f"{found}, but warm_start=True goes on with the model of the last fit, which has {has}. "
        "Put it back, or pass warm_start=False to begin anew."
    )


def is_same(value: Any, other: Any) -> bool:
    """Tell whether two values of an argument ask for the same, copies among them."""
    if hasattr(value, "get_params") and not isinstance(value, type):
        if type(value) is not type(other):
            return False
        return is_same(value.get_params(deep=False), other.get_params(deep=False))
    if isinstance(value, dict):
        return (
            isinstance(other, dict)
            and value.keys() == other.keys()
            and all(is_same(each, other[key]) for key, each in value.items())
        )
    if isinstance(value, (list, tuple)):  # a saved tuple may come back as a list
        if not isinstance(other, (list, tuple)) or len(value) != len(other):
            return False
        return all(is_same(a, b) for a, b in zip(value, other, strict=True))
    if hasattr(value, "__array__"):
        return bool(np.array_equal(np.asarray(value), np.asarray(other)))
    if isinstance(value, os.PathLike):
        value, other = os.fspath(value), os.fspath(other)
    if type(value) is not type(other):
        return False
    if isinstance(value, (np.random.RandomState, np.random.Generator)):  # a copy is not equal
        return bool(joblib.hash(value) == joblib.hash(other))
    return bool(value == other)


def _check_input(model: FittedModel, reader: Reader, inputs: Inputs) -> None:
    now, then = ("documents" if r.reads_texts else "numbers" for r in (reader, model.reader))
    if now != then:
        raise changed(f"X holds {now}", f"learned from {then}")
    if reader.reads_texts:
        return
    if reader.n_features != model.reader.n_features:
        raise changed(f"X has {reader.n_features} features", f"{model.reader.n_features}")
    names, known = reader.feature_names, model.reader.feature_names
    if names is not None and known is not None and names.tolist() != known.tolist():
        i = int(np.argmax(names != known))
        raise changed(f"X has the column {names[i]!r} in place {i}", f"{known[i]!r} there")
    assert model.network is not None
    assert model.network.features is not None
    kind = "sparse" if isinstance(inputs.matrix, sp.sparray) else "dense"
    if kind != model.network.features.kind:
        raise changed(f"X is a {kind} matrix", f"learned from a {model.network.features.kind} one")


def _check_reading(model: FittedModel, params: dict[str, Any]) -> None:
    """Check what reads documents; of numbers there is nothing to check."""
    if not model.reads_texts:
        return
    now, then = (decisions.encoder(each, reads_texts=True) for each in (params, dict(model.given)))
    if not _same_encoder(now, then):
        raise changed(f"encoder={_shown(now)}", f"encoder={_shown(then)}")
    if not is_same(params["features"], model.vectorizer):
        raise changed(
            f"features={_shown(params['features'])}", f"features={_shown(model.vectorizer)}"
        )


def _same_encoder(now: Any, then: Any) -> bool:
    paths = [os.fspath(each) for each in (now, then) if isinstance(each, (str, os.PathLike))]
    return paths[0] == paths[1] if len(paths) == 2 else is_same(now, then)


def _check_representation(network: LightXMLNetwork, params: dict[str, Any]) -> None:
    if network.encoder is not None:
        n_layers = min(int(params["n_feature_layers"]), network.encoder.config.num_hidden_layers)
        reading, pooling, prompt = network.reading, params["pooling"], params["prompt"]
        for name, now, then in (
            ("freeze_encoder", bool(params["freeze_encoder"]), network.is_frozen),
            ("n_feature_layers", n_layers, network.n_feature_layers),
            ("se_block", bool(params["se_block"]), network.se_block is not None),
            ("pooling", reading.pooling if is_auto(pooling) else pooling, reading.pooling),
            ("prompt", reading.prompt if prompt is None else prompt, reading.prompt),
        ):
            if now != then:
                raise changed(f"{name}={params[name]!r}", f"{name}={then!r}")
    width = params["feature_dim"]
    if network.features is not None and not is_auto(width) and width != network.features.width:
        raise changed(f"feature_dim={width!r}", f"feature_dim={network.features.width}")


def _check_labels(
    network: LightXMLNetwork, given: Mapping[str, Any], params: dict[str, Any]
) -> None:
    width, clusters = params["label_dim"], params["label_clusters"]
    label_dim = network.head.describe().get("label_dim")
    is_clustered = network.head.label_clusters is not None
    if not is_auto(clusters) and decisions.wants_clusters(params, 0) != is_clustered:
        has = "label clusters" if is_clustered else "no label clusters"
        raise changed(f"label_clusters={_shown(clusters)}", has)
    says_which = not isinstance(clusters, (bool, np.bool_, str, type(None)))
    if says_which and not is_same(clusters, given["label_clusters"]):
        raise changed(f"label_clusters={_shown(clusters)}", "others, which stay")
    if not is_auto(width) and width != label_dim:
        has = "no label_dim" if label_dim is None else f"label_dim={label_dim}"
        raise changed(f"label_dim={width!r}", has)


def _check_not_raised(model: FittedModel) -> None:
    """Refuse to train from biases to which a preference for rare labels was added."""
    weight = model.given["propensity_weight"]
    if weight and model.panel is None:
        raise ValueError(
            f"propensity_weight={weight} of the last fit was added to the labels' biases, and with "
            "rankers=('network',) the biases without it are not kept: warm_start=True cannot go on "
            "from them. Pass warm_start=False now, and propensity_weight=0 to fits that others are "
            "to go on from."
        )


def _shown(value: Any) -> str:
    return " ".join(repr(value).split())[:100]
