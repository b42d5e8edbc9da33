"""``lightxml train``: a model of a folder or a table."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lightxml.cli.arguments import OPTIONS, values_of
from lightxml.cli.options import Data, Language, check_folder, read_label_texts
from lightxml.cli.parts import TestSize, check_test_size, with_test_part
from lightxml.cli.reading import OF_LABELS, check_data, given_reading, read_data
from lightxml.cli.signature import taking
from lightxml.cli.wording import speaking_options
from lightxml.presets import presets
from lightxml.runtime.terminal import peak_memory, sizes

if TYPE_CHECKING:
    from sklearn.utils import Bunch

_WORD = re.compile(r"[^\W\d_]{3,}")

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
        " text; a SKOS thesaurus (.ttl, .rdf). Labels without a document can be predicted too."
        " Default: the labels themselves, where they are words; 'none': nothing.",
    ),
]
Tfidf = Annotated[
    str | None,
    typer.Option(
        metavar="words|pairs|chars",
        help="Read TF-IDF features of the whole documents too: of words, of pairs of words, or"
        " of up to four characters, for Chinese, Korean or Finnish. With --encoder none no network"
        " is trained, and the default is words, or chars for a script without blanks.",
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(metavar="|".join(presets), help="Settings to begin with; options change them."),
]


@taking("given", OPTIONS)
@taking("table", OF_LABELS)
def train(
    data: Data,
    output: Annotated[Path, typer.Option(help="The folder to save the model to.")],
    table: dict[str, Any],
    given: dict[str, Any],
    label_texts: LabelTextsFile = None,
    language: Language = None,
    preset: Preset = None,
    tfidf: Tfidf = None,
    test_size: TestSize = None,
    refit: Annotated[
        bool,
        typer.Option("--refit", help="With --test-size: when it is measured, learn from all."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Fit a LightXMLClassifier on a table or a folder and save it.

    How a table is read is told from it, shown, and kept with the model. A dev part of a folder is
    not learnt from: a network is measured on it after each epoch, and it decides how far each
    ranker is believed.
    """
    check_folder(output, "--output")
    params = _params(given, preset, tfidf)
    params["verbose"] = 0 if quiet else 1
    check_test_size(test_size, data, refit=refit)
    reading = given_reading(table, data)
    check_data(data, reading)
    if not data.is_dir():
        _check_reader(params, tfidf, data, has_texts=True)
    asks_for_none = label_texts == Path("none")
    if asks_for_none:
        label_texts = None
    texts = read_label_texts(label_texts, language, "--label-texts")
    bunch, known, told = read_data(data, reading)
    told = told or [sizes(bunch)]
    has_texts = isinstance(bunch.X_train, list)
    _check_reader(params, tfidf, data, has_texts=has_texts)
    if texts is not None:
        assert label_texts is not None
        if not has_texts:
            raise ValueError(f"{data} holds features; --label-texts is for texts. Leave it out.")
        from lightxml.datasets.label_texts import for_labels

        texts = for_labels(texts, bunch.labels, label_texts)
    are_texts = texts is None and has_texts and not asks_for_none
    if are_texts := are_texts and _are_words(bunch.labels.tolist()):
        told.append("The labels are words, and read as such (--label-texts none: not).")
    if bunch.y_train.nnz == 0:
        raise ValueError(f"{data}: no document has a label; nothing can be learnt from it.")
    if has_texts and params["encoder"] is None and tfidf is None and "features" not in params:
        tfidf = _kind_for(bunch.X_train)
        told.append(f"Learning from TF-IDF of {tfidf} (--tfidf).")
    if tfidf is not None:
        params["features"] = _vectorizer(tfidf)
    if known is not None and len(known.text_column) > 1 and params.get("features") is not None:
        from lightxml.fields import FieldsVectorizer

        params["features"] = FieldsVectorizer(params["features"])
        told.append(f"Each of the {len(known.text_column)} text columns has features of its own.")
    _announce(bunch, texts, told)
    saved = None if known is None else known.as_arguments()
    if test_size is not None:
        bunch = with_test_part(bunch, test_size, params.get("random_state"))
    model, seconds = _fitted(params, bunch, _own_texts(bunch) if are_texts else texts)
    if test_size is not None:
        _show_test_part(model, bunch)
        if refit:
            bunch = {**bunch, "X_train": bunch.X_whole, "y_train": bunch.y_whole}
            model, seconds = _fitted(params, bunch, _own_texts(bunch) if are_texts else texts)
    _finish(model, saved, output, seconds)


def _own_texts(bunch: Any) -> dict[str, list[str]]:
    """Return the labels of the documents that are learned from, each as its own text.

    Not those of the test part: who knew them would know a part of the answers.
    """
    used = sorted(set(bunch["y_train"].indices.tolist()))
    return {label: [label] for label in bunch["labels"][used].tolist()}


