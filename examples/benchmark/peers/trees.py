"""Trees of linear classifiers: Omikuji's Parabel and Bonsai, and napkinXC's label tree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import scipy.sparse as sp
from data import K, Part, size_in_bytes, vectorizer

from peers.outcome import Options, Outcome, filled, timed


def omikuji(train: Part, texts: list[str], options: Options) -> Outcome:
    """Omikuji (https://github.com/tomtung/omikuji), its defaults: three balanced trees.

    ``omikuji+bonsai`` is what its README calls Bonsai-like: k-means without balance, 100 branches,
    3 levels. What it takes to hand the features over in a file is not counted.
    """
    from omikuji import Model

    tfidf = vectorizer(pairs="pairs" in options.variants)
    features, vectorize_s = timed(lambda: tfidf.fit_transform(train.texts))
    file = options.scratch / "train.txt"
    write_features(file, sp.csr_array(features), train.y)
    settings = Model.default_hyper_param()
    if "bonsai" in options.variants:
        settings.cluster_balanced = False
        settings.cluster_k = 100
        settings.max_depth = 3
    model, train_s = timed(lambda: Model.train_on_data(str(file), settings, options.threads))
    rows = as_pairs(sp.csr_array(tfidf.transform(texts)))
    ranked, predict_s = timed(
        lambda: [[label for label, _ in model.predict(row, top_k=K)] for row in rows]
    )
    model.save(str(options.scratch / "model"))
    size = size_in_bytes(options.scratch / "model")
    return Outcome(filled(ranked, train.y.shape[1]), vectorize_s, train_s, predict_s, size)


def napkinxc(train: Part, texts: list[str], options: Options) -> Outcome:
    """NapkinXC (https://github.com/mwydmuch/napkinXC): a probabilistic label tree, defaults."""
    from napkinxc.models import PLT

    tfidf = vectorizer(pairs="pairs" in options.variants)
    features, vectorize_s = timed(lambda: tfidf.fit_transform(train.texts))
    y = [train.y.indices[a:b].tolist() for a, b in edges(train.y)]
    model = PLT(
        str(options.scratch / "model"), threads=options.threads, seed=options.seed, verbose=0
    )
    _, train_s = timed(lambda: model.fit(sp.csr_matrix(features), y))
    new = sp.csr_matrix(tfidf.transform(texts))
    ranked, predict_s = timed(lambda: model.predict(new, top_k=K))
    size = size_in_bytes(options.scratch / "model")
    return Outcome(filled(ranked, train.y.shape[1]), vectorize_s, train_s, predict_s, size)


def edges(matrix: sp.csr_array) -> list[tuple[int, int]]:
    """Return where each row begins and ends."""
    return list(zip(matrix.indptr[:-1].tolist(), matrix.indptr[1:].tolist(), strict=True))


def as_pairs(matrix: sp.csr_array) -> list[list[tuple[int, float]]]:
    """Return each row as its columns and values."""
    return [
        list(zip(matrix.indices[a:b].tolist(), matrix.data[a:b].tolist(), strict=True))
        for a, b in edges(matrix)
    ]


def write_features(path: Path, features: sp.csr_array, y: Any) -> None:
    """Write the Extreme Classification Repository's sparse format."""
    with path.open("w", encoding="ascii") as file:
        file.write(f"{features.shape[0]} {features.shape[1]} {y.shape[1]}\n")
        for (a, b), row in zip(edges(y), as_pairs(features), strict=True):
            labels = ",".join(map(str, y.indices[a:b]))
            # Omikuji refuses a document without a feature.
            text = " ".join(f"{j}:{value:.6g}" for j, value in row) or "0:1e-9"
            file.write(f"{labels} {text}\n")
