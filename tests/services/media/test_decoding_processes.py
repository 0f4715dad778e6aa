"""The decoding server: it forks all decoders of a process and of those forked from it, and may die at any time."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ecs_core import heartbeat
from ecs_core.errors import AudioError
from services.media.probe import probe
from services.media.sandbox import decoding
from services.media.sandbox.decoding import Decoding, SandboxedDecoder
from services.media.sandbox.decoding_processes import DecodingServer, decoding_server
from services.media.sandbox.messages import Text
from tests.media import tone, write_song
from tests.service import alive, wait_for
from tests.waiting import HANG

ROOT = Path(__file__).parents[3]


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write_song(tmp_path / "song.flac", tone(0.5))


@pytest.fixture
def stopped(tmp_path: Path) -> Decoding:
    """What never ends by itself."""
    (tmp_path / "deed").write_text("stream.flush(); signal.raise_signal(signal.SIGSTOP)")
    decoder = "tests.services.media.trial_decoders:begin_and_execute"
    return Decoding(decoder=decoder, path=tmp_path / "deed", name="the song")


@pytest.fixture
def server() -> DecodingServer:
    """The one of this process, started anew."""
    decoding_server().close()
    return decoding_server()


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def measured(song: Path) -> str:
    decoding = Decoding(decoder="services.media.song_decoder:measure", path=song, name="the song")
    with SandboxedDecoder(decoding) as process:
        said = process.receive()
    assert isinstance(said, Text)
    return said.json.decode()


def test_idle_server_that_was_killed_is_started_again(server: DecodingServer, stopped: Decoding, song: Path) -> None:
    before = measured(song)
    with SandboxedDecoder(stopped) as process:
        first = parent_of(process.pid)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: not alive(first))
    assert measured(song) == before
    with SandboxedDecoder(stopped) as process:
        assert parent_of(process.pid) != first


@pytest.mark.usefixtures("server")
def test_decoder_whose_server_is_killed_ends_and_may_be_retried(stopped: Decoding, song: Path) -> None:
    with SandboxedDecoder(stopped) as process:
        process.receive()
        process.receive(max_bytes=1000)
        os.kill(parent_of(process.pid), signal.SIGKILL)
        with pytest.raises(ConnectionResetError, match="the decoder of the song was killed"):
            process.receive()
        wait_for(lambda: not alive(process.pid))
    assert "duration" in measured(song)


class TestHeartbeats:
    """While a decoder sends nothing, what it computes counts as work of whoever waits for it."""

    @pytest.fixture
    def beats(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
        monkeypatch.setattr(decoding, "_LOOK_EVERY", 0.05)
        beats = list[int]()
        heartbeat.listen(beats.append)
        yield beats
        heartbeat.listen(None)

    def test_of_a_decoder_that_computes(self, tmp_path: Path, beats: list[int]) -> None:
        (tmp_path / "deed").write_text("stream.flush()\nwhile True: pass")
        decoder = "tests.services.media.trial_decoders:begin_and_execute"
        busy = Decoding(decoder=decoder, path=tmp_path / "deed", name="the song")
        with SandboxedDecoder(busy) as process, ThreadPoolExecutor() as threads:
            process.receive()
            process.receive(max_bytes=1000)
            waiting = threads.submit(process.receive)
            wait_for(lambda: len(beats) > 5)
            process.kill()
            assert isinstance(waiting.exception(HANG), ConnectionResetError)

    def test_not_of_one_that_stands_still(
        self, stopped: Decoding, beats: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(decoding, "_TIMEOUT", 1.0)
        with SandboxedDecoder(stopped) as process:
            process.receive()
            process.receive(max_bytes=1000)
            wait_for(lambda: " T " in Path(f"/proc/{process.pid}/stat").read_text())
            beats.clear()
            with pytest.raises(AudioError, match="cannot be decoded in reasonable time"):
                process.receive()
        assert len(beats) <= 1  # for what it did before


def test_server_that_cannot_start_is_an_error_and_is_tried_again(
    server: DecodingServer, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> int:
        raise OSError(errno.ENOMEM, "no memory")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_spawn", fail)
        for _ in range(2):
            with pytest.raises(OSError, match="no memory"):
                measured(song)
    server.close()  # of nothing
    assert "duration" in measured(song)


@pytest.mark.usefixtures("server")
def test_order_without_its_sockets_leaves_the_server_running(stopped: Decoding, song: Path) -> None:
    with SandboxedDecoder(stopped) as process:
        first = parent_of(process.pid)
    decoding_server().start().send(stopped.order())  # as if the server had no room for more files
    measured(song)
    assert alive(first)


@pytest.mark.usefixtures("server")
def test_closed_decoder_is_gone(stopped: Decoding) -> None:
    with SandboxedDecoder(stopped) as process:
        assert alive(process.pid)
    assert not alive(process.pid)


@pytest.mark.anyio
@pytest.mark.usefixtures("server")
async def test_cancelled_probe_leaves_no_decoder(stopped: Decoding, monkeypatch: pytest.MonkeyPatch) -> None:
    forked = []
    fork = DecodingServer.fork

    def noted(server: DecodingServer, order: bytes, file: int | None) -> object:
        order = order.replace(b"services.media.song_decoder:measure", stopped.decoder.encode())
        forked.append(fork(server, order, file))
        return forked[-1]

    monkeypatch.setattr(DecodingServer, "fork", noted)
    task = asyncio.create_task(probe(stopped.path, "the song"))
    while not forked:
        await asyncio.sleep(0)
    pid = await asyncio.to_thread(lambda: forked[0].pid)
    assert alive(pid)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(pid)


@pytest.mark.usefixtures("server")
def test_forked_processes_share_the_server(stopped: Decoding) -> None:
    with SandboxedDecoder(stopped) as process:
        server = parent_of(process.pid)
    here, there = os.pipe()
    if (pid := os.fork()) == 0:
        with SandboxedDecoder(stopped) as process:
            os.write(there, str(parent_of(process.pid)).encode())
        os._exit(0)
    os.close(there)
    with os.fdopen(here) as answer:
        assert int(answer.read()) == server
    os.waitpid(pid, 0)


def test_server_ends_with_the_last_process_that_uses_it(tmp_path: Path) -> None:
    code = """
import os, sys
from services.media.sandbox.decoding_processes import decoding_server
decoding_server().start()
print(decoding_server()._pid, flush=True)
if os.fork() == 0:
    sys.stdin.read()
"""
    process = subprocess.Popen(
        (sys.executable, "-c", code), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    server = int(process.stdout.readline())
    process.wait()
    assert alive(server)  # for the process that was forked
    process.stdin.close()
    wait_for(lambda: not alive(server))
    process.stdout.close()


def test_missing_file_is_an_error_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="the song"):
        asyncio.run(probe(tmp_path / "nothing", "the song"))
