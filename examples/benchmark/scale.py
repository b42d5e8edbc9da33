"""What words cost at hundreds of thousands of labels: time, memory, documents a second.

    python scale.py [--documents 500000] [--labels 670091] [--new 2000] [--n-jobs 2] [--seed 0]
        [--results FILE]

Synthetic documents (`lightxml.datasets.make_xmc`), TF-IDF of words, all else as by default. One
process, so that its peak memory is that of the fit. There are a word for every four labels, and
`--new` documents more, which are predicted. P@k says that something was learned; synthetic labels
say no more.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from data import machine, peak_gib, size_in_bytes, vectorizer

from lightxml import LightXMLClassifier
from lightxml.datasets import make_xmc
from lightxml.metrics import precision_at_k


def main() -> None:
    """Fit once, predict, and print a row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=500_000)
    parser.add_argument("--labels", type=int, default=670_091)
    parser.add_argument("--new", type=int, default=2_000)
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, help="append the row to this file, as JSON")
    options = parser.parse_args()

    texts, y = make_xmc(
        options.documents + options.new,
        options.labels,
        n_words=max(5_000, options.labels // 4),
        random_state=options.seed,
    )
    known, new = texts[: options.documents], texts[options.documents :]
    row = {name: getattr(options, name) for name in ("documents", "labels", "n_jobs", "seed")}
    row["GiB before"] = peak_gib()
    model = LightXMLClassifier(
        None, features=vectorizer(), random_state=options.seed, n_jobs=options.n_jobs, verbose=1
    )
    began, cpu = time.perf_counter(), time.process_time()
    model.fit(known, y[: options.documents])
    row["fit seconds"] = time.perf_counter() - began
    row["fit CPU seconds"] = time.process_time() - cpu
    row["peak GiB of the fit"] = peak_gib()
    model.predict_topk(new[:1])  # what a model makes of its arrays once
    began, cpu = time.perf_counter(), time.process_time()
    topk = model.predict_topk(new)
    row["documents a second"] = len(new) / (time.perf_counter() - began)
    row["documents a CPU second"] = len(new) / (time.process_time() - cpu)
    row["P"] = [precision_at_k(y[options.documents :], topk, k) for k in (1, 3, 5)]
    row["peak GiB"] = peak_gib()
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder)
        row["model MB"] = size_in_bytes(Path(folder)) / 1e6
    row["machine"] = machine()
    print(json.dumps(row))
    if options.results:
        with options.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
