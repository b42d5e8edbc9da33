"""Thresholds from documents held out, beside a search over every cut."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import f1_score

from lightxml.rankers.thresholds import best_cut, best_threshold

SEEDS = range(4)


def task(seed: int, n_labels: int = 6) -> tuple[sp.csr_array, sp.csr_array]:
    """Probabilities with ties, of some of the pairs; true labels, some of which nobody proposed."""
    rng = np.random.default_rng(seed)
    y = rng.random((40, n_labels)) < np.linspace(0.02, 0.5, n_labels)
    p = np.round(np.clip(0.4 * y + 0.5 * rng.random(y.shape), 0.05, 1), 1 + seed % 2)
    p[rng.random(y.shape) < 0.3] = 0
    p[:, 3], y[5] = 0, False  # a label that nobody proposes, a document without a label
    return sp.csr_array(p.astype(np.float32)), sp.csr_array(y.astype(np.int8))


def f1_of(p: sp.csr_array, y: sp.csr_array, threshold: float | np.ndarray, average: str) -> float:
    given = p.toarray() >= np.asarray(threshold, np.float32)
    return f1_score(y.toarray(), given, average=average, zero_division=0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("average", ["micro", "samples"])
def test_one_threshold_is_as_good_as_the_best_of_all_cuts(seed: int, average: str) -> None:
    p, y = task(seed)
    found = best_threshold(f"{average}_f1", p, y)
    assert isinstance(found, float)
    best = max(f1_of(p, y, cut, average) for cut in np.unique(p.data))
    assert f1_of(p, y, found, average) == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_calibrated_probabilities_draw_the_best_cut_to_half_its_f1(seed: int) -> None:
    p, y = task(seed)
    cut = best_threshold("micro_f1", p, y)
    expected = (y.nnz * cut + 5000 * f1_of(p, y, cut, "micro") / 2) / (y.nnz + 5000)
    found = best_threshold("micro_f1", p, y, calibrated=True)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_label_has_its_own_drawn_to_that_of_all(seed: int) -> None:
    p, y = task(seed)
    found = best_threshold("macro_f1", p, y)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    of_all = found[3]  # nobody proposed it
    cuts = np.unique(p.data)
    best = max(f1_of(p, y, cut, "macro") for cut in cuts)
    assert f1_of(p, y, of_all, "macro") == pytest.approx(best, rel=1e-12)
    for j in np.flatnonzero((p.toarray() * y.toarray()).any(axis=0)):
        n = y[:, [j]].nnz
        own = (found[j] * (n + 5) - 5 * of_all) / n
        of_label = p[:, [j]], y[:, [j]]
        best = max(f1_of(*of_label, cut, "binary") for cut in cuts)
        # Amid two probabilities, which are 0.01 apart at least.
        assert f1_of(*of_label, own + 1e-4, "binary") == pytest.approx(best, rel=1e-12)
        assert f1_of(*of_label, own - 1e-4, "binary") == pytest.approx(best, rel=1e-12)


def test_with_many_true_pairs_a_label_goes_by_its_own() -> None:
    rng = np.random.default_rng(0)
    y = rng.random((4_000, 2)) < 0.5
    p = np.where(y, [0.9, 0.2], [0.6, 0.1]) + 0.01 * rng.random(y.shape)
    found = best_threshold("macro_f1", sp.csr_array(p.astype(np.float32)), sp.csr_array(y))
    assert 0.61 < found[0] < 0.9
    assert 0.11 < found[1] < 0.2


@pytest.mark.parametrize("criterion", ["micro_f1", "macro_f1", "samples_f1"])
def test_where_no_true_label_was_proposed_it_is_a_half(criterion: str) -> None:
    p, y = task(0)
    nothing = sp.csr_array((y.shape), dtype=np.int8)
    assert best_threshold(criterion, p, nothing) == 0.5
    assert best_threshold(criterion, sp.csr_array(p.shape, dtype=np.float32), y) == 0.5


def test_of_two_probabilities_next_to_each_other_the_higher_one_alone_is_given() -> None:
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    assert np.float32(best_cut(np.array([high, low]), np.array([1.0, 0.5]))) == high
    assert best_cut(np.array([high, low]), np.array([0.5, 1.0])) == pytest.approx(0.15)
