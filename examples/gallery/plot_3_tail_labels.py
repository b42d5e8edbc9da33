"""
Rare labels and propensities
============================

In every large set of labels, few are frequent and most are rare. A model may look good by the
frequent ones alone. This example shows how to see what it does for the others.
"""

# %%
# The docstrings of numpy and scipy. Most labels have a handful of documents to learn from; one,
# "scipy", has most of the documents.
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier
from lightxml.datasets import load_pydocs

data = load_pydocs(["numpy", "scipy"])
counts = data.y_train.sum(axis=0)  # training documents of each label
print(f"{len(counts):,} labels, {(counts <= 5).sum():,} of them with at most 5 documents")
print(f"{data.labels[counts.argmax()]} has {counts.max() / len(data.X_train):.0%} of the documents")

# %%
# A model, and the simplest rival of every model: for each document the most frequent labels.
import numpy as np

model = LightXMLClassifier(
    None, features=TfidfVectorizer(sublinear_tf=True, min_df=2), random_state=0
)
model.fit(data.X_train, data.y_train)

rankings = {
    "most frequent": np.tile(np.argsort(-counts)[:5], (len(data.X_test), 1)),
    "model": model.predict_topk(data.X_test, k=5),
}

# %%
# Annotators forget rare labels more often than frequent ones. The propensity of a label is the
# probability that it was given where it fits, estimated from how often it was given in training
# (Jain et al., 2016). Propensity-scored precision, PSP, divides each hit by it: a rare label weighs
# more.
from lightxml.metrics import precision_at_k, propensities, psp_at_k

weights = propensities(data.y_train)
for name, topk in rankings.items():
    p = precision_at_k(data.y_test, topk, k=1)
    psp = psp_at_k(data.y_test, topk, k=1, propensities=weights)
    print(f"{name:<14} P@1 {p:.3f}   PSP@1 {psp:.3f}")

# %%
# By P@1, a list that knows no text is right more often than not, which says much about the data and
# little about the list. PSP@1 is not deceived.

# %%
# Which labels are found? Of the true labels of the test documents, grouped by how many documents
# there were to learn them from, the part that is among the first five.
