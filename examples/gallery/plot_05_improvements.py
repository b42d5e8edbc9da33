"""
Is it better, or was it luck?
=============================

Three arguments change LightXML's network and its training: ``se_block`` weighs
the layers of the encoder against each other, ``loss_correction`` gives the
gradients of labels and label clusters the same length, and
``n_random_negatives`` adds labels that a document should not have. This
example compares them as every change should be compared: with several seeds,
and beside the differences that chance makes.
"""

# %%
# The same for all: some docstrings of Python's standard library, labels in
# clusters, and a very small transformer, which is trained from nothing beside
# the features of a vectorizer. The network alone ranks: no other ranker makes
# up for what it lacks.
from sklearn.feature_extraction.text import TfidfVectorizer
from transformers import BertConfig

from lightxml import LightXMLClassifier
from lightxml.datasets import load_pydocs

data = load_pydocs(["stdlib"])
X_train, y_train = data.X_train[:1000], data.y_train[:1000]

model = LightXMLClassifier(
    BertConfig(
        vocab_size=2000,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    ),
    features=TfidfVectorizer(sublinear_tf=True, min_df=2),
    rankers=("network",),
    feature_dim=128,
    label_clusters=True,
    max_cluster_size=50,
    n_candidate_clusters=4,
    max_length=16,
    max_epochs=6,
    batch_size=50,
    learning_rate=1e-3,
    head_learning_rate=1e-2,
)

# %%
# Each setting is fitted with the same three seeds. A seed gives all settings
# the same beginning and the same order of documents, so that results can be
# compared in pairs: how often one model's first label is true on the very
# documents where the other's is not.
import numpy as np
from sklearn.base import clone

settings = {
    "none": {},
    "se_block": {"se_block": True},
    "loss_correction": {"loss_correction": True},
    "n_random_negatives": {"n_random_negatives": 50},
}
y_test = data.y_test.toarray()
rows = np.arange(len(y_test))
hits = np.empty((len(settings), 3, len(rows)))  # is the first label true?
for setting, arguments in enumerate(settings.values()):
    for seed in range(3):
        fitted = clone(model).set_params(random_state=seed, **arguments)
        fitted.fit(X_train, y_train)
        topk = fitted.predict_topk(data.X_test, k=1)
        hits[setting, seed] = y_test[rows, topk[:, 0]]

for name, hit in zip(settings, hits, strict=True):
    print(f"{name:<20} P@1 {hit.mean():.3f}")

# %%
# The gain of each seed over the same seed without improvements, their mean,
# and twice the standard error of that mean over the test documents.
import matplotlib.pyplot as plt

# In percentage points, of shape (setting, seed, document).
gains = 100 * (hits - hits[0])[1:]
by_document = gains.mean(axis=1)
error = 2 * by_document.std(axis=1, ddof=1) / np.sqrt(len(rows))

figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.axvline(0, color="gray", linestyle=":")
places = np.arange(len(gains))
mean = by_document.mean(axis=1)
ax.errorbar(mean, places, xerr=error, fmt="D", capsize=5, label="mean")
for seed, marker in enumerate("os^"):
    gain = gains[:, seed].mean(axis=1)
    ax.plot(gain, places - 0.25, marker, alpha=0.6, label=f"seed {seed}")
ax.set_yticks(places, list(settings)[1:])
ax.set(xlabel="Gain in P@1, percentage points", ylim=(len(gains) - 0.5, -0.5))
_ = ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))

# %%
# Where the bar reaches zero, these documents do not tell the setting from
# luck. Do not trust one that misses zero too far either: with other numbers
# of documents and epochs than here, the sign of such a gain changed. So
# compare on your own data, with several seeds and with documents that are
# used for nothing else. How the three work, and what they do on large data,
# is told in :doc:`/method`.
