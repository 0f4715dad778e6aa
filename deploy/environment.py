"""``make setup``: a virtual environment with the versions that a lock pins, Motes in it, and its kernels compiled.

    python3 deploy/environment.py .venv requirements.lock

Needs nothing but Python's standard library. Run again, it installs what is new in the lock. It reports its progress
line by line, because a first run downloads some 200 MB.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DOWNLOAD = re.compile(r"\s*(?:Downloading|Using cached) (\S+?)-\S+ \(([\d.]+) (kB|MB|bytes)\)")
_MB = {"MB": 1.0, "kB": 1e-3, "bytes": 1e-6}
_COMPILE = "from ecs_core.kernels.compilation import compile_missing; compile_missing()"
_LARGE = 1.0  # MB: smaller downloads get no line of their own


def main(folder: Path, lock: Path) -> int:
    """Make the environment in ``folder`` or bring it up to date; returns the exit code."""
    began = time.monotonic()
    python = folder / "bin/python"
    if not (folder / "bin/pip").exists():  # pip is the last that venv writes
        with _phase(f"Creating {folder} with Python {sys.version.split()[0]}"):
            venv.create(folder, with_pip=True, symlinks=True)
    # Modules are compiled to bytecode when they are first imported, which most of them never are: --no-compile. Where
    # nothing may be written then, as this variable asks, they would be compiled at every start, for seconds.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # setuptools is in the lock, so that building Motes needs no environment of its own: --no-build-isolation.
    compiler = None
    with _phase("Installing the compiler"):
        code = _pip(python, "--no-compile", "--constraint", str(lock), "numba")
    if code == 0:
        compiler = subprocess.Popen([python, "-c", _COMPILE])  # while pip waits for the network
        with _phase(f"Installing the packages that {lock} pins; kernels are compiled meanwhile, for this processor"):
            code = _pip(python, "--no-compile", "--requirement", str(lock))
    if code == 0:
        with _phase("Installing Motes from this folder"):
            code = _pip(python, "--no-compile", "--no-deps", "--no-build-isolation", "--editable", ".")
    if compiler is not None:
        with _phase("Waiting for kernels"):
            code = compiler.wait() or code
    print("failed" if code else "ready", f"after {time.monotonic() - began:.0f} s", flush=True)
    return code


@contextmanager
def _phase(name: str) -> Iterator[None]:
    print(name, flush=True)
    began = time.monotonic()
    yield
    print(f"  {time.monotonic() - began:.1f} s", flush=True)


def _pip(python: Path, *arguments: str) -> int:
    """Run ``pip install``, show its large downloads and errors; returns its exit code."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "off", *arguments]
    downloaded = 0.0
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            if found := _DOWNLOAD.match(line):
                size = float(found[2]) * _MB[found[3]]
                downloaded += size
                if size >= _LARGE:
                    print(f"  {found[1]}: {size:.0f} MB", flush=True)
            elif line.startswith("Installing collected packages"):
                print(f"  unpacking ({downloaded:.0f} MB downloaded)" if downloaded else "  unpacking", flush=True)
    return pip.returncode


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - told to people who run it with an older one
        sys.exit("Motes needs Python 3.11 or newer")
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
