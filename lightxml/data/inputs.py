"""One reader of X for fit, validation and predict: documents, or a numeric matrix."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import validate_data

from lightxml.data.matrices import FeatureMatrix, check_matrix, is_numeric
from lightxml.data.texts import check_texts, holds_texts
from lightxml.exceptions import warn

_FEWEST = 100  # documents, from which on it tells something that they have nothing in common


@dataclass(frozen=True)
class Inputs:
    """Documents as they were read; what is not there is None.

    Attributes
    ----------
    texts : list of str, or None
    matrix : csr_array or ndarray of float32, shape (n_documents, n_features), or None
        The numeric X, or what the vectorizer made of the texts.
    numbers : ndarray of int64, shape (n_documents,), or None
        Which of the caller's documents these are; None: all.
    """

    texts: list[str] | None
    matrix: FeatureMatrix | None
    numbers: np.ndarray | None = None

    def __len__(self) -> int:
        if self.texts is not None:
            return len(self.texts)
        assert self.matrix is not None
        return int(self.matrix.shape[0])

    @property
    def given(self) -> list[str] | FeatureMatrix:
        """The documents as the caller gave them, in canonical form."""
        if self.texts is not None:
            return self.texts
        assert self.matrix is not None
        return self.matrix

    def only(self, rows: np.ndarray) -> Inputs:
        """Return the documents of these rows."""
        texts = None if self.texts is None else [self.texts[i] for i in rows.tolist()]
        matrix = None if self.matrix is None else self.matrix[rows]
        numbers = rows if self.numbers is None else self.numbers[rows]
        return Inputs(texts, matrix, numbers)


@dataclass(frozen=True)
class Reader:
    """How a model reads X, the same at fit, for validation and at predict.

    Attributes
    ----------
    reads_texts : bool
        Whether X is documents, not a numeric matrix.
    vectorizer : transformer or None
        Makes the documents' features, once `fit` has fitted it; None if they have none.
    n_features : int or None
        Columns of a numeric X; None for documents, and before there was a first X.
    feature_names : ndarray of str, or None
        The names of these columns, if X was a data frame.
    """

    reads_texts: bool
    vectorizer: Any = None
    n_features: int | None = None
    feature_names: np.ndarray | None = None

    def check(self, X: Any, *, name: str = "X") -> Inputs:
        """Check X, without the work of vectorizing it.

        Parameters
        ----------
        X : documents or numeric matrix
        name : str
            The argument's name, for messages.

        Raises
        ------
        TypeError, ValueError
            If it is not what the model reads; the message names the argument.
        """
        if self.reads_texts:
            return Inputs(check_texts(X, name=name), None)
        if self.n_features is None:
            return Inputs(None, check_matrix(X, name=name))
        return Inputs(None, check_matrix_like(X, self.n_features, name=name))

    def fit(self, inputs: Inputs) -> Inputs:
        """Fit the vectorizer, if there is one, on checked documents; they get their features.

        Warns
        -----
        UserWarning
            If few documents have a feature in common.
        """
        if self.vectorizer is None:
            return inputs
        read = self._with_features(inputs, self.vectorizer.fit_transform(inputs.texts))
        _warn_if_unshared(read.matrix)
        return read

    def featurize(self, inputs: Inputs) -> Inputs:
        """Give checked documents their features, if there is a vectorizer, which is fitted."""
        if self.vectorizer is None or inputs.matrix is not None:
            return inputs
        return self._with_features(inputs, self.vectorizer.transform(inputs.texts))

    def read(self, X: Any, *, name: str = "X") -> Inputs:
        """Check X and give its documents their features; errors as `check`."""
        return self.featurize(self.check(X, name=name))

    @staticmethod
    def _with_features(inputs: Inputs, matrix: Any) -> Inputs:
        return replace(inputs, matrix=check_matrix(matrix, name="the output of features"))


def _warn_if_unshared(matrix: FeatureMatrix | None) -> None:
    """Warn if most documents have no feature in common with another: new ones will have none."""
    if not isinstance(matrix, sp.sparray) or matrix.shape[0] < _FEWEST:
        return
    is_shared = np.bincount(matrix.indices, minlength=matrix.shape[1]) > 1
    n_alone = int(np.count_nonzero((matrix != 0) @ is_shared.astype(np.float32) == 0))
    if 2 * n_alone > matrix.shape[0]:
        warn(
            f"{n_alone:,} of the {matrix.shape[0]:,} training documents have no feature in common "
            "with another, and new ones will have none either. Where a script has no blanks "
            "between words (Chinese, Japanese, Thai), read characters: "
            'TfidfVectorizer(analyzer="char", ngram_range=(1, 2)).'
        )


def reader_of(X: Any, encoder: Any, features: Any) -> tuple[Reader, Inputs]:
    """Tell documents from a numeric matrix, and check them.

    Parameters
    ----------
    X : documents or numeric matrix
    encoder, features
        The estimator's arguments. The vectorizer is cloned.

    Returns
    -------
    reader : Reader
        With a vectorizer that is still to be fitted.
    inputs : Inputs
        Without features.

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
    if not is_numeric(X) and not (encoder is None and features is None):
        reader = Reader(reads_texts=True, vectorizer=None if features is None else clone(features))
        return reader, reader.check(X)
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
    names = column_names(X)
    inputs = Reader(reads_texts=False).check(X)
    assert inputs.matrix is not None
    reader = Reader(reads_texts=False, n_features=inputs.matrix.shape[1], feature_names=names)
    return reader, inputs


def column_names(X: Any) -> np.ndarray | None:
    """Return the names of a data frame's columns, as scikit-learn reads them, or None.

    Raises
    ------
    TypeError
        If some of the names are str and others are not.
    """
    frame = BaseEstimator()  # keeps what scikit-learn's own check finds
    validate_data(frame, X, skip_check_array=True)
    names: np.ndarray | None = getattr(frame, "feature_names_in_", None)
    return names


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
