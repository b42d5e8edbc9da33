"""Features-only training beside the bare matrix products of its shapes.

    python examples/benchmark/floor.py DATA [--pairs] [--rounds 3] [--results FILE.jsonl]

DATA is ``pydocs`` or a folder that `lightxml.datasets.load_xmc` reads. Each round times `fit` from
ready features, and then, on the batches of its first epoch and for as many epochs, nothing but

- the sparse sums: each document's weighted sum of the table's rows, and each touched row's
  weighted sum of the documents' gradients, in blocks that stay in a processor's cache;
- the dense products of the output layer: the logits, and the gradients of the representation and
  of the weights, in the precision that `fit` computes them in.

What `fit` does besides: batches, loss, optimizers, averages, first weights; the network is its
only ranker. No implementation of this network by matrix products is faster than the floor.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from data import machine, read, vectorizer
from peers.outcome import timed

from lightxml import LightXMLClassifier
from lightxml.data.documents import EncodedDocuments
from lightxml.fitting.decisions import training_config
from lightxml.network.batches import SparseBatch, SparseRows, collate, training_batches
from lightxml.network.features import SparseEmbedding
from lightxml.network.heads.one_vs_all import OneVsAllHead
from lightxml.network.tables import weighted_sum

BLOCK = 2**20  # numbers


@dataclass(frozen=True)
class Shapes:
    """What the products of an epoch are made of.

    Attributes
    ----------
    documents : csr_array of float32, shape (n_documents, n_columns)
    batches : list of ndarray of int64
    table : Tensor of float32, shape (n_columns, width)
    weight : Tensor, shape (n_labels, width)
        In the precision of the products.
    """

    documents: sp.csr_array
    batches: list[np.ndarray]
    table: torch.Tensor
    weight: torch.Tensor


def shapes_of(model: LightXMLClassifier, features: sp.csr_array, y: sp.csr_array) -> Shapes:
    """Return the shapes that a model was fitted with.

    Raises
    ------
    ValueError
        If its output layer is not one over all labels.
    """
    network = model.network_
    if not isinstance(network.head, OneVsAllHead):
        raise ValueError(
            f"With {y.shape[1]:,} labels the output layer has label clusters or a bottleneck; the "
            "floor is that of one layer over all labels."
        )
    assert isinstance(network.features, SparseEmbedding)
    config = training_config(model.get_params(), 0, *y.shape, trains_encoder=False)
    rng = np.random.default_rng(0)
    lengths = np.ones(y.shape[0], dtype=np.int64)
    return Shapes(
        network.features.prepare(features),
        training_batches(lengths, config.batch_size, rng),
        network.features.weight.detach(),
        network.head.weight.detach().to(network.autocast_dtype or torch.float32),
    )


def products(shapes: Shapes) -> tuple[float, float]:
    """Return the seconds of an epoch's sparse sums and of its dense products."""
    sparse_s = dense_s = 0.0
    documents, weight = EncodedDocuments(features=shapes.documents), shapes.weight
    for rows in shapes.batches:
        batch = collate(documents, rows, 0, torch.device("cpu"), training=True).features
        assert isinstance(batch, SparseBatch)
        summed, seconds = timed(lambda batch=batch: weighted_sum(shapes.table, batch.by_row))
        sparse_s += seconds.wall
        read = summed.to(weight.dtype)
        logits, seconds = timed(lambda read=read: read @ weight.T)
        dense_s += seconds.wall
        _, seconds = timed(lambda g=logits, read=read: (g @ weight, g.T @ read))
        dense_s += seconds.wall
        _, seconds = timed(lambda batch=batch, summed=summed: sums_by_column(batch, summed))
        sparse_s += seconds.wall
    return sparse_s, dense_s


def sums_by_column(batch: SparseBatch, gradient: torch.Tensor) -> None:
    """Compute the table's gradient block by block, and keep none of it."""
    assert batch.by_column is not None
    numbers, starts = batch.by_column.numbers, batch.by_column.starts
    weights = batch.by_column.weights
    size = max(1, BLOCK // gradient.shape[1])
    edges = [*starts[::size].tolist(), len(numbers)]
    for i, begin in enumerate(edges[:-1]):
        part = slice(begin, edges[i + 1])
        block = starts[i * size : (i + 1) * size] - begin
        weighted_sum(gradient, SparseRows(numbers[part], block, weights[part]))


def measure(source: str, *, pairs: bool, rounds: int) -> dict[str, Any]:
    """Return the shapes, and the seconds of each round."""
    train, _ = read(source)
    y = train.y(train.classes)
    features = sp.csr_array(vectorizer(pairs=pairs).fit_transform(train.texts))
    seconds: dict[str, list[float]] = {"fit_s": [], "sparse_s": [], "dense_s": []}
    for number in range(rounds):
        model = LightXMLClassifier(rankers=("network",), random_state=number)
        seconds["fit_s"].append(timed(lambda model=model: model.fit(features, y))[1].wall)
        shapes = shapes_of(model, features, y)
        sparse_s, dense_s = products(shapes)
        seconds["sparse_s"].append(sparse_s * model.n_iter_)
        seconds["dense_s"].append(dense_s * model.n_iter_)
    return {
        "data": Path(source).name,
        "pairs": pairs,
        "documents": len(train),
        "entries_a_document": shapes.documents.nnz / len(train),
        "table": list(shapes.table.shape),
        "labels": y.shape[1],
        "batch_size": len(shapes.batches[0]),
        "precision": str(shapes.weight.dtype).removeprefix("torch."),
        "steps": len(shapes.batches) * model.n_iter_,
        "threads": torch.get_num_threads(),
        "machine": machine(),
        **seconds,
    }


def summary(found: dict[str, Any]) -> str:
    """Return a measurement as a Markdown table."""
    sparse, dense, fit = (found[name] for name in ("sparse_s", "dense_s", "fit_s"))
    ratios: Sequence[float] = np.divide(fit, np.add(sparse, dense)).tolist()
    size = " x ".join(f"{n:,}" for n in found["table"])
    what = f"{found['data']}{', words and pairs' if found['pairs'] else ', words'}"
    return (
        "| data | table | labels | steps | sparse sums, s | dense products, s | fit, s "
        "| fit / floor (range) |\n|---|---|---|---|---|---|---|---|\n"
        f"| {what} | {size} | {found['labels']:,} | {found['steps']:,} | {median(sparse):.1f} "
        f"| {median(dense):.1f} | {median(fit):.1f} "
        f"| {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |"
    )


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--pairs", action="store_true", help="pairs of words beside words")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, help="append the measurement to this file")
    arguments = parser.parse_args()
    found = measure(arguments.data, pairs=arguments.pairs, rounds=arguments.rounds)
    print(summary(found))
    if arguments.results:
        with arguments.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
