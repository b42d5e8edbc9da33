from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from lightxml import metrics
from lightxml.metrics.tables import format_table, frequency_ranking, rank_metrics

Y = sp.csr_array(np.array([[1, 0, 1, 0, 0, 1], [0, 1, 0, 0, 0, 0]], dtype=np.int8))
TOPK = np.array([[0, 1, 2, 3, 4], [3, 1, 0, 2, 5]])
PROPENSITIES = np.array([0.9, 0.5, 0.25, 0.5, 0.5, 0.1])


def test_rank_metrics_gives_every_metric_at_1_3_and_5():
    figures = rank_metrics(Y, TOPK, PROPENSITIES)
    names = ("P", "nDCG", "R", "PSP", "PSnDCG")
    assert list(figures) == [f"{name}@{k}" for name in names for k in (1, 3, 5)]
    assert figures["P@3"] == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert figures["R@5"] == pytest.approx((2 / 3 + 1) / 2)
    for name, metric in (("PSP", metrics.psp_at_k), ("PSnDCG", metrics.psndcg_at_k)):
        assert figures[f"{name}@5"] == metric(Y, TOPK, 5, propensities=PROPENSITIES)


def test_rank_metrics_stops_where_the_ranking_does():
    figures = rank_metrics(Y, TOPK[:, :4], PROPENSITIES)
    assert [name for name in figures if name.startswith("P@")] == ["P@1", "P@3"]


def test_rank_metrics_takes_labels_where_classes_are_given():
    classes = np.array(list("abcdef"), dtype=object)
    by_label = rank_metrics(Y, classes[TOPK], PROPENSITIES, classes=classes)
    assert by_label == rank_metrics(Y, TOPK, PROPENSITIES)


def test_the_frequency_baseline_gives_every_document_the_most_frequent_labels():
    y_train = sp.csr_array(np.array([[0, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]], dtype=np.int8))
    # Label 2 is used three times, 1 and 3 twice each, 0 never.
    np.testing.assert_array_equal(frequency_ranking(y_train, 2, 3), [[2, 1, 3], [2, 1, 3]])
    assert frequency_ranking(y_train, 1, 4).tolist() == [[2, 1, 3, 0]]


def test_a_table_has_percentages_under_their_heads():
    table = format_table({"short": {"P@1": 1.0}, "a longer name": {"P@1": 0.12345}})
    assert table.splitlines() == [
        "%                  P@1",
        "short           100.00",
        "a longer name    12.35",
    ]
