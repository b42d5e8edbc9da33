"""Documents of several fields, and their features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer

from lightxml import LightXMLClassifier, load
from lightxml.exceptions import BundleError
from lightxml.fields import FieldsVectorizer, join_fields
from lightxml.storage.vectorizers import pack_vectorizer, unpack_vectorizer

TITLES = ["red apple", "green car", "", "old house"]
BODIES = ["sweet and red", "fast", "a red one", ""]


def test_each_field_has_columns_of_its_own_as_by_itself():
    texts = join_fields(TITLES, BODIES)
    found = FieldsVectorizer(TfidfVectorizer()).fit(texts)
    expected = [TfidfVectorizer().fit(column) for column in (TITLES, BODIES)]
    new = (["red red house", "?"], ["a sweet car", "fast red"])
    whole = sp.hstack([v.transform(column) for v, column in zip(expected, new, strict=True)])
    np.testing.assert_array_equal(found.transform(join_fields(*new)).toarray(), whole.toarray())
    names = found.get_feature_names_out().tolist()
    assert [name for name in names if name.endswith("red")] == ["1: red", "2: red"]


def test_documents_may_have_fewer_fields_or_more_than_at_the_fit():
    vectorizer = FieldsVectorizer(CountVectorizer()).fit(join_fields(["a1 b1"], ["a2 b2"]))
    rows = vectorizer.transform(["a1 a2", *join_fields(["b1"], ["a2"], ["b2"]), ""])
    assert rows.toarray().tolist() == [[1, 0, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0]]


def test_a_field_without_a_word_has_no_columns():
    texts = join_fields(["some words", "more words"], ["?", ""])
    vectorizer = FieldsVectorizer(TfidfVectorizer()).fit(texts)
    assert vectorizer.vectorizers_[1] is None
    assert vectorizer.transform(texts).shape == (2, 3)
    with pytest.raises(ValueError, match="empty vocabulary"):
        FieldsVectorizer(TfidfVectorizer()).fit(join_fields(["?"], ["!"]))


def test_a_separator_in_a_text_counts_as_a_blank():
    assert join_fields(["a\x1fb"], ["c"]) == ["a b \x1f c"]
    with pytest.raises(ValueError, match="columns have 1, 2 texts; expected as many in each"):
        join_fields(["a"], ["b", "c"])


@pytest.mark.parametrize("kind", [TfidfVectorizer, CountVectorizer, HashingVectorizer])
def test_a_model_of_fields_is_saved_and_loaded(kind: type, tmp_path: Path):
    texts = join_fields(TITLES * 5, BODIES * 5)
    features = FieldsVectorizer(kind())
    labels = [["a"], ["b"], ["a", "c"], ["c"]] * 5
    model = LightXMLClassifier(None, features=features, random_state=0).fit(texts, labels)
    assert not hasattr(features, "vectorizers_")
    model.save(tmp_path)
    loaded = load(tmp_path)
    np.testing.assert_array_equal(loaded.predict_proba(texts), model.predict_proba(texts))
    assert isinstance(loaded.features, FieldsVectorizer)
    clone(loaded).fit(texts, labels)
    assert model.predict_topk([texts[0].replace("\x1f", "")], k=1).tolist() == [["a"]]


def test_what_cannot_be_a_vectorizer_of_fields_is_refused():
    fitted = FieldsVectorizer(TfidfVectorizer()).fit(join_fields(TITLES, BODIES))
    manifest, blobs = pack_vectorizer(fitted)
    changes: list[Any] = [[], [None], [None] * 2_000, [manifest, None], manifest["fields"] * 2]
    for fields in changes:
        with pytest.raises((ValueError, BundleError)):
            unpack_vectorizer({"kind": "FieldsVectorizer", "fields": fields}, blobs)
    with pytest.raises(TypeError, match="pickle the estimator instead"):
        pack_vectorizer(FieldsVectorizer(TfidfVectorizer(preprocessor=str.upper)).fit(TITLES))
