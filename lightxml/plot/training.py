"""Loss and validation figures over the epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from lightxml.metrics.pipelines import last_step
from lightxml.plot.style import finish, integer_axis, line_style, new_panels, percent_axis


class TrainingDisplay:
    """The loss of each epoch and, with validation documents, P@1, P@3 and P@5 after it.

    Make one with `from_estimator`.

    Parameters
    ----------
    history : list of dict, one an epoch
        As ``history_`` of `lightxml.LightXMLClassifier`.
    averaged_from : float or None, default=None
        The epochs that had passed when averaging of the weights began; it is marked.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, shape (1,) or (2,)
        The loss and, with validation documents, the figures.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from lightxml import LightXMLClassifier
    >>> from lightxml.datasets import make_xmc
    >>> from lightxml.plot import TrainingDisplay
    >>> X, y = make_xmc(n_documents=200, n_labels=20, random_state=0)
    >>> model = LightXMLClassifier(None, features=TfidfVectorizer(), rankers=("network",))
    >>> model = model.fit(X[:150], y[:150], X_val=X[150:], y_val=y[150:])
    >>> display = TrainingDisplay.from_estimator(model)
    """

    def __init__(
        self, *, history: Sequence[dict[str, float]], averaged_from: float | None = None
    ) -> None:
        self.history = list(history)
        self.averaged_from = averaged_from

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the training of a fitted estimator.

        The start of the averaging is marked where it is known: not after an early stop, unless
        `max_epochs` was given.

        Parameters
        ----------
        estimator : LightXMLClassifier, or Pipeline that ends in one
            Fitted. Of an ensemble, give one of ``estimators_``.
        ax : matplotlib Axes, or array of two, optional
            Two with validation documents. None: of a new figure.

        Returns
        -------
        display : TrainingDisplay

        Raises
        ------
        TypeError
            If the estimator is another one.
        ValueError
            If `ax` has another number of axes.
        ImportError
            If there is no matplotlib.
        """
        model = last_step(estimator)
        if not hasattr(type(model), "history_"):
            raise TypeError(
                f"estimator is a {type(model).__name__}; expected a fitted LightXMLClassifier "
                "(of an ensemble one of estimators_) or a Pipeline that ends in one."
            )
        check_is_fitted(model, "history_")
        history, start = model.history_, model.swa_start
        n_epochs: int | None
        if isinstance(model.max_epochs, str):
            n_epochs = None if model.early_stopping else len(history)
        else:
            n_epochs = model.max_epochs
        begin = None if start is None or n_epochs is None else start * n_epochs
        return cls(history=history, averaged_from=begin).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes, or array of two, optional
            Two with validation documents. None: of a new figure.

        Returns
        -------
        self : TrainingDisplay

        Raises
        ------
        ValueError
            If `ax` has another number of axes, or there is no epoch.
        """
        if not self.history:
            raise ValueError("history has no epoch; expected one at least.")
        cuts = [k for k in (1, 3, 5) if f"precision_at_{k}" in self.history[0]]
        n_panels = 2 if cuts else 1
        axes = new_panels(n_panels) if ax is None else np.atleast_1d(ax).ravel()
        if len(axes) != n_panels:
            what = "of validation figures too" if cuts else "without validation figures"
            raise ValueError(f"ax has {len(axes)} axes; expected {n_panels}, for a history {what}.")
        epochs = [record["epoch"] for record in self.history]
        loss = [record["loss"] for record in self.history]
        axes[0].plot(epochs, loss, **line_style(0))
        axes[0].set(ylabel="training loss")
        for number, k in enumerate(cuts):
            values = [record[f"precision_at_{k}"] for record in self.history]
            axes[1].plot(epochs, values, label=f"P@{k}", **line_style(number))
        if cuts:
            axes[1].set(ylabel="validation documents")
            percent_axis(axes[1].yaxis)
        for panel in axes:
            self._finish(panel)
        self.axes_, self.figure_ = axes, axes[0].figure
        return self

    def _finish(self, panel: Any) -> None:
        panel.set(xlabel="epoch")
        integer_axis(panel.xaxis)
        if self.averaged_from is not None and self.averaged_from <= len(self.history):
            panel.axvline(self.averaged_from, color="0.5", linestyle=":", linewidth=1.2)
            panel.annotate(
                "averaging",
                (self.averaged_from, 1.0),
                xycoords=("data", "axes fraction"),
                color="0.5",
                va="bottom",
                ha="center",
            )
        finish(panel)
