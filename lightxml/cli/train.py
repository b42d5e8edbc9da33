"""``lightxml train``: a model of a folder or a file."""

from __future__ import annotations

import ast
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lightxml.cli.options import (
    Data,
    Device,
    LabelColumn,
    LabelSeparator,
    Language,
    TextColumn,
    check_data,
    check_device,
    check_folder,
    read_data,
    read_label_texts,
)
from lightxml.cli.wording import speaking_options
from lightxml.runtime.terminal import peak_memory, sizes

if TYPE_CHECKING:
    from sklearn.utils import Bunch

# The arguments of LightXMLClassifier that have an option of their name.
_OPTIONS = (
    "encoder", "freeze_encoder", "max_length", "max_epochs", "batch_size", "learning_rate",
    "random_state", "device", "checkpoint_dir",
)  # fmt: skip

_TFIDF: dict[str, dict[str, Any]] = {
    "words": {},
    "pairs": {"ngram_range": (1, 2), "max_features": 100_000},
    "chars": {"analyzer": "char_wb", "ngram_range": (1, 4), "max_features": 200_000},
}

LabelTextsFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="What labels mean: lines of label, tab, text; CSV or JSON lines with label and"
        " text; a SKOS thesaurus (.ttl, .rdf). Labels without a document can be predicted too.",
    ),
]
Tfidf = Annotated[
    str | None,
    typer.Option(
        metavar="words|pairs|chars",
        help="Read TF-IDF features of the whole documents too: of words, of pairs of words, or"
        " of up to four characters, for Chinese, Korean or Finnish."
        " With --encoder none no network is trained.",
    ),
]
CheckpointDir = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Go on where the same command was killed: with the network, and with linear"
        " classifiers that took long.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any other argument of LightXMLClassifier, such as se_block=True; repeatable.",
    ),
]


