"""The package's exception and warning classes, and how a warning finds the caller's line.

Each class is a subclass of a standard one.
"""

from __future__ import annotations

import sys
import warnings

# What may stand between a warning and the line of the user's that it is about.
_NOT_THE_CALLER = {"lightxml", "sklearn", "joblib", "torch", "contextlib", "threading"}


class BundleError(ValueError):
    """A saved model is damaged, incomplete, of another format, or unsafe.

    The message begins with the name of the file at fault.
    """


class EncoderUnavailableError(OSError):
    """The encoder is neither a readable local folder nor to be had from the hub."""


class HubError(OSError):
    """The hub cannot be reached, has no such model, or does not let you read or write it."""


class NonFiniteLossError(RuntimeError):
    """The training loss became NaN or infinite; the estimator keeps its previous fit.

    Attributes
    ----------
    step : int
        The optimizer step, from 1.
    documents : list of int
        The step's documents, as numbers of ``X``'s rows.
    """

    def __init__(self, message: str, *, step: int = 0, documents: list[int] | None = None) -> None:
        super().__init__(message)
        self.step = step
        self.documents = documents or []


class DeviceMemoryError(RuntimeError):
    """The GPU's memory was not enough for the fit; the estimator keeps its previous fit."""


class CheckpointError(ValueError):
    """The checkpoints of a fit cannot be used; the message says what to do."""


class CheckpointWarning(UserWarning):
    """A checkpoint is damaged, could not be written, or soon cannot be; the fit goes on."""


class LongFitWarning(UserWarning):
    """The fit that has just begun will take hours or more on this machine."""


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line outside this package, and outside the libraries around it, that called.

    Whatever the number of calls in between: a ``Pipeline`` or a grid search may be among them.
    (``warnings.warn`` can do so by itself from Python 3.12 on.)
    """
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and _package_of(frame.f_globals) in _NOT_THE_CALLER:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _package_of(names: dict[str, object]) -> str:
    return str(names.get("__name__")).partition(".")[0]
