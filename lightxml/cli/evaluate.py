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

    from lightxml.classifier import LightXMLClassifier
    from lightxml.ensemble import LightXMLEnsemble


# Of which those that reach the threshold are given: more than 100 labels a document do not.
_N_RANKED = 100


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

    P, nDCG and R at 1, 3 and 5, F1 of the labels that the model gives, and how far its
    probabilities are off, with times and peak memory, on the test part of a folder or on all of a
    file. With a folder PSP and PSnDCG too: their propensities come from its training part.
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
    from lightxml.metrics.tables import decision_metrics, rank_metrics

    estimator = load_model(model, device)
    check_reads(estimator, X, model)
    classes = estimator.classes_
    y_train, y_true = _known_labels(bunch, part, classes, data)
    began = time.monotonic()
    n_ranked = min(_N_RANKED, len(classes))
    ranked, scores = estimator.predict_topk(X, n_ranked, return_scores=True)
    seconds = time.monotonic() - began
    a, b = propensity or (0.55, 1.5)
    weights = None if in_file else propensities(y_train, a=a, b=b)
    known = None if in_file else y_train
    columns = _columns_of(ranked, classes)
    figures = rank_metrics(y_true, columns, weights)
    others = _others(figures, y_true, known)
    decided = decision_metrics(y_true, columns, scores, estimator.threshold_)
    if plot is not None:
        topk = ranked[:, :N_LABELS]
        draw_evaluation(plot, y_true, topk, known, weights, classes=classes)
    if jsonl:
        more = {f"{name}_{cut}": p for name, row in others.items() for cut, p in row.items()}
        typer.echo(json.dumps({**figures, **decided, **more}))
        return
    n_documents = y_true.shape[0]
    source = data.name if in_file else f"the {part} part"
    typer.echo(f"{n_documents:,} documents of {source}, {len(classes):,} labels")
    unknown = bunch.n_unseen_occurrences.get(part, 0) + bunch[f"y_{part}"].nnz - y_true.nnz
    if unknown:
        typer.echo(f"{unknown:,} uses of labels that the model does not know are left out")
    typer.echo(f"\n{_table(figures, others)}\n\n{_decisions(decided, estimator)}\n")
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


def _columns_of(ranked: np.ndarray, classes: np.ndarray) -> np.ndarray:
    import numpy as np

    column_of = {label: column for column, label in enumerate(classes.tolist())}
    found = [column_of[label] for label in ranked.ravel().tolist()]
    return np.array(found, dtype=np.int64).reshape(ranked.shape)


def _others(
    figures: dict[str, float], y_true: csr_array, y_train: csr_array | None
) -> dict[str, dict[str, float]]:
    """Return P@k of what bounds the model, above and, where the training part is known, below."""
    from lightxml.metrics.measures import precision_at_k
    from lightxml.metrics.tables import frequency_ranking, most_possible

    cuts = {name: int(name[2:]) for name in figures if name.startswith("P@")}
    others = {"most_possible": {name: most_possible(y_true, k) for name, k in cuts.items()}}
    if y_train is not None:
        frequent = frequency_ranking(y_train, y_true.shape[0], max(cuts.values()))
        others["most_frequent"] = {
            name: precision_at_k(y_true, frequent, k) for name, k in cuts.items()
        }
    return others


def _decisions(decided: dict[str, float], estimator: LightXMLClassifier | LightXMLEnsemble) -> str:
    from lightxml.metrics.tables import format_table

    threshold, n_best = estimator.threshold_, min(5, len(estimator.classes_))
    told = f"of {threshold:.3g}" if isinstance(threshold, float) else "of each label"
    averages = ("micro", "macro", "samples")
    table = format_table({"F1": {name: decided[f"{name}_f1"] for name in averages}})
    return (
        f"{table}\n\n"
        f"Labels a document at the threshold {told}: {decided['labels_given']:.2f} given, "
        f"{decided['labels_true']:.2f} true.\n"
        f"Documents without a label: {decided['documents_given_none']:,} are given none, "
        f"{decided['documents_without_labels']:,} have none that the model knows.\n"
        f"Calibration error of the best {n_best}: {100 * decided['calibration_error']:.2f} %."
    )


def _table(figures: dict[str, float], others: dict[str, dict[str, float]]) -> str:
    from lightxml.metrics.tables import format_table

    table: dict[str, dict[str, float]] = {}
    for key, value in figures.items():
        name, _, cut = key.partition("@")
        table.setdefault(name, {})[f"@{cut}"] = value
    for name, row in others.items():
        told = "P, most frequent labels" if name == "most_frequent" else "P, most possible"
        table[told] = {f"@{cut[2:]}": value for cut, value in row.items()}
    return format_table(table)
