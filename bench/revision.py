"""The files of another revision of this repository, to measure it beside this one."""

from __future__ import annotations

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parents[1]


def export(revision: str, folder: Path) -> None:
    """Write the files of a revision to a folder.

    Raises:
        CalledProcessError: there is no such revision.
    """
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
