"""How several rankers are fitted, and the final one that weighs their opinions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from scipy.special import expit

from lightxml.data.inputs import Inputs
from lightxml.fitting import decisions
from lightxml.fitting.panel_footprint import warn_if_rankers_are_short
from lightxml.fitting.rare_labels import preference
from lightxml.fitting.task import Task
from lightxml.metrics.measures import precision_at_k
from lightxml.predicting.fitted import FittedModel, place, represented, rows_of
from lightxml.predicting.measured import KS, Measured, Source
from lightxml.rankers.base import Documents
from lightxml.rankers.final import Logistic
from lightxml.rankers.fit_panel import Fitted, Keep, fit_panel
from lightxml.rankers.held_out import draw_held_out, n_held_out
from lightxml.rankers.linear import Linear
from lightxml.rankers.panel import Panel, best
from lightxml.rankers.thresholds import HALF, best_threshold
from lightxml.rankers.trees import Trees
from lightxml.runtime.progress import say
from lightxml.training.parts import Part

if TYPE_CHECKING:
    from lightxml.training.checkpoints import Checkpoints


def fit_rankers(task: Task, seed: int, checkpoints: Checkpoints | None) -> FittedModel:
    """Learn what several rankers are to rank, and the final one that weighs their opinions.

    A network comes first, and never learns from the documents held out. Its vectors of documents,
    where its encoder is frozen, are read by the rankers.
    """
    params, y = task.params, task.labels.matrix
    task, inputs = task.read()
    documents, new = as_read(inputs), None
    held = held_out_rows(task, documents, seed)
    if held is not None:
        task = replace(task, validation=(inputs.only(held), y[held]))
    if task.validation is not None and params["final_ranker"] is not None:
        new = as_read(task.reader.featurize(task.validation[0]))
    model = FittedModel(task.reader, task.labels.classes, task.labels.form, None, None, [])
    make_network = None
    if "network" in task.rankers:  # the others are fitted without torch
        from lightxml.fitting.network import ranker_of

        model, documents, new = with_network(task, inputs, held, documents, new, seed, checkpoints)
        make_network = ranker_of(model, len(documents))
    elif (source := decisions.encoder(params, reads_texts=task.reader.reads_texts)) is not None:
        model = with_encoder(model, source, params)
        documents = with_vectors(model, documents, task)
        if new is not None and held is not None:
            assert documents.vectors is not None
            new = replace(new, vectors=documents.vectors[held])
        elif new is not None:
            new = with_vectors(model, new, task)
    validation = held_out = None
    if new is not None and held is not None:
        held_out = held, new
    elif new is not None and task.validation is not None:
        validation = new, task.validation[1]
    n_texts = sum(map(len, task.label_texts)) if isinstance(task.label_texts, tuple) else 0
    n_new = len(new) if new is not None else n_held_out(len(documents))
    warn_if_rankers_are_short(documents, y, task.rankers, n_new, n_texts)
    of_labels = label_vectors(task, model)  # here, where every process encodes its share
    weight = float(params["propensity_weight"])
    raised = preference(y, weight, unseen_as_one=True) if weight else None

    def fit() -> tuple[Panel, float | np.ndarray, Measured | None]:
        fitted = fit_panel(
            documents,
            y,
            names=task.rankers,
            label_texts=task.label_texts,
            final_ranker=params["final_ranker"],
            validation=validation,
            held_out=held_out,
            network=make_network,
            label_vectors=of_labels,
            keep=None if checkpoints is None else keep_in(checkpoints),
            say=partial(say, verbose=params["verbose"]),
            sample_weight=task.sample_weight,
            seed=seed,
            n_jobs=params["n_jobs"],
        )
        threshold = threshold_of(params["threshold"], fitted, raised)
        # A network that goes on may have learned from documents that are held out now.
        is_new = validation is not None or task.start is None
        figures = measured_of(fitted, raised, validation is not None) if is_new else None
        return without_network(fitted.panel), threshold, figures

    panel, threshold, measured = task.ranks.from_first(fit)
    panel = replace(panel, raised=raised)
    if make_network is not None:
        panel = replace(panel, rankers=(*panel.rankers, make_network(panel.counts > 0)))
    texts = task.label_texts if isinstance(task.label_texts, tuple) else None
    return replace(model, panel=panel, label_texts=texts, threshold=threshold, measured=measured)


def threshold_of(
    given: float | str, fitted: Fitted, raised: np.ndarray | None
) -> float | np.ndarray:
    """Return the threshold that is given, or the best one of the documents held out.

    It is one of probabilities as they are predicted, with what is added to the labels' logits.
    """
    if not isinstance(given, str):
        return float(given)
    if fitted.scored is None or fitted.y is None:
        return HALF
    scored = fitted.scored.copy()
    if raised is not None:
        scored.data += raised[scored.indices]
    scored.data = expit(scored.data)
    is_ours = isinstance(fitted.panel.final, Trees | Logistic)  # which are calibrated
    return best_threshold(given, scored, fitted.y, calibrated=is_ours and raised is None)


def measured_of(fitted: Fitted, raised: np.ndarray | None, is_given: bool) -> Measured | None:
    """Return how well documents were ranked that rankers and final ranker had not learned from.

    Parameters
    ----------
    fitted : Fitted
    raised : ndarray of float32, shape (n_labels,), or None
        What is added to the labels' logits.
    is_given : bool
        Whether they are those of `X_val`.
    """
    if fitted.scored is None or fitted.y is None:
        return None
    scored = fitted.scored.copy()
    if raised is not None:
        scored.data += raised[scored.indices]
    n_documents, n_labels = scored.shape
    source: Source = "X_val" if is_given else "held out"
    if not is_given and n_documents == fitted.panel.n_documents:  # each was held out once
        source = "folds"
    ks = [k for k in KS if k <= n_labels]
    topk, _ = best(scored, ks[-1])
    return Measured(source, n_documents, {k: precision_at_k(fitted.y, topk, k) for k in ks})


def as_read(inputs: Inputs) -> Documents:
    """Return documents as the rankers of words read them."""
    return Documents(rows_of(inputs.matrix, len(inputs)), inputs.texts)


def with_network(
    task: Task,
    inputs: Inputs,
    held: np.ndarray | None,
    documents: Documents,
    new: Documents | None,
    seed: int,
    checkpoints: Checkpoints | None,
) -> tuple[FittedModel, Documents, Documents | None]:
    """Train the network on what is not held out.

    Returns
    -------
    model : FittedModel
    documents : Documents
        With the encoder's vectors of all, those held out too, where a ranker compares them: no
        document goes through a frozen one again.
    new : Documents or None
        As the network represents them.
    """
    from lightxml.fitting.network import fit_network

    learned = rest(task.labels.matrix, held)
    trained = fit_network(task.only(learned), inputs.only(learned), seed, checkpoints, None)
    if new is not None:
        new = represented(trained.model, replace(new, encoded=trained.new))
    if (summaries := trained.learned.summaries) is not None:
        vectors = np.empty((len(documents), summaries.shape[2]), dtype=summaries.dtype)
        vectors[learned] = summaries[:, -1]
        if held is not None:
            assert trained.new is not None
            assert trained.new.summaries is not None
            vectors[held] = trained.new.summaries[:, -1]
        documents = replace(documents, vectors=vectors)
    elif trained.model.vector_reader is not None and decisions.COMPARE & set(task.rankers):
        documents = with_vectors(trained.model, documents, task)
        if new is not None and held is not None:
            assert documents.vectors is not None
            new = replace(new, vectors=documents.vectors[held])
        elif new is not None:
            new = with_vectors(trained.model, new, task)
    return trained.model, documents, new


def with_encoder(model: FittedModel, source: Any, params: dict[str, Any]) -> FittedModel:
    """Return the model with a frozen encoder, for its vectors alone."""
    from lightxml.network.encoders import build_encoder
    from lightxml.network.text_reader import frozen_encoder

    encoder = build_encoder(source, [], **decisions.of_encoder(params))
    model = replace(model, encoder=frozen_encoder(encoder), tokenizer=encoder.tokenizer)
    place(model, params["precision"], params["device"])
    return model


def with_vectors(model: FittedModel, documents: Documents, task: Task) -> Documents:
    """Return documents with the encoder's vectors."""
    from lightxml.fitting.network import vectors_of

    assert documents.texts is not None
    vectors = vectors_of(model, list(documents.texts), task.params, task.ranks)
    return replace(documents, vectors=vectors)


