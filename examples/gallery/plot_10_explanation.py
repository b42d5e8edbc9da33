"""
Why this label?
===============

A prediction is easier to trust, or to correct, when one sees what it comes
from. ``explain`` shows which words of a text speak for a label and which
against it, and the training documents that the model was reminded of.
"""

# %%
# A model of the docstrings of Python's standard library.
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier
from lightxml.datasets import label_sets, load_pydocs

data = load_pydocs(["stdlib"])
model = LightXMLClassifier(
    encoder=None,
    features=TfidfVectorizer(sublinear_tf=True, min_df=2),
    random_state=0,
)
model.fit(data.X_train, label_sets(data.y_train, data.labels))

# %%
# A word's weight is what the label's logit loses when the word is taken away
# and the model asked again. So it works for every model, whatever it is made
# of; with an encoder, a text costs as many predictions as it has words.
from lightxml.inspection import explain

text = "Return the absolute path of a file and follow symbolic links"
explain(model, text)

# %%
# Without a label it is the best one that is explained. Why was another not
# given?
explain(model, text, "tempfile")

# %%
# The same as data, for a picture of one's own. Weights do not add up to the
# logit: of two words that say the same, neither may be missed when it alone is
# gone.
import matplotlib.pyplot as plt

explanation = explain(model, text)
words = sorted(explanation.words, key=lambda word: word.weight)
weights = [word.weight for word in words]
colours = ["#0072B2" if weight > 0 else "#D55E00" for weight in weights]

_, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
ax.barh([word.text for word in words], weights, color=colours)
ax.spines[["top", "right"]].set_visible(False)
_ = ax.set(xlabel=f"What the logit of {explanation.label!r} loses without it")

# %%
# The training documents behind it, by their rows in ``X_train``:
print(f"Without them the logit loses {explanation.neighbours_weight:.2f}.")
for neighbour in explanation.neighbours[:3]:
    document = data.X_train[neighbour.document]
    print(f"{neighbour.share:4.0%}  {document[:60]} ...")
