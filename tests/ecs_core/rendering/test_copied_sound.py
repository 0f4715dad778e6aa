"""A song's own AAC is copied where that sounds exactly like the song, and nowhere else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ecs_core import Scene, render
from ecs_core.plugin_api import resolve
from ecs_core.rendering.plan import RenderPlan, make_plan
from ecs_core.rendering.song_sound import SongSound
from ecs_core.song_file.audio_file import AudioFile
from ecs_core.song_file.own_aac import find_own_aac, own_packets
from ecs_core.video.aac import copied
from ecs_core.video.encoding import Picture, SegmentWriter
from ecs_core.video.join import VideoFile
from ecs_core.video.sound import SoundTrack
from tests.media import SMALL, Video, noise, read_video, tone, write_song
from tests.waiting import HANG

RATE = 44_100
CONTAINERS = {
    "song.m4a": {},
    "song.mov": {},
    "song.3gp": {},
    "song.aac": {},
    "song.mkv": {},
    "song.ts": {},
    "song.flv": {},
    "fragmented.mp4": {"movflags": "frag_keyframe+empty_moov"},
    "delayed.mp4": {"movflags": "frag_keyframe+delay_moov"},
}


def remux(song: Path, path: Path, options: dict[str, str] | None = None) -> Path:
    """The same packets in another container."""
    with av.open(str(song)) as source, av.open(str(path), "w", options=options or {}) as target:
        track = source.streams.audio[0]
        stream = target.add_stream_from_template(track)
        for packet in source.demux(track):
            if packet.size:
                packet.stream = stream
                target.mux_one(packet)
    return path


@pytest.fixture(scope="module")
def m4a(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples = tone(2.21) + 0.1 * noise(2.21, rate=RATE)
    return write_song(tmp_path_factory.mktemp("song") / "song.m4a", samples)


def samples_of(song: Path) -> np.ndarray:
    with AudioFile(song) as file:
        return np.concatenate(list(file.blocks()), axis=1)


def plan_of(song: Path, *, fps: str = "30", seconds: float | None = None, **more: object) -> RenderPlan:
    """A plan of a video that plays the whole song, or lasts for ``seconds``; with ``more`` settings."""
    with AudioFile(song) as file:
        length = sum(block.shape[1] for block in file.blocks()) / file.rate
    config = {
        "width": 64,
        "height": 64,
        "fps": fps,
        "duration": seconds or round(length, 6),
        "particle_count": 1,
        **more,
    }
    plan = make_plan(*resolve(Scene("snow", config=config)), None)
    return replace(plan, timeline=replace(plan.timeline, duration=length))


def join(plan: RenderPlan, song: Path, folder: Path) -> tuple[Video, bool]:
    """The video of a plan, and whether its sound was copied."""
    video = VideoFile(folder / "out.mp4", plan.video, frames=plan.frames)
    sound = SongSound(song, plan)
    video.add_sound(sound.packets, rate=sound.rate, channels=sound.channels)
    picture = Picture(plan.video)
    for segment in plan.segments:
        with SegmentWriter(folder / "segment.mp4", plan.video) as writer:
            for _ in range(segment.stop - segment.start):
                writer.write(picture)
        video.append(folder / "segment.mp4")
    video.close()
    sound.close()
    return read_video(folder / "out.mp4"), sound.is_copied


@pytest.mark.parametrize("name", CONTAINERS)
def test_copied_sound_is_the_song_sample_for_sample(m4a: Path, tmp_path: Path, name: str) -> None:
    song = remux(m4a, tmp_path / name, CONTAINERS[name])
    video, is_copied = join(plan_of(song), song, tmp_path)
    assert is_copied
    assert video.sound_start == 0
    assert np.array_equal(video.sound, samples_of(song))
    assert abs(video.sound_duration - video.video_duration) <= Fraction(1, 30)


def test_priming_of_other_encoders_is_kept(m4a: Path, tmp_path: Path) -> None:
    # Apple's encoder adds 2112 samples.
    song = tmp_path / "primed.m4a"
    with AudioFile(m4a) as file, av.open(str(song), "w") as container:
        packets = copied(own_packets(file), rate=RATE, skip=2112, samples=80_000)
        SoundTrack(container, packets, rate=RATE, channels=2).mux_until()
    own = find_own_aac(lambda: AudioFile(song))
    assert own is not None
    assert own.skip == 2112
    video, is_copied = join(plan_of(song), song, tmp_path)
    assert is_copied
    assert np.array_equal(video.sound, samples_of(song))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [22_050, 48_000])
def test_rate_and_channels_are_kept(tmp_path: Path, rate: int, channels: int) -> None:
    song = write_song(tmp_path / "song.m4a", noise(1.0, rate=rate, channels=channels), rate=rate)
    video, is_copied = join(plan_of(song), song, tmp_path)
    assert is_copied
    assert video.rate == rate
    assert np.array_equal(video.sound, samples_of(song))


@pytest.mark.parametrize("fps", ["24", "10", "60"])
def test_copied_sound_ends_with_the_picture(m4a: Path, tmp_path: Path, fps: str) -> None:
    video, is_copied = join(plan_of(m4a, fps=fps), m4a, tmp_path)
    assert is_copied
    song = samples_of(m4a)
    heard = video.sound.shape[1]
    assert np.array_equal(video.sound, song[:, :heard])
    expected = min(Fraction(song.shape[1], RATE), video.video_duration)
    assert abs(video.sound_duration - expected) <= Fraction(1, 1000)  # MP4 states it in milliseconds
    assert 0 <= heard - video.sound_duration * RATE < 1024


@pytest.mark.parametrize("seconds", [1.0, 4.0])
def test_part_of_a_song_and_a_song_with_silence_are_encoded(m4a: Path, tmp_path: Path, seconds: float) -> None:
    video, is_copied = join(plan_of(m4a, seconds=seconds), m4a, tmp_path)
    assert not is_copied
    assert abs(video.sound_duration - Fraction(seconds)) < Fraction(1, 1000)


@pytest.mark.parametrize("fade", ["fade_in", "fade_out"])
def test_faded_song_is_encoded(m4a: Path, tmp_path: Path, fade: str) -> None:
    video, is_copied = join(plan_of(m4a, **{fade: 0.5}), m4a, tmp_path)
    assert not is_copied
    assert video.sound_start == 0


def test_song_that_begins_later_is_encoded(m4a: Path, tmp_path: Path) -> None:
    plan = plan_of(m4a)
    plan = replace(plan, timeline=replace(plan.timeline, start=Fraction(1, 50)))
    assert not plan.plays_whole_song
    assert not join(plan, m4a, tmp_path)[1]


def _damaged(song: Path, path: Path) -> Path:
    data = bytearray(remux(song, path).read_bytes())
    data[10_000:10_400] = bytes(400)
    path.write_bytes(data)
    return path


def _two_formats(song: Path, path: Path) -> Path:
    other = write_song(path.with_name("mono.aac"), tone(0.5, channels=1))
    path.write_bytes(remux(song, path).read_bytes() + other.read_bytes())
    return path


def _late(song: Path, path: Path) -> Path:
    """A film whose sound begins half a second after its picture."""
    film = write_song(path.with_name("film.mkv"), tone(1.0), picture=True)
    with av.open(str(film)) as source, av.open(str(path), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.size:
                if packet.stream.type == "audio":
                    packet.pts = packet.dts = packet.pts + round(Fraction(1, 2) / packet.time_base)
                packet.stream = streams[packet.stream.index]
                target.mux_one(packet)
    return path


OTHERS = {
    "mp3": lambda song, folder: write_song(folder / "song.mp3", tone(1.0)),
    "surround": lambda song, folder: write_song(folder / "song.m4a", tone(1.0, channels=6)),
    "96 kHz": lambda song, folder: write_song(folder / "song.m4a", tone(1.0, rate=96_000), rate=96_000),
    "late": lambda song, folder: _late(song, folder / "late.mkv"),
    "damaged": lambda song, folder: _damaged(song, folder / "song.aac"),
    "two formats": lambda song, folder: _two_formats(song, folder / "song.aac"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_songs_are_encoded(m4a: Path, tmp_path: Path, name: str) -> None:
    song = OTHERS[name](m4a, tmp_path)
    video, is_copied = join(plan_of(song), song, tmp_path)
    assert not is_copied
    assert video.sound_start == 0


def test_one_sample_that_differs_forbids_a_copy(m4a: Path) -> None:
    class Changed(AudioFile):
        def blocks(self) -> Iterator[np.ndarray]:
            for number, block in enumerate(super().blocks()):
                if number == 60:
                    block[1, 7] += 1e-6
                yield block

    assert find_own_aac(lambda: AudioFile(m4a)) is not None
    assert find_own_aac(lambda: Changed(m4a)) is None


def test_closing_stops_the_comparison(m4a: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(m4a)
    begun = threading.Event()

    def endless(song: AudioFile) -> Iterator[np.ndarray]:
        while True:
            begun.set()
            yield np.zeros((2, 0), np.float32)

    monkeypatch.setattr(AudioFile, "blocks", endless)
    sound = SongSound(m4a, plan)
    assert begun.wait(HANG)
    sound.close()


def test_result_says_whether_the_sound_was_copied(m4a: Path, tmp_path: Path) -> None:
    scene = Scene("snow", m4a, {**SMALL, "duration": "audio"})
    assert render(scene, tmp_path / "copied.mp4", workers=1).sound == "copied"
    assert np.array_equal(read_video(tmp_path / "copied.mp4").sound, samples_of(m4a))
    scene = Scene("snow", m4a, {**SMALL, "duration": 0.5})
    assert render(scene, tmp_path / "encoded.mp4", workers=1).sound == "encoded"
    scene = Scene("snow", config={**SMALL, "duration": 0.1})
    assert render(scene, tmp_path / "silent.mp4", workers=1).sound == "none"
