"""Features alone: several seeds, each by itself, against the mean of their scores.

    python examples/benchmark/ensemble.py DATA [--pairs] [--members 3] [--seed 0] [--validation]
        [--jsonl FILE]

DATA is a folder that `lightxml.datasets.load_xmc` reads. `--pairs` adds pairs of words to the
TF-IDF, as in `run.py` beside this file. The members and the ensemble rank the same
documents; times are in seconds of wall time, ``train`` without the vectorizer.

`--validation` splits a tenth off the training part (seed 0) and measures on that; the test part
is not read.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from data import K, peak_gib, read, vectorizer
from peers.outcome import timed

from lightxml import LightXMLEnsemble
from lightxml.metrics import propensities
from lightxml.metrics.tables import format_table, rank_metrics


def main() -> None:
    """Fit the ensemble, and print a row for each member, for their mean and for the ensemble."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--jsonl", type=Path, help="append the result to this file")
    arguments = parser.parse_args()

    train, test = read(arguments.data, validation=arguments.validation)
    X, X_new, classes = train.texts, test.texts, train.classes
    y, y_new = train.y(classes), test.y(classes)
    tfidf = vectorizer(pairs=arguments.pairs)
    features, new = tfidf.fit_transform(X), tfidf.transform(X_new)
    ensemble = LightXMLEnsemble(n_estimators=arguments.members, random_state=arguments.seed)
    _, seconds = timed(lambda: ensemble.fit(features, y))
    began = time.perf_counter()
    topk = ensemble.predict_topk(new, K)
    predict_seconds = time.perf_counter() - began

    weights = propensities(y)
    members = [
        rank_metrics(y_new, member.predict_topk(new, K), weights) for member in ensemble.estimators_
    ]
    rows = {f"member {i + 1}": figures for i, figures in enumerate(members)}
    rows["mean of the members"] = {n: float(np.mean([m[n] for m in members])) for n in members[0]}
    rows[f"ensemble of {len(members)}"] = rank_metrics(y_new, topk, weights)
    shown = ("P@", "nDCG@", "PSP@")
    print(
        format_table(
            {name: {n: v for n, v in r.items() if n.startswith(shown)} for name, r in rows.items()}
        )
    )
    result = {
        "data": Path(arguments.data).name,
        "part": "validation" if arguments.validation else "test",
        "pairs": arguments.pairs,
        "seed": arguments.seed,
        "figures": rows,
        "train": seconds.wall,
        "predict_documents_per_second": len(X_new) / predict_seconds,
        "peak_gib": peak_gib(),
    }
    print(
        f"train {seconds.wall:.1f} s, predict {result['predict_documents_per_second']:,.0f} "
        f"documents/s, peak {result['peak_gib']:.2f} GiB"
    )
    if arguments.jsonl:
        with arguments.jsonl.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
