"""The command line: ``lightxml demo``, ``train``, ``predict`` and ``evaluate``."""

from __future__ import annotations

import ast
import json
import os
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from typer.core import TyperGroup

from lightxml.exceptions import DeviceMemoryError, NonFiniteLossError

if TYPE_CHECKING:
    from sklearn.utils import Bunch

# Each command imports what it uses: numpy, scikit-learn and torch take seconds, `--help` none.

WIDTH = 80  # columns of a terminal


class _Commands(TyperGroup):
    """Commands that end with one line, not a traceback, on Ctrl-C and what a user can mend."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("\nInterrupted.", err=True)
            raise typer.Exit(130) from None
        except BrokenPipeError:  # the reader, such as `head`, has seen enough: typer ends quietly
            raise
        except (
            ValueError, TypeError, OSError, ImportError, NonFiniteLossError, DeviceMemoryError
        ) as error:  # fmt: skip
            typer.echo(f"lightxml: error: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Extreme multi-label text classification: train, predict, evaluate.",
)

Data = Annotated[
    Path,
    typer.Argument(
        help="A folder with train_texts.txt and train_labels.txt, and the same for test and dev."
    ),
]
Model = Annotated[Path, typer.Argument(help="A folder that train has written.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
JSONLines = Annotated[bool, typer.Option("--jsonl", help="JSON lines instead of a table.")]


@app.command()
def demo(
    text: Annotated[str | None, typer.Option(help="Label this text, and end.")] = None,
) -> None:
    """Learn to label Python's docstrings, then label your text.

    The docstrings are those of the installed packages, their labels the names of modules,
    classes and parameters. Takes about two minutes on two cores and needs no download.
    Without --text, sentences are read from standard input, one a line, until an empty line.
    """
    from lightxml import LightXMLClassifier
    from lightxml.datasets import label_sets, load_pydocs
    from lightxml.evaluation import format_table, frequency_ranking, rank_metrics
    from lightxml.metrics import propensities

    typer.echo("Reading the docstrings of the installed packages ...")
    data = load_pydocs()
    typer.echo(_size(data))
    model = LightXMLClassifier(
        "tiny",
        max_length=24,
        max_epochs=2,
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
    rankings = {
        "most frequent labels": data.labels[frequency_ranking(data.y_train, len(data.X_test), 5)],
        "lightxml, tiny encoder": model.predict_topk(data.X_test),
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
        typer.echo(_answer(sentence, labels[0], scores[0]))


@app.command()
def train(
    data: Data,
    output: Annotated[Path, typer.Option(help="The folder to save the model to.")],
    encoder: Annotated[
        str, typer.Option(help="A local folder, a hub name, 'tiny', 'none', 'auto' for BERT-base.")
    ] = "auto",
    tfidf: Annotated[
        str | None,
        typer.Option(
            metavar="words|pairs",
            help="Read TF-IDF features of the whole documents too, of words or pairs of words.",
        ),
    ] = None,
    freeze_encoder: Annotated[
        bool, typer.Option("--freeze-encoder", help="Encode each document once.")
    ] = False,
    max_length: Annotated[int, typer.Option(help="Tokens a document.")] = 512,
    max_epochs: Annotated[int | None, typer.Option(show_default="auto")] = None,
    batch_size: Annotated[int | None, typer.Option(show_default="auto")] = None,
    learning_rate: Annotated[float, typer.Option(help="Of the encoder.")] = 1e-4,
    random_state: Annotated[int | None, typer.Option(help="Makes the run repeatable.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any other argument of LightXMLClassifier, such as se_block=True; repeatable.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Fit a LightXMLClassifier on a data folder and save it.

    A dev part, if there is one, is measured after each epoch and not learnt from.
    """
    _check_writable(output)
    from lightxml import LightXMLClassifier
    from lightxml.datasets import label_sets, load_xmc

    params = {
        "encoder": None if encoder == "none" else encoder,
        "features": _vectorizer(tfidf),
        "freeze_encoder": freeze_encoder,
        "max_length": max_length,
        "max_epochs": "auto" if max_epochs is None else max_epochs,
        "batch_size": "auto" if batch_size is None else batch_size,
        "learning_rate": learning_rate,
        "random_state": random_state,
        "verbose": 0 if quiet else 1,
    }
    model = LightXMLClassifier(**{**params, **_settings(set_ or [], LightXMLClassifier())})
    bunch = load_xmc(data)
    typer.echo(_size(bunch))
    validation = {}
    if bunch.X_validation is not None:
        y_val = label_sets(bunch.y_validation, bunch.labels)
        validation = {"X_val": bunch.X_validation, "y_val": y_val}
    began = time.monotonic()
    model.fit(bunch.X_train, label_sets(bunch.y_train, bunch.labels), **validation)
    seconds = time.monotonic() - began
    model.save(output)
    last = ", ".join(f"{name} {value:.4g}" for name, value in model.history_[-1].items())
    typer.echo(last.replace("precision_at_", "P@"))
    typer.echo(f"Trained in {seconds:,.0f} s, {_peak_memory()}; saved to {output}.")


