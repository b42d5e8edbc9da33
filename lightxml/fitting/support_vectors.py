"""Fit a linear support vector machine for each label."""

from __future__ import annotations

import threading

import numpy as np
import scipy.sparse as sp
from joblib import Parallel, delayed
from sklearn.svm import LinearSVC

from lightxml.runtime.progress import Progress

# Chosen on validation documents (docs/features.md).
N_CANDIDATES = 30  # labels of each training document that the network finds likeliest
_N_RANDOM = 200  # other documents that a label's classifier sees
_C = 1.0
_TOLERANCE = 0.1  # of the solver; the ranking no longer changes below it
_SMALLEST = 0.03  # weights below are dropped: more than half, and the ranking is none the worse
# What a classifier of a label without documents, or with all of them, would say of every one.
_SURE = 1.0

_LABELS_AT_ONCE = 32
# The solver draws from one generator of the whole process, which each fit seeds anew.
_ONE_AT_A_TIME = threading.Lock()

# The columns with a weight, the weights, and the bias.
Fitted = tuple[np.ndarray, np.ndarray, float]


def fit_classifiers(
    features: sp.csr_array,
    y: sp.csr_array,
    candidates: np.ndarray,
    *,
    seed: int,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> tuple[sp.csr_array, np.ndarray]:
    """Fit a linear support vector machine for each label.

    It tells the label's documents from those for which the network takes it for likely, and from
    some drawn at random; all others are told from it by the network.

    Parameters
    ----------
    features : csr_array of float32, shape (n_documents, n_columns)
        Rows of length 1, as `SparseEmbedding.prepare` gives them.
    y : csr_array, shape (n_documents, n_labels)
    candidates : ndarray of int64, shape (n_documents, k)
        The network's best labels of each document.
    seed : int
        With a label's number, it decides the documents drawn, and the solver's order.
    n_jobs : int or None
        Processes, as joblib counts them. The result is the same with any number.
    verbose : int
        1 shows progress.

    Returns
    -------
    weights : csr_array of float32, shape (n_columns, n_labels)
        Those above 0.03, with the values that float16 has.
    bias : ndarray of float32, shape (n_labels,)

    References
    ----------
    One classifier a label with small weights dropped: Babbar, Schölkopf, "DiSMEC", WSDM 2017.
    Negatives that a first stage takes for likely: Zhang et al., "Fast Multi-Resolution
    Transformer Fine-tuning for Extreme Multi-label Text Classification", NeurIPS 2021, section
    3.2. Squared hinge loss, solved as in Hsieh et al., "A Dual Coordinate Descent Method for
    Large-scale Linear SVM", ICML 2008.
    """
    n_documents, n_labels = y.shape
    doubles = features.astype(np.float64)  # what the solver reads: converted once
    of_label = sp.csc_array(y)
    likely = sp.csc_array(
        (
            np.ones(candidates.size, dtype=np.int8),
            candidates.ravel(),
            np.arange(0, candidates.size + 1, candidates.shape[1]),
        ),
        shape=(n_labels, n_documents),
    ).tocsr()
    parts = [
        range(begin, min(begin + _LABELS_AT_ONCE, n_labels))
        for begin in range(0, n_labels, _LABELS_AT_ONCE)
    ]
    found = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_fit_some)(
            doubles, [(label, _rows(of_label, label), _rows(likely, label)) for label in part], seed
        )
        for part in parts
    )
    progress = Progress(
        f"a linear classifier for each of {n_labels:,} labels",
        n_documents=n_labels,
        on_cpu=False,  # a GPU would not help
        unit="label",
        verbose=verbose,
    )
    fitted: list[Fitted] = []
    with progress:
        for some in found:
            fitted += some
            progress.step(len(some), len(some))
    pointers = np.cumsum([0, *(len(columns) for columns, _, _ in fitted)])
    by_label = sp.csc_array(
        (
            np.concatenate([weights for _, weights, _ in fitted]).astype(np.float32),
            np.concatenate([columns for columns, _, _ in fitted]),
            pointers,
        ),
        shape=(features.shape[1], n_labels),
    )
    return by_label.tocsr(), np.array([bias for _, _, bias in fitted], dtype=np.float32)


def _rows(matrix: sp.csr_array | sp.csc_array, label: int) -> np.ndarray:
    return matrix.indices[matrix.indptr[label] : matrix.indptr[label + 1]]


def _fit_some(
    features: sp.csr_array, labels: list[tuple[int, np.ndarray, np.ndarray]], seed: int
) -> list[Fitted]:
    """Fit the classifiers of labels, each with its documents and those it is likely for."""
    return [_fit_one(features, label, own, likely, seed) for label, own, likely in labels]


def _fit_one(
    features: sp.csr_array, label: int, own: np.ndarray, likely: np.ndarray, seed: int
) -> Fitted:
    none = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float16)
    if not len(own):
        return *none, -_SURE
    drawn = np.random.default_rng([seed, label]).integers(features.shape[0], size=_N_RANDOM)
    documents = np.unique(np.concatenate([own, likely, drawn]))
    is_own = np.isin(documents, own)
    if is_own.all():
        return *none, _SURE
    rows = features[documents]
    # The solver takes no other numbers; so few documents do not need them.
    narrow = rows.indices.astype(np.int32, copy=False), rows.indptr.astype(np.int32, copy=False)
    rows = sp.csr_array((rows.data, *narrow), shape=rows.shape)
    machine = LinearSVC(C=_C, tol=_TOLERANCE, dual=True, random_state=seed)
    with _ONE_AT_A_TIME:
        machine.fit(rows, is_own)
    weights = machine.coef_[0]
    columns = np.flatnonzero(np.abs(weights) > _SMALLEST)
    return columns.astype(np.int32), weights[columns].astype(np.float16), machine.intercept_[0]
