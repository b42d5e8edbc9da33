"""
Quick start
===========

Give a model texts and, for each, the few labels that fit, out of hundreds or
thousands. It learns to rank the labels of new texts.
"""

# %%
# Data
# ----
# Every machine with Python has labelled texts: the docstrings of its modules.
# A docstring's labels are the module, the class and the parameters of what it
# describes. :func:`load_pydocs <lightxml.datasets.load_pydocs>` reads those of
# Python's standard library and splits them into a training and a test part.
from lightxml.datasets import label_sets, load_pydocs

data = load_pydocs(["stdlib"])
print(f"{len(data.X_train):,} documents to learn from")
print(f"{len(data.X_test):,} documents to test")
print(f"{len(data.labels):,} labels")

# %%
# Texts are a list of strings. Labels may be a sparse matrix of zeros and ones,
# such as ``data.y_train``, or a list with a collection of labels for each
# text. Take the list here, and predictions come back as names.
y_train = label_sets(data.y_train, data.labels)
print(data.X_train[0][:70], "...")
print(y_train[0])

# %%
# Fit
# ---
# Without an encoder, the model learns from the features that a scikit-learn
# vectorizer makes of the texts: no download, no GPU, a few seconds. With
# ``encoder="bert-base-uncased"`` in place of None, the same call trains a
# transformer.
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier

model = LightXMLClassifier(
    encoder=None,
    features=TfidfVectorizer(sublinear_tf=True, min_df=2),
    random_state=0,
)
model.fit(data.X_train, y_train)

# %%
# Predict
# -------
# ``predict_topk`` ranks labels, best first, and gives each a probability of
# its own.
text = "Send a message to an SMTP server"
labels, scores = model.predict_topk([text], k=5, return_scores=True)
for label, score in zip(labels[0], scores[0], strict=True):
    print(f"{score:.2f}  {label}")

# %%
# ``predict`` returns those with a probability of at least one half, which may
# be none.
print(model.predict([text]))

# %%
# Measure
# -------
# Precision at k is the part of the first k labels that are true. A document
# has three on average, so it must fall for larger k.
from lightxml.metrics import precision_at_k
from lightxml.plot import TopKDisplay

y_test = label_sets(data.y_test, data.labels)
topk = model.predict_topk(data.X_test, k=3)
print(f"P@3  {precision_at_k(y_test, topk, k=3, classes=model.classes_):.3f}")

_ = TopKDisplay.from_estimator(model, data.X_test, y_test)
