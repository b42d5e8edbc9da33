"""German titles and German names of labels: words, characters and second names.

    python german_titles.py FOLDER_OF_TIBKAT_GND_EN [--seeds N] [--results FILE]

The English half of the library records has some German titles. They alone are read, without their
abstracts: those of the training part to learn from, those of the development part to measure on
(none whose title was learned from). Their labels are named in German, and most have no training
document among so few. One row for each way to read titles and names:

- titles as words, or as characters (three to five, within words); names as words (label texts), or
  as the same characters (a numeric X, and a matrix of names beside it);
- no names; names; for half of the labels a code in the place of the name; and there code and name.

P@k and the expected calibration error (ECE) as in `run.py`, over all true labels.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from data import K, Part, machine, part
from figures import figures
from label_texts import names_of
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier

_GERMAN = re.compile(r"\b(und|der|zur|zum|für|einer|eine|über|vom|durch)\b")
_WORDS = {"sublinear_tf": True}
_CHARACTERS = {"sublinear_tf": True, "analyzer": "char_wb", "ngram_range": (3, 5)}
Ranked = tuple[list[list[str]], list[list[float]]]


def titles(folder: Path, name: str, without: set[str]) -> Part:
    """Return the German titles of a part with their labels, but for some."""
    found: dict[str, list[str]] = {}
    whole = part(folder, name)
    for text, labels in zip(whole.texts, whole.labels, strict=True):
        title = text.split(". ")[0]
        if _GERMAN.search(title) and title not in without:
            found[title] = labels
    return Part(list(found), list(found.values()))


def of_texts(settings: dict[str, Any], old: Part, names: Any, seed: int, new: list[str]) -> Ranked:
    """Rank with the titles as these features, and label texts as the package reads them."""
    features = TfidfVectorizer(**settings)
    model = LightXMLClassifier(None, features=features, random_state=seed)
    model.fit(old.texts, old.labels, label_texts=names)
    labels, scores = model.predict_topk(new, K, return_scores=True)
    return labels.tolist(), scores.tolist()


def of_characters(old: Part, names: dict[str, str], seed: int, new: list[str]) -> Ranked:
    """Rank with titles and names as rows of characters."""
    features = TfidfVectorizer(**_CHARACTERS).fit([*old.texts, *names.values()])
    labels = list(names)
    rows = sp.csr_array(features.transform(names.values()))
    model = LightXMLClassifier(None, random_state=seed)
    model.fit(sp.csr_array(features.transform(old.texts)), old.y(labels), label_texts=rows)
    ranked, scores = model.predict_topk(
        sp.csr_array(features.transform(new)), K, return_scores=True
    )
    return [[labels[j] for j in row] for row in ranked.tolist()], scores.tolist()


def main() -> None:
    """Fit once for each way and seed, and print and append the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--results", type=Path)
    given = parser.parse_args()
    old = titles(given.folder, "train", set())
    new = titles(given.folder, "dev", set(old.texts))
    names = names_of(given.folder)
    is_coded = dict(zip(names, np.random.RandomState(0).rand(len(names)) < 0.5, strict=True))
    texts: dict[str, Any] = {
        "none": None,
        "names": names,
        "a code for half": {a: f"x{a}" if is_coded[a] else name for a, name in names.items()},
        "code and name": {a: [f"x{a}", name] if is_coded[a] else name for a, name in names.items()},
    }
    told = {"titles": len(old), "measured": len(new), "labels": len(old.classes)}
    ways = {
        f"{way}, {kind}": partial(of_texts, settings, old, given_texts)
        for way, settings in (("words", _WORDS), ("characters", _CHARACTERS))
        for kind, given_texts in texts.items()
    }
    ways["characters of names too"] = partial(of_characters, old, names)
    for seed in range(given.seeds):
        for way, rank in ways.items():
            begun = time.process_time()
            row = {**told, "way": way, "seed": seed}
            row["figures"] = figures(old, new, *rank(seed, new.texts))
            row["CPU s"] = round(time.process_time() - begun, 1)
            print(json.dumps(row), flush=True)
            if given.results is not None:
                with given.results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row | {"machine": machine()}) + "\n")


if __name__ == "__main__":
    main()
