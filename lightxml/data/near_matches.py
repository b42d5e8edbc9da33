"""What a misspelt label may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from heapq import nlargest
from itertools import pairwise

_MOST_COMPARED = 500  # difflib takes too long on a million
_FEWEST_SHARED = 0.4  # of the pairs of characters


def near_matches(word: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Return those of the known ones that are written much like a word, the likest first.

    Upper and lower case count as alike. Of very many, those are compared that hold most of the
    word's pairs of neighboring characters.

    Parameters
    ----------
    word : str
    known : iterable of str
    n : int
        At most so many are returned.

    Returns
    -------
    list of str
        None of them twice.
    """
    word = word.casefold()
    pairs = {a + b for a, b in pairwise(word)} or {word}
    shared = ((sum(pair in low for pair in pairs), low, each) for each, low in _folded(known))
    likely = nlargest(
        _MOST_COMPARED,
        (found for found in shared if found[0] >= _FEWEST_SHARED * len(pairs)),
        key=lambda found: (found[0], -abs(len(found[1]) - len(word))),
    )
    spelling = {low: each for _, low, each in reversed(likely)}
    return [spelling[low] for low in difflib.get_close_matches(word, list(spelling), n)]


def _folded(known: Iterable[str]) -> Iterable[tuple[str, str]]:
    return ((each, each.casefold()) for each in known)
