"""``lightxml serve`` as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def served(model: Path, *options: Any) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start the command on a free port; give its address, once it is ready, and its process."""
    command = [sys.executable, "-m", "lightxml", "serve", str(model), "--port", "0"]
    command += map(str, options)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            lines = [process.stdout.readline() for _ in range(3)]  # type: ignore[union-attr]
            assert lines[2].startswith("Open http://"), (lines, process.communicate()[1])
            yield lines[2].removeprefix("Open ").strip(), process
        finally:
            process.kill()
