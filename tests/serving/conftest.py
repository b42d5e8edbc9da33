"""A small fitted model, and one that is watched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lightxml import LightXMLClassifier
from tests.serving.service import Watched

NAMES = {f"label {j}": f"the name of {j}" for j in range(12)}


@pytest.fixture(scope="session")
def texts(documents: Any) -> list[str]:
    return documents[0]


@pytest.fixture
def watched(fitted: LightXMLClassifier) -> Watched:
    return Watched(fitted)


@pytest.fixture(scope="session")
def words(
    make_classifier: Callable[..., LightXMLClassifier],
    texts: list[str],
    labels: list[tuple[str, ...]],
) -> LightXMLClassifier:
    """A model of words, whose labels have names."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    model = LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0)
    return model.fit(texts, labels, label_texts=NAMES)
