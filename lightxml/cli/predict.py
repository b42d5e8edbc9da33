"""``lightxml predict``: labels for documents as they come."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from lightxml.cli.options import (
    Device,
    JSONLines,
    Language,
    Model,
    Names,
    Not,
    Only,
    check_device,
    check_model,
    check_reads,
    listed_labels,
    load_model,
    names_of,
    open_bytes,
    read_label_texts,
    warn_of,
)
from lightxml.cli.outputs import Answer, Draft, check_output, check_resume, writer
from lightxml.cli.reading import OF_TEXTS, as_in_training, check_data, is_table, opened_table
from lightxml.cli.signature import taking
from lightxml.datasets.tables.rows import document_of
from lightxml.datasets.tables.streams import STANDARD_INPUT
from lightxml.runtime.terminal import answer

_AT_ONCE = 1_024  # documents of a table
_MOST = 100  # labels that a threshold may give

# Documents, and of each the values of the columns that go along.
_Batch = tuple[list[str], list[list[Any]]]


@taking("table", OF_TEXTS)
def predict(
    model: Model,
    file: Annotated[
        Path,
        typer.Argument(help="A table as in training; or a document a line, - is standard input."),
    ],
    table: dict[str, Any],
    k: Annotated[
        int | None, typer.Option("-k", min=1, help="Labels a document.", show_default="5")
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            metavar="VALUE",
            help="Only labels with at least this probability; 'model' is the model's own.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write .csv, .jsonl or .parquet, the file's columns among them, with a progress"
            " bar.",
        ),
    ] = None,
    id_column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Carry this column along, not all; repeatable."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="With --output: go on where the same command was killed or ended."
        ),
    ] = False,
    n_jobs: Annotated[int, typer.Option(help="Processes that predict.")] = 1,
    only: Only = None,
    not_: Not = None,
    jsonl: JSONLines = False,
    names: Names = None,
    language: Language = None,
    device: Device = "auto",
) -> None:
    """Rank labels for each document of a file, as its lines come.

    A table is read as in training. Labels are shown by their names, where there are names. JSON
    lines have the labels, and their names beside them. --only ranks the labels that it lists,
    whether anything speaks for them or not; --not leaves labels out.
    """
    check_device(device)
    least = None if threshold is None else _threshold(threshold)
    if output is not None:
        check_output(output)
        if jsonl:
            raise ValueError("--jsonl is about what is printed. Give --output FILE.jsonl alone.")
    if resume:
        check_resume(output, file)
    if n_jobs < 1:
        raise ValueError(f"--n-jobs is {n_jobs}; expected 1 or more.")
    record = check_model(model)
    trained = record["manifest"].get("reading")
    in_table = is_table(file, table)
    reading, differences = as_in_training(table, file, trained if in_table else None)
    if id_column and not in_table:
        raise ValueError(f"--id-column is about a table; {file} has a document a line.")
    if in_table:
        check_data(file, reading, labels=False)
    elif file != STANDARD_INPUT and not file.is_fifo():
        file.open("rb").close()
    texts = read_label_texts(names, language, "--names")
    for difference in differences:
        warn_of(difference)
    batches = _of_table(file, reading, id_column, output) if in_table else _of_lines(file)
    with batches as (columns, documents):
        estimator = load_model(model, device)
        name_of = names_of(estimator, texts, names)
        asked = _asked(estimator, model, k, only, not_, name_of)
        if threshold == "model":
            least = estimator.threshold_
        if least is not None and k is None:
            asked["k"] = min(_MOST, len(estimator.classes_))
        told = (least, name_of, n_jobs)
        if output is None:
            for each in _answers(estimator, model, documents, asked, *told):
                typer.echo("\n".join(_shown(each, jsonl)))
            return
        begun = [k, threshold, id_column, only, not_, str(names), table]
        draft = Draft(output, _command(file, record, begun))
        n_before = draft.resume() if resume else 0
        answers = _answers(estimator, model, _behind(documents, n_before), asked, *told)
        classes = estimator.classes_.tolist()
        with writer(draft, columns, classes, with_names=bool(name_of)) as write:
            for each in _with_bar(answers, n_before):
                write([given for _, given in each])
    if n_before:
        typer.echo(f"{n_before:,} documents were there already.")
    typer.echo(f"{draft.n_written:,} documents, written to {output}.")


def _command(file: Path, record: dict[str, Any], options: list[Any]) -> dict[str, Any]:
    """Return what decides what is written, for whoever goes on."""
    state = file.stat()
    return {
        "file": [str(file.resolve()), state.st_size, state.st_mtime_ns],
        "model": record["digest"],
        "options": json.loads(json.dumps(options)),
    }


def _behind(batches: Iterable[_Batch], n: int) -> Iterator[_Batch]:
    """Yield the documents behind the first `n`."""
    for documents, carried in batches:
        if n < len(documents):
            yield documents[n:], carried[n:]
        n = max(0, n - len(documents))


def _threshold(text: str) -> float | None:
    if text == "model":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise ValueError(
            f"--threshold {text}: expected a number above 0 and at most 1, or 'model'."
        )
    return value


def _asked(
    estimator: Any,
    model: str,
    k: int | None,
    only: list[str] | None,
    not_: list[str] | None,
    name_of: dict[str, str],
) -> dict[str, Any]:
    """Return the arguments of `predict_topk`."""
    classes = estimator.classes_.tolist()
    if k is not None and k > len(classes):
        raise ValueError(f"-k {k} is more than the {len(classes)} labels of the model.")
    labels = listed_labels(only, "--only", classes, name_of)
    exclude = listed_labels(not_, "--not", classes, name_of)
    if exclude and not set(classes if labels is None else labels).difference(exclude):
        whose = "the model" if labels is None else "--only"
        raise ValueError(f"--not has all labels of {whose}; expected that one is left.")
    return {"k": k or min(5, len(classes)), "labels": labels, "exclude": exclude}


def _answers(
    estimator: Any,
    model: str,
    batches: Iterable[_Batch],
    asked: dict[str, Any],
    least: Any,
    name_of: dict[str, str],
    n_jobs: int,
) -> Iterator[list[tuple[str, Answer]]]:
    """Yield each batch's documents and what is given for them."""
    floor: Any = None
    if least is not None:
        floor = (lambda label: least) if isinstance(least, float) else _of_each(estimator, least)
    from lightxml.bulk import predict_batches

    waiting: deque[_Batch] = deque()

    def handed_out() -> Iterator[list[str]]:
        for documents, carried in batches:
            check_reads(estimator, documents, model)
            waiting.append((documents, carried))
            yield documents

    for topk, scores in predict_batches(estimator, handed_out(), n_jobs=n_jobs, **asked):
        documents, carried = waiting.popleft()
        found = []
        for document, others, row, values in zip(
            documents, carried, topk.tolist(), scores.tolist(), strict=True
        ):
            pairs = [(label, value) for label, value in zip(row, values, strict=True)
                     if label is not None and (floor is None or value >= floor(label))]  # fmt: skip
            labels = [label for label, _ in pairs]
            names = [name_of.get(str(label), str(label)) for label in labels] if name_of else None
            rounded = [round(value, 6) for _, value in pairs]
            found.append((document, Answer(others, labels, names, rounded)))
        yield found


