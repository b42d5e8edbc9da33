"""What label texts that say little, or are odd, do to the rankers of words.

    python odd_label_texts.py FOLDER [--punctuation] [--seeds N] [--results FILE]

Measured on a tenth of the training part, with the names in `labels.txt` (a closed list) as they
are, made odd, or left out. One process, one row for each kind; P@k and the expected calibration
error (ECE) as in `run.py`, over all true labels.
"""

from __future__ import annotations

import argparse
import json
import string
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from data import K, machine, read, vectorizer
from figures import figures
from label_texts import names_of

from lightxml import LightXMLClassifier

Names = dict[str, str]
LONGEST = 10_000_000
_OTHER_LETTERS = str.maketrans(
    "abcdefghijklmnopqrstuvwxyz", "абцдефгхийклмнопярстувшызж"
)  # of another script, a letter for a letter


def codes(names: Names, X: list[str], rng: np.random.RandomState) -> Names:
    """Ten random letters and digits for each."""
    signs = list(string.ascii_lowercase + string.digits)
    return {label: "".join(rng.choice(signs, 10)) for label in names}


def empty(names: Names, X: list[str], rng: np.random.RandomState) -> Names:
    """No text for any, though all are named."""
    return dict.fromkeys(names, "")


def half_empty(names: Names, X: list[str], rng: np.random.RandomState) -> Names:
    """No text for half of those that are named."""
    return {label: text if rng.rand() < 0.5 else "" for label, text in names.items()}


def half_missing(names: Names, X: list[str], rng: np.random.RandomState) -> Names:
    """Half of them not named at all."""
    return {label: text for label, text in names.items() if rng.rand() < 0.5}


def shared(names: Names, X: list[str], rng: np.random.RandomState) -> Names:
    """The same text for five labels each."""
    labels = sorted(names)
    order = [labels[i] for i in rng.permutation(len(labels))]
    return {label: names[order[i - i % 5]] for i, label in enumerate(order)}


def one_long(names: Names, X: list[str], rng: np.random.RandomState) -> Names:
    """Ten million characters of training documents for one label."""
    documents = " ".join(X)
    text = documents * (LONGEST // len(documents) + 1)
    return names | {sorted(names)[0]: text[:LONGEST]}


def other_script(names: Names, X: list[str], rng: np.random.RandomState) -> Names:
    """Cyrillic letters in the place of Latin ones: as in another language, no word is shared."""
    return {label: text.casefold().translate(_OTHER_LETTERS) for label, text in names.items()}


def as_they_are(names: Names, X: list[str], rng: np.random.RandomState) -> Names:
    """The names of `labels.txt`."""
    return names


def none(names: Names, X: list[str], rng: np.random.RandomState) -> Names:
    """No label texts."""
    return {}


KINDS: tuple[Callable[[Names, list[str], np.random.RandomState], Names], ...] = (
    none, as_they_are, codes, empty, half_empty, half_missing, shared, one_long, other_script
)  # fmt: skip


def main() -> None:
    """Fit once for each kind and seed, and print and append the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--punctuation", action="store_true")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--results", type=Path)
    given = parser.parse_args()
    train, new = read(str(given.folder), validation=True)
    names = names_of(given.folder, punctuation=given.punctuation)
    for seed in range(given.seeds):
        for kind in KINDS:
            texts = kind(names, train.texts, np.random.RandomState(seed))
            row = {"folder": given.folder.name, "kind": kind.__name__, "seed": seed}
            begun = time.process_time()
            try:
                model = LightXMLClassifier(None, features=vectorizer(), random_state=seed)
                model.fit(train.texts, train.labels, label_texts=texts or None)
            except ValueError as error:
                row["error"] = str(error)
            else:
                row["fit, CPU s"] = round(time.process_time() - begun, 1)
                ranked, said = model.predict_topk(new.texts, K, return_scores=True)
                row["figures"] = figures(train, new, ranked.tolist(), said.tolist())
            print(json.dumps(row), flush=True)
            if given.results is not None:
                with given.results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row | {"machine": machine()}) + "\n")


if __name__ == "__main__":
    main()
