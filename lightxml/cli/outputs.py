"""Files of predictions: CSV, JSON lines or Parquet, whole or not at all."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from lightxml.cli.options import check_file
from lightxml.datasets.tables.streams import STANDARD_INPUT

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


def check_resume(output: Path | None, file: Path) -> None:
    """Refuse to go on with what cannot be gone on with.

    Raises
    ------
    ValueError
        If there is no output, it is Parquet, or the documents come from a pipe.
    """
    if output is None:
        raise ValueError("--resume is about --output. Give it too, or leave --resume out.")
    if output.suffix.lower() == ".parquet":
        raise ValueError(
            f"--resume: {output} is Parquet, written as a whole. Expected .csv, .jsonl."
        )
    if file == STANDARD_INPUT or file.is_fifo():
        raise ValueError(f"--resume: {file} can be read once only. Expected a file.")


class Draft:
    """The file that an output is until all is written, and how far it is.

    Parameters
    ----------
    output : Path
    command : dict
        What decides what is written, as JSON can hold it: who goes on must say the same.
    """

    def __init__(self, output: Path, command: dict[str, Any]) -> None:
        self.output, self.command = output, command
        self.file = output.with_name(f".{output.name}.part")
        self._progress = output.with_name(f".{output.name}.part.json")
        self.n_written = self.n_bytes = 0

    def resume(self) -> int:
        """Return how many documents are written already, none without a draft.

        Raises
        ------
        ValueError
            If the draft is another command's.
        """
        try:
            progress = json.loads(self._progress.read_bytes())
            size = self.file.stat().st_size
        except (OSError, ValueError):
            return 0
        if size < progress["bytes"]:
            return 0
        for name, value in self.command.items():
            if (before := progress["command"].get(name)) != value:
                raise ValueError(
                    f"--resume: {self.file} was begun with {name} {before!r:.100}, and this is"
                    f" {value!r:.100}. Give the same again, or delete it to begin anew."
                )
        self.n_written, self.n_bytes = progress["documents"], progress["bytes"]
        return self.n_written

    def note(self, n_more: int, n_bytes: int) -> None:
        """Note that documents have been written whole, up to a byte."""
        self.n_written += n_more
        progress = {"documents": self.n_written, "bytes": n_bytes, "command": self.command}
        side = self._progress.with_suffix(".new")
        side.write_text(json.dumps(progress), encoding="utf-8")
        os.replace(side, self._progress)

    def finish(self) -> None:
        """Put the draft where the output belongs."""
        os.replace(self.file, self.output)
        self._progress.unlink(missing_ok=True)

    def drop(self) -> None:
        """Delete the draft."""
        for path in (self.file, self._progress):
            path.unlink(missing_ok=True)


@contextmanager
def writer(
    draft: Draft, columns: Sequence[str], classes: Iterable[Any], *, with_names: bool
) -> Iterator[Callable[[Sequence[Answer]], None]]:
    """Give a function that writes answers; the file is there when all are, or as it was.

    In CSV the labels of a document are joined by ``;``, or by what no label holds. An error
    deletes the draft; a process that is killed or interrupted leaves it, to be gone on with.

    Parameters
    ----------
    draft : Draft
    columns : sequence of str
        Of the values that go along.
    classes : iterable of labels
        All that there can be.
    with_names : bool
    """
    draft.output.parent.mkdir(parents=True, exist_ok=True)
    ours = ["predicted", *(["names"] if with_names else []), "scores"]
    begin = {".csv": _csv, ".jsonl": _json_lines, ".parquet": _parquet}[draft.output.suffix.lower()]
    try:
        with begin(draft, [*columns, *ours], classes) as write:

            def write_all(answers: Sequence[Answer]) -> None:
                write([
                    [*each.carried, each.labels, *([each.names] if with_names else []), each.scores]
                    for each in answers
                ])  # fmt: skip

            yield write_all
        draft.finish()
    except Exception:
        draft.drop()
        raise


_Rows = list[list[Any]]


@contextmanager
def _opened(draft: Draft) -> Iterator[TextIO]:
    """Open a draft to write on behind what is whole."""
    with draft.file.open("r+" if draft.n_written else "w", encoding="utf-8", newline="") as file:
        file.truncate(draft.n_bytes)
        file.seek(0, os.SEEK_END)
        yield file


@contextmanager
def _csv(
    draft: Draft, columns: list[str], classes: Iterable[Any]
) -> Iterator[Callable[[_Rows], None]]:
    labels = [str(label) for label in classes]
    free = (s for s in _SEPARATORS if not any(s in label for label in labels))
    separator = next(free, "\x1f")
    with _opened(draft) as file:
        table = csv.writer(file)
        if not draft.n_written:
            table.writerow(columns)

        def write(rows: _Rows) -> None:
            for values in rows:
                table.writerow(
                    separator.join(map(str, v)) if isinstance(v, list) else "" if v is None else v
                    for v in values
                )
            file.flush()
            draft.note(len(rows), file.buffer.tell())

        yield write


@contextmanager
def _json_lines(
    draft: Draft, columns: list[str], classes: Iterable[Any]
) -> Iterator[Callable[[_Rows], None]]:
    with _opened(draft) as file:

        def write(rows: _Rows) -> None:
            for values in rows:
                record = dict(zip(columns, values, strict=True))
                file.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")
            file.flush()
            draft.note(len(rows), file.buffer.tell())

        yield write


@contextmanager
def _parquet(
    draft: Draft, columns: list[str], classes: Iterable[Any]
) -> Iterator[Callable[[_Rows], None]]:
    pyarrow = _pyarrow()
    import pyarrow.parquet as pq

    waiting: _Rows = []
    file: Any = None

    def flush() -> None:
        nonlocal file
        cells = zip(*waiting, strict=True) if waiting else [[] for _ in columns]
        arrays = {name: list(some) for name, some in zip(columns, cells, strict=True)}
        table = pyarrow.table(arrays, schema=file.schema if file is not None else None)
        if file is None:
            file = pq.ParquetWriter(draft.file, table.schema)
        file.write_table(table)
        waiting.clear()

    def write(rows: _Rows) -> None:
        waiting.extend(rows)
        draft.n_written += len(rows)
        if len(waiting) >= _ROWS_AT_ONCE:
            flush()

    try:
        yield write
        if waiting or file is None:
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
