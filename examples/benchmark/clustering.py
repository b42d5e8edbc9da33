"""Time and memory of `BalancedKMeans` on the features of very many labels.

    python examples/benchmark/clustering.py [--n-labels 670091] [--n-jobs 2]

The rows stand for label features: sparse, of unit length, 100 nonzeros each. Half of a row's
columns are drawn by Zipf's law from all features, the others from the 200 columns of the label's
topic and of the topics above it. There are about 100 labels a topic, and ten topics below each
that stands above.

Printed: the rows, clusters and sizes, seconds, the share of the rows' squared length that the
cluster means explain (beside that of the lowest topics and of random clusters), and the memory
of the process before and at its peak (VmRSS and VmHWM, thus on Linux only).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import normalize

from lightxml.clustering import BalancedKMeans

N_NONZEROS = 100
N_LEVELS = 4  # of topics
BLOCK = 10_000  # rows made at a time


def make_rows(
    n_rows: int, n_features: int, rng: np.random.Generator
) -> tuple[sp.csr_array, np.ndarray]:
    """Make label features with topics in groups, and Zipf's law for the rest; return both."""
    frequency = 1 / np.arange(1, n_features + 1)
    cumulated = np.cumsum(frequency / frequency.sum())
    weight = np.log(1 / frequency).astype(np.float32) + 1  # as idf does
    n_topics = max(n_rows // 100, 1)
    levels = [
        rng.integers(n_features, size=(n_topics // 10**level + 1, 200), dtype=np.int32)
        for level in range(N_LEVELS)
    ]
    data = np.empty((n_rows, N_NONZEROS), dtype=np.float32)
    indices = np.empty((n_rows, N_NONZEROS), dtype=np.int32)
    topic_of_row = rng.integers(n_topics, size=n_rows)
    for start in range(0, n_rows, BLOCK):
        topic = topic_of_row[start : start + BLOCK]
        # Three times as many as wanted, since columns repeat.
        common = rng.random((len(topic), 160), dtype=np.float32)
        columns = np.hstack(
            [
                np.searchsorted(cumulated.astype(np.float32), common).clip(max=n_features - 1),
                *(
                    own[topic[:, None] // 10**level, rng.integers(200, size=(len(topic), 40))]
                    for level, own in enumerate(levels)
                ),
            ]
        )
        columns.sort(axis=1)
        lottery = rng.random(columns.shape, dtype=np.float32)
        lottery[:, 1:][columns[:, 1:] == columns[:, :-1]] = 2
        drawn = np.argpartition(lottery, N_NONZEROS, axis=1)[:, :N_NONZEROS]
        chosen = np.sort(np.take_along_axis(columns, drawn, axis=1), axis=1)
        indices[start : start + len(topic)] = chosen
        data[start : start + len(topic)] = weight[chosen] * rng.lognormal(0, 0.5, chosen.shape)
    indptr = np.arange(0, n_rows * N_NONZEROS + 1, N_NONZEROS, dtype=np.int32)
    X = sp.csr_array((data.ravel(), indices.ravel(), indptr), shape=(n_rows, n_features))
    X.sum_duplicates()  # in the rare row with fewer than 100 different columns
    return normalize(X, copy=False), topic_of_row


def explained(X: sp.csr_array, clusters: np.ndarray) -> float:
    """Return the share of the rows' squared length that the means of their clusters explain."""
    sizes = np.bincount(clusters)
    members = np.argsort(clusters, kind="stable")
    total, start = 0.0, 0
    for size in sizes.tolist():
        mean = X[members[start : start + size]].sum(axis=0) / size
        total += size * float(mean @ mean)
        start += size
    return total / X.shape[0]


def memory(name: str) -> str:
    """Return a line of the process's own status, in MiB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return f"{name} {int(line.split()[1]) / 1024:,.0f} MiB"
    return f"{name} unknown"


def main() -> None:
    """Make the rows, cluster them, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-labels", type=int, default=670_091)
    parser.add_argument("--n-features", type=int, default=130_000)
    parser.add_argument("--max-cluster-size", type=int, default=100)
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    rng = np.random.default_rng(arguments.seed)
    began = time.perf_counter()
    X, topics = make_rows(arguments.n_labels, arguments.n_features, rng)
    size = (X.data.nbytes + X.indices.nbytes + X.indptr.nbytes) / 2**20
    print(
        f"{X.shape[0]:,} rows x {X.shape[1]:,} columns, {X.nnz / X.shape[0]:.1f} nonzeros a row, "
        f"{size:,.0f} MiB, made in {time.perf_counter() - began:.0f} s; {memory('VmRSS')}",
        flush=True,
    )

    model = BalancedKMeans(
        arguments.max_cluster_size, random_state=arguments.seed, n_jobs=arguments.n_jobs
    )
    began, cpu_began = time.perf_counter(), time.process_time()
    clusters = model.fit_predict(X)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    peak = memory("VmHWM")
    table = np.column_stack(np.unique(np.bincount(clusters), return_counts=True))
    print(f"{model.n_clusters_:,} clusters; sizes {dict(table.tolist())}")
    print(f"{seconds:.1f} s with n_jobs={arguments.n_jobs} ({cpu_seconds:.1f} s of CPU); {peak}")
    shares = [explained(X, c) for c in (clusters, topics, rng.permutation(clusters))]
    print("explained: clusters {:.4f}, topics {:.4f}, random clusters {:.4f}".format(*shares))


if __name__ == "__main__":
    main()