@app.command()
def predict(
    model: Model,
    file: Annotated[Path, typer.Argument(help="A document a line; - is standard input.")],
    k: Annotated[int, typer.Option("-k", min=1, help="Labels a document.")] = 5,
    jsonl: JSONLines = False,
    names: Annotated[
        Path | None,
        typer.Option(help="Show names for labels, from a file of lines: label, tab, name."),
    ] = None,
    device: Device = "auto",
) -> None:
    """Rank labels for each line of a file, as the lines come."""
    from lightxml import load
    from lightxml.lines import read_documents

    name_of = {} if names is None else _read_names(names)
    with _open(file) as stream:
        estimator = load(model, device)
        for documents in read_documents(stream):
            topk, scores = estimator.predict_topk(documents, k, return_scores=True)
            answers = []
            for document, row, values in zip(
                documents, topk.tolist(), scores.tolist(), strict=True
            ):
                labels = [name_of.get(str(label), label) for label in row]
                if jsonl:
                    rounded = [round(value, 6) for value in values]
                    answers.append(json.dumps({"labels": labels, "scores": rounded}))
                else:
                    answers.append(_answer(document, labels, values))
            typer.echo("\n".join(answers))


@app.command()
def evaluate(
    model: Model,
    data: Data,
    validation: Annotated[
        bool, typer.Option("--validation", help="Measure on the dev part, not on test.")
    ] = False,
    propensity: Annotated[
        tuple[float, float], typer.Option(metavar="A B", help="Of the propensity model.")
    ] = (0.55, 1.5),
    jsonl: JSONLines = False,
    device: Device = "auto",
) -> None:
    """Measure a model on held-out documents.

    P, nDCG, R, PSP and PSnDCG at 1, 3 and 5, with times and peak memory.
    """
    from lightxml import load
    from lightxml.datasets import label_sets, load_xmc
    from lightxml.evaluation import format_table, rank_metrics
    from lightxml.labels import encode_known
    from lightxml.metrics import propensities

    estimator = load(model, device)
    bunch = load_xmc(data)
    part = "validation" if validation else "test"
    texts, classes = bunch[f"X_{part}"], estimator.classes_
    if texts is None:
        raise ValueError(f"{data} has no {part} part.")
    y_train, y_true = (
        encode_known(label_sets(y, bunch.labels), classes, "collections", y.shape[0])
        for y in (bunch.y_train, bunch[f"y_{part}"])
    )
    if y_train.nnz == 0:
        raise ValueError(
            f"the labels of the model (such as {classes[0]}) and of {data} (such as"
            f" {bunch.labels[0]}) have none in common. Fit on label_sets(y_train, labels), which"
            " keeps the names."
        )
    began = time.monotonic()
    topk = estimator.predict_topk(texts, min(5, len(classes)))
    seconds = time.monotonic() - began
    weights = propensities(y_train, a=propensity[0], b=propensity[1])
    figures = rank_metrics(y_true, topk, weights, classes=classes)
    if jsonl:
        typer.echo(json.dumps(figures))
        return
    typer.echo(f"{len(texts):,} documents of the {part} part, {len(classes):,} labels")
    unknown = bunch.n_unseen_occurrences[part] + bunch[f"y_{part}"].nnz - y_true.nnz
    if unknown:
        typer.echo(f"{unknown:,} uses of labels that the model does not know are left out")
    table: dict[str, dict[str, float]] = {}
    for key, value in figures.items():
        name, _, cut = key.partition("@")
        table.setdefault(name, {})[f"@{cut}"] = value
    typer.echo(f"\n{format_table(table)}\n")
    typer.echo(
        f"Predicted in {seconds:,.1f} s ({len(texts) / seconds:,.0f} documents/s), "
        f"{_peak_memory()}."
    )


