"""Training documents as a second opinion: what is added to a logit, and when."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier, load
from lightxml.fitting.arguments import MOST_NEIGHBOURS, neighbor_weight
from lightxml.network.neighbours import TEMPERATURE, make_neighbours
from lightxml.network.prediction import represent_all

Documents = tuple[list[str], sp.csr_array]
Y = sp.csr_array(np.array([[1, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 1]]))


def representations(n: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed)) + 1


@pytest.mark.parametrize("widths", [[6], [2, 4]], ids=["one part", "two parts"])
def test_a_labels_share_is_the_attention_that_its_documents_get(widths: list[int]) -> None:
    known, new = representations(4, 6), representations(3, 6, seed=1)
    shares = make_neighbours(known, Y, widths, weight=2.5)(new)
    found = shares(0, Y.shape[1])
    torch.testing.assert_close(shares(1, 3), found[:, 1:3])

    centre = known.mean(dim=0)
    cosines = torch.stack(
        [
            F.cosine_similarity(a[:, None], b[None], dim=2)
            for a, b in zip(
                (new - centre).split(widths, dim=1), (known - centre).split(widths, dim=1),
                strict=True,
            )
        ]
    ).mean(dim=0)  # fmt: skip
    attention = torch.softmax(cosines / TEMPERATURE, dim=1)
    expected = 2.5 * attention @ torch.from_numpy(Y.toarray()).float()
    torch.testing.assert_close(found, expected, atol=0.03, rtol=0.03)  # keys are of half precision


def test_a_known_document_brings_its_own_labels_the_whole_weight() -> None:
    known = representations(4, 50)
    added = make_neighbours(known, Y, [50], weight=3.0)(known)(0, Y.shape[1])
    torch.testing.assert_close(added, 3.0 * torch.from_numpy(Y.toarray()).float(), atol=1e-3,
                               rtol=0)  # fmt: skip


def test_a_label_without_a_document_gets_nothing() -> None:
    neighbours = make_neighbours(representations(4, 5), Y, [5], weight=3.0)
    added = neighbours(representations(9, 5, 1))(0, Y.shape[1])
    assert (added[:, 1] == 0).all()
    assert (added >= 0).all()
    assert (added <= 3.0 + 1e-5).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [("documents", 4), ("documents", -1), ("starts", 9), ("starts", -1)],
)
def test_numbers_out_of_range_are_refused(name: str, value: int) -> None:
    made = make_neighbours(representations(4, 5), Y, [5], weight=1.0)
    made.check()
    getattr(made, name)[1] = value
    with pytest.raises(ValueError, match="neighbours"):
        made.check()


@pytest.fixture
def task(documents: Documents) -> tuple[sp.csr_array, sp.csr_array]:
    """TF-IDF features of sixty documents, and their labels."""
    return sp.csr_array(TfidfVectorizer().fit_transform(documents[0])), documents[1]


def test_prediction_adds_them_and_training_does_not(task: tuple[Any, Any]) -> None:
    X, y = task
    params = {"feature_dim": 16, "max_epochs": 2, "linear_weight": 0, "random_state": 0}
    without = LightXMLClassifier(None, neighbor_weight=0, **params).fit(X, y)
    with_them = LightXMLClassifier(None, neighbor_weight=1.5, **params).fit(X, y)
    assert without.network_.neighbours is None
    assert with_them.history_ == without.history_
    for name, weight in without.network_.state_dict().items():
        assert torch.equal(weight, with_them.network_.state_dict()[name])
    documents = with_them._read(X)
    shares = with_them.network_.neighbours(represent_all(with_them.network_, documents))
    added = shares(0, y.shape[1])
    np.testing.assert_allclose(
        with_them.decision_function(X), without.decision_function(X) + added.numpy(), atol=1e-5
    )
    assert with_them.score(X, y) > without.score(X, y)


def test_validation_measures_what_predicts(task: tuple[Any, Any]) -> None:
    X, y = task
    model = LightXMLClassifier(
        None, feature_dim=16, max_epochs=2, neighbor_weight=5, linear_weight=0, random_state=0
    ).fit(X[:50], y[:50], X_val=X[50:], y_val=y[50:])
    assert model.history_[-1]["precision_at_1"] == model.score(X[50:], y[50:])


def test_they_are_saved_and_pickled(task: tuple[Any, Any], tmp_path: Path) -> None:
    X, y = task
    model = LightXMLClassifier(None, feature_dim=16, max_epochs=1).fit(X, y)
    expected = model.decision_function(X)
    model.save(tmp_path / "model")
    for other in (load(tmp_path / "model", "cpu"), pickle.loads(pickle.dumps(model))):
        assert other.network_.neighbours.weight == 3.0
        assert np.array_equal(other.decision_function(X), expected)


def labelled(n_documents: int, n_labels: int) -> sp.csr_array:
    """One label a document, all labels equally often."""
    columns = np.arange(n_documents) % n_labels
    return sp.csr_array((np.ones(n_documents), (np.arange(n_documents), columns)))


def test_by_default_they_are_asked_where_no_encoder_is_trained() -> None:
    auto = {"neighbor_weight": "auto"}
    assert neighbor_weight(auto, labelled(200, 10), trains_encoder=False) == 1.0
    assert neighbor_weight(auto, labelled(200, 11), trains_encoder=False) == 3.0
    assert neighbor_weight(auto, labelled(100, 10), trains_encoder=True) == 0.0
    many = labelled(MOST_NEIGHBOURS + 1, 10)
    assert neighbor_weight(auto, many, trains_encoder=False) == 0.0
    assert neighbor_weight({"neighbor_weight": 1}, many, trains_encoder=True) == 1.0


def test_beside_a_trained_encoder_they_can_be_asked_for(
    make_classifier: Callable[..., LightXMLClassifier], documents: Documents
) -> None:
    X, y = documents
    alone = make_classifier(max_epochs=1).fit(X, y)
    asked = make_classifier(max_epochs=1, neighbor_weight=4).fit(X, y)
    assert asked.history_ == alone.history_
    assert (asked.decision_function(X) - alone.decision_function(X) > -1e-5).all()
    assert asked.score(X, y) > alone.score(X, y)


@pytest.mark.parametrize("value", [-1, "much", None])
def test_a_weight_that_is_none_is_named(task: tuple[Any, Any], value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="neighbor_weight"):
        LightXMLClassifier(None, neighbor_weight=value).fit(*task)
