"""What speaks for a label of a text: as data, as HTML and in lines for a terminal."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lightxml.runtime.terminal import WIDTH, answer, shorten

_BEST = 10  # words listed, at most
_LEAST = 0.005  # what a listed word changes: less is shown as 0.00
_NEAREST = 5  # training documents listed, at most
_LEAST_SHARE = 0.001
_FEATURES = 5  # of a ranker listed for the label, and as many against it, at most
_MENTIONS = 5  # listed, at most
_FULL = 0.1  # a change of the logit that has the full color, where no word changes it by more
# Blue and orange, told apart whatever one's color vision; see-through, so that the page's own
# letters stay readable on them, dark on light or light on dark.
_FOR, _AGAINST = "rgba(30, 110, 215, {:.2f})", "rgba(235, 110, 0, {:.2f})"
_OPAQUE = 0.65
_FAINT = 0.03
_SMALL = "font-size: .85em; margin: .7em 0 0"


@dataclass(frozen=True)
class Word:
    """A word of a text, or several neighboring ones taken together, and its weight.

    Attributes
    ----------
    start, end : int
        It is ``text[start:end]``.
    text : str
    weight : float
        What the label's logit loses without it: above 0 it speaks for the label.
    """

    start: int
    end: int
    text: str
    weight: float


@dataclass(frozen=True)
class Feature:
    """A feature of the text that a ranker has a weight for.

    Attributes
    ----------
    name : str
        As the vectorizer calls it; else the number of its column.
    contribution : float
        What it adds to what the ranker says: above 0 it speaks for the label.
    """

    name: str
    contribution: float


@dataclass(frozen=True)
class Mention:
    """A place in the text where one of the label's texts stands, or a word of it.

    Attributes
    ----------
    start, end : int
        It is ``text[start:end]``.
    text : str
    label_text : str
        The text of the label.
    is_whole : bool
        Whether all of the label's text stands there, word for word, as far as the first letters of
        its words say.
    """

    start: int
    end: int
    text: str
    label_text: str
    is_whole: bool


@dataclass(frozen=True)
class Opinion:
    """What one ranker thinks of the label.

    Attributes
    ----------
    ranker : str
        Its name: linear, neighbors, label_texts, ...
    values : dict of str to float
        What it says of the label, by what that is: a margin, a share of neighbors, a cosine.
    best : a label, as in ``classes_``, or None
        Its own first proposal for the text; None where it has none.
    member : int, default=0
        Which of an ensemble's members asked it, from 0.
    features : tuple of Feature, default=()
        What in the text makes it say so, what speaks most for the label first: of "linear" all
        that add to the margin (the rest of it is the label's bias).
    """

    ranker: str
    values: dict[str, float]
    best: Any
    member: int = 0
    features: tuple[Feature, ...] = ()


@dataclass(frozen=True)
class Neighbor:
    """A training document that has the label.

    Attributes
    ----------
    document : int
        Its row among the documents of `fit`.
    share : float
        Of all that the nearest training documents say about the text, from 0 to 1.
    """

    document: int
    share: float


@dataclass(frozen=True, repr=False)
class Explanation:
    """What `lightxml.inspection.explain` returns. It prints as a table, and as HTML in notebooks.

    Attributes
    ----------
    text : str
    label : the label, as in ``classes_``
    score : float
        Its probability.
    logit : float
        The logit of that.
    words : tuple of Word
        All words, in the order of the text.
    opinions : tuple of Opinion
        Of each ranker. Empty where a network alone ranks.
    neighbors : tuple of Neighbor
        At most ten, those with the largest share first; of several rankers that keep training
        documents, the mean share. Empty where none does.
    mentions : tuple of Mention
        Where the label's texts stand in the text, in its order; where none does in full, words of
        them. Empty where no ranker reads texts of labels.
    """

    text: str
    label: Any
    score: float
    logit: float
    words: tuple[Word, ...]
    opinions: tuple[Opinion, ...] = ()
    neighbors: tuple[Neighbor, ...] = ()
    mentions: tuple[Mention, ...] = ()

    def __repr__(self) -> str:
        return "\n".join(_lines(self))

    def _repr_html_(self) -> str:
        return "".join(_elements(self))

    def to_html(self) -> str:
        """Return a page of its own: the text, its words colored by their weights."""
        title = html.escape(_visible(f"{self.label}: why?"))
        return (
            '<!DOCTYPE html>\n<html><head><meta charset="utf-8">'
            '<meta name="color-scheme" content="light dark">'
            f"<title>{title}</title></head>\n"
            '<body style="font-family: system-ui, sans-serif; max-width: 60em; margin: 2em auto; '
            f'padding: 0 1em">\n{self._repr_html_()}</body></html>\n'
        )


def _listed(explanation: Explanation) -> tuple[list[Word], list[Neighbor], float]:
    """Return the words and documents worth a line, heaviest first; the largest weight."""
    words = sorted(explanation.words, key=lambda word: -abs(word.weight))
    full = max(abs(words[0].weight) if words else 0.0, _FULL)
    return (
        [word for word in words[:_BEST] if abs(word.weight) >= _LEAST],
        [near for near in explanation.neighbors[:_NEAREST] if near.share >= _LEAST_SHARE],
        full,
    )


def _lines(explanation: Explanation) -> Iterator[str]:
    words, neighbors, full = _listed(explanation)
    yield answer(explanation.text, [explanation.label], [explanation.score])
    yield f"    logit {explanation.logit:+.2f}. What it loses without a word:"
    for word in words:
        bar = ("+" if word.weight > 0 else "-") * round(20 * abs(word.weight) / full)
        yield f"    {word.weight:+6.2f}  {bar:<20}  {shorten(word.text, WIDTH - 34)}"
    n_more = len(explanation.words) - len(words)
    yield f"    ({n_more:,} {'more, with less' if words else 'words, none with a'} weight)"
    if explanation.opinions:
        yield "    What each ranker thinks of the label, and its own best:"
    names = _names(explanation)
    width = min(max(map(len, names), default=0), 24)
    for name, opinion in zip(names, explanation.opinions, strict=True):
        yield f"    {shorten(name, width):<{width}}  {shorten(_values(opinion), WIDTH - 6 - width)}"
        yield f"    {'':<{width}}  best: {shorten(_best(opinion), WIDTH - 12 - width)}"
        for side, features in _sides(opinion):
            told = ", ".join(f"{each.name} {each.contribution:+.2f}" for each in features)
            yield f"    {'':<{width}}  {side}: {shorten(told, WIDTH - 8 - width - len(side))}"
    if explanation.mentions:
        yield f"    {_heading(explanation)}:"
    for mention in explanation.mentions[:_MENTIONS]:
        place = f"    {mention.start:6}  "
        yield f"{place}{shorten(_told(mention), WIDTH - len(place))}"
    if neighbors:
        yield "    The nearest training documents with the label, and their shares:"
    for neighbor in neighbors:
        yield f"    {neighbor.share:6.1%}  document {neighbor.document}"


def _names(explanation: Explanation) -> list[str]:
    """Return what to call the rankers; those of an ensemble, with the number of the member."""
    several = any(opinion.member for opinion in explanation.opinions)
    return [
        f"{opinion.member}: {opinion.ranker}" if several else opinion.ranker
        for opinion in explanation.opinions
    ]


def _values(opinion: Opinion) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in opinion.values.items())


def _best(opinion: Opinion) -> str:
    return "(none)" if opinion.best is None else str(opinion.best)


def _sides(opinion: Opinion) -> list[tuple[str, tuple[Feature, ...]]]:
    """Return the features that speak most for the label, and most against it, if there are any."""
    features = [each for each in opinion.features if abs(each.contribution) >= _LEAST]
    sides = [
        ("for", tuple(each for each in features if each.contribution > 0)[:_FEATURES]),
        ("against", tuple(each for each in features[::-1] if each.contribution < 0)[:_FEATURES]),
    ]
    return [(side, some) for side, some in sides if some]


def _heading(explanation: Explanation) -> str:
    if explanation.mentions[0].is_whole:
        return "Where the label's text stands, from which character on"
    return "Words of the label's text, from which character on"


def _told(mention: Mention) -> str:
    """Return the place's words, and the label's text where it is written otherwise."""
    same = mention.text.casefold() == mention.label_text.casefold()
    return mention.text if same else f"{mention.text} (of {mention.label_text})"


def _elements(explanation: Explanation) -> Iterator[str]:
    words, neighbors, full = _listed(explanation)
    left, right = _AGAINST.format(_OPAQUE), _FOR.format(_OPAQUE)
    yield (
        f"<div><p><b><bdi>{_escaped(str(explanation.label))}</bdi></b> &nbsp; "
        f"score {explanation.score:.3f}, logit {explanation.logit:+.2f}</p>\n"
        f'<p style="{_SMALL}">What the logit loses without a word: {-full:+.2f} '
        '<span style="display: inline-block; width: 8em; height: .9em; vertical-align: middle; '
        f'background: linear-gradient(to right, {left}, transparent, {right})"></span> '
        f"{full:+.2f} &nbsp; Blue speaks for the label, orange (dotted) against it.</p>\n"
    )
    yield (
        '<div dir="auto" style="white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.7; '
        "max-height: 24em; overflow: auto; margin: .7em 0; padding: .5em .8em; "
        'border-radius: .3em; border: 1px solid rgba(128, 128, 128, .5)">'
    )
    end = 0
    for word in explanation.words:
        yield _escaped(explanation.text[end : word.start])
        yield _colored(word.text, word.weight / full)
        end = word.end
    yield f"{_escaped(explanation.text[end:])}</div>\n"
    for name, sign in (("For", 1), ("Against", -1)):
        if some := [word for word in words if sign * word.weight > 0]:
            items = " &nbsp; ".join(
                f"{_colored(shorten(word.text, 40), word.weight / full)}&nbsp;{word.weight:+.2f}"
                for word in some
            )
            yield f'<p style="{_SMALL}">{name}: {items}</p>\n'
    if explanation.opinions:
        rows = zip(_names(explanation), explanation.opinions, strict=True)
        cells = ((name, _values(each), f"best: {_best(each)}") for name, each in rows)
        yield (
            f'<table style="{_SMALL}; border-spacing: 0"><caption style="text-align: left">'
            "What each ranker thinks of the label, and its own best</caption>\n"
        )
        for row, opinion in zip(cells, explanation.opinions, strict=True):
            told = "".join(
                f'<td style="padding: 0 1em 0 0"><bdi>{_escaped(cell)}</bdi></td>' for cell in row
            )
            yield f"<tr>{told}</tr>\n"
            for side, features in _sides(opinion):
                most = max(abs(each.contribution) for each in opinion.features)
                items = " &nbsp; ".join(
                    f"{_colored(shorten(each.name, 40), each.contribution / most)}"
                    f"&nbsp;{each.contribution:+.2f}"
                    for each in features
                )
                yield f'<tr><td></td><td colspan="2">{side}: {items}</td></tr>\n'
        yield "</table>\n"
    if explanation.mentions:
        items = "; ".join(
            f"<bdi>{_escaped(shorten(_told(each), WIDTH))}</bdi> ({each.start})"
            for each in explanation.mentions[:_MENTIONS]
        )
        yield f'<p style="{_SMALL}">{_heading(explanation)}: {items}.</p>\n'
    if neighbors:
        items = ", ".join(f"document {n.document} ({n.share:.1%})" for n in neighbors)
        yield f'<p style="{_SMALL}">The nearest training documents with the label: {items}.</p>\n'
    yield "</div>\n"


def _colored(text: str, strength: float) -> str:
    """Return text on a color of some strength, from -1 to 1."""
    if abs(strength) < _FAINT:
        return _escaped(text)
    color, line = _FOR, ""
    if strength < 0:
        color = _AGAINST
        line = f"; border-bottom: 2px dotted {color.format(-strength)}"
    return (
        f'<span style="background: {color.format(_OPAQUE * abs(strength))}{line}; '
        f'border-radius: .2em">{_escaped(text)}</span>'
    )


def _escaped(text: str) -> str:
    return html.escape(_visible(text))


def _visible(text: str) -> str:
    """Replace what HTML does not allow: control characters."""
    return "".join("\ufffd" if (c < " " and c not in "\t\n\r") or c == "\x7f" else c for c in text)