def _of_each(estimator: Any, least: Any) -> Any:
    floors = dict(zip(estimator.classes_.tolist(), least.tolist(), strict=True))
    return floors.__getitem__


def _shown(answers: list[tuple[str, Answer]], jsonl: bool) -> list[str]:
    if not jsonl:
        return [answer(document, a.names or a.labels, a.scores) for document, a in answers]
    return [
        json.dumps(
            {
                "labels": a.labels,
                **({} if a.names is None else {"names": a.names}),
                "scores": a.scores,
            },
            ensure_ascii=False,
        )
        for _, a in answers
    ]


@contextmanager
def _of_lines(file: Path) -> Iterator[tuple[list[str], Iterator[_Batch]]]:
    """Give documents of a file that has one on each line; in an output they go along."""
    from lightxml.datasets.lines import read_documents

    with open_bytes(file) as stream:
        documents = read_documents(stream)
        yield ["text"], ((batch, [[text] for text in batch]) for batch in documents)


@contextmanager
def _of_table(
    file: Path, reading: Any, id_column: list[str] | None, output: Path | None
) -> Iterator[tuple[list[str], Iterator[_Batch]]]:
    """Give documents of a table, and of each row the columns that go into an output."""
    with opened_table(file, reading) as (table, known):
        columns = id_column or (table.columns if output is not None else [])
        names = known.text_column
        rows = table.rows([*names, *columns])

        def batches() -> Iterator[_Batch]:
            while chunk := list(islice(rows, _AT_ONCE)):
                texts = [document_of(row[: len(names)], names, table, n) for n, row in chunk]
                yield texts, [row[len(names) :] for _, row in chunk]

        yield list(columns), batches()


def _with_bar(
    answers: Iterable[list[tuple[str, Answer]]], n_before: int
) -> Iterator[list[tuple[str, Answer]]]:
    """Yield what there is, and show on a terminal how many documents there were."""
    from tqdm.auto import tqdm

    with tqdm(unit=" documents", initial=n_before, disable=None, leave=False) as bar:
        for each in answers:
            yield each
            bar.update(len(each))