def main() -> None:
    """Run the command line."""
    warnings.formatwarning = _warning_line
    app(prog_name="lightxml")


def _warning_line(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    return f"lightxml: warning: {message}\n"


def _vectorizer(tfidf: str | None) -> Any:
    """Return the vectorizer that ``--tfidf`` asks for."""
    if tfidf is None:
        return None
    if tfidf not in ("words", "pairs"):
        raise typer.BadParameter(f"{tfidf}: expected words or pairs.", param_hint="--tfidf")
    from sklearn.feature_extraction.text import TfidfVectorizer

    pairs = {"ngram_range": (1, 2), "max_features": 100_000} if tfidf == "pairs" else {}
    return TfidfVectorizer(sublinear_tf=True, min_df=2, **pairs)


def _check_writable(output: Path) -> None:
    """Refuse, before hours of training, a place where the model cannot be saved."""
    place = next(path for path in (output, *output.parents) if path.exists())
    if not place.is_dir():
        raise ValueError(f"--output {output}: {place} is a file; expected a folder.")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ValueError(f"--output {output}: {place} is not writable.")


def _settings(pairs: Iterable[str], estimator: Any) -> dict[str, Any]:
    """Read ``NAME=VALUE`` pairs; a value that is no Python literal is a string."""
    known = estimator.get_params()
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name not in known:
            raise typer.BadParameter(
                f"{pair}: expected NAME=VALUE with a NAME among {', '.join(known)}.",
                param_hint="--set",
            )
        try:
            settings[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            settings[name] = value
    return settings


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


def _answer(document: str, labels: Iterable[Any], scores: Iterable[float]) -> str:
    """Return a document and its labels in lines for a terminal."""
    lines = [_shorten(document, WIDTH)]
    for label, score in zip(labels, scores, strict=True):
        lines.append(f"    {score:5.3f}  {_shorten(str(label), WIDTH - 11)}")
    return "\n".join(lines)


def _shorten(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 3] + "..."


def _read_names(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8-sig") as file:
        pairs = (line.partition("\t") for line in file)
        return {label: name.strip() for label, _, name in pairs if name.strip()}


def _open(file: Path) -> BufferedReader:
    if file != Path("-"):
        return file.open("rb")
    if sys.stdin is None:
        raise ValueError("standard input is closed; give a file or a pipe.")
    return cast("BufferedReader", sys.stdin.buffer)


def _size(bunch: Bunch) -> str:
    n_documents = len(bunch.X_train)
    return (
        f"{n_documents:,} documents to learn from, {len(bunch.labels):,} labels,"
        f" {bunch.y_train.nnz / n_documents:.1f} a document"
    )


def _peak_memory() -> str:
    try:
        import resource
    except ImportError:  # not on Windows
        return "peak memory unknown"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    return f"peak memory {peak * unit / 2**30:.1f} GiB"
