"""The package's own exception and warning classes, each a subclass of a standard one."""

from __future__ import annotations


class BundleError(ValueError):
    """A saved model is damaged, incomplete, of another format, or unsafe.

    The message begins with the name of the file at fault.
    """


class EncoderUnavailableError(OSError):
    """The encoder is neither a readable local folder nor to be had from the hub."""


class NonFiniteLossError(RuntimeError):
    """The training loss became NaN or infinite; the estimator keeps its previous fit."""


class LongFitWarning(UserWarning):
    """The fit that has just begun will take hours or more on this machine."""
