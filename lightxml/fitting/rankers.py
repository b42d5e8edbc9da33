"""How several rankers are fitted, and the final one that weighs their opinions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from lightxml.data.inputs import Inputs
from lightxml.fitting import decisions
from lightxml.fitting.rare_labels import preference
from lightxml.fitting.task import Task
from lightxml.predicting.fitted import FittedModel, represented, rows_of
from lightxml.rankers.base import Documents
from lightxml.rankers.fit_panel import fit_panel
from lightxml.rankers.held_out import draw_held_out, n_held_out
from lightxml.rankers.panel import Panel

if TYPE_CHECKING:
    from lightxml.training.checkpoints import Checkpoints


def fit_rankers(task: Task, seed: int, checkpoints: Checkpoints | None) -> FittedModel:
    """Learn what several rankers are to rank, and the final one that weighs their opinions.

    A network comes first, and never learns from the documents held out. Its vectors of documents,
    where its encoder is frozen, are read by the rankers.
    """
    params, y = task.params, task.labels.matrix
    inputs = task.reader.fit(task.inputs)
    documents = Documents(rows_of(inputs.matrix, len(inputs)), inputs.texts)
    held = held_out_rows(task, documents, seed)
    model = FittedModel(task.reader, task.labels.classes, task.labels.form, None, None, [])
    make_network = None
    if "network" in task.rankers:  # the others are fitted without torch
        from lightxml.fitting.network import fit_network, ranker_of

        learned = inputs.only(rest(y, held))
        model = fit_network(held_from(task, inputs, held), learned, seed, checkpoints, None)
        make_network = ranker_of(model)
        if model.network is not None and model.network.is_frozen:
            documents = replace(documents, vectors=read(model, inputs, task).vectors)
    validation = held_out = None
    if params["final_ranker"] is not None and task.validation is not None:
        new = task.reader.featurize(task.validation[0])
        validation = read(model, new, task), task.validation[1]
    elif held is not None and params["final_ranker"] is not None:
        held_out = held, read(model, inputs.only(held), task)
    panel = task.ranks.from_first(
        lambda: without_network(
            fit_panel(
                documents,
                y,
                names=task.rankers,
                label_texts=task.label_texts,
                final_ranker=params["final_ranker"],
                validation=validation,
                held_out=held_out,
                network=make_network,
                seed=seed,
                n_jobs=params["n_jobs"],
            ).panel
        )
    )
    if make_network is not None:
        panel = replace(panel, rankers=(*panel.rankers, make_network(panel.counts > 0)))
    if weight := float(params["propensity_weight"]):
        panel = replace(panel, raised=preference(y, weight, unseen_as_one=True))
    texts = task.label_texts if isinstance(task.label_texts, tuple) else None
    return replace(model, panel=panel, label_texts=texts)


def read(model: FittedModel, inputs: Inputs, task: Task) -> Documents:
    """Return documents as the rankers read them, the network among them."""
    documents = Documents(rows_of(inputs.matrix, len(inputs)), inputs.texts)
    if model.network is None:
        return documents
    from lightxml.fitting.network import encoded

    return represented(
        model.network, replace(documents, encoded=encoded(model, inputs, task.params, task.ranks))
    )


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


def held_from(task: Task, inputs: Inputs, rows: np.ndarray | None) -> Task:
    """Return the task of the network, which does not learn from these documents."""
    if rows is None:
        return task
    y = task.labels.matrix
    labels = replace(task.labels, matrix=y[rest(y, rows)])
    return replace(task, labels=labels, validation=(inputs.only(rows), y[rows]))


def without_network(panel: Panel) -> Panel:
    """Return a panel that can be sent to other processes, which have the network themselves."""
    rankers = tuple(r for r in panel.rankers if r.name != "network")
    return replace(panel, rankers=rankers)
