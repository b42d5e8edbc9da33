"""The package's own exception and warning classes, each a subclass of a standard one."""

from __future__ import annotations


class BundleError(ValueError):
    """A saved model is damaged, incomplete, of another format, or unsafe.

    The message begins with the name of the file at fault.
    """


class EncoderUnavailableError(OSError):
    """The encoder is neither a readable local folder nor to be had from the hub."""


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
