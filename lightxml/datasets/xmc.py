"""Data sets on disk, in the text layout of the AttentionXML and LightXML repositories."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from sklearn.utils import Bunch

from lightxml.datasets.parts import Part, make_bunch, make_part

BLANKS = re.compile(r"[ \t]+")


def load_xmc(folder: str | os.PathLike[str]) -> Bunch:
    r"""Read a data set in the text layout of AttentionXML and LightXML.

    The folder holds ``train_texts.txt`` or ``train_raw_texts.txt`` (a document a line; the
    raw texts are read where both are there) and ``train_labels.txt`` (the labels of each
    document, separated by spaces or tabs). The same two files for ``test`` and for ``dev``,
    ``labels.txt`` (label, tab, readable name) and ``README.txt`` may be there.

    Files are UTF-8. Only "\n" or "\r\n" ends a line, whatever other separators a document
    holds. A line with no text or no label is a document all the same; a label that is
    repeated in a document counts once.

    Parameters
    ----------
    folder : str or path-like
        The folder that holds the files.

    Returns
    -------
    bunch : Bunch
        With the keys

        X_train, X_test, X_validation : list of str, or None where the part is not there
            The documents. ``dev`` is the validation part; it is never added to train.
        y_train, y_test, y_validation : csr_array of int8, shape (n_documents, n_labels), or None
            Indicator matrices with sorted indices. The columns are the training labels.
        labels : ndarray of str, shape (n_labels,)
            The labels of the columns as written in the files, sorted.
        label_names : ndarray of str, shape (n_labels,)
            Their names from ``labels.txt``; a label without one is its own name.
        n_unseen_labels, n_unseen_occurrences : dict of str to int
            For "test" and "validation", where there: the number of labels that do not occur
            in train and therefore have no column, and how often they occur.
        DESCR : str
            Counts of each part, the files read, and the text of ``README.txt``.

    Raises
    ------
    FileNotFoundError
        The folder or one of the files is missing.
    ValueError
        A part has different numbers of documents and label lines, a file is not UTF-8, or the
        training part holds no label.

    References
    ----------
    R. You et al., "AttentionXML: Label Tree-based Attention-Aware Deep Model for
    High-Performance Extreme Multi-Label Text Classification", NeurIPS 2019.
    T. Jiang et al., "LightXML: Transformer with Dynamic Negative Sampling for
    High-Performance Extreme Multi-label Text Classification", AAAI 2021.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is not a folder. Give the folder that holds train_texts.txt and"
            " train_labels.txt."
        )
    files = {part: _files(folder, part) for part in ("train", "test", "dev")}
    if files["train"] is None:
        raise FileNotFoundError(
            f"{folder} holds no training part. Expected train_texts.txt or train_raw_texts.txt,"
            " and train_labels.txt."
        )
    parts = {part: None if pair is None else _read_part(*pair) for part, pair in files.items()}
    train = parts["train"]
    assert train is not None
    if len(train.labels) == 0:
        raise ValueError(f"{folder / 'train_labels.txt'} holds no label.")
    readme = folder / "README.txt"
    description = "Read from " + ", ".join(
        path.name for pair in files.values() if pair is not None for path in pair
    )
    if readme.is_file():
        # Only for people to read: no reason to refuse the data over its encoding.
        description += "\n\n" + readme.read_text(encoding="utf-8", errors="replace")
    return make_bunch(
        train,
        parts["test"],
        parts["dev"],
        names=_read_names(folder / "labels.txt"),
        description=description,
    )


def _files(folder: Path, part: str) -> tuple[Path, Path] | None:
    """Return the texts and the labels file of a part; None where neither is there."""
    raw, plain, labels = (
        folder / f"{part}_{kind}.txt" for kind in ("raw_texts", "texts", "labels")
    )
    texts = raw if raw.is_file() else plain
    if not texts.is_file() and not labels.is_file():
        return None
    if not texts.is_file():
        raise FileNotFoundError(
            f"{folder} holds {labels.name} but neither {plain.name} nor {raw.name}."
        )
    if not labels.is_file():
        raise FileNotFoundError(f"{folder} holds {texts.name} but no {labels.name}.")
    return texts, labels


def _read_part(texts_file: Path, labels_file: Path) -> Part:
    texts = list(_lines(texts_file))
    part = make_part(texts, (_split(line) for line in _lines(labels_file)))
    if len(texts) != part.y.shape[0]:
        raise ValueError(
            f"{texts_file} holds {len(texts):,} lines but {labels_file} holds"
            f" {part.y.shape[0]:,}; expected one line for each document in both."
        )
    return part


def _split(line: str) -> list[str]:
    # str.split would also cut at a no-break space or a control character inside a label.
    return [label for label in BLANKS.split(line) if label]


def _read_names(labels_file: Path) -> dict[str, str]:
    if not labels_file.is_file():
        return {}
    pairs = (line.partition("\t") for line in _lines(labels_file))
    return {label: name.strip() for label, _, name in pairs if name.strip()}


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 file without their ends; a byte order mark is dropped."""
    with path.open("rb") as file:
        # A file opened as bytes has lines that end in b"\n" and nothing else.
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path}, line {number:,}: not UTF-8 (byte 0x{error.object[error.start]:02x}"
                    f" at position {error.start:,}). Convert the file to UTF-8 first."
                ) from error
            yield text.removesuffix("\n").removesuffix("\r")
