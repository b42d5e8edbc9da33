"""The picture that ``lightxml evaluate --plot`` writes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import scipy.sparse as sp

N_LABELS = 10  # predicted for each document, if there are as many
_KINDS = (".png", ".svg", ".pdf")  # matplotlib needs nothing more for them
_WIDTHS = [5.2, 6.4]  # inches; the bins' counts need more


def check_picture(path: Path) -> None:
    """Refuse, before anything is measured, a picture that cannot be written.

    Raises
    ------
    ImportError
        If there is no matplotlib.
    ValueError
        If it is no png, svg or pdf, or cannot be written there.
    """
    if path.suffix.lower() not in _KINDS:
        raise ValueError(f"--plot {path}: expected a name that ends in {', '.join(_KINDS)}.")
    if path.is_dir():
        raise ValueError(f"--plot {path} is a folder; expected a file.")
    folder = path.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"--plot {path}: {folder} is no folder that can be written to.")
    from lightxml.plot.style import pyplot

    pyplot()


def draw_evaluation(
    path: Path,
    y_true: sp.csr_array,
    topk: np.ndarray,
    y_train: sp.csr_array | None,
    propensities: np.ndarray | None,
    *,
    classes: np.ndarray,
) -> None:
    """Write the metrics over k and, where the training part is known, over label frequency.

    Parameters
    ----------
    path : Path
    y_true : csr_array of shape (n, n_labels)
    topk : ndarray of shape (n, n_k)
        Labels of `classes`, best first.
    y_train : csr_array of shape (n_train, n_labels), or None
        With it the most frequent labels, for every document, are drawn beside the model.
    propensities : ndarray of shape (n_labels,), or None
    classes : ndarray of shape (n_labels,)
    """
    from matplotlib.figure import Figure

    from lightxml.metrics.tables import frequency_ranking
    from lightxml.plot.frequency import LabelFrequencyDisplay
    from lightxml.plot.topk import TopKDisplay

    widths = _WIDTHS[:1] if y_train is None else _WIDTHS
    figure = Figure(figsize=(sum(widths), 4.0), layout="constrained")
    left, *right = figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0]
    lines = {"P@k": "precision", "nDCG@k": "ndcg", "PSP@k": "psp"}
    if propensities is None:
        del lines["PSP@k"]
    for name, metric in lines.items():
        TopKDisplay.from_predictions(
            y_true, topk, classes=classes, metric=metric, propensities=propensities,
            name=name, ax=left,
        )  # fmt: skip
    if y_train is not None:
        n_documents, n_k = topk.shape
        frequent = classes[frequency_ranking(y_train, n_documents, n_k)]
        TopKDisplay.from_predictions(
            y_true, frequent, classes=classes, name="P@k, most frequent labels", ax=left,
            color="0.5", marker="", linestyle=":",
        )  # fmt: skip
        k = min(5, n_k)
        for name, ranking in {"model": topk, "most frequent labels": frequent}.items():
            style: dict[str, Any] = (
                {} if ranking is topk else {"color": "0.5", "marker": "", "linestyle": ":"}
            )
            LabelFrequencyDisplay.from_predictions(
                y_true, ranking, y_train, classes=classes, k=k, name=name, ax=right[0], **style
            )
    left.set(ylabel="")  # several metrics
    for panel in (left, *right):  # above the lines, which may be anywhere
        panel.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    figure.savefig(path, dpi=150)
