"""
Grid search
===========

The arguments of a ``LightXMLClassifier`` and those of the vectorizer in it are
searched as those of every estimator, by a metric of the ranking.
"""

# %%
# Cross-validation fits many times, so take some of the documents and, in the
# place of a final ranker that learns whom to believe, the plain mean of all
# rankers.
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier
from lightxml.datasets import load_pydocs

data = load_pydocs(["stdlib"])
X_train, y_train = data.X_train[:1000], data.y_train[:1000]

words = TfidfVectorizer(sublinear_tf=True)
model = LightXMLClassifier(
    None,
    features=words,
    final_ranker=None,
    random_state=0,
)

# %%
# Two questions: What should the features be made of? And who should rank: the
# most similar training documents, a linear classifier for each label, or both
# (``rankers``)? A name with two underscores, such as
# ``features__ngram_range``, would reach into the vectorizer; here whole
# vectorizers stand to choose from. :func:`make_topk_scorer
# <lightxml.metrics.make_topk_scorer>` makes a scorer of a metric.
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_union

from lightxml.metrics import make_topk_scorer, precision_at_k

letters = TfidfVectorizer(
    analyzer="char_wb", ngram_range=(3, 3), sublinear_tf=True
)
features = {
    "words": words,
    "letters": letters,
    "both": make_union(words, letters),
}
rankers = [("neighbors",), ("linear",), ("linear", "neighbors")]
search = GridSearchCV(
    model,
    {"features": list(features.values()), "rankers": rankers},
    scoring=make_topk_scorer(precision_at_k, k=3),
    cv=3,
)
search.fit(X_train, y_train)

# %%
# The mean P@3 of the three folds, and its spread. Parameters are tried with
# the first name outermost.
import matplotlib.pyplot as plt
import numpy as np

means = search.cv_results_["mean_test_score"].reshape(
    len(features), len(rankers)
)
spreads = search.cv_results_["std_test_score"].reshape(means.shape)

figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for number, names in enumerate(rankers):
    ax.errorbar(
        np.arange(len(features)) + 0.1 * number,
        means[:, number],
        spreads[:, number],
        fmt="os^"[number],
        capsize=4,
        label=" and ".join(names),
    )
ax.set_xticks(np.arange(len(features)) + 0.1, list(features))
ax.set(ylabel="P@3", xlim=(-0.3, len(features) - 0.6))
_ = ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))

# %%
# The best setting was fitted again to all the documents. How does it do on the
# test part, which the search has not seen? Beside it, words with all rankers
# and a final one that has learnt whom to believe.
from lightxml.plot import TopKDisplay

model.set_params(final_ranker="auto").fit(X_train, y_train)
display = TopKDisplay.from_estimator(
    model, data.X_test, data.y_test, name="words, with a final ranker"
)
_ = TopKDisplay.from_estimator(
    search.best_estimator_,
    data.X_test,
    data.y_test,
    name="best of the search",
    ax=display.ax_,
)
