"""A fitted vectorizer that learns the words of more documents."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer


def with_words_of(vectorizer: Any, texts: Sequence[str]) -> Any:
    """Return a vectorizer that also knows the words that a new fit would choose.

    Of the documents of a new fit, that is: here `min_df` and `max_df` count. Otherwise as
    `with_new_words`.

    Parameters
    ----------
    vectorizer : fitted transformer
    texts : sequence of str
    """
    if type(vectorizer) not in (TfidfVectorizer, CountVectorizer):
        return vectorizer
    if vectorizer.vocabulary is not None:
        return vectorizer
    try:
        chosen = clone(vectorizer).fit(texts).vocabulary_
    except ValueError:  # no word is left, and none is needed: some are known
        return vectorizer
    return with_new_words(vectorizer, texts, len(texts), chosen)


def with_new_words(
    vectorizer: Any,
    texts: Sequence[str],
    n_documents: int,
    words: Collection[str] | None = None,
) -> Any:
    """Return a vectorizer that also knows words which come with new documents.

    They get columns behind the others, which stay as they are, with their idf: what was learned
    from those columns holds. A new word's idf is that of the documents together, as far as it is
    known: earlier ones may have held it less than `min_df` times. `min_df` does not count here: a
    word that comes once may come again with the next documents.

    Parameters
    ----------
    vectorizer : fitted transformer
        It is left as it is. Of another kind than `TfidfVectorizer` and `CountVectorizer`, or with
        a vocabulary of the user's own, it learns nothing, and is returned.
    texts : sequence of str
    n_documents : int
        Earlier documents and these.
    words : collection of str, or None
        Those that may be learned; None: all.
    """
    if type(vectorizer) not in (TfidfVectorizer, CountVectorizer):
        return vectorizer
    if vectorizer.vocabulary is not None:
        return vectorizer
    known = vectorizer.vocabulary_
    analyze = vectorizer.build_analyzer()
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(set(analyze(text)))
    may = counts if words is None else words
    new = sorted(word for word in counts if word in may and word not in known)
    if vectorizer.max_features is not None:
        room = max(vectorizer.max_features - len(known), 0)
        new = sorted(sorted(new, key=lambda word: -counts[word])[:room])
    if not new:
        return vectorizer
    idf = None
    if type(vectorizer) is TfidfVectorizer and vectorizer.use_idf:
        smooth = int(vectorizer.smooth_idf)  # as TfidfTransformer computes it
        frequencies = np.array([counts[word] for word in new])
        of_new = np.log((n_documents + smooth) / (frequencies + smooth)) + 1
        idf = np.concatenate([vectorizer.idf_, of_new]).astype(vectorizer.idf_.dtype)
    terms = [*sorted(known, key=known.__getitem__), *new]
    return fitted_vectorizer(type(vectorizer), vectorizer.get_params(), terms, idf)


def fitted_vectorizer(
    kind: type[CountVectorizer], params: dict[str, Any], terms: list[str], idf: np.ndarray | None
) -> Any:
    """Return a vectorizer as if it had been fitted to these words.

    Parameters
    ----------
    kind : TfidfVectorizer or CountVectorizer
    params : dict
        Its arguments; without "vocabulary", it has none of the user's.
    terms : list of str
        In the order of their columns.
    idf : ndarray of float, shape (n_terms,), or None
    """
    # A fit on any text checks the arguments, builds what is to be built and keeps the vocabulary.
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # they were given at the first fit
        vectorizer = kind(**{**params, "vocabulary": terms}).fit(["a"])
    if idf is not None:
        vectorizer.idf_ = idf
    return vectorizer.set_params(vocabulary=params.get("vocabulary"))
