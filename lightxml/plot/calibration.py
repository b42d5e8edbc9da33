"""A reliability diagram: how many of the labels of a probability are true."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lightxml.metrics.pipelines import score_labels
from lightxml.metrics.probabilities import Reliability, error_of, reliability
from lightxml.metrics.rankings import read_ranking
from lightxml.plot.style import axes_or_new, finish, model_line, percent_axis, pyplot


class CalibrationDisplay:
    """The fraction of labels that is true, over the probability that they were given.

    A model that keeps its word lies on the diagonal; below it, it promises too much. Make one with
    `from_estimator` or `from_predictions`. Several models share a picture if the first one's
    ``ax_`` is handed to the others.

    Parameters
    ----------
    prob_true : array of float, shape (n_filled,)
        The fraction of each bin's labels that is true.
    prob_pred : array of float, shape (n_filled,)
        Their mean probability, rising.
    counts : array of int, shape (n_filled,)
        How many pairs of document and label each bin has.
    name : str or None, default=None
        Of the model, in the legend.

    Attributes
    ----------
    error_ : float
        `lightxml.metrics.calibration_error`; it stands in the legend.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from lightxml import LightXMLClassifier
    >>> from lightxml.datasets import make_xmc
    >>> from lightxml.plot import CalibrationDisplay
    >>> X, y = make_xmc(n_documents=300, n_labels=20, random_state=0)
    >>> model = LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0)
    >>> display = CalibrationDisplay.from_estimator(model.fit(X[:200], y[:200]), X[200:], y[200:])
    """

    def __init__(
        self,
        *,
        prob_true: npt.ArrayLike,
        prob_pred: npt.ArrayLike,
        counts: npt.ArrayLike,
        name: str | None = None,
    ) -> None:
        self.prob_true = np.asarray(prob_true, dtype=np.float64)
        self.prob_pred = np.asarray(prob_pred, dtype=np.float64)
        self.counts = np.asarray(counts, dtype=np.int64)
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        k: int | None = None,
        n_bins: int = 15,
        name: str | None = None,
        ax: Any = None,
        **line_kwargs: Any,
    ) -> Self:
        """Rank labels with a fitted estimator, and draw how many are true at each probability.

        Parameters
        ----------
        estimator : LightXMLClassifier, LightXMLEnsemble, or Pipeline that ends in one
            Fitted, and not on these documents.
        X : documents or numeric matrix, as at `fit`
        y : indicator matrix of shape (n, n_labels), or list of n collections of labels
            The true labels; a matrix has a column for each of ``classes_``.
        k : int or None, default=None
            Labels a document, the likeliest. None: 5, or all if there are fewer.
        n_bins : int, default=15
            Bins of equal width, from 0 to 1.
        name : str or None, default=None
            None: the class of the estimator.
        ax : matplotlib Axes, optional
            None: of a new figure.
        **line_kwargs
            For ``ax.plot``, such as ``color``.

        Returns
        -------
        display : CalibrationDisplay

        Raises
        ------
        TypeError, ValueError
            If the estimator has no `predict_topk`, or if `k`, `n_bins` or `y` is not what is
            expected.
        ImportError
            If there is no matplotlib.
        """
        pyplot()  # an error now, not after the predictions
        topk, scores, classes = score_labels(estimator, X, k)
        return cls.from_predictions(
            y,
            topk,
            scores,
            classes=classes,
            n_bins=n_bins,
            name=name or type(estimator).__name__,
            ax=ax,
            **line_kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        topk: Any,
        scores: Any,
        *,
        classes: Any = None,
        n_bins: int = 15,
        name: str | None = None,
        ax: Any = None,
        **line_kwargs: Any,
    ) -> Self:
        """Draw how many of some ranked labels are true at each probability.

        Parameters
        ----------
        y_true : indicator matrix of shape (n, n_labels), or list of n collections of labels
        topk : array of int of shape (n, k), or of labels (with `classes`)
            Column numbers of the predicted labels, best first.
        scores : array of float of shape (n, k)
            Their probabilities.
        classes : array of shape (n_labels,), optional
            The label of each column.
        n_bins : int, default=15
        name : str or None, default=None
        ax : matplotlib Axes, optional
        **line_kwargs

        Returns
        -------
        display : CalibrationDisplay

        Raises
        ------
        TypeError, ValueError, ImportError
            As `from_estimator`.
        """
        pyplot()
        read_ranking(y_true, topk, 1, classes)  # which refuses what is no ranking
        k = np.shape(topk)[1]
        found = reliability(y_true, topk, scores, k, n_bins=n_bins, classes=classes)
        display = cls(prob_true=found.true, prob_pred=found.scores, counts=found.counts, name=name)
        return display.plot(ax, **line_kwargs)

    @property
    def error_(self) -> float:
        """The expected calibration error."""
        return error_of(Reliability(self.counts, self.prob_pred, self.prob_true))

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
        self : CalibrationDisplay
        """
        ax = axes_or_new(ax)
        from matplotlib.collections import LineCollection  # only pictures need it

        told = f"{name or self.name or ''} (error {100 * self.error_:.1f} %)".strip()
        style = model_line(ax, told, line_kwargs)
        if not ax.collections:  # the diagonal, once; it is not counted among the models' lines
            diagonal = ([0, 0], [1, 1])
            ax.add_collection(LineCollection([diagonal], colors="0.5", linestyles=":", zorder=1))
        (self.line_,) = ax.plot(self.prob_pred, self.prob_true, **style)
        ax.set(xlabel="probability", ylabel="labels that are true", xlim=(0, 1), ylim=(0, 1))
        percent_axis(ax.xaxis)
        percent_axis(ax.yaxis)
        finish(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self
