"""The API loads neither FFmpeg nor a compiler: not when it is made, and not when it checks what clients send."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.service import ROOT, environment_of
from tests.services.media.asset_examples import video

HEAVY = {"av", "librosa", "llvmlite", "numba", "scipy.ndimage"}
_SCRIPT = """
import json, sys
from fastapi.testclient import TestClient
from services.api import create_app

def loaded():
    return sorted(sys.modules)

app = create_app()
made = loaded()
with TestClient(app, base_url="http://127.0.0.1") as client:
    config = {"bindings": [{"source": "bass", "target": "size"}]}
    film = client.post("/particles/assets", files={"file": ("a.mp4", open(sys.argv[1], "rb"))}).json()["reference"]
    backdrop = {"kind": "video", "file": film}
    answers = [
        client.post("/particles/create", json={"particle_type": "snow", "config": {"backdrop": backdrop}}),
        client.post("/particles/create", json={"particle_type": "snow", "config": config}),
        client.get("/particles/types"),
        client.get("/particles/health"),
    ]
print(json.dumps([made, loaded(), [answer.status_code for answer in answers]]))
"""


def test_api_imports_neither_ffmpeg_nor_numba(tmp_path: Path) -> None:
    environment = environment_of(tmp_path, {"MOTES_REDIS_URL": "redis://127.0.0.1:1/0"})
    (tmp_path / "film.mp4").write_bytes(video())
    command = [sys.executable, "-c", _SCRIPT, str(tmp_path / "film.mp4")]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made, used, statuses = json.loads(done.stdout)
    assert statuses == [200, 200, 200, 200]
    assert "sqlalchemy" in made
    assert HEAVY.isdisjoint(made)
    assert HEAVY.isdisjoint(used)


_LOADING = """
import json, os, sys
from services.cli import serve
serve._load()
print(json.dumps([sorted(sys.modules), len(os.listdir("/proc/self/task"))]))
"""


def test_serve_forks_single_threaded_without_ffmpeg_or_numba(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _LOADING]
    environment = {name: value for name, value in environment_of(tmp_path).items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded, threads = json.loads(done.stdout)
    assert {"services.api.app", "services.worker.main"} <= set(loaded)
    assert (HEAVY | {"redis", "arq", "alembic"}).isdisjoint(loaded)
    assert threads == 1
