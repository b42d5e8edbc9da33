"""From the estimator's arguments and the caller's data to a fitted model."""

from __future__ import annotations

import gc
import sys
import traceback
from pathlib import Path
from typing import Any

from lightxml.data.random import draw_seed
from lightxml.exceptions import DeviceMemoryError
from lightxml.fitting import decisions
from lightxml.fitting.rankers import fit_rankers
from lightxml.fitting.task import check_task, checkpoints_of
from lightxml.predicting.fitted import FittedModel
from lightxml.runtime.ranks import joined


def fit_model(
    params: dict[str, Any],
    X: Any,
    y: Any,
    X_val: Any = None,
    y_val: Any = None,
    label_texts: Any = None,
    kept: list[Path] | None = None,
    sample_weight: Any = None,
    earlier: FittedModel | None = None,
) -> FittedModel:
    """Check arguments and data, train the network, fit the rankers and the final one.

    Parameters
    ----------
    params : dict
        The arguments of `LightXMLClassifier`, by name.
    X, y, X_val, y_val, label_texts, sample_weight
        As `LightXMLClassifier.fit` takes them, with its errors.
    kept : list of Path, optional
        Where it is given, the checkpoints stay, and their folder is added to it.
    earlier : FittedModel, optional
        Of the last fit, from which a network is to go on. It stays as it is.

    Raises
    ------
    DeviceMemoryError
        If a GPU's memory is not enough; what the fit held there is free again.
    """
    try:
        return _fit_model(params, X, y, X_val, y_val, label_texts, kept, sample_weight, earlier)
    except _out_of_memory() as error:
        # The frames that the error came through hold the network and the batch.
        traceback.clear_frames(error.__traceback__)
        cause = str(error).strip().splitlines()[0]
    # Out here the error is gone, and what went round in circles with it can go too.
    gc.collect()
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    raise DeviceMemoryError(
        "The GPU's memory is not enough for this fit. Lower batch_size and raise accumulate by as "
        "much (the steps stay the same), or lower max_length; a smaller encoder or feature_dim "
        f"helps too. Cause: {cause}"
    )


def _fit_model(
    params: dict[str, Any],
    X: Any,
    y: Any,
    X_val: Any,
    y_val: Any,
    label_texts: Any,
    kept: list[Path] | None,
    sample_weight: Any,
    earlier: FittedModel | None,
) -> FittedModel:
    decisions.check_params(params)
    with joined(params["device"]) as ranks:
        if not ranks.is_first:
            params = {**params, "verbose": 0}
        task = check_task(params, X, y, X_val, y_val, label_texts, sample_weight, ranks, earlier)
        seed = ranks.from_first(lambda: draw_seed(params["random_state"]))
        with checkpoints_of(task, seed, kept) as checkpoints:
            if checkpoints is not None:
                seed = checkpoints.seed
            if task.rankers == ("network",):
                from lightxml.fitting.network import fit_network_alone

                model = fit_network_alone(task, seed, checkpoints)
            else:
                model = fit_rankers(task, seed, checkpoints)
            ranks.gather(None)  # all are done before the checkpoints are deleted
            return model


def _out_of_memory() -> tuple[type[Exception], ...]:
    """Return torch's error for it; none where torch was not needed."""
    torch = sys.modules.get("torch")
    return () if torch is None else (torch.OutOfMemoryError,)
