"""Quality over how often labels occur in training: head, torso and tail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lightxml.metrics.pipelines import rank_labels
from lightxml.metrics.rankings import is_matrix, read_ranking, read_truth
from lightxml.plot.style import axes_or_new, finish, model_line, percent_axis, pyplot

BINS = (5, 20, 100, 1000)


class LabelFrequencyDisplay:
    """How many of the true labels are among the first k, for frequent and for rare labels.

    Labels are put into bins by the number of training documents that have them. The quality of a
    bin is its recall at k: of all uses of its labels in the documents, the part that is among the
    document's k best. (A precision could not be told by bins: what stands in a true label's place
    belongs to another bin.)

    Make one with `from_estimator` or `from_predictions`. Several models share a picture if the
    first one's ``ax_`` is handed to the others, with the same documents and bins.

    Parameters
    ----------
    recall : array of float, shape (n_bins,)
        Between 0 and 1.
    names : list of str, length n_bins
        Of the bins, such as ``"6-20"``.
    n_labels : array of int, shape (n_bins,)
        Labels that the documents use; those that no training document has are counted as well.
    n_uses : array of int, shape (n_bins,)
        Pairs of document and label.
    k : int, default=5
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
    >>> from lightxml.plot import LabelFrequencyDisplay
    >>> X, y = make_xmc(n_documents=200, n_labels=20, random_state=0)
    >>> model = LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0)
    >>> model = model.fit(X[:150], y[:150])
    >>> display = LabelFrequencyDisplay.from_estimator(model, X[150:], y[150:], y[:150])
    """

    def __init__(
        self,
        *,
        recall: npt.ArrayLike,
        names: Sequence[str],
        n_labels: npt.ArrayLike,
        n_uses: npt.ArrayLike,
        k: int = 5,
        name: str | None = None,
    ) -> None:
        self.recall = np.asarray(recall, dtype=np.float64)
        self.names = list(names)
        self.n_labels = np.asarray(n_labels)
        self.n_uses = np.asarray(n_uses)
        self.k = k
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        y_train: Any,
        *,
        k: int = 5,
        bins: Sequence[int] = BINS,
        name: str | None = None,
        ax: Any = None,
        **line_kwargs: Any,
    ) -> Self:
        """Rank labels with a fitted estimator, measure the ranking by bins and draw it.

        Parameters
        ----------
        estimator : LightXMLClassifier, LightXMLEnsemble, or Pipeline that ends in one
            Fitted.
        X : documents or numeric matrix, as at `fit`
        y : indicator matrix of shape (n, n_labels), or list of n collections of labels
            The true labels; a matrix has a column for each of ``classes_``.
        y_train : the same, of the training documents
            By it labels are put into bins.
        k : int, default=5
        bins : sequence of int, default=(5, 20, 100, 1000)
            The largest frequency of each bin, rising; above the last there is another, and before
            the first one of labels that no training document has. Those without a use are left
            out.
        name : str or None, default=None
            None: the class of the estimator.
        ax : matplotlib Axes, optional
            None: of a new figure.
        **line_kwargs
            For ``ax.plot``, such as ``color``.

        Returns
        -------
        display : LabelFrequencyDisplay

        Raises
        ------
        TypeError, ValueError
            If the estimator has no `predict_topk`, if `k`, `y` or `y_train` is not what is
            expected, if `bins` do not rise, or if `ax` shows other bins.
        ImportError
            If there is no matplotlib.
        """
        _check_bins(bins)
        pyplot()  # an error now, not after the predictions
        topk, classes = rank_labels(estimator, X, k)
        return cls.from_predictions(
            y,
            topk,
            y_train,
            classes=classes,
            k=k,
            bins=bins,
            name=name or type(estimator).__name__,
            ax=ax,
            **line_kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        topk: Any,
        y_train: Any,
        *,
        classes: Any = None,
        k: int = 5,
        bins: Sequence[int] = BINS,
        name: str | None = None,
        ax: Any = None,
        **line_kwargs: Any,
    ) -> Self:
        """Measure a ranking by bins and draw it.

        Parameters
        ----------
        y_true : indicator matrix of shape (n, n_labels), or list of n collections of labels
        topk : array of int of shape (n, at least k), or of labels (with `classes`)
            Column numbers of the predicted labels, best first.
        y_train : as `y_true`, of the training documents
        classes : array of shape (n_labels,), optional
            The label of each column.
        k : int, default=5
        bins : sequence of int, default=(5, 20, 100, 1000)
        name : str or None, default=None
        ax : matplotlib Axes, optional
        **line_kwargs

        Returns
        -------
        display : LabelFrequencyDisplay

        Raises
        ------
        TypeError, ValueError, ImportError
            As `from_estimator`.
        """
        _check_bins(bins)
        pyplot()
        truth, columns = read_ranking(y_true, topk, k, classes)
        train = read_truth(y_train, classes, "y_train")
        if train.n_labels != truth.n_labels:
            raise ValueError(
                f"y_train has {train.n_labels} columns and y_true {truth.n_labels}; expected the "
                "same labels."
            )
        frequency = np.bincount(train.columns, minlength=train.n_labels)
        bin_of = np.searchsorted([0, *bins], frequency)
        n_bins = len(bins) + 2
        uses = np.bincount(bin_of[truth.columns], minlength=n_bins)
        hits = np.bincount(bin_of[columns[truth.hits(columns)]], minlength=n_bins)
        labels = np.bincount(bin_of[np.unique(truth.columns)], minlength=n_bins)
        uses[0] += truth.n_true.sum() - len(truth.columns)  # of labels that have no column
        if not is_matrix(y_true):
            labels[0] += len(set().union(*y_true).difference(classes))
        shown = np.flatnonzero(uses)
        if not shown.size:
            raise ValueError("y_true has no label at all; expected some, to be found or missed.")
        names = _names(bins)
        return cls(
            recall=hits[shown] / uses[shown],
            names=[names[i] for i in shown],
            n_labels=labels[shown],
            n_uses=uses[shown],
            k=k,
            name=name,
        ).plot(ax, **line_kwargs)

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
        self : LabelFrequencyDisplay

        Raises
        ------
        ValueError
            If `ax` shows other bins, or the same of other documents.
        """
        ax = axes_or_new(ax)
        ticks = self._ticks()
        there = [label.get_text() for label in ax.get_xticklabels()]
        if there != ticks and any("\n" in label for label in there):
            raise ValueError(
                f"ax shows the bins {_on_one_line(there)}; these are {_on_one_line(ticks)}. "
                "Measure the models on the same documents with the same bins and y_train, or "
                "draw on other axes."
            )
        places = np.arange(len(ticks))
        style = model_line(ax, name or self.name, line_kwargs)
        (self.line_,) = ax.plot(places, self.recall, **style)
        ax.set_xticks(places, ticks)
        ax.tick_params(axis="x", labelsize="small")
        ax.set_xlim(-0.4, len(places) - 0.6)
        ax.set_ylim(bottom=0, auto=True)  # a better model may come
        ax.set(xlabel="training documents of a label", ylabel=f"R@{self.k}")
        percent_axis(ax.yaxis)
        finish(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _ticks(self) -> list[str]:
        under = zip(self.names, self.n_labels, self.n_uses, strict=True)
        return [
            f"{name}\n{_count(labels, 'label')}\n{_count(uses, 'use')}"
            for name, labels, uses in under
        ]


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _on_one_line(ticks: Sequence[str]) -> str:
    return "; ".join(tick.replace("\n", ", ") for tick in ticks)


def _names(bins: Sequence[int]) -> list[str]:
    lowest = [1, *(end + 1 for end in bins)]
    between = [f"{a:,}" if a == b else f"{a:,}-{b:,}" for a, b in zip(lowest, bins, strict=False)]
    return ["none", *between, f"over {bins[-1]:,}"]


def _check_bins(bins: Sequence[int]) -> None:
    ends = np.asarray(bins)
    if ends.ndim != 1 or not ends.size or ends.dtype.kind not in "iu" or ends[0] < 1:
        raise ValueError(f"bins is {bins!r}; expected whole numbers of at least 1.")
    if (np.diff(ends) <= 0).any():
        raise ValueError(f"bins is {bins!r}; expected rising numbers.")
