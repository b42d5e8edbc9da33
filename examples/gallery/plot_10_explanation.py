"""
Why this label?
===============

A prediction is easier to trust, or to correct, when one sees what it comes
from. ``explain`` shows which words of a text speak for a label and which
against it, what each ranker thinks of it, and the training documents that the
model was reminded of.
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
# What each ranker says of the label, and which one it would have given:
for opinion in explanation.opinions:
    said = ", ".join(f"{k} {v:.2f}" for k, v in opinion.values.items())
    print(f"{opinion.ranker:<10} {said:<36} best: {opinion.best}")
    for feature in opinion.features[:3]:  # words of a linear classifier
        print(f"{'':<10} {feature.contribution:+.2f} {feature.name}")

# %%
# The training documents behind it, by their rows in ``X_train``, each with its
# share of what the nearest ones say:
for neighbor in explanation.neighbors[:3]:
    document = data.X_train[neighbor.document]
    print(f"{neighbor.share:4.0%}  {document[:60]} ...")
