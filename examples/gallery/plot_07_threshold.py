"""
Choosing a threshold
====================

``predict`` returns the labels whose probability reaches ``threshold_``, which
``fit`` has chosen for the best micro-F1. Another one may suit you better: a
higher one where labels are given without anybody looking, a lower one where
somebody picks from what is proposed. Choose it on documents that the model has
not seen, and judge it on others again.
"""

# %%
# Three parts, then: to learn from, to choose with, to judge by.
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split

from lightxml import LightXMLClassifier
from lightxml.datasets import load_pydocs

data = load_pydocs(["stdlib"])
X_train, X_val, y_train, y_val = train_test_split(
    data.X_train, data.y_train, test_size=0.2, random_state=0
)
model = LightXMLClassifier(
    None, features=TfidfVectorizer(sublinear_tf=True, min_df=2), random_state=0
)
model.fit(X_train, y_train)

# %%
# Every probability of every validation document, against every truth: each
# threshold has a precision (how many of the labels given are true) and a
# recall (how many of the true labels are given).
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import precision_recall_curve

precision, recall, thresholds = precision_recall_curve(
    y_val.toarray().ravel(), model.predict_proba(X_val).ravel()
)
# The last point has no threshold.
precision, recall = precision[:-1], recall[:-1]
f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)

# %%
# Two choices: the best balance of both, as ``fit`` has found it on documents
# that it held out, and the lowest threshold at which nine labels of ten are
# true. The scale of the picture is stretched at both ends, where most scores
# lie.
balanced = model.threshold_
strict = thresholds[np.argmax(precision >= 0.9)]

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.plot(thresholds, precision, "--", label="precision")
ax.plot(thresholds, recall, "-.", label="recall")
ax.plot(thresholds, f1, label="F1", linewidth=2.5)
for threshold, name in ((balanced, "threshold_"), (strict, "nine of ten")):
    ax.axvline(threshold, color="gray", linestyle=":")
    ax.text(threshold, 1.02, f"{name}\n{threshold:.2f}", ha="center")
ax.set_xscale("logit")
ticks = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999]
ax.set_xticks(ticks, ticks)
ax.set(
    xlabel="Threshold",
    ylabel="On validation documents",
    xlim=(0.001, 0.9995),
    ylim=(0, 1),
)
_ = ax.legend(loc="lower center")

# %%
# Do they keep their word on documents that neither the weights nor the
# thresholds come from?
from sklearn.metrics import precision_recall_fscore_support

y_proba = model.predict_proba(data.X_test)
print("threshold  precision  recall  micro-F1")
for threshold in (0.5, balanced, strict):
    p, r, f, _ = precision_recall_fscore_support(
        data.y_test, y_proba >= threshold, average="micro", zero_division=0
    )
    print(f"{threshold:9.2f}  {p:9.3f}  {r:6.3f}  {f:8.3f}")

# %%
# With very many labels, an array of documents x labels would not fit into
# memory; ``predict`` makes none where ``y`` was sparse.
given = model.predict(data.X_test[:3], threshold=strict)
for i, text in enumerate(data.X_test[:3]):
    print(text[:60], "->", ", ".join(data.labels[given[[i]].indices]))