def label_vectors(task: Task, model: FittedModel) -> np.ndarray | None:
    """Return the encoder's vectors of the labels' texts, label by label; None without."""
    texts = task.label_texts
    if not isinstance(texts, tuple) or model.vector_reader is None:
        return None
    from lightxml.fitting.network import vectors_of

    flat = [text for each in texts for text in each]
    return vectors_of(model, flat, task.params, task.ranks)


def keep_in(checkpoints: Checkpoints) -> Keep:
    """Return what keeps linear classifiers beside the checkpoints of the network."""

    def keep(name: str, fit: Callable[[], Linear]) -> Linear:
        part = checkpoints.part(name, lambda: Part(*fit().describe()))
        return Linear.made_of(part.settings, part.arrays)

    return keep


def held_out_rows(task: Task, documents: Documents, seed: int) -> np.ndarray | None:
    """Return which documents early stopping and the final ranker are to go by, rising.

    None where others are given, where neither needs any, and where `fit_panel` draws them itself
    (without a network).
    """
    n_documents, fraction = len(documents), task.params["validation_fraction"]
    learns = task.params["final_ranker"] is not None or task.params["early_stopping"]
    if task.validation is not None or not learns:
        return None
    is_auto = decisions.is_auto(fraction)
    if is_auto and "network" not in task.rankers:
        return None
    n = min(n_held_out(n_documents), n_documents // 5)
    if not is_auto:
        n = int(fraction) if fraction >= 1 else round(fraction * n_documents)
    rows = draw_held_out(documents, max(n, 1), np.random.default_rng([seed, 1]))
    if task.labels.matrix[rest(task.labels.matrix, rows)].nnz == 0:
        raise ValueError(
            f"validation_fraction={fraction} holds {len(rows)} of {n_documents} documents out, and "
            "none with a label is left to learn from. Lower it, or pass X_val and y_val."
        )
    return rows


def rest(y: sp.csr_array, rows: np.ndarray | None) -> np.ndarray:
    """Return the numbers of the documents that are not among these."""
    numbers = np.arange(y.shape[0])
    return numbers if rows is None else np.setdiff1d(numbers, rows)


def without_network(panel: Panel) -> Panel:
    """Return a panel that can be sent to other processes, which have the network themselves."""
    rankers = tuple(r for r in panel.rankers if r.name != "network")
    return replace(panel, rankers=rankers)
