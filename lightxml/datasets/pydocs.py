"""A data set that every machine has: the docstrings of the installed Python packages."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import os
import platform
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.machinery import PathFinder
from numbers import Real
from pathlib import Path

from sklearn.utils import Bunch, check_scalar

from lightxml.data.random import RandomState, own_generator
from lightxml.datasets.docstrings import in_words, labelled_docstrings, prose
from lightxml.datasets.parts import make_bunch, make_part

DEFAULT_PACKAGES = ("numpy", "scipy", "sklearn", "joblib", "stdlib")
STANDARD_LIBRARY = ("stdlib", "python")
SKIPPED_FOLDERS = {"test", "tests", "idlelib", "lib2to3", "turtledemo"}
MIN_WORDS = 3
MIN_DOCUMENTS = 3


def load_pydocs(
    packages: Sequence[str] | None = None,
    *,
    test_size: float = 0.2,
    random_state: RandomState = 0,
) -> Bunch:
    """Read the docstrings of installed packages: a real data set that needs no download.

    A document is the docstring of a module, a class, a function or a method, up to its first
    section ("Parameters", "Args:", ":param"), list of fields or example, with its white space
    made single blanks. Its labels are the parts of the module's path, the names of the
    classes it stands in, and the names of the parameters (for a class those of its
    ``__init__``) other than self, cls, ``*args`` and ``**kwargs``; underscores at both ends of
    a name are left out.

    Source files are parsed, never imported or run. Folders of tests, functions inside
    functions and files that this Python cannot parse are left out. Documents of fewer than 3
    words are left out. Documents with the same text become one, with the labels of all of
    them, so that no text is on both sides of the split. Labels of fewer than 3 documents
    (train and test together, before the split) and then documents without a label are left
    out. The result depends on the installed versions, which ``DESCR`` names. A package's own
    name is a label of all its documents: given alone, that label is in every document.

    Parameters
    ----------
    packages : sequence of str or None, default=None
        Top-level names as one imports them; "stdlib" or "python" is the standard library.
        None: numpy, scipy, sklearn, joblib and the standard library.
    test_size : float, default=0.2
        The fraction of the documents, above 0 and below 1, that the test part gets.
    random_state : int, RandomState, Generator or None, default=0
        Seed of the split, which also gives the order of the documents. An instance is not
        advanced.

    Returns
    -------
    bunch : Bunch
        With the keys that `load_xmc` describes; there is no validation part, and the names of
        labels are their words: that of ``n_components`` is "n components".

    Raises
    ------
    ModuleNotFoundError
        A package is not installed.
    ValueError
        A package has no Python source, or the packages have too few docstrings.
    """
    check_scalar(test_size, "test_size", Real, min_val=0, max_val=1, include_boundaries="neither")
    if packages is None:
        packages = DEFAULT_PACKAGES
    elif isinstance(packages, str):
        packages = [packages]
    names = list(dict.fromkeys("stdlib" if p in STANDARD_LIBRARY else p for p in packages))
    documents: dict[str, set[str]] = {}
    for name in names:
        for text, labels in _read_package(name):
            documents.setdefault(text, set()).update(labels)

    n_uses = Counter(label for labels in documents.values() for label in labels)
    kept = [
        (text, [label for label in labels if n_uses[label] >= MIN_DOCUMENTS])
        for text, labels in documents.items()
    ]
    kept = [(text, labels) for text, labels in kept if labels]
    if len(kept) < MIN_DOCUMENTS:
        raise ValueError(
            f"packages={names!r} hold {len(documents):,} docstrings of at least {MIN_WORDS} words,"
            f" but no label that {MIN_DOCUMENTS} of them share. Name larger packages."
        )
    order = own_generator(random_state).permutation(len(kept)).tolist()
    n_test = min(max(round(test_size * len(kept)), 1), len(kept) - 1)
    train, test = (
        make_part([kept[i][0] for i in rows], (kept[i][1] for i in rows))
        for rows in (order[n_test:], order[:n_test])
    )
    description = (
        f"Docstrings of {', '.join(_versions(names))}; labels of fewer than"
        f" {MIN_DOCUMENTS} documents (train and test together) are left out."
    )
    words = {label: in_words(label) for label in n_uses}
    return make_bunch(train, test, None, names=words, description=description)


def _read_package(name: str) -> Iterator[tuple[str, set[str]]]:
    """Yield the text and the labels of each docstring that is long enough."""
    n_files = 0
    for path, module in _source_files(name):
        n_files += 1
        try:
            with warnings.catch_warnings():
                # Invalid escapes in other people's strings.
                warnings.simplefilter("ignore")
                tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, RecursionError):
            continue
        for docstring, labels in labelled_docstrings(tree, module):
            text = prose(docstring)
            if len(text.split(" ")) >= MIN_WORDS:
                yield text, labels
    if n_files == 0:
        raise ValueError(f"package {name!r} has no Python source to read. Leave it out.")


def _source_files(name: str) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yield each source file of a package, in a fixed order, with the parts of its module."""
    if name == "stdlib":
        yield from _walk(Path(sysconfig.get_path("stdlib")), ())
        return
    spec = None
    if name.isidentifier():  # find_spec imports the parents of a dotted name
        # The path first: a module that is built in or frozen may have a source file as well.
        spec = PathFinder.find_spec(name) or importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(
            f"package {name!r} is not installed. Install it (python -m pip install"
            " DISTRIBUTION), or give the top-level name under which it is imported.",
            name=name,
        )
    if spec.submodule_search_locations is not None:
        for folder in spec.submodule_search_locations:
            yield from _walk(Path(folder), (name,))
    elif spec.origin is not None and spec.origin.endswith(".py"):
        yield Path(spec.origin), (name,)


def _walk(folder: Path, module: tuple[str, ...]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    for root, folders, files in os.walk(folder):
        # Only what can be imported by name: no site-packages, lib-dynload or hidden folders.
        folders[:] = sorted(f for f in folders if f.isidentifier() and f not in SKIPPED_FOLDERS)
        inner = module + Path(root).relative_to(folder).parts
        for file in sorted(files):
            stem, extension = os.path.splitext(file)
            if extension == ".py" and stem.isidentifier() and not _is_test(stem):
                yield Path(root, file), (*inner, stem)


def _is_test(stem: str) -> bool:
    return stem == "conftest" or stem.startswith("test_")


def _versions(names: list[str]) -> Iterator[str]:
    distributions = importlib.metadata.packages_distributions()
    for name in names:
        if name == "stdlib":
            yield f"Python {platform.python_version()}"
        elif name in distributions:
            yield f"{name} {importlib.metadata.version(distributions[name][0])}"
        else:
            yield name
