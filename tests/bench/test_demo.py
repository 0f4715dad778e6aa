"""What ``bench/demo.py`` reads from the output of ``make demo``."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.demo import PHASES, copy_tracked, phases

ROOT = Path(__file__).parents[2]
NOW = """\
Creating .venv with Python 3.11.7
  2.1 s
Installing the compiler
  unpacking
  3.3 s
Installing the packages that requirements.lock pins; kernels are compiled meanwhile, for this processor
  unpacking
  7.9 s
Installing Motes from this folder
  1.2 s
Waiting for kernels
  0.1 s
ready after 11 s
.venv/bin/python -m services.cli.demo out
song     out/demo.wav
service  http://127.0.0.1:1/docs, while it lasts
video    out/demo.mp4  (600 frames in 20.0 s)
poster   out/demo.png
"""
BEFORE = (
    """\
python3.11 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
.venv/bin/python -m ecs_core.warmup
"""
    + "kernels ready for snow (9.0 s)\n"
    + NOW[NOW.index("song ") :]
)


@pytest.mark.parametrize("output", [NOW, BEFORE], ids=["now", "before"])
def test_every_phase_is_found(output: str) -> None:
    lines = [(float(at), line) for at, line in enumerate(output.splitlines(), 1)]
    found = phases(lines)
    assert list(found) == [name for name, _ in PHASES]
    assert sum(found.values()) == len(lines)


def test_copy_has_only_tracked_files(tmp_path: Path) -> None:
    copy_tracked(ROOT, tmp_path / "copy")
    assert (tmp_path / "copy/Makefile").read_bytes() == (ROOT / "Makefile").read_bytes()
    assert not list((tmp_path / "copy").rglob("__pycache__"))
    assert not (tmp_path / "copy/.venv").exists()
