"""Where the texts of a label stand in a document."""

from __future__ import annotations

from collections.abc import Sequence

from lightxml.inspection.explanation import Mention
from lightxml.rankers.label_texts import Words
from lightxml.rankers.words import split

_TELLING = 0.5


def mentions_of(
    text: str, spans: Sequence[tuple[int, int]], label_texts: Sequence[str], known: Words
) -> tuple[Mention, ...]:
    """Return where a document holds one of a label's texts, or words of it.

    Words are alike where the ranker "label_texts" takes them for alike. Single words are looked
    for where no text stands there in full: those that say at least half as much (by their idf) as
    the text's rarest.

    Parameters
    ----------
    text : str
    spans : sequence of (int, int)
        Where the words of the document begin and end.
    label_texts : sequence of str
    known : Words
        Of the ranker.

    Returns
    -------
    tuple of Mention
        In the order of the document.
    """
    stems: list[str] = []
    places: list[tuple[int, int]] = []
    for begin, end in spans:
        found = split(text[begin:end])
        stems += found
        places += [(begin, end)] * len(found)
    wanted = [(each, split(each)) for each in label_texts]
    telling = {each: _telling(each, words, known) for each, words in wanted}
    whole = {
        (places[i][0], places[i + len(words) - 1][1]): each
        for each, words in reversed(wanted)
        for i in range(len(stems) - len(words) + 1)
        if words and stems[i : i + len(words)] == words
    }
    source = whole or {
        place: each
        for each, _ in reversed(wanted)
        for stem, place in zip(stems, places, strict=True)
        if stem in telling[each]
    }
    return tuple(
        Mention(begin, end, text[begin:end], source[begin, end], bool(whole))
        for begin, end in sorted(source)
    )


def _telling(label_text: str, stems: list[str], known: Words) -> set[str]:
    """Return the words of a label's text without those that are in most documents."""
    idf = known.idf[known.vocabulary.sequences([label_text]).words]
    least = _TELLING * idf.max(initial=0)
    return {stem for stem, value in zip(stems, idf.tolist(), strict=True) if value >= least}
