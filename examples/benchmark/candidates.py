"""How many true labels the rankers propose: recall of 50, 100 and 200 candidates.

    python candidates.py DATA [DATA ...] [--settings features+names] [--results FILE]

What nobody proposes cannot be ranked, so this bounds all else. Data, settings of ours and what they
read are as of run.py. One fit each; a line for each ranker that proposes, and one for all of them
together: of all true labels of the measured documents, those without a training document too, the
share (per cent) among the ranker's k best, and of the labels without a training document. The last
column is how many candidates a document has.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from data import machine
from jobs import jobs, parser, prepared, told
from peers.ours import estimator

from lightxml import LightXMLClassifier
from lightxml.predicting.fitted import represented
from lightxml.rankers.sparse import union

SIZES = (50, 100, 200)


def truth(y: list[list[str]], place: dict[str, int]) -> tuple[sp.csr_array, int]:
    """Return the true labels that are classes, and how many there are besides."""
    pairs = [(i, place.get(label, -1)) for i, of in enumerate(y) for label in sorted(set(of))]
    rows, columns = np.array(pairs).T
    known = columns >= 0
    ones = np.ones(int(known.sum()), dtype=np.float32)
    matrix = sp.csr_array((ones, (rows[known], columns[known])), shape=(len(y), len(place)))
    return matrix, int((~known).sum())


def measured(model: LightXMLClassifier, X: list[str], y: list[list[str]]) -> dict[str, Any]:
    """Return the recall of each ranker's candidates, and of all together."""
    learned = model._first_model
    panel = learned.panel
    assert panel is not None
    true, n_missing = truth(y, {label: i for i, label in enumerate(model.classes_.tolist())})
    n_true = true.nnz + n_missing
    unseen = sp.csr_array(true.multiply((panel.counts == 0)[None, :]))
    n_unseen = unseen.count_nonzero() + n_missing
    documents = represented(learned, learned.read(X))
    proposed = {
        (ranker.name, k): ranker.propose(documents, k) for ranker in panel.rankers for k in SIZES
    }
    names = [ranker.name for ranker in panel.rankers if proposed[ranker.name, SIZES[0]].nnz]
    for k in SIZES:
        proposed["all", k] = union([proposed[name, k] for name in names])
    found: dict[str, Any] = {}
    for name in (*names, "all"):
        of_name = [proposed[name, k] for k in SIZES]
        ones = [sp.csr_array(candidates.astype(bool)) for candidates in of_name]
        found[name] = {
            "recall": [round(100 * float(true.multiply(c).sum()) / n_true, 2) for c in ones],
            "of labels without a document": [
                round(100 * float(unseen.multiply(c).sum()) / max(n_unseen, 1), 2) for c in ones
            ],
            "candidates": [round(candidates.nnz / len(X), 1) for candidates in of_name],
        }
    return found


def main() -> None:
    """Fit, and print and append a line of JSON for each job."""
    arguments = parser(__doc__.splitlines()[0]).parse_args()
    for job in jobs(arguments):
        train, new, options = prepared(told(job, arguments), Path())
        model = estimator(options)
        model.fit(train.texts, train.labels, label_texts=dict(options.names) or None)
        row = {"job": job, "names": len(options.names), "sizes": SIZES}
        row["rankers"] = measured(model, new.texts, new.labels)
        print(json.dumps(row), flush=True)
        if arguments.results is not None:
            with arguments.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row | {"machine": machine()}) + "\n")


if __name__ == "__main__":
    main()
