"""What the benchmarks read and measure: documents in parts, TF-IDF, memory, the machine."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml.datasets import load_pydocs, load_xmc

K = 5  # labels predicted for each document
PACKAGES = ("lightxml", "torch", "transformers", "scikit-learn", "numpy", "omikuji", "napkinxc")


@dataclass(frozen=True)
class Part:
    """Documents, and their labels as an indicator matrix of the training part's columns."""

    texts: list[str]
    y: sp.csr_array

    def __len__(self) -> int:
        return len(self.texts)

    def rows(self, numbers: np.ndarray) -> Part:
        """Return some of the documents."""
        return Part([self.texts[i] for i in numbers], self.y[numbers])


def read(source: str, *, validation: bool = False) -> tuple[Part, Part]:
    """Return the documents to learn from and those to measure on.

    `source` is ``pydocs`` or a folder that `lightxml.datasets.load_xmc` reads. With `validation`
    a tenth of the training part (drawn with seed 0) is measured on; the test part is not touched.
    """
    data = load_pydocs() if source == "pydocs" else load_xmc(source)
    train = Part(list(data.X_train), data.y_train)
    if not validation:
        return train, Part(list(data.X_test), data.y_test)
    order = np.random.RandomState(0).permutation(len(train))
    n_held_out = len(order) // 10
    return train.rows(np.sort(order[n_held_out:])), train.rows(np.sort(order[:n_held_out]))


def vectorizer(*, pairs: bool = False) -> TfidfVectorizer:
    """TF-IDF as in the tables: words, or the 100,000 most frequent words and pairs of words."""
    more = {"ngram_range": (1, 2), "max_features": 100_000} if pairs else {}
    return TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32, **more)


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
