"""``lightxml explain``: the words that speak for a label."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lightxml.cli.options import (
    Device,
    Language,
    Model,
    Names,
    check_device,
    check_file,
    check_model,
    check_reads,
    known_label,
    load_model,
    names_of,
    open_bytes,
    read_label_texts,
)
from lightxml.datasets.tables.streams import STANDARD_INPUT

if TYPE_CHECKING:
    from lightxml.inspection import Explanation


def explain(
    model: Model,
    text: Annotated[str, typer.Argument(help="The document; - is standard input.")] = "-",
    label: Annotated[str | None, typer.Option(help="Which one.", show_default="the best")] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save the text, its words colored.")
    ] = None,
    names: Names = None,
    language: Language = None,
    device: Device = "auto",
) -> None:
    """Show which words of a text speak for a label, and which against it.

    Then what each ranker thought, and the training documents with the label that are nearest.
    """
    if html is not None:
        check_file(html, "--html")
    check_device(device)
    check_model(model)
    texts = read_label_texts(names, language, "--names")
    if text == "-":
        from lightxml.datasets.lines import read_documents

        with open_bytes(STANDARD_INPUT) as stream:
            text = "\n".join(line for batch in read_documents(stream) for line in batch)
    estimator = load_model(model, device)
    check_reads(estimator, [text], model)
    name_of = names_of(estimator, texts, names)
    if label is not None:
        label = known_label(label, "--label", estimator.classes_.tolist(), name_of)
    from lightxml.inspection.occlusion import explain as explanation_of

    found = _named(explanation_of(estimator, text, label), name_of)
    typer.echo(str(found))
    if html is not None:
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(found.to_html(), encoding="utf-8")


def _named(found: Explanation, name_of: dict[str, str]) -> Explanation:
    """Return what was found with names in the place of labels."""
    opinions = tuple(
        replace(each, best=name_of.get(str(each.best), each.best)) for each in found.opinions
    )
    label = name_of.get(str(found.label), found.label)
    return replace(found, label=label, opinions=opinions)
