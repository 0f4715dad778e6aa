"""examples/host_app.py: Motes within somebody else's application, with a real worker and a real Redis."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.fork_server import HANG
from tests.media import read_video
from tests.service import MOTES, ROOT, environment_of, reserved_port, running_redis, wait_for


@pytest.mark.debian("redis-server")
def test_host_application_serves_its_own_routes_and_motes(tmp_path: Path) -> None:
    port = reserved_port()
    api = (sys.executable, "-m", "uvicorn", "examples.host_app:app", "--port", str(port), "--log-level", "warning")
    with running_redis(tmp_path) as redis_url, (tmp_path / "log").open("w") as log:
        environment = environment_of(tmp_path, {"MOTES_REDIS_URL": redis_url})
        running = [
            subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
            for command in (api, (*MOTES, "worker", "--size", "1"))
        ]
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=HANG) as client:
                wait_for(lambda: client.get("/particles/health").json()["status"] == "healthy")
                assert client.get("/").json() == {"title": "Songs and what they look like", "videos": "/particles"}
                config = {"width": 160, "height": 90, "duration": 2.0}
                body = {"particle_type": "snow", "config": config}
                system = client.post("/particles/create", json=body).json()["system_id"]
                accepted = client.post(f"/particles/systems/{system}/render", json={"output_path": "snow.mp4"})
                where = accepted.headers["Location"]
                wait_for(lambda: client.get(where).json()["status"] == "completed")
                video = client.get(f"/particles/download/{accepted.json()['job_id']}")
                refused = client.post("/particles/create", json={"particle_type": "rain"})
                assert refused.status_code == 400
                assert refused.json()["detail"].startswith("Invalid particle type: rain. Available types: [")
                assert client.get("/particles/jobs/nope").json()["detail"] == "Job not found"
                assert "/particles/create" in client.get("/openapi.json").json()["paths"]
        finally:
            for process in running:
                process.terminate()
            codes = [process.wait(HANG) for process in running]
            print((tmp_path / "log").read_text())
    (tmp_path / "video.mp4").write_bytes(video.content)
    assert len(read_video(tmp_path / "video.mp4").pts) == 60
    assert codes[1] == 0
