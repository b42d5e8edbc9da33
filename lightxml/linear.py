"""A linear classifier of its own for each label, on the sparse features, beside the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from joblib import Parallel, delayed
from sklearn.svm import LinearSVC

from lightxml.batches import SparseBatch
from lightxml.heads import Shares
from lightxml.progress import Progress

# Chosen on validation documents (docs/features.md).
N_CANDIDATES = 30  # labels of each training document that the network finds likeliest
_N_RANDOM = 200  # other documents that a label's classifier sees
_C = 1.0
_TOLERANCE = 0.1  # of the solver; the ranking no longer changes below it
_SMALLEST = 0.03  # weights below are dropped: more than half, and the ranking is none the worse
# What a classifier of a label without documents, or with all of them, would say of every one.
_SURE = 1.0

_LOGITS_A_MARGIN = 4.0  # scores are then about right: 0.66 of those said to be 0.66
_LABELS_AT_ONCE = 32
_SCORES_AT_ONCE = 2**22


@dataclass(frozen=True)
class LinearClassifiers:
    """A linear classifier for each label, whose logit is averaged with the network's.

    A margin m counts as the logit ``4 m``, and a label's logit is ``(1 - weight)`` times the
    network's plus `weight` times that.

    Attributes
    ----------
    weights : csr_array of float32, shape (n_columns, n_labels)
        With the values that float16 has, in which they are saved. The columns are those of
        `SparseEmbedding`.
    bias : ndarray of float32, shape (n_labels,)
    weight : float
        From 0 to below 1.
    """

    weights: sp.csr_array
    bias: np.ndarray
    weight: float

    def __call__(self, features: SparseBatch) -> Shares:
        """Return what gives the part added to the network's logits, before the sum is scaled."""
        rows = features.by_row
        # scipy copies all weights where the batch's numbers are wider than theirs.
        kind = self.weights.indices.dtype
        numbers = rows.numbers.cpu().numpy().astype(kind)
        pointers = np.append(rows.starts.cpu().numpy(), len(numbers)).astype(kind)
        shape = (len(rows.starts), self.weights.shape[0])
        batch = sp.csr_array((rows.weights.cpu().numpy(), numbers, pointers), shape=shape)
        margins = np.empty((shape[0], len(self.bias)), dtype=np.float32)
        size = max(1, _SCORES_AT_ONCE // len(self.bias))
        for begin in range(0, shape[0], size):
            (batch[begin : begin + size] @ self.weights).toarray(out=margins[begin : begin + size])
        margins += self.bias
        margins *= _LOGITS_A_MARGIN * self.weight / (1.0 - self.weight)
        added = torch.from_numpy(margins).to(rows.weights.device)
        return lambda begin, end: added[:, begin:end]

    def check(self) -> None:
        """Refuse numbers out of range: compiled code would read beyond the arrays.

        Raises
        ------
        ValueError
        """
        pointers, labels = self.weights.indptr, self.weights.indices
        rises = pointers[0] == 0 and pointers[-1] == len(labels) and (np.diff(pointers) >= 0).all()
        if not rises:
            raise ValueError("the weights of its linear classifiers do not begin where they should")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.bias):
            raise ValueError("its linear classifiers have a label out of range")


def fit_classifiers(
    features: sp.csr_array,
    y: sp.csr_array,
    candidates: np.ndarray,
    weight: float,
    *,
    seed: int,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> LinearClassifiers:
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
    weight : float
    seed : int
        With a label's number, it decides the documents drawn, and the solver's order.
    n_jobs : int or None
        Threads.
    verbose : int
        1 shows progress.

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

    def fit_some(labels: range) -> list[tuple[np.ndarray, np.ndarray, float]]:
        return [fit_one(label) for label in labels]

    def fit_one(label: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the columns with a weight, the weights, and the bias."""
        own = of_label.indices[of_label.indptr[label] : of_label.indptr[label + 1]]
        none = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float16)
        if not len(own):
            return *none, -_SURE
        taken = likely.indices[likely.indptr[label] : likely.indptr[label + 1]]
        drawn = np.random.default_rng([seed, label]).integers(n_documents, size=_N_RANDOM)
        documents = np.unique(np.concatenate([own, taken, drawn]))
        is_own = np.isin(documents, own)
        if is_own.all():
            return *none, _SURE
        machine = LinearSVC(C=_C, tol=_TOLERANCE, dual=True, random_state=seed)
        machine.fit(doubles[documents], is_own)
        weights = machine.coef_[0]
        columns = np.flatnonzero(np.abs(weights) > _SMALLEST)
        return columns.astype(np.int32), weights[columns].astype(np.float16), machine.intercept_[0]

    parts = [
        range(begin, min(begin + _LABELS_AT_ONCE, n_labels))
        for begin in range(0, n_labels, _LABELS_AT_ONCE)
    ]
    # Threads: the solver lets others run, and all read one matrix.
    found = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
        delayed(fit_some)(part) for part in parts
    )
    progress = Progress(
        f"a linear classifier for each of {n_labels:,} labels",
        n_documents=n_labels,
        on_cpu=False,  # a GPU would not help
        unit="label",
        verbose=verbose,
    )
    fitted: list[tuple[np.ndarray, np.ndarray, float]] = []
    with progress:
        for part in found:
            fitted += part
            progress.step(len(part), len(part))
    pointers = np.cumsum([0, *(len(columns) for columns, _, _ in fitted)])
    by_label = sp.csc_array(
        (
            np.concatenate([weights for _, weights, _ in fitted]).astype(np.float32),
            np.concatenate([columns for columns, _, _ in fitted]),
            pointers,
        ),
        shape=(features.shape[1], n_labels),
    )
    bias = np.array([bias for _, _, bias in fitted], dtype=np.float32)
    return LinearClassifiers(by_label.tocsr(), bias, weight)
