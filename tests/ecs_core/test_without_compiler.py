"""Kernels and systems are plain Python, too: their tests pass where nothing is compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.campaign
def test_kernels_and_systems_pass_without_compiler() -> None:
    paths = [HERE / name for name in ("kernels", "systems", "raster", "ecs/test_rng.py")]
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not compiled", *paths)
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
