"""What a fit says while it runs: a bar with ``verbose=1``, and a warning when it will take long."""

from __future__ import annotations

import sys
import time
import warnings
from types import TracebackType
from typing import Any

from tqdm.auto import tqdm

from lightxml.exceptions import LongFitWarning

_LONG = 3600.0  # seconds after which an unasked-for warning is worth its noise
_LINE_EVERY = 30.0  # seconds between two lines where there is no terminal to redraw
_IN_NOTEBOOK = any(base.__module__ == "tqdm.notebook" for base in tqdm.__mro__)
_TRIAL_STEPS = 5  # steps timed for the estimate; the first, with its warm-up, is not among them


class Progress:
    """Count documents and steps, estimate the time left, and say both where wanted.

    Used as a context manager around the training loop.

    Parameters
    ----------
    n_documents, n_labels, n_steps, max_epochs : int
    on_cpu : bool
        Whether the advice for a CPU fits.
    verbose : int
        0: only the warning before a long fit; 1: a bar as well, on standard error, or lines
        now and then where that is no terminal.
    """

    def __init__(
        self,
        *,
        n_documents: int,
        n_labels: int,
        n_steps: int,
        max_epochs: int,
        on_cpu: bool,
        verbose: int,
    ) -> None:
        self._what = (
            f"{n_documents:,} documents, {n_labels:,} labels, {n_steps:,} steps in "
            f"{max_epochs} epochs"
        )
        self._n_steps = n_steps
        self._on_cpu = on_cpu
        self._verbose = verbose
        self._as_bar = sys.stderr.isatty() or _IN_NOTEBOOK
        self._interval = 0.5 if self._as_bar else _LINE_EVERY
        self._step = 0
        self._timed_from = 0.0
        self._shown_at = time.monotonic()
        self._bar: Any = tqdm(
            total=n_documents * max_epochs,
            unit="doc",
            disable=verbose < 1 or not self._as_bar,
            bar_format="{percentage:3.0f}% |{bar}| {rate_fmt}, {remaining} left{postfix}",
            dynamic_ncols=True,
        )

    def __enter__(self) -> Progress:
        self._say(self._what)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    @property
    def wants_estimate(self) -> bool:
        """Whether this step's end is when the estimate is made (a GPU must be waited for)."""
        return self._step in (0, _TRIAL_STEPS)

    @property
    def wants_values(self) -> bool:
        """Whether it is time to show the loss: reading it makes a GPU wait."""
        return self._verbose > 0 and time.monotonic() - self._shown_at >= self._interval

    def step(self, n_documents: int) -> None:
        """Count one finished optimizer step."""
        if self._step == 0:
            self._timed_from = time.monotonic()
        elif self._step == _TRIAL_STEPS:
            a_step = (time.monotonic() - self._timed_from) / _TRIAL_STEPS
            self._announce(a_step * self._n_steps)
        self._step += 1
        self._bar.update(n_documents)

    def show(self, values: dict[str, str]) -> None:
        """Show these values: beside the bar, or as a line of their own in a log."""
        self._shown_at = time.monotonic()
        if self._as_bar:
            self._bar.set_postfix(values, refresh=False)
        else:
            named = ", ".join(f"{name} {value}" for name, value in values.items())
            self._say(f"step {self._step:,} of {self._n_steps:,}, {named}")

    def _say(self, text: str) -> None:
        if self._verbose:
            self._bar.write(f"lightxml: {text}", file=sys.stderr)

    def _announce(self, seconds: float) -> None:
        estimate = f"about {_in_words(seconds)} in all"
        self._say(estimate)
        if seconds > _LONG and self._on_cpu:
            warnings.warn(
                f"This fit takes {estimate} on this CPU ({self._what}). Quick instead: "
                "encoder='tiny', a smaller pretrained encoder, max_length=128, fewer max_epochs; "
                "or a machine with a GPU.",
                LongFitWarning,
                stacklevel=6,  # the caller of LightXMLClassifier.fit
            )


def _in_words(seconds: float) -> str:
    for unit, size in (("weeks", 604_800), ("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 1):.0f} seconds"
