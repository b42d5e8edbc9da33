"""The command line: ``lightxml demo``, ``train``, ``predict`` and ``evaluate``."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Annotated, Any

import numpy as np
import typer
from sklearn.utils import Bunch

from lightxml import metrics
from lightxml.datasets import label_sets, load_pydocs, load_xmc
from lightxml.evaluation import format_table, frequency_ranking, rank_metrics
from lightxml.labels import encode_known

# The classifier, and torch with it, is imported by the commands that use it: `--help` is quick.

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Extreme multi-label text classification: train, predict, evaluate.",
)

_DATA = "A folder with train_texts.txt, train_labels.txt, and the same for test (and dev)."
_AT_ONCE = 64  # documents predicted together, when as many are waiting


@app.command()
def demo(
    text: Annotated[str | None, typer.Option(help="Label this text and end.")] = None,
) -> None:
    """Learn to label the docstrings of the installed Python packages, then label your text.

    Takes about two minutes on two cores and needs no download. Without --text, sentences are
    read from the terminal, one a line, until an empty line.
    """
    from lightxml import LightXMLClassifier

    typer.echo("Reading the docstrings of the installed packages ...")
    data = load_pydocs()
    typer.echo(_first_lines(data.DESCR))
    model = LightXMLClassifier(
        "tiny",
        max_length=48,
        max_epochs=6,
        batch_size=32,
        learning_rate=1e-3,
        head_learning_rate=5e-3,
        dropout=0.2,
        random_state=0,
        verbose=1,
    )
    began = time.monotonic()
    model.fit(data.X_train, label_sets(data.y_train, data.labels))
    typer.echo(f"Trained a 4-layer encoder from scratch in {time.monotonic() - began:.0f} s.\n")
    rows = {
        "most frequent labels": _ranked(data, frequency_ranking(data.y_train, len(data.X_test), 5)),
        "lightxml, tiny encoder": _ranked(data, model.predict_topk(data.X_test), model.classes_),
    }
    typer.echo(format_table(rows, ("P", "PSP")))
    typer.echo("(in %, on docstrings held out of training)\n")
    for sentence in [text] if text is not None else _sentences():
        _print_table([sentence], *model.predict_topk([sentence], return_scores=True))


@app.command()
def train(
    data: Annotated[Path, typer.Argument(help=_DATA)],
    output: Annotated[Path, typer.Option(help="The folder to save the model to.")],
    encoder: Annotated[
        str, typer.Option(help="A local folder, a hub name, 'tiny', or 'auto' (BERT-base).")
    ] = "auto",
    max_length: Annotated[int, typer.Option(help="Tokens a document.")] = 512,
    max_epochs: Annotated[int | None, typer.Option(help="Default: 20.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Default: 16.")] = None,
    learning_rate: Annotated[float, typer.Option(help="Of the encoder.")] = 1e-4,
    random_state: Annotated[int | None, typer.Option(help="Makes the run repeatable.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any other argument of LightXMLClassifier, such as --set se_block=true.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Fit a LightXMLClassifier on a data folder and save it.

    A dev part, if there is one, is measured after each epoch and not learnt from.
    """
    if output.exists() and not output.is_dir():
        raise ValueError(f"--output {output} is a file; expected a folder, or nothing yet.")
    bunch = load_xmc(data)
    typer.echo(_first_lines(bunch.DESCR))
    from lightxml import LightXMLClassifier

    params = {
        "encoder": encoder,
        "max_length": max_length,
        "max_epochs": "auto" if max_epochs is None else max_epochs,
        "batch_size": "auto" if batch_size is None else batch_size,
        "learning_rate": learning_rate,
        "random_state": random_state,
        "verbose": 0 if quiet else 1,
        **_settings(set_ or []),
    }
    model = LightXMLClassifier(**params)
    validation = {}
    if bunch.X_validation is not None:
        validation = {
            "X_val": bunch.X_validation,
            "y_val": label_sets(bunch.y_validation, bunch.labels),
        }
    began = time.monotonic()
    model.fit(bunch.X_train, label_sets(bunch.y_train, bunch.labels), **validation)
    seconds = time.monotonic() - began
    model.save(output)
    typer.echo(f"Trained in {seconds:,.0f} s, {_peak_memory()}; saved to {output}.")
    if validation:
        last = {k: round(v, 4) for k, v in model.history_[-1].items()}
        typer.echo(f"Last epoch: {last}")


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A folder written by train or save.")],
    file: Annotated[str, typer.Argument(help="A document a line; - reads standard input.")],
    k: Annotated[int, typer.Option("-k", help="Labels a document.")] = 5,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help='A line {"labels": [...], "scores": [...]} each.')
    ] = False,
    names: Annotated[
        Path | None,
        typer.Option(help="A file with a label, a tab and its name a line: shows the names."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
) -> None:
    """Rank labels for each line of a file, as the lines come."""
    from lightxml import load

    estimator = load(model, device)
    name_of = _read_names(names) if names is not None else {}
    source = sys.stdin.buffer if file == "-" else open(file, "rb")  # noqa: SIM115 - closed below
    with source:
        for documents in _as_they_come(source):
            labels, scores = estimator.predict_topk(documents, k, return_scores=True)
            named = [[name_of.get(str(label), label) for label in row] for row in labels.tolist()]
            if jsonl:
                for row, values in zip(named, scores.tolist(), strict=True):
                    values = [round(value, 6) for value in values]
                    print(json.dumps({"labels": row, "scores": values}, ensure_ascii=False))
            else:
                _print_table(documents, named, scores)
            sys.stdout.flush()


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="A folder written by train or save.")],
    data: Annotated[Path, typer.Argument(help=_DATA)],
    part: Annotated[str, typer.Option(help="test or validation.")] = "test",
    propensity: Annotated[
        tuple[float, float], typer.Option(help="A and B of the propensity model.")
    ] = (0.55, 1.5),
    jsonl: Annotated[bool, typer.Option("--jsonl", help="The figures as one JSON line.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
) -> None:
    """Measure a model on held-out documents: P, nDCG, R, PSP and PSnDCG at 1, 3 and 5."""
    if part not in ("test", "validation"):
        raise ValueError(f"--part {part}; expected test or validation.")
    from lightxml import load

    bunch = load_xmc(data)
    if bunch[f"X_{part}"] is None:
        raise ValueError(f"{data} has no {part} part.")
    estimator = load(model, device)
    texts, classes = bunch[f"X_{part}"], estimator.classes_
    y_true, y_train = (
        encode_known(
            label_sets(y, bunch.labels), classes, "collections", y.shape[0], name="the labels"
        )
        for y in (bunch[f"y_{part}"], bunch.y_train)
    )
    began = time.monotonic()
    topk = estimator.predict_topk(texts, min(5, len(classes)))
    seconds = time.monotonic() - began
    weights = metrics.propensities(y_train, a=propensity[0], b=propensity[1])
    figures = rank_metrics(y_true, topk, weights, classes=classes)
    if jsonl:
        typer.echo(json.dumps(figures))
        return
    typer.echo(f"{len(texts):,} documents of the {part} part, {len(classes):,} labels")
    unseen = bunch.n_unseen_occurrences[part]
    if unseen:
        typer.echo(
            f"{bunch.n_unseen_labels[part]:,} labels occur in it but not in train; their "
            f"{unseen:,} occurrences are left out."
        )
    typer.echo("")
    typer.echo(format_table({"in %": figures}, ("P", "PSP")))
    typer.echo(format_table({"in %": figures}, ("nDCG", "PSnDCG")))
    typer.echo(format_table({"in %": figures}, ("R",)))
    typer.echo(
        f"\nPredicted in {seconds:,.1f} s ({len(texts) / seconds:,.0f} documents/s), "
        f"{_peak_memory()}."
    )


def main() -> None:
    """Run the command line; errors that a user can mend are one line, not a traceback."""
    try:
        app(prog_name="lightxml")
    except KeyboardInterrupt:
        typer.echo("\nInterrupted.", err=True)
        sys.exit(130)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except (ValueError, TypeError, OSError, ImportError) as error:
        if os.environ.get("LIGHTXML_TRACEBACK"):
            raise
        typer.echo(f"lightxml: error: {error}", err=True)
        sys.exit(1)


def _settings(pairs: Iterable[str]) -> dict[str, Any]:
    """Read ``NAME=VALUE`` pairs; a value that is no JSON is a string."""
    from lightxml import LightXMLClassifier

    known = LightXMLClassifier().get_params()
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name not in known:
            raise ValueError(
                f"--set {pair}: expected NAME=VALUE with a NAME among {', '.join(sorted(known))}."
            )
        try:
            settings[name] = json.loads(value)
        except json.JSONDecodeError:
            settings[name] = value
    return settings


def _ranked(data: Bunch, topk: np.ndarray, classes: Any = None) -> dict[str, dict[int, float]]:
    return rank_metrics(data.y_test, topk, metrics.propensities(data.y_train), classes=classes)


def _sentences() -> Iterator[str]:
    interactive = sys.stdin.isatty()
    if interactive:
        typer.echo("Type what a function does, such as 'sort the rows of a sparse matrix'.")
    while True:
        if interactive:
            print("> ", end="", flush=True)
        line = sys.stdin.readline()
        if not line.strip():
            return
        yield line.rstrip("\n")


def _as_they_come(source: IO[bytes]) -> Iterator[list[str]]:
    """Yield the lines that are waiting, at least one and at most some dozens at a time.

    A thread reads ahead, so that a slow source is answered line by line and a fast one in
    full batches.
    """
    lines: queue.Queue[bytes | BaseException | None] = queue.Queue(maxsize=4 * _AT_ONCE)

    def read() -> None:
        try:
            for line in source:
                lines.put(line)
            lines.put(None)
        except BaseException as error:  # handed to the consumer, which raises it
            lines.put(error)

    threading.Thread(target=read, daemon=True).start()
    number = 0
    while True:
        waiting = [lines.get()]
        while len(waiting) < _AT_ONCE and not lines.empty():
            waiting.append(lines.get())
        documents: list[str] = []
        for line in waiting:
            if line is None or isinstance(line, BaseException):
                break
            number += 1
            try:
                documents.append(line.decode().rstrip("\r\n"))
            except UnicodeDecodeError as error:
                raise ValueError(f"line {number} is not UTF-8 ({error.reason}).") from None
        if documents:
            yield documents
        if isinstance(waiting[-1], BaseException):
            raise waiting[-1]
        if waiting[-1] is None:
            return


def _print_table(documents: list[str], labels: Iterable[Any], scores: np.ndarray) -> None:
    for document, row, values in zip(documents, labels, scores.tolist(), strict=True):
        print(document if len(document) <= 78 else document[:77] + "…")
        for label, value in zip(row, values, strict=True):
            print(f"    {value:6.3f}  {label}")


def _read_names(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8") as file:
        pairs = (line.rstrip("\r\n").partition("\t") for line in file)
        return {label: name for label, tab, name in pairs if tab}


def _first_lines(description: str) -> str:
    return description.partition("\n\n")[0]


def _peak_memory() -> str:
    try:
        import resource
    except ImportError:  # not on Windows
        return "peak memory unknown"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    return f"peak memory {peak * unit / 2**30:.1f} GiB"
