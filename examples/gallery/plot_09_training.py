"""
Watching a training
===================

A transformer takes many epochs, and nobody knows beforehand how many. With
validation documents, each epoch is measured, and ``early_stopping`` ends the
training in time.
"""

# %%
# Synthetic documents, and "tiny": a small transformer that learns its words
# and its weights from the training documents alone. The last documents are set
# aside for validation; without ``X_val``, a tenth of the training documents
# would be.
from lightxml import LightXMLClassifier
from lightxml.datasets import make_xmc

X, y = make_xmc(
    n_documents=1000,
    n_labels=30,
    n_labels_per_document=2,
    n_words_per_document=12,
    n_words=1000,
    random_state=0,
)
model = LightXMLClassifier(
    "tiny",
    max_length=20,
    max_epochs=16,
    batch_size=32,
    learning_rate=1e-3,
    head_learning_rate=5e-3,
    dropout=0.2,
    early_stopping=True,
    n_iter_no_change=3,
    random_state=0,
)
model.fit(X[:800], y[:800], X_val=X[800:], y_val=y[800:])

# %%
# The loss of each epoch, and the precision on the validation documents after
# it. These have two labels each, so P@5 cannot come near 100 %; it decides
# when to end all the same.
from lightxml.plot import TrainingDisplay

_ = TrainingDisplay.from_estimator(model)

# %%
# From the dotted line on (``swa_start``, as a part of the epochs that were to
# be), what is measured and kept is the mean of the weights since then. The
# figures behind the picture are in ``history_``, a dictionary for each epoch.
# Of its epochs, the model keeps the best one's weights.
best = max(model.history_, key=lambda epoch: epoch["precision_at_5"])
print(f"{model.n_iter_} epochs of at most {model.max_epochs}")
print(f"the best was epoch {best['epoch']}")
