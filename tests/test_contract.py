"""scikit-learn's contract: its common checks, on texts made of numbers and on the class itself."""

from __future__ import annotations

import inspect
from typing import Any, Self

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.utils import Tags, estimator_checks, get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from lightxml import LightXMLClassifier
from tests.conftest import small_config

# The common checks give numbers, which is why they run almost nothing on an estimator of texts.


class NumbersAsTexts(LightXMLClassifier):
    """LightXMLClassifier behind a translation of scikit-learn's check data, and nothing else.

    Constructor, arguments, fitted attributes, pickling and every score are the parent's. A row
    of X becomes a document of one word for each column, such as ``"f0x12 f1x7"``; a 1-D y
    becomes one label a document, of which `predict` gives the best; a 2-D y is passed on as
    the indicator matrix it is.
    """

    def fit(self, X: Any, y: Any) -> Self:
        texts = self._texts(X, y=y)
        # Checked by `_texts`, which refuses y=None, NaN and a length that X has not.
        y = np.asarray(y)
        check_classification_targets(y)
        return super().fit(texts, y if y.ndim == 2 else [[label] for label in y.tolist()])

    def predict(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        texts = self._texts(X)
        if self._label_form == "collections":
            return super().predict_topk(texts, k=1)[:, 0]
        return super().predict(texts)

    def decision_function(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        logits = super().decision_function(self._texts(X))
        is_binary = self._label_form == "collections" and logits.shape[1] == 2
        return logits[:, 1] - logits[:, 0] if is_binary else logits

    def predict_proba(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        texts = self._texts(X)
        if self._label_form != "collections":
            return super().predict_proba(texts)
        # One label a document: scikit-learn wants probabilities that add up to one.
        powers = np.exp(super().decision_function(texts))
        return powers / powers.sum(axis=1, keepdims=True)

    def score(self, X: Any, y: Any) -> float:
        return float(np.mean(self.predict(X) == y))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = False
        tags.input_tags.two_d_array = True
        tags.target_tags.single_output = True
        tags.classifier_tags.multi_class = True
        return tags
