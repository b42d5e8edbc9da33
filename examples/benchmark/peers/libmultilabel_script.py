"""Run by LibMultiLabel's interpreter: ``python libmultilabel_script.py FOLDER THREADS SEED WHAT``.

WHAT is ``one-vs-rest`` or ``trees``.
"""

import sys
from pathlib import Path

import handed
import joblib
import numpy as np
import psutil
from libmultilabel import linear

OPTIONS = "-s 1 -B 1 -e 0.0001 -q"
BLOCK = 500  # documents scored at a time


def main() -> None:
    """Train, rank, save."""
    folder, threads, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    are_trees = sys.argv[4] == "trees"
    # It has as many threads as there are cores, and no argument for that.
    psutil.cpu_count = lambda logical=True: threads
    X, Y, X_new = handed.read(folder)

    def fit():
        if are_trees:
            return linear.train_ensemble_tree(Y, X, OPTIONS, n_trees=3, verbose=False, seed=seed)
        return linear.train_1vsrest(Y, X, False, OPTIONS, False)

    def rank():
        ranked, given = [], []
        for begin in range(0, X_new.shape[0], BLOCK):
            for scores in linear.predict_values(model, X_new[begin : begin + BLOCK]):
                ranked.append(handed.best(scores, np.arange(len(scores))))
                given.append(np.flatnonzero(scores > 0).tolist())
        return ranked, None if are_trees else given

    model, train_s = handed.timed(fit)
    (ranked, given), predict_s = handed.timed(rank)
    (folder / "model").mkdir()
    joblib.dump(model, folder / "model" / "model")
    handed.write(folder, ranked, given, train_s, predict_s)


main()
