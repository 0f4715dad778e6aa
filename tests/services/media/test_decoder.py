"""A song that a sandboxed process decodes is the same song; what happens to that process is said in one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.media import tone, write_float_wav, write_song
from tests.service import wait_for
from tests.waiting import HANG

ROOT = Path(__file__).parents[3]
BEGIN = """
import os, signal, sys, time
from pathlib import Path
from ecs_core.song_file.audio_file import AudioFile
from ecs_core.errors import AudioError
from services.media.decoder import DecodedSong
from services.media.sandbox import decoding
import numpy as np
path = Path(sys.argv[1])

def heard(path=path, **options):
    try:
        with DecodedSong(path, name="the song", **options) as song:
            for _ in song.blocks():
                pass
        print("heard", song.warnings)
    except (AudioError, ConnectionError) as error:
        print(f"{type(error).__name__}: {error}")
"""


@pytest.fixture
def says() -> Callable[..., str]:
    """What a fresh process of one thread says that does this."""

    def run(code: str, *arguments: object) -> str:
        done = subprocess.run(
            (sys.executable, "-c", BEGIN + code, *map(str, arguments)),
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            timeout=HANG,
            check=True,
        )
        return done.stdout.strip()

    return run


def test_decoded_samples_equal_those_of_the_file(says: Callable[..., str], tmp_path: Path) -> None:
    rng = np.random.Generator(np.random.Philox(1))
    song = rng.uniform(-0.5, 0.5, (6, 100_000)).astype(np.float32)
    song[2, 77] = np.nan
    code = """
with AudioFile(path) as one, DecodedSong(path, name="the song") as other:
    print((one.rate, one.channels, one.seconds) == (other.rate, other.channels, other.seconds))
    first, second = (np.concatenate(list(song.blocks()), axis=1) for song in (one, other))
    print(first.shape, np.array_equal(first, second), other.warnings)
"""
    said = says(code, write_float_wav(tmp_path / "song.wav", song))
    warnings = ["the song: 1 samples were invalid and were replaced by silence"]
    assert said == f"True\n(6, 100000) True {warnings}"


def test_unlinked_file_is_decoded(says: Callable[..., str], tmp_path: Path) -> None:
    code = """
import tempfile
os.close(0)  # so that the file has a number that is a standard one's elsewhere
with tempfile.TemporaryFile() as copy:
    copy.write(path.read_bytes())
    copy.flush()
    heard(Path(f"/proc/self/fd/{copy.fileno()}"))
"""
    assert says(code, write_song(tmp_path / "song.flac", tone(0.5))) == "heard []"


@pytest.mark.parametrize("damage", ["text", "missing", "cut"])
def test_errors_and_warnings_show_no_path(says: Callable[..., str], tmp_path: Path, damage: str) -> None:
    path = write_song(tmp_path / "song.wav", tone(0.5))
    if damage == "text":
        path.write_text("no song\n")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:20_000])
    else:
        path.unlink()
    said = says("heard()", path)
    assert "the song: " in said
    assert str(tmp_path) not in said
    assert "\n" not in said


DEATHS = {
    "signal.raise_signal(signal.SIGSEGV)": "AudioError: the song: the decoder crashed (SIGSEGV); is the file damaged?",
    "os.abort()": "AudioError: the song: the decoder crashed (SIGABRT); is the file damaged?",
    "raise RuntimeError": "AudioError: the song: the decoder crashed; is the file damaged?",
    "bytearray(2 << 30)": "AudioError: the song: needs more than 512 MB of memory to decode",
    "[None for _ in iter(int, 1)]": "AudioError: the song: takes more than 1 s of CPU time to decode",
    "signal.raise_signal(signal.SIGSTOP)": "AudioError: the song: cannot be decoded in reasonable time",
    "signal.raise_signal(signal.SIGKILL)": "ConnectionResetError: the decoder of the song was killed",
    "os.close(stream.fileno())": "AudioError: the song: the decoder crashed; is the file damaged?",
    "os.close(stream.fileno()); signal.raise_signal(signal.SIGSTOP)": (
        "AudioError: the song: the decoder sent invalid data; is the file damaged?"
    ),
}


@pytest.mark.parametrize("when", ["at the beginning", "midway"])
def test_death_of_the_decoder_is_explained(says: Callable[..., str], tmp_path: Path, when: str) -> None:
    code = """
function = "begin_and_execute" if sys.argv[2] == "midway" else "execute"
decoding.Decoding.__init__.__kwdefaults__["seconds"] = 1
for deed in sys.argv[3:]:
    decoding._TIMEOUT = 0.1 if deed.startswith("signal.raise_signal(signal.SIGSTOP)") else 300.0
    decoding._EXIT_TIMEOUT = 0.1 if "SIGSTOP" in deed else 300.0
    path.write_text(deed)
    heard(decoder=f"tests.services.media.trial_decoders:{function}")
"""
    assert says(code, tmp_path / "deed", when, *DEATHS).splitlines() == list(DEATHS.values())


def test_endless_song_is_cut_off(says: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "song"
    path.write_text("while True: channel.send(np.zeros((2, 1 << 15), np.float32).data)")
    code = """
