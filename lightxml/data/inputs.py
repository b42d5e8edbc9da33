"""What the caller passes as X, y, X_val and y_val, checked and put in its place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone

from lightxml.data.labels import Labels, encode_known
from lightxml.data.matrices import FeatureMatrix, check_matrix, is_numeric
from lightxml.data.texts import check_texts, holds_texts

Validation = tuple[list[str] | FeatureMatrix, sp.csr_array]


@dataclass(frozen=True)
class Inputs:
    """The training documents, checked; what is not there is None.

    Attributes
    ----------
    texts : list of str, or None
    matrix : csr_array or ndarray of float32, shape (n_documents, n_features), or None
    encoder : what `build_encoder` takes, or None
    vectorizer : transformer, or None
        Fitted by `with_features`.
    numbers : ndarray of int64, shape (n_documents,), or None
        Which of the caller's documents these are; None: all.
    """

    texts: list[str] | None
    matrix: FeatureMatrix | None
    encoder: Any
    vectorizer: Any
    numbers: np.ndarray | None = None

    def __len__(self) -> int:
        if self.texts is not None:
            return len(self.texts)
        assert self.matrix is not None
        return int(self.matrix.shape[0])

    @property
    def given(self) -> list[str] | FeatureMatrix:
        """The documents as `fit` was given them."""
        if self.texts is not None:
            return self.texts
        assert self.matrix is not None
        return self.matrix

    def only(self, rows: np.ndarray) -> Inputs:
        """Return some of the documents."""
        texts = None if self.texts is None else [self.texts[i] for i in rows.tolist()]
        matrix = None if self.matrix is None else self.matrix[rows]
        return replace(self, texts=texts, matrix=matrix, numbers=rows)


def check_inputs(X: Any, encoder: Any, features: Any) -> Inputs:
    """Tell documents from a numeric matrix.

    Raises
    ------
    TypeError, ValueError
        If `X` is neither, or does not go with `encoder` and `features`.
    """
    is_auto = isinstance(encoder, str) and encoder == "auto"
    if encoder is None and features is None and holds_texts(X):
        raise ValueError(
            "X holds documents, but encoder is None and features is None: nothing reads them. "
            "Pass features=TfidfVectorizer(), an encoder, or a numeric matrix as X."
        )
    if is_numeric(X) or (encoder is None and features is None):
        if encoder is not None and not is_auto:
            raise ValueError(
                f"X is a numeric matrix, but encoder={_shown(encoder)} reads documents. Pass "
                "documents (a list of str), or encoder=None to learn from the matrix alone."
            )
        if features is not None:
            raise ValueError(
                "X is a numeric matrix, but features is a vectorizer, which reads documents. "
                "Pass documents (a list of str), or features=None."
            )
        return Inputs(None, check_matrix(X), None, None)
    vectorizer = None if features is None else clone(features)
    return Inputs(check_texts(X), None, "bert-base-uncased" if is_auto else encoder, vectorizer)


def with_features(inputs: Inputs) -> Inputs:
    """Fit the vectorizer, if there is one, on the documents; they get their features."""
    if inputs.vectorizer is None:
        return inputs
    matrix = inputs.vectorizer.fit_transform(inputs.texts)
    return replace(inputs, matrix=check_matrix(matrix, name="the output of features"))


def check_validation(X_val: Any, y_val: Any, inputs: Inputs, labels: Labels) -> Validation:
    """Check validation documents and their labels against those of the training.

    Raises
    ------
    TypeError, ValueError
        Naming the argument.
    """
    if inputs.texts is not None:
        X_val = check_texts(X_val, name="X_val")
        n_val = len(X_val)
    else:
        assert inputs.matrix is not None
        X_val = check_matrix_like(X_val, inputs.matrix.shape[1], name="X_val")
        n_val = X_val.shape[0]
    return X_val, encode_known(y_val, labels.classes, labels.form, n_val, name="y_val")


def hold_out(
    inputs: Inputs, labels: Labels, fraction: float, seed: int
) -> tuple[Inputs, Labels, Validation]:
    """Set documents aside, drawn from the seed: a fraction of them, or so many.

    Raises
    ------
    ValueError
        If no document with a label is left to train on.
    """
    n_documents = len(inputs)
    n_val = int(fraction) if fraction >= 1 else max(1, round(fraction * n_documents))
    # Of its own, so that the order of the documents has nothing to do with who they are.
    order = np.random.default_rng([seed, 0, 0, 0]).permutation(n_documents)
    rows, rows_val = np.sort(order[n_val:]), np.sort(order[:n_val])
    matrix = labels.matrix[rows]
    if matrix.nnz == 0:
        raise ValueError(
            f"early_stopping=True sets {n_val} of {n_documents} documents aside, and none with a "
            "label is left to train on. Lower validation_fraction, or pass X_val and y_val."
        )
    held = (inputs.only(rows_val).given, labels.matrix[rows_val])
    return inputs.only(rows), replace(labels, matrix=matrix), held


def check_matrix_like(X: Any, n_features: int, *, name: str) -> FeatureMatrix:
    """Check a numeric matrix that comes after one of so many columns.

    Raises
    ------
    TypeError, ValueError
        If it is documents, has other columns, or as `check_matrix`.
    """
    if holds_texts(X):
        raise TypeError(
            f"{name} holds documents, but the model was fitted on a numeric matrix of "
            f"{n_features} columns. Vectorize them as for fit."
        )
    matrix = check_matrix(X, name=name)
    if matrix.shape[1] != n_features:
        raise ValueError(
            f"{name} has {matrix.shape[1]} features, but LightXMLClassifier is expecting "
            f"{n_features} features as input."
        )
    return matrix


def _shown(encoder: Any) -> str:
    return repr(encoder) if isinstance(encoder, str) else type(encoder).__name__
