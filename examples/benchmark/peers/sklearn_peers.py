"""What scikit-learn alone offers: one classifier a label, and nearest neighbours."""

from __future__ import annotations

from typing import Any

import joblib
import numpy as np
import scipy.sparse as sp
from data import Part, size_in_bytes, vectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import LinearSVC

from peers.outcome import Options, Outcome, best_columns, timed

_DOCUMENTS = 500  # scored at a time


def one_vs_rest(train: Part, texts: list[str], options: Options) -> Outcome:
    """A linear SVM for each label, or with ``+logistic`` a logistic regression."""
    base: Any = LinearSVC(C=1.0, random_state=options.seed)
    if "logistic" in options.variants:
        base = LogisticRegression(C=10.0, solver="liblinear", random_state=options.seed)
    tfidf = vectorizer(pairs="pairs" in options.variants)
    features, vectorize_s = timed(lambda: tfidf.fit_transform(train.texts))
    used = np.unique(train.y.indices)  # a label without a document is no class
    # scikit-learn 1.9 numbers the classes in the matrix's own type, and int8 ends at 127.
    y = sp.csr_matrix(train.y[:, used], dtype=np.int64)
    model = OneVsRestClassifier(base, n_jobs=options.threads)
    _, train_s = timed(lambda: model.fit(features, y))
    new = tfidf.transform(texts)

    def predict() -> np.ndarray:
        starts = range(0, new.shape[0], _DOCUMENTS)
        scores = (model.decision_function(new[i : i + _DOCUMENTS]) for i in starts)
        return np.concatenate([used[best_columns(block)] for block in scores])

    topk, predict_s = timed(predict)
    joblib.dump(model, options.scratch / "model")
    return Outcome(topk, vectorize_s, train_s, predict_s, size_in_bytes(options.scratch / "model"))


def nearest(train: Part, texts: list[str], options: Options) -> Outcome:
    """The labels of the 50 nearest training documents, each with its cosine to the power of 3."""
    tfidf = vectorizer(pairs="pairs" in options.variants)
    features, vectorize_s = timed(lambda: tfidf.fit_transform(train.texts))
    n_neighbors = min(50, len(train))
    model = NearestNeighbors(n_neighbors=n_neighbors, metric="cosine", algorithm="brute")
    _, train_s = timed(lambda: model.fit(features))
    new = tfidf.transform(texts)

    def predict() -> np.ndarray:
        blocks = []
        for begin in range(0, new.shape[0], _DOCUMENTS):
            distances, found = model.kneighbors(new[begin : begin + _DOCUMENTS])
            weights = np.clip(1 - distances, 0, None) ** 3
            starts = np.arange(0, found.size + 1, n_neighbors)
            of_documents = sp.csr_array(
                (weights.ravel(), found.ravel(), starts), shape=(len(found), len(train))
            )
            blocks.append(best_columns((of_documents @ train.y).toarray()))
        return np.concatenate(blocks)

    topk, predict_s = timed(predict)
    joblib.dump(model, options.scratch / "model")
    return Outcome(topk, vectorize_s, train_s, predict_s, size_in_bytes(options.scratch / "model"))
