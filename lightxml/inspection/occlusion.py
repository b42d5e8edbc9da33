"""Why a model gives a text a label: words, rankers and training documents that speak for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby, pairwise
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.special import expit
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted, check_scalar

from lightxml.base import TopKEstimator
from lightxml.data.label_lists import not_among
from lightxml.data.texts import check_texts
from lightxml.inspection.explanation import (
    Explanation,
    Feature,
    Mention,
    Neighbor,
    Opinion,
    Word,
)
from lightxml.inspection.mentions import mentions_of
from lightxml.metrics.pipelines import before_last_step, last_step
from lightxml.predicting import averaging
from lightxml.predicting.fitted import FittedModel, represented
from lightxml.rankers.base import Documents, Ranker
from lightxml.rankers.label_texts import LabelTexts
from lightxml.rankers.linear import Linear
from lightxml.rankers.neighbors import Neighbors
from lightxml.rankers.panel import N_PROPOSALS
from lightxml.rankers.vectors import Vectors

__all__ = ["Explanation", "Feature", "Mention", "Neighbor", "Opinion", "Word", "explain"]

_PARTS = 4  # that several words taken together are cut into, for a closer look
_MOST_NEIGHBORS = 10
_JOINERS = "\u200c\u200d"

Span = tuple[int, int]


def explain(
    estimator: TopKEstimator | Pipeline,
    text: str,
    label: Any = None,
    *,
    max_predictions: int = 256,
) -> Explanation:
    """Show what in a text speaks for a label, and what against it.

    A word's weight is what the label's logit loses without it: the text is predicted again with a
    blank in the word's place (occlusion [1]_, of words as in [2]_). That asks the model itself,
    whatever it is made of: its rankers, a trained or frozen encoder, features, the members of an
    ensemble, the steps of a `Pipeline`. Weights do not add up to the logit: of two words that
    say the same, neither may be missed.

    An encoder reads `max_length` tokens. Without a word, what follows moves up, and words from
    beyond may come into sight; a word that no part of the model reads has the weight 0, but for
    rounding.

    Parameters
    ----------
    estimator : fitted LightXMLClassifier, LightXMLEnsemble, or Pipeline that ends in one
        If fitted on a numeric matrix, the Pipeline that makes one of texts.
    text : str
    label : a label of ``classes_``, default=None
        None: the best one.
    max_predictions : int, default=256
        Altered texts that are predicted, at most. Where there are more words, neighboring ones
        are first taken together, and those with the largest weights are looked at more closely:
        a `Word` of the answer may then be several. Words of opposite weight hide each other there.

    Returns
    -------
    Explanation
        Shown as a table in a terminal, in colors in a notebook; ``to_html()`` is a page.

    Raises
    ------
    TypeError
        If `text` is no str, `estimator` none of the above, or it reads no texts.
    ValueError
        If `label` is not among the model's labels (the message names those that are written much
        like it), `max_predictions` is below 1, or `text` is no
        valid Unicode.
    NotFittedError
        Before `fit`.

    Notes
    -----
    A word is a run of letters, digits and underscores, a run of other characters (such as
    punctuation), or a Chinese character: everything but blanks is in one.

    References
    ----------
    .. [1] Zeiler, Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014,
       section 4.2.
    .. [2] Li, Monroe, Jurafsky, "Understanding Neural Networks through Representation Erasure",
       arXiv 1612.08220, 2016.

    Examples
    --------
    >>> from lightxml import LightXMLClassifier
    >>> from lightxml.inspection.occlusion import explain
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from itertools import product
    >>> rows = list(product(["cats", "dogs", "hens"], ["eat", "run", "sleep"], ["here", "there"]))
    >>> texts, labels = [" ".join(row) for row in rows], [[row[0][:3]] for row in rows]
    >>> model = LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0)
    >>> words = explain(model.fit(texts, labels), "do cats run", "cat").words
    >>> max(words, key=lambda word: word.weight).text
    'cats'
    """
    model, read = _open(estimator)
    check_scalar(max_predictions, "max_predictions", Integral, min_val=1)
    if not isinstance(text, str):
        raise TypeError(f"text is of type {type(text).__name__}; expected one document, a str.")
    (text,) = check_texts([text], name="text")
    members = model._models
    if label is None:
        label = model.predict_topk(read([text]), 1)[0, 0]
    column = _column(label, model.classes_, model._first_model.label_texts)

    def logits(texts: list[str]) -> np.ndarray:
        """Return the label's logits, float64 of shape (n_texts,)."""
        X, asked = read(texts), _asked(len(texts), column, len(model.classes_))
        # Past `memory`: its vectors are of the documents that were trained on.
        return _joint([member.logits_of(member.read(X), asked) for member in members])

    (logit,) = logits([text]).tolist()
    spans = _words(text)

    def losses(some: list[range]) -> list[float]:
        """Return what the logit loses without each of some runs of words."""
        if not some:
            return []
        places = [(spans[run[0]][0], spans[run[-1]][1]) for run in some]
        # The text itself once more: beside the others, it is rounded as they are.
        found = logits([text, *(f"{text[:a]} {text[b:]}" for a, b in places)])
        return (found[0] - found[1:]).tolist()

    words = [
        Word(spans[run[0]][0], spans[run[-1]][1], text[spans[run[0]][0] : spans[run[-1]][1]], loss)
        for run, loss in _weighed(len(spans), int(max_predictions), losses)
    ]
    X, labels = read([text]), model.classes_.tolist()
    asked = [(each, represented(each, each.read(X))) for each in members]
    return Explanation(
        text,
        labels[column],
        float(expit(logit)),
        logit,
        tuple(words),
        tuple(
            opinion
            for number, (member, document) in enumerate(asked)
            for opinion in _opinions(member, document, column, labels, number)
        ),
        _neighbors(asked, column),
        _mentions(asked, column, text, spans),
    )


