"""``motes serve`` as an operator sees it: a line of the log for what matters, and where Prometheus finds everything."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.media import tone, write_song
from tests.service import Service, reserved_port, serving, wait_for

pytestmark = pytest.mark.debian("redis-server")
TITLE, SECRET = "Hush Now", "t0psecret"


class Refusing(BaseHTTPRequestHandler):
    """A receiver of webhooks that wants none."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(410)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def receiver() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook?token={SECRET}"
        server.shutdown()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    environment = {
        "MOTES_METRICS_PORT": str(reserved_port()),
        "MOTES_WEBHOOK_PRIVATE_TARGETS": "true",
        "MOTES_AUTH": "off",
    }
    with serving(tmp_path_factory.mktemp("logs"), environment=environment) as service:
        yield service


def lines(service: Service) -> list[dict[str, Any]]:
    return [json.loads(line) for line in service.log.splitlines()]


def test_job_can_be_traced_in_logs_without_titles_or_secrets(service: Service, receiver: str, tmp_path: Path) -> None:
    song = write_song(tmp_path / f"{TITLE}.wav", tone(2.0))
    with service.client() as client:
        upload = client.post("/audio", files={"file": (f"{TITLE}.wav", song.read_bytes())}).raise_for_status().json()
        assert client.post("/audio", files={"file": (f"{TITLE}.mp3", b"none")}).status_code == 415
        client.get(f"/jobs/{TITLE}", params={"key": SECRET, "title": TITLE})
        config = {"width": 160, "height": 90, "duration": "audio"}
        system = client.post("/create", json={"particle_type": "snow", "config": config}).json()["system_id"]
        load = {"audio_path": upload["audio_path"]}
        client.post(f"/systems/{system}/load-audio", params=load).raise_for_status()
        body = {"output_path": f"{TITLE}.mp4", "webhook_url": receiver}
        rendered = client.post(f"/systems/{system}/render", json=body, headers={"X-Request-ID": "from-the-client"})
        job = rendered.raise_for_status().json()["job_id"]
        wait_for(lambda: client.get(f"/jobs/{job}").json()["status"] == "completed")
        # One that fails: its song is gone.
        for file in (service.folder / "data/storage/audio").iterdir():
            file.unlink()
        other = client.post(f"/systems/{system}/render", json=body | {"seed": 2}).raise_for_status().json()["job_id"]
        wait_for(lambda: client.get(f"/jobs/{other}").json()["status"] == "failed")
        wait_for(lambda: sum("was not delivered" in line["message"] for line in lines(service)) == 2)

    of_job = [line for line in lines(service) if line.get("job") == job]
    submitted = next(line for line in of_job if line["message"] == "render submitted")
    assert submitted["request"] == "from-the-client"
    route = "/particles/systems/{system_id}/render"
    [request] = [line for line in lines(service) if line.get("request") == "from-the-client" and "route" in line]
    assert (request["method"], request["route"], request["status"], request["system"]) == ("POST", route, 202, system)
    segments = [line for line in of_job if line.get("kind") == "segment"]
    assert {line["segment"] for line in segments} == {str(number) for number in range(len(segments))}
    assert all(line["attempt"] == "1" and line["task"] for line in segments)
    assert any(line["message"] == "render completed" for line in of_job)
    assert any(line["level"] == "error" and line.get("job") == other for line in lines(service))
    assert TITLE not in service.log
    assert SECRET not in service.log


def test_prometheus_targets_are_written(service: Service) -> None:
    told = json.loads((service.folder / "data/prometheus.json").read_text())
    assert [each["labels"] for each in told] == [{"process": "api"}, {"process": "worker", "worker": "1"}]
    for each, metric in zip(told, ("motes_http_requests_total", "motes_worker_slots"), strict=True):
        [target] = each["targets"]
        assert metric in httpx.get(f"http://{target}/metrics", trust_env=False).raise_for_status().text
