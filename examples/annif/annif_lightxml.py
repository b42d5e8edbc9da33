"""`backend=lightxml` for Annif: rankers on words, label texts of the vocabulary, an encoder.

Annif knows its backends by name and has no way to add one, so this module adds itself when it is
imported. ``annif-lightxml`` is the ``annif`` command with the backend in it; a web server takes
``annif_lightxml:create_app`` in the place of ``annif:create_app``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import annif
import annif.backend
import numpy as np
from annif import exception
from annif.backend.backend import AnnifLearningBackend
from annif.corpus.types import Document, DocumentCorpus
from annif.suggestion import SubjectSuggestion, SuggestionBatch
from rdflib import URIRef
from rdflib.namespace import SKOS
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier
from lightxml.arguments import ARGUMENTS, whole

MODEL = "lightxml-model"
RECORD = "lightxml.json"  # written last: a folder without it holds no model

# Settings of this backend's own, of LightXMLClassifier, and of Annif.
OWN = {"limit": whole(1), "ngram": whole(1), "min_df": whole(1)}
OF_MODEL = (
    *("encoder", "freeze_encoder", "max_length", "max_epochs", "batch_size", "learning_rate"),
    *("propensity_weight", "validation_fraction", "device", "random_state"),
)
OF_ANNIF = {
    *("name", "language", "backend", "analyzer"),
    *("transform", "vocab", "access", "allow_learn"),
}


def value(text: str) -> int | float | bool | str:
    """Read a setting: a number, true or false, or else a word."""
    for kind in (int, float, {"true": True, "false": False}.__getitem__):
        with suppress(ValueError, KeyError):
            return kind(text)
    return text


class LightXMLBackend(AnnifLearningBackend):
    """`LightXMLClassifier` as a backend of Annif.

    Labels are the URIs of subjects; their preferred and alternative labels in the language of the
    project's vocabulary are the label texts. With an `analyzer` the words that are counted are
    the analyzer's; an encoder reads texts as they are, and takes none.
    """

    name = "lightxml"
    DEFAULT_PARAMETERS = {"min_df": 2, "ngram": 1, "random_state": 0}  # noqa: RUF012

    _model: LightXMLClassifier | None = None

    @property
    def is_trained(self) -> bool:
        """Tell whether a whole model was saved."""
        return (Path(self.datadir) / MODEL / RECORD).exists()

    def initialize(self, parallel: bool = False) -> None:
        """Load the model, once."""
        if self._model is None:
            self._use(self._load())

    def _train(self, corpus: DocumentCorpus, params: dict[str, Any], jobs: int = 0) -> None:
        if corpus == "cached":
            raise exception.NotSupportedException(
                "The lightxml backend keeps no training data: no --cached."
            )
        model = self._new_model(self._read(params), jobs)
        self._fit(model, model.fit, corpus)

    def _learn(self, corpus: DocumentCorpus, params: dict[str, Any]) -> None:
        model = self._load()
        self._fit(model, model.partial_fit, corpus)

    def _suggest_batch(self, documents: list[Document], params: dict[str, Any]) -> SuggestionBatch:
        model, limit = self._model, self._read(params)["limit"]
        labels, scores = model.predict_topk(
            [self._text(document.text) for document in documents],
            min(limit, len(model.classes_) - len(self._gone)),
            exclude=self._gone or None,
            return_scores=True,
        )
        numbers = np.vectorize(self._ids.__getitem__)(labels)
        rows = [map(SubjectSuggestion, *row) for row in zip(numbers, scores, strict=True)]
        return SuggestionBatch.from_sequence(rows, self.project.subjects)

    def _load(self) -> LightXMLClassifier:
        if not self.is_trained:
            raise exception.NotInitializedException("train it first", backend_id=self.backend_id)
        return LightXMLClassifier.load(Path(self.datadir) / MODEL)

    def _use(self, model: LightXMLClassifier) -> None:
        """Keep a model, with the numbers of its subjects; some may be gone from the vocabulary."""
        self._ids = {subject.uri: number for number, subject in self.project.subjects.active}
        self._gone = [uri for uri in model.classes_ if uri not in self._ids]
        if len(self._gone) == len(model.classes_):
            message = "the vocabulary has none of the model's subjects"
            raise exception.NotInitializedException(message, backend_id=self.backend_id)
        self._model = model

    def _read(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return the settings as values, or say which is wrong."""
        kinds = OWN | {name: ARGUMENTS[name].kind for name in OF_MODEL}
        values = {name: value(str(params[name])) for name in kinds if name in params}
        for name, found in values.items():
            try:
                kinds[name].check(name, found)
            except (TypeError, ValueError) as error:
                self._refuse(str(error))
        if "encoder" in values and self.project.analyzer_spec:
            self._refuse("an encoder reads texts as they are: drop analyzer, or encoder")
        if unknown := params.keys() - kinds.keys() - OF_ANNIF:
            self.warning(f"unknown settings, without effect: {', '.join(sorted(unknown))}")
        return values

    def _refuse(self, message: str) -> NoReturn:
        raise exception.ConfigurationException(
            message, project_id=self.project.project_id
        ) from None

    def _new_model(self, values: dict[str, Any], jobs: int) -> LightXMLClassifier:
        words = {"token_pattern": r"\S+"} if self.project.analyzer_spec else {}
        tfidf = TfidfVectorizer(
            sublinear_tf=True, min_df=values["min_df"], ngram_range=(1, values["ngram"]), **words
        )
        given = {name: value for name, value in values.items() if name in OF_MODEL}
        if "encoder" in given:
            given.setdefault("freeze_encoder", True)
        encoder = given.pop("encoder", None)
        return LightXMLClassifier(encoder, features=tfidf, n_jobs=jobs or -1, **given)

    def _documents(self, corpus: DocumentCorpus) -> tuple[list[str], list[list[str]]]:
        """Return the texts and labels of the documents that have subjects."""
        texts, labels = [], []
        for document in corpus.documents:
            if document.subject_set:
                texts.append(self._text(document.text))
                labels.append([self.project.subjects[i].uri for i in document.subject_set])
        if not texts:
            raise exception.NotSupportedException(
                "There is no document with a subject to learn from."
            )
        return texts, labels

    def _text(self, text: str) -> str:
        if not self.project.analyzer_spec:
            return text
        return " ".join(self.project.analyzer.tokenize_words(text))

    def _label_texts(self) -> dict[str, list[str]]:
        """Return the preferred and alternative labels of each subject, in one language."""
        skos, language = self.project.vocab.skos, self.project.vocab_lang
        kinds = (*skos.PREF_LABEL_PROPERTIES, SKOS.altLabel)
        texts = {}
        for _, subject in self.project.subjects.active:
            found = skos.get_concept_labels(URIRef(subject.uri), kinds)
            if names := found[language] or found[None]:
                texts[subject.uri] = [self._text(name) for name in names]
        return texts

    def _fit(
        self, model: LightXMLClassifier, fit: Callable[..., Any], corpus: DocumentCorpus
    ) -> None:
        texts, labels = self._documents(corpus)
        names = self._label_texts()
        if not names:
            self.warning(f"the vocabulary has no labels in language {self.project.vocab_lang}")
        self.info(f"learning from {len(texts)} documents and labels of {len(names)} subjects")
        try:
            fit(texts, labels, label_texts=names or None)
        except (TypeError, ValueError) as error:
            raise exception.OperationFailedException(
                str(error), backend_id=self.backend_id
            ) from error
        model.save(Path(self.datadir) / MODEL)  # one step: killed before, the earlier model stays
        self._use(model)


annif.backend._backend_fns["lightxml"] = lambda: LightXMLBackend
create_app = annif.create_app


def main() -> None:
    """Run the ``annif`` command."""
    from annif.cli import cli

    cli(prog_name="annif-lightxml")
