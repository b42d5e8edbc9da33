"""Why a model gives a text a label: the words and the training documents that speak for it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby, pairwise
from numbers import Integral
from typing import Any

import numpy as np
import torch
from scipy.special import expit
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted, check_scalar

from lightxml.classifier import LightXMLClassifier
from lightxml.data.texts import check_texts
from lightxml.ensemble import LightXMLEnsemble
from lightxml.inspection.explanation import Explanation, Neighbour, Word
from lightxml.metrics.pipelines import before_last_step, last_step
from lightxml.network import prediction
from lightxml.network.batches import collate
from lightxml.predicting import averaging

__all__ = ["Explanation", "Neighbour", "Word", "explain"]

_PARTS = 4  # that several words taken together are cut into, for a closer look
_MOST_NEIGHBOURS = 10
_JOINERS = "\u200c\u200d"

Span = tuple[int, int]


def explain(
    estimator: LightXMLClassifier | LightXMLEnsemble | Pipeline,
    text: str,
    label: Any = None,
    *,
    max_predictions: int = 256,
) -> Explanation:
    """Show what in a text speaks for a label.

    A word's weight is what the label's logit loses without it: the text is predicted again with a
    blank in the word's place (occlusion [1]_, of words as in [2]_). That asks the model itself,
    whatever it is made of: a trained or frozen encoder, features, label clusters, the members of
    an ensemble, the steps of a `Pipeline`. Weights do not add up to the logit: of two words that
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
        Altered texts that are predicted, at most. Where there are more words, neighbouring ones
        are first taken together, and those with the largest weights are looked at more closely:
        a `Word` of the answer may then be several. Words of opposite weight hide each other there.

    Returns
    -------
    Explanation
        Shown as a table in a terminal, in colours in a notebook; ``to_html()`` is a page.

    Raises
    ------
    TypeError
        If `text` is no str, `estimator` none of the above, or it reads no texts.
    ValueError
        If `label` is not among the model's labels, `max_predictions` is below 1, or `text` is no
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
    >>> texts = ["cats purr and sleep", "dogs bark and run", "cats and dogs are pets"] * 8
    >>> labels = [["cat"], ["dog"], ["cat", "dog"]] * 8
    >>> model = LightXMLClassifier(None, features=TfidfVectorizer(), max_epochs=8, random_state=0)
    >>> words = explain(model.fit(texts, labels), "do cats run", "cat").words
    >>> max(words, key=lambda word: word.weight).text
    'cats'
    """
    model, read = _open(estimator)
    check_scalar(max_predictions, "max_predictions", Integral, min_val=1)
    if not isinstance(text, str):
        raise TypeError(f"text is of type {type(text).__name__}; expected one document, a str.")
    (text,) = check_texts([text], name="text")
    members = model.estimators_ if isinstance(model, LightXMLEnsemble) else [model]
    if label is None:
        label = model.predict_topk(read([text]), 1)[0, 0]
    column = _column(label, model.classes_)

    def logits(texts: list[str]) -> np.ndarray:
        """Return the label's logits, float64 of shape (n_texts,)."""
        X, columns = read(texts), np.full((len(texts), 1), column)
        found = [
            # Past `memory`: its vectors are of the documents that were trained on.
            prediction.predict_logits_of(member.network_, member._model.read(X), columns)
            for member in members
        ]
        return _joint(found)[:, 0]

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
    neighbours, weight = _neighbours(members, read([text]), column)
    return Explanation(
        text,
        model.classes_.tolist()[column],
        float(expit(logit)),
        logit,
        tuple(words),
        neighbours,
        weight,
    )


def _open(
    estimator: Any,
) -> tuple[LightXMLClassifier | LightXMLEnsemble, Callable[[list[str]], Any]]:
    """Return the model, and what makes of texts what it reads."""
    model = last_step(estimator)
    if not isinstance(model, (LightXMLClassifier, LightXMLEnsemble)):
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


def _column(label: Any, classes: np.ndarray) -> int:
    try:
        return classes.tolist().index(label)
    except ValueError:
        raise ValueError(
            f"label {label!r} is not among the {len(classes):,} labels of the model, such as "
            f"{classes[:1].tolist()[0]!r}."
        ) from None


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


def _neighbours(
    members: list[LightXMLClassifier], X: Any, column: int
) -> tuple[tuple[Neighbour, ...], float]:
    """Return the label's nearest training documents, and what the logit loses without all."""
    if all(member.network_.neighbours is None for member in members):
        return (), 0.0
    with_them, without, shares, documents = [], [], [], []
    for member in members:
        network = member.network_
        documents_read = member._model.read(X)
        represented = prediction.represent_all(network, documents_read)
        first = collate(documents_read, np.array([0]), network.pad_id, network.device)
        with torch.inference_mode():
            alone = network.logits(represented, first, neighbours=False)[:, column]
            without.append(alone.cpu().numpy())
            if network.neighbours is None:
                with_them.append(without[-1])
                continue
            kept = network.neighbours
            both = network.logits(represented, first)[:, column]
            with_them.append(both.cpu().numpy())
            own = kept.documents[kept.starts[column] : kept.starts[column + 1]]
            shares.append(kept.attention(represented)[own, 0].cpu().numpy())
            documents.append(own.cpu().numpy())
    weight = float((_joint(with_them) - _joint(without))[0])
    if any(not np.array_equal(documents[0], own) for own in documents[1:]):
        return (), weight
    mean = np.mean(shares, axis=0)
    best = np.argsort(-mean, kind="stable")[:_MOST_NEIGHBOURS]
    found = zip(documents[0][best].tolist(), mean[best].tolist(), strict=True)
    return tuple(Neighbour(document, share) for document, share in found), weight
