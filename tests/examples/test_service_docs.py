"""docs/service.md is true: its requests work, its code runs."""

from __future__ import annotations

import base64
import json
import re
import secrets
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from tests.media import read_video, tone, write_song
from tests.service import ROOT, Service

TEXT = (ROOT / "docs/service.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.M | re.S)


def block(language: str, containing: str) -> str:
    [found] = [text for kind, text in BLOCKS if kind == language and containing in text]
    return str(found)


@pytest.mark.debian("redis-server")
def test_first_video_with_curl(service: Service, tmp_path: Path) -> None:
    write_song(tmp_path / "song.wav", tone(1.0))
    script = block("sh", "/load-audio").replace("http://127.0.0.1:8000", service.url)
    done = subprocess.run(
        ("bash", "-euo", "pipefail", "-c", script), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert '"status":"completed"' in done.stdout
    assert len(read_video(tmp_path / "my_video.mp4").pts) == 30
    assert (tmp_path / "poster.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.debian("redis-server")
def test_other_requests_with_curl(service: Service, tmp_path: Path) -> None:
    with service.client() as client:
        config = {"width": 64, "height": 64, "duration": 60}
        system = client.post("/create", json={"particle_type": "snow", "config": config}).json()["system_id"]
        job = client.post(f"/systems/{system}/render", json={}).json()["job_id"]
    words = f"api={service.url}/particles system={system} job={job}\n"
    script = words + block("sh", "/frame?t=").replace("curl -s", "curl -sf")
    done = subprocess.run(
        ("bash", "-euo", "pipefail", "-c", script), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    with service.client() as client:  # first of all: the service renders on for other tests
        for each in client.get("/jobs", params={"system_id": system}).json():
            assert client.post(f"/jobs/{each['job_id']}/cancel").is_success
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "frame.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def message() -> Any:
    names: dict[str, Any] = {}
    exec(compile(block("python", "webhook-signature"), "docs/service.md", "exec"), names)
    return names["message"]


SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
BODY = json.loads(block("json", "job.completed"))


def signed(sent: datetime) -> tuple[bytes, dict[str, str]]:
    body = json.dumps(BODY)
    headers = {
        "webhook-id": "1",
        "webhook-timestamp": str(int(sent.timestamp())),
        "webhook-signature": f"v1,another {Webhook(SECRET).sign('1', sent, body)}",
    }
    return body.encode(), headers


def test_documented_signature_check_accepts_a_signed_message(message: Any) -> None:
    assert message(*signed(datetime.now(UTC)), SECRET) == BODY


@pytest.mark.parametrize("sent", [timedelta(hours=-1), timedelta(hours=1)])
def test_documented_signature_check_refuses_an_old_message(message: Any, sent: timedelta) -> None:
    with pytest.raises(ValueError, match="too old"):
        message(*signed(datetime.now(UTC) + sent), SECRET)


def test_documented_signature_check_refuses_a_changed_message(message: Any) -> None:
    body, headers = signed(datetime.now(UTC))
    with pytest.raises(ValueError, match="not from Motes"):
        message(body + b" ", headers, SECRET)
