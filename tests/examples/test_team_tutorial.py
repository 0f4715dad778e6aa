"""docs/tutorials/team-service.md is true: its commands run one after the other against a service that requires keys."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.media import read_video
from tests.service import ROOT, serving

BLOCKS = re.findall(
    r"^```sh\n(.*?)^```", (ROOT / "docs/tutorials/team-service.md").read_text(encoding="utf-8"), re.M | re.S
)


@pytest.mark.campaign  # a stack and ten commands; make test checks that each of its commands exists
@pytest.mark.debian("redis-server")
def test_service_for_a_team(tmp_path: Path, demo_song: Path) -> None:
    shutil.copy(demo_song, tmp_path / "song.wav")
    start, *rest = BLOCKS
    assert start.startswith("MOTES_AUTH=required motes serve")
    with serving(tmp_path, environment={"MOTES_AUTH": "required"}) as service:
        script = (
            "".join(rest).replace("http://127.0.0.1:8000", service.url).replace("/srv/motes", str(tmp_path / "data"))
        )
        script = script.replace("/mnt/backup/motes", str(tmp_path / "backup"))
        done = subprocess.run(
            ("bash", "-euo", "pipefail", "-c", script),
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "404" in done.stdout.split()
    assert len(read_video(tmp_path / "video.mp4").pts) == 90
    assert (tmp_path / "backup/motes.db").exists()
