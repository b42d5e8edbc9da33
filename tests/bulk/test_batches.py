"""Predictions of batches as they come, by one process and by several."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier, LightXMLEnsemble
from lightxml.bulk import predict_batches
from lightxml.datasets import make_xmc

TEXTS, Y = make_xmc(120, 12, random_state=0)


@pytest.fixture(scope="module")
def model() -> LightXMLClassifier:
    return LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0).fit(TEXTS, Y)


def batches(n: int = 7) -> Iterator[list[str]]:
    for begin in range(0, len(TEXTS), n):
        yield TEXTS[begin : begin + n]


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_batches_are_answered_in_order_as_all_at_once(model: LightXMLClassifier, n_jobs: int):
    expected = model.predict_topk(TEXTS, k=3, return_scores=True, exclude=[0, 5])
    found = list(predict_batches(model, batches(), 3, n_jobs=n_jobs, exclude=[0, 5]))
    assert [len(labels) for labels, _ in found] == [7] * 17 + [1]
    for part, whole in zip(zip(*found, strict=True), expected, strict=True):
        np.testing.assert_array_equal(np.concatenate(part), whole)


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_no_more_batches_are_taken_than_processes_need(model: LightXMLClassifier, n_jobs: int):
    taken = 0

    def endless() -> Iterator[list[str]]:
        nonlocal taken
        while True:
            taken += 1
            yield TEXTS[:3]

    answers = predict_batches(model, endless(), n_jobs=n_jobs)
    for n_answers in range(1, 6):
        next(answers)
        assert taken <= n_answers + 2 * n_jobs
    answers.close()


def test_no_batch_gives_no_answer(model: LightXMLClassifier):
    assert list(predict_batches(model, [])) == []


@pytest.mark.slow
def test_an_error_comes_behind_the_answers_before_it(model: LightXMLClassifier):
    for n_jobs in (1, 2):
        answers = predict_batches(model, [["a"], ["b"], [3], ["c"]], n_jobs=n_jobs)
        next(answers), next(answers)
        with pytest.raises(TypeError, match=r"X\[0\] is 3"):
            next(answers)


@pytest.mark.slow
def test_a_process_that_is_killed_is_an_error_and_not_a_wait(model: LightXMLClassifier):
    others = set(multiprocessing.active_children())  # such as joblib's, of other tests
    answers = predict_batches(model, (TEXTS for _ in range(1_000)), n_jobs=2)
    next(answers), next(answers)
    for process in set(multiprocessing.active_children()) - others:
        process.kill()
    with pytest.raises(RuntimeError, match="terminated abruptly"):
        list(answers)


@pytest.mark.slow
def test_an_ensemble_and_an_encoder_predict_in_processes_too():
    member = LightXMLClassifier("tiny", max_length=8, max_epochs=1)
    ensemble = LightXMLEnsemble(member, n_estimators=2, random_state=0).fit(TEXTS[:30], Y[:30])
    expected = ensemble.predict_topk(TEXTS, return_scores=True)
    found = list(predict_batches(ensemble, batches(60), n_jobs=2))
    np.testing.assert_array_equal(np.concatenate([labels for labels, _ in found]), expected[0])
    np.testing.assert_allclose(np.concatenate([s for _, s in found]), expected[1], atol=1e-5)


@pytest.mark.parametrize("n_jobs", [0, -1])
def test_a_number_of_processes_that_is_none_is_named(model: LightXMLClassifier, n_jobs: int):
    with pytest.raises(ValueError, match=f"n_jobs is {n_jobs}; expected 1 or more"):
        next(predict_batches(model, batches(), n_jobs=n_jobs))


def test_a_system_that_cannot_fork_is_told(
    model: LightXMLClassifier, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(ValueError, match="n_jobs=2 needs a system that can fork"):
        next(predict_batches(model, batches(), n_jobs=2))
