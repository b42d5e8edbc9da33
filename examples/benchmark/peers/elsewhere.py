"""Learners in Python environments of their own, which the first run makes.

A script beside this file reads the rows, trains, ranks, and writes what came of it (`handed.py`).
What it takes to hand the files over is not counted.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import scipy.sparse as sp
from data import Part

from peers.outcome import Options, Outcome, Seconds, rows_of, timed

_HERE = Path(__file__).parent
# What pip is told, call by call. PECOS wants numpy below 2, and only its transformers the rest.
_PECOS = [["numpy<2", "scipy<1.14", "scikit-learn<1.6"], ["--no-deps", "libpecos==1.2.8"]]
_LIBMULTILABEL = [["libmultilabel==0.10.0"]]


def pecos(train: Part, texts: list[str], options: Options) -> Outcome:
    """PECOS XR-Linear with label indexing, as in the Python example of its README [1]_.

    .. [1] https://github.com/amzn/pecos/blob/mainline/pecos/xmc/xlinear/README.md
    """
    return _run("pecos", _PECOS, train, texts, options)


def libmultilabel(train: Part, texts: list[str], options: Options) -> Outcome:
    """LibMultiLabel 0.10's linear methods: an L2 SVM for each label, with a bias.

    Their options are those of its own example configurations [1]_ (``rcv1/l2svm.yml``,
    ``EUR-Lex/tree_l2svm.yml``). It decides for labels with a score above 0, as there.
    ``libmultilabel+trees`` is an ensemble of three label trees, the most precise of its tutorial on
    many labels [2]_; it only ranks.

    .. [1] https://github.com/ASUS-AICS/LibMultiLabel/tree/master/example_config
    .. [2] https://www.csie.ntu.edu.tw/~cjlin/libmultilabel/auto_examples/plot_linear_tree_tutorial.html
    """
    more = [str(options.seed), "trees" if "trees" in options.variants else "one-vs-rest"]
    return _run("libmultilabel", _LIBMULTILABEL, train, texts, options, *more)


def _run(
    name: str,
    packages: list[list[str]],
    train: Part,
    texts: list[str],
    options: Options,
    *more: str,
) -> Outcome:
    rows = rows_of(train, options)
    new, transform = timed(lambda: rows.new(texts))
    folder = options.scratch
    for file, matrix in (("X", rows.X), ("Y", rows.y.astype("float32")), ("X_new", new)):
        sp.save_npz(folder / f"{file}.npz", sp.csr_matrix(matrix))
    python = _python(Path(options.environments), name, packages)
    script = _HERE / f"{name}_script.py"
    command = [python, script, folder, options.threads, *more]
    # What it prints is not a result.
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    found = json.loads((folder / "outcome.json").read_text())
    return Outcome(
        rows.labels(found["ranked"]), rows.took, Seconds(*found["train"]),
        transform + Seconds(*found["predict"]), found["model_bytes"],
        given=rows.labels(found["given"]) if found["given"] is not None else None,
    )  # fmt: skip


def _python(environments: Path, name: str, packages: list[list[str]]) -> Path:
    """Return the interpreter of an environment, which is made where it is not there."""
    folder = environments.resolve() / name
    interpreter, done = folder / "bin" / "python", folder / "done"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        for arguments in packages:
            pip = [str(interpreter), "-m", "pip", "install", "--quiet", *arguments]
            subprocess.run(pip, check=True, stdout=subprocess.DEVNULL)
        done.touch()
    return interpreter
