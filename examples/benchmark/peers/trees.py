"""Trees of linear classifiers: Omikuji's Parabel and Bonsai, and napkinXC's label tree."""

from __future__ import annotations

from pathlib import Path

import scipy.sparse as sp
from data import K, Part, size_in_bytes

from peers.outcome import Options, Outcome, rows_of, timed


def omikuji(train: Part, texts: list[str], options: Options) -> Outcome:
    """Omikuji, its defaults: three balanced trees, as in Parabel.

    ``omikuji+bonsai`` is the most precise setting in its README [1]_, "regular k-means for shallow
    trees": no balance, 100 branches, 3 levels. What it takes to hand the features over in a file
    is not counted.

    .. [1] https://github.com/tomtung/omikuji
    """
    from omikuji import Model

    rows = rows_of(train, options)
    file = options.scratch / "train.txt"
    _write(file, rows.X, rows.y)
    settings = Model.default_hyper_param()
    if "bonsai" in options.variants:
        settings.cluster_balanced = False
        settings.cluster_k = 100
        settings.max_depth = 3
    model, train_s = timed(lambda: Model.train_on_data(str(file), settings, options.threads))
    ranked, predict_s = timed(
        lambda: [
            [label for label, _ in model.predict(row, top_k=K)]
            for row in _as_pairs(rows.new(texts))
        ]
    )
    model.save(str(options.scratch / "model"))
    size = size_in_bytes(options.scratch / "model")
    return Outcome(rows.labels(ranked), rows.took, train_s, predict_s, size)


def napkinxc(train: Part, texts: list[str], options: Options) -> Outcome:
    """NapkinXC: a probabilistic label tree, as in the quick start of its documentation [1]_.

    .. [1] https://napkinxc.readthedocs.io
    """
    from napkinxc.models import PLT

    rows = rows_of(train, options)
    y = [rows.y.indices[a:b].tolist() for a, b in _edges(rows.y)]
    model = PLT(
        str(options.scratch / "model"), threads=options.threads, seed=options.seed, verbose=0
    )
    _, train_s = timed(lambda: model.fit(sp.csr_matrix(rows.X), y))
    found, predict_s = timed(lambda: model.predict_proba(sp.csr_matrix(rows.new(texts)), top_k=K))
    size = size_in_bytes(options.scratch / "model")
    ranked = rows.labels([[label for label, _ in row] for row in found])
    return Outcome(
        ranked, rows.took, train_s, predict_s, size, [[p for _, p in row] for row in found]
    )


def _edges(matrix: sp.csr_array) -> list[tuple[int, int]]:
    return list(zip(matrix.indptr[:-1].tolist(), matrix.indptr[1:].tolist(), strict=True))


def _as_pairs(matrix: sp.csr_array) -> list[list[tuple[int, float]]]:
    return [
        list(zip(matrix.indices[a:b].tolist(), matrix.data[a:b].tolist(), strict=True))
        for a, b in _edges(matrix)
    ]


def _write(path: Path, features: sp.csr_array, y: sp.csr_array) -> None:
    """Write the Extreme Classification Repository's sparse format."""
    with path.open("w", encoding="ascii") as file:
        file.write(f"{features.shape[0]} {features.shape[1]} {y.shape[1]}\n")
        for (a, b), row in zip(_edges(y), _as_pairs(features), strict=True):
            labels = ",".join(map(str, y.indices[a:b]))
            # Omikuji refuses a document without a feature.
            text = " ".join(f"{j}:{value:.6g}" for j, value in row) or "0:1e-9"
            file.write(f"{labels} {text}\n")
