"""The solver of linear support vector machines: beside scikit-learn's, and at its edges."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.svm import LinearSVC

from lightxml.rankers import linear
from lightxml.rankers.base import Documents
from lightxml.rankers.linear import Linear, fit_linear
from lightxml.rankers.sparse import narrow

N, N_LABELS = 120, 4


def task(seed: int = 0) -> tuple[sp.csr_array, sp.csr_array]:
    """Rows of several lengths, one of them empty, and a few labels."""
    rng = np.random.default_rng(seed)
    X = sp.csr_array(sp.random_array((N, 40), density=0.15, random_state=rng, dtype=np.float32))
    X = sp.csr_array(sp.diags_array(rng.uniform(0.3, 2, N).astype(np.float32)) @ X)
    X.data[X.indptr[7] : X.indptr[8]] = 0
    X.eliminate_zeros()
    X = narrow(X)  # scikit-learn's solver takes 32-bit numbers only
    return X, sp.csr_array((rng.random((N, N_LABELS)) < 0.3).astype(np.float32))


def everything(y: sp.csr_array) -> sp.csr_array:
    return sp.csr_array(np.ones(y.shape, dtype=np.float32))


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """No early end, and no weight dropped."""
    monkeypatch.setattr(linear, "_TOLERANCE", 1e-9)
    monkeypatch.setattr(linear, "_N_SWEEPS", 20_000)
    monkeypatch.setattr(linear, "_SMALLEST", 0.0)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("weighted", [False, True], ids=["weights of 1", "sample weights"])
def test_it_finds_scikit_learns_optimum(weighted: bool) -> None:
    X, y = task()
    weight = np.random.default_rng(1).uniform(0.1, 3, N) if weighted else None
    found = fit_linear(Documents(X), y, everything(y), seed=0, sample_weight=weight)
    for label in range(N_LABELS):
        known = LinearSVC(C=1.0, dual=True, tol=1e-9, max_iter=100_000)
        known.fit(X, y[:, [label]].toarray()[:, 0], sample_weight=weight)
        weights = found.weights[[label]].toarray()[0]
        # The weights are rounded to float16.
        np.testing.assert_allclose(weights, known.coef_[0], atol=1e-3, rtol=1e-3)
        np.testing.assert_allclose(found.bias[label], known.intercept_[0], atol=1e-6)


def test_stopped_early_it_still_ranks_alike() -> None:
    X, y = task()
    found = fit_linear(Documents(X), y, everything(y), seed=0)
    margins = found.score(Documents(X), everything(y)).reshape(y.shape)
    for label in range(N_LABELS):
        known = LinearSVC(C=1.0, dual=True).fit(X, y[:, [label]].toarray()[:, 0])
        assert np.corrcoef(margins[:, label], known.decision_function(X))[0, 1] > 0.99


@pytest.mark.usefixtures("exact")
def test_a_document_of_weight_zero_is_as_if_it_were_not_there() -> None:
    X, y = task()
    weight = np.ones(N)
    weight[60:] = 0
    some = fit_linear(Documents(X), y, everything(y), seed=0, sample_weight=weight)
    alone = fit_linear(Documents(X[:60]), y[:60], everything(y)[:60], seed=0)
    np.testing.assert_allclose(some.weights.toarray(), alone.weights.toarray(), atol=2e-3)


@pytest.mark.usefixtures("exact")
def test_a_document_of_weight_2_is_as_if_it_were_there_twice() -> None:
    X, y = task()
    weight = np.ones(N)
    weight[:40] = 2
    twice = np.concatenate([np.arange(N), np.arange(40)])
    one = fit_linear(Documents(X), y, everything(y), seed=0, sample_weight=weight)
    both = fit_linear(Documents(narrow(X[twice])), y[twice], everything(y)[twice], seed=0)
    np.testing.assert_allclose(one.weights.toarray(), both.weights.toarray(), atol=2e-3)
    plain = fit_linear(Documents(X), y, everything(y), seed=0)
    assert abs(plain.weights - both.weights).max() > 0.02


def test_no_documents_all_documents_and_empty_documents() -> None:
    X, _ = task()
    y = np.zeros((N, 3), dtype=np.float32)
    y[:, 1] = 1
    y[7, 2] = 1  # the empty one
    found = fit_linear(Documents(X), sp.csr_array(y), sp.csr_array((N, 3)), seed=0)
    np.testing.assert_array_equal(found.bias[:2], [-1, 1])
    assert found.weights[[0, 1]].nnz == 0
    assert np.isfinite(found.weights.data).all()
    assert -1 < found.bias[2] < 1
    nothing = fit_linear(Documents(sp.csr_array((0, 5), dtype=np.float32)),
                         sp.csr_array((0, 2)), sp.csr_array((0, 2)), seed=0)  # fmt: skip
    np.testing.assert_array_equal(nothing.bias, [-1, -1])


def drawn_apart() -> tuple[Documents, sp.csr_array]:
    """So many documents that which of them are drawn shows in the weights."""
    rng = np.random.default_rng(3)
    X = sp.csr_array(
        sp.random_array((2_000, 300), density=0.03, random_state=rng, dtype=np.float32)
    )
    y = sp.csr_array((rng.random((2_000, 600)) < 0.002).astype(np.float32))
    return Documents(X), y


def same(a: Linear, b: Linear) -> bool:
    return (
        np.array_equal(a.weights.data, b.weights.data)
        and np.array_equal(a.weights.indices, b.weights.indices)
        and np.array_equal(a.bias, b.bias)
    )


def test_the_seed_decides_and_neither_threads_nor_company_do() -> None:
    documents, y = drawn_apart()
    unlikely = sp.csr_array(y.shape)
    one = fit_linear(documents, y, unlikely, seed=0)
    assert same(one, fit_linear(documents, y, unlikely, seed=0, n_jobs=2))
    assert not same(one, fit_linear(documents, y, unlikely, seed=1))
    # A classifier fitted anew without its neighbors in the block is the same.
    again = one.update(documents, y, unlikely, np.array([599, 3]), seed=0)
    assert same(one, again)


def test_numbers_may_be_counted_in_64_bits() -> None:
    documents, y = drawn_apart()
    likely = sp.csr_array(y.shape)
    wide = [
        sp.csr_array((m.data, m.indices.astype(np.int64), m.indptr.astype(np.int64)), m.shape)
        for m in (documents.rows, y, likely)
    ]
    assert wide[0].indices.dtype == np.int64
    other = fit_linear(Documents(wide[0]), wide[1], wide[2], seed=0)
    assert same(fit_linear(documents, y, likely, seed=0), other)


@pytest.mark.slow
@pytest.mark.parametrize("obstacle", ["no folder can be written to", "the cache is damaged"])
def test_it_compiles_without_a_cache(obstacle: str, tmp_path: Path) -> None:
    package = tmp_path / "lightxml"
    shutil.copytree(Path(linear.__file__).parent, package / "rankers",
                    ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
    (package / "__init__.py").touch()
    code = "from lightxml.rankers.solver import compiled; compiled(); compiled()"
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("NUMBA_CACHE_DIR", None)
    if obstacle == "the cache is damaged":
        environment["NUMBA_CACHE_DIR"] = str(tmp_path / "cache")
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
        assert files
        for path in files:
            path.write_bytes(path.read_bytes()[:-20])
    else:
        # Permissions do not stop a superuser; a file in the way of the folder does.
        (package / "rankers" / "__pycache__").write_text("")
        environment["HOME"] = environment["XDG_CACHE_HOME"] = str(blocked)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
