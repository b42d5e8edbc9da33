"""Data sets on disk, in the layouts of the field."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sklearn.utils import Bunch

from lightxml.datasets.parts import Part, make_bunch
from lightxml.datasets.sparse_files import read_labelled_rows, read_matrix_pair
from lightxml.datasets.text_files import (
    read_json,
    read_label_list,
    read_label_titles,
    read_lines,
    read_output_items,
    read_pecos,
)


@dataclass(frozen=True, eq=False)
class Layout:
    """How the files of a data set are named and read.

    Attributes
    ----------
    files : tuple of tuple of str
        The files of a part, in the order in which `read` takes them. Of the names in each
        tuple, the last that is there is read; "{}" stands for the part.
    parts : mapping of str to tuple of str
        What "train", "test" and "validation" can be called.
    read : callable
        Takes the files of a part.
    read_names : callable
        Takes the folder and gives readable names of labels.
    """

    files: tuple[tuple[str, ...], ...]
    parts: Mapping[str, tuple[str, ...]]
    read: Callable[..., Part]
    read_names: Callable[[Path], dict[str, str]] = read_label_list


_TRAIN_TEST_DEV = {"train": ("train",), "test": ("test",), "validation": ("dev",)}
_TRN_TST_VAL = {"train": ("trn",), "test": ("tst",), "validation": ("val", "dev")}

LINES = Layout((("{}_texts.txt", "{}_raw_texts.txt"), ("{}_labels.txt",)),
               _TRAIN_TEST_DEV, read_lines)  # fmt: skip
PECOS = Layout((("X.{}.txt",), ("Y.{}.npz",)), _TRN_TST_VAL, read_pecos, read_output_items)
JSON = Layout((("{}.json", "{}.raw.json", "{}.json.gz", "{}.raw.json.gz"),),
              _TRN_TST_VAL, read_json, read_label_titles)  # fmt: skip
LABELLED_ROWS = Layout((("{}.txt",),), _TRAIN_TEST_DEV, read_labelled_rows)
MATRIX_PAIR = Layout((("{}_X_Xf.txt",), ("{}_X_Y.txt",)), _TRN_TST_VAL, read_matrix_pair)
LAYOUTS = (LINES, PECOS, JSON, LABELLED_ROWS, MATRIX_PAIR)


def load_xmc(folder: str | os.PathLike[str]) -> Bunch:
    r"""Read a data set in one of the layouts of the field, told by the names of its files.

    - AttentionXML and LightXML: ``train_texts.txt`` or ``train_raw_texts.txt`` (a document a
      line; the raw texts are read where both are there) and ``train_labels.txt`` (the labels of
      each document, separated by spaces or tabs); the same for ``test`` and ``dev``;
      ``labels.txt`` (label, tab, name). A ``train.txt`` beside them is not read.
    - PECOS: ``X.trn.txt`` (a document a line) and ``Y.trn.npz`` (an indicator matrix that
      ``scipy.sparse.save_npz`` wrote); the same for ``tst`` and ``val`` or ``dev``;
      ``output-items.txt`` (the name of label j in line j, from 0).
    - Extreme Classification Repository, raw text: ``trn.json.gz`` or ``trn.raw.json.gz``, a JSON
      object a line with ``title`` and ``content`` (joined by a blank) and ``target_ind`` (a list
      of label numbers); the same for ``tst`` and ``val`` or ``dev``; ``lbl.json.gz`` (the
      ``title`` of label j in line j, from 0). All may be unpacked.
    - Extreme Classification Repository, features: ``train.txt``, lines ``label,label column:value
      column:value`` below a line with the numbers of documents, features and labels; the same
      for ``test`` and ``dev``. Labels and columns count from 0. ``labels.txt`` as above.
    - The same, newer: ``trn_X_Xf.txt`` (the features) and ``trn_X_Y.txt`` (the labels), lines
      ``column:value column:value`` below a line with the numbers of rows and columns; the same
      for ``tst`` and ``val`` or ``dev``. ``labels.txt`` as above.

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

        X_train, X_test, X_validation : list of str, or csr_array of float32, or None
            The documents, or their features, of shape (n_documents, n_features); None where the
            part is not there. ``dev`` or ``val`` is the validation part; it is never added to
            train.
        y_train, y_test, y_validation : csr_array of int64, shape (n_documents, n_labels), or None
            Indicator matrices with sorted indices. The columns are the labels that occur in
            train.
        labels : ndarray of str, shape (n_labels,)
            The labels of the columns as written in the files, sorted as strings. Where labels
            are numbers there, ``"0"``, ``"1"``, ``"10"`` and so on.
        label_names : ndarray of str, shape (n_labels,)
            Their names; a label without one is its own name.
        n_unseen_labels, n_unseen_occurrences : dict of str to int
            For "test" and "validation", where there: the number of labels that do not occur
            in train and therefore have no column, and how often they occur.
        DESCR : str
            Counts of each part, the files read, and the text of ``README.txt``.

    Raises
    ------
    FileNotFoundError
        The folder, its training part or one of the files is missing.
    ValueError
        There are training parts in two layouts; a part has different numbers of documents and
        of rows of labels; a file is not UTF-8, damaged, or holds a line that is not of its
        layout; the training part holds no label.

    References
    ----------
    R. You et al., "AttentionXML: Label Tree-based Attention-Aware Deep Model for
    High-Performance Extreme Multi-Label Text Classification", NeurIPS 2019.
    T. Jiang et al., "LightXML: Transformer with Dynamic Negative Sampling for
    High-Performance Extreme Multi-label Text Classification", AAAI 2021.
    H.-F. Yu et al., "PECOS: Prediction for Enormous and Correlated Output Spaces", JMLR 2022.
    K. Bhatia et al., "The extreme classification repository: Multi-label datasets and code",
    2016.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is not a folder. Give the folder that holds train_texts.txt and"
            " train_labels.txt, or the files of another layout that load_xmc reads."
        )
    layout = _find_layout(folder)
    files = {part: _files(folder, layout, names) for part, names in layout.parts.items()}
    parts = {part: None if found is None else layout.read(*found) for part, found in files.items()}
    train = parts["train"]
    assert train is not None
    assert files["train"] is not None
    if len(train.labels) == 0:
        raise ValueError(f"{files['train'][-1]} holds no label.")
    for part in ("test", "validation"):
        _check_width(folder, train, parts[part], part)
    readme = folder / "README.txt"
    description = "Read from " + ", ".join(
        path.name for found in files.values() if found is not None for path in found
    )
    if readme.is_file():
        # Only for people to read: no reason to refuse the data over its encoding.
        description += "\n\n" + readme.read_text(encoding="utf-8", errors="replace")
    return make_bunch(
        train,
        parts["test"],
        parts["validation"],
        names=layout.read_names(folder),
        description=description,
    )


