"""What a learner is given beside its documents, and what it gives back."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp
from data import K, Part, vectorizer

Made = TypeVar("Made")
BLOCK = 500  # documents scored at a time, where scores are dense


@dataclass(frozen=True)
class Options:
    """How to run.

    Attributes
    ----------
    setting : str
        As the command line names it: a learner's name, and a variant of it after each ``+``.
    names : dict of str to str
        The texts of labels that the setting is given; empty without.
    seed : int
    encoder : str or None
        A folder or a hub name.
    max_length : int
    max_epochs : int or None
        Of a trained encoder; None: the learner's own default.
    arguments : dict
        Other arguments of ours.
    memory : str or None
        A folder that keeps a frozen encoder's vectors.
    checkpoints : str or None
        A folder for those of a trained encoder.
    environments : str
        A folder for Python environments of learners that this one cannot hold.
    scratch : Path
        An empty folder, deleted afterwards.
    threads : int
    """

    setting: str
    names: Mapping[str, str]
    seed: int
    encoder: str | None
    max_length: int
    max_epochs: int | None
    arguments: Mapping[str, Any]
    memory: str | None
    checkpoints: str | None
    environments: str
    scratch: Path
    threads: int

    @property
    def variants(self) -> list[str]:
        """What follows the learner's name."""
        return self.setting.split("+")[1:]

    def tfidf(self) -> Any:
        """Return the vectorizer of the setting, the same for all learners."""
        return vectorizer(pairs="pairs" in self.variants, titles="titles" in self.variants)


@dataclass(frozen=True)
class Seconds:
    """Of wall time, and of CPU time: of all threads, and of child processes that have ended."""

    wall: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall + other.wall, self.cpu + other.cpu)

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall - other.wall, self.cpu - other.cpu)


@dataclass(frozen=True)
class Outcome:
    """A ranking, what it took, and the size of the model on disk.

    Attributes
    ----------
    ranked : list of list of str
        At most K labels for each document, best first.
    vectorize, train, predict : Seconds
        ``predict`` is from texts.
    model_bytes : int
    probabilities : list of list of float, or None
        Of the labels ranked; None where the learner's scores are none.
    given : list of list of str, or None
        The labels that the learner decides for; None where it only ranks.
    """

    ranked: list[list[str]]
    vectorize: Seconds
    train: Seconds
    predict: Seconds
    model_bytes: int
    probabilities: list[list[float]] | None = None
    given: list[list[str]] | None = None


def timed(work: Callable[[], Made]) -> tuple[Made, Seconds]:
    """Return what some work makes, and the seconds that it takes."""
    began, cpu = time.perf_counter(), _cpu()
    made = work()
    return made, Seconds(time.perf_counter() - began, _cpu() - cpu)


def _cpu() -> float:
    of_children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + of_children.ru_utime + of_children.ru_stime


@dataclass(frozen=True)
class Rows:
    """What peers learn from: TF-IDF of the documents and, as one more document each, of the names.

    Attributes
    ----------
    tfidf : fitted vectorizer
    X : csr_array of float32, shape (n_documents, n_features)
    y : csr_array of int64, shape (n_documents, n_labels)
    classes : list of str
        The columns of `y`.
    took : Seconds
    """

    tfidf: Any
    X: sp.csr_array
    y: sp.csr_array
    classes: list[str]
    took: Seconds

    def new(self, texts: Sequence[str]) -> sp.csr_array:
        """Return the rows of other documents."""
        return sp.csr_array(self.tfidf.transform(texts))

    def labels(self, columns: np.ndarray | Sequence[Sequence[int]]) -> list[list[str]]:
        """Return the labels of rows of columns."""
        return [[self.classes[j] for j in row] for row in columns]


def rows_of(train: Part, options: Options) -> Rows:
    """Vectorize the documents, and the names that the setting is given."""
    names = options.names
    whole = Part([*train.texts, *names.values()], [*train.labels, *([label] for label in names)])
    tfidf = options.tfidf()
    X, took = timed(lambda: sp.csr_array(tfidf.fit_transform(whole.texts)))
    classes = whole.classes
    return Rows(tfidf, X, whole.y(classes), classes, took)


def best_columns(scores: np.ndarray) -> np.ndarray:
    """Return the columns of each row's K largest scores (all, if there are fewer), best first."""
    k = min(K, scores.shape[1])
    top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
    return np.take_along_axis(top, order, axis=1)
