"""Hostile files as clients send them, to a real API; what it takes for songs, rendered by a real worker; and decoders
that die there."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.fork_server import ForkServer
from tests.hostile.bait import Bait, laid
from tests.hostile.containers import flac, wav
from tests.hostile.corpus import Hostile, corpus
from tests.service import redis_or_skip
from tests.services.stack.api_calls import create, submit
from tests.services.stack.conftest import Stack, forked, running_stack, until
from tests.waiting import HANG

pytestmark = pytest.mark.debian("redis-server")
SMALL = {"width": 64, "height": 36, "duration": 0.2, "fps": 10, "particle_count": 5}
EVERY = 71  # of so many files one is sent
ALSO = (
    "bombs/four-hours.flac",
    "pictures/large.mp3",
    "numbers/nan-f32.wav",
    "ogg/chained.opus",
    "streams/5000.mkv",
    "nested/moov.m4a",
)
GATED = 100  # seconds of song, from which on its decoder stops in the middle until it is told to go on
GATE = f"""
import signal
import sys

if any("decoding_server" in word for word in sys.orig_argv):
    from ecs_core.song_file.audio_file import AudioFile

    def blocks(song, real=AudioFile.blocks):
        # Samples for a worker are gated, measuring an upload is not.
        return gated(song, real) if sys._getframe(1).f_code.co_name == "decode" else real(song)

    def gated(song, real):
        for number, block in enumerate(real(song)):
            yield block
            if number == 0 and song.seconds is not None and {GATED} <= song.seconds < {GATED} + 10:
                signal.raise_signal(signal.SIGSTOP)

    AudioFile.blocks = blocks
"""
RENDERED = ("numbers/nan-f32.wav", "ogg/chained.opus", "channels/64.wav")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer) -> Iterator[Stack]:
    redis_or_skip()
    gate = tmp_path_factory.mktemp("gate")
    (gate / "sitecustomize.py").write_text(GATE)  # of decoding servers, which are new interpreters
    with running_stack(tmp_path_factory.mktemp("hostile-stack"), forks, PYTHONPATH=str(gate)) as stack:
        yield stack


@pytest.fixture(scope="module")
def bait(stack: Stack) -> Iterator[Bait]:
    with laid(stack.folder / "media") as bait:
        yield bait


@pytest.fixture(scope="module")
def hostile(bait: Bait, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Hostile]:
    return {each.name: each for each in corpus(tmp_path_factory.mktemp("songs"), bait)}


def upload(stack: Stack, name: str, data: bytes) -> httpx.Response:
    return stack.client.post("/audio", files={"file": (name, data)}, timeout=HANG)


def is_a_refusal(answer: httpx.Response, name: str, stack: Stack) -> bool:
    """Whether it is refused in one line, by the client's name for it, without a word of where it lay."""
    assert answer.headers["content-type"].startswith("application/problem+json")
    detail = answer.json()["detail"]
    too_long = answer.status_code == 400 and answer.json().get("limit") == "max_song_seconds"
    return bool(
        (answer.status_code == 415 or too_long)
        and detail.startswith(f"{name}: ")
        and detail.isprintable()
        and str(stack.folder) not in answer.text
        and "scratch" not in answer.text
    )


def test_hostile_uploads_are_refused_or_rendered(stack: Stack, hostile: dict[str, Hostile], bait: Bait) -> None:
    chosen = [*list(hostile.values())[::EVERY], *(hostile[name] for name in {*ALSO, *RENDERED})]
    bait.taken()
    api = stack.processes["api"]
    kept = {}
    with ThreadPoolExecutor(2) as clients:
        for each, answer in zip(
            chosen,
            clients.map(lambda each: upload(stack, each.name.rpartition("/")[2], each.data), chosen),
            strict=True,
        ):
            if answer.status_code == 201:
                kept[each.name] = answer.json()["audio_path"]
            else:
                assert is_a_refusal(answer, each.name.rpartition("/")[2], stack), (each.name, answer.text)
            verdict = "heard" if answer.status_code == 201 else "refused"
            assert each.verdict in ("either", verdict), (each.name, answer.text)
    assert api.poll() is None
    assert bait.taken() == []
    system = create(stack, **SMALL)
    jobs = {name: submit(stack, system, audio_path=kept[name]) for name in RENDERED}
    for name, job in jobs.items():
        done = stack.wait_for(job, "completed", "failed")
        assert done["status"] == "completed", (name, done)
    assert stack.processes["worker"].poll() is None
    assert api.poll() is None


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../../etc/passwd", "passwd"),
        ("C:\\windows\\nul.wav", "nul.wav"),
        ("a\x1b[2Jb\x07.wav", "a\ufffd[2Jb\ufffd.wav"),
        ("x" * 1000 + ".wav", "x" * 196 + ".wav"),
        ("file:///etc/passwd", "passwd"),
        ("%s%n{0}.wav", "%s%n{0}.wav"),
        ("", "upload"),
    ],
)
def test_upload_name_is_not_used_as_a_path(stack: Stack, sent: str, shown: str) -> None:
    head = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="'
        + sent.replace("\\", "\\\\").encode()
        + b'"\r\n\r\n'
    )
    answer = stack.client.post(
        "/audio", content=head + b"no song\r\n--x--\r\n", headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert is_a_refusal(answer, shown, stack), answer.text


def test_only_files_under_the_media_root_are_opened(stack: Stack) -> None:
    media = stack.folder / "media"
    (media / "folder").mkdir()
    os.mkfifo(media / "fifo")
    (media / "zero").symlink_to("/dev/zero")
    (media / "passwd").symlink_to("/etc/passwd")
    (media / "circle").symlink_to("circle")
    system = create(stack, **SMALL)
    for name in (
        "folder",
        "fifo",
        "zero",
        "passwd",
        "circle",
        "/dev/stdin",
        "../motes.db",
        "con",
        "http://127.0.0.1/",
        "",
    ):
        answer = stack.client.post(f"/systems/{system}/load-audio", params={"audio_path": name})
        assert answer.status_code in (400, 404, 422), (name, answer.text)
        assert str(stack.folder) not in answer.text


def long_song(stack: Stack, seed: int) -> str:
    """Its path for clients: of a song whose decoder stops in the middle, see GATE."""
    answer = upload(stack, f"long-{seed}.flac", flac((GATED + seed) / 3600))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["audio_path"])


