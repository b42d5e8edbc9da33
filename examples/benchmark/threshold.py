"""F1 on the test part at the threshold that `fit` chose, beside the best that there was.

    python threshold.py FOLDER [--criteria micro_f1 macro_f1 ...] [--pairs] [--seed N]
        [--texts none|closed]
        [--encoder FOLDER --freeze [--max-length N] [--memory FOLDER]] [--validation]
        [--save FOLDER] [--results FILE]

One fit for each criterion, and a row for it: F1 by that threshold (micro, macro, samples), labels
given and true a document, documents that are given none, and, for comparison only, the best F1 of
any single threshold on the same documents, steps of 0.01. True labels without a training document
are missed. "macro" is the mean over all labels of `labels.txt`; those that are not in this part
count 0. `--validation` measures on a tenth of the training part; the test part is not read.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from data import Part, lines, machine, read, vectorizer
from label_texts import names_of

from lightxml import LightXMLClassifier
from lightxml.metrics import calibration_error, f1_at_threshold

AVERAGES = ("micro", "macro", "samples")
RANKED = 100  # labels a document, of which those above the threshold are given


def measured(model: LightXMLClassifier, new: Part, n_labels: int) -> dict:
    """Return the row of a fitted model."""
    X, y = new.texts, new.labels
    classes = model.classes_
    topk, scores = model.predict_topk(X, min(RANKED, len(classes)), return_scores=True)
    place = {label: column for column, label in enumerate(classes.tolist())}
    columns = np.array([place[label] for label in topk.ravel().tolist()])
    pointers = np.arange(0, topk.size + 1, topk.shape[1])
    p = sp.csr_array((scores.ravel(), columns, pointers), shape=(len(X), len(classes)))

    def f1(threshold: Any, average: Any) -> float:
        share = len(classes) / n_labels if average == "macro" else 1
        found = f1_at_threshold(y, p, threshold, average=average, classes=classes)
        return 100 * share * found

    least = model.threshold_
    of_label = np.broadcast_to(np.asarray(least, np.float32), len(classes))
    given = (scores >= of_label[columns].reshape(scores.shape)).sum(axis=1)
    grid = np.arange(1, 100) / 100
    best = {average: max((f1(t, average), t) for t in grid) for average in AVERAGES}
    return {
        "threshold": least if isinstance(least, float) else "of each label",
        **{average: f1(least, average) for average in AVERAGES},
        **{f"best {average}": value for average, (value, _) in best.items()},
        **{f"best {average} at": t for average, (_, t) in best.items()},
        "labels given": given.mean(),
        "labels true": np.mean([len(set(row)) for row in y]),
        "documents given none": int((given == 0).sum()),
        "calibration error": 100 * calibration_error(y, topk, scores, classes=classes),
    }


def main() -> None:
    """Fit once for each criterion, and print its row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--criteria", nargs="+", default=["micro_f1", "macro_f1"])
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--texts", choices=["none", "closed"], default="none")
    parser.add_argument("--encoder")
    parser.add_argument("--freeze", action="store_true")
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--memory")
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--save", type=Path, help="a folder for the models, by their criteria")
    parser.add_argument("--results", type=Path, help="append the rows to this file, as JSON")
    options = parser.parse_args()

    train, new = read(str(options.folder), validation=options.validation)
    texts = None
    if options.texts == "closed":
        texts = names_of(options.folder)
    of_encoder: dict[str, Any] = {}
    if options.encoder:
        of_encoder = {"max_length": options.max_length, "memory": options.memory}
        of_encoder["freeze_encoder"] = options.freeze
    for criterion in options.criteria:
        began = time.perf_counter()
        model = LightXMLClassifier(
            options.encoder,
            features=vectorizer(pairs=options.pairs),
            threshold=criterion,
            random_state=options.seed,
            **of_encoder,
        ).fit(train.texts, train.labels, label_texts=texts)
        row = {"data": options.folder.name, "criterion": criterion, "pairs": options.pairs}
        row["texts"] = options.texts
        row |= {"seed": options.seed, "encoder": Path(options.encoder or "none").name}
        row["fit seconds"] = time.perf_counter() - began
        row |= measured(model, new, len(lines(options.folder / "labels.txt")))
        if options.save:
            model.save(options.save / criterion)
        rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}
        print(json.dumps(rounded), flush=True)
        if options.results:
            with options.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**row, "machine": machine()}) + "\n")


if __name__ == "__main__":
    main()
