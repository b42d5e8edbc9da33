"""``lightxml evaluate``: a model measured on held-out documents."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lightxml.cli.options import (
    Data,
    Device,
    JSONLines,
    LabelColumn,
    LabelSeparator,
    Model,
    TextColumn,
    check_data,
    check_device,
    check_model,
    check_reads,
    load_model,
    read_data,
)
from lightxml.cli.picture import N_LABELS, check_picture, draw_evaluation
from lightxml.runtime.terminal import peak_memory

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse import csr_array
    from sklearn.utils import Bunch


def evaluate(
    model: Model,
    data: Data,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_separator: LabelSeparator = ";",
    validation: Annotated[
        bool, typer.Option("--validation", help="Measure on the dev part, not on test.")
    ] = False,
    propensity: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="A B", help="Of the propensity model.", show_default="0.55 1.5"),
    ] = None,
    jsonl: JSONLines = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a picture too: png, svg or pdf.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Measure a model on held-out documents.

    P, nDCG and R at 1, 3 and 5, with times and peak memory, on the test part of a folder or on
    all of a file. With a folder PSP and PSnDCG too: their propensities come from its training
    part.
    """
    if plot is not None:
        check_picture(plot)
    in_file = not data.is_dir()
    if in_file and data.exists() and (validation or propensity):
        raise ValueError("--validation and --propensity are about a folder's parts, not a file.")
    check_device(device)
    check_model(model)
    check_data(data, text_column, label_column, label_separator)
    bunch = read_data(data, text_column, label_column, label_separator)
    part = "train" if in_file else "validation" if validation else "test"
    X = bunch[f"X_{part}"]
    if X is None:
        raise ValueError(f"{data} has no {part} part.")
    from lightxml.metrics.measures import propensities
    from lightxml.metrics.tables import rank_metrics

    estimator = load_model(model, device)
    check_reads(estimator, X, model)
    classes = estimator.classes_
    y_train, y_true = _known_labels(bunch, part, classes, data)
    began = time.monotonic()
    topk = estimator.predict_topk(X, min(5 if plot is None else N_LABELS, len(classes)))
    seconds = time.monotonic() - began
    a, b = propensity or (0.55, 1.5)
    weights = None if in_file else propensities(y_train, a=a, b=b)
    figures = rank_metrics(y_true, topk, weights, classes=classes)
    if plot is not None:
        known = None if in_file else y_train
        draw_evaluation(plot, y_true, topk, known, weights, classes=classes)
    if jsonl:
        typer.echo(json.dumps(figures))
        return
    n_documents = y_true.shape[0]
    source = data.name if in_file else f"the {part} part"
    typer.echo(f"{n_documents:,} documents of {source}, {len(classes):,} labels")
    unknown = bunch.n_unseen_occurrences.get(part, 0) + bunch[f"y_{part}"].nnz - y_true.nnz
    if unknown:
        typer.echo(f"{unknown:,} uses of labels that the model does not know are left out")
    typer.echo(f"\n{_table(figures)}\n")
    typer.echo(
        f"Predicted in {seconds:,.1f} s ({n_documents / seconds:,.0f} documents/s), "
        f"{peak_memory()}."
    )


def _known_labels(
    bunch: Bunch, part: str, classes: np.ndarray, data: Path
) -> tuple[csr_array, csr_array]:
    """Return the labels of the training part and of a part in the model's columns.

    Raises
    ------
    ValueError
        If the model knows none of the training part's.
    """
    from lightxml.data.labels import encode_known
    from lightxml.datasets import label_sets

    y_train, y_true = (
        encode_known(label_sets(y, bunch.labels), classes, "collections", y.shape[0])
        for y in (bunch.y_train, bunch[f"y_{part}"])
    )
    if y_train.nnz == 0:
        example = f"such as {bunch.labels[0]}" if len(bunch.labels) else "no label at all"
        raise ValueError(
            f"the labels of the model (such as {classes[0]}) and of {data} ({example}) have none in"
            " common. Give data of the model's labels; --label-column and --label-separator of a"
            " file as in training."
        )
    return y_train, y_true


def _table(figures: dict[str, float]) -> str:
    from lightxml.metrics.tables import format_table

    table: dict[str, dict[str, float]] = {}
    for key, value in figures.items():
        name, _, cut = key.partition("@")
        table.setdefault(name, {})[f"@{cut}"] = value
    return format_table(table)
