"""What scikit-learn alone offers: one classifier a label, and nearest neighbors."""

from __future__ import annotations

from typing import Any

import joblib
import numpy as np
import scipy.sparse as sp
from data import Part, size_in_bytes
from joblib.externals.loky import get_reusable_executor
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import LinearSVC

from peers.outcome import BLOCK, Options, Outcome, best_columns, rows_of, timed


def one_vs_rest(train: Part, texts: list[str], options: Options) -> Outcome:
    """A linear SVM for each label, or with ``+logistic`` a logistic regression, C = 10.

    It decides as its `predict` does: an SVM above a score of 0, a regression above 0.5.
    """
    base: Any = LinearSVC(C=1.0, random_state=options.seed)
    if is_logistic := "logistic" in options.variants:
        base = LogisticRegression(C=10.0, solver="liblinear", random_state=options.seed)
    rows = rows_of(train, options)
    model = OneVsRestClassifier(base, n_jobs=options.threads)

    def fit() -> None:
        model.fit(sp.csr_matrix(rows.X), sp.csr_matrix(rows.y))
        get_reusable_executor().shutdown()  # of processes that have ended, CPU time is known

    _, train_s = timed(fit)
    score = model.predict_proba if is_logistic else model.decision_function
    least = 0.5 if is_logistic else 0.0
    columns, said, given = [], [], []

    def predict() -> None:
        new = rows.new(texts)
        for begin in range(0, new.shape[0], BLOCK):
            scores = score(sp.csr_matrix(new[begin : begin + BLOCK]))
            columns.extend(best_columns(scores))
            said.extend(np.take_along_axis(scores, best_columns(scores), axis=1).tolist())
            given.extend(np.flatnonzero(row > least) for row in scores)

    _, predict_s = timed(predict)
    joblib.dump(model, options.scratch / "model")
    return Outcome(
        rows.labels(columns), rows.took, train_s, predict_s,
        size_in_bytes(options.scratch / "model"),
        said if is_logistic else None, rows.labels(given),
    )  # fmt: skip


def nearest(train: Part, texts: list[str], options: Options) -> Outcome:
    """The labels of the 50 nearest training documents, each with its cosine to the power of 3."""
    rows = rows_of(train, options)
    n = rows.X.shape[0]
    n_neighbors = min(50, n)
    model = NearestNeighbors(n_neighbors=n_neighbors, metric="cosine", algorithm="brute")
    _, train_s = timed(lambda: model.fit(rows.X))

    def predict() -> np.ndarray:
        blocks, new = [], rows.new(texts)
        for begin in range(0, new.shape[0], BLOCK):
            distances, found = model.kneighbors(new[begin : begin + BLOCK])
            weights = np.clip(1 - distances, 0, None) ** 3
            starts = np.arange(0, found.size + 1, n_neighbors)
            of_documents = sp.csr_array(
                (weights.ravel(), found.ravel(), starts), shape=(len(found), n)
            )
            blocks.append(best_columns((of_documents @ rows.y).toarray()))
        return np.concatenate(blocks)

    topk, predict_s = timed(predict)
    joblib.dump(model, options.scratch / "model")
    size = size_in_bytes(options.scratch / "model")
    return Outcome(rows.labels(topk), rows.took, train_s, predict_s, size)
