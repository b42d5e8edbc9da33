from __future__ import annotations

import importlib.metadata
import json
import os
import random
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import textwrap
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from lightxml.datasets import label_sets, load_pydocs, load_xmc, make_xmc, synthetic
from lightxml.datasets.docstrings import prose

EURLEX = Path(__file__).resolve().parents[3] / "shared" / "data" / "eurlex57k_15k.tar.xz"


def write(folder: Path, **files: str | bytes) -> Path:
    """Write ``train_texts="..."`` to train_texts.txt, byte for byte."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        content = content if isinstance(content, bytes) else content.encode()
        (folder / f"{name}.txt").write_bytes(content)
    return folder


SMALL = {
    "train_texts": "first text\nsecond text\nthird text\n",
    "train_labels": "law trade\ntrade\nsea\n",
    "test_texts": "fourth text\nfifth text\n",
    "test_labels": "trade moon\nmoon sun\n",
}


# --- load_xmc: what it reads -------------------------------------------------------------------


def test_texts_and_labels_are_read_line_by_line(tmp_path):
    data = load_xmc(str(write(tmp_path, **SMALL)))
    assert data.X_train == ["first text", "second text", "third text"]
    assert data.X_test == ["fourth text", "fifth text"]
    assert data.labels.tolist() == ["law", "sea", "trade"]
    assert data.y_train.toarray().tolist() == [[1, 0, 1], [0, 0, 1], [0, 1, 0]]


def test_y_is_a_csr_array_of_small_ones_with_sorted_32_bit_indices(tmp_path):
    data = load_xmc(write(tmp_path, train_texts="a\n", train_labels="z y x w\n"))
    assert isinstance(data.y_train, csr_array)
    assert data.y_train.dtype == np.int64
    assert data.y_train.indices.dtype == data.y_train.indptr.dtype == np.int32
    assert data.y_train.indices.tolist() == [0, 1, 2, 3]
    assert data.y_train.data.tolist() == [1, 1, 1, 1]


def test_labels_of_the_test_part_alone_are_counted_and_get_no_column(tmp_path):
    data = load_xmc(write(tmp_path, **SMALL))
    assert data.y_test.toarray().tolist() == [[0, 0, 1], [0, 0, 0]]
    assert data.n_unseen_labels == {"test": 2}
    assert data.n_unseen_occurrences == {"test": 3}
    assert "test: 2 documents, 3 labels" in data.DESCR
    assert "2 of them (3 occurrences) not in train" in data.DESCR


def test_without_a_test_or_dev_part_both_are_none(tmp_path):
    data = load_xmc(write(tmp_path, train_texts="a\n", train_labels="x\n"))
    assert data.X_test is data.y_test is data.X_validation is data.y_validation is None
    assert data.n_unseen_labels == data.n_unseen_occurrences == {}


def test_a_long_label_takes_its_own_room_alone_and_a_last_nul_is_kept(tmp_path):
    long, n_labels = "x" * 20_000, 1_000
    lines = [*map(str, range(n_labels)), f"{long} a a\0"]
    text = {"train_texts": "text\n" * len(lines), "train_labels": "\n".join([*lines, ""])}
    folder = write(tmp_path, **text)
    tracemalloc.start()
    try:
        data = load_xmc(folder)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert {long, "a", "a\0"} < set(data.labels)
    assert len(data.labels) == len(data.label_names) == n_labels + 3
    assert peak < 8e6 < n_labels * len(long)


def test_dev_is_the_validation_part_and_not_added_to_train(tmp_path):
    data = load_xmc(write(tmp_path, **SMALL, dev_texts="dev text\n", dev_labels="sea dev\n"))
    assert data.X_validation == ["dev text"]
    assert data.y_validation.toarray().tolist() == [[0, 1, 0]]
    assert data.n_unseen_labels == {"test": 2, "validation": 1}
    assert len(data.X_train) == 3
    assert "dev" not in data.labels


def test_raw_texts_are_read_where_they_are_there_and_descr_says_so(tmp_path):
    data = load_xmc(write(tmp_path, **SMALL, train_raw_texts="First!\nSecond!\nThird!\n"))
    assert data.X_train == ["First!", "Second!", "Third!"]
    assert data.X_test == ["fourth text", "fifth text"]
    assert "train_raw_texts.txt, train_labels.txt, test_texts.txt" in data.DESCR


def test_label_names_come_from_labels_txt_and_default_to_the_label(tmp_path):
    names = "trade\tinternational\ttrade \nlaw\tLaw\nmoon\tMoon\nsea\n"
    data = load_xmc(write(tmp_path, **SMALL, labels=names))
    assert data.label_names.tolist() == ["Law", "sea", "international\ttrade"]
    assert load_xmc(write(tmp_path, labels="")).label_names.tolist() == ["law", "sea", "trade"]


def test_the_readme_is_part_of_descr_in_whatever_encoding(tmp_path):
    data = load_xmc(write(tmp_path, **SMALL, README=b"Licence: none, caf\xe9"))
    assert data.DESCR.startswith("train: 3 documents, 3 labels, 1.33 labels a document")
    assert "Licence: none, caf" in data.DESCR


# --- load_xmc: lines, blanks, bytes ------------------------------------------------------------

NOT_LINE_ENDS = ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\r", "\0"]


@pytest.mark.parametrize("separator", NOT_LINE_ENDS, ids=ascii)
def test_only_a_newline_ends_a_document_or_a_row_of_labels(tmp_path, separator):
    files = {"train_texts": f"a{separator}b\nc\n", "train_labels": f"x{separator}y\nz\n"}
    data = load_xmc(write(tmp_path, **files))
    assert data.X_train == [f"a{separator}b", "c"]
    assert data.labels.tolist() == [f"x{separator}y", "z"]


def test_windows_line_ends_and_byte_order_marks_are_no_part_of_the_data(tmp_path):
    data = load_xmc(
        write(tmp_path, train_texts="\ufeffa\r\nb\ufeff\r\n", train_labels="\ufeffx y\r\nx\r\n")
    )
    assert data.X_train == ["a", "b\ufeff"]
    assert data.labels.tolist() == ["x", "y"]


def test_the_last_line_needs_no_newline(tmp_path):
    data = load_xmc(write(tmp_path, train_texts="a\nb", train_labels="x\ny"))
    assert data.X_train == ["a", "b"]
    assert data.y_train.shape == (2, 2)


def test_a_line_without_text_or_without_a_label_is_a_document_all_the_same(tmp_path):
    data = load_xmc(write(tmp_path, train_texts="a\n\nc\n\n", train_labels="x\ny\n\n \t\n"))
    assert data.X_train == ["a", "", "c", ""]
    assert data.y_train.toarray().tolist() == [[1, 0], [0, 1], [0, 0], [0, 0]]


def test_labels_are_separated_by_spaces_and_tabs_and_by_nothing_else(tmp_path):
    row = " a,b;c  d:e\t(f)\u00a0g\u3000h \t i|j,\n"
    data = load_xmc(write(tmp_path, train_texts="t\n", train_labels=row))
    assert data.labels.tolist() == ["(f)\u00a0g\u3000h", "a,b;c", "d:e", "i|j,"]


def test_a_label_repeated_in_a_document_counts_once(tmp_path):
    many = " ".join(["x"] * 256)  # as often as makes an int8 sum zero again
    data = load_xmc(write(tmp_path, **{**SMALL, "train_labels": f"{many}\ny x y\nx\n"}))
    assert data.y_train.toarray().tolist() == [[1, 0], [1, 1], [1, 0]]
    data = load_xmc(write(tmp_path, test_labels="x new new\nnew\n"))
    assert data.y_test.toarray().tolist() == [[1, 0], [0, 0]]
    assert data.n_unseen_occurrences == {"test": 2}


def test_texts_in_any_script_are_read_as_they_are(tmp_path):
    text = "Übersicht — 条約 \U0001f600 e\u0301  two  blanks "
    data = load_xmc(write(tmp_path, train_texts=text + "\n", train_labels="水 σ\n"))
    assert data.X_train == [text]
    assert data.labels.tolist() == ["σ", "水"]


# Zero bytes at the end of a string are lost in numpy's string arrays.
CHARACTER = st.characters(exclude_characters="\n\t \r\0\ufeff", exclude_categories=["Cs"])
ROWS = st.lists(st.lists(st.text(CHARACTER, min_size=1), max_size=4), min_size=1, max_size=6)


@settings(max_examples=50, deadline=None)
@given(rows=ROWS, n_train=st.integers(1, 6))
def test_every_part_keeps_the_known_labels_of_each_document(rows, n_train):
    rows = [["always"], *rows]
    train, test = rows[:n_train], rows[n_train:]
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for part, part_rows in (("train", train), ("test", test)):
            files[f"{part}_texts"] = "text\n" * len(part_rows)
            files[f"{part}_labels"] = "".join(" ".join(row) + "\n" for row in part_rows)
        data = load_xmc(write(Path(folder), **files))
    known = {label for row in train for label in row}
    assert data.labels.tolist() == sorted(known)
    for y, part_rows in ((data.y_train, train), (data.y_test, test)):
        assert label_sets(y, data.labels) == [tuple(sorted(known & set(r))) for r in part_rows]


# --- load_xmc: errors --------------------------------------------------------------------------


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere is not a folder\. .*train_texts\.txt"):
        load_xmc(tmp_path / "nowhere")


def test_a_folder_without_a_training_part_is_told_the_expected_files(tmp_path):
    expected = r"train_texts\.txt or train_raw_texts\.txt, and train_labels\.txt"
    with pytest.raises(FileNotFoundError, match=expected):
        load_xmc(tmp_path)


@pytest.mark.parametrize("part", ["train", "test", "dev"])
def test_half_a_part_is_an_error_that_names_the_missing_file(tmp_path, part):
    files = {**SMALL, "dev_texts": "d\n", "dev_labels": "x\n"}
    write(tmp_path / "no_labels", **{k: v for k, v in files.items() if k != f"{part}_labels"})
    with pytest.raises(FileNotFoundError, match=rf"holds {part}_texts\.txt but no {part}_labels"):
        load_xmc(tmp_path / "no_labels")
    write(tmp_path / "no_texts", **{k: v for k, v in files.items() if k != f"{part}_texts"})
    with pytest.raises(
        FileNotFoundError,
        match=rf"{part}_labels\.txt but neither {part}_texts\.txt nor {part}_raw_texts\.txt",
    ):
        load_xmc(tmp_path / "no_texts")


def test_different_numbers_of_lines_are_an_error_with_both_files_and_counts(tmp_path):
    write(tmp_path, **{**SMALL, "test_labels": "x\ny\nz\n"})
    with pytest.raises(
        ValueError, match=r"test_texts\.txt holds 2 lines but .*labels\.txt holds 3"
    ):
        load_xmc(tmp_path)


@pytest.mark.parametrize("name", ["train_texts", "train_labels", "test_texts", "test_labels"])
def test_a_file_that_is_not_utf8_is_named_with_line_and_byte(tmp_path, name):
    write(tmp_path, **{**SMALL, name: "good\ncafé\n".encode("latin-1")})
    with pytest.raises(ValueError, match=rf"{name}\.txt, line 2: not UTF-8 \(byte 0xe9 at .* 3\)"):
        load_xmc(tmp_path)


@pytest.mark.parametrize("labels", ["", "\n \n\n"])
def test_a_training_part_without_any_label_is_an_error(tmp_path, labels):
    write(tmp_path, train_texts="\n" * labels.count("\n"), train_labels=labels)
    with pytest.raises(ValueError, match=r"train_labels\.txt holds no label"):
        load_xmc(tmp_path)


@pytest.mark.skipif(not EURLEX.exists(), reason="eurlex57k_15k is not at ../shared/data")
def test_a_real_data_set_agrees_with_its_published_counts():
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(EURLEX) as archive:
            archive.extractall(folder, filter="data")
        data = load_xmc(Path(folder, "eurlex57k_15k"))
        stats = json.loads(Path(folder, "eurlex57k_15k", "stats.json").read_text())
    assert (len(data.X_train), len(data.X_test)) == (15_539, 3_809)
    assert data.y_train.shape == (15_539, 3_304)
    assert data.y_test.shape == (3_809, 3_304)
    assert data.n_unseen_labels == {"test": 161}
    assert data.y_train.nnz / 15_539 == pytest.approx(stats["train"]["labels_per_doc"], abs=5e-4)
    unseen = data.n_unseen_occurrences["test"]
    occurrences = data.y_test.nnz + unseen
    assert occurrences / 3_809 == pytest.approx(stats["test"]["labels_per_doc"], abs=5e-4)
    percentage = stats["test_label_occurrences_unseen_pct"]
    assert 100 * unseen / occurrences == pytest.approx(percentage, abs=5e-3)
    frequencies = np.bincount(data.y_train.indices)
    assert frequencies.min() == 1
    assert (frequencies >= 5).sum() == stats["train"]["labels_ge5"]
    assert data.label_names[data.labels.tolist().index("10")] == "domestic trade"


# --- label_sets --------------------------------------------------------------------------------


def test_label_sets_names_the_columns_of_each_row():
    y = csr_array([[0, 1, 1], [0, 0, 0], [1, 0, 0]])
    assert label_sets(y, np.array(["a", "b", "c"])) == [("b", "c"), (), ("a",)]


# --- load_pydocs -------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a function that writes a package of source files, any of which fails if run."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    # It looks at every installed distribution, which takes longer than the rest.
    monkeypatch.setattr(importlib.metadata, "packages_distributions", dict)

    def write_package(name: str, files: dict[str, str]) -> Path:
        for path, source in {"__init__.py": "", **files}.items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            # The docstring of a module comes first.
            file.write_text(textwrap.dedent(source) + "\nraise RuntimeError('imported')\n")
        importlib.invalidate_caches()
        return tmp_path / name

    return write_package


def documents(data) -> dict[str, set[str]]:
    """All documents of both parts with the labels that have a column."""
    y_train, y_test = (map(set, label_sets(y, data.labels)) for y in (data.y_train, data.y_test))
    return dict(zip(data.X_train + data.X_test, [*y_train, *y_test], strict=True))


def functions(parameter: str, word: str, n: int = 10) -> str:
    """Source of n functions that share a parameter."""
    return "\n".join(
        f'def f{i}({parameter}):\n    """Return {word} number {i}."""' for i in range(n)
    )


def test_docstrings_are_labelled_with_module_class_and_parameters(package):
    package(
        "fakelib",
        {
            "_linear/_base_.py": '''
            """Linear models of all kinds."""
            class _Ridge:
                """Ridge regression by hand."""
                def __init__(self, alpha, *, _tol=1): ...
                def fit(self, X, /, *args, alpha, **kwargs):
                    """Fit the model here."""
                    def inner(alpha):
                        """Never read as a document."""
                @classmethod
                async def make(cls, X):
                    """Make a new one."""
            try:
                import nothing
            except ImportError:
                def fallback(X, alpha, tol):
                    """Used without the other."""
            if True:
                class Ridge:
                    """Another class with parameters."""
                    def get(self, tol, rare):
                        """Get the tolerance back."""
            '''
        },
    )
    found = documents(load_pydocs(["fakelib"], test_size=0.1))
    common = {"fakelib", "linear", "base"}
    expected = {
        "Linear models of all kinds.": common,
        "Ridge regression by hand.": common | {"Ridge", "alpha", "tol"},
        "Fit the model here.": common | {"Ridge", "X", "alpha"},
        "Make a new one.": common | {"Ridge", "X"},
        "Used without the other.": common | {"X", "alpha", "tol"},
        "Another class with parameters.": common | {"Ridge"},
        "Get the tolerance back.": common | {"Ridge", "tol"},
    }
    assert found == expected


@pytest.mark.parametrize(
    ("docstring", "text"),
    [
        ("One line only.", "One line only."),
        ("Two\n  lines,\t and\n\n\nmore.", "Two lines, and more."),
        ("Sum.\n\nParameters\n----------\nx : int", "Sum."),
        ("Sum.\n\nMy own section\n==============\nMore.", "Sum."),
        ("Sum.\n\nArgs:\n    x: a number", "Sum."),
        ("Sum.\nReturns:\n    a number", "Sum."),
        ("Sum.\n\n:param x: a number", "Sum."),
        ("Sum.\n\n:returns: a number", "Sum."),
        ("Sum.\n\n@param x: a number", "Sum."),
        ("Sum.\n\n>>> f(1)\n1\n", "Sum."),
        ("Sum.\n\n.. versionadded:: 1.2\n\nMore.", "Sum. More."),
        ("=====\nTitle\n=====\n\nProse below.", "Title Prose below."),
        ("Title\n=====\n\nProse below.\n\nSection\n-------\nMore.", "Title Prose below."),
        ("Parameters\n----------\nx : int", ""),
        ("Notes on the\nparameters of this: see\n:class:`Other` below.",
         "Notes on the parameters of this: see :class:`Other` below."),
        ("A dash - or -- two\n--\nis text.", "A dash - or -- two -- is text."),
    ],
)  # fmt: skip
def test_the_text_is_the_prose_before_the_first_section(docstring, text):
    assert prose(docstring) == text


def test_identical_texts_become_one_document_with_the_labels_of_all(package):
    twins = "\n".join(f'def f{i}(p{i % 2}):\n    """The very same text."""' for i in range(6))
    package("fakelib", {"a.py": functions("p0", "a"), "b.py": functions("p1", "b"), "c.py": twins})
    data = load_pydocs(["fakelib"])
    assert len(data.X_train + data.X_test) == 21
    # Module c has one document after the merger, too few for a label.
    assert documents(data)["The very same text."] == {"fakelib", "p0", "p1"}


def test_short_texts_rare_labels_and_then_bare_documents_are_left_out(package):
    package(
        "fakelib",
        {
            "a.py": functions("x", "a", 5) + '\ndef g(x):\n    """Too short."""',
            "b.py": functions("rare", "b", 2),
        },
    )
    single = package("fakesingle", {"c.py": '"""Alone in its package."""'})
    data = load_pydocs(["fakelib", single.name])
    assert set(documents(data)) == {f"Return {w}." for w in (
        "a number 0", "a number 1", "a number 2", "a number 3", "a number 4",
        "b number 0", "b number 1",
    )}  # fmt: skip
    assert data.labels.tolist() == ["a", "fakelib", "x"]
    assert data.label_names.tolist() == data.labels.tolist()


def test_labels_that_only_the_test_part_got_have_no_column(package):
    sources = {f"m{i}.py": functions(f"p{i}", f"m{i}", 3) for i in range(20)}
    package("fakelib", sources)
    data = load_pydocs(["fakelib"], test_size=0.8)
    assert len(data.X_test) == 48
    used = {label for row in label_sets(data.y_train, data.labels) for label in row}
    assert used == set(data.labels.tolist())
    assert data.n_unseen_labels["test"] == 41 - len(data.labels) > 0
    assert data.n_unseen_occurrences["test"] == 3 * data.n_unseen_labels["test"]
    assert data.X_validation is data.y_validation is None


def test_nothing_that_is_read_is_imported(package):
    package("fakelib", {"a.py": functions("x", "a"), "sub/b.py": functions("y", "b")})
    before = set(sys.modules)
    load_pydocs("fakelib")
    assert not {name for name in set(sys.modules) - before if name.startswith("fakelib")}


def test_tests_hidden_folders_and_what_cannot_be_imported_are_left_out(package):
    package(
        "fakelib",
        {
            "a.py": functions("x", "a"),
            **{
                path: functions("left_out", "left out")
                for path in (
                    "tests/__init__.py", "test/b.py", "sub/tests/c.py", "test_a.py", "conftest.py",
                    ".hidden/d.py", "site-packages/e.py", "not-a-module.py", "note.txt",
                )
            },
        },
    )  # fmt: skip
    data = load_pydocs(["fakelib"])
    assert data.labels.tolist() == ["a", "fakelib", "x"]
    assert len(documents(data)) == 10


@pytest.mark.parametrize("name", ["stdlib", "python"])
def test_the_standard_library_has_a_name_of_its_own(package, monkeypatch, name):
    root = package(
        "fakestdlib",
        {
            "json/decoder.py": functions("s", "json"),
            "argparse.py": functions("prog", "arguments"),
            **{
                f"{folder}/a.py": functions("left_out", "left out")
                for folder in ("site-packages", "test", "idlelib", "lib2to3", "turtledemo")
            },
        },
    )
    monkeypatch.setattr(sysconfig, "get_path", {"stdlib": str(root)}.__getitem__)
    data = load_pydocs([name])
    assert data.labels.tolist() == ["argparse", "decoder", "json", "prog", "s"]
    assert f"Python {sys.version.split()[0]}" in data.DESCR


def test_old_sources_neither_warn_nor_stop_the_reading(package):
    root = package("fakelib", {"a.py": functions("x", "a"), "old.py": "print 'Python 2'"})
    (root / "escape.py").write_text('"""An escape \\d of old."""\nassert (1, "always")\n')
    (root / "zero.py").write_bytes(b"x = '\0'")
    (root / "bytes.py").write_bytes(b"x = '\xff'")
    (root / "latin.py").write_bytes(
        b"# -*- coding: latin-1 -*-\ndef f(x):\n    '''Un caf\xe9 de plus.'''\n"
    )
    filters = list(warnings.filters)
    found = documents(load_pydocs(["fakelib"]))  # a warning would be an error here
    assert warnings.filters == filters
    assert len(found) == 12
    assert found["Un café de plus."] == {"fakelib", "x"}


def test_a_single_module_and_a_namespace_package_can_be_read(tmp_path, package):
    package("fakespace", {"a.py": functions("x", "a")})
    (tmp_path / "fakespace" / "__init__.py").unlink()
    (tmp_path / "fakemodule.py").write_text(functions("y", "module") + "\nraise RuntimeError")
    importlib.invalidate_caches()
    data = load_pydocs(["fakespace", "fakemodule", "fakespace"])
    assert data.labels.tolist() == ["a", "fakemodule", "fakespace", "x", "y"]


def test_a_package_that_is_not_installed_is_named_with_the_way_out():
    with pytest.raises(ModuleNotFoundError, match=r"'nosuchlib' is not installed.*pip install"):
        load_pydocs(["joblib", "nosuchlib"])


@pytest.mark.parametrize("name", ["scikit-learn", "fakelib.sub"])
def test_a_name_that_is_not_a_top_level_one_is_refused_without_an_import(package, name):
    package("fakelib", {"sub/a.py": functions("x", "a")})
    with pytest.raises(ModuleNotFoundError, match=f"'{name}'.*top-level name"):
        load_pydocs([name])


def test_a_package_without_python_source_is_named():
    with pytest.raises(ValueError, match="'sys' has no Python source"):
        load_pydocs(["sys"])


def test_too_few_docstrings_are_an_error(package):
    package("fakelib", {"a.py": functions("x", "a", 2)})
    with pytest.raises(ValueError, match=r"packages=\['fakelib'\] hold 2 docstrings"):
        load_pydocs(["fakelib"])


@pytest.mark.parametrize("test_size", [0, 1, -0.5, 1.5])
def test_test_size_is_a_fraction_between_0_and_1(test_size):
    with pytest.raises(ValueError, match="test_size"):
        load_pydocs(["joblib"], test_size=test_size)


def test_docstrings_of_an_installed_package_make_a_data_set():
    data = load_pydocs(["joblib"], test_size=0.25)
    n = len(data.X_train) + len(data.X_test)
    assert n > 100
    assert len(data.X_test) == round(0.25 * n)
    assert {"joblib", "parallel", "Memory", "verbose"} <= set(data.labels.tolist())
    assert not {"self", "cls", "", "__init__"} & set(data.labels.tolist())
    assert not set(data.X_train) & set(data.X_test)
    assert len(set(data.X_train + data.X_test)) == n
    assert all(text == " ".join(text.split()) for text in data.X_train)
    # Labels without a column can leave a test document bare, never a training document.
    assert np.diff(data.y_train.indptr).min() >= 1
    assert data.y_train.shape == (len(data.X_train), len(data.labels))
    assert data.y_test.shape == (len(data.X_test), len(data.labels))
    assert data.labels.tolist() == sorted(set(data.labels.tolist()))
    assert f"joblib {importlib.import_module('joblib').__version__}" in data.DESCR


def test_the_seed_decides_the_split_and_nothing_else():
    one, same, other = (load_pydocs(["joblib"], random_state=seed) for seed in (1, 1, 2))
    assert one.X_train == same.X_train
    assert (one.y_train != same.y_train).nnz == 0
    assert one.X_train != other.X_train
    assert set(one.X_train + one.X_test) == set(other.X_train + other.X_test)


@pytest.mark.slow
def test_the_default_packages_hold_thousands_of_documents_and_labels():
    before = set(sys.modules)
    data = load_pydocs()
    assert len(data.X_train) > 8_000
    assert len(data.labels) > 2_000
    assert not set(data.X_train) & set(data.X_test)
    assert {"Ridge", "linear_model", "json", "scipy", "axis"} <= set(data.labels.tolist())
    assert not {"lib2to3", "idlelib", "turtledemo"} & set(data.labels.tolist())
    assert not {"sklearn.cluster", "scipy.signal", "tkinter"} & (set(sys.modules) - before)


# --- make_xmc ----------------------------------------------------------------------------------


def test_make_xmc_gives_documents_and_an_indicator_matrix():
    X, y = make_xmc(n_documents=50, n_labels=20, random_state=0)
    assert len(X) == 50
    assert all(type(text) is str and text == " ".join(text.split()) and text for text in X)
    assert isinstance(y, csr_array)
    assert y.shape == (50, 20)
    assert y.dtype == np.int64
    assert y.indices.dtype == np.int32
    assert y.has_sorted_indices
    assert set(y.data.tolist()) == {1}


def test_the_sizes_are_as_asked_for_in_the_mean():
    X, y = make_xmc(
        4000, 500, n_labels_per_document=3.5, n_words_per_document=20, n_words=300, random_state=0
    )
    n_labels = np.diff(y.indptr)
    assert n_labels.min() == 1
    assert n_labels.mean() == pytest.approx(3.5, rel=0.03)
    words = [text.split() for text in X]
    assert np.mean([len(w) for w in words]) == pytest.approx(20, rel=0.03)
    assert len({w for row in words for w in row}) <= 300


def test_label_frequencies_follow_zipfs_law_in_no_order_of_the_columns():
    # One label a document: no redrawing bends the law.
    _, y = make_xmc(50_000, 1000, n_labels_per_document=1, n_words_per_document=1, random_state=0)
    frequencies = np.bincount(y.indices, minlength=1000)
    ranked = np.sort(frequencies)[::-1]
    slope = np.polyfit(np.log(np.arange(1, 101)), np.log(ranked[:100]), 1)[0]
    assert slope == pytest.approx(-1, abs=0.05)
    assert ranked[0] / 50_000 == pytest.approx(1 / np.sum(1 / np.arange(1, 1001)), rel=0.05)
    assert frequencies[:500].sum() == pytest.approx(25_000, rel=0.5)


def test_words_tell_the_labels():
    X, y = make_xmc(1200, 50, random_state=0)
    y_train, y_test = y[:1000], y[1000:].toarray()
    tfidf = TfidfVectorizer()
    centroids = normalize(y_train.T @ tfidf.fit_transform(X[:1000]))
    best = (tfidf.transform(X[1000:]) @ centroids.T).toarray().argmax(axis=1)
    most_frequent = np.bincount(y_train.indices).argmax()
    assert y_test[:, most_frequent].mean() < 0.8
    assert y_test[np.arange(200), best].mean() > 0.9


def test_a_million_label_problem_takes_little_memory_and_time():
    X, y = make_xmc(2000, 670_091, random_state=0)
    assert y.shape == (2000, 670_091)
    assert y.nnz / 2000 == pytest.approx(5, rel=0.05)
    assert len(set(X)) == 2000


@pytest.mark.parametrize(
    "sizes",
    [
        {"n_documents": 1, "n_labels": 1, "n_labels_per_document": 1, "n_words": 1},
        {"n_documents": 5, "n_labels": 5, "n_labels_per_document": 5},
        {"n_documents": 3, "n_words_per_document": 1},
        {"n_documents": 3, "n_words": 5000},
    ],
)
def test_make_xmc_works_at_the_edges_of_its_arguments(sizes):
    X, y = make_xmc(**sizes, random_state=0)
    assert len(X) == y.shape[0] == sizes["n_documents"]
    assert np.diff(y.indptr).min() >= 1


def test_words_are_all_different():
    for n_words in (1, 70, 4900, 4901):
        words = synthetic._make_words(n_words, np.random.default_rng(0))
        assert len(set(words)) == n_words
        assert all(word.isalpha() and len(word) >= 4 for word in words)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("n_documents", 0), ("n_labels", 0), ("n_labels_per_document", 0.5),
        ("n_words_per_document", 0), ("n_words", 0), ("n_labels_per_document", 101),
    ],
)  # fmt: skip
def test_sizes_out_of_range_are_named(argument, value):
    with pytest.raises(ValueError, match=argument):
        make_xmc(**{argument: value})


# --- promises of both --------------------------------------------------------------------------


@pytest.mark.parametrize("maker", ["make_xmc", "load_pydocs"])
def test_no_random_state_is_changed(maker, package):
    package("fakelib", {"a.py": functions("x", "a", 30)})

    def make(state):
        if maker == "make_xmc":
            return make_xmc(20, random_state=state)[0]
        return load_pydocs(["fakelib"], random_state=state).X_train

    own, generator = np.random.RandomState(3), np.random.default_rng(3)

    def states():
        numpy_global = np.random.get_state()  # noqa: NPY002
        bits = generator.bit_generator.state
        return repr((random.getstate(), numpy_global, own.get_state(), bits))

    before = states()
    first = make(own)
    assert make(own) == first
    assert make(generator) == make(generator)
    assert make(None) != make(None)
    assert make(0) == make(0)
    assert states() == before
    own.random_sample()
    assert make(own) != first


@pytest.mark.slow
def test_another_process_gets_the_same_data_and_needs_no_torch():
    code = """
import json, sys
from lightxml.datasets import label_sets, load_pydocs, make_xmc
assert not {"torch", "transformers"} & set(sys.modules)
data = load_pydocs(["joblib"])
X, y = make_xmc(10, random_state=0)
print(json.dumps([data.X_train, label_sets(data.y_train, data.labels), X, y.indices.tolist()]))
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    data = load_pydocs(["joblib"])
    X, y = make_xmc(10, random_state=0)
    here = [data.X_train, label_sets(data.y_train, data.labels), X, y.indices.tolist()]
    assert json.loads(result.stdout) == json.loads(json.dumps(here))
