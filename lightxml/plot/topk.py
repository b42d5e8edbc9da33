"""A metric over the number of predicted labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lightxml.metrics import measures as metrics
from lightxml.metrics.pipelines import rank_labels
from lightxml.plot.style import (
    axes_or_new,
    finish,
    integer_axis,
    model_line,
    percent_axis,
    pyplot,
)

_METRICS: Mapping[str, tuple[Callable[..., float], str]] = {
    "precision": (metrics.precision_at_k, "P@k"),
    "recall": (metrics.recall_at_k, "R@k"),
    "ndcg": (metrics.ndcg_at_k, "nDCG@k"),
    "psp": (metrics.psp_at_k, "PSP@k"),
    "psndcg": (metrics.psndcg_at_k, "PSnDCG@k"),
}
_SCORED = ("psp", "psndcg")  # by propensities


class TopKDisplay:
    """A metric of a ranking over k, the number of predicted labels that count.

    Make one with `from_estimator` or `from_predictions`. Several models share a picture if the
    first one's ``ax_`` is handed to the others.

    Parameters
    ----------
    values : array of float, shape (n_k,)
        The metric at k = 1, 2, ..., between 0 and 1.
    metric : {"precision", "recall", "ndcg", "psp", "psndcg"}
        What it is.
    name : str or None, default=None
        Of the model, in the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from lightxml import LightXMLClassifier
    >>> from lightxml.datasets import make_xmc
    >>> from lightxml.plot import TopKDisplay
    >>> X, y = make_xmc(n_documents=200, n_labels=20, random_state=0)
    >>> one, two = (
    ...     LightXMLClassifier(None, features=TfidfVectorizer(min_df=n), random_state=0)
    ...     for n in (1, 9)
    ... )
    >>> display = TopKDisplay.from_estimator(one.fit(X, y), X, y, k=5, name="all words")
    >>> _ = TopKDisplay.from_estimator(
    ...     two.fit(X, y), X, y, k=5, name="frequent words", ax=display.ax_
    ... )
    """

    def __init__(
        self, *, values: npt.ArrayLike, metric: str = "precision", name: str | None = None
    ) -> None:
        self.values = np.asarray(values, dtype=np.float64)
        self.metric = metric
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        metric: str = "precision",
        k: int | None = None,
        propensities: npt.ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        **line_kwargs: Any,
    ) -> Self:
        """Rank labels with a fitted estimator, measure the ranking and draw it.

        Parameters
        ----------
        estimator : LightXMLClassifier, LightXMLEnsemble, or Pipeline that ends in one
            Fitted.
        X : documents or numeric matrix, as at `fit`
        y : indicator matrix of shape (n, n_labels), or list of n collections of labels
            The true labels; a matrix has a column for each of ``classes_``.
        metric : {"precision", "recall", "ndcg", "psp", "psndcg"}, default="precision"
        k : int or None, default=None
            The largest number of labels. None: 10, or all if there are fewer.
        propensities : array of float, shape (n_labels,), optional
            For "psp" and "psndcg", which ask for them: `lightxml.metrics.propensities`.
        name : str or None, default=None
            None: the class of the estimator.
        ax : matplotlib Axes, optional
            None: of a new figure.
        **line_kwargs
            For ``ax.plot``, such as ``color``.

        Returns
        -------
        display : TopKDisplay

        Raises
        ------
        TypeError, ValueError
            If the estimator has no `predict_topk`, if `k` or `y` is not what is expected, or if
            the metric is not known or lacks propensities.
        ImportError
            If there is no matplotlib.
        """
        _check_metric(metric, propensities)
        pyplot()  # an error now, not after the predictions
        topk, classes = rank_labels(estimator, X, k)
        return cls.from_predictions(
            y,
            topk,
            classes=classes,
            metric=metric,
            propensities=propensities,
            name=name or type(estimator).__name__,
            ax=ax,
            **line_kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        topk: Any,
        *,
        classes: Any = None,
        metric: str = "precision",
        propensities: npt.ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        **line_kwargs: Any,
    ) -> Self:
        """Measure a ranking and draw it.

        Parameters
        ----------
        y_true : indicator matrix of shape (n, n_labels), or list of n collections of labels
        topk : array of int of shape (n, n_k), or of labels (with `classes`)
            Column numbers of the predicted labels, best first.
        classes : array of shape (n_labels,), optional
            The label of each column.
        metric : {"precision", "recall", "ndcg", "psp", "psndcg"}, default="precision"
        propensities : array of float, shape (n_labels,), optional
        name : str or None, default=None
        ax : matplotlib Axes, optional
        **line_kwargs

        Returns
        -------
        display : TopKDisplay

        Raises
        ------
        TypeError, ValueError, ImportError
            As `from_estimator`.
        """
        _check_metric(metric, propensities)
        pyplot()
        function, _ = _METRICS[metric]
        more = {"propensities": propensities} if metric in _SCORED else {}

        def measure(k: int) -> float:
            return function(y_true, topk, k, classes=classes, **more)

        first = measure(1)  # which refuses what is no ranking
        values = [first, *map(measure, range(2, np.shape(topk)[1] + 1))]
        return cls(values=values, metric=metric, name=name).plot(ax, **line_kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **line_kwargs: Any) -> Self:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            None: of a new figure.
        name : str or None, default=None
            None: the display's own.
        **line_kwargs
            For ``ax.plot``.

        Returns
        -------
        self : TopKDisplay

        Raises
        ------
        ValueError
            If the metric is not known.
        """
        if self.metric not in _METRICS:
            raise ValueError(_unknown(self.metric))
        ax = axes_or_new(ax)
        style = model_line(ax, name or self.name, line_kwargs)
        (self.line_,) = ax.plot(np.arange(1, len(self.values) + 1), self.values, **style)
        ax.set(xlabel="k, labels predicted", ylabel=_METRICS[self.metric][1])
        ax.set_ylim(bottom=max(0.0, ax.get_ylim()[0]), auto=True)
        integer_axis(ax.xaxis)
        percent_axis(ax.yaxis)
        finish(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _check_metric(metric: str, propensities: Any) -> None:
    if metric not in _METRICS:
        raise ValueError(_unknown(metric))
    if metric in _SCORED and propensities is None:
        raise ValueError(
            f"metric is {metric!r} and propensities is None; expected the labels' propensities, "
            "lightxml.metrics.propensities(y_train)."
        )


def _unknown(metric: str) -> str:
    return f"metric is {metric!r}; expected one of {', '.join(map(repr, _METRICS))}."
