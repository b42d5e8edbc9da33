"""The estimator's arguments, checked together at the start of `fit`."""

from __future__ import annotations

import copy
import os
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_scalar

from lightxml.encoders import EncoderConfig

# The paper's, for a trained encoder.
DEFAULT_EPOCHS = 20
DEFAULT_BATCH_SIZE = 16
# A head trained from nothing wants a larger rate than an encoder that is already good.
DEFAULT_HEAD_LEARNING_RATE = 2e-3


def check_params(params: dict[str, Any]) -> None:
    """Check every constructor argument that can be judged before the data is seen.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what was found and what is expected.
    """
    for name, low in (("max_length", 1), ("n_feature_layers", 1), ("accumulate", 1)):
        check_scalar(params[name], name, Integral, min_val=low)
    for name in ("max_epochs", "batch_size", "swa_every"):
        if not is_auto(params[name]):
            check_scalar(params[name], name, Integral, min_val=1)
    check_scalar(params["verbose"], "verbose", Integral, min_val=0)
    check_scalar(
        params["dropout"], "dropout", Real, min_val=0, max_val=1, include_boundaries="left"
    )
    check_scalar(
        params["learning_rate"], "learning_rate", Real, min_val=0, include_boundaries="neither"
    )
    if not is_auto(params["head_learning_rate"]):
        check_scalar(
            params["head_learning_rate"],
            "head_learning_rate",
            Real,
            min_val=0,
            include_boundaries="neither",
        )
    check_scalar(params["weight_decay"], "weight_decay", Real, min_val=0)
    if params["swa_start"] is not None:
        check_scalar(
            params["swa_start"], "swa_start", Real, min_val=0, max_val=1, include_boundaries="left"
        )
    if not isinstance(params["se_block"], (bool, np.bool_)):
        raise TypeError(f"se_block is {params['se_block']!r}; expected True or False.")
    _check_choice(params, "schedule", ("linear", "constant"))
    _check_choice(params, "precision", ("auto", "bf16", "fp32"))
    encoder = params["encoder"]
    if not isinstance(encoder, (str, os.PathLike, EncoderConfig)):
        raise TypeError(
            f"encoder is {encoder!r} ({type(encoder).__name__}); expected 'auto', 'tiny', a hub "
            "name, a local folder or a transformers config."
        )
    if not isinstance(params["device"], (str, torch.device)):
        raise TypeError(
            f"device is {params['device']!r}; expected 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'."
        )


def draw_seed(random_state: Any) -> int:
    """Return a seed from an int, a RandomState or None, without changing the caller's object.

    Unlike scikit-learn, a ``RandomState`` is copied before it is drawn from, so that the
    caller's own keeps its state and a second fit repeats the first.
    """
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    return int(check_random_state(copy.deepcopy(random_state)).randint(2**31 - 1))


def is_auto(value: Any) -> bool:
    """Tell the string ``"auto"`` from a number."""
    return isinstance(value, str) and value == "auto"


def _check_choice(params: dict[str, Any], name: str, choices: tuple[str, ...]) -> None:
    if not isinstance(params[name], str) or params[name] not in choices:
        expected = ", ".join(map(repr, choices))
        raise ValueError(f"{name} is {params[name]!r}; expected one of {expected}.")