def _open(
    estimator: Any,
) -> tuple[TopKEstimator, Callable[[list[str]], Any]]:
    """Return the model, and what makes of texts what it reads."""
    model = last_step(estimator)
    if not isinstance(model, TopKEstimator):
        raise TypeError(
            f"estimator is a {type(estimator).__name__}; expected a fitted LightXMLClassifier or "
            "LightXMLEnsemble, or a Pipeline that ends in one."
        )
    check_is_fitted(model, "classes_")
    if not (isinstance(estimator, Pipeline) and len(estimator) > 1) and hasattr(
        model, "n_features_in_"
    ):
        raise TypeError(
            f"estimator was fitted on a numeric matrix of {model.n_features_in_} columns and reads "
            "no text. Pass a fitted Pipeline of what makes such a matrix of texts, and of it."
        )
    return model, lambda texts: before_last_step(estimator, texts)


def _column(label: Any, classes: np.ndarray, texts: Sequence[Sequence[str]] | None) -> int:
    labels = classes.tolist()
    try:
        return labels.index(label)
    except ValueError:
        named = () if texts is None else zip(labels, texts, strict=True)
        names = {str(each): some[0] for each, some in named if some}
        wrong = not_among(label, labels, names)
        raise ValueError(f"label {label!r} is {wrong}") from None


def _joint(logits: list[np.ndarray]) -> np.ndarray:
    """Return the logits of the members' mean score, float64."""
    if len(logits) == 1:
        return logits[0].astype(np.float64)
    return averaging.logit_of_mean(logits)


def _words(text: str) -> list[Span]:
    """Return where the words of a text begin and end."""

    def kind(place: int) -> Any:
        character = text[place]
        if character.isspace():
            return None
        if "\u3400" <= character <= "\u9fff":
            return place
        # Not \w, which leaves out the vowel signs of many scripts.
        return f"a{character}".isidentifier() or character in _JOINERS

    runs = [(key, list(run)) for key, run in groupby(range(len(text)), kind)]
    return [(run[0], run[-1] + 1) for key, run in runs if key is not None]


