"""
Finding most of the labels
==========================

Where somebody checks what is proposed, a label that was not proposed is lost,
and one too many costs a glance. Then a threshold should keep a promise: of the
true labels, at least so many are among those given. Conformal risk control
[1]_ finds such a threshold; here `MAPIE <https://mapie.readthedocs.io>`_ does
it.

.. [1] Angelopoulos, Bates, Fisch, Lei, Schuster, "Conformal Risk Control",
   ICLR 2024.
"""

# %%
# The promise holds for documents like those that the threshold was found with,
# so these are documents that the model has not learned from.
import numpy as np
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
# At least 70 % or 80 % of a document's labels, on average: the mean is over
# documents, and each needs one label. A label that no ranker proposes has a
# probability of 0, so nobody can promise all of them.
from mapie.risk_control import MultiLabelClassificationController

targets = [0.7, 0.8]
has_label = np.flatnonzero(y_val.sum(axis=1))
controller = MultiLabelClassificationController(
    model.predict_proba,
    risk="recall",
    target_level=targets,
    predict_params=np.geomspace(1e-4, 1, 200),
)
controller.calibrate([X_val[i] for i in has_label], y_val[has_label].toarray())
thresholds = controller.best_predict_param

# %%
# Is the promise kept on test documents, and what does it cost? First, the
# threshold of the best micro-F1 for comparison.
has_label = np.flatnonzero(data.y_test.sum(axis=1))
X_test = [data.X_test[i] for i in has_label]
y_test = data.y_test[has_label].toarray()
print("threshold  promised  recall  labels given  right")
for promised, threshold in [
    (None, model.threshold_),
    *zip(targets, thresholds, strict=True),
]:
    given = model.predict(X_test, threshold=float(threshold)).toarray() > 0
    recall = (given * y_test).sum(axis=1) / y_test.sum(axis=1)
    right = (given * y_test).sum() / given.sum()
    said = "-" if promised is None else f"{promised:.0%}"
    print(
        f"{threshold:9.4f}  {said:>8}  {recall.mean():6.1%}"
        f"  {given.sum(axis=1).mean():12.2f}  {right:5.1%}"
    )
