"""Every file of the corpus, given to the child that decodes uploads: refused in one line, or decoded, within limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ecs_core.song_file.layouts import MOST_CHANNELS
from ecs_core.song_file.tracks import RATES
from services.media.decoding_limits import CPU_LIMIT, MAX_SONG_SECONDS, MEMORY_LIMIT
from tests.conftest import CommandLine
from tests.hostile.bait import Bait, laid
from tests.hostile.containers import FORMATS
from tests.hostile.corpus import Hostile, corpus
from tests.waiting import HANG

ROOT = Path(__file__).parents[2]
BEFORE = 150 << 20  # bytes that a child has when it begins, and more
FAMILIES = (
    *("truncated", "flipped", "spliced", "references", "wav", "flac", "mp4", "mp3", "bombs", "streams", "rates"),
    *("channels", "empty-packets", "numbers", "pictures", "polyglots", "trivial", "nested", "matroska", "ogg"),
)


@dataclass
class Probed:
    """What came of a file."""

    hostile: Hostile
    path: Path
    code: int
    said: str
    memory: int
    seconds: float

    @property
    def answer(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.said)
        return found

    @property
    def complaints(self) -> list[str]:
        """What is wrong with it."""
        if self.code != 0 or self.said.count("\n") != 1:
            return [f"ended with {self.code}, saying {self.said!r}"]
        error = self.answer.get("error")
        too_long = error is None and self.answer["duration"] > MAX_SONG_SECONDS  # whoever asks refuses it
        verdict = "heard" if error is None and not too_long else "refused"
        found = []
        if self.hostile.verdict not in ("either", verdict):
            found.append(f"was {verdict}: {self.said}")
        if error is None:
            found += [] if too_long else self._impossible()
        elif (
            not error.startswith(f"{self.path}: ") or error.count(str(self.path.parent)) != 1 or not error.isprintable()
        ):
            found.append(f"is refused by another name, or in more than a line: {error!r}")
        return [f"{self.hostile.name} {each}" for each in found]

    def _impossible(self) -> list[str]:
        duration, rate, channels = (self.answer[key] for key in ("duration", "sample_rate", "channels"))
        possible = 0 < duration <= MAX_SONG_SECONDS and rate in RATES and 1 <= channels <= MOST_CHANNELS
        return [] if possible else [f"was heard as what cannot be: {self.said}"]


@dataclass
class Run:
    """What came of all files, and how the bait was touched."""

    probed: list[Probed]
    taken: list[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def bait(folder: Path) -> Iterator[Bait]:
    with laid(folder) as bait:
        yield bait


@pytest.fixture(scope="module")
def files(bait: Bait, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Hostile, Path]]:
    return [(each, each.put(folder)) for each in corpus(tmp_path_factory.mktemp("songs"), bait)]


@pytest.fixture(scope="module")
def run(files: list[tuple[Hostile, Path]], bait: Bait, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two servers at once, each with half of the files."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = (sys.executable, "-m", "tests.hostile.trial_processes")
    bait.taken()
    halves = [files[::2], files[1::2]]
    servers = []
    for number, half in enumerate(halves):
        (wanted, came) = (tmp_path_factory.getbasetemp() / f"{what}-{number}" for what in ("wanted", "came"))
        wanted.write_text("".join(f"{path}\n" for _, path in half))
        with wanted.open() as source, came.open("w") as target:
            server = subprocess.Popen(command, stdin=source, stdout=target, cwd=ROOT, env=environment)
        servers.append((server, half, came))
    probed = []
    for server, half, came in servers:
        assert server.wait() == 0
        lines = map(json.loads, came.read_text().splitlines())
        probed += [Probed(hostile, path, **line) for (hostile, path), line in zip(half, lines, strict=True)]
    return Run(probed, bait.taken())


def test_corpus_has_hundreds_of_files_in_every_format(files: list[tuple[Hostile, Path]]) -> None:
    assert len(files) >= 300
    assert {hostile.family for hostile, _ in files} == set(FAMILIES)
    assert {path.suffix[1:] for _, path in files} >= {suffix for suffix, _, _ in FORMATS}


@pytest.mark.parametrize("family", FAMILIES)
def test_file_is_decoded_or_refused_in_one_line(run: Run, family: str) -> None:
    mine = [each for each in run.probed if each.hostile.family == family]
    assert mine
    assert [complaint for each in mine for complaint in each.complaints] == []


def test_children_stay_within_their_limits(run: Run, record_property: Any) -> None:
    memory = max(run.probed, key=lambda each: each.memory)
    seconds = max(run.probed, key=lambda each: each.seconds)
    record_property("largest", f"{memory.hostile.name}: {memory.memory >> 20} MB")
    record_property("longest", f"{seconds.hostile.name}: {seconds.seconds:.2f} s")
    assert memory.memory < BEFORE + MEMORY_LIMIT, memory
    assert seconds.seconds < CPU_LIMIT, seconds


def test_children_open_no_other_file_and_no_connection(run: Run) -> None:
    assert run.taken == []
    assert not any("canary" in each.said.replace(str(each.path), "") for each in run.probed)


def test_bait_files_work(bait: Bait, run: Run) -> None:
    """Otherwise the test above could not fail."""
    import socket

    bait.file.read_bytes()
    with socket.create_connection(("127.0.0.1", bait.port)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"x", ("127.0.0.1", bait.port))
        assert bait.taken() == ["opened", "called", "sent to"]
    assert bait.taken() == []


def test_references_are_refused_even_without_the_sandbox(
    files: list[tuple[Hostile, Path]], bait: Bait, run: Run
) -> None:
    """``motes render`` decodes the user's file in its own process, protected only by the allow-lists."""
    mine = [(hostile, path) for hostile, path in files if hostile.family in ("references", "polyglots", "pictures")]
    code = """
import sys
from ecs_core.song_file.audio_file import AudioFile
from ecs_core.errors import AudioError
for path in sys.stdin.read().splitlines():
    try:
        with AudioFile(path) as song:
            for _ in song.blocks():
                pass
        print("heard")
    except AudioError as error:
        print(error)
"""
    bait.taken()
    paths = "".join(f"{path}\n" for _, path in mine)
    done = subprocess.run(
        (sys.executable, "-c", code), input=paths, stdout=subprocess.PIPE, text=True, cwd=ROOT, timeout=HANG, check=True
    )
    said = done.stdout.splitlines()
    assert len(said) == len(mine)
    for (hostile, path), line in zip(mine, said, strict=True):
        assert line == "heard" or line.startswith(f"{path}: "), hostile.name
        assert hostile.verdict in ("either", "heard" if line == "heard" else "refused"), hostile.name
    assert bait.taken() == []


def test_cli_refuses_a_playlist_in_one_line(motes: CommandLine, files: list[tuple[Hostile, Path]], bait: Bait) -> None:
    path = next(path for hostile, path in files if hostile.name == "references/ffconcat-absolute.mp3")
    bait.taken()
    done = motes("analyze", path)
    assert done.returncode == 2
    assert f"{path}: not audio that Motes can read" in done.stderr
    assert done.stderr.count("\n") == 1
    assert bait.taken() == []
