"""A model of words alone is fitted, kept, asked and explained without torch and transformers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Refuses each of them, as if it were not installed. None in `sys.modules` would do, but scipy
# takes that for a module.
BEGIN = """
import importlib.metadata
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "transformers", "tokenizers"):
            raise ImportError(f"{name} was asked for")

sys.meta_path.insert(0, Refuse())
installed = importlib.metadata.version

def version(name):
    if name in ("torch", "transformers", "tokenizers"):
        raise importlib.metadata.PackageNotFoundError(name)
    return installed(name)

importlib.metadata.version = version
"""

WHOLE_LIFE = """
import copy, pickle
import numpy as np
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from lightxml import LightXMLClassifier, LightXMLEnsemble, load
from lightxml.inspection import explain
from lightxml.metrics import make_topk_scorer, precision_at_k

names = ["cat", "dog", "fish"]
X = [f"{names[i % 3]} {names[i % 2]} number{i}" for i in range(60)]
y = [{names[i % 3], names[i % 2]} for i in range(60)]
words = LightXMLClassifier(
    None, features=TfidfVectorizer(), random_state=0, propensity_weight=1, n_jobs=2
)
assert clone(words).get_params()["encoder"] is None
words.fit(X, y, label_texts={name: name for name in names}, X_val=X[:9], y_val=y[:9])
assert [r.name for r in words.rankers_] == ["linear", "neighbors", "label_texts"]
assert words.network_ is words.tokenizer_ is words.label_clusters_ is None

words.save("model")
loaded = load("model")
assert load("model", device="cuda").device == "cuda"  # which nothing here would compute on
copies = [loaded, copy.deepcopy(words), pickle.loads(pickle.dumps(words))]
for one in copies:
    assert np.array_equal(one.decision_function(X), words.decision_function(X))
    assert one.predict_topk(X, 1).tolist() == words.predict_topk(X, 1).tolist()
    assert one.predict(X) == words.predict(X)
assert make_topk_scorer(precision_at_k, k=1)(loaded, X, y) > 0.9
assert explain(loaded, X[0], "cat").words

numbers = words.vectorizer_.transform(X)
plain = LightXMLClassifier(None, rankers=("linear",), final_ranker=None).fit(numbers, y)
assert plain.predict_proba(numbers).shape == (60, 3)
two = LightXMLEnsemble(words.set_params(final_ranker=None), n_estimators=2).fit(X, y)
two.save("two")
assert np.array_equal(load("two").predict_proba(X), two.predict_proba(X))

try:
    LightXMLClassifier("tiny").fit(X, y)
except ImportError as error:
    assert str(error) == "torch was asked for"
else:
    raise AssertionError("a network was trained without torch")
"""

COMMANDS = """
from lightxml.cli import main
for arguments in (
    ["train", "table.csv", "--text-column", "text", "--label-column", "labels", "--encoder",
     "none", "--tfidf", "words", "--output", "model", "--quiet"],
    ["predict", "model", "texts.txt"],
    ["evaluate", "model", "table.csv", "--text-column", "text", "--label-column", "labels"],
    ["explain", "model", "some words"],
    ["info", "model"],
):
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as end:
        assert not end.code, arguments
"""


@pytest.mark.slow
@pytest.mark.parametrize("code", [WHOLE_LIFE, COMMANDS], ids=["whole life", "commands"])
def test_words_need_no_torch(code: str, tmp_path: Path) -> None:
    rows = [f"some words of {name},{name}\n" for name in "abc" * 20]
    (tmp_path / "table.csv").write_text("text,labels\n" + "".join(rows))
    (tmp_path / "texts.txt").write_text("words of a\nwords of b\n")
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