def _announce(bunch: Bunch, texts: dict[str, list[str]] | None, told: list[str]) -> None:
    """Say what there is to learn from, and how it was understood."""
    from lightxml.runtime.ranks import is_first_process

    if not is_first_process():
        return
    for line in told:
        typer.echo(line)
    if texts is not None:
        n_new = len(texts.keys() - set(bunch.labels.tolist()))
        typer.echo(f"{len(texts):,} labels have a text, {n_new:,} of them no document")


def _fitted(params: dict[str, Any], bunch: Any, texts: dict[str, list[str]] | None) -> Any:
    """Return a fitted model, and how many seconds it took."""
    from lightxml.classifier import LightXMLClassifier
    from lightxml.datasets import label_sets

    model = LightXMLClassifier(**params)
    more: dict[str, Any] = {} if texts is None else {"label_texts": texts}
    if bunch["X_validation"] is not None:
        y_val = label_sets(bunch["y_validation"], bunch["labels"])
        more |= {"X_val": bunch["X_validation"], "y_val": y_val}
    began = time.monotonic()
    with speaking_options((*OPTIONS, "label_texts")):
        model.fit(bunch["X_train"], label_sets(bunch["y_train"], bunch["labels"]), **more)
    return model, time.monotonic() - began


def _show_test_part(model: Any, bunch: Bunch) -> None:
    from lightxml.cli.figures import as_text, measured
    from lightxml.data.labels import encode_known
    from lightxml.datasets import label_sets
    from lightxml.runtime.ranks import is_first_process

    if not is_first_process():
        return
    y_train, y_true = (
        encode_known(label_sets(y, bunch.labels), model.classes_, "collections", y.shape[0])
        for y in (bunch.y_train, bunch.y_test)
    )
    figures = measured(model, bunch.X_test, y_true, y_train=y_train)
    typer.echo(f"\n{figures.n_documents:,} documents that were not learnt from:")
    if unknown := bunch.y_test.nnz - y_true.nnz:
        typer.echo(f"{unknown:,} uses of labels that the model does not know are left out")
    typer.echo(f"\n{as_text(figures, model)}\n")


def _finish(model: Any, saved: dict[str, Any] | None, output: Path, seconds: float) -> None:
    from lightxml.runtime.ranks import is_first_process

    if not is_first_process():
        return
    if saved is not None:
        model.reading_ = saved
    model.save(output)
    for epoch in model.history_[-1:]:
        last = ", ".join(f"{name} {value:.4g}" for name, value in epoch.items())
        typer.echo(last.replace("precision_at_", "P@"))
    typer.echo(f"Trained in {seconds:,.0f} s, {peak_memory()}; saved to {output}.")


def _params(given: dict[str, Any], preset: str | None, tfidf: str | None) -> dict[str, Any]:
    """Return the classifier's arguments by a preset and by options, which come first."""
    if preset is not None and preset not in presets:
        raise ValueError(f"--preset {preset}: expected one of {', '.join(presets)}.")
    if tfidf not in (None, *_TFIDF):
        raise ValueError(f"--tfidf {tfidf}: expected words, pairs or chars.")
    values = values_of(given)
    if values.get("checkpoint_dir") is not None:
        check_folder(Path(values["checkpoint_dir"]), "--checkpoint-dir")
    params = {"encoder": "auto", "freeze_encoder": False}
    if preset is not None:
        params |= presets[preset]
    params |= values
    return params


def _check_reader(
    params: dict[str, Any], tfidf: str | None, data: Path, *, has_texts: bool
) -> None:
    """Refuse what reads texts where there are features, and settings of an encoder without one."""
    encoder = params["encoder"]
    if not has_texts:
        if tfidf is not None:
            raise ValueError(f"{data} holds features; --tfidf makes them of texts. Leave it out.")
        if encoder not in (None, "auto"):
            raise ValueError(
                f"{data} holds features, but --encoder {encoder} reads texts. Leave it out."
            )
        params.pop("features", None)  # of a preset
        encoder = None
    elif _is_path(encoder) and not Path(encoder).is_dir():
        raise ValueError(f"--encoder {encoder}: there is no such folder.")
    for name in ("freeze_encoder", "se_block"):
        if encoder is None and params.get(name) is True:
            option = "--" + name.replace("_", "-")
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


def _are_words(labels: list[str]) -> bool:
    """Tell whether most labels hold a word, and are no codes or numbers."""
    from lightxml.rankers.words import is_of_characters

    n_words = sum(_WORD.search(label) is not None or is_of_characters(label) for label in labels)
    return 2 * n_words > len(labels)


def _kind_for(texts: list[str]) -> str:
    """Return what to make TF-IDF of: characters where most of the texts have no blanks."""
    from lightxml.rankers.words import is_of_characters

    some = texts[:: max(1, len(texts) // 1_000)]
    return "chars" if sum(map(is_of_characters, some)) > len(some) / 2 else "words"


def _vectorizer(tfidf: str) -> Any:
    """Return the vectorizer that ``--tfidf`` asks for."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(sublinear_tf=True, min_df=2, **_TFIDF[tfidf])
