"""The model card: what a fitted model knows of itself, in Markdown for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from lightxml.files.bundle import Bundle
from lightxml.files.record import FORMAT
from lightxml.predicting.fitted import FittedModel
from lightxml.predicting.measured import KS
from lightxml.runtime.terminal import shorten
from lightxml.storage.description import rows_of

_N_SHOWN = 10  # labels
_LONGEST_LABEL, _LONGEST = 80, 2_000  # characters, of a label and of anything else
_LICENSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")
# What Markdown obeys within a line: emphasis, links, HTML, cells of a table, addresses.
_OBEYED = re.compile(
    r"([\\`*_{}\[\]<>&|#~$@!]|(?<=http):|(?<=https):|(?<=ftp):|(?<=mailto):|(?<=www)\.)", re.I
)
# What `rows_of` says of the data is said in a table of its own.
_OF_DATA = ("labels", "label texts", "measured", "table", "history")

_FRONT = """\
---
library_name: lightxml
pipeline_tag: text-classification
tags:
- multi-label-classification
- extreme-multi-label-classification
{license}---
"""
_USE = """\
## Use it

```python
from lightxml import load

model = load("{place}")
labels, probabilities = model.predict_topk({documents}, k={k}, return_scores=True)
```

Loading it runs no code of this model: what is read is JSON and arrays, their digests checked.
"""


def model_card(estimator: Any, *, repo: str | None = None, license: str | None = None) -> str:
    """Return a model card in Markdown: what a fitted model knows of itself, and nothing else.

    Parameters
    ----------
    estimator : LightXMLClassifier or LightXMLEnsemble
        Fitted, and such that `save` takes it.
    repo : str or None, default=None
        The repository on the hub, ``"user/name"``: the card's title, and where to load it from.
    license : str or None, default=None
        Its identifier, such as ``"cc-by-4.0"``.

    Returns
    -------
    str
        A few thousand characters, however many labels there are. Labels are escaped.

    Raises
    ------
    TypeError
        If `save` would refuse the model.
    ValueError
        If `license` is no identifier.
    """
    check_license(license)
    return card_of(estimator._pack(), estimator._models, repo=repo, license=license)


def check_license(license: str | None) -> None:
    """Check the identifier of a license.

    Raises
    ------
    ValueError
    """
    if license is not None and not (isinstance(license, str) and _LICENSE.fullmatch(license)):
        raise ValueError(
            f"license is {license!r:.100}; expected an identifier such as 'cc-by-4.0' or 'mit'."
        )


def card_of(
    bundle: Bundle, models: Sequence[FittedModel], *, repo: str | None, license: str | None
) -> str:
    """Return the card of a model that is already packed; as `model_card`."""
    first, n_labels = models[0], len(models[0].classes)
    title = "A lightxml model" if repo is None else _safe(repo.partition("/")[2])
    reads = "a text" if first.reads_texts else f"a row of {first.reader.n_features:,} numbers"
    parts = [
        _FRONT.format(license="" if license is None else f"license: {license}\n"),
        f"# {title}\n\nIt ranks {n_labels:,} labels for {reads}, each with a probability.\n",
        _USE.format(
            place="FOLDER" if repo is None else f"hf://{repo}",
            documents='["a text"]' if first.reads_texts else "X",
            k=min(5, n_labels),
        ),
        "## What it has learned from\n\n" + _table(_data(bundle, first)) + _examples(first),
        _figures(bundle, models),
        "## What it reveals\n\nWhoever has the model can read from it:\n\n"
        + "".join(f"- {each}\n" for each in _revealed(models))
        + "\nThe text of a training document is not in it.\n",
        "## What it is made of\n\n" + _table(_made_of(bundle)),
    ]
    return "\n".join(part for part in parts if part)


def _data(bundle: Bundle, model: FittedModel) -> Iterator[tuple[str, str]]:
    if model.panel is not None:
        yield "training documents", f"{model.panel.n_documents:,}"
    yield "labels", f"{len(model.classes):,}"
    if model.panel is not None and (n_unseen := int((model.panel.counts == 0).sum())):
        yield "labels without a training document", f"{n_unseen:,}"
    if model.label_texts is not None:
        yield "labels with a text", f"{sum(map(bool, model.label_texts)):,}"
    for name, heading in (("text_column", "columns of text"), ("label_column", "column of labels")):
        if columns := _members(bundle)[0].get("reading", {}).get(name):
            yield (
                heading,
                ", ".join(shorten(column, _LONGEST_LABEL) for column in columns[:_N_SHOWN]),
            )


def _examples(model: FittedModel) -> str:
    """Return the labels with the most training documents, and what they are called."""
    if model.panel is None:
        return ""
    counts, rows = model.panel.counts, []
    often = np.argsort(-counts, kind="stable")[:_N_SHOWN]
    for column in often[counts[often] > 0].tolist():
        label = str(model.classes[column])
        texts = () if model.label_texts is None else model.label_texts[column]
        name = f" ({shorten(texts[0], _LONGEST_LABEL)})" if texts and texts[0] != label else ""
        rows.append((shorten(label, _LONGEST_LABEL) + name, f"{counts[column]:,}"))
    return "\n" + _table(rows, ("label", "training documents")) if rows else ""


def _figures(bundle: Bundle, models: Sequence[FittedModel]) -> str:
    """Return what `fit` has measured, of each member; nothing where it has not."""
    known = [(i, model.measured) for i, model in enumerate(models, 1) if model.measured is not None]
    if not known:
        return ""
    ks = [k for k in KS if k <= len(models[0].classes)]
    rows = []
    for i, measured in known:
        member = f"member {i}: " if len(models) > 1 else ""
        figures = [f"{measured.precision[k]:.3f}" for k in ks if k in measured.precision]
        rows.append((f"{member}{measured.n_documents:,} {measured.which}", *figures))
    notes = [
        "P@k is the share of right ones among the k labels that are ranked first. `fit` measured it"
        " on documents that no ranker had learned from. All their labels are known to the model;"
        " where new documents have others, these are missed."
    ]
    if any(member["params"]["early_stopping"] for member in _members(bundle)):
        notes.append("The epoch at which the network's training ended was chosen by them.")
    if any(model.label_texts is not None for model in models):
        notes.append(
            "Some labels had only their texts then, none of their training documents, so that the"
            " figures are rather too low."
        )
    if len(models) > 1:
        notes.append("The members together were not measured.")
    table = _table(rows, ("documents", *(f"P@{k}" for k in ks)))
    return f"## How well it ranks\n\n{table}\n{' '.join(notes)}\n"


def _revealed(models: Sequence[FittedModel]) -> Iterator[str]:
    """Yield what is in the model that may be someone's secret; docs/saving.md has the same."""
    names = {r.name for m in models if m.panel is not None for r in m.panel.rankers}
    yield "all labels"
    if any(model.label_texts is not None for model in models):
        yield "the texts of all labels, word for word"
    if any(model.vectorizer is not None for model in models):
        yield "the words of the training documents that are features"
    if "neighbors" in names:
        yield "of each training document the weights of its words, or features, and its labels"
    if "vectors" in names:
        yield "of each training document the vector that an encoder made of it, and its labels"
    if "linear" in names:
        yield "which words, or features, speak for each label and against it"
    if any(model.text_reader is not None for model in models):
        yield "the weights of the encoder, or the network"


def _made_of(bundle: Bundle) -> Iterator[tuple[str, str]]:
    for name, text in rows_of(bundle.manifest, bundle.blobs, FORMAT).items():
        if name not in _OF_DATA:
            yield name, text.rstrip(":")


def _members(bundle: Bundle) -> list[dict[str, Any]]:
    """Return the manifest of a classifier, or those of an ensemble's members."""
    return bundle.manifest.get("members") or [bundle.manifest]


def _table(rows: Iterable[tuple[str, ...]], heading: tuple[str, ...] = ("", "")) -> str:
    lines = [heading, ("---",) * len(heading), *(tuple(map(_safe, row)) for row in rows)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _safe(text: str) -> str:
    """Return text on one line that neither Markdown nor a terminal obeys, and not too long."""
    return _OBEYED.sub(r"\\\1", shorten(text, _LONGEST))
