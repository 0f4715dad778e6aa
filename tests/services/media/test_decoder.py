"""A song that a confined process decodes is the same song; what happens to that process is said in one line."""

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
from ecs_core.audio.decode import AudioFile
from ecs_core.errors import AudioError
from services.media import decoder
from services.media.decoder import DecodedSong
import numpy as np
path = Path(sys.argv[1])

def heard(path=path):
    try:
        with DecodedSong(path, name="the song") as song:
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
    "os.kill(os.getpid(), signal.SIGSEGV)": "AudioError: the song: the decoder crashed (SIGSEGV); is the file damaged?",
    "os.abort()": "AudioError: the song: the decoder crashed (SIGABRT); is the file damaged?",
    "raise RuntimeError": "AudioError: the song: the decoder crashed; is the file damaged?",
    "bytearray(2 << 30)": "AudioError: the song: needs more memory than a song should",
    "[None for _ in iter(int, 1)]": "AudioError: the song: takes more than 1 s of CPU time to decode",
    "time.sleep(30)": "AudioError: the song: cannot be decoded in reasonable time",
    "os.kill(os.getpid(), signal.SIGKILL)": "ConnectionResetError: the decoder of the song was killed",
}


@pytest.mark.parametrize("when", ["at the beginning", "midway"])
def test_death_of_the_decoder_is_explained(says: Callable[..., str], tmp_path: Path, when: str) -> None:
    path = write_song(tmp_path / "song.flac", tone(3.0))
    code = """
midway = sys.argv[2] == "midway"
def strike(song):
    if midway:
        yield np.zeros((2, 100), np.float32)
    exec(deed)

if midway:
    decoder.AudioFile.blocks = strike
else:
    decoder.AudioFile.__init__ = lambda song, path: next(strike(song), None)
decoder.CPU_LIMIT = sys.modules[decoder.exit_error.__module__].CPU_LIMIT = 1
for deed in sys.argv[3:]:
    decoder._TIMEOUT = 0.3 if "sleep" in deed else 300.0
    heard()
"""
    assert says(code, path, when, *DEATHS).splitlines() == list(DEATHS.values())


def test_endless_song_is_cut_off(says: Callable[..., str], tmp_path: Path) -> None:
    path = write_song(tmp_path / "song.wav", tone(0.5))
    code = """
def endless(song):
    while True:
        yield np.zeros((2, 1 << 20), np.float32)

decoder.AudioFile.blocks = endless
decoder.MAX_SONG_SECONDS = 3600
heard()
"""
    assert says(code, path) == "AudioError: the song: is longer than 1 hours"


_BEGIN = b'\0\0\0\0{"rate": 44100, "channels": 2, "seconds": 1}\n'
NONSENSE = [
    b"",
    b"\x05\0\0\0" + bytes(40),
    b"\0\0\0\0" + b"[" * 1_000_000 + b"\n",
    b"\0\0\0\0no json\n",
    b"\0\0\0\0[]\n",
    b'\0\0\0\0{"rate": 1e999, "channels": 2, "seconds": 1}\n',
    b'\0\0\0\0{"rate": 44100, "channels": 0, "seconds": 1}\n',
    b'\0\0\0\0{"rate": 44100, "channels": 2, "seconds": NaN}\n',
    b'\0\0\0\0{"warnings": []}\n',
    b'\0\0\0\0{"error": "' + b"x" * 1_000_000 + b'"}\n',
    b'\0\0\0\0{"error": "two\\nlines"}\n',
    b'\0\0\0\0{"error": {"more": "than a line"}}\n',
    _BEGIN,
    _BEGIN + _BEGIN,
    _BEGIN + b"\xff\xff\xff\xff",
    _BEGIN + b"\x05\0\0\0" + bytes(39),
    _BEGIN + b"\0\0\0\0{}\n",
    _BEGIN + b'\0\0\0\0{"warnings": 3}\n',
    _BEGIN + b'\0\0\0\0{"warnings": ["',  # the end is missing
]


def test_nonsense_from_a_compromised_decoder_is_refused(says: Callable[..., str], tmp_path: Path) -> None:
    for number, message in enumerate(NONSENSE):
        (tmp_path / f"{number:03}").write_bytes(message)
    code = """
for script in sorted(path.iterdir()):
    decoder._decode = lambda path, name, target: target.sendall(script.read_bytes())
    heard()
"""
    said = says(code, tmp_path).splitlines()
    assert len(said) == len(NONSENSE)
    assert set(said) == {
        "AudioError: the song: the decoder crashed; is the file damaged?",
        "AudioError: the song: the decoder sent invalid data; is the file damaged?",
    }


def test_decoder_inherits_no_open_files(says: Callable[..., str], tmp_path: Path) -> None:
    code = """
import socket
ours, theirs = socket.socketpair()  # as a task is told to a process, and what it made is told back
def look(path, name, target):
    opened = {}
    for number in set(range(100)) - {target.fileno()}:
        try:
            opened[number] = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            pass
    target.sendall(bytes(4) + decoder.json.dumps({"error": str(opened)}).encode() + b"\\n")
decoder._decode = look
heard()
"""
    kept = {0: "/dev/null", 1: "/dev/null", 2: "/dev/null"}
    assert says(code, tmp_path) == f"AudioError: {kept}"


@pytest.fixture
def endless(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that waits in the middle of a song, and the one that decodes it."""
    path = write_song(tmp_path / "song.wav", tone(20.0))
    code = 'song = DecodedSong(path, name="the song")\nprint(song._process, flush=True)\ntime.sleep(600)'
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
