"""The command line: ``demo``, ``train``, ``predict``, ``explain``, ``evaluate`` and others."""

from __future__ import annotations

import ast
import json
import os
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from typer.core import TyperGroup

from lightxml.cli.recipes import IMPROVEMENTS, RECIPES, Smoke
from lightxml.exceptions import DeviceMemoryError, NonFiniteLossError
from lightxml.runtime.terminal import WIDTH, answer, peak_memory, sizes, warning_line

if TYPE_CHECKING:
    from sklearn.utils import Bunch

# Each command imports what it uses: numpy, scikit-learn and torch take seconds, `--help` none.


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
        help="A folder with train_texts.txt and train_labels.txt, and the same for test and dev,"
        " or in another layout of the field; or a CSV, TSV or JSON-lines file."
    ),
]
TextColumn = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME", help="A column of the file's texts; repeatable, then joined by a blank."
    ),
]
LabelColumn = Annotated[
    str | None, typer.Option(metavar="NAME", help="The column of the file's labels.")
]
LabelSeparator = Annotated[
    str, typer.Option(metavar="TEXT", help="Between the labels there; JSON lists need none.")
]
Model = Annotated[Path, typer.Argument(help="A folder that train has written.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
JSONLines = Annotated[bool, typer.Option("--jsonl", help="JSON lines instead of a table.")]
Names = Annotated[
    Path | None,
    typer.Option(help="Show names for labels, from a file of lines: label, tab, name."),
]


@app.command()
def demo(
    text: Annotated[str | None, typer.Option(help="Label this text, and end.")] = None,
) -> None:
    """Learn to label Python's docstrings, then label your text.

    The docstrings are those of the installed packages, their labels the names of modules,
    classes and parameters. It learns from their words alone, without an encoder: that takes
    less than a minute on two cores and needs no download.
    Without --text, sentences are read from standard input, one a line, until an empty line.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    from lightxml import LightXMLClassifier
    from lightxml.datasets import label_sets, load_pydocs
    from lightxml.metrics.measures import propensities
    from lightxml.metrics.tables import format_table, frequency_ranking, rank_metrics

    typer.echo("Reading the docstrings of the installed packages ...")
    data = load_pydocs()
    typer.echo(sizes(data))
    tfidf = TfidfVectorizer(sublinear_tf=True, min_df=2)
    model = LightXMLClassifier(None, features=tfidf, random_state=0, verbose=1)
    began = time.monotonic()
    model.fit(data.X_train, label_sets(data.y_train, data.labels))
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


@app.command()
def train(
    data: Data,
    output: Annotated[Path, typer.Option(help="The folder to save the model to.")],
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_separator: LabelSeparator = ";",
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
    """Fit a LightXMLClassifier on a folder or a file and save it.

    A dev part, if there is one, is measured after each epoch and not learnt from.
    """
    _check_writable(output, "--output")
    from lightxml import LightXMLClassifier
    from lightxml.datasets import label_sets
    from lightxml.runtime.distributed import is_first_process

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
    bunch = _read_data(data, text_column, label_column, label_separator)
    is_first = is_first_process()
    if is_first:
        typer.echo(sizes(bunch))
    validation = {}
    if bunch.X_validation is not None:
        y_val = label_sets(bunch.y_validation, bunch.labels)
        validation = {"X_val": bunch.X_validation, "y_val": y_val}
    began = time.monotonic()
    model.fit(bunch.X_train, label_sets(bunch.y_train, bunch.labels), **validation)
    seconds = time.monotonic() - began
    if not is_first:
        return
    model.save(output)
    last = ", ".join(f"{name} {value:.4g}" for name, value in model.history_[-1].items())
    typer.echo(last.replace("precision_at_", "P@"))
    typer.echo(f"Trained in {seconds:,.0f} s, {peak_memory()}; saved to {output}.")


@app.command()
def predict(
    model: Model,
    file: Annotated[
        Path,
        typer.Argument(
            help="A document a line, - is standard input; or a CSV, TSV or JSON-lines file."
        ),
    ],
    text_column: TextColumn = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Labels a document.")] = 5,
    jsonl: JSONLines = False,
    names: Names = None,
    device: Device = "auto",
) -> None:
    """Rank labels for each document of a file, as its lines come."""
    from lightxml import load

    name_of = {} if names is None else _read_names(names)
    with _documents(file, text_column or []) as batches:
        estimator = load(model, device)
        for documents in batches:
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
                    answers.append(answer(document, labels, values))
            typer.echo("\n".join(answers))


@app.command()
def explain(
    model: Model,
    text: Annotated[str, typer.Argument(help="The document; - is standard input.")] = "-",
    label: Annotated[str | None, typer.Option(help="Which one.", show_default="the best")] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save the text, its words coloured.")
    ] = None,
    names: Names = None,
    device: Device = "auto",
) -> None:
    """Show which words of a text speak for a label, and which against it."""
    if html is not None:
        _check_writable(html.parent, "--html")
        if html.is_dir():
            raise ValueError(f"--html {html} is a folder; expected a file.")
    from lightxml import inspection, load

    name_of = {} if names is None else _read_names(names)
    if text == "-":
        with _documents(Path("-"), []) as batches:
            text = "\n".join(line for batch in batches for line in batch)
    estimator = load(model, device)
    if label is not None:  # as the model has it, which may be a number
        label = next((one for one in estimator.classes_.tolist() if str(one) == label), label)
    found = inspection.explain(estimator, text, label)
    found = replace(found, label=name_of.get(str(found.label), found.label))
    typer.echo(str(found))
    if html is not None:
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(found.to_html(), encoding="utf-8")


@app.command()
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
    from lightxml import load
    from lightxml.data.labels import encode_known
    from lightxml.datasets import label_sets
    from lightxml.metrics.measures import propensities
    from lightxml.metrics.tables import format_table, rank_metrics

    if plot is not None:
        from lightxml.cli.picture import N_LABELS, check_picture, draw_evaluation

        check_picture(plot)
    in_file = data.is_file()
    if in_file and (validation or propensity):
        raise ValueError("--validation and --propensity are about a folder's parts, not a file.")
    estimator = load(model, device)
    bunch = _read_data(data, text_column, label_column, label_separator)
    part = "train" if in_file else "validation" if validation else "test"
    X, classes = bunch[f"X_{part}"], estimator.classes_
    if X is None:
        raise ValueError(f"{data} has no {part} part.")
    y_train, y_true = (
        encode_known(label_sets(y, bunch.labels), classes, "collections", y.shape[0])
        for y in (bunch.y_train, bunch[f"y_{part}"])
    )
    if y_train.nnz == 0:
        example = f"such as {bunch.labels[0]}" if len(bunch.labels) else "no label at all"
        raise ValueError(
            f"the labels of the model (such as {classes[0]}) and of {data} ({example}) have none in"
            " common. Fit on label_sets(y_train, labels), which keeps the names."
        )
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
    table: dict[str, dict[str, float]] = {}
    for key, value in figures.items():
        name, _, cut = key.partition("@")
        table.setdefault(name, {})[f"@{cut}"] = value
    typer.echo(f"\n{format_table(table)}\n")
    typer.echo(
        f"Predicted in {seconds:,.1f} s ({n_documents / seconds:,.0f} documents/s), "
        f"{peak_memory()}."
    )


@app.command()
def info(model: Model) -> None:
    """Say what a saved model is, without loading its weights."""
    from lightxml.storage.description import describe

    typer.echo(describe(model, width=WIDTH))


@app.command()
def reproduce(
    name: Annotated[str, typer.Argument(metavar="|".join(RECIPES), show_default=False)],
    data: Annotated[Path | None, typer.Option(metavar="FOLDER", help="The data set.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Save the model, and the figures as figures.json."),
    ] = None,
    json_: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Save the figures here instead.")
    ] = None,
    improvements: Annotated[
        str, typer.Option(metavar="NAMES", help=f"Of {','.join(IMPROVEMENTS)}, with commas.")
    ] = "",
    members: Annotated[
        int | None, typer.Option(metavar="N", help="Train the first N of the three members only.")
    ] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FOLDER", help="In place of the published ones: once, or once for each member."
        ),
    ] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="The whole recipe in a minute, made tiny.")
    ] = False,
    checkpoint_dir: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where a killed member goes on from.")
    ] = None,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="The same seed, the same model.")] = 0,
) -> None:
    """Train LightXML with its published settings, and compare.

    Three members are trained one after the other and averaged. Their figures on the test part
    are shown beside the published ones.
    """
    if name not in RECIPES:
        raise typer.BadParameter(f"{name}: expected one of {', '.join(RECIPES)}.")
    if output is not None:
        _check_writable(output, "--output")
        json_ = json_ or output / "figures.json"
    if json_ is not None:
        _check_writable(json_.parent, "--json")
        if json_.is_dir():
            raise ValueError(f"--json {json_} is a folder; expected a file.")
    from lightxml.cli import reproduction
    from lightxml.datasets import label_sets
    from lightxml.runtime.distributed import is_first_process

    recipe, cuts = RECIPES[name], Smoke() if smoke else None
    chosen, idle = reproduction.choose_improvements(recipe, improvements)
    model = reproduction.make_ensemble(
        recipe,
        encoders=encoder or [],
        n_members=members,
        improvements=chosen,
        smoke=cuts,
        checkpoint_dir=checkpoint_dir,
        device=device,
        seed=seed,
        verbose=1,
    )
    bunch = reproduction.read_data(recipe, data, cuts)
    reproduction.check_encoders(model)
    is_first = is_first_process()
    if is_first:
        typer.echo(sizes(bunch))
    if idle and is_first:
        typer.echo(f"Left out, having no effect without label clusters: {', '.join(idle)}.")
    began = time.monotonic()
    model.fit(bunch.X_train, label_sets(bunch.y_train, bunch.labels))
    seconds = time.monotonic() - began
    if not is_first:
        return
    if output is not None:
        model.save(output)
    figures = reproduction.measure(model, bunch, recipe)
    typer.echo(f"Trained in {seconds:,.0f} s, {peak_memory()}.\n")
    typer.echo(reproduction.comparison(recipe, figures, improvements=chosen, smoke=cuts))
    if json_ is not None:
        record = reproduction.record(recipe, model, figures, improvements=chosen, smoke=cuts)
        record |= {"folder": str(data), "seed": seed, "seconds": round(seconds, 1)}
        json_.parent.mkdir(parents=True, exist_ok=True)
        json_.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Run the command line."""
    warnings.formatwarning = warning_line
    app(prog_name="lightxml")


def _vectorizer(tfidf: str | None) -> Any:
    """Return the vectorizer that ``--tfidf`` asks for."""
    if tfidf is None:
        return None
    if tfidf not in ("words", "pairs"):
        raise typer.BadParameter(f"{tfidf}: expected words or pairs.", param_hint="--tfidf")
    from sklearn.feature_extraction.text import TfidfVectorizer

    pairs = {"ngram_range": (1, 2), "max_features": 100_000} if tfidf == "pairs" else {}
    return TfidfVectorizer(sublinear_tf=True, min_df=2, **pairs)


def _check_writable(folder: Path, option: str) -> None:
    """Refuse, before hours of training, a folder that cannot be written."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    if not place.is_dir():
        raise ValueError(f"{option} {folder}: {place} is a file; expected a folder.")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ValueError(f"{option} {folder}: {place} is not writable.")


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


def _read_names(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8-sig") as file:
        pairs = (line.partition("\t") for line in file)
        return {label: name.strip() for label, _, name in pairs if name.strip()}


def _read_data(
    data: Path, text_column: list[str] | None, label_column: str | None, separator: str
) -> Bunch:
    """Read a folder, or the columns of a file as a training part."""
    from lightxml.datasets import load_xmc
    from lightxml.datasets.records import load_records

    if data.is_file() or (text_column and not data.is_dir()):
        return load_records(data, text_column or [], label_column, separator)
    if text_column or label_column is not None:
        raise ValueError(
            f"--text-column and --label-column name columns of a file; {data} is none."
        )
    return load_xmc(data)


@contextmanager
def _documents(file: Path, text_column: list[str]) -> Iterator[Iterator[list[str]]]:
    """Give the documents of a file in batches: its lines, or its columns."""
    from lightxml.datasets.lines import read_documents
    from lightxml.datasets.records import is_record_file, read_texts

    if text_column or is_record_file(file):
        yield read_texts(file, text_column)
    else:
        with _open(file) as stream:
            yield read_documents(stream)


def _open(file: Path) -> BufferedReader:
    if file != Path("-"):
        return file.open("rb")
    if sys.stdin is None:
        raise ValueError("standard input is closed; give a file or a pipe.")
    return cast("BufferedReader", sys.stdin.buffer)
