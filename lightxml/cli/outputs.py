"""Files of predictions: CSV, JSON lines or Parquet, whole or not at all."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightxml.cli.options import check_file

KINDS = (".csv", ".jsonl", ".parquet")
_SEPARATORS = (";", "|", "\t", "\n")
_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class Answer:
    """What is given for a document.

    Attributes
    ----------
    carried : list
        The values of the file's columns that go along.
    labels : list
    names : list of str, or None
        What they are called, where that is known.
    scores : list of float
    """

    carried: list[Any]
    labels: list[Any]
    names: list[str] | None
    scores: list[float]


def check_output(output: Path) -> None:
    """Refuse, before a model is loaded, a file that cannot be written.

    Raises
    ------
    ValueError
        If it is of no known kind, or its place cannot be written.
    ImportError
        If it is Parquet, and there is no pyarrow.
    """
    if output.suffix.lower() not in KINDS:
        raise ValueError(f"--output {output}: expected a name that ends in {', '.join(KINDS)}.")
    check_file(output, "--output")
    if output.suffix.lower() == ".parquet":
        _pyarrow()


@contextmanager
def writer(
    output: Path, columns: Sequence[str], classes: Iterable[Any], *, with_names: bool
) -> Iterator[Callable[[Answer], None]]:
    """Give a function that writes an answer; the file is there when all are, or as it was.

    In CSV the labels of a document are joined by ``;``, or by what no label holds.

    Parameters
    ----------
    output : Path
    columns : sequence of str
        Of the values that go along.
    classes : iterable of labels
        All that there can be.
    with_names : bool
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = output.with_name(f".{output.name}.{os.getpid()}.part")
    ours = ["predicted", *(["names"] if with_names else []), "scores"]
    begin = {".csv": _csv, ".jsonl": _json_lines, ".parquet": _parquet}[output.suffix.lower()]
    try:
        with begin(draft, [*columns, *ours], classes) as write:

            def write_answer(answer: Answer) -> None:
                names = [answer.names] if with_names else []
                write([*answer.carried, answer.labels, *names, answer.scores])

            yield write_answer
        os.replace(draft, output)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


@contextmanager
def _csv(
    draft: Path, columns: list[str], classes: Iterable[Any]
) -> Iterator[Callable[[list[Any]], None]]:
    labels = [str(label) for label in classes]
    free = (s for s in _SEPARATORS if not any(s in label for label in labels))
    separator = next(free, "\x1f")
    with draft.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(columns)

        def write(values: list[Any]) -> None:
            rows.writerow(
                separator.join(map(str, v)) if isinstance(v, list) else "" if v is None else v
                for v in values
            )

        yield write


@contextmanager
def _json_lines(
    draft: Path, columns: list[str], classes: Iterable[Any]
) -> Iterator[Callable[[list[Any]], None]]:
    with draft.open("w", encoding="utf-8") as file:

        def write(values: list[Any]) -> None:
            record = dict(zip(columns, values, strict=True))
            file.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")

        yield write


@contextmanager
def _parquet(
    draft: Path, columns: list[str], classes: Iterable[Any]
) -> Iterator[Callable[[list[Any]], None]]:
    pyarrow = _pyarrow()
    import pyarrow.parquet as pq

    rows: list[list[Any]] = []
    file: Any = None

    def flush() -> None:
        nonlocal file
        cells = zip(*rows, strict=True) if rows else [[] for _ in columns]
        arrays = {name: list(some) for name, some in zip(columns, cells, strict=True)}
        table = pyarrow.table(arrays, schema=file.schema if file is not None else None)
        if file is None:
            file = pq.ParquetWriter(draft, table.schema)
        file.write_table(table)
        rows.clear()

    def write(values: list[Any]) -> None:
        rows.append(values)
        if len(rows) == _ROWS_AT_ONCE:
            flush()

    try:
        yield write
        if rows or file is None:
            flush()
    finally:
        if file is not None:
            file.close()


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(
            f'--output with .parquet needs pyarrow: pip install "lightxml[tables]" ({error}).'
        ) from error
    return pyarrow