def stopped_decoder(stack: Stack) -> int | None:
    """The process that decodes a song for a task, once it has stopped in the middle."""
    decoders = (each for server in stack.decoding_servers() for each in forked(server))
    return next((each for each in decoders if state(each) == "T"), None)


def state(pid: int) -> str:
    """As the kernel has it; nothing where the process is gone, or dead and not yet reaped by whoever inherited it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0].replace("Z", "")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_crashed_decoder_fails_only_its_job(stack: Stack) -> None:
    path = long_song(stack, 1)
    worker = stack.processes["worker"]
    job = submit(stack, create(stack, **SMALL), audio_path=path)
    decoder = until(lambda: stopped_decoder(stack), stack)
    os.kill(decoder, signal.SIGSEGV)
    os.kill(decoder, signal.SIGCONT)
    failed = stack.wait_for(job, "completed", "failed")
    assert (failed["status"], failed["error"]) == (
        "failed",
        "the song: the decoder crashed (SIGSEGV); is the file damaged?",
    )
    (plan,) = stack.rows("SELECT attempt, deaths FROM tasks WHERE job_id = :job", job=job)
    assert (plan["attempt"], plan["deaths"]) == (1, 0)
    assert worker.poll() is None
    after = submit(stack, create(stack, **SMALL, seed=5))
    assert stack.wait_for(after, "completed", "failed")["status"] == "completed"


def test_killed_decoder_is_retried(stack: Stack) -> None:
    path = long_song(stack, 2)
    job = submit(stack, create(stack, **SMALL), audio_path=path)
    first = until(lambda: stopped_decoder(stack), stack)
    os.kill(first, signal.SIGKILL)
    second = until(lambda: (found := stopped_decoder(stack)) != first and found, stack)

    def is_over() -> bool:
        if stopped := stopped_decoder(stack):  # the second one; later that of the sound track, which reads ahead
            with suppress(ProcessLookupError):
                os.kill(stopped, signal.SIGCONT)
        return stack.client.get(f"/jobs/{job}").json()["status"] in ("completed", "failed")

    assert second
    until(is_over, stack)
    assert stack.client.get(f"/jobs/{job}").json()["status"] == "completed"
    plan, *_ = stack.rows("SELECT deaths FROM tasks WHERE job_id = :job AND kind = 'plan'", job=job)
    assert plan["deaths"] == 1


def test_decoder_ends_with_its_task(stack: Stack) -> None:
    path = long_song(stack, 3)
    job = submit(stack, create(stack, **SMALL), audio_path=path)
    process = until(lambda: stopped_decoder(stack), stack)
    assert stack.client.post(f"/jobs/{job}/cancel").status_code == 200
    until(lambda: not state(process), stack)


def test_song_damaged_in_storage_fails_its_job(stack: Stack) -> None:
    answer = upload(stack, "song.wav", wav(bytes(range(256)) * 100))
    stored = stack.folder / "data" / "storage" / "audio" / answer.json()["sha256"]
    stored.write_bytes(b"ffconcat version 1.0\nfile /etc/passwd\n")
    job = submit(stack, create(stack, **SMALL), audio_path=answer.json()["audio_path"])
    failed = stack.wait_for(job, "completed", "failed")
    assert failed["status"] == "failed"
    error = str(failed["error"])
    assert error == "the song is gone; upload it again", "no decoder reads what is not what was stored"
    assert str(stack.folder) not in error
