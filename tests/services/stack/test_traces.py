"""Traces: from the request to the last segment, over processes, as a collector hears of them; without one, nothing."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.fork_server import ForkServer
from tests.media import tone, write_song
from tests.service import ROOT
from tests.services.stack.api_calls import SMALL, create, submit
from tests.services.stack.conftest import Stack, running_stack, until

pytestmark = pytest.mark.debian("redis-server")
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TITLE = "Hush Now"


@dataclass
class Collector:
    """What an OpenTelemetry collector was sent: spans, and the names of the services that they are of."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    services: set[str] = field(default_factory=set)

    def trace(self, trace: str) -> list[Span]:
        return [span for span in self.spans if span.trace_id.hex() == trace]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    found = Collector()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            for each in ExportTraceServiceRequest.FromString(body).resource_spans:
                found.services |= {a.value.string_value for a in each.resource.attributes if a.key == "service.name"}
                found.spans += [span for scope in each.scope_spans for span in scope.spans]
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found.url = f"http://127.0.0.1:{server.server_port}"
        yield found
        server.shutdown()


@pytest.fixture(scope="module")
def traced(
    tmp_path_factory: pytest.TempPathFactory, collector: Collector, forks: ForkServer, _redis: None
) -> Iterator[Stack]:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with running_stack(tmp_path_factory.mktemp("traced"), forks, **environment) as stack:
        yield stack


def about(span: Span) -> dict[str, Any]:
    return {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in span.attributes}


def test_spans_lead_from_the_request_to_the_last_segment(traced: Stack, collector: Collector, tmp_path: Path) -> None:
    song = write_song(tmp_path / f"{TITLE}.wav", tone(2.0))
    upload = traced.client.post("/audio", files={"file": (f"{TITLE}.wav", song.read_bytes())}).json()
    system = create(traced, "snow", **SMALL | {"duration": "audio"})
    for path in (TITLE, upload["audio_path"]):  # the first is refused
        answer = traced.client.post(f"/systems/{system}/load-audio", params={"audio_path": path})
        assert answer.is_success == (path != TITLE)
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "X-Request-ID": "the-request"}
    answer = traced.client.post(f"/systems/{system}/render", json={"output_path": f"{TITLE}.mp4"}, headers=headers)
    job = answer.raise_for_status().json()["job_id"]
    traced.wait_for(job, "completed")
    until(lambda: any(span.name == "join" for span in collector.trace(TRACE)), traced)

    spans = collector.trace(TRACE)
    [request] = [span for span in spans if span.kind == Span.SPAN_KIND_SERVER]
    assert request.name == "POST /particles/systems/{system_id}/render"
    assert request.parent_span_id.hex() == CALLER
    told = about(request)
    assert (told["http.response.status_code"], told["motes.request"]) == (202, "the-request")
    [submitted] = [span for span in spans if span.kind == Span.SPAN_KIND_PRODUCER]
    assert (submitted.name, submitted.parent_span_id, about(submitted)["motes.job"]) == (
        "submit video",
        request.span_id,
        job,
    )
    tasks = [span for span in spans if span.kind == Span.SPAN_KIND_CONSUMER]
    assert {span.parent_span_id for span in tasks} == {submitted.span_id}
    assert {about(span)["motes.job"] for span in tasks} == {job}
    segments = [about(span) for span in tasks if span.name == "segment"]
    assert {each["motes.segment"] for each in segments} == {str(number) for number in range(len(segments))}
    assert sorted({span.name for span in tasks}) == ["join", "plan", "segment", "sound"]
    assert len(segments) >= 2
    assert all(each["motes.seconds.rasterise"] > 0 and each["motes.attempt"] == "1" for each in segments)
    assert all(span.end_time_unix_nano > span.start_time_unix_nano for span in spans)
    assert collector.services == {"motes"}
    assert TITLE not in str(collector.spans)


def test_failed_task_has_an_error_status(traced: Stack, collector: Collector) -> None:
    system = create(traced, "snow", **SMALL | {"duration": "audio"})
    song = write_song(traced.folder / "other.wav", tone(1.0))
    audio = traced.client.post("/audio", files={"file": ("song.wav", song.read_bytes())}).json()
    traced.client.post(f"/systems/{system}/load-audio", params={"audio_path": audio["audio_path"]})
    (traced.folder / "data/storage/audio" / audio["audio_id"]).unlink()
    job = submit(traced, system)
    traced.wait_for(job, "failed")

    def told() -> list[Span]:
        return [span for span in collector.spans if about(span).get("motes.job") == job and span.name == "plan"]

    [plan] = until(told, traced)
    assert plan.status.code == Status.STATUS_CODE_ERROR
    assert plan.status.message == ""
    assert not plan.events


def test_unsampled_trace_is_not_exported(traced: Stack, collector: Collector) -> None:
    trace = "5" * 32
    system = create(traced, "snow", **SMALL | {"seed": 5})
    headers = {"traceparent": f"00-{trace}-{CALLER}-00"}
    job = traced.client.post(f"/systems/{system}/render", json={}, headers=headers).json()["job_id"]
    traced.wait_for(job, "completed")
    marker = "6" * 32
    traced.client.get("/types", headers={"traceparent": f"00-{marker}-{CALLER}-01"})
    until(lambda: collector.trace(marker), traced)
    assert not collector.trace(trace)


@pytest.mark.usefixtures("_redis")
def test_missing_collector_does_not_block(tmp_path: Path, forks: ForkServer) -> None:
    nowhere = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with running_stack(tmp_path, forks, **nowhere) as stack:
        job = submit(stack, create(stack, "snow", **SMALL))
        stack.wait_for(job, "completed")
        for name in ("worker", "api"):
            stack.stop(name)  # which they do


CODE = """
import asyncio, sys
from services.observability import traces
from services.api import create_app
import services.worker.main
create_app()
with traces.span("x", "server", parent={}, attributes={}):
    traces.annotate({"a": 1}, name="y", failed=True)
    assert traces.traceparent() is None
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))])
"""


def test_opentelemetry_is_not_imported_without_an_endpoint() -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}
    done = subprocess.run(
        (sys.executable, "-c", CODE), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_missing_package_is_only_a_warning() -> None:
    hide = "import sys; sys.modules['opentelemetry.sdk.trace'] = None\n"
    done = subprocess.run(
        (sys.executable, "-c", hide + CODE),
        cwd=ROOT,
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "no traces: opentelemetry.sdk.trace is missing; pip install opentelemetry-sdk opentelemetry-" in done.stderr
