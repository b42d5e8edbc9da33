"""Rows of Parquet and Excel files, by pyarrow and pandas where they are installed."""

from __future__ import annotations

import datetime
import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightxml.datasets.tables.streams import PACKED, STANDARD_INPUT, Stream

_ROWS_AT_ONCE = 4_096
_Rows = Iterator[tuple[int, list[Any]]]


@contextmanager
def opened(path: Path, stream: Stream, kind: str) -> Iterator[tuple[list[str], _Rows]]:
    """Open a file of columns; give their names and the rows with their numbers from 1.

    Missing values are None, whole numbers are int, dates are texts.

    Raises
    ------
    ImportError
        What reads it is not installed.
    ValueError
        The file is damaged.
    """
    # Both formats are read from their end: what is packed or comes through a pipe is unpacked
    # into memory first.
    whole: Any = path
    if path == STANDARD_INPUT or path.is_fifo() or path.name.lower().endswith(PACKED):
        whole = io.BytesIO(b"".join(stream.chunks()))
    if kind == "parquet":
        yield _parquet(path, whole)
    else:
        yield _excel(path, whole)


def _parquet(path: Path, whole: Any) -> tuple[list[str], _Rows]:
    try:
        import pyarrow
        import pyarrow.parquet as pq
    except ImportError as error:
        raise _missing("Parquet", "pyarrow", error) from error
    try:
        file = pq.ParquetFile(whole)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path}: is no whole Parquet file ({error}). Write it anew.") from error

    def rows() -> _Rows:
        number = 0
        try:
            with file:
                for batch in file.iter_batches(_ROWS_AT_ONCE):
                    columns = [column.to_pylist() for column in batch.columns]
                    for row in zip(*columns, strict=True):
                        number += 1
                        yield number, [_plain(value) for value in row]
        except pyarrow.ArrowException as error:
            raise ValueError(
                f"{path}: cannot be read on after row {number:,} ({error}). Write it anew."
            ) from error

    return list(file.schema_arrow.names), rows()


def _excel(path: Path, whole: Any) -> tuple[list[str], _Rows]:
    try:
        import pandas as pd

        frame = pd.read_excel(whole, dtype=object)
    except ImportError as error:  # of pandas, and of openpyxl by pandas
        raise _missing("Excel", "pandas openpyxl", error) from error
    except Exception as error:  # of zipfile, openpyxl and the XML parser
        raise ValueError(f"{path}: is no whole Excel file ({error}). Write it anew.") from error
    names = [str(name) for name in frame.columns]
    # The sheet's own numbers: the names stand in row 1.
    rows = enumerate(frame.itertuples(index=False, name=None), start=2)
    return names, ((number, [_plain(value) for value in row]) for number, row in rows)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return int(value) if value.is_integer() else value
    if isinstance(value, (datetime.date, datetime.time)):  # NaT among them
        return None if value != value else value.isoformat()
    return value


def _missing(what: str, packages: str, error: ImportError) -> ImportError:
    return ImportError(
        f'{what} files need {packages.replace(" ", " and ")}: pip install "lightxml[tables]"'
        f" ({error})."
    )
