"""
A data frame with several text columns
======================================

Titles and bodies, names and descriptions: tables often have several columns of
text. scikit-learn's ``ColumnTransformer`` gives each column the vectorizers
that suit it, and ``LightXMLClassifier`` learns from all of them together.
"""

# %%
# The docstrings of Python's standard library as a table: the first sentence,
# and the rest, which may be empty.
import pandas as pd

from lightxml.datasets import load_pydocs

data = load_pydocs(["stdlib"])


def as_frame(texts: list[str]) -> pd.DataFrame:
    """Cut each docstring after its first sentence."""
    frame = pd.Series(texts).str.partition(". ")[[0, 2]]
    return frame.set_axis(["summary", "details"], axis="columns")


X_train, X_test = as_frame(data.X_train), as_frame(data.X_test)
X_train.head()

# %%
# Words of both columns, each with weights of its own; and for the short
# summaries groups of letters too, which find that "decoder" and "decoding"
# have something in common.
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from lightxml import LightXMLClassifier

words = TfidfVectorizer(sublinear_tf=True, min_df=2)
letters = TfidfVectorizer(
    analyzer="char_wb", ngram_range=(3, 3), sublinear_tf=True, min_df=5
)
columns = make_column_transformer(
    (words, "summary"),
    (words, "details"),
    (letters, "summary"),
)
pipe = make_pipeline(columns, LightXMLClassifier(random_state=0))
pipe.fit(X_train, data.y_train)

# %%
# New rows come as a data frame as well. A pipeline has no ``predict_topk`` of
# its own: send the rows through all steps but the last, then ask the last.
new = pd.DataFrame(
    {
        "summary": ["Return the absolute path of a file"],
        "details": ["Symbolic links are followed."],
    }
)
labels = pipe[-1].predict_topk(pipe[:-1].transform(new), k=5)
print(*data.labels[labels[0]], sep=", ")

# %%
# The simplest table is one of a single column: all text joined. An encoder
# wants it so, and for words alone it may well be the better choice, since a
# word counts the same wherever it stands.
from lightxml.plot import TopKDisplay

joined = make_pipeline(words, LightXMLClassifier(random_state=0))
joined.fit(X_train["summary"] + ". " + X_train["details"], data.y_train)

display = TopKDisplay.from_estimator(
    pipe, X_test, data.y_test, name="columns, letters of the summary"
)
_ = TopKDisplay.from_estimator(
    joined,
    X_test["summary"] + ". " + X_test["details"],
    data.y_test,
    name="all joined, words only",
    ax=display.ax_,
)
