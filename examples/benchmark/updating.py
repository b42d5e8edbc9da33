"""A model that goes on, beside new fits: more documents, and labels that come with a text alone.

    python updating.py FOLDER [--texts] [--validation] [--each] [--seed N] [--results FILE]
    python updating.py FOLDER --held-out-labels 500 [--of 2000] [--validation]
    python updating.py FOLDER --warm-start [--share 0.25] [--validation]

First: fit on half of the training part, shuffled by the seed, then `partial_fit` with the rest in
five parts; P@k after each, and of a new fit on the same documents (after the last; `--each`: after
each). Second: of the rarest labels that have a document, some are taken out of training altogether
and added by their names with `add_labels`; the recall at 5 of the documents that have them,
before, after, and of a model that was fitted with them. Words alone, one process, a line of JSON.
Third: the network alone, on words: fit on half, then on all with `warm_start=True` and a share of
the epochs, beside fits from the beginning with all epochs and with so few.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from data import machine, part, vectorizer
from label_texts import names_of

from lightxml import LightXMLClassifier

N_PARTS = 5
Labels = list[list[str]]


def fitted(X: list[str], y: Labels, names: dict[str, str] | None, seed: int) -> Any:
    """Return a model of words, and the CPU seconds that its fit took."""
    model = LightXMLClassifier(None, features=vectorizer(pairs=False), random_state=seed)
    begin = time.process_time()
    model.fit(X, y, label_texts=names)
    return model, time.process_time() - begin


def precision(model: Any, X: list[str], y: Labels) -> list[float]:
    """Return P@1, 3 and 5 in per cent."""
    found = model.predict_topk(X, 5).tolist()
    right = np.array(
        [[label in set(true) for label in row] for row, true in zip(found, y, strict=True)]
    )
    return [round(100 * float(right[:, :k].mean()), 2) for k in (1, 3, 5)]


def recall_of(model: Any, X: list[str], y: Labels, labels: set[str]) -> float:
    """Return how many of these labels are among the five best of the documents that have them."""
    found = model.predict_topk(X, 5).tolist()
    pairs = [
        label in row for row, true in zip(found, y, strict=True) for label in labels & set(true)
    ]
    return round(100 * float(np.mean(pairs)), 2)


def more_documents(X: list[str], y: Labels, new: Any, names: Any, options: Any) -> dict[str, Any]:
    """Fit on half, go on with the rest, and fit anew beside it."""
    order = np.random.RandomState(options.seed).permutation(len(X))
    X, y = [X[i] for i in order], [y[i] for i in order]
    edges = np.linspace(len(X) // 2, len(X), N_PARTS + 1).astype(int).tolist()

    def texts_of(rows: Labels, known: set[str]) -> dict[str, str] | None:
        if names is None:
            return None
        return {label: names[label] for row in rows for label in row if label not in known} or None

    model, seconds = fitted(X[: edges[0]], y[: edges[0]], texts_of(y[: edges[0]], set()), 0)
    rows = [{"documents": edges[0], "fit": precision(model, *new), "fit, CPU s": round(seconds, 1)}]
    for begin, end in pairwise(edges):
        cpu = time.process_time()
        texts = texts_of(y[begin:end], set(model.classes_.tolist()))
        model.partial_fit(X[begin:end], y[begin:end], label_texts=texts)
        seconds = time.process_time() - cpu
        row: dict[str, Any] = {"documents": end, "partial_fit": precision(model, *new)}
        row["partial_fit, CPU s"] = round(seconds, 1)
        if options.each or end == len(X):
            whole, of_fit = fitted(X[:end], y[:end], texts_of(y[:end], set()), 0)
            row |= {"fit": precision(whole, *new), "fit, CPU s": round(of_fit, 1)}
            row["ratio"] = round(seconds / of_fit, 3)
        rows.append(row)
        print(json.dumps(row), flush=True)
    return {"rows": rows}


def labels_by_name(X: list[str], y: Labels, new: Any, names: Any, options: Any) -> dict[str, Any]:
    """Take labels out of training, add them by their names, and fit with them beside it."""
    counts: dict[str, int] = {}
    for row in y:
        for label in row:
            counts[label] = counts.get(label, 0) + 1
    of_new = {label for row in new[1] for label in row}
    rarest = sorted(counts, key=lambda label: (counts[label], label))[: options.of]
    drawn = np.random.RandomState(options.seed).permutation(len(rarest))[: options.held_out_labels]
    gone = {rarest[i] for i in drawn}
    kept_y = [[label for label in row if label not in gone] for row in y]
    known = {label: names[label] for label in counts if label not in gone}
    model, seconds = fitted(X, kept_y, known, 0)
    found: dict[str, Any] = {
        "labels": len(gone), "of these in the measured part": len(gone & of_new),
        "fit without them": precision(model, *new), "recall before": 0.0,
        "fit, CPU s": round(seconds, 1),
    }  # fmt: skip
    cpu = time.process_time()
    model.add_labels({label: names[label] for label in sorted(gone)})
    found["add_labels, CPU s"] = round(time.process_time() - cpu, 2)
    found["after"] = precision(model, *new)
    found["recall after"] = recall_of(model, *new, gone)
    whole, _ = fitted(X, y, known | {label: names[label] for label in gone}, 0)
    found["fit with them"] = precision(whole, *new)
    found["recall with their documents"] = recall_of(whole, *new, gone)
    return found


def network_goes_on(X: list[str], y: Labels, new: Any, names: Any, options: Any) -> dict[str, Any]:
    """Fit a network on half, go on with all, and fit anew beside it."""
    order = np.random.RandomState(options.seed).permutation(len(X))
    X, y = [X[i] for i in order], [y[i] for i in order]
    half = len(X) // 2
    found: dict[str, Any] = {}

    def fit(name: str, model: Any, n: int, epochs: int | str) -> Any:
        cpu = time.process_time()
        model.set_params(max_epochs=epochs).fit(X[:n], y[:n])
        seconds = round(time.process_time() - cpu, 1)
        found[name] = {
            "documents": n, "epochs": model.n_iter_, "precision": precision(model, *new),
            "CPU s": seconds, "labels": len(model.classes_),
        }  # fmt: skip
        print(json.dumps({name: found[name]}), flush=True)
        return model

    def begin() -> Any:
        features = vectorizer(pairs=False)
        return LightXMLClassifier(
            None, features=features, rankers=("network",), random_state=options.seed
        )

    whole = fit("fit on all", begin(), len(X), "auto")
    few = max(1, round(options.share * whole.n_iter_))
    model = fit("fit on half", begin(), half, "auto")
    fit("warm fit on all", model.set_params(warm_start=True), len(X), few)
    fit("fit on all, as few epochs", begin(), len(X), few)
    return {"rows": found}


def main() -> None:
    """Measure, and print and append a line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--held-out-labels", type=int, default=0)
    parser.add_argument("--of", type=int, default=2000)
    parser.add_argument("--share", type=float, default=0.25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path)
    for flag in ("--texts", "--validation", "--each", "--punctuation", "--warm-start"):
        parser.add_argument(flag, action="store_true")
    options = parser.parse_args()
    train, test = part(options.folder, "train"), part(options.folder, "test")
    X, y = train.texts, train.labels
    new: Any = test.texts, test.labels
    if options.validation:
        order = np.random.RandomState(7).permutation(len(X))
        held, rest = order[: len(X) // 10], order[len(X) // 10 :]
        new = [X[i] for i in held], [y[i] for i in held]
        X, y = [X[i] for i in rest], [y[i] for i in rest]
    names = None
    if options.texts or options.held_out_labels:
        names = names_of(options.folder, punctuation=options.punctuation)
    measure = labels_by_name if options.held_out_labels else more_documents
    if options.warm_start:
        measure = network_goes_on
    row = {
        **{name: v for name, v in vars(options).items() if name not in ("results", "folder")},
        "folder": options.folder.name, **measure(X, y, new, names, options), "machine": machine(),
    }  # fmt: skip
    print(json.dumps(row))
    if options.results is not None:
        with options.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
