"""The displays: what they draw is what the metrics say, and they leave matplotlib as it was."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from lightxml import LightXMLClassifier, LightXMLEnsemble
from lightxml.datasets import label_sets, make_xmc
from lightxml.metrics import (
    ndcg_at_k,
    precision_at_k,
    propensities,
    psndcg_at_k,
    psp_at_k,
    recall_at_k,
)
from lightxml.plot import LabelFrequencyDisplay, TopKDisplay, TrainingDisplay

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

    def test_line_arguments_win(self, data: Data, model: LightXMLClassifier) -> None:
        display = TopKDisplay.from_estimator(model, *data, k=2, color="red", linewidth=5)
        assert display.line_.get_color() == "red"
        assert display.line_.get_linewidth() == 5

    def test_it_can_be_drawn_again_elsewhere(self, data: Data, model: LightXMLClassifier) -> None:
        display = TopKDisplay.from_estimator(model, *data, k=2)
        first = display.ax_
        assert display.plot(name="again") is display
        assert display.ax_ is not first
        assert display.line_.get_label() == "again"

    def test_labels_may_be_names(self, data: Data) -> None:
        X, y = data
        names = label_sets(y, np.array([f"label {j}" for j in range(30)]))
        named = features_only().fit(X, names)
        plain = features_only().fit(X, y)
        values = TopKDisplay.from_estimator(named, X, names, k=3).values
        assert values.tolist() == TopKDisplay.from_estimator(plain, X, y, k=3).values.tolist()

    def test_pipelines_and_ensembles_are_estimators(
        self, data: Data, model: LightXMLClassifier
    ) -> None:
        X, y = data
        pipe = make_pipeline(
            TfidfVectorizer(), LightXMLClassifier(feature_dim=16, max_epochs=2, random_state=0)
        ).fit(X, y)
        of_pipe = TopKDisplay.from_estimator(pipe, X, y, k=2)
        topk = pipe[-1].predict_topk(pipe[:-1].transform(X), 2)
        assert of_pipe.values[1] == precision_at_k(y, topk, 2)
        assert of_pipe.name == "Pipeline"
        ensemble = LightXMLEnsemble(features_only(max_epochs=1), n_estimators=2).fit(X, y)
        assert len(TopKDisplay.from_estimator(ensemble, X, y, k=2).values) == 2

    def test_rankings_from_anywhere_are_drawn(self) -> None:
        y = np.array([[1, 0, 0], [0, 1, 1]])
        display = TopKDisplay.from_predictions(y, [[0, 1, 2], [0, 1, 2]], name="a")
        assert display.values == pytest.approx([0.5, 0.5, 0.5])

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"metric": "auc"}, "metric is 'auc'; expected one of 'precision', 'recall'"),
            ({"metric": "psp"}, "propensities is None; expected"),
            ({"k": 31}, "k=31 is more than the 30 labels"),
            ({"k": 0}, "k == 0"),
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

    def test_its_ticks_tell_labels_and_uses(self, data: Data, model: LightXMLClassifier) -> None:
        X, y = data
        display = LabelFrequencyDisplay.from_estimator(model, X[160:], y[160:], y[:160], bins=[9])
        texts = [t.get_text() for t in display.ax_.get_xticklabels()]
        assert texts == [
            f"{name}\n{labels} labels\n{uses} uses"
            for name, labels, uses in zip(
                display.names, display.n_labels, display.n_uses, strict=True
            )
        ]
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
        plain = features_only().fit(X[:160], y[:160])
        expected = LabelFrequencyDisplay.from_estimator(plain, X[160:], y[160:], y[:160])
        assert display.recall[1:] == pytest.approx(expected.recall[-len(display.recall) + 1 :])

    def test_several_models_share_axes(self, data: Data, model: LightXMLClassifier) -> None:
        X, y = data
        ax = LabelFrequencyDisplay.from_estimator(model, X, y, y, name="one").ax_
        LabelFrequencyDisplay.from_estimator(model, X, y, y, name="two", ax=ax)
        assert [t.get_text() for t in ax.get_legend().get_texts()] == ["one", "two"]

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
            [("tfidf", TfidfVectorizer()), ("m", LightXMLClassifier(feature_dim=8, max_epochs=2))]
        ).fit(*data)
        assert len(TrainingDisplay.from_estimator(pipe).history) == 2

    def test_an_ensemble_has_several(self, data: Data) -> None:
        ensemble = LightXMLEnsemble(features_only(max_epochs=1), n_estimators=2).fit(*data)
        with pytest.raises(TypeError, match="of an ensemble one of estimators_"):
            TrainingDisplay.from_estimator(ensemble)
        TrainingDisplay.from_estimator(ensemble.estimators_[1])


def test_without_matplotlib_an_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, data: Data, model: LightXMLClassifier
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "lightxml\[plot\]"'):
        TopKDisplay.from_estimator(model, *data)


def test_the_package_is_imported_without_matplotlib() -> None:
    code = "import lightxml.plot, sys; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


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
    from lightxml.plot.report import draw_evaluation

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
