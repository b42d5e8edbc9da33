"""
Saved models, pickles and trust
===============================

A saved model is a folder of JSON and safetensors files. Nothing in it is run
when it is loaded, and every file is checked first, so that a model from
somebody else can be looked at without fear. A pickle, in contrast, runs
whatever its author put into it.
"""

# %%
# A model, learnt in seconds from synthetic documents.
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier
from lightxml.datasets import make_xmc

X, y = make_xmc(n_documents=1000, n_labels=50, random_state=0)
model = LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0)
model.fit(X, y)

# %%
# Save and load
# -------------
# A second ``save`` to the same place replaces the first as a whole: wherever
# it is interrupted, one of the two is there.
import tempfile
from pathlib import Path

from lightxml import load

folder = Path(tempfile.mkdtemp(), "model")
model.save(folder)
loaded = load(folder)
same = loaded.predict_topk(X) == model.predict_topk(X)
print("The same labels:", same.all())

# %%
# The files are named after their contents, in 64 digits of which 16 are shown
# here. ``lightxml.json`` lists them.
for file in sorted(folder.iterdir()):
    print(f"{file.stat().st_size:>10,}  {file.stem[:16]}{file.suffix}")

# %%
# What is inside? On the command line, ``lightxml info MODEL`` tells without
# loading the weights.
import subprocess
import sys

command = [sys.executable, "-m", "lightxml", "info", folder]
print(subprocess.check_output(command, text=True))

# %%
# A file that was changed, on its way or by somebody, is not loaded. One bit is
# enough.
from lightxml.exceptions import BundleError

largest = max(folder.iterdir(), key=lambda file: file.stat().st_size)
content = bytearray(largest.read_bytes())
content[-1] ^= 1
largest.write_bytes(content)
try:
    load(folder)
except BundleError as error:
    print(*str(error).partition(": ")[2].split(". "), sep="\n")

# %%
# Size
# ----
# The ranker "linear" keeps the words' weights of each label's classifier,
# "neighbors" the words of each training document. A network keeps
# ``feature_dim`` numbers for each word of the vectorizer.
import matplotlib.pyplot as plt
from sklearn.base import clone

settings = [
    {},
    {"rankers": ("linear",)},
    {"rankers": ("neighbors",)},
    {"rankers": ("network",), "max_epochs": 1},
    {"rankers": ("network",), "max_epochs": 1, "feature_dim": 128},
]
sizes = []
for setting in settings:
    clone(model).set_params(**setting).fit(X, y).save(folder)
    sizes.append(sum(file.stat().st_size for file in folder.iterdir()) / 2**20)

names = [
    "as it stands",
    "linear alone",
    "neighbors alone",
    "network alone",
    "network, feature_dim=128",
]
_, ax = plt.subplots(figsize=(6.4, 2.4), layout="constrained")
bars = ax.barh(names, sizes, color="#0072B2")
ax.bar_label(bars, fmt="%.1f", padding=3)
ax.invert_yaxis()
ax.spines[["top", "right"]].set_visible(False)
_ = ax.set(xlabel="size of the saved model, MiB")

# %%
# Pickle and joblib
# -----------------
# They work as with every estimator of scikit-learn, for whole pipelines too.
# ``save`` keeps a model with the vectorizer given as ``features``, but no
# steps before it. Keep pickles to yourself, and load none but your own.
import pickle

from sklearn.pipeline import make_pipeline

pipe = make_pipeline(TfidfVectorizer(), LightXMLClassifier(random_state=0))
pipe.fit(X, y)
copy = pickle.loads(pickle.dumps(pipe))
print("The same labels:", (copy.predict(X) != pipe.predict(X)).nnz == 0)
