"""What `fit` measures: on documents that it did not learn from, of the model that is kept."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier, load
from lightxml.datasets import make_xmc
from lightxml.exceptions import BundleError
from lightxml.files.bundle import Bundle
from lightxml.files.load import load_bundle
from lightxml.files.save import save_bundle
from lightxml.metrics import precision_at_k
from lightxml.predicting.measured import Measured

Make = Callable[..., LightXMLClassifier]


def words(**params: Any) -> LightXMLClassifier:
    return LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0, **params)


@pytest.mark.parametrize("n_documents", [200, 3_000], ids=["folds", "held out"])
def test_labels_at_random_are_measured_as_what_they_are(n_documents: int) -> None:
    texts, _ = make_xmc(n_documents, 10, n_words_per_document=10, random_state=0)
    y = np.eye(10, dtype=int)[np.random.default_rng(0).integers(10, size=n_documents)]
    model = words().fit(texts, y)
    measured = model._model.measured
    assert measured is not None
    assert measured.source == ("folds" if n_documents == 200 else "held out")
    assert measured.n_documents == (200 if n_documents == 200 else 500)
    assert measured.precision[1] < 0.2  # by chance a tenth
    if measured.source == "folds":
        assert model.score(texts, y) > 0.5  # of what was learned from


def test_given_documents_are_measured_as_prediction_ranks_them() -> None:
    texts, y = make_xmc(3_400, 30, n_words_per_document=6, random_state=0)
    given = {"X_val": texts[3_000:], "y_val": y[3_000:]}
    model = words(propensity_weight=3).fit(texts[:3_000], y[:3_000], **given)
    measured = model._model.measured
    assert measured is not None
    assert (measured.source, measured.n_documents) == ("X_val", 400)
    topk = np.searchsorted(model.classes_, model.predict_topk(texts[3_000:], k=5))
    for k in (1, 3, 5):  # the model that is kept has the final ranker that has seen them all
        assert measured.precision[k] == pytest.approx(precision_at_k(y[3_000:], topk, k), abs=0.04)


@pytest.mark.parametrize("stops", [False, True])
def test_a_network_alone_has_the_figures_of_the_epoch_that_it_keeps(
    make_classifier: Make, documents: Any, stops: bool
) -> None:
    texts, y = documents
    stopping = {"early_stopping": True, "n_iter_no_change": 1} if stops else {}
    model = make_classifier(max_epochs=4, **stopping)
    model.fit(texts[:40], y[:40], X_val=texts[40:], y_val=y[40:])
    topk = np.searchsorted(model.classes_, model.predict_topk(texts[40:], k=5))
    figures = {k: precision_at_k(y[40:], topk, k) for k in (1, 3, 5)}
    assert model._model.measured == Measured("X_val", 20, figures)


def test_nothing_held_out_is_not_measured(make_classifier: Make, documents: Any) -> None:
    assert words(final_ranker=None).fit(*documents)._model.measured is None
    assert make_classifier(max_epochs=1).fit(*documents)._model.measured is None


def test_documents_that_a_network_may_have_learned_from_are_not_measured(
    make_classifier: Make, documents: Any
) -> None:
    texts, y = documents
    model = make_classifier(max_epochs=1, early_stopping=True, warm_start=True).fit(texts, y)
    assert model._model.measured is not None
    assert model.fit(texts, y)._model.measured is None
    assert model.fit(texts, y, X_val=texts[:9], y_val=y[:9])._model.measured is not None


def test_figures_are_saved_and_go_when_the_model_goes_on(documents: Any, tmp_path: Path) -> None:
    texts, y = documents
    model = words().fit(texts, y)
    model.save(tmp_path)
    for again in (load(tmp_path), pickle.loads(pickle.dumps(model))):
        assert again._model.measured == model._model.measured is not None
    assert load(tmp_path).partial_fit(texts[:5], y[:5])._model.measured is None
    assert load(tmp_path).remove_labels([0])._model.measured is None


@pytest.mark.parametrize(
    "change",
    [{"source": "test"}, {"n_documents": 0}, {"precision_at_1": 1.5}, {"precision_at_2": 0.5}],
    ids=str,
)
def test_figures_that_cannot_be_are_refused(
    documents: Any, tmp_path: Path, change: dict[str, Any]
) -> None:
    words().fit(*documents).save(tmp_path)
    bundle = load_bundle(tmp_path)
    manifest = {**bundle.manifest, "measured": {**bundle.manifest["measured"], **change}}
    save_bundle(Bundle(manifest, bundle.blobs), tmp_path)
    with pytest.raises(BundleError, match="does not describe a model"):
        load(tmp_path)
