"""PECOS XR-Linear, in an environment of its own: its wheel wants numpy below 2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from data import Part, vectorizer

from peers.outcome import Options, Outcome, timed

_REQUIREMENTS = ("numpy<2", "scipy<1.14", "scikit-learn<1.6")
_PACKAGE = "libpecos==1.2.8"  # without what only its transformers want
_SCRIPT = Path(__file__).with_name("pecos_script.py")


def run(train: Part, texts: list[str], options: Options) -> Outcome:
    """XR-Linear (https://github.com/amzn/pecos), its defaults, on the same TF-IDF."""
    tfidf = vectorizer(pairs="pairs" in options.variants)
    features, vectorize_s = timed(lambda: tfidf.fit_transform(train.texts))
    folder = options.scratch
    sp.save_npz(folder / "X.npz", sp.csr_matrix(features))
    sp.save_npz(folder / "Y.npz", sp.csr_matrix(train.y.astype(np.float32)))
    sp.save_npz(folder / "X_new.npz", sp.csr_matrix(tfidf.transform(texts)))
    command = [python(Path(options.environments)), _SCRIPT, folder, str(options.threads)]
    subprocess.run(list(map(str, command)), check=True)
    found = json.loads((folder / "outcome.json").read_text())
    return Outcome(np.load(folder / "topk.npy"), vectorize_s, **found)


def python(environments: Path) -> Path:
    """Return the interpreter of PECOS's environment, which is made where it is not there."""
    folder = environments / "pecos"
    interpreter, done = folder / "bin" / "python", folder / "done"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(interpreter), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *_REQUIREMENTS], check=True)
        subprocess.run([*pip, "--no-deps", _PACKAGE], check=True)
        done.touch()
    return interpreter
