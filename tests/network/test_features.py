"""The embedding of features: what it computes, what its gradient touches, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
import torch.nn.functional as F

from lightxml.data.documents import EncodedDocuments
from lightxml.data.matrices import FeatureMatrix
from lightxml.network.batches import collate
from lightxml.network.features import (
    EMBEDDINGS,
    DenseEmbedding,
    FeatureEmbedding,
    SparseEmbedding,
    Standardise,
    describe_features,
    make_embedding,
)
from lightxml.network.tables import weighted_sum

CPU = torch.device("cpu")
ALL = np.arange(4)


@pytest.fixture
def matrix() -> sp.csr_array:
    """Four documents, six features, of which numbers 2 and 5 are in none of them."""
    rows = [[3, 4, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [1, 0, 0, -2, 2, 0]]
    return sp.csr_array(np.array(rows, dtype=np.float32))


def feature_embedding(matrix: FeatureMatrix, width: int) -> FeatureEmbedding:
    made = make_embedding(describe_features(matrix, width))
    made.fit(matrix)
    return made


def embed(embedding: SparseEmbedding, matrix: sp.csr_array, rows: np.ndarray) -> torch.Tensor:
    documents = EncodedDocuments(features=embedding.prepare(matrix))
    return embedding(collate(documents, rows, 0, CPU, training=True).features)


def test_a_document_is_the_weighted_sum_of_its_features_scaled_to_length_one(
    matrix: sp.csr_array,
) -> None:
    embedding = feature_embedding(matrix, 3)
    assert isinstance(embedding, SparseEmbedding)
    assert embedding.columns.tolist() == [0, 1, 3, 4]
    units = matrix.toarray()[:, [0, 1, 3, 4]] / np.array([5, 1, 1, 3])[:, None]
    expected = F.gelu(torch.from_numpy(units).float() @ embedding.weight + embedding.bias)
    torch.testing.assert_close(embed(embedding, matrix, ALL), expected)


def test_the_gradient_is_the_dense_one_and_holds_the_touched_rows_only(
    matrix: sp.csr_array,
) -> None:
    embedding = feature_embedding(matrix, 3)
    rows = np.array([1, 0])
    goal = torch.tensor([[1.0, -2.0, 0.5], [0.0, 1.0, 1.0]])
    (embed(embedding, matrix, rows) * goal).sum().backward()
    assert embedding.weight.grad is None
    (pending,) = embedding.pending
    assert pending.columns.tolist() == [0, 1]
    gradient = torch.zeros_like(embedding.weight)
    gradient[pending.columns] = weighted_sum(pending.gradient, pending.by_column)

    table = embedding.weight.detach().clone().requires_grad_()
    units = torch.from_numpy(embedding.prepare(matrix).toarray()[rows])
    (F.gelu(units @ table + embedding.bias.detach()) * goal).sum().backward()
    torch.testing.assert_close(gradient, table.grad)


def test_features_that_no_training_document_has_count_for_nothing(matrix: sp.csr_array) -> None:
    embedding = feature_embedding(matrix, 3)
    with_unknown = matrix.toarray()
    with_unknown[1, [2, 5]] = 100
    found = embed(embedding, sp.csr_array(with_unknown), ALL)
    torch.testing.assert_close(found, embed(embedding, matrix, ALL))


def test_many_numbers_may_be_counted_in_64_bits(matrix: sp.csr_array) -> None:
    wide = sp.csr_array(
        (matrix.data, matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)),
        shape=matrix.shape,
    )
    assert wide.indices.dtype == np.int64
    torch.manual_seed(0)
    narrow = feature_embedding(matrix, 3)
    torch.manual_seed(0)
    assert torch.equal(embed(feature_embedding(wide, 3), wide, ALL), embed(narrow, matrix, ALL))


def test_all_features_zero_is_an_error() -> None:
    with pytest.raises(ValueError, match="features of all 3 documents are zero; expected some"):
        describe_features(sp.csr_array((3, 4), dtype=np.float32), 2)


def test_columns_out_of_order_or_range_are_refused() -> None:
    for columns in ([0, 2, 1], [-1, 0], [0, 5], [1, 1]):
        embedding = SparseEmbedding(5, torch.tensor(columns), 2)
        with pytest.raises(ValueError, match="columns of its feature embedding do not rise"):
            embedding.check()
    SparseEmbedding(5, torch.tensor([0, 4]), 2).check()


def test_dense_features_are_standardised_over_the_training_documents() -> None:
    values = np.random.default_rng(0).normal(3, [1, 100, 1e-3], (50, 3)).astype(np.float32)
    embedding = feature_embedding(values, 8)
    assert isinstance(embedding, DenseEmbedding)
    seen = embedding.standardise(torch.from_numpy(values))
    torch.testing.assert_close(seen.mean(dim=0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(seen.std(dim=0, correction=0), torch.ones(3), atol=1e-3, rtol=0)
    expected = F.gelu(embedding.linear(seen))
    batch = collate(EncodedDocuments(features=values), np.arange(50), 0, CPU)
    torch.testing.assert_close(embedding(batch.features), expected)


def test_an_entry_that_never_varies_is_shifted_not_blown_up() -> None:
    standardise = Standardise(2)
    standardise.fit(np.array([[7.0, 0.0], [7.0, 1.0]], dtype=np.float16))
    found = standardise(torch.tensor([[7.0, 0.5], [7.001, 0.5]]))
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0], [0.001, 0.0]]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", EMBEDDINGS)
def test_an_embedding_is_made_again_by_its_description_and_its_arrays(
    matrix: sp.csr_array, kind: str
) -> None:
    seen = matrix if kind == "sparse" else matrix.toarray()
    embedding = feature_embedding(seen, 3)
    described = embedding.describe()
    assert described == describe_features(seen, 3)
    again = make_embedding(described)
    again.load_state_dict(embedding.state_dict())
    again.check()
    batch = collate(EncodedDocuments(features=embedding.prepare(seen)), ALL, 0, CPU).features
    assert torch.equal(again(batch), embedding(batch))
    for name in described.keys() - {"kind"}:
        for value in (0, "3", 1.5, None):
            with pytest.raises(ValueError, match=name):
                make_embedding({**described, name: value})
    with pytest.raises(ValueError, match="its features are 'secret'"):
        make_embedding({**described, "kind": "secret"})


@pytest.mark.parametrize("kind", EMBEDDINGS)
def test_the_estimate_counts_the_weights_that_adamw_moves(matrix: sp.csr_array, kind: str) -> None:
    embedding = feature_embedding(matrix if kind == "sparse" else matrix.toarray(), 3)
    own = embedding.optimizer(0.1, seed=0)
    elsewhere = [] if own is None else own.param_groups[0]["params"]
    n_weights = sum(p.numel() for p in embedding.parameters()) - sum(p.numel() for p in elsewhere)
    assert embedding.training_bytes(10) == {"optimizer": 12 * n_weights}
    assert (own is None) == (kind == "dense")
