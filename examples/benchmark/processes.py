"""Runs in a process of their own, each with a limit of its own."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    """What came of a process.

    Attributes
    ----------
    output, errors : str
        What it printed, also where it was ended.
    seconds : float
    over_budget : bool
        Whether it was ended because its time was up.
    failed : str or None
        The last line of its errors, if it ended with one; those above name folders.
    """

    output: str
    errors: str
    seconds: float
    over_budget: bool
    failed: str | None


def run(command: Sequence[str], budget: float, environment: Mapping[str, str]) -> Ended:
    """Run a command for at most so many seconds, with some more environment variables."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        # A session of its own, so that what it starts ends with it.
        process = subprocess.Popen(
            command, stdout=output, stderr=errors, text=True,
            start_new_session=True, env={**os.environ, **environment},
        )  # fmt: skip
        over = False
        try:
            process.wait(budget)
        except subprocess.TimeoutExpired:
            over = True
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 9)
                process.wait()
        seconds = time.monotonic() - began
        output.seek(0)
        errors.seek(0)
        told, failed = errors.read(), None
        if process.returncode and not over:
            lines = told.strip().splitlines() or [f"ended with status {process.returncode}"]
            failed = lines[-1][-300:]
        return Ended(output.read(), told, seconds, over, failed)
