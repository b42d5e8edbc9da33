"""Exact mentions: the labels whose text stands in the document."""

from __future__ import annotations

import re

from data import K, Part

from peers.outcome import Options, Outcome, Seconds, timed

_WORDS = re.compile(r"\w+")
_LONGEST = 12  # words


def names(train: Part, texts: list[str], options: Options) -> Outcome:
    """Rank the labels whose words stand in the document, most words first; it gives them all."""

    def fit() -> dict[tuple[str, ...], str]:
        of_name: dict[tuple[str, ...], str] = {}
        for label, text in options.names.items():
            of_name.setdefault(tuple(_WORDS.findall(text.casefold())), label)
        return of_name

    of_name, train_s = timed(fit)
    longest = min(max(map(len, of_name)), _LONGEST)

    def predict() -> list[list[str]]:
        found = []
        for text in texts:
            said = _WORDS.findall(text.casefold())
            there: dict[str, int] = {}
            for n in range(longest, 0, -1):
                for i in range(len(said) - n + 1):
                    if (label := of_name.get(tuple(said[i : i + n]))) is not None:
                        there.setdefault(label, n)
            found.append(list(there))
        return found

    given, predict_s = timed(predict)
    size = sum(len(text.encode()) + len(label.encode()) for label, text in options.names.items())
    ranked = [row[:K] for row in given]
    return Outcome(ranked, Seconds(), train_s, predict_s, size, given=given)
