"""``lightxml predict``: labels for documents as they come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lightxml.cli.options import (
    Device,
    JSONLines,
    Language,
    Model,
    Names,
    Not,
    Only,
    TextColumn,
    check_device,
    check_documents,
    check_model,
    check_reads,
    listed_labels,
    load_model,
    names_of,
    read_documents,
    read_label_texts,
)
from lightxml.runtime.terminal import answer


def predict(
    model: Model,
    file: Annotated[
        Path,
        typer.Argument(
            help="A document a line, - is standard input; or a CSV, TSV or JSON-lines file."
        ),
    ],
    text_column: TextColumn = None,
    k: Annotated[
        int | None, typer.Option("-k", min=1, help="Labels a document.", show_default="5")
    ] = None,
    only: Only = None,
    not_: Not = None,
    jsonl: JSONLines = False,
    names: Names = None,
    language: Language = None,
    device: Device = "auto",
) -> None:
    """Rank labels for each document of a file, as its lines come.

    Labels are shown by their names, where there are names. JSON lines have the labels, and their
    names beside them. --only ranks the labels that it lists, whether anything speaks for them or
    not; --not leaves labels out.
    """
    columns = text_column or []
    check_device(device)
    check_model(model)
    check_documents(file, columns)
    texts = read_label_texts(names, language, "--names")
    with read_documents(file, columns) as batches:
        estimator = load_model(model, device)
        name_of = names_of(estimator, texts, names)
        n_labels = len(estimator.classes_)
        if k is not None and k > n_labels:
            raise ValueError(f"-k {k} is more than the {n_labels} labels of the model.")
        classes = estimator.classes_.tolist()
        labels = listed_labels(only, "--only", classes, name_of)
        exclude = listed_labels(not_, "--not", classes, name_of)
        if exclude and not set(classes if labels is None else labels).difference(exclude):
            whose = "the model" if labels is None else "--only"
            raise ValueError(f"--not has all labels of {whose}; expected that one is left.")
        for documents in batches:
            check_reads(estimator, documents, model)
            topk, scores = estimator.predict_topk(
                documents,
                k or min(5, n_labels),
                return_scores=True,
                labels=labels,
                exclude=exclude,
            )
            answers = []
            for document, row, values in zip(
                documents, topk.tolist(), scores.tolist(), strict=True
            ):
                shown = [name_of.get(str(label), label) for label in row]
                if jsonl:
                    named = {"names": shown} if name_of else {}
                    rounded = [round(value, 6) for value in values]
                    answers.append(json.dumps({"labels": row, **named, "scores": rounded}))
                else:
                    answers.append(answer(document, shown, values))
            typer.echo("\n".join(answers))
