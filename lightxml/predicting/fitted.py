"""A fitted model, apart from the estimator's arguments: the predict-time object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from lightxml.data.documents import Documents, max_length_of, tokenize
from lightxml.data.inputs import check_matrix_like
from lightxml.data.labels import LabelForm
from lightxml.data.matrices import check_matrix
from lightxml.data.texts import check_texts
from lightxml.network.heads.clustered import ClusteredHead
from lightxml.network.network import LightXMLNetwork


@dataclass(frozen=True)
class FittedModel:
    """What `fit` learns.

    Attributes
    ----------
    network : LightXMLNetwork
    tokenizer : Tokenizer or None
        None without an encoder.
    vectorizer : fitted transformer or None
        Turns documents into features; None if they have none, or X is numeric.
    classes : ndarray of shape (n_labels,)
    label_form : str
        The form that `y` had.
    history : list of dict, one an epoch
    feature_names : ndarray of str, or None
        The columns of a numeric X, if it was a data frame.
    """

    network: LightXMLNetwork
    tokenizer: Tokenizer | None
    vectorizer: Any
    classes: np.ndarray
    label_form: LabelForm
    history: list[dict[str, float]]
    feature_names: np.ndarray | None = None

    @property
    def max_length(self) -> int:
        """Tokens a document; 0 without an encoder."""
        return 0 if self.tokenizer is None else max_length_of(self.tokenizer)

    @property
    def label_clusters(self) -> np.ndarray | None:
        """The cluster of each label, int64 of shape (n_labels,); None without clusters."""
        head = self.network.head
        return head.cluster_of.cpu().numpy() if isinstance(head, ClusteredHead) else None

    @property
    def reads_texts(self) -> bool:
        """Whether X is documents, not a numeric matrix."""
        return self.tokenizer is not None or self.vectorizer is not None

    def read(self, X: Any, *, name: str = "X") -> Documents:
        """Check what a caller passes as X, and give it as the network reads it.

        Raises
        ------
        TypeError, ValueError
            If it is not what the model was fitted on; the message names the argument.
        """
        features = self.network.features
        if not self.reads_texts:
            assert features is not None
            matrix = check_matrix_like(X, features.n_features, name=name)
            return Documents(features=features.prepare(matrix))
        texts = check_texts(X, name=name)
        tokens = None if self.tokenizer is None else tokenize(texts, self.tokenizer)
        if self.vectorizer is None:
            return Documents(tokens)
        assert features is not None
        matrix = check_matrix(self.vectorizer.transform(texts), name="the output of features")
        return Documents(tokens, features.prepare(matrix))
