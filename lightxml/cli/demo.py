"""``lightxml demo``: a model of docstrings in a minute."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Annotated

import typer

from lightxml.runtime.terminal import answer, sizes


def demo(
    text: Annotated[str | None, typer.Option(help="Label this text, and end.")] = None,
) -> None:
    """Learn to label Python's docstrings, then label your text.

    The docstrings are those of the installed packages, their labels the names of modules,
    classes and parameters. It learns from words alone, those of the labels among them, without
    an encoder: that takes less than a minute on two cores and needs no download.
    Without --text, sentences are read from standard input, one a line, until an empty line.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    from lightxml.classifier import LightXMLClassifier
    from lightxml.datasets import label_sets, load_pydocs
    from lightxml.metrics.measures import propensities
    from lightxml.metrics.tables import format_table, frequency_ranking, rank_metrics

    typer.echo("Reading the docstrings of the installed packages ...")
    data = load_pydocs()
    typer.echo(sizes(data))
    tfidf = TfidfVectorizer(sublinear_tf=True, min_df=2)
    model = LightXMLClassifier(None, features=tfidf, random_state=0, verbose=1)
    typer.echo("Learning from their words and those of the labels ...")
    began = time.monotonic()
    names = dict(zip(data.labels.tolist(), data.label_names.tolist(), strict=True))
    model.fit(data.X_train, label_sets(data.y_train, data.labels), label_texts=names)
    typer.echo(f"Trained in {time.monotonic() - began:.0f} s.\n")
    rankings = {
        "most frequent labels": data.labels[frequency_ranking(data.y_train, len(data.X_test), 5)],
        "lightxml, words alone": model.predict_topk(data.X_test),
    }
    weights = propensities(data.y_train)
    table = {}
    for name, topk in rankings.items():
        figures = rank_metrics(data.y_test, topk, weights, classes=data.labels)
        table[name] = {key: figures[key] for key in figures if key.startswith(("P@", "PSP@"))}
    typer.echo(format_table(table))
    typer.echo("(on docstrings held out of training)\n")
    for sentence in [text] if text is not None else _sentences():
        labels, scores = model.predict_topk([sentence], return_scores=True)
        typer.echo(answer(sentence, labels[0], scores[0]))


def _sentences() -> Iterator[str]:
    """Yield lines of standard input until an empty one or the end, asking for them in person."""
    if sys.stdin is None:  # closed
        return
    prompt = ""
    if sys.stdin.isatty():
        typer.echo("Type what a function does, such as: sort the rows of a sparse matrix")
        prompt = "> "
    try:
        while sentence := input(prompt).strip():
            yield sentence
    except EOFError:
        return
