"""An upload goes on at another process of the API after the one that took it was killed."""

from __future__ import annotations

import hashlib
import http.client
import io
import signal
import wave
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import pytest
from tusclient.client import TusClient

from services.api.routes.resumable_uploads import _PART
from tests.fork_server import HANG
from tests.services.stack.api_calls import API, another_api
from tests.services.stack.conftest import Stack, until

pytestmark = pytest.mark.debian("redis-server")

TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = 5 << 20


@pytest.fixture(params=["stack", "stack_on_servers"])
def place(request: pytest.FixtureRequest) -> Iterator[Stack]:
    stack: Stack = request.getfixturevalue(request.param)
    yield stack
    stack.repair()


def large_song() -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((2, 2, 48_000, 0, "NONE", ""))
        file.writeframes(np.random.default_rng(7).integers(-9000, 9000, 11 << 20, dtype=np.int16).tobytes())
    return made.getvalue()


def test_an_upload_goes_on_after_its_process_was_killed(place: Stack) -> None:
    data = large_song()
    with another_api(place) as other:
        about = {"filename": "long.wav", "kind": "song"}
        first = TusClient(f"{other.base_url}uploads").uploader(
            file_stream=io.BytesIO(data), chunk_size=CHUNK, metadata=about
        )
        first.upload_chunk()
        path = urlsplit(str(first.url)).path
        ends = http.client.HTTPConnection(other.base_url.host, other.base_url.port or 80, timeout=HANG)
        ends.putrequest("PATCH", path)
        headers = {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": str(CHUNK)}
        for name, value in {**headers, "Content-Length": str(len(data) - CHUNK)}.items():
            ends.putheader(name, value)
        ends.endheaders(data[CHUNK : CHUNK + _PART + (2 << 20)])
        upload = path.removeprefix("/particles")

        def received() -> int:
            return int(place.client.head(upload, headers=TUS).headers["upload-offset"])

        until(lambda: received() >= CHUNK + _PART, place)
        place.stop(API, signal.SIGKILL)
        ends.close()
    kept = received()
    assert CHUNK + _PART <= kept < len(data)
    url = f"{place.client.base_url}{upload.removeprefix('/')}"
    second = TusClient(f"{place.client.base_url}uploads").uploader(
        file_stream=io.BytesIO(data), chunk_size=CHUNK, url=url
    )
    assert second.offset == kept
    second.upload()
    made = place.client.get(upload).json()["audio"]
    assert made["audio_id"] == hashlib.sha256(data).hexdigest()
    assert place.files("uploads") == []
    assert [name for name in place.files("audio") if made["audio_id"] in name] != []
