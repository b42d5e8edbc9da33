"""What a script in an environment of its own is handed, and hands back; numpy and scipy alone."""

import json
import time

import numpy as np
import scipy.sparse as sp

K = 5


def read(folder):
    """Return X, Y and the rows to rank, csr_matrix."""
    matrices = [sp.load_npz(folder / f"{name}.npz") for name in ("X", "Y", "X_new")]
    for matrix in matrices:
        matrix.sort_indices()
    return matrices


def timed(work):
    """Return what some work makes, and its seconds of wall and of CPU time."""
    began, cpu = time.perf_counter(), time.process_time()
    made = work()
    return made, [time.perf_counter() - began, time.process_time() - cpu]


def best(scores, columns):
    """Return the columns of the K largest scores, best first."""
    order = np.argsort(-np.asarray(scores), kind="stable")[:K]
    return np.asarray(columns)[order].tolist()


def write(folder, ranked, given, train, predict):
    """Write the columns ranked and given (None: it does not decide), and the seconds."""
    size = sum(f.stat().st_size for f in (folder / "model").rglob("*") if f.is_file())
    found = {"ranked": ranked, "given": given, "train": train, "predict": predict}
    (folder / "outcome.json").write_text(json.dumps({**found, "model_bytes": size}))
