"""What a fit says while it runs: a bar with ``verbose=1``, and a warning when it will take long."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from tqdm.auto import tqdm

from lightxml.exceptions import LongFitWarning, warn

_LONG = 3600.0  # seconds after which an unasked-for warning is worth its noise
_LINE_EVERY = 30.0  # seconds between two lines where there is no terminal to redraw
_IN_NOTEBOOK = any(base.__module__ == "tqdm.notebook" for base in tqdm.__mro__)
_TRIAL_STEPS = 5  # steps timed for the estimate; the first, with its warm-up, is not among them


class Progress:
    """Count documents, estimate the time in all, and say both where wanted.

    Used as a context manager around a loop over batches.

    Parameters
    ----------
    what : str
        The work ahead, in words.
    n_documents : int
        Documents to count, each as often as it comes.
    work : int, optional
        What the time grows with, such as tokens; without it, the documents.
    on_cpu : bool
        Whether the advice for a CPU fits.
    reads_tokens : bool
        Whether an encoder reads the documents, so that advice about it fits.
    unit : str
        What is counted, where it is no documents.
    verbose : int
        0: only the warning before a long fit; 1: a bar as well, on standard error, or lines
        now and then where that is no terminal.
    """

    def __init__(
        self,
        what: str,
        *,
        n_documents: int,
        work: int | None = None,
        on_cpu: bool,
        reads_tokens: bool = True,
        unit: str = "document",
        verbose: int,
    ) -> None:
        self._what = what
        self._n_documents = n_documents
        self._work = work or n_documents
        self._on_cpu = on_cpu
        self._reads_tokens = reads_tokens
        self._unit = unit
        self._verbose = verbose
        self._as_bar = sys.stderr.isatty() or _IN_NOTEBOOK
        self._interval = 0.5 if self._as_bar else _LINE_EVERY
        self._step = self._documents_done = self._work_done = 0
        self._timed_from = 0.0
        self._shown_at = time.monotonic()
        self._bar: Any = tqdm(
            total=n_documents,
            unit="doc" if unit == "document" else unit,
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

    @property
    def wants_epoch(self) -> bool:
        """Whether to show an epoch's end: in a log not each of many short ones."""
        return self._verbose > 0 and (self._as_bar or self.wants_values)

    def step(self, n_documents: int, work: int | None = None) -> None:
        """Count one finished step, of so many documents and so much work."""
        if self._step == 0:
            self._timed_from = time.monotonic()
        else:
            self._work_done += work or n_documents
            if self._step == _TRIAL_STEPS:
                seconds = time.monotonic() - self._timed_from
                self._announce(seconds * self._work / self._work_done)
        self._step += 1
        self._documents_done += n_documents
        self._bar.update(n_documents)
        if work is not None and self.wants_values:
            self.show({})

    def show(self, values: dict[str, str]) -> None:
        """Show these values: beside the bar, or as a line of their own in a log."""
        self._shown_at = time.monotonic()
        if self._as_bar:
            self._bar.set_postfix(values, refresh=False)
        else:
            done = f"{self._documents_done:,} of {self._n_documents:,} {self._unit}s"
            named = (f"{name} {value}" for name, value in values.items())
            self._say(", ".join([done, *named]))

    def _say(self, text: str) -> None:
        say(text, verbose=self._verbose)

    def _announce(self, seconds: float) -> None:
        estimate = f"about {_in_words(seconds)} in all"
        self._say(estimate)
        if seconds > _LONG and self._on_cpu:
            smaller = "fewer max_epochs, a smaller feature_dim"
            if self._reads_tokens:
                smaller = (
                    "words alone (encoder=None, features=TfidfVectorizer()), freeze_encoder=True, "
                    "max_length=128, fewer max_epochs"
                )
            warn(
                f"This fit takes {estimate} on this CPU ({self._what}). Quick instead: {smaller}; "
                "or a machine with a GPU.",
                LongFitWarning,
            )


def say(text: str, *, verbose: int) -> None:
    """Write a line on standard error, above a bar that may be there; with `verbose` 0, none."""
    if verbose:
        tqdm.write(f"lightxml: {text}", file=sys.stderr)


def _in_words(seconds: float) -> str:
    for unit, size in (("weeks", 604_800), ("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 1):.0f} seconds"
