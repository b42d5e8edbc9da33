"""Vectorizers on disk: the same features come back, and nothing that could run code."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer

from lightxml import LightXMLClassifier, load
from lightxml.exceptions import BundleError
from lightxml.storage.vectorizers import check_vectorizer, pack_vectorizer, unpack_vectorizer

Make = Callable[..., LightXMLClassifier]

Documents = tuple[list[str], sp.csr_array]
TEXTS = ["The cat sat on the mat", "a dog and a cat", "Größe, naïve ☃ cafés", "", "mat mat dog"]

VECTORIZERS: dict[str, Any] = {
    "tfidf": TfidfVectorizer(),
    "tfidf with every argument": TfidfVectorizer(
        encoding="latin-1", decode_error="replace", strip_accents="unicode", lowercase=False,
        token_pattern=r"\w+", ngram_range=(1, 2), max_df=0.9, min_df=1, max_features=9,
        binary=True, dtype=np.float32, norm="l1", smooth_idf=False, sublinear_tf=True,
        stop_words=["the", "a"],
    ),
    "no idf": TfidfVectorizer(use_idf=False, sublinear_tf=True),
    "English stop words": TfidfVectorizer(stop_words="english"),
    "characters": TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3)),
    "own vocabulary": TfidfVectorizer(vocabulary=["dog", "mat", "cat"]),
    "counts": CountVectorizer(ngram_range=(1, 2)),
    "hashes": HashingVectorizer(n_features=2**10, alternate_sign=False),
    "union": make_union(TfidfVectorizer(), TfidfVectorizer(analyzer="char")),
    "reduced": make_pipeline(TfidfVectorizer(), TruncatedSVD(2, random_state=0)),
}  # fmt: skip


def dense(matrix: Any) -> np.ndarray:
    return matrix.toarray() if sp.issparse(matrix) else matrix


@pytest.mark.parametrize("vectorizer", VECTORIZERS.values(), ids=list(VECTORIZERS))
def test_it_comes_back_with_the_same_features_and_arguments(vectorizer: Any) -> None:
    vectorizer.fit(TEXTS)
    manifest, blobs = pack_vectorizer(vectorizer)
    found = unpack_vectorizer(manifest, blobs)
    new = ["a cat, a Dog", "unknown words", "Größe cafés"]
    np.testing.assert_array_equal(dense(found.transform(new)), dense(vectorizer.transform(new)))
    assert type(found) is type(vectorizer)
    for name, value in vectorizer.get_params(deep=False).items():
        if name not in ("steps", "transformer_list"):
            assert getattr(found, name) == value, name


@pytest.mark.parametrize("name", [n for n in VECTORIZERS if n not in ("union", "reduced")])
def test_the_common_ones_are_plain_data_that_repeats(name: str) -> None:
    vectorizer = VECTORIZERS[name].fit(TEXTS)
    manifest, blobs = pack_vectorizer(vectorizer)
    assert set(blobs) <= {"vectorizer.safetensors"}
    again = pack_vectorizer(unpack_vectorizer(manifest, blobs))
    assert again == (manifest, blobs)


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=20, unique=True))
@settings(max_examples=50)
def test_any_vocabulary_survives(terms: list[str]) -> None:
    vectorizer = CountVectorizer(vocabulary=terms, lowercase=False).fit(["x"])
    found = unpack_vectorizer(*pack_vectorizer(vectorizer))
    assert found.vocabulary_ == vectorizer.vocabulary_


def shout(text: str) -> str:
    return text.upper()


@pytest.mark.parametrize(
    "vectorizer",
    [
        TfidfVectorizer(preprocessor=shout),
        CountVectorizer(tokenizer=str.split, token_pattern=None),
        make_pipeline(FunctionTransformer(shout), TfidfVectorizer()),
        TfidfVectorizer(input="filename"),
    ],
    ids=["preprocessor", "tokenizer", "in a pipeline", "file names"],
)
def test_what_only_code_can_bring_back_is_not_saved(vectorizer: Any) -> None:
    with pytest.raises(TypeError, match=r"features.* pickle the estimator instead"):
        pack_vectorizer(vectorizer)


@pytest.mark.parametrize(
    ("vectorizer", "message"),
    [
        (TfidfVectorizer(ngram_range=(1, 10**30)), r"ngram_range=\(1, 10+\); expected two ints"),
        (CountVectorizer(max_df=10**30), "max_df=10+; expected an int that int64 can hold"),
    ],
    ids=["ngram_range", "max_df"],
)
def test_an_int_that_no_load_would_read_is_said_before_a_fit(vectorizer: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"features has {message}"):
        check_vectorizer(vectorizer)


def test_a_function_in_the_vectorizer_is_no_obstacle_to_pickling(
    make_classifier: Make, documents: Documents, tmp_path: Path
) -> None:
    X, y = documents
    model = make_classifier(features=TfidfVectorizer(preprocessor=shout), max_epochs=1)
    with pytest.warns(UserWarning, match=r"cannot be saved\. features has preprocessor"):
        model.fit(X, y)
    with pytest.raises(TypeError, match=r"features has preprocessor=.* pickle the estimator"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.decision_function(X), model.decision_function(X))


@pytest.mark.parametrize(
    "vectorizer",
    [
        TfidfVectorizer(tokenizer=lambda text: text.split(), token_pattern=None),
        make_union(TfidfVectorizer(analyzer=lambda text: text.split())),
    ],
    ids=["alone", "in a union"],
)
def test_what_can_be_neither_saved_nor_pickled_is_said_before_the_fit(
    make_classifier: Callable[..., LightXMLClassifier], vectorizer: Any
) -> None:
    model = make_classifier(features=vectorizer)
    with (
        pytest.warns(UserWarning, match=r"(?s)cannot be saved.*nor pickled\. Use a function"),
        pytest.raises(ValueError, match=r"^y has 2 rows"),
    ):
        model.fit(["a"], [["a"], ["b"]])


@pytest.mark.parametrize("name", ["tfidf", "counts", "hashes", "union"])
def test_a_model_is_saved_with_its_vectorizer(
    make_classifier: Make, documents: Documents, tmp_path: Path, name: str
) -> None:
    X, y = documents
    model = make_classifier(features=VECTORIZERS[name], max_epochs=1).fit(X, y)
    model.save(tmp_path / "model")
    loaded = load(tmp_path / "model", "cpu")
    assert np.array_equal(loaded.decision_function(X), model.decision_function(X))
    assert repr(loaded.features) == repr(model.features)
    again = loaded.fit(X, y)
    assert np.array_equal(again.decision_function(X), model.decision_function(X))


# --- from strangers -----------------------------------------------------------------------------


def tfidf() -> tuple[dict[str, Any], dict[str, bytes]]:
    return pack_vectorizer(TfidfVectorizer().fit(TEXTS))


@pytest.mark.parametrize(
    "change",
    [
        {"params": {"input": "filename"}},
        {"params": {"input": "file"}},
        {"params": {"dtype": "object"}},
        {"params": {"analyzer": 3}},
        {"params": {"analyzer": "no such"}},
        {"params": {"unknown": 1}},
        {"params": {"ngram_range": [3, 1]}},
        {"kind": "SelectKBest"},
        {"kind": 3},
        {"sizes": {"terms": 10**12, "lengths": 6, "idf": 6}},
        {"sizes": {}},
    ],
    ids=str,
)
def test_a_description_that_is_none_is_refused(change: dict[str, Any]) -> None:
    manifest, blobs = tfidf()
    for key, value in change.items():
        manifest[key] = {**manifest[key], **value} if key == "params" else value
    with pytest.raises((ValueError, TypeError, KeyError)):  # `load` makes them a BundleError
        unpack_vectorizer(manifest, blobs)


def test_a_vocabulary_that_does_not_add_up_is_refused() -> None:
    manifest, _ = tfidf()
    with pytest.raises(ValueError, match="missing"):
        unpack_vectorizer(manifest, {})
    other = pack_vectorizer(TfidfVectorizer().fit(["of other lengths and more"]))
    with pytest.raises(BundleError, match=r"vectorizer\.safetensors"):
        unpack_vectorizer(manifest, other[1])


class Exploit:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('code of the file was run')",)


def skops_blob(changed: Callable[[bytes], bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A saved union of vectorizers with its schema changed."""
    _, blobs = pack_vectorizer(VECTORIZERS["union"].fit(TEXTS))
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(blobs["vectorizer.skops"])) as old,
        zipfile.ZipFile(out, "w", compression) as new,
    ):
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, changed(data) if name == "schema.json" else data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (pickle.dumps(Exploit()), "is damaged"),
        (b"", "is damaged"),
        (b"PK\x03\x04", "is damaged"),
        (skops_blob(lambda s: s.replace(b"FeatureUnion", b"NoSuchThing")), "damaged|asks for"),
        (skops_blob(lambda s: s.replace(b"sklearn.pipeline", b"os")), "is damaged|asks for"),
        (skops_blob(lambda s: b"[" * 100_000), "is damaged"),
        (skops_blob(lambda s: s[:100]), "is damaged"),
        (skops_blob(lambda s: b" " * 10**7 + s, zipfile.ZIP_DEFLATED), "is compressed"),
        (skops_blob(lambda s: s.replace(b'\\"content\\"', b'\\"filename\\"')), "reads 'filename'"),
    ],
    ids=["pickle", "empty", "cut", "unknown type", "type of another module", "nested", "cut schema",
         "compressed", "reads files"],
)  # fmt: skip
def test_a_hostile_skops_file_runs_nothing(blob: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=rf"vectorizer\.skops: .*({message})"):
        unpack_vectorizer({"kind": "skops"}, {"vectorizer.skops": blob})
