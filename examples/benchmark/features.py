"""Features alone, a frozen encoder with features, and Omikuji, on the same data in one run.

    python examples/benchmark/features.py DATA [--settings features+pairs frozen omikuji]
        [--encoder FOLDER] [--memory FOLDER] [--seeds 0 1 2] [--validation] [--jsonl FILE]

DATA is a folder that `lightxml.datasets.load_xmc` reads. Each run is a process of its own, so
that its peak memory (VmHWM) and its threads are its own; the settings take turns, seed by seed.
``+pairs`` adds pairs of words to the TF-IDF.

Times are in seconds of wall time: ``vectorize`` is ``fit_transform`` on the training documents,
``train`` all of `fit` after it (a frozen encoder's pass over the documents included, unless
`memory` has it), ``predict`` from ready features (and tokens) to five labels a document.

`--validation` splits a tenth off the training part (seed 0) and measures on that; the test part
is not read. Settings were chosen so, and only so.

Omikuji (https://github.com/tomtung/omikuji) is its default of three balanced trees on two
threads; what it takes to hand the features over in a file is not counted. Install it beside
lightxml: ``pip install omikuji``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml.datasets import load_xmc
from lightxml.evaluation import format_table, rank_metrics
from lightxml.metrics import propensities

LEARNERS = ("features", "frozen", "omikuji")
SETTINGS = (*LEARNERS, *(f"{name}+pairs" for name in LEARNERS))
K = 5
OMIKUJI_THREADS = 2


def vectorizer(setting: str) -> TfidfVectorizer:
    """TF-IDF as in the tables: words, or the 100,000 most frequent words and pairs of words."""
    with_pairs = setting.endswith("+pairs")
    pairs = {"ngram_range": (1, 2), "max_features": 100_000} if with_pairs else {}
    return TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32, **pairs)


def read(folder: str, validation: bool) -> tuple[list[str], Any, list[str], Any]:
    """Return the documents and labels to learn from and those to measure on."""
    data = load_xmc(folder)
    if not validation:
        return data.X_train, data.y_train, data.X_test, data.y_test
    order = np.random.RandomState(0).permutation(len(data.X_train))
    n_held_out = len(order) // 10
    held_out, rest = np.sort(order[:n_held_out]), np.sort(order[n_held_out:])
    X, y = data.X_train, data.y_train
    return [X[i] for i in rest], y[rest], [X[i] for i in held_out], y[held_out]


def run(arguments: argparse.Namespace, setting: str, seed: int) -> dict[str, Any]:
    """Train and measure one setting in this process."""
    X, y, X_new, y_new = read(arguments.data, arguments.validation)
    began = time.perf_counter()
    tfidf = vectorizer(setting)
    features = tfidf.fit_transform(X)
    vectorized = time.perf_counter()
    learners = dict(zip(LEARNERS, (learn_features, learn_frozen, learn_omikuji), strict=True))
    topk, train_seconds, predict_seconds = learners[setting.removesuffix("+pairs")](
        arguments, seed, tfidf, X, sp.csr_array(features), y, X_new
    )
    return {
        "data": Path(arguments.data).name,
        "part": "validation" if arguments.validation else "test",
        "setting": setting,
        "seed": seed,
        "figures": rank_metrics(y_new, topk, propensities(y)),
        "vectorize": vectorized - began,
        "train": train_seconds,
        "predict_documents_per_second": len(X_new) / predict_seconds,
        "peak_gib": peak_gib(),
    }


def learn_features(
    arguments: argparse.Namespace, seed: int, tfidf: Any, X: Any, features: Any, y: Any, X_new: Any
) -> tuple[np.ndarray, float, float]:
    """Lightxml on the features alone."""
    from lightxml import LightXMLClassifier

    model = LightXMLClassifier(random_state=seed)
    train_seconds = clock(lambda: model.fit(features, y))
    new = tfidf.transform(X_new)
    began = time.perf_counter()
    topk = model.predict_topk(new, K)
    return topk, train_seconds, time.perf_counter() - began


def learn_frozen(
    arguments: argparse.Namespace, seed: int, tfidf: Any, X: Any, features: Any, y: Any, X_new: Any
) -> tuple[np.ndarray, float, float]:
    """Lightxml on a frozen encoder's summary vectors joined with the features."""
    from lightxml import LightXMLClassifier

    model = LightXMLClassifier(
        arguments.encoder,
        features=clone(tfidf),
        freeze_encoder=True,
        max_length=arguments.max_length,
        memory=arguments.memory,
        random_state=seed,
    )
    # The vectorizer is fitted once more inside; its time is counted in `vectorize`.
    fit_features = clock(lambda: clone(tfidf).fit_transform(X))
    train_seconds = clock(lambda: model.fit(X, y)) - fit_features
    began = time.perf_counter()
    topk = model.predict_topk(X_new, K)
    return topk, train_seconds, time.perf_counter() - began


