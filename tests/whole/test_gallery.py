"""Every script of the gallery runs as it stands, without a network and without a warning."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

GALLERY = Path(__file__).parents[2] / "examples" / "gallery"
SCRIPTS = sorted(GALLERY.glob("plot_*.py"))


def test_the_gallery_is_there() -> None:
    assert SCRIPTS  # or nothing below would run


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_of_the_gallery_runs_without_a_warning(script: Path, tmp_path: Path) -> None:
    environment = os.environ | {
        "MPLBACKEND": "Agg",
        "TMPDIR": str(tmp_path),  # what a script saves goes with the test
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",  # threads that wait for a busy core cost minutes
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
