"""What fitting the rankers takes: an estimate before it begins."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier
from lightxml.fitting.panel_footprint import rankers_memory
from lightxml.rankers.base import Documents
from lightxml.rankers.fit_panel import fit_panel
from lightxml.rankers.sparse import normalized

RANKERS = ("linear", "neighbors")


def task(n: int, n_labels: int, n_entries: int) -> tuple[Documents, sp.csr_array]:
    rng = np.random.default_rng(0)
    rows = normalized(sp.random_array((n, 2_000), density=n_entries / 2_000, format="csr", rng=rng))
    y = sp.csr_array((rng.random((n, n_labels)) < 2 / n_labels).astype(np.int8))
    return Documents(rows), y


def test_the_estimate_is_about_what_fitting_the_rankers_takes() -> None:
    fit_panel(*task(20, 4, 5), names=RANKERS, seed=0)  # compiled before it is measured
    documents, y = task(2_600, 100, 30)
    tracemalloc.start()
    fit_panel(documents, y, names=RANKERS, seed=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    needed = rankers_memory(documents, y, RANKERS, 500, 0)
    assert 0.7 * peak < sum(needed.values()) < 3 * peak
    assert needed["vectors"] == 0


def test_vectors_count_documents_and_texts_and_add_columns() -> None:
    documents, y = task(50, 20, 5)
    with_vectors = Documents(documents.rows, vectors=np.zeros((50, 16), np.float16))
    needed = rankers_memory(with_vectors, y, ("label_texts",), 10, 30)
    assert needed["vectors"] == 12 * (50 + 30) * 16
    assert needed["rows"] == needed["linear"] == 0
    assert needed["candidates"] == 3 * 4 * (2 * 5 + 2) * 10 * 20


def test_rankers_that_may_not_fit_into_memory_say_what_to_lower(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lightxml.fitting.panel_footprint.free_memory", lambda: 1_000)
    model = LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0)
    texts = [f"word{i % 7} word{i % 5}" for i in range(40)]
    told = r"Fitting the rankers may take .* GiB more memory.*rows and neighbors \(fewer features"
    with pytest.warns(UserWarning, match=told):
        model.fit(texts, [[i % 3] for i in range(40)])
