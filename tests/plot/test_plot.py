"""The displays: what they draw is what the metrics say, and they leave matplotlib as it was."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from lightxml import LightXMLClassifier, LightXMLEnsemble
from lightxml.datasets import label_sets, make_xmc
from lightxml.metrics import (
    calibration_error,
    ndcg_at_k,
    precision_at_k,
    propensities,
    psndcg_at_k,
    psp_at_k,
    recall_at_k,
)
from lightxml.plot import CalibrationDisplay, LabelFrequencyDisplay, TopKDisplay, TrainingDisplay

Data = tuple[list[str], sp.csr_array]


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    before = mpl.rcParams.copy()
    yield
    plt.close("all")
    assert mpl.rcParams == before


@pytest.fixture(scope="module")
def data() -> Data:
    return make_xmc(n_documents=240, n_labels=30, random_state=0)


@pytest.fixture(scope="module")
def model(data: Data) -> LightXMLClassifier:
    X, y = data
    return features_only().fit(X[:160], y[:160], X_val=X[160:200], y_val=y[160:200])


def features_only(**params: Any) -> LightXMLClassifier:
    vectorizer = TfidfVectorizer()
    defaults = {"features": vectorizer, "feature_dim": 16, "max_epochs": 4, "random_state": 0}
    defaults["rankers"] = ("network",)
    return LightXMLClassifier(None, **{**defaults, **params})


class TestTopK:
    @pytest.mark.parametrize(
        ("name", "metric"),
        [
            ("precision", precision_at_k),
            ("recall", recall_at_k),
            ("ndcg", ndcg_at_k),
            ("psp", psp_at_k),
            ("psndcg", psndcg_at_k),
        ],
    )
    def test_it_draws_the_metric_at_each_k(
        self, data: Data, model: LightXMLClassifier, name: str, metric: Callable[..., float]
    ) -> None:
        X, y = data
        p = propensities(y[:160])
        display = TopKDisplay.from_estimator(
            model, X[200:], y[200:], metric=name, k=4, propensities=p
        )
        more = {"propensities": p} if name.startswith("ps") else {}
        topk = model.predict_topk(X[200:], 4)
        expected = [metric(y[200:], topk, k, **more) for k in (1, 2, 3, 4)]
        assert display.values.tolist() == expected
        assert display.line_.get_xdata().tolist() == [1, 2, 3, 4]
        assert display.line_.get_ydata().tolist() == expected

    def test_without_k_it_goes_to_ten_or_to_all_labels(
        self, data: Data, model: LightXMLClassifier
    ) -> None:
        X, y = data
        assert len(TopKDisplay.from_estimator(model, X[200:], y[200:]).values) == 10
        few = features_only().fit(X, y[:, :7])
        assert len(TopKDisplay.from_estimator(few, X, y[:, :7]).values) == 7

    def test_axes_are_named_and_in_per_cent(self, data: Data, model: LightXMLClassifier) -> None:
        display = TopKDisplay.from_estimator(model, *data, k=3, metric="ndcg")
        ax = display.ax_
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("k, labels predicted", "nDCG@k")
        display.figure_.canvas.draw()
        assert all(label.get_text().endswith(" %") for label in ax.get_yticklabels())
        assert display.figure_ is ax.figure
        assert [t.get_text() for t in ax.get_legend().get_texts()] == ["LightXMLClassifier"]

    def test_several_models_share_axes_and_are_told_apart(
        self, data: Data, model: LightXMLClassifier
    ) -> None:
        _, ax = plt.subplots()
        lines = [
            TopKDisplay.from_estimator(model, *data, k=3, ax=ax, name=name).line_
            for name in ("one", "two", "three")
        ]
        assert [t.get_text() for t in ax.get_legend().get_texts()] == ["one", "two", "three"]
        for property_ in ("color", "marker", "linestyle"):
            assert len({plt.getp(line, property_) for line in lines}) == 3
        assert len(plt.get_fignums()) == 1

    def test_lines_without_a_name_are_told_apart_and_have_no_legend(self) -> None:
        ax = TopKDisplay.from_predictions(np.eye(2, dtype=int), [[0], [1]]).ax_
        TopKDisplay.from_predictions(np.eye(2, dtype=int), [[1], [0]], ax=ax)
        assert len({line.get_color() for line in ax.lines}) == 2
        assert ax.get_legend() is None

    @pytest.mark.parametrize(
        "arguments",
        [{"color": "red", "linewidth": 5}, {"c": "red", "lw": 5}],
        ids=["long", "short"],
    )
    def test_line_arguments_win(
        self, data: Data, model: LightXMLClassifier, arguments: dict[str, Any]
    ) -> None:
        display = TopKDisplay.from_estimator(model, *data, k=2, **arguments)
        assert display.line_.get_color() == "red"
        assert display.line_.get_linewidth() == 5

    def test_it_can_be_drawn_again_elsewhere(self, data: Data, model: LightXMLClassifier) -> None:
        display = TopKDisplay.from_estimator(model, *data, k=2)
        first = display.ax_
        assert display.plot(name="again") is display
        assert display.ax_ is not first
        assert display.line_.get_label() == "again"

    def test_pipelines_and_ensembles_are_estimators(
        self, data: Data, model: LightXMLClassifier
    ) -> None:
        X, y = data
        pipe = make_pipeline(TfidfVectorizer(), LightXMLClassifier(random_state=0)).fit(X, y)
        of_pipe = TopKDisplay.from_estimator(pipe, X, y, k=2)
        topk = pipe[-1].predict_topk(pipe[:-1].transform(X), 2)
        assert of_pipe.values[1] == precision_at_k(y, topk, 2)
        assert of_pipe.name == "Pipeline"
        ensemble = LightXMLEnsemble(features_only(max_epochs=1), n_estimators=2).fit(X, y)
        assert len(TopKDisplay.from_estimator(ensemble, X, y, k=2).values) == 2

    def test_ticks_are_whole_numbers_and_no_percentage_is_negative(self) -> None:
        display = TopKDisplay.from_predictions(np.eye(2, dtype=int), [[1], [0]])
        low, high = display.ax_.get_ylim()
        assert low == 0
        assert high > 0
        left, right = display.ax_.get_xlim()
        assert [tick for tick in display.ax_.get_xticks() if left <= tick <= right] == [1]

    def test_decimals_of_percentages_are_shown_only_where_they_say_something(self) -> None:
        formatted = TopKDisplay(values=[0.3, 0.1]).plot().ax_.yaxis.get_major_formatter()
        assert [formatted(value) for value in (0, 0.07, 0.125, 1)] == [
            "0 %",
            "7 %",
            "12.5 %",
            "100 %",
        ]

    @pytest.mark.parametrize(
        ("topk", "message"),
        [
            ([[0]], "y_true has 2 rows and topk 1"),
            ([[0], [0, 1]], "rows of different lengths"),
            (np.zeros((2, 0), dtype=int), "topk has 0 columns"),
        ],
    )
    def test_what_is_no_ranking_is_named_and_opens_no_figure(self, topk: Any, message: str) -> None:
        y = np.eye(2, dtype=int)
        with pytest.raises(ValueError, match=message):
            TopKDisplay.from_predictions(y, topk)
        with pytest.raises(ValueError, match=message):
            LabelFrequencyDisplay.from_predictions(y, topk, y, k=1)
        assert not plt.get_fignums()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"metric": "auc"}, "metric is 'auc'; expected one of 'precision', 'recall'"),
            ({"metric": "psp"}, "propensities is None; expected"),
            ({"k": 31}, "k=31 is more than the 30 labels"),
            ({"k": 0}, "k is 0; expected an int"),
        ],
    )
    def test_a_wrong_argument_is_named_and_opens_no_figure(
        self, data: Data, model: LightXMLClassifier, arguments: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            TopKDisplay.from_estimator(model, *data, **arguments)
        assert not plt.get_fignums()

    def test_another_classifier_is_refused(self, data: Data) -> None:
        with pytest.raises(TypeError, match="a LogisticRegression, which has no predict_topk"):
            TopKDisplay.from_estimator(LogisticRegression(), *data)


class TestLabelFrequency:
    def test_it_draws_the_recall_of_each_bin(self) -> None:
        # Label 0 occurs in 7 training documents, 1 in 3, 2 in 1, 3 in none.
        y_train = np.zeros((7, 4), dtype=int)
        y_train[:, 0] = 1
        y_train[:3, 1] = 1
        y_train[0, 2] = 1
        y_true = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]])
        topk = np.array([[0, 1], [0, 1], [3, 2]])
        display = LabelFrequencyDisplay.from_predictions(y_true, topk, y_train, k=2, bins=(1, 5, 6))
        assert display.names == ["none", "1", "2-5", "over 6"]
        assert display.n_labels.tolist() == [1, 1, 1, 1]
        assert display.n_uses.tolist() == [1, 1, 1, 3]
        assert display.recall == pytest.approx([1, 0, 1, 2 / 3])
        assert display.line_.get_ydata() == pytest.approx([1, 0, 1, 2 / 3])

    def test_all_bins_together_are_the_recall(self, data: Data, model: LightXMLClassifier) -> None:
        X, y = data
        display = LabelFrequencyDisplay.from_estimator(model, X[160:], y[160:], y[:160], k=3)
        topk = model.predict_topk(X[160:], 3)
        found = y[160:].toarray()[np.arange(80)[:, None], topk].sum()
        assert display.n_uses.sum() == y[160:].nnz
        assert (display.recall * display.n_uses).sum() == pytest.approx(found)

    def test_its_ticks_tell_labels_and_uses(self) -> None:
        display = LabelFrequencyDisplay(
            recall=[0.5, 0.25], names=["1-5", "over 5"], n_labels=[1, 1200], n_uses=[1, 34567]
        ).plot()
        texts = [t.get_text() for t in display.ax_.get_xticklabels()]
        assert texts == ["1-5\n1 label\n1 use", "over 5\n1,200 labels\n34,567 uses"]
        assert display.ax_.get_ylabel() == "R@5"
        assert display.ax_.get_ylim()[0] == 0

    def test_labels_may_be_names_and_unknown_ones_are_missed(self, data: Data) -> None:
        X, y = data
        names = [list(row) for row in label_sets(y, np.array([f"l{j}" for j in range(30)]))]
        named = features_only().fit(X[:160], names[:160])
        new = [[*row, "never seen"] for row in names[160:]]
        display = LabelFrequencyDisplay.from_estimator(named, X[160:], new, names[:160])
        assert display.names[0] == "none"
        assert display.recall[0] == 0
        assert display.n_uses[0] >= 80
        n_new = len(set().union(*new).difference(*names[:160]))
        assert display.n_labels[0] == n_new
        plain = features_only().fit(X[:160], y[:160])
        expected = LabelFrequencyDisplay.from_estimator(plain, X[160:], y[160:], y[:160])
        assert display.recall[1:] == pytest.approx(expected.recall[-len(display.recall) + 1 :])
        of_names = TopKDisplay.from_estimator(named, X[160:], names[160:], k=3).values
        assert of_names == pytest.approx(
            TopKDisplay.from_estimator(plain, X[160:], y[160:], k=3).values
        )

    def test_several_models_share_axes(self, data: Data, model: LightXMLClassifier) -> None:
        X, y = data
        ax = LabelFrequencyDisplay.from_estimator(model, X, y, y, name="one").ax_
        LabelFrequencyDisplay.from_estimator(model, X, y, y, name="two", ax=ax)
        assert [t.get_text() for t in ax.get_legend().get_texts()] == ["one", "two"]

    def test_a_better_second_model_is_within_the_picture(self) -> None:
        y = np.eye(3, dtype=int)
        ax = LabelFrequencyDisplay.from_predictions(y, [[1], [2], [0]], y, k=1).ax_
        better = LabelFrequencyDisplay.from_predictions(y, [[0], [1], [2]], y, k=1, ax=ax)
        assert better.recall.tolist() == [1]
        assert ax.get_ylim()[0] == 0
        assert ax.get_ylim()[1] >= 1
        worse = TopKDisplay.from_predictions(y, [[1], [2], [0]])
        better = TopKDisplay.from_predictions(y, [[0], [1], [2]], ax=worse.ax_)
        assert worse.ax_.get_ylim()[1] >= better.values[0] == 1

    def test_other_bins_or_documents_on_the_same_axes_are_refused(self) -> None:
        y = np.eye(3, dtype=int)
        topk = [[0], [1], [2]]
        ax = LabelFrequencyDisplay.from_predictions(y, topk, y, k=1, bins=[1]).ax_
        for y_true, ranking, bins in ((y, topk, [2]), (y[:2], topk[:2], [1])):
            with pytest.raises(
                ValueError, match="ax shows the bins 1, 3 labels, 3 uses; these are"
            ):
                LabelFrequencyDisplay.from_predictions(y_true, ranking, y, k=1, bins=bins, ax=ax)
        assert len(ax.lines) == 1

    def test_large_counts_of_six_bins_stand_apart(self) -> None:
        display = LabelFrequencyDisplay(
            recall=[0.1] * 6,
            names=["none", "1-5", "6-20", "21-100", "101-1,000", "over 1,000"],
            n_labels=[123_456] * 6,
            n_uses=[123_456] * 6,
        ).plot()
        display.figure_.canvas.draw()
        boxes = [label.get_window_extent() for label in display.ax_.get_xticklabels()]
        assert all(a.x1 < b.x0 for a, b in pairwise(boxes))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"bins": [5, 5]}, r"bins is \[5, 5\]; expected rising"),
            ({"bins": [0, 5]}, "at least 1"),
            ({"bins": []}, "whole numbers"),
            ({"bins": [1.5]}, "whole numbers"),
        ],
    )
    def test_wrong_bins_are_named(
        self, data: Data, model: LightXMLClassifier, arguments: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            LabelFrequencyDisplay.from_estimator(model, *data, data[1], **arguments)

    def test_other_training_labels_and_no_labels_are_refused(self) -> None:
        y = np.array([[1, 0], [0, 1]])
        with pytest.raises(ValueError, match="y_train has 3 columns and y_true 2"):
            LabelFrequencyDisplay.from_predictions(y, [[0], [1]], np.eye(3, dtype=int), k=1)
        with pytest.raises(ValueError, match="y_true has no label at all"):
            LabelFrequencyDisplay.from_predictions(0 * y, [[0], [1]], y, k=1)
        with pytest.raises(ValueError, match=r"y_train\[0, 1\] is 2"):
            LabelFrequencyDisplay.from_predictions(y, [[0], [1]], [[0, 2]] @ np.eye(2), k=1)


class TestCalibration:
    def test_it_draws_how_many_are_true_of_each_bin(self) -> None:
        y = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1]])
        topk = np.array([[0, 1], [1, 2], [0, 2]])
        scores = np.array([[0.9, 0.3], [0.8, 0.1], [0.95, 0.35]])
        display = CalibrationDisplay.from_predictions(y, topk, scores, n_bins=4)
        assert display.prob_pred == pytest.approx([0.1, 0.325, 2.65 / 3])
        assert display.prob_true == pytest.approx([0, 0.5, 2 / 3])
        assert display.counts.tolist() == [1, 2, 3]
        assert display.line_.get_xdata() == pytest.approx(display.prob_pred)
        assert display.line_.get_ydata() == pytest.approx(display.prob_true)
        assert display.error_ == calibration_error(y, topk, scores, 2, n_bins=4)
        (diagonal,) = display.ax_.collections
        assert diagonal.get_segments()[0].tolist() == [[0, 0], [1, 1]]
        assert display.ax_.get_xlim() == display.ax_.get_ylim() == (0, 1)

    def test_it_asks_an_estimator_for_its_five_best(
        self, data: Data, model: LightXMLClassifier
    ) -> None:
        X, y = data
        display = CalibrationDisplay.from_estimator(model, X[200:], y[200:])
        topk, scores = model.predict_topk(X[200:], 5, return_scores=True)
        assert display.error_ == calibration_error(y[200:], topk, scores)
        assert display.counts.sum() == 5 * 40
        told = f"LightXMLClassifier (error {100 * display.error_:.1f} %)"
        assert [t.get_text() for t in display.ax_.get_legend().get_texts()] == [told]
        all_labels = CalibrationDisplay.from_estimator(model, X[200:], y[200:], k=30, n_bins=3)
        assert all_labels.counts.sum() == 30 * 40

    def test_several_models_share_axes_and_one_diagonal(
        self, data: Data, model: LightXMLClassifier
    ) -> None:
        X, y = data
        names = [list(row) for row in label_sets(y, np.array([f"l{j}" for j in range(30)]))]
        named = features_only().fit(X[:160], names[:160])
        first = CalibrationDisplay.from_estimator(model, X[160:], y[160:], name="one")
        second = CalibrationDisplay.from_estimator(
            named, X[160:], names[160:], name="two", ax=first.ax_, lw=4
        )
        assert len(first.ax_.collections) == 1
        assert len(first.ax_.lines) == 2
        assert first.line_.get_color() != second.line_.get_color()
        assert second.line_.get_linewidth() == 4

    def test_what_are_no_probabilities_opens_no_figure(self) -> None:
        y = np.eye(2, dtype=int)
        for scores in ([[1.5], [0]], [0.5, 0.5], 0.5):
            with pytest.raises(ValueError, match="scores"):
                CalibrationDisplay.from_predictions(y, [[0], [1]], scores)
        assert not plt.get_fignums()


class TestTraining:
    def test_it_draws_loss_and_validation_figures(self, model: LightXMLClassifier) -> None:
        display = TrainingDisplay.from_estimator(model)
        loss, figures = display.axes_
        (line, *_) = loss.lines
        assert list(line.get_xdata()) == [1, 2, 3, 4]
        assert list(line.get_ydata()) == [record["loss"] for record in model.history_]
        drawn = {line.get_label(): list(line.get_ydata()) for line in figures.lines[:3]}
        assert drawn == {
            f"P@{k}": [record[f"precision_at_{k}"] for record in model.history_] for k in (1, 3, 5)
        }
        assert (loss.get_xlabel(), loss.get_ylabel()) == ("epoch", "training loss")

    def test_the_start_of_averaging_is_marked(self, data: Data, model: LightXMLClassifier) -> None:
        display = TrainingDisplay.from_estimator(model)
        assert display.averaged_from == 2.0
        for panel in display.axes_:
            assert list(panel.lines[-1].get_xdata()) == [2.0, 2.0]
        without = features_only(swa_start=None).fit(*data)
        display = TrainingDisplay.from_estimator(without)
        assert display.averaged_from is None
        assert len(display.axes_) == 1
        assert len(display.axes_[0].lines) == 1

    def test_the_mark_is_left_out_where_it_is_not_known(self, data: Data) -> None:
        stopped = features_only(max_epochs="auto", early_stopping=True, n_iter_no_change=1)
        assert TrainingDisplay.from_estimator(stopped.fit(*data)).averaged_from is None
        all_epochs = features_only(max_epochs="auto").fit(*data)
        expected = len(all_epochs.history_) / 2
        assert TrainingDisplay.from_estimator(all_epochs).averaged_from == expected

    def test_it_draws_on_given_axes(self, model: LightXMLClassifier) -> None:
        figure, axes = plt.subplots(2)
        display = TrainingDisplay.from_estimator(model, ax=axes)
        assert display.figure_ is figure
        with pytest.raises(
            ValueError, match="ax has 1 axes; expected 2, for a history of validation"
        ):
            TrainingDisplay.from_estimator(model, ax=axes[0])

    def test_a_pipelines_training_is_its_last_steps(self, data: Data) -> None:
        pipe = Pipeline(
            [("tfidf", TfidfVectorizer()), ("m", features_only(features=None, max_epochs=2))]
        ).fit(*data)
        assert len(TrainingDisplay.from_estimator(pipe).history) == 2

    def test_one_epoch_has_one_tick(self) -> None:
        (panel,) = (
            TrainingDisplay(history=[{"epoch": 1, "loss": 2.0}], averaged_from=0.5).plot().axes_
        )
        left, right = panel.get_xlim()
        assert [tick for tick in panel.get_xticks() if left <= tick <= right] == [1]

    def test_another_classifier_is_refused(self) -> None:
        with pytest.raises(TypeError, match="a LogisticRegression; expected a fitted LightXMLCl"):
            TrainingDisplay.from_estimator(LogisticRegression())
        with pytest.raises(NotFittedError, match="not fitted"):
            TrainingDisplay.from_estimator(LightXMLClassifier())

    def test_an_ensemble_has_several(self, data: Data) -> None:
        ensemble = LightXMLEnsemble(features_only(max_epochs=1), n_estimators=2).fit(*data)
        with pytest.raises(TypeError, match="of an ensemble one of estimators_"):
            TrainingDisplay.from_estimator(ensemble)
        TrainingDisplay.from_estimator(ensemble.estimators_[1])


def test_without_matplotlib_an_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, data: Data, model: LightXMLClassifier
) -> None:
    X, y = data
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "lightxml\[plot\]"'):
        TrainingDisplay.from_estimator(model)
    monkeypatch.setattr(LightXMLClassifier, "predict_topk", None)  # before the documents are ranked
    with pytest.raises(ImportError, match=r'pip install "lightxml\[plot\]"'):
        TopKDisplay.from_estimator(model, X, y)
    with pytest.raises(ImportError, match=r'pip install "lightxml\[plot\]"'):
        LabelFrequencyDisplay.from_estimator(model, X, y, y)


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_nothing_drawn_is_the_colour_of_the_page(
    data: Data, model: LightXMLClassifier, style: str
) -> None:
    X, y = data
    with plt.style.context(style):
        displays = [
            TopKDisplay.from_estimator(model, X, y),
            LabelFrequencyDisplay.from_estimator(model, X, y, y),
        ]
        for display in displays:
            page = mpl.colors.to_rgb(display.figure_.get_facecolor())
            for line in display.ax_.lines:
                distance = np.abs(np.subtract(mpl.colors.to_rgb(line.get_color()), page)).sum()
                assert distance > 0.8


def test_a_picture_of_an_evaluation_is_written(
    tmp_path: Path, data: Data, model: LightXMLClassifier
) -> None:
    from lightxml.cli.picture import draw_evaluation

    X, y = data
    topk = model.predict_topk(X[160:], 10)
    for name in ("both.png", "one.svg"):
        y_train, p = (y[:160], propensities(y[:160])) if name == "both.png" else (None, None)
        draw_evaluation(tmp_path / name, y[160:], topk, y_train, p, classes=model.classes_)
    height, width, _ = plt.imread(tmp_path / "both.png").shape
    assert width > 2 * height
    svg = (tmp_path / "one.svg").read_text()
    assert "<svg" in svg
    assert not plt.get_fignums()