def train(
    data: Data,
    output: Annotated[Path, typer.Option(help="The folder to save the model to.")],
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_separator: LabelSeparator = ";",
    label_texts: LabelTextsFile = None,
    language: Language = None,
    encoder: Annotated[
        str, typer.Option(help="A local folder, a hub name, 'tiny', 'none', 'auto' for BERT-base.")
    ] = "auto",
    tfidf: Tfidf = None,
    freeze_encoder: Annotated[
        bool, typer.Option("--freeze-encoder", help="Encode each document once.")
    ] = False,
    max_length: Annotated[int, typer.Option(help="Tokens a document.")] = 512,
    max_epochs: Annotated[int | None, typer.Option(show_default="auto")] = None,
    batch_size: Annotated[int | None, typer.Option(show_default="auto")] = None,
    learning_rate: Annotated[float, typer.Option(help="Of the encoder.")] = 1e-4,
    random_state: Annotated[int | None, typer.Option(help="Makes the run repeatable.")] = None,
    device: Device = "auto",
    checkpoint_dir: CheckpointDir = None,
    set_: Settings = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Fit a LightXMLClassifier on a folder or a file and save it.

    A dev part, if there is one, is not learnt from: a network is measured on it after each epoch,
    and it decides how far each ranker is believed.
    """
    check_folder(output, "--output")
    check_device(device)
    if checkpoint_dir is not None:
        check_folder(checkpoint_dir, "--checkpoint-dir")
    params: dict[str, Any] = {
        "encoder": None if encoder == "none" else encoder,
        "freeze_encoder": freeze_encoder,
        "max_length": max_length,
        "max_epochs": "auto" if max_epochs is None else max_epochs,
        "batch_size": "auto" if batch_size is None else batch_size,
        "learning_rate": learning_rate,
        "random_state": random_state,
        "device": device,
        "checkpoint_dir": checkpoint_dir,
        "verbose": 0 if quiet else 1,
    }
    _check_ranges(params)
    params |= _settings(set_ or [])
    _check_kind(tfidf)
    check_data(data, text_column, label_column, label_separator)
    if data.is_file():
        _check_reader(params, tfidf, data, has_texts=True)
    texts = read_label_texts(label_texts, language, "--label-texts")
    bunch = read_data(data, text_column, label_column, label_separator)
    has_texts = isinstance(bunch.X_train, list)
    _check_reader(params, tfidf, data, has_texts=has_texts)
    if texts is not None:
        assert label_texts is not None
        if not has_texts:
            raise ValueError(f"{data} holds features; --label-texts is for texts. Leave it out.")
        from lightxml.datasets.label_texts import for_labels

        texts = for_labels(texts, bunch.labels, label_texts)
    if bunch.y_train.nnz == 0:
        raise ValueError(f"{data}: no document has a label; nothing can be learnt from it.")
    _fit(params | {"features": _vectorizer(tfidf)}, bunch, texts, output)


def _fit(
    params: dict[str, Any], bunch: Bunch, texts: dict[str, list[str]] | None, output: Path
) -> None:
    from lightxml.classifier import LightXMLClassifier
    from lightxml.datasets import label_sets
    from lightxml.runtime.ranks import is_first_process
    from lightxml.storage.description import DEFAULTS

    model = LightXMLClassifier(**params)
    is_first = is_first_process()
    if is_first:
        typer.echo(sizes(bunch))
        if texts is not None:
            n_new = len(texts.keys() - set(bunch.labels.tolist()))
            typer.echo(f"{len(texts):,} labels have a text, {n_new:,} of them no document")
    more: dict[str, Any] = {} if texts is None else {"label_texts": texts}
    if bunch.X_validation is not None:
        y_val = label_sets(bunch.y_validation, bunch.labels)
        more |= {"X_val": bunch.X_validation, "y_val": y_val}
    began = time.monotonic()
    with speaking_options((*_OPTIONS, "label_texts"), settable=DEFAULTS):
        model.fit(bunch.X_train, label_sets(bunch.y_train, bunch.labels), **more)
    seconds = time.monotonic() - began
    if not is_first:
        return
    model.save(output)
    for epoch in model.history_[-1:]:
        last = ", ".join(f"{name} {value:.4g}" for name, value in epoch.items())
        typer.echo(last.replace("precision_at_", "P@"))
    typer.echo(f"Trained in {seconds:,.0f} s, {peak_memory()}; saved to {output}.")


def _check_ranges(params: dict[str, Any]) -> None:
    """Check the numbers of options, as `fit` would only after seconds of imports."""
    for name in ("max_length", "max_epochs", "batch_size"):
        if params[name] != "auto" and params[name] < 1:
            option = "--" + name.replace("_", "-")
            raise ValueError(f"{option} is {params[name]}; expected 1 or more.")
    rate, seed = params["learning_rate"], params["random_state"]
    if not 0 < rate < math.inf:
        raise ValueError(f"--learning-rate is {rate}; expected a number above 0.")
    if seed is not None and not 0 <= seed < 2**32:
        raise ValueError(f"--random-state is {seed}; expected 0 to {2**32 - 1}.")


def _check_reader(
    params: dict[str, Any], tfidf: str | None, data: Path, *, has_texts: bool
) -> None:
    """Refuse texts that nothing would read, and what reads texts where there are features."""
    encoder = params["encoder"]
    if not has_texts:
        if tfidf is not None:
            raise ValueError(f"{data} holds features; --tfidf makes them of texts. Leave it out.")
        if encoder not in (None, "auto"):
            raise ValueError(
                f"{data} holds features, but --encoder {encoder} reads texts. Leave it out."
            )
        encoder = None
    elif _is_path(encoder) and not Path(encoder).is_dir():
        raise ValueError(f"--encoder {encoder}: there is no such folder.")
    elif encoder is None and tfidf is None:
        raise ValueError(
            f"{data} holds texts, and with --encoder none nothing reads them. Add --tfidf words."
        )
    for name, option in {
        "freeze_encoder": "--freeze-encoder",
        "se_block": "--set se_block",
    }.items():
        if encoder is None and params.get(name) is True:
            raise ValueError(f"{option} is about an encoder, and there is none here. Leave it out.")
    if encoder == "tiny" and params["freeze_encoder"] is True:
        raise ValueError(
            "--freeze-encoder would keep the random weights that --encoder tiny begins with. Give a"
            " pretrained encoder: a local folder or a hub name."
        )


def _is_path(encoder: Any) -> bool:
    """Tell a path from a name on the hub, which may have one slash."""
    return isinstance(encoder, str) and (
        encoder.startswith((".", "~")) or Path(encoder).is_absolute()
    )


def _check_kind(tfidf: str | None) -> None:
    if tfidf not in (None, *_TFIDF):
        raise typer.BadParameter(f"{tfidf}: expected words, pairs or chars.", param_hint="--tfidf")


def _vectorizer(tfidf: str | None) -> Any:
    """Return the vectorizer that ``--tfidf`` asks for."""
    if tfidf is None:
        return None
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(sublinear_tf=True, min_df=2, **_TFIDF[tfidf])


def _settings(pairs: Iterable[str]) -> dict[str, Any]:
    """Read ``NAME=VALUE`` pairs; a value that is no Python literal is a string."""
    from lightxml.storage.description import DEFAULTS

    known = [name for name in DEFAULTS if name != "features"]
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if name == "features":
            raise ValueError("--set features: a vectorizer is no text. Ask for it with --tfidf.")
        if not equals or name not in known:
            raise typer.BadParameter(
                f"{pair}: expected NAME=VALUE with a NAME among {', '.join(known)}.",
                param_hint="--set",
            )
        try:
            settings[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            settings[name] = value
    return settings