def _find_layout(folder: Path) -> Layout:
    """Return the one layout of which the folder holds a file of the training part."""
    found = {}
    for layout in LAYOUTS:
        names = [name for names in _names(layout, *layout.parts["train"]) for name in names]
        if there := [name for name in names if (folder / name).is_file()]:
            found[layout] = there
    if LINES in found:  # train.txt there are features for clustering
        found.pop(LABELLED_ROWS, None)
    if len(found) == 1:
        return next(iter(found))
    expected = "; ".join(_expects(layout) for layout in LAYOUTS)
    if found:
        both = " and ".join(", ".join(names) for names in found.values())
        raise ValueError(
            f"{folder} holds training parts in {len(found)} layouts: {both}. Put each layout into"
            f" a folder of its own. The layouts are: {expected}."
        )
    names = sorted(path.name for path in folder.iterdir())
    shown = ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
    raise FileNotFoundError(
        f"{folder} holds no training part. Expected the files of one layout: {expected}."
        f" Found {shown or 'nothing'}."
    )


def _names(layout: Layout, *part_names: str) -> list[list[str]]:
    """Return what each file of a part can be called."""
    return [[name.format(part) for part in part_names for name in names] for names in layout.files]


def _expects(layout: Layout) -> str:
    return ", and ".join(" or ".join(names) for names in _names(layout, *layout.parts["train"]))


def _files(folder: Path, layout: Layout, part_names: tuple[str, ...]) -> list[Path] | None:
    """Return the files of a part; None where none of them is there."""
    parts = [found for name in part_names if (found := _files_of(folder, layout, name))]
    if len(parts) > 1:
        raise ValueError(
            f"{folder} holds both {parts[0][0].name} and {parts[1][0].name}; keep one."
        )
    return parts[0] if parts else None


def _files_of(folder: Path, layout: Layout, part_name: str) -> list[Path]:
    names = _names(layout, part_name)
    there = [[folder / n for n in alternatives if (folder / n).is_file()] for alternatives in names]
    if not any(there):
        return []
    if not all(there):
        missing = names[there.index([])]
        one = next(paths for paths in there if paths)[-1].name
        none_of = f"no {missing[0]}" if len(missing) == 1 else f"neither {' nor '.join(missing)}"
        raise FileNotFoundError(f"{folder} holds {one} but {none_of}.")
    return [paths[-1] for paths in there]


def _check_width(folder: Path, train: Part, part: Part | None, name: str) -> None:
    widths = [p.X.shape[1] for p in (train, part) if p is not None and not isinstance(p.X, list)]
    if len(set(widths)) > 1:
        raise ValueError(
            f"{folder}: its training part has {widths[0]:,} features, its {name} part"
            f" {widths[1]:,}; expected as many."
        )
