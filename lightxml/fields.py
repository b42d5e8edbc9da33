"""Documents with several fields, such as title and body, each with columns of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from lightxml.data.fields import fields_of, join_fields

__all__ = ["FieldsVectorizer", "join_fields"]


class FieldsVectorizer(TransformerMixin, BaseEstimator):
    """Vectorize each field of a document by itself, its columns beside those of the others.

    A word of the title then counts apart from the same word of the body (docs/features.md says
    what that gained).

    Parameters
    ----------
    vectorizer : scikit-learn vectorizer
        Such as ``TfidfVectorizer(sublinear_tf=True, min_df=2)``; cloned and fitted for each
        field.

    Attributes
    ----------
    vectorizers_ : list of fitted vectorizers, or None
        One for each field; None for one in which no word is left.

    See Also
    --------
    join_fields : Makes the documents.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from lightxml.fields import FieldsVectorizer, join_fields
    >>> texts = join_fields(["red apple", "green car"], ["sweet and red", "fast"])
    >>> FieldsVectorizer(TfidfVectorizer()).fit_transform(texts).shape
    (2, 8)
    """

    def __init__(self, vectorizer: Any) -> None:
        self.vectorizer = vectorizer

    def fit(self, X: Sequence[str], y: Any = None) -> Self:
        """Fit a vectorizer for each field.

        Parameters
        ----------
        X : sequence of str
            Of `join_fields`; the document with most fields says how many there are.
        y : ignored

        Raises
        ------
        ValueError
            If no word is left in any field.
        """
        self.fit_transform(X)
        return self

    def fit_transform(self, X: Sequence[str], y: Any = None) -> sp.csr_array:
        """Fit, and return what `transform` does."""
        columns = _columns(X, max((len(fields_of(text)) for text in X), default=1))
        vectorizers: list[Any] = []
        parts = []
        failed: ValueError | None = None
        for texts in columns:
            vectorizer = clone(self.vectorizer)
            try:
                parts.append(vectorizer.fit_transform(texts))
            except ValueError as error:  # no word is left
                vectorizer, failed = None, error
            vectorizers.append(vectorizer)
        if not parts:
            assert failed is not None
            raise failed
        self.vectorizers_ = vectorizers
        return _beside(parts)

    def transform(self, X: Sequence[str]) -> sp.csr_array:
        """Return the features of all fields, side by side.

        Parameters
        ----------
        X : sequence of str
            Fields behind those of the fit join the last of these.

        Returns
        -------
        csr_array of shape (n_documents, n_features)
        """
        check_is_fitted(self)
        columns = _columns(X, len(self.vectorizers_))
        return _beside([
            vectorizer.transform(texts)
            for vectorizer, texts in zip(self.vectorizers_, columns, strict=True)
            if vectorizer is not None
        ])  # fmt: skip

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the features' names: the field's number from 1, a colon, and the word.

        Returns
        -------
        ndarray of object
        """
        check_is_fitted(self)
        names = [
            f"{number}: {name}"
            for number, vectorizer in enumerate(self.vectorizers_, start=1)
            if vectorizer is not None
            for name in vectorizer.get_feature_names_out()
        ]
        return np.array(names, dtype=object)


def _columns(X: Sequence[str], n_fields: int) -> list[list[str]]:
    """Return the texts of each field; a document with fewer has empty ones."""
    columns: list[list[str]] = [[] for _ in range(n_fields)]
    for text in X:
        fields = fields_of(text)
        fields[n_fields - 1 :] = [" ".join(fields[n_fields - 1 :])]
        for column, field in zip(columns, fields, strict=False):
            column.append(field)
        for column in columns[len(fields) :]:
            column.append("")
    return columns


def _beside(parts: list[Any]) -> sp.csr_array:
    return sp.csr_array(sp.hstack(parts, format="csr"))