from services.media import decoder
decoder.MAX_SONG_SECONDS = 3600
heard(decoder="tests.services.media.trial_decoders:begin_and_execute")
"""
    assert says(code, path) == "AudioError: the song: is longer than 1 hours"


def text(said: bytes) -> bytes:
    """A message of JSON."""
    return b"t" + len(said).to_bytes(4, "little") + said


_BEGIN = text(b'{"rate": 44100, "channels": 2, "layout": "stereo", "seconds": 1}')
NONSENSE = [
    b"",
    b"d\x05\0\0\0" + bytes(40),
    b"d\0\0\0\0",
    b"x\0\0\0\0",
    text(b"[" * 200_000),
    text(b"[" * 1_000_000),
    text(b"no json"),
    text(b"[]"),
    text(b'{"rate": 1e999, "channels": 2, "layout": "stereo", "seconds": 1}'),
    text(b'{"rate": 44100, "channels": 0, "layout": "stereo", "seconds": 1}'),
    text(b'{"rate": 44100, "channels": 2, "layout": "stereo", "seconds": NaN}'),
    text(b'{"rate": 44100, "channels": 2, "layout": "mono", "seconds": 1}'),
    text(b'{"rate": 44100, "channels": 2, "layout": "/etc/passwd", "seconds": 1}'),
    text(b'{"warnings": []}'),
    text(b'{"missing": 3}'),
    text(b'{"error": "' + b"x" * 200_000 + b'"}'),
    text(b'{"error": "' + b"x" * 1_000_000 + b'"}'),
    text(b'{"error": "two\\nlines"}'),
    text(b'{"error": {"more": "than a line"}}'),
    _BEGIN,
    _BEGIN + _BEGIN,
    _BEGIN + b"d\xff\xff\xff\xff",
    _BEGIN + b"d\x08\0\0\0" + bytes(7),
    _BEGIN + b"d\x07\0\0\0" + bytes(7),
    _BEGIN + text(b"{}"),
    _BEGIN + text(b'{"warnings": 3}'),
    _BEGIN + text(b'{"warnings": []}')[:-2],  # the end is missing
]


def test_nonsense_from_a_compromised_decoder_is_refused(says: Callable[..., str], tmp_path: Path) -> None:
    for number, message in enumerate(NONSENSE):
        (tmp_path / f"{number:03}").write_bytes(message)
    code = """
for script in sorted(path.iterdir()):
    heard(script, decoder="tests.services.media.trial_decoders:send_file")
"""
    said = says(code, tmp_path).splitlines()
    assert len(said) == len(NONSENSE)
    assert set(said) == {
        "AudioError: the song: the decoder crashed; is the file damaged?",
        "AudioError: the song: the decoder sent invalid data; is the file damaged?",
    }


def test_decoder_inherits_no_open_files(says: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "look"
    path.write_text(
        f"null = {os.stat(os.devnull).st_rdev}"
        + """
opened = {}
for number in set(range(100)) - {stream.fileno()}:
    try:
        opened[number] = os.fstat(number).st_rdev == null
    except OSError:
        pass
channel.say(error=str(opened))
"""
    )
    code = """
import socket
ours, theirs = socket.socketpair()  # as a task is told to a process, and what it made is told back
heard(decoder="tests.services.media.trial_decoders:execute")
"""
    kept = {0: True, 1: True, 2: True}  # the null device
    assert says(code, path) == f"AudioError: {kept}"


SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "planted-aws-secret",
    "PGPASSWORD": "planted-password",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=planted-token",
    "MOTES_DATABASE_URL": "postgresql+asyncpg://motes:planted@db/motes",
    "HTTPS_PROXY": "http://user:planted@proxy",
}


def test_memory_of_the_decoder_holds_no_secrets(
    says: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "look"
    wait = "stream.flush(); signal.raise_signal(signal.SIGSTOP)"
    path.write_text(f"channel.say(rate=1000, channels=1, layout='mono', seconds=1); {wait}")
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    code = """
def holds(pid, word):
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            start, _, end = line.split()[0].partition("-")
            if line.split()[1].startswith("r") and not line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                memory.seek(int(start, 16))
                if word in memory.read(int(end, 16) - int(start, 16)):
                    return True
    return False

with DecodedSong(path, name="the song", decoder="tests.services.media.trial_decoders:execute") as song:
    for pid in (os.getpid(), song._process.pid):
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        print(b"planted" in environment, holds(pid, b"plan" + b"ted"))
"""
    assert says(code, path).splitlines() == ["True True", "False False"]


@pytest.fixture
def endless(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that waits in the middle of a song, and the one that decodes it."""
    path = write_song(tmp_path / "song.wav", tone(20.0))
    code = 'song = DecodedSong(path, name="the song")\nprint(song._process.pid, flush=True)\ntime.sleep(600)'
    process = subprocess.Popen(
        (sys.executable, "-c", BEGIN + code, str(path)), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process, int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()


def test_decoder_ends_with_its_parent(endless: tuple[subprocess.Popen[str], int]) -> None:
    process, decoder = endless
    assert Path(f"/proc/{decoder}").exists()
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not Path(f"/proc/{decoder}").exists())
