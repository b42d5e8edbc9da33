"""What the benchmarks read: documents in parts, TF-IDF, memory, the machine."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml.datasets import label_sets, load_pydocs
from lightxml.fields import FieldsVectorizer

K = 5  # labels predicted for each document
PACKAGES = ("lightxml", "torch", "transformers", "scikit-learn", "numpy", "omikuji", "napkinxc")


@dataclass(frozen=True)
class Part:
    """Documents, and the labels of each, in the order of the file; a label may be unseen."""

    texts: list[str]
    labels: list[list[str]]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def classes(self) -> list[str]:
        """The labels that occur, sorted."""
        return sorted({label for of in self.labels for label in of})

    def rows(self, numbers: np.ndarray) -> Part:
        """Return some of the documents."""
        return Part([self.texts[i] for i in numbers], [self.labels[i] for i in numbers])

    def y(self, classes: Sequence[str]) -> sp.csr_array:
        """Return an indicator matrix with these columns, int64; other labels are left out."""
        place = {label: j for j, label in enumerate(classes)}
        rows = [sorted({place[label] for label in of if label in place}) for of in self.labels]
        columns = np.fromiter((j for row in rows for j in row), np.int32)
        pointers = np.cumsum([0, *map(len, rows)], dtype=np.int32)
        # Not int8: scikit-learn's OneVsRestClassifier numbers its classes in this type.
        ones = np.ones(len(columns), dtype=np.int64)
        return sp.csr_array((ones, columns, pointers), shape=(len(rows), len(classes)))


def lines(path: Path) -> list[str]:
    """Return a file's lines; only a newline ends one."""
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def part(folder: Path, name: str) -> Part:
    """Return ``train``, ``test`` or ``dev``: NAME_texts.txt, and NAME_labels.txt with blanks."""
    labels = [line.split() for line in lines(folder / f"{name}_labels.txt")]
    return Part(lines(folder / f"{name}_texts.txt"), labels)


def read(source: str, *, validation: bool = False) -> tuple[Part, Part]:
    """Return the documents to learn from and those to measure on.

    `source` is ``pydocs`` or a folder. With `validation` a tenth of the training part (drawn with
    seed 0) is measured on; the test part is not read.
    """
    if source == "pydocs":
        data = load_pydocs()
        train, test = (
            Part(list(texts), [list(of) for of in label_sets(y, data.labels)])
            for texts, y in ((data.X_train, data.y_train), (data.X_test, data.y_test))
        )
        return tenth_apart(train) if validation else (train, test)
    train = part(Path(source), "train")
    return tenth_apart(train) if validation else (train, part(Path(source), "test"))


def tenth_apart(train: Part) -> tuple[Part, Part]:
    """Return nine tenths and one tenth of the documents, drawn with seed 0."""
    order = np.random.RandomState(0).permutation(len(train))
    n_held_out = len(order) // 10
    return train.rows(np.sort(order[n_held_out:])), train.rows(np.sort(order[:n_held_out]))


def vectorizer(*, pairs: bool = False, titles: bool = False) -> Any:
    """TF-IDF as in the tables: words, or the 100,000 most frequent words and pairs of words.

    With `titles` of each field by itself, as `label_texts.with_title` makes them.
    """
    more: dict[str, Any] = {"ngram_range": (1, 2), "max_features": 100_000} if pairs else {}
    tfidf = TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32, **more)
    return FieldsVectorizer(tfidf) if titles else tfidf


def peak_gib() -> float:
    """Return the peak resident memory of this process, or of a child that had more (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    # Not this process's own ru_maxrss, which begins with what its parent had.
    own = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 2**20


def size_in_bytes(path: Path) -> int:
    """Return what a file, or all files of a folder, take."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def machine() -> dict[str, object]:
    """Return what a reader must know of the machine beside a time."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
    except OSError:
        lines = []
    of_cpu = dict(map(str.strip, line.split(":", 1)) for line in lines if ":" in line)
    flags = of_cpu.get("flags", "").split()
    return {
        "processor": of_cpu.get("model name", platform.processor()),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "bf16": "avx512_bf16" in flags or "amx_bf16" in flags,
        "versions": installed(PACKAGES),
    }


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are there."""
    found = {}
    for name in packages:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
