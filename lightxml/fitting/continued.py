"""The network that a fit goes on with: a copy of the last fit's, with outputs for other labels."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from lightxml.data.inputs import Inputs, Reader
from lightxml.data.labels import Labels
from lightxml.fitting.warm import Start
from lightxml.network import encoders
from lightxml.network.heads.kinds import choose_head
from lightxml.network.network import LightXMLNetwork
from lightxml.predicting.fitted import FittedModel


def go_on(
    params: dict[str, Any],
    start: Start,
    reader: Reader,
    inputs: Inputs,
    labels: Labels,
    clusters: np.ndarray | None,
) -> FittedModel:
    """Return the model before training: the last fit's weights, first ones for what is new.

    What is random of these comes from torch's current generator. The last fit's network stays as
    it is, and shares nothing with this one.

    Parameters
    ----------
    params : dict
        The arguments of `LightXMLClassifier`, by name.
    start : Start
    reader : Reader
    inputs : Inputs
        With their features; where X is documents, new words have columns behind the others.
    labels : Labels
    clusters : ndarray of int64, shape (n_labels,), or None
    """
    earlier = start.network
    encoder = _copied_encoder(start.model, int(params["max_length"]))
    head = choose_head(
        earlier.head.describe().get("label_dim"),
        clusters,
        n_candidate_clusters=int(params["n_candidate_clusters"]),
        n_random_negatives=int(params["n_random_negatives"]),
        loss_correction=bool(params["loss_correction"]),
    )
    config = replace(
        earlier.config,
        n_labels=len(labels.classes),
        head=head,
        dropout=float(params["dropout"]),
    )
    network = LightXMLNetwork(config, encoder)
    apart = ("head.", "features.")
    others = {k: v for k, v in earlier.state_dict().items() if not k.startswith(apart)}
    missing, unexpected = network.load_state_dict(others, strict=False)
    assert not unexpected
    assert all(name.startswith(apart) for name in missing)
    if earlier.features is not None:
        assert inputs.matrix is not None
        network.features = earlier.features.widened(inputs.matrix)
    if clusters is not None:
        network.head.set_clusters(clusters)
    network.head.take_over(earlier.head, start.source)
    tokenizer = None if encoder is None else encoder.tokenizer
    return FittedModel(reader, labels.classes, labels.form, network, tokenizer, [])


def _copied_encoder(model: FittedModel, max_length: int) -> encoders.TextEncoder | None:
    """Return an encoder of the same architecture as a load makes it; its weights are to come."""
    network = model.network
    assert network is not None
    if network.encoder is None:
        return None
    assert model.tokenizer is not None
    config = encoders.config_from_dict(encoders.config_to_dict(network.encoder.config))
    return encoders.assemble(
        encoders.model_from_config(config),
        copy.deepcopy(model.tokenizer),
        network.reading,
        max_length,
    )
