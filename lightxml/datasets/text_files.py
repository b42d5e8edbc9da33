"""Parts of data sets whose documents are texts: lines, PECOS, the repository's JSON."""

from __future__ import annotations

import re
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from lightxml.data.matrices import check_indices
from lightxml.datasets.lines import json_lines, text_lines
from lightxml.datasets.parts import Part, make_numbered_part, make_part

BLANKS = re.compile(r"[ \t]+")


def read_lines(texts_file: Path, labels_file: Path) -> Part:
    """Read a document a line, and the labels of each in the same line of another file."""
    texts = list(text_lines(texts_file))
    part = make_part(texts, (_split(line) for line in text_lines(labels_file)))
    if len(texts) != part.y.shape[0]:
        raise ValueError(
            f"{texts_file} holds {len(texts):,} lines but {labels_file} holds"
            f" {part.y.shape[0]:,}; expected one line for each document in both."
        )
    return part


def read_label_list(folder: Path) -> dict[str, str]:
    """Read the names of labels from ``labels.txt``: label, tab, name."""
    file = folder / "labels.txt"
    if not file.is_file():
        return {}
    pairs = (line.partition("\t") for line in text_lines(file))
    return {label: name.strip() for label, _, name in pairs if name.strip()}


def read_pecos(texts_file: Path, labels_file: Path) -> Part:
    """Read a document a line, and an indicator matrix that ``scipy.sparse.save_npz`` wrote.

    Raises
    ------
    ValueError
        The matrix is damaged, holds anything but 0 and 1, or has another number of rows.
    """
    texts = list(text_lines(texts_file))
    matrix = _load_matrix(labels_file)
    if matrix.shape[0] != len(texts):
        raise ValueError(
            f"{texts_file} holds {len(texts):,} lines but {labels_file} has {matrix.shape[0]:,}"
            " rows; expected one for each document in both."
        )
    entries = sp.coo_array(matrix)
    wrong = np.flatnonzero((entries.data != 0) & (entries.data != 1))
    if len(wrong):
        i = wrong[0]
        raise ValueError(
            f"{labels_file}: row {entries.row[i]:,}, column {entries.col[i]:,} is"
            f" {entries.data[i]}; expected 0 or 1."
        )
    kept = entries.data != 0
    ones = np.ones(np.count_nonzero(kept), dtype=np.int8)
    y = sp.csr_array((ones, (entries.row[kept], entries.col[kept])), shape=entries.shape)
    return make_numbered_part(texts, y.indices, y.indptr)


def read_output_items(folder: Path) -> dict[str, str]:
    """Read the names of labels from ``output-items.txt``: that of label j in line j, from 0."""
    file = folder / "output-items.txt"
    if not file.is_file():
        return {}
    names = (line.strip() for line in text_lines(file))
    return {str(j): name for j, name in enumerate(names) if name}


def read_json(file: Path) -> Part:
    """Read a JSON object a line: ``title`` and ``content``, joined by a blank, ``target_ind``."""
    texts: list[str] = []
    numbers, ends = array("q"), array("q", [0])
    for where, record in json_lines(file):
        texts.append(_title_and_content(record, where))
        numbers.extend(_label_numbers(record, where))
        ends.append(len(numbers))
    return make_numbered_part(texts, np.asarray(numbers), np.asarray(ends))


def read_label_titles(folder: Path) -> dict[str, str]:
    """Read the names of labels from ``lbl.json.gz``: the ``title`` of label j is the j-th."""
    names = {}
    for name in ("lbl.json.gz", "lbl.json"):
        if (folder / name).is_file():
            for j, (where, record) in enumerate(json_lines(folder / name)):
                if title := _text(record, "title", where).strip():
                    names[str(j)] = title
            break
    return names


def _split(line: str) -> list[str]:
    # str.split would also cut at a no-break space or a control character inside a label.
    return [label for label in BLANKS.split(line) if label]


def _load_matrix(file: Path) -> Any:
    """Load a sparse matrix of numbers; nothing is unpickled, and no number is out of range."""
    with file.open("rb") as stream:  # which numpy does not close when it meets a damaged file
        try:
            matrix = sp.load_npz(stream)
            if matrix.dtype.kind not in "biuf":
                raise ValueError(f"it holds {matrix.dtype}")
            check_indices(matrix, "it")
        except Exception as error:  # zipfile, zlib, numpy and scipy raise what they meet
            raise ValueError(
                f"{file}: is no whole sparse matrix as scipy.sparse.save_npz writes it ({error})."
            ) from error
    return matrix


def _title_and_content(record: dict[str, Any], where: str) -> str:
    if not {"title", "content"} & record.keys():
        raise ValueError(f"{where}: has neither a title nor a content; it has {_keys(record)}.")
    parts = (_text(record, "title", where), _text(record, "content", where))
    return " ".join(part for part in parts if part)


def _text(record: dict[str, Any], key: str, where: str) -> str:
    value = record.get(key, "")
    if not isinstance(value, str):
        raise ValueError(f"{where}: its {key} is a {type(value).__name__}; expected a string.")
    return value


def _label_numbers(record: dict[str, Any], where: str) -> list[int]:
    if "target_ind" not in record:
        raise ValueError(f"{where}: has no target_ind; it has {_keys(record)}.")
    numbers = record["target_ind"]
    # parse_json lets integers of up to 64 bits through, a bool is none of them.
    if not isinstance(numbers, list) or not all(
        type(number) is int and 0 <= number < 2**63 for number in numbers
    ):
        raise ValueError(
            f"{where}: its target_ind is {str(numbers)[:60]}; expected a list of label numbers,"
            " from 0."
        )
    return numbers


def _keys(record: dict[str, Any]) -> str:
    return ", ".join(map(repr, list(record)[:20])) or "no keys"
