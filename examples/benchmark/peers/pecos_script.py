"""Run by PECOS's own interpreter: ``python pecos_script.py FOLDER THREADS``."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from pecos.xmc import Indexer, LabelEmbeddingFactory
from pecos.xmc.xlinear.model import XLinearModel

K = 5


def main() -> None:
    """Train, predict, save; write the ranking and the seconds."""
    folder, threads = Path(sys.argv[1]), int(sys.argv[2])
    X, Y, X_new = (sp.load_npz(folder / f"{name}.npz") for name in ("X", "Y", "X_new"))
    for matrix in (X, Y, X_new):
        matrix.sort_indices()
    began = time.perf_counter()
    clusters = Indexer.gen(LabelEmbeddingFactory.create(Y, X, method="pifa"), threads=threads)
    model = XLinearModel.train(X, Y, C=clusters, threads=threads)
    trained = time.perf_counter()
    ranked = sp.csr_matrix(model.predict(X_new, only_topk=K, threads=threads))
    predicted = time.perf_counter()
    model.save(str(folder / "model"))
    topk = np.zeros((X_new.shape[0], K), dtype=np.int64)
    for i in range(len(topk)):
        row = slice(ranked.indptr[i], ranked.indptr[i + 1])
        order = np.argsort(-ranked.data[row], kind="stable")
        best = ranked.indices[row][order][:K].tolist()
        topk[i] = best + [j for j in range(2 * K) if j not in best][: K - len(best)]
    np.save(folder / "topk.npy", topk)
    size = sum(f.stat().st_size for f in (folder / "model").rglob("*") if f.is_file())
    times = {"train_s": trained - began, "predict_s": predicted - trained, "model_bytes": size}
    (folder / "outcome.json").write_text(json.dumps(times))


main()
