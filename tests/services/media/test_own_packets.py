"""Packets of an untrusted song come out of the sandbox as the file holds them, as many and as large as may be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecs_core.errors import AudioError
from ecs_core.song_file.audio_file import AudioFile
from ecs_core.song_file.own_aac import find_own_aac, own_packets
from services.media.own_packets import OwnPackets
from tests.media import noise, write_song

SEND = "tests.services.media.trial_decoders:send_file"


@pytest.mark.parametrize("name", ["song.m4a", "song.aac"])
def test_packets_are_those_of_the_file(tmp_path: Path, name: str) -> None:
    path = write_song(tmp_path / name, noise(1.0, rate=44_100))
    with AudioFile(path) as song:
        expected = list(own_packets(song))
    with OwnPackets(path, name="the song") as own:
        assert own.own is not None
        assert own.own == find_own_aac(lambda: AudioFile(path))
        assert list(own.packets()) == expected


def test_other_song_has_none(tmp_path: Path) -> None:
    path = write_song(tmp_path / "song.mp3", noise(1.0))
    with OwnPackets(path, name="the song") as own:
        assert own.own is None
        assert list(own.packets()) == []


def test_what_is_no_song_is_an_error_without_a_path(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    path.write_text("no song")
    with pytest.raises(AudioError, match=r"^the song: not audio that Motes can read"):
        OwnPackets(path, name="the song")


def text(**fields: object) -> bytes:
    said = json.dumps(fields).encode()
    return b"t" + len(said).to_bytes(4, "little") + said


def data(said: bytes) -> bytes:
    return b"d" + len(said).to_bytes(4, "little") + said


GOOD = {"rate": 44_100, "channels": 2, "skip": 1024, "samples": 1500}
NONSENSE = {
    "no facts": data(b""),
    "other facts": text(own={"rate": 44_100}),
    "rate": text(own=GOOD | {"rate": 44_101}),
    "channels": text(own=GOOD | {"channels": 3}),
    "skip": text(own=GOOD | {"skip": -1}),
    "length": text(own=GOOD | {"samples": 1 << 40}),
    "text midway": text(own=GOOD) + data(b"1") + text(own=None),
    "empty packet": text(own=GOOD) + data(b"1") + data(b""),
    "huge packet": text(own=GOOD) + data(bytes(8192)),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_from_a_compromised_decoder_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "said"
    path.write_bytes(NONSENSE[name])
    with pytest.raises(AudioError, match="invalid data"), OwnPackets(path, name="the song", decoder=SEND) as own:
        list(own.packets())


def test_no_more_packets_are_taken_than_were_announced(tmp_path: Path) -> None:
    path = tmp_path / "said"
    path.write_bytes(text(own=GOOD) + b"".join(data(bytes([number])) for number in range(1, 200)))
    with OwnPackets(path, name="the song", decoder=SEND) as own:
        assert list(own.packets()) == [b"\x01", b"\x02", b"\x03"]
