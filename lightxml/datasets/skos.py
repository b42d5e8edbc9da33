"""A thesaurus in SKOS: its concepts and what they are called."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

# What a file's name ends in, and what rdflib calls its format; N-Triples are Turtle too.
FORMATS = {".ttl": "turtle", ".nt": "turtle", ".rdf": "xml", ".xml": "xml"}


def concepts(path: Path, form: str, language: str | None) -> Iterator[tuple[str, str, str]]:
    """Yield the texts of each concept, as `lightxml.datasets.load_label_texts` describes them.

    Yields
    ------
    path, label, text : str
        Concepts in the order of their URIs; equal files give equal orders.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is not of that form, or holds no concept.
    ImportError
        There is no rdflib.
    """
    rdflib = _rdflib()
    graph = _parsed(path, form, rdflib)
    skos, deprecated = rdflib.SKOS, rdflib.OWL.deprecated
    found = sorted(set(graph.subjects(rdflib.RDF.type, skos.Concept)))
    if not found:
        raise ValueError(f"{path}: holds no skos:Concept. Expected a thesaurus in SKOS.")
    for concept in found:
        if any(value.toPython() is True for value in graph.objects(concept, deprecated)):
            continue
        notations = sorted(map(str, graph.objects(concept, skos.notation)))
        label = notations[0] if notations else str(concept)
        for relation in (skos.prefLabel, skos.altLabel, skos.definition):
            named = [
                (value.language or "", str(value))
                for value in graph.objects(concept, relation)
                if isinstance(value, rdflib.Literal) and _is_in(value.language, language)
            ]
            for _, text in sorted(named):
                yield str(path), label, text


def _rdflib() -> ModuleType:
    try:
        import rdflib
    except ImportError as error:
        raise ImportError(
            f'A thesaurus in SKOS needs rdflib: pip install "lightxml[skos]" ({error}).'
        ) from error
    return rdflib


def _parsed(path: Path, form: str, rdflib: ModuleType) -> Any:
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file, _silent():
        graph = rdflib.Graph()
        try:
            graph.parse(file, format=form, publicID=path.resolve().as_uri())
        except OSError:
            raise
        except Exception as error:  # of rdflib, of the XML parser, of strings within
            raise ValueError(
                f"{path}{_place(error)}: is no {'Turtle' if form == 'turtle' else 'RDF/XML'}"
                f" ({_reason(error)!r:.100}). Export the thesaurus anew."
            ) from error
    return graph


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what rdflib logs of odd URIs, as they are in the file, from a terminal."""
    logger, handler = logging.getLogger("rdflib"), logging.NullHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _place(error: Any) -> str:
    if hasattr(error, "getLineNumber"):
        return f", line {error.getLineNumber():,}"
    return f", line {error.lines + 1:,}" if hasattr(error, "lines") else ""


def _reason(error: Any) -> str:
    if hasattr(error, "getMessage"):
        return str(error.getMessage())
    return str(getattr(error, "_why", error))


def _is_in(language: str | None, wanted: str | None) -> bool:
    """Tell whether a text's language is what is wanted, or a kind of it: en-GB is en."""
    if language is None or wanted is None:
        return True
    language, wanted = language.lower(), wanted.lower()
    return language == wanted or language.startswith(f"{wanted}-")