def _weighed(
    n_words: int, max_predictions: int, losses: Callable[[list[range]], list[float]]
) -> list[tuple[range, float]]:
    """Return runs of words that together are all, and what the logit loses without each.

    Single words, if there are not too many. Else half of the predictions go to runs of equal
    length, and the rest to parts of those with the largest losses.
    """
    n_runs = n_words if n_words <= max_predictions else max(1, max_predictions // 2)
    runs = _cut(range(n_words), n_runs)
    found = dict(zip(runs, losses(runs), strict=True))
    left = max_predictions - n_runs
    while left >= _PARTS and (wide := [run for run in found if len(run) > 1]):
        wide.sort(key=lambda run: (-abs(found[run]), run[0]))
        # A quarter of what is left, at the least one run: so the heaviest are followed down to
        # their words.
        chosen = wide[: max(1, left // (4 * _PARTS))]
        parts = [part for run in chosen for part in _cut(run, _PARTS)]
        for run in chosen:
            del found[run]
        found.update(zip(parts, losses(parts), strict=True))
        left -= len(parts)
    return sorted(found.items(), key=lambda item: item[0][0])


def _cut(run: range, n_parts: int) -> list[range]:
    """Cut a run into parts of almost equal length, not more than it has."""
    edges = np.linspace(0, len(run), min(n_parts, len(run)) + 1).astype(int).tolist()
    return [run[a:b] for a, b in pairwise(edges)]


def _asked(n_documents: int, column: int, n_labels: int) -> sp.csr_array:
    """Return a matrix with an entry for one label of each document."""
    columns, pointers = np.full(n_documents, column), np.arange(n_documents + 1)
    ones = np.ones(n_documents, dtype=np.float32)
    return sp.csr_array((ones, columns, pointers), shape=(n_documents, n_labels))


def _opinions(
    model: FittedModel, document: Documents, column: int, labels: list[Any], member: int
) -> list[Opinion]:
    """Return what each ranker says of the label, and which it holds for the likeliest."""
    if model.panel is None:
        return []
    asked, found = _asked(1, column, len(labels)), []
    for ranker in model.panel.rankers:
        said = ranker.score(document, asked)[0].tolist()
        proposed = ranker.propose(document, N_PROPOSALS)
        best = labels[proposed.indices[np.argmax(proposed.data)]] if proposed.nnz else None
        values = dict(zip(ranker.columns, said, strict=True))
        features = _features(model, ranker, document, column)
        found.append(Opinion(ranker.name, values, best, member, features))
    return found


def _features(
    model: FittedModel, ranker: Ranker, document: Documents, column: int
) -> tuple[Feature, ...]:
    """Return what each feature of the document adds to what a ranker says, if it is such a sum."""
    if not isinstance(ranker, Linear):
        return ()
    said = ranker.explain(document, column)
    names = model.feature_names
    # Some vectorizers have no names; a Pipeline or a FeatureUnion of one says so when it is asked.
    with suppress(AttributeError):
        names = model.vectorizer.get_feature_names_out()
    return tuple(
        Feature(f"column {number}" if names is None else str(names[number]), value)
        for number, value in zip(said.columns.tolist(), said.contributions.tolist(), strict=True)
    )


def _mentions(
    asked: list[tuple[FittedModel, Documents]], column: int, text: str, spans: list[Span]
) -> tuple[Mention, ...]:
    """Return where the label's texts stand, if any member has a ranker that reads them."""
    for model, _ in asked:
        for ranker in () if model.panel is None else model.panel.rankers:
            if isinstance(ranker, LabelTexts) and ranker.words is not None:
                assert model.label_texts is not None  # of which the ranker was made
                return mentions_of(text, spans, model.label_texts[column], ranker.words)
    return ()


def _neighbors(asked: list[tuple[FittedModel, Documents]], column: int) -> tuple[Neighbor, ...]:
    """Return the label's nearest training documents: their mean share of all that are asked."""
    shares: dict[int, float] = {}
    n_rankers = 0
    for model, document in asked:
        for ranker in () if model.panel is None else model.panel.rankers:
            if isinstance(ranker, Neighbors | Vectors):
                n_rankers += 1
                found = ranker.explain(document, column)
                for number, share in zip(found.documents.tolist(), found.shares, strict=True):
                    shares[number] = shares.get(number, 0.0) + float(share)
    best = sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:_MOST_NEIGHBORS]
    return tuple(Neighbor(number, share / n_rankers) for number, share in best)
