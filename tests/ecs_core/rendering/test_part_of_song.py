"""A part of a song: heard as in the whole song, seen from its first frame on, and in step with its sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core import Scene, SceneError, render, render_frame
from ecs_core.arrays import F32
from ecs_core.audio.analysis import Analysis
from ecs_core.audio.features import analyze
from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.ecs.components import Look
from ecs_core.ecs.resources import AudioFrame
from ecs_core.rendering.plan import make_plan, with_levels
from ecs_core.song_file.audio_file import AudioFile
from ecs_core.systems.audio_reaction import Binding
from ecs_core.video.part import Part
from tests.media import SMALL, noise, read_video, write_song

RATES = [Fraction(24), Fraction(30), Fraction(30000, 1001), Fraction(60)]
LENGTH = 6  # seconds of the demo song
PART = {**SMALL, "start": 2.5, "duration": 1.4}


@pytest.fixture(scope="module")
def analysis(demo_song: Path) -> Analysis:
    return analyze(demo_song)


def whole_and_part(analysis: Analysis, fps: Fraction, first: int, frames: int) -> tuple[FeatureTimeline, ...]:
    """The timeline of the whole song, cut off where the part ends, and that of the part from a frame on."""
    whole = analysis.timeline(fps, first + frames)
    return whole, analysis.timeline(fps, frames, start=first / fps)


PARTS = {"fps": st.sampled_from(RATES), "first": st.integers(0, 130), "frames": st.integers(1, 60)}


@settings(max_examples=40, deadline=None)
@given(**PARTS)
def test_timeline_of_a_part_is_that_of_the_whole_song_from_there_on(
    analysis: Analysis, fps: Fraction, first: int, frames: int
) -> None:
    whole, part = whole_and_part(analysis, fps, first, frames)
    assert (part.frames, part.lead_frames, part.duration) == (frames, first, whole.duration)
    for name, values in whole.features.items():
        assert part.features[name].tobytes() == values[first:].tobytes()
        assert first == 0 or part.lead[name].tobytes() == values[:first].tobytes()
    for frame in range(frames):
        seen, there = AudioFrame(frame, part), AudioFrame(first + frame, whole)
        for name in whole.events:
            assert (seen.count(name), seen.before(name)) == (there.count(name), there.before(name))


BINDINGS = st.builds(
    Binding,
    source=st.sampled_from(["bass", "onset", "rms", "beat_phase", "level", "beat", "kicks", "drop"]),
    target=st.just(Look),
    field=st.just("light"),
    attack=st.sampled_from([0.0, 0.3]),
    release=st.sampled_from([0.0, 2.0]),
    look_ahead=st.sampled_from([0.0, -0.7]),
    quantise=st.sampled_from([None, "bar", "beat", "quarter"]),
)


@settings(max_examples=60, deadline=None)
@given(binding=BINDINGS, **PARTS)
def test_bindings_move_in_a_part_as_in_the_whole_song(
    analysis: Analysis, binding: Binding, fps: Fraction, first: int, frames: int
) -> None:
    _, chosen = Scene("snow").resolve()
    whole, part = (with_levels(line, chosen) for line in whole_and_part(analysis, fps, first, frames))
    assert binding.course(part).tobytes() == binding.course(whole)[first:].tobytes()


def test_first_frame_is_at_the_very_start_between_two_frames_too(analysis: Analysis) -> None:
    start = Fraction("2.345")
    part = analysis.timeline(Fraction(30), 20, start=start)
    assert part.time(0) == 2.345
    assert part.time(3) == float(start + Fraction(1, 10))
    beats = analysis.events["beats"]
    for frame in range(20):
        edges = 2.345 + frame / 30, 2.345 + (frame + 1) / 30
        assert part.count("beats", frame) == np.count_nonzero((beats >= edges[0]) & (beats < edges[1]))
    # Halfway between the frames of a timeline twice as fast, it is every second frame of that.
    fast = analysis.timeline(Fraction(60), 60, start=Fraction(1, 60))
    slow = analysis.timeline(Fraction(30), 30, start=Fraction(1, 60))
    assert slow.features["section_phase"].tobytes() == fast.features["section_phase"][::2].tobytes()
    assert slow.lead_frames == 0


def test_loudness_is_that_of_the_whole_song(analysis: Analysis) -> None:
    kind, chosen = Scene("snow", "song.wav", {**SMALL, "start": 2.0, "duration": 0.5}).resolve()
    part = make_plan(kind, chosen, analysis).timeline
    whole = make_plan(kind, chosen.model_copy(update={"start": 0.0, "duration": 6.0}), analysis).timeline
    for name in ("bass", "level", "bass_high", "momentary"):
        assert part.features[name].tobytes() == whole.features[name][60:75].tobytes()


def blocks(samples: F32, cuts: list[int]) -> Iterator[F32]:
    for first, last in pairwise([0, *sorted(cuts), samples.shape[1]]):
        yield samples[:, first:last]


@settings(max_examples=100, deadline=None)
@given(
    start=st.fractions(0, 2, max_denominator=1001),
    rate=st.sampled_from([100, 441, 480]),
    cuts=st.lists(st.integers(0, 800), max_size=6),
)
def test_sound_of_a_part_is_the_whole_sound_from_its_first_sample_on(
    start: Fraction, rate: int, cuts: list[int]
) -> None:
    samples = noise(800 / rate, rate=rate)
    heard = list(Part(start, Fraction(1)).heard(blocks(samples, cuts), rate))
    first = round(start * rate)
    assert abs(Fraction(first, rate) - start) <= Fraction(1, 2 * rate)
    assert all(block.shape[1] for block in heard)
    assert np.concatenate([samples[:, :0], *heard], axis=1).tobytes() == samples[:, first:].tobytes()


def test_without_a_start_the_blocks_are_passed_on_untouched() -> None:
    samples = noise(0.01)
    [heard] = Part(Fraction(0), Fraction(1)).heard([samples], 48_000)
    assert heard is samples


@pytest.mark.parametrize("name", ["song.wav", "song.mp3"])
def test_sound_of_the_video_begins_at_the_very_sample(tmp_path: Path, name: str) -> None:
    song = write_song(tmp_path / name, noise(4.0, rate=44_100), rate=44_100)
    with AudioFile(song) as file:
        samples = np.concatenate(list(file.blocks()), axis=1)
    result = render(Scene("snow", song, {**SMALL, "start": 1.2345, "duration": 1.5}), tmp_path / "out.mp4", workers=1)
    video = read_video(tmp_path / "out.mp4")
    first = round(1.2345 * 44_100)
    wanted, heard = samples[0, first : first + 60_000], video.sound[0, :60_000]
    alike = np.fft.irfft(np.fft.rfft(heard, 131_072) * np.conj(np.fft.rfft(wanted, 131_072)))
    assert int(np.argmax(alike)) == 0
    assert video.sound_start == 0
    assert abs(video.sound.shape[1] - 1.5 * 44_100) <= 1024
    assert (result.start, result.frames) == (1.2345, 45)


def test_same_frames_for_any_number_of_workers_and_any_segments(demo_song: Path, tmp_path: Path) -> None:
    scene = Scene("enhanced", demo_song, PART)

    def hashes(**options: float) -> tuple[str, ...]:
        return render(scene, tmp_path / "out.mp4", frame_hashes=True, **options).frame_hashes  # type: ignore[arg-type]

    alone = hashes(workers=1)
    assert len(set(alone)) == 42
    assert hashes(workers=3, segment_seconds=0.3) == alone
    for frame in (0, 13, 41):  # seconds of the video, not of the song
        assert render_frame(scene, frame / 30, tmp_path / "frame.png") == alone[frame]


def test_particles_begin_with_the_part(demo_song: Path, tmp_path: Path) -> None:
    deaf = {**SMALL, "duration": 0.2}
    first = render_frame(Scene("no_music", demo_song, deaf), 0, tmp_path / "frame.png")
    assert render_frame(Scene("no_music", demo_song, {**deaf, "start": 3.0}), 0, tmp_path / "frame.png") == first


@pytest.mark.parametrize("duration", ["audio", None])
def test_part_lasts_to_the_end_of_the_song(analysis: Analysis, duration: str | None) -> None:
    kind, chosen = Scene("snow", "song.wav", {**SMALL, "start": 4.4, "duration": duration}).resolve()
    assert make_plan(kind, chosen, analysis).frames == 48


def test_drop_begins_a_bar_before_the_strongest_drop(analysis: Analysis) -> None:
    events = {**analysis.events, "drops": np.array([4.0]), "downbeats": np.array([0.0, 2.0, 4.0])}
    kind, chosen = Scene("snow", "song.wav", {**SMALL, "start": "drop", "duration": "audio"}).resolve()
    plan = make_plan(kind, chosen, replace(analysis, events=events))
    assert (plan.part.start, plan.frames) == (2, 120)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (6.0, r"^start = 6: must be under 6 seconds, the length of the song$"),
        (7.5, r"^start = 7\.5: must be under 6 seconds"),
        (5.99, r"^start = 5\.99: leaves less than one frame of the song; begin earlier$"),
    ],
)
def test_start_at_or_after_the_end_is_refused(analysis: Analysis, start: float, message: str) -> None:
    kind, chosen = Scene("snow", "song.wav", {**SMALL, "start": start, "duration": "audio"}).resolve()
    with pytest.raises(SceneError, match=message):
        make_plan(kind, chosen, analysis)


@pytest.mark.parametrize(("start", "shown"), [(2, "2"), ("drop", "drop")])
def test_start_needs_a_song(start: object, shown: str) -> None:
    with pytest.raises(SceneError, match=f"^start = {shown}: is a moment of a song, and there is none"):
        Scene("snow", config={**SMALL, "start": start}).resolve()
    Scene("snow", config={**SMALL, "start": 0}).resolve()
