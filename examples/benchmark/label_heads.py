"""The three heads and the three improvements on the same data, in one run.

    python examples/benchmark/label_heads.py DATA [--settings dense clustered clustered+all ...]
        [--encoder FOLDER] [--memory FOLDER] [--seeds 0 1 2] [--max-epochs 8] [--validation]
        [--jsonl FILE]

DATA is a folder that `lightxml.datasets.load_xmc` reads. A frozen encoder's summary vectors and
TF-IDF features are read by all settings alike; only the head, and what belongs to it, differs.
The network is the only ranker. ``dense`` is one layer over all labels, ``narrow`` the same behind
a layer of width 400, ``clustered`` LightXML's generator and discriminator; ``+se_block``,
``+loss_correction``, ``+random`` (200 random negatives; ``+random50``, ``+random1000``) and
``+all`` add the improvements.

Beside P@k and PSP@k, ``recall`` is the share of the true labels (of those that the training part
has) that are among the candidates. The settings take turns, seed by seed, each run in a process
of its own. `--validation` measures on the dev part, or a tenth of the training part where there
is none; settings were chosen so, and only so.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data import Part, part, peak_gib, read, vectorizer

from lightxml import LightXMLClassifier
from lightxml.metrics import propensities
from lightxml.metrics.tables import rank_metrics
from lightxml.network.heads.clustered import ClusteredHead
from lightxml.network.prediction import representations

K = 5
IMPROVEMENTS = {
    "se_block": {"se_block": True},
    "loss_correction": {"loss_correction": True},
    "random": {"n_random_negatives": 200},
}
HEADS: dict[str, dict[str, Any]] = {
    "dense": {"label_clusters": False},
    "narrow": {"label_clusters": False, "label_dim": 400},
    "clustered": {"label_clusters": True},
}
ALL = {k: v for improvement in IMPROVEMENTS.values() for k, v in improvement.items()}
SETTINGS = {
    **HEADS,
    **{f"clustered+{name}": {**HEADS["clustered"], **more} for name, more in IMPROVEMENTS.items()},
    **{f"clustered+random{n}": {**HEADS["clustered"], "n_random_negatives": n} for n in (50, 1000)},
    "clustered+all": {**HEADS["clustered"], **ALL},
    "dense+se_block": {**HEADS["dense"], "se_block": True},
}


def split(folder: str, validation: bool) -> tuple[Part, Part]:
    """Return the documents to learn from and those to measure on."""
    if validation and (Path(folder) / "dev_texts.txt").exists():
        return part(Path(folder), "train"), part(Path(folder), "dev")
    return read(folder, validation=validation)


def run(arguments: argparse.Namespace, setting: str, seed: int) -> dict[str, Any]:
    """Train and measure one setting in this process."""
    train, new = split(arguments.data, arguments.validation)
    X, X_new, classes = train.texts, new.texts, train.classes
    y, y_new = train.y(classes), new.y(classes)
    model = LightXMLClassifier(
        arguments.encoder,
        features=vectorizer(),
        freeze_encoder=arguments.encoder is not None,
        memory=arguments.memory,
        max_length=arguments.max_length,
        max_epochs=arguments.max_epochs,
        rankers=("network",),
        random_state=seed,
        **SETTINGS[setting],
    )
    began = time.perf_counter()
    model.fit(X, y)
    trained = time.perf_counter()
    topk = model.predict_topk(X_new, K)
    predicted = time.perf_counter()
    figures = rank_metrics(y_new, topk, propensities(y))
    figures["recall"] = candidate_recall(model, X_new, y_new, np.unique(y.indices))
    return {
        "data": Path(arguments.data).name,
        "part": "validation" if arguments.validation else "test",
        "encoder": None if arguments.encoder is None else Path(arguments.encoder).name,
        "max_epochs": arguments.max_epochs,
        "setting": setting,
        "seed": seed,
        "figures": figures,
        "train": trained - began,
        "predict": predicted - trained,
        "peak_gib": peak_gib(),
    }


def candidate_recall(model: LightXMLClassifier, X: Any, y: Any, seen: np.ndarray) -> float:
    """Return the share of the true labels that are ranked at all."""
    head = model.network_.head
    if not isinstance(head, ClusteredHead):
        return 1.0
    found = total = 0
    documents = model._read(X)
    for rows, represented in representations(model.network_, documents):
        with torch.no_grad():
            chosen = head.generator(represented).topk(head.n_candidate_clusters, dim=1)[1].numpy()
        for row, clusters in zip(rows.tolist(), chosen, strict=True):
            labels = np.intersect1d(y.indices[y.indptr[row] : y.indptr[row + 1]], seen)
            found += np.isin(model.label_clusters_[labels], clusters).sum()
            total += len(labels)
    return float(found / total)


def show(rows: list[dict[str, Any]]) -> None:
    """Print mean and spread (standard deviation) over seeds, in per cent."""
    names = ["P@1", "P@3", "P@5", "PSP@1", "PSP@3", "PSP@5", "recall"]
    print("setting".ljust(26) + "".join(name.rjust(13) for name in names) + "   train s")
    for setting in dict.fromkeys(row["setting"] for row in rows):
        runs = [row for row in rows if row["setting"] == setting]
        cells = []
        for name in names:
            values = 100 * np.array([run["figures"][name] for run in runs])
            spread = f" ±{values.std(ddof=1):.2f}" if len(runs) > 1 else ""
            cells.append(f"{values.mean():.2f}{spread}".rjust(13))
        seconds = np.mean([run["train"] for run in runs])
        print(f"{setting} ({len(runs)})".ljust(26) + "".join(cells) + f"{seconds:10.0f}")


def main() -> None:
    """Run every setting with every seed, each in its own process, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--encoder", help="a local folder or hub name; none: features alone")
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--max-epochs", type=int, default=8)
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
