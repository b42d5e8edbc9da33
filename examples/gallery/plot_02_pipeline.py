"""
In a scikit-learn pipeline
==========================

A ``LightXMLClassifier`` also reads numbers, so it can stand at the end of any
scikit-learn pipeline. Here words and groups of letters become features, and
scikit-learn's metrics judge the result beside those of this package.
"""

# %%
# The training part of Python's own docstrings; labels stay a sparse matrix
# from end to end.
from lightxml.datasets import load_pydocs

data = load_pydocs(["stdlib"])
data.y_train

# %%
# Two vectorizers side by side. Groups of letters within words find that
# "decoder" and "decoding" have something in common.
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union

from lightxml import LightXMLClassifier

words = TfidfVectorizer(sublinear_tf=True, min_df=2)
letters = TfidfVectorizer(
    analyzer="char_wb", ngram_range=(3, 3), sublinear_tf=True, min_df=5
)

pipe = make_pipeline(
    make_union(words, letters), LightXMLClassifier(random_state=0)
)
pipe.fit(data.X_train, data.y_train)

# %%
# A pipeline has no ``predict_topk`` of its own: send the documents through all
# steps but the last, then ask the last.
features = pipe[:-1].transform(data.X_test)
labels = pipe[-1].predict_topk(features, k=5)
for row in data.labels[labels[:3]]:
    print(*row, sep=", ")

# %%
# Everything that scikit-learn's metrics want is there: ``predict`` gives a
# sparse matrix, and ``predict_proba`` an array of documents x labels.
from sklearn.metrics import f1_score, label_ranking_average_precision_score

from lightxml.metrics import ndcg_at_k, precision_at_k

y_pred = pipe.predict(data.X_test)
y_proba = pipe.predict_proba(data.X_test)
figures = {
    "micro-F1": f1_score(
        data.y_test, y_pred, average="micro", zero_division=0
    ),
    "label ranking average precision": (
        label_ranking_average_precision_score(data.y_test, y_proba)
    ),
    "P@1": precision_at_k(data.y_test, labels, k=1),
    "nDCG@5": ndcg_at_k(data.y_test, labels, k=5),
}
for name, figure in figures.items():
    print(f"{name:<32} {figure:.3f}")

# %%
# Did the letters help? The same pipeline from words alone, beside it.
from lightxml.plot import TopKDisplay

words_only = make_pipeline(words, LightXMLClassifier(random_state=0))
words_only.fit(data.X_train, data.y_train)

display = TopKDisplay.from_estimator(
    pipe, data.X_test, data.y_test, name="words and letters"
)
_ = TopKDisplay.from_estimator(
    words_only, data.X_test, data.y_test, name="words", ax=display.ax_
)
