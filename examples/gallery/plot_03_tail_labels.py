"""
Rare labels and propensities
============================

In every large set of labels, few are frequent and most are rare. A model may
look good by the frequent ones alone. This example shows how to see what it
does for the others.
"""

# %%
# The docstrings of numpy and scipy. Most labels have a handful of documents to
# learn from; one, "scipy", has most of the documents.
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier
from lightxml.datasets import load_pydocs

data = load_pydocs(["numpy", "scipy"])
counts = data.y_train.sum(axis=0)  # training documents of each label
print(f"{len(counts):,} labels")
print(f"{(counts <= 5).sum():,} of them with at most 5 documents")
most = counts.argmax()
share = counts[most] / len(data.X_train)
print(f"{data.labels[most]!r}: {share:.0%} of the documents")

# %%
# Three rankings: the most frequent labels for every document, which is the
# simplest rival of every model; a model; and the same with
# ``propensity_weight``, which prefers rare labels.
import numpy as np

model = LightXMLClassifier(
    None, features=TfidfVectorizer(sublinear_tf=True, min_df=2), random_state=0
)
rankings = {
    "most frequent": np.tile(np.argsort(-counts)[:5], (len(data.X_test), 1))
}
for weight in (0, 2):
    model.set_params(propensity_weight=weight).fit(data.X_train, data.y_train)
    rankings[f"propensity_weight={weight}"] = model.predict_topk(
        data.X_test, k=5
    )

# %%
# Annotators forget rare labels more often than frequent ones. The propensity
# of a label is the probability that it was given where it fits, estimated from
# how often it was given in training (Jain et al., KDD 2016). Propensity-scored
# precision, PSP, divides each hit by it, so that a rare label weighs more.
from lightxml.metrics import precision_at_k, propensities, psp_at_k

p = propensities(data.y_train)
print(f"{'':<20} P@1    P@5    PSP@1  PSP@5")
for name, topk in rankings.items():
    figures = [precision_at_k(data.y_test, topk, k) for k in (1, 5)]
    figures += [psp_at_k(data.y_test, topk, k, propensities=p) for k in (1, 5)]
    print(f"{name:<20} " + "  ".join(f"{figure:.3f}" for figure in figures))

# %%
# By P@1, the list that has read no text is right more often than not, which
# says much about the data and nothing for the list. PSP is not so easily
# pleased. The weight gives up some P@1 for PSP.
#
# Where are the hits? Of all uses of labels in the test documents, grouped by
# how many training documents the label has, the part that is among the first
# five labels of the ranking:
from lightxml.plot import LabelFrequencyDisplay

ax = None
for name, topk in rankings.items():
    display = LabelFrequencyDisplay.from_predictions(
        data.y_test, topk, data.y_train, name=name, ax=ax
    )
    ax = display.ax_
