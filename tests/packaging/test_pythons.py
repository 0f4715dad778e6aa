"""Every package that a lock pins has a wheel for every Python, so that no one needs a compiler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT

pytestmark = pytest.mark.campaign


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_wheels_exist(lock: str, python: str, tmp_path: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    options = ("--dry-run", "--only-binary", ":all:", "--python-version", python, "--target", tmp_path)
    platform = ("--python-platform", "x86_64-manylinux_2_28")  # Debian 10, RHEL 8 and later
    command = (uv, "pip", "install", *options, *platform, "--requirement", ROOT / lock)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert " + numpy==" in done.stderr
