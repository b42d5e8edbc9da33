"""A fitted model, apart from the estimator's arguments: the predict-time object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from lightxml.data.documents import Documents, max_length_of, tokenize
from lightxml.data.inputs import Inputs, Reader
from lightxml.data.labels import LabelForm
from lightxml.network.encoders import choose_attention
from lightxml.network.network import LightXMLNetwork
from lightxml.runtime.devices import choose_autocast


@dataclass(frozen=True)
class FittedModel:
    """What `fit` learns.

    Attributes
    ----------
    network : LightXMLNetwork
    tokenizer : Tokenizer or None
        None without an encoder.
    reader : Reader
        Of X, with the fitted vectorizer.
    classes : ndarray of shape (n_labels,)
    label_form : str
        The form that `y` had.
    history : list of dict, one an epoch
    """

    network: LightXMLNetwork
    tokenizer: Tokenizer | None
    reader: Reader
    classes: np.ndarray
    label_form: LabelForm
    history: list[dict[str, float]]

    @property
    def max_length(self) -> int:
        """Tokens a document; 0 without an encoder."""
        return 0 if self.tokenizer is None else max_length_of(self.tokenizer)

    @property
    def label_clusters(self) -> np.ndarray | None:
        """The cluster of each label, int64 of shape (n_labels,); None without clusters."""
        return self.network.head.label_clusters

    @property
    def vectorizer(self) -> Any:
        """The fitted transformer that turns documents into features; None without one."""
        return self.reader.vectorizer

    @property
    def feature_names(self) -> np.ndarray | None:
        """The columns of a numeric X, if it was a data frame."""
        return self.reader.feature_names

    @property
    def reads_texts(self) -> bool:
        """Whether X is documents, not a numeric matrix."""
        return self.reader.reads_texts

    def read(self, X: Any, *, name: str = "X") -> Documents:
        """Check what a caller passes as X, and give it as the network reads it.

        Raises
        ------
        TypeError, ValueError
            If it is not what the model was fitted on; the message names the argument.
        """
        return self.documents(self.reader.read(X, name=name))

    def documents(self, inputs: Inputs) -> Documents:
        """Give documents that the reader has read as the network reads them."""
        tokens = features = None
        if self.tokenizer is not None:
            assert inputs.texts is not None
            tokens = tokenize(inputs.texts, self.tokenizer)
        if self.network.features is not None:
            assert inputs.matrix is not None
            features = self.network.features.prepare(inputs.matrix)
        return Documents(tokens, features)


def place(model: FittedModel, precision: str, device: torch.device) -> None:
    """Put the network on the device, ready to compute in this precision."""
    network = model.network
    network.autocast_dtype = choose_autocast(precision, device)
    if network.encoder is not None:
        bf16 = network.autocast_dtype is not None
        choose_attention(network.encoder, model.max_length, device, bf16)
    network.to(device)