def learn_omikuji(
    arguments: argparse.Namespace, seed: int, tfidf: Any, X: Any, features: Any, y: Any, X_new: Any
) -> tuple[np.ndarray, float, float]:
    """Omikuji on the same features."""
    import omikuji

    with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as file:
        file.write(f"{features.shape[0]} {features.shape[1]} {y.shape[1]}\n")
        for i in range(features.shape[0]):
            labels = ",".join(map(str, y.indices[y.indptr[i] : y.indptr[i + 1]]))
            row = slice(features.indptr[i], features.indptr[i + 1])
            pairs = zip(features.indices[row].tolist(), features.data[row].tolist(), strict=True)
            # It refuses a document without a feature.
            text = " ".join(f"{j}:{value:.6g}" for j, value in pairs) or "0:1e-9"
            file.write(f"{labels} {text}\n")
    try:
        params = omikuji.Model.default_hyper_param()
        began = time.perf_counter()
        model = omikuji.Model.train_on_data(file.name, params, OMIKUJI_THREADS)
        train_seconds = time.perf_counter() - began
    finally:
        os.unlink(file.name)
    new = sp.csr_array(tfidf.transform(X_new))
    rows = [
        list(zip(new.indices[a:b].tolist(), new.data[a:b].tolist(), strict=True))
        for a, b in zip(new.indptr, new.indptr[1:], strict=False)
    ]
    began = time.perf_counter()
    ranked = [[label for label, _ in model.predict(row, top_k=K)] for row in rows]
    predict_seconds = time.perf_counter() - began
    filler = range(y.shape[1])  # of a document for which it gives fewer labels
    topk = [(r + [j for j in filler if j not in r][:K])[:K] if len(r) < K else r for r in ranked]
    return np.array(topk), train_seconds, predict_seconds


def clock(work: Any) -> float:
    """Return the seconds that some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peak_gib() -> float:
    """Return the peak resident memory of this process."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**20
    return float("nan")


def show(rows: list[dict[str, Any]]) -> None:
    """Print the mean over seeds, and what each run took."""
    table = {}
    for setting in dict.fromkeys(row["setting"] for row in rows):
        runs = [row["figures"] for row in rows if row["setting"] == setting]
        names = [n for n in runs[0] if n.startswith(("P@", "PSP@"))]
        table[f"{setting} ({len(runs)})"] = {n: float(np.mean([r[n] for r in runs])) for n in names}
    print(format_table(table))
    for row in rows:
        print(
            f"{row['setting']:14} seed {row['seed']}: vectorize {row['vectorize']:.1f} s, train "
            f"{row['train']:.1f} s, predict {row['predict_documents_per_second']:,.0f} documents/s,"
            f" peak {row['peak_gib']:.2f} GiB"
        )


def main() -> None:
    """Run every setting with every seed, each in its own process, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=["features", "omikuji"])
    parser.add_argument("--encoder", help="a local folder or hub name, for `frozen`")
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--memory", help="a folder for the frozen encoder's vectors")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--jsonl", type=Path, help="append each run's result to this file")
    parser.add_argument("--one", nargs=2, metavar=("SETTING", "SEED"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(run(arguments, arguments.one[0], int(arguments.one[1]))))
        return
    rows = []
    for seed in arguments.seeds:
        for setting in arguments.settings:
            command = [sys.executable, __file__, *sys.argv[1:], "--one", setting, str(seed)]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            rows.append(json.loads(output.splitlines()[-1]))
            if arguments.jsonl:
                with arguments.jsonl.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    show(rows)


if __name__ == "__main__":
    main()
