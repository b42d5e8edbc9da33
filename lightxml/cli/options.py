"""The options that commands share, and what they name: checked first, then read.

A check imports neither scikit-learn nor torch, so that a misspelt name is told at once.
"""

from __future__ import annotations

import os
import re
import sys
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from lightxml.cli.wording import speaking_options
from lightxml.datasets.tables.streams import STANDARD_INPUT
from lightxml.runtime.terminal import printable

Data = Annotated[
    Path,
    typer.Argument(
        help="A table: CSV and its like, JSON, fastText, Parquet, Excel, packed or not, - is"
        " standard input; or a folder with train_texts.txt and train_labels.txt, and the same for"
        " test and dev, or in another layout of the field."
    ),
]
Model = Annotated[
    str,
    typer.Argument(help="A folder that train has written; or hf://user/name, a model on the hub."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
JSONLines = Annotated[bool, typer.Option("--jsonl", help="JSON lines instead of a table.")]
Names = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Show names for labels: the first text of each, of a file as train --label-texts"
        " reads it. Default: those that the model was trained with.",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="LABEL|FILE",
        help="Rank this label only, or those of a file with one on each line; repeatable.",
    ),
]
Not = Annotated[
    list[str] | None,
    typer.Option(
        "--not", metavar="LABEL|FILE", help="Never give this label, or those of a file; repeatable."
    ),
]
Language = Annotated[
    str | None,
    typer.Option(
        metavar="LANG", help="The texts of a thesaurus in this language, such as en; else all."
    ),
]


def check_folder(folder: Path, option: str) -> None:
    """Refuse, before hours of training, a folder that cannot be written."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    if not place.is_dir():
        raise ValueError(f"{option} {folder}: {place} is a file; expected a folder.")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ValueError(f"{option} {folder}: {place} is not writable.")


def check_file(file: Path, option: str) -> None:
    """Refuse a file that cannot be written; its folder may be missing."""
    check_folder(file.parent, option)
    if file.is_dir():
        raise ValueError(f"{option} {file} is a folder; expected a file.")


def check_device(device: str) -> None:
    """Refuse what is no device; whether it is here, torch tells later."""
    if re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device) is None:
        raise ValueError(f"--device {device}: expected auto, cpu, cuda, cuda:1 or mps.")


def check_model(model: str) -> dict[str, Any]:
    """Refuse a folder, or a repository, that holds no model; return its record."""
    from lightxml.files.hub import folder_of
    from lightxml.files.load import read_record

    return read_record(folder_of(model, whole=False))


def warn_of(what: str) -> None:
    """Say on standard error what may be meant otherwise."""
    typer.echo(f"lightxml: note: {printable(what)}", err=True)


def open_bytes(file: Path) -> BufferedReader:
    """Open a file, or standard input."""
    if file != STANDARD_INPUT:
        return file.open("rb")
    if sys.stdin is None:
        raise ValueError("standard input is closed; give a file or a pipe.")
    return cast("BufferedReader", sys.stdin.buffer)


def read_label_texts(
    path: Path | None, language: str | None, option: str
) -> dict[str, list[str]] | None:
    """Read the texts of labels; None without a file."""
    if path is None:
        if language is not None:
            raise ValueError(f"--language {language} is about the file of {option}. Give it too.")
        return None
    from lightxml.datasets.label_texts import load_label_texts

    return load_label_texts(path, language=language)


def names_of(
    estimator: Any, texts: dict[str, list[str]] | None, path: Path | None
) -> dict[str, str]:
    """Return what to show of labels, by label: the first of their texts, if there are any.

    Parameters
    ----------
    estimator : LightXMLClassifier or LightXMLEnsemble
        Without `texts`, those that it was fitted with count.
    texts : dict of str to list of str, or None
    path : Path or None
        Where `texts` are from.
    """
    classes = estimator.classes_.tolist()
    if texts is not None:
        from lightxml.datasets.label_texts import for_labels

        assert path is not None
        return {label: some[0] for label, some in for_labels(texts, classes, path).items()}
    known = estimator._first_model.label_texts
    if known is None:
        return {}
    named = zip(map(str, classes), known, strict=True)
    # Where labels are words, and were read as such, they need no names.
    return {label: some[0] for label, some in named if some and some[0] != label}


def listed_labels(
    values: list[str] | None, option: str, classes: list[Any], names: dict[str, str]
) -> list[Any] | None:
    """Return the labels that an option lists, as the model has them; None without the option.

    Parameters
    ----------
    values : list of str, or None
        Labels, and files of labels: one on each line, before the first tab.
    option : str
    classes : list of labels
    names : dict of str to str
        As `names_of` gives them.

    Raises
    ------
    ValueError
        If a value is neither, or a file has another label, or none.
    """
    if not values:
        return None
    known = {str(label): label for label in classes}
    found: list[Any] = []
    for value in values:
        if value in known:
            found.append(known[value])
        elif Path(value).is_file():
            found.extend(_labels_of_file(Path(value), option, known, names))
        else:
            from lightxml.data.label_lists import not_among

            wrong = not_among(value, classes, names, str)
            raise ValueError(f"{option} {value} is no file, and {wrong}")
    return found


def _labels_of_file(
    file: Path, option: str, known: dict[str, Any], names: dict[str, str]
) -> list[Any]:
    from lightxml.datasets.lines import text_lines

    found = []
    for number, line in enumerate(text_lines(file), start=1):
        label = line.partition("\t")[0].strip()
        if label in known:
            found.append(known[label])
        elif label:
            from lightxml.data.label_lists import not_among

            wrong = not_among(label, list(known.values()), names, str)
            raise ValueError(f"{option} {file}, line {number:,}: {label} is {wrong}")
    if not found:
        raise ValueError(f"{option} {file}: holds no label; expected one on each line.")
    return found


def known_label(label: str, option: str, classes: list[Any], names: dict[str, str]) -> Any:
    """Return a label, which may be a number, by itself or by its name as it is shown.

    Raises
    ------
    ValueError
        If it is none, or the name of several.
    """
    by_itself = [known for known in classes if str(known) == label]
    found = by_itself or [known for known in classes if names.get(str(known)) == label]
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(str(known) for known in found[:5])
        raise ValueError(f"{option} {label} is the name of {len(found)} labels: {some}. Give one.")
    from lightxml.data.label_lists import not_among

    raise ValueError(f"{option} {label} is {not_among(label, classes, names, str)}")


def load_model(model: str, device: str) -> Any:
    """Load a classifier or an ensemble; errors name options."""
    from lightxml.ensemble import load

    with speaking_options(["device"]):
        return load(model, device)


def check_reads(estimator: Any, X: Any, model: str) -> None:
    """Refuse texts for a model of features, and features for a model of texts."""
    n_features = getattr(estimator, "n_features_in_", None)
    is_text = isinstance(X, list)
    if is_text and n_features is not None:
        raise ValueError(
            f"{model} was trained on features, in {n_features} columns, and reads no texts."
            " Give evaluate a folder of such features."
        )
    if not is_text and n_features is None:
        raise ValueError(f"{model} reads texts, but the data are features. Give it texts.")
    if not is_text and X.shape[1] != n_features:
        raise ValueError(
            f"{model} was trained on features in {n_features} columns, but these data have"
            f" {X.shape[1]}. Give it features that were made in the same way."
        )
