"""Training on features alone against the products that it cannot do without.

    python examples/benchmark/floor.py DATA [--pairs] [--epochs 2]

A step of the model is, at the least: the weighted sums of the batch's rows of the table, their
gradient (the transposed product), and the output layer's product with its two gradients. The
script times these alone, in float32 on random batches of the same documents, labels, batch size
and width, with the same threads, and `LightXMLClassifier.fit` beside them: its dropout, losses,
optimizers, batches, centroids and neighbours are the difference.
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from data import read, vectorizer
from peers.outcome import timed
from sklearn.preprocessing import normalize

from lightxml import LightXMLClassifier
from lightxml.parameters import (
    BATCH_SIZE_FOR_MANY_LABELS,
    BATCH_SIZE_WITHOUT_ENCODER,
    FEATURE_DIM,
    FEATURE_DIM_FOR_MANY_LABELS,
    MANY_LABELS,
)


def step_seconds(features: sp.csr_array, n_labels: int, batch: int, width: int) -> list[float]:
    """Return the seconds of the bare products of each of some steps."""
    rng = np.random.default_rng(0)
    table = torch.randn(features.shape[1], width)
    weights = torch.randn(n_labels, width)
    of_labels = torch.randn(batch, n_labels)
    seconds = []
    for _ in range(25):
        rows = features[rng.permutation(features.shape[0])[:batch]]
        columns = sp.csc_array(rows)
        forward, backward = bags(rows), bags(columns)
        upstream = torch.randn(batch, width)
        began = time.perf_counter()
        hidden = F.embedding_bag(*forward[:1], table, *forward[1:2], mode="sum",
                                 per_sample_weights=forward[2])  # fmt: skip
        F.embedding_bag(*backward[:1], upstream, *backward[1:2], mode="sum",
                        per_sample_weights=backward[2])  # fmt: skip
        _ = hidden @ weights.T
        _ = of_labels.T @ hidden
        _ = of_labels @ weights
        seconds.append(time.perf_counter() - began)
    return seconds[5:]


def bags(matrix: sp.csr_array | sp.csc_array) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return entries' numbers, where the rows (or columns with an entry) begin, and values."""
    starts = np.unique(matrix.indptr[:-1]) if matrix.format == "csc" else matrix.indptr[:-1]
    return (
        torch.from_numpy(matrix.indices.astype(np.int64)),
        torch.from_numpy(starts.astype(np.int64)),
        torch.from_numpy(matrix.data.astype(np.float32)),
    )


def main() -> None:
    """Time both and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--epochs", type=int, default=2)
    arguments = parser.parse_args()
    train, _ = read(arguments.data)
    features = sp.csr_array(vectorizer(pairs=arguments.pairs).fit_transform(train.texts))
    n_labels = train.y.shape[1]
    many = n_labels > MANY_LABELS
    batch = BATCH_SIZE_FOR_MANY_LABELS if many else BATCH_SIZE_WITHOUT_ENCODER
    width = FEATURE_DIM_FOR_MANY_LABELS if many else FEATURE_DIM
    n_steps = math.ceil(len(train) / batch) * arguments.epochs
    before = step_seconds(sp.csr_array(normalize(features)), n_labels, batch, width)
    model = LightXMLClassifier(max_epochs=arguments.epochs, random_state=0)
    _, fit = timed(lambda: model.fit(features, train.y))
    after = step_seconds(sp.csr_array(normalize(features)), n_labels, batch, width)
    bare = float(np.median(before + after))
    print(f"{n_steps} steps of {batch} documents, width {width}, {n_labels:,} labels, "
          f"{torch.get_num_threads()} threads")  # fmt: skip
    print(f"bare products  {1000 * bare:8.1f} ms a step, {bare * n_steps:8.1f} s in all")
    print(f"fit            {1000 * fit / n_steps:8.1f} ms a step, {fit:8.1f} s in all")
    print(f"ratio          {fit / (bare * n_steps):8.2f}")


if __name__ == "__main__":
    main()
