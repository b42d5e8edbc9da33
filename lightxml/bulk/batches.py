"""Predictions of batches as they come, in their order, by this process or by several."""

from __future__ import annotations

import multiprocessing
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain
from typing import Any

import numpy as np

_WAITING = 2  # batches a process, handed out before the first answer is asked for

_Answer = tuple[np.ndarray, np.ndarray]


def predict_batches(
    model: Any,
    batches: Iterable[Sequence[str]],
    k: int | None = None,
    *,
    n_jobs: int = 1,
    labels: Any = None,
    exclude: Any = None,
) -> Iterator[_Answer]:
    """Rank labels for batches of documents as they come: a generator in, a generator out.

    At most two batches a process are in memory. The processes are forked when the first batch is
    done: they share the memory of the model, and do not copy it.

    Parameters
    ----------
    model : fitted LightXMLClassifier or LightXMLEnsemble
        On the CPU, if `n_jobs` is more than 1.
    batches : iterable of sequences of documents, as at `fit`
        Some 1,000 documents each are quick.
    k : int or None, default=None
        As `predict_topk` takes it.
    n_jobs : int, default=1
        Processes. One: this process predicts.
    labels, exclude : sequence of labels, or None, default=None
        As `predict_topk` takes them; not a list for each document.

    Yields
    ------
    labels, scores
        Those of `predict_topk` for each batch, in the order of the batches.

    Raises
    ------
    ValueError
        If `n_jobs` is below 1, or more than 1 where this system cannot fork or the model is on a
        GPU; and what `predict_topk` raises, once the batches before were yielded.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from lightxml import LightXMLClassifier
    >>> from lightxml.bulk import predict_batches
    >>> model = LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0)
    >>> model = model.fit(["cats purr", "dogs bark"] * 8, [["cat"], ["dog"]] * 8)
    >>> batches = (["dogs run", "cats run"] for _ in range(2))
    >>> for labels, scores in predict_batches(model, batches, k=1):
    ...     print(labels.ravel().tolist())
    ['dog', 'cat']
    ['dog', 'cat']
    """
    check_jobs(model, n_jobs)
    asked = {"k": k, "labels": labels, "exclude": exclude}
    waiting = iter(batches)
    first = next(waiting, None)
    if first is None:
        return
    # In this process: what the model builds at its first prediction is then shared too.
    yield _predicted(model, first, asked)
    if n_jobs == 1:
        for batch in waiting:
            yield _predicted(model, batch, asked)
        return
    second = next(waiting, None)
    if second is not None:
        yield from _by_processes(model, chain([second], waiting), asked, n_jobs)


def check_jobs(model: Any, n_jobs: int) -> None:
    """Refuse processes that cannot be.

    Raises
    ------
    ValueError
    """
    if n_jobs < 1:
        raise ValueError(f"n_jobs is {n_jobs}; expected 1 or more.")
    if n_jobs == 1:
        return
    if sys.platform == "win32" or "fork" not in multiprocessing.get_all_start_methods():
        raise ValueError(f"n_jobs={n_jobs} needs a system that can fork. Leave n_jobs out.")
    networks = [member.network or member.text_reader for member in model._models]
    if any(network is not None and network.device.type != "cpu" for network in networks):
        raise ValueError(
            f"n_jobs={n_jobs} is about CPUs, and the model is on a GPU. Load it on the CPU, or"
            " leave n_jobs out."
        )


def _by_processes(
    model: Any, batches: Iterable[Sequence[str]], asked: dict[str, Any], n_jobs: int
) -> Iterator[_Answer]:
    pending: deque[Future[_Answer]] = deque()
    context = multiprocessing.get_context("fork")
    # With fork the initializer's arguments are the child's by inheritance: nothing is copied.
    with ProcessPoolExecutor(n_jobs, context, _begin, (model, asked)) as pool:
        try:
            for batch in batches:
                pending.append(pool.submit(_answer, batch))
                if len(pending) == _WAITING * n_jobs:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:  # whoever asks for no more does not wait for what was handed out
            pool.shutdown(wait=True, cancel_futures=True)


_of_process: tuple[Any, dict[str, Any]]  # set in a forked child alone


def _begin(model: Any, asked: dict[str, Any]) -> None:
    global _of_process
    _of_process = model, asked


def _answer(batch: Sequence[str]) -> _Answer:
    model, asked = _of_process
    return _predicted(model, batch, asked)


def _predicted(model: Any, batch: Sequence[str], asked: dict[str, Any]) -> _Answer:
    answer: _Answer = model.predict_topk(batch, return_scores=True, **asked)
    return answer
