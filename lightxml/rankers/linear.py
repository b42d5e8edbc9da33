"""The ranker "linear": a support vector machine for each label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from joblib import Parallel, delayed

from lightxml.rankers.base import Documents
from lightxml.rankers.sent import sent_once
from lightxml.rankers.sparse import (
    blocks,
    contributions,
    largest_of_product,
    narrow,
    products_at,
    relabeled_rows,
    row_sums,
    stacked,
    transposed,
    widened,
)
from lightxml.rankers.stored import as_halves, checked, count, packed, unpacked

_N_DRAWN = 200
_C = 1.0
_TOLERANCE = 0.1
_N_SWEEPS = 20
# Weights below are dropped: two thirds to three quarters; validation documents rank as well.
_SMALLEST = 0.1
_LABELS_AT_ONCE = 256


@dataclass(frozen=True)
class LinearExplanation:
    """Why a classifier says what it says of one document.

    Attributes
    ----------
    margin, bias : float
        The margin is the bias plus the sum of the contributions.
    columns : ndarray of int64
        The document's features that have a weight, those that say most for the label first.
    contributions : ndarray of float32
        What each adds: its value times its weight.
    """

    margin: float
    bias: float
    columns: np.ndarray
    contributions: np.ndarray


@dataclass(frozen=True)
class Linear:
    """A linear classifier for each label; what it says is the margin ``w . x + b``.

    Attributes
    ----------
    weights : csr_array of float32, shape (n_labels, n_features)
        With the values that float16 has, in which they are saved; indices sorted.
    bias : ndarray of float32, shape (n_labels,)
    """

    name: ClassVar[str] = "linear"

    weights: sp.csr_array
    bias: np.ndarray

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what `score` says."""
        return ("margin",)

    @cached_property
    def _by_feature(self) -> sp.csr_array:
        return transposed(self.weights)

    def propose(self, documents: Documents, k: int) -> sp.csr_array:
        """Return the labels with the largest ``w . x`` above 0, as `Ranker.propose` does.

        The values are the margins. The bias does not choose: it is about the same for all labels,
        and without it the labels that share no weighted feature with the document are not read.
        """
        found = largest_of_product(narrow(documents.rows), self._by_feature, k)
        found.data += self.bias[found.indices]
        return found

    def score(self, documents: Documents, candidates: sp.csr_array) -> np.ndarray:
        """Return the margins of the candidates, as `Ranker.score` does."""
        products = products_at(documents.rows, self.weights, self._by_feature, candidates)
        return (products + self.bias[candidates.indices])[:, None]

    def update(
        self,
        documents: Documents,
        y: sp.csr_array,
        likely: sp.csr_array,
        labels: np.ndarray,
        *,
        seed: int,
        sample_weight: np.ndarray | None = None,
        n_jobs: int | None = None,
    ) -> Linear:
        """Return a ranker with the classifiers of some labels fitted anew.

        Parameters
        ----------
        documents, y, likely, seed, sample_weight, n_jobs
            As `fit_linear` takes them: all documents, the new ones among them. Labels may have
            been appended.
        labels : ndarray of int64
            Column numbers, each once; appended labels that are not among them get a classifier
            that says no.
        """
        weights, bias = fit_classifiers(
            documents,
            y,
            likely,
            labels,
            seed=seed,
            sample_weight=sample_weight,
            n_jobs=n_jobs,
        )
        return self.replaced(labels, weights, bias, y.shape[1])

    def replaced(
        self, labels: np.ndarray, weights: sp.csr_array, bias: np.ndarray, n_labels: int
    ) -> Linear:
        """Return a ranker of so many labels, with other classifiers for some; new ones say no."""
        n_old = len(self.bias)
        source = np.full(n_labels, -1)
        source[:n_old] = np.arange(n_old)
        source[labels] = n_old + np.arange(len(labels))
        together = stacked([self.weights, weights], weights.shape[1])
        return Linear(together, np.concatenate([self.bias, bias])).relabeled(source)

    def widened(self, n_features: int) -> Linear:
        """Return the ranker for documents with more features, which it gives no weight."""
        return Linear(widened(self.weights, n_features), self.bias)

    def relabeled(self, source: np.ndarray) -> Linear:
        """Return a ranker of other labels, as `Ranker.relabeled` does; new ones say no."""
        bias = np.where(source < 0, np.float32(-1), self.bias[source])
        return Linear(relabeled_rows(self.weights, source), bias)

    def explain(self, document: Documents, label: int) -> LinearExplanation:
        """Return what each feature of the one document adds to a label's margin."""
        columns, added = contributions(document.rows, self.weights, label)
        bias = float(self.bias[label])
        return LinearExplanation(bias + float(added.sum()), bias, columns, added)

    def describe(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return settings and arrays, as `Ranker.describe` does."""
        n_labels, n_features = self.weights.shape
        settings = {"n_labels": int(n_labels), "n_features": int(n_features)}
        return settings, {**packed("weights", self.weights), "bias": self.bias}

    @classmethod
    def made_of(cls, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Linear:
        """Return the ranker that `describe` described.

        Raises
        ------
        ValueError
            If the arrays are not such as `describe` gives them.
        """
        shape = count(settings, "n_labels"), count(settings, "n_features")
        return cls(
            unpacked("weights", arrays, shape), checked(arrays, "bias", np.float32, shape[0])
        )


def fit_linear(
    documents: Documents,
    y: sp.csr_array,
    likely: sp.csr_array,
    *,
    seed: int,
    sample_weight: np.ndarray | None = None,
    n_jobs: int | None = None,
) -> Linear:
    """Fit a linear support vector machine for each label.

    Parameters
    ----------
    documents : Documents
    y : csr_array, shape (n_documents, n_labels)
        An entry is a label of a document.
    likely : csr_array, shape (n_documents, n_labels)
        An entry is a label that a retriever takes for likely, the document itself left out: the
        label's classifier must tell it from the label's own documents.
    seed : int
        From 0 to below 2**64. With a label's number, it decides the documents drawn and the
        solver's order.
    sample_weight : ndarray of float, shape (n_documents,), or None
        The factor of C for each document; 0 leaves it out.
    n_jobs : int or None
        Threads, as joblib counts them, or what a `joblib.parallel_config` of the caller's makes.
        The result is the same with any number and any backend.

    Returns
    -------
    Linear

    References
    ----------
    One classifier a label with small weights dropped: Babbar, Schölkopf, "DiSMEC", WSDM 2017.
    Negatives that a first stage takes for likely: Zhang et al., "Fast Multi-Resolution
    Transformer Fine-tuning for Extreme Multi-label Text Classification", NeurIPS 2021, section
    3.2. Squared hinge loss and solver: Hsieh et al., "A Dual Coordinate Descent Method for
    Large-scale Linear SVM", ICML 2008.
    """
    labels = np.arange(y.shape[1])
    return Linear(
        *fit_classifiers(
            documents,
            y,
            likely,
            labels,
            seed=seed,
            sample_weight=sample_weight,
            n_jobs=n_jobs,
        )
    )


def fit_classifiers(
    documents: Documents,
    y: sp.csr_array,
    likely: sp.csr_array,
    labels: np.ndarray,
    *,
    seed: int,
    groups: np.ndarray | None = None,
    most_likely: int | None = None,
    n_drawn: int = _N_DRAWN,
    sample_weight: np.ndarray | None = None,
    n_jobs: int | None = None,
) -> tuple[sp.csr_array, np.ndarray]:
    """Fit the classifiers of some labels.

    Parameters
    ----------
    documents, y, seed, sample_weight, n_jobs
        As `fit_linear` takes them.
    likely : csr_array, shape (n_documents, n_groups)
        Its column of the label's group has the documents that the label's own are told from.
    labels : ndarray of int64
        Column numbers of `y`.
    groups : ndarray of int64, shape (n_labels,), or None
        None: each label is its own group.
    most_likely : int or None
        Where more documents are likely, so many are drawn of them, with replacement.
    n_drawn : int
        Documents drawn besides, of all, with replacement.

    Returns
    -------
    weights : csr_array of float32, shape (len(labels), n_features)
    bias : ndarray of float32, shape (len(labels),)
    """
    from lightxml.rankers.solver import compiled, solve

    compiled()  # once, before several threads or processes want it
    rows = documents.rows
    of_label, likely_for = sp.csc_array(y), sp.csc_array(likely)
    costs = np.ones(len(documents)) if sample_weight is None else sample_weight.astype(np.float64)
    shared = (
        rows.indptr.astype(np.int64),
        rows.indices.astype(np.int32, copy=False),
        rows.data.astype(np.float32, copy=False),
        row_sums(rows.data.astype(np.float64) ** 2, rows.indptr),
        rows.shape[1],
        of_label.indptr.astype(np.int64),
        of_label.indices.astype(np.int32, copy=False),
        likely_for.indptr.astype(np.int64),
        likely_for.indices.astype(np.int32, copy=False),
        np.arange(y.shape[1]) if groups is None else groups,
        _C * costs,
    )
    most_likely = len(documents) if most_likely is None else most_likely
    how = (np.uint64(seed), most_likely, n_drawn, _TOLERANCE, _N_SWEEPS, _SMALLEST)
    parts = [
        labels[begin:end].astype(np.int64) for begin, end in blocks(len(labels), _LABELS_AT_ONCE)
    ]
    # Rather threads: the solver holds no lock of Python's, and nothing is copied.
    shared = sent_once(shared)
    fitted = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(solve)(*shared, part, *how) for part in parts
    )
    if not fitted:
        return sp.csr_array((0, rows.shape[1]), dtype=np.float32), np.empty(0, dtype=np.float32)
    counts, columns, weights, bias = (np.concatenate(each) for each in zip(*fitted, strict=True))
    pointers = np.concatenate([[0], np.cumsum(counts)])
    matrix = sp.csr_array(
        (as_halves(weights), columns, pointers), shape=(len(labels), rows.shape[1])
    )
    matrix = narrow(matrix)
    matrix.sort_indices()
    return matrix, bias.astype(np.float32)
