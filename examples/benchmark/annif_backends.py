"""Annif's own backends and ours, trained and asked by Annif itself.

    python annif_backends.py FOLDER WORK --learner lightxml|bonsai|mllm|ensemble [--punctuation]
        [--learn N | --trained] [--ask N] [--results FILE]

Needs Annif with omikuji, nltk's punkt_tab, and `examples/annif` installed. `WORK` is a folder for
Annif's data: the vocabulary as SKOS (a preferred label for each line of `labels.txt`), documents,
and models; ``ensemble`` finds there what ``bonsai`` and ``mllm`` have left. The settings are those
of Annif's documentation: the Bonsai-like one of its page on Omikuji, defaults for MLLM, and an
ensemble of both with equal weights. `--learn`: so many documents of the training part, drawn with
seed 0; Annif's documentation names 100 to 10,000 for MLLM. `--trained`: ask the model that an
earlier run left in `WORK`. `--ask`: so many documents of the test part, drawn with seed 0. P@k are
over all true labels; Annif's own figures, as ``annif eval`` prints them, stand beside them.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from pathlib import Path
from typing import Any

import annif_lightxml  # noqa: F401  (makes the backend known)
import numpy as np
from annif.corpus.document import DocumentFileTSV, DocumentList
from annif.eval import EvaluationBatch
from annif.registry import AnnifRegistry
from annif.vocab import VocabFileSKOS
from data import Part, installed, lines, machine, peak_gib, read, size_in_bytes
from figures import figures
from label_texts import names_of
from rdflib import RDF, SKOS, Graph, Literal, URIRef

BASE = "https://example.org/subject/"
OF_ANNIF = ("Precision@1", "Precision@3", "Precision@5", "NDCG@10", "F1@5")
CONFIG = """
[DEFAULT]
language=en
vocab=names

[lightxml]
backend=lightxml

[bonsai]
backend=omikuji
analyzer=snowball(english)
cluster_balanced=False
cluster_k=100
max_depth=3

[mllm]
backend=mllm
analyzer=snowball(english)

[ensemble]
backend=ensemble
sources=bonsai,mllm
"""


def write_documents(path: Path, part: Part, uris: Any) -> None:
    """Write a file as Annif reads it: text, tab, URIs."""
    with path.open("w", encoding="utf-8") as file:
        for text, of in zip(part.texts, part.labels, strict=True):
            clean = " ".join(text.split())
            file.write(f"{clean}\t{' '.join(f'<{uris[label]}>' for label in of)}\n")


def write_vocabulary(path: Path, names: dict[str, str], uris: dict[str, str]) -> None:
    """Write a thesaurus with a preferred label for each concept."""
    graph = Graph()
    for label, name in names.items():
        graph.add((URIRef(uris[label]), RDF.type, SKOS.Concept))
        graph.add((URIRef(uris[label]), SKOS.prefLabel, Literal(name, "en")))
    graph.serialize(path, format="turtle")


def prepare(options: Any) -> tuple[Any, dict[str, str], Part, Part]:
    """Write what Annif reads, once, and return its projects, URIs and documents."""
    work = options.work
    train, test = read(str(options.folder))
    names = names_of(options.folder, punctuation=options.punctuation)
    labels = (line.split("\t", 1)[0] for line in lines(options.folder / "labels.txt"))
    uris = {label: f"{BASE}{number}" for number, label in enumerate(labels)}
    fresh = not (work / "names.ttl").exists()
    if fresh:
        work.mkdir(parents=True, exist_ok=True)
        (work / "projects.cfg").write_text(CONFIG)
        write_documents(work / "train.tsv", train, uris)
        write_documents(work / "test.tsv", test, uris)
    projects = AnnifRegistry(str(work / "projects.cfg"), str(work / "data"), False)
    if fresh:
        write_vocabulary(work / "names.ttl", names, uris)
        vocab = projects.get_project("lightxml").vocab
        vocab.load_vocabulary(VocabFileSKOS(str(work / "names.ttl")))
    return projects, uris, train, test


def some_documents(path: Path, project: Any, n_documents: int) -> tuple[DocumentList, np.ndarray]:
    """Return so many documents of a file, drawn with seed 0, in their order, and their places."""
    every = list(DocumentFileTSV(str(path), project.subjects).documents)
    places = np.sort(np.random.RandomState(0).permutation(len(every))[:n_documents])
    return DocumentList([every[i] for i in places]), places


def main() -> None:
    """Train and ask one backend, and print and append its row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--learner", choices=("lightxml", "bonsai", "mllm", "ensemble"))
    parser.add_argument("--punctuation", action="store_true")
    parser.add_argument("--learn", type=int)
    parser.add_argument("--trained", action="store_true")
    parser.add_argument("--ask", type=int)
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    logging.getLogger("annif").setLevel(logging.WARNING)
    projects, uris, train, test = prepare(options)
    project = projects.get_project(options.learner)
    learned = options.learn or len(train)
    corpus = some_documents(options.work / "train.tsv", project, learned)[0]
    fit = None  # of a model that is there, and of an ensemble, which learns nothing
    if options.learner != "ensemble" and not options.trained:
        cpu = time.process_time()
        project.train(corpus, jobs=1)
        fit = round(time.process_time() - cpu, 1)
    asked = options.ask or len(test)
    new, places = some_documents(options.work / "test.tsv", project, asked)
    measured = test.rows(places)
    of_uri = {uri: label for label, uri in uris.items()}
    found: list[list[str]] = []
    own = EvaluationBatch(project.subjects)
    project.initialize()
    cpu = time.process_time()
    for batch in new.doc_batches:
        best = project.suggest(batch).filter(10, 0.0)  # what `annif eval` looks at
        own.evaluate_many(best, [document.subject_set for document in batch])
        found += [[of_uri[project.subjects[s.subject_id].uri] for s in row][:5] for row in best]
    predict = time.process_time() - cpu
    of_annif = own.results(metrics=OF_ANNIF)
    row = {
        "folder": options.folder.name, "learner": options.learner, "names": len(uris),
        "punctuation": options.punctuation, "documents learned": learned, "asked": asked,
        "figures": figures(train, measured, found),
        "without a suggestion": round(100 * float(np.mean([not of for of in found])), 2),
        "as Annif counts": {name: round(100 * float(of_annif[name]), 2) for name in OF_ANNIF},
        "fit, CPU s": fit,
        "documents a CPU s": round(asked / predict, 1), "peak GiB": round(peak_gib(), 2),
        "model MB": round(size_in_bytes(Path(project.datadir)) / 1e6, 1),
        "machine": machine() | {"annif": installed(["annif", "omikuji", "nltk"])},
    }  # fmt: skip
    print(json.dumps({name: value for name, value in row.items() if name != "machine"}))
    if options.results is not None:
        with options.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
