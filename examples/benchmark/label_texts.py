"""The texts of labels, and titles apart from the rest of a document."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from data import lines

from lightxml.fields import join_fields

MOST_NAMES = 100_000
Names = dict[str, str]


def names_of(folder: Path, *, punctuation: bool = False) -> Names:
    """Return each label's text of `labels.txt`, split at punctuation on request."""
    pairs = (line.split("\t", 1) for line in lines(folder / "labels.txt"))
    return {label: re.sub(r"[\W_]+", " ", text) if punctuation else text for label, text in pairs}


def trained_names(names: Names, trained: Collection[str]) -> Names:
    """Return the texts of labels that have a training document."""
    return {label: text for label, text in names.items() if label in trained}


def open_list(names: Names, others: Sequence[Path], most: int | None) -> Names:
    """Add names of other sets, none that is there already: at most 100,000, drawn with seed 1.

    With `most` all of them, and labels that are named by two names of the list (drawn with seed
    1), until there are so many.
    """
    known = {text.casefold() for text in names.values()}
    more: Names = {}
    for folder in others:
        for label, text in names_of(folder).items():
            if text.casefold() not in known:
                known.add(text.casefold())
                more[f"{folder.name}:{label.replace(' ', '_')}"] = text
    if most is not None:
        return _with_pairs(names | more, most)
    labels = sorted(more)
    drawn = np.random.RandomState(1).permutation(len(labels))[:MOST_NAMES]
    return names | {labels[i]: more[labels[i]] for i in drawn}


def _with_pairs(names: Names, most: int) -> Names:
    texts, rng = list(names.values()), np.random.RandomState(1)
    known, names = set(texts), dict(names)
    while len(names) < most:
        first, second = rng.randint(len(texts), size=2)
        text = f"{texts[first]} {texts[second]}"
        if text not in known:
            known.add(text)
            names[f"pair:{len(names)}"] = text
    return names


def with_title(texts: Sequence[str], pattern: str) -> list[str]:
    """Return documents of two fields: what is before the first match of a pattern, and the rest."""
    cut = [re.split(f"(?={pattern})", text, maxsplit=1) for text in texts]
    titles = [each[0] if len(each) > 1 else "" for each in cut]
    return join_fields(titles, [each[-1] for each in cut])
