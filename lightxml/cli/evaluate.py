"""``lightxml evaluate``: a model measured on held-out documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lightxml.cli.figures import as_json, as_text, measured
from lightxml.cli.options import (
    Data,
    Device,
    JSONLines,
    Model,
    check_device,
    check_model,
    check_reads,
    load_model,
    warn_of,
)
from lightxml.cli.picture import N_LABELS, check_picture, draw_evaluation
from lightxml.cli.reading import OF_LABELS, as_in_training, check_data, read_data
from lightxml.cli.signature import taking

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse import csr_array
    from sklearn.utils import Bunch

_MOST_LEARNED = 0.5  # of the documents: short texts, such as titles, may come again by chance


@taking("table", OF_LABELS)
def evaluate(
    model: Model,
    data: Data,
    table: dict[str, Any],
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

    P, nDCG and R at 1, 3 and 5, F1 of the labels that the model gives, and how far its
    probabilities are off, with times and peak memory, on the test part of a folder or on all of a
    table, which is read as in training. With a folder PSP and PSnDCG too: their propensities come
    from its training part.
    """
    if plot is not None:
        check_picture(plot)
    in_file = not data.is_dir()
    if in_file and (validation or propensity) and data.exists():
        raise ValueError("--validation and --propensity are about a folder's parts, not a table.")
    check_device(device)
    trained = check_model(model)["manifest"].get("reading")
    reading, differences = as_in_training(table, data, trained)
    check_data(data, reading)
    bunch, _, told = read_data(data, reading)
    part = "train" if in_file else "validation" if validation else "test"
    X = bunch[f"X_{part}"]
    if X is None:
        raise ValueError(f"{data} has no {part} part.")
    for difference in differences:
        warn_of(difference)
    estimator = load_model(model, device)
    check_reads(estimator, X, model)
    classes = estimator.classes_
    y_train, y_true = _known_labels(bunch, part, classes, data)
    figures = measured(
        estimator,
        X,
        y_true,
        y_train=None if in_file else y_train,
        propensity=None if in_file else propensity or (0.55, 1.5),
    )
    if (share := _learned(estimator, X)) > _MOST_LEARNED:
        warn_of(
            f"{100 * share:.0f} % of these documents are like one that the model has learned from:"
            " these figures say little about new ones. Measure on others, or train with"
            " --test-size."
        )
    if plot is not None:
        from lightxml.metrics.measures import propensities

        known = None if in_file else y_train
        a, b = propensity or (0.55, 1.5)
        weights = None if in_file else propensities(y_train, a=a, b=b)
        draw_evaluation(plot, y_true, figures.ranked[:, :N_LABELS], known, weights, classes=classes)
    if jsonl:
        typer.echo(json.dumps(as_json(figures)))
        return
    if told:
        typer.echo(told[0])
    source = data.name if in_file else f"the {part} part"
    typer.echo(f"{figures.n_documents:,} documents of {source}, {len(classes):,} labels")
    unknown = bunch.n_unseen_occurrences.get(part, 0) + bunch[f"y_{part}"].nnz - y_true.nnz
    if unknown:
        typer.echo(f"{unknown:,} uses of labels that the model does not know are left out")
    typer.echo(f"\n{as_text(figures, estimator)}")


def _learned(estimator: Any, X: Any) -> float:
    """Return the share of documents whose features are those of one that was learned from.

    Of at most 1,000 documents, where the model keeps such rows and no encoder is asked.
    """
    model = estimator._first_model
    ranker = next((r for r in estimator.rankers_ if r.name == "neighbors"), None)
    if ranker is None or model.text_reader is not None:
        return 0.0
    some = X[:: -(-len(X) // 1_000)] if isinstance(X, list) else X[:1_000]
    return float(ranker.holds(model.read(some)).mean())


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
            " table as in training."
        )
    return y_train, y_true
