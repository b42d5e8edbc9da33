"""Run by PECOS's own interpreter: ``python pecos_script.py FOLDER THREADS``."""

import sys
from pathlib import Path

import handed
import scipy.sparse as sp
from pecos.xmc import Indexer, LabelEmbeddingFactory
from pecos.xmc.xlinear.model import XLinearModel


def main() -> None:
    """Train, rank, save."""
    folder, threads = Path(sys.argv[1]), int(sys.argv[2])
    X, Y, X_new = handed.read(folder)

    def fit():
        label_features = LabelEmbeddingFactory.create(Y, X, method="pifa")
        clusters = Indexer.gen(label_features, threads=threads)
        return XLinearModel.train(X, Y, C=clusters, threads=threads)

    def rank():
        found = sp.csr_matrix(model.predict(X_new, only_topk=handed.K, threads=threads))
        edges = zip(found.indptr[:-1], found.indptr[1:], strict=True)
        return [handed.best(found.data[a:b], found.indices[a:b]) for a, b in edges]

    model, train_s = handed.timed(fit)
    ranked, predict_s = handed.timed(rank)
    model.save(str(folder / "model"))
    handed.write(folder, ranked, None, train_s, predict_s)


main()
