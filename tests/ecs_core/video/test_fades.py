"""Fades at both ends of a video: picture from and to black, sound from and to silence, both without a jump."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core import Scene, render, render_frame
from ecs_core.arrays import F32
from ecs_core.video.part import Part
from tests.media import SMALL, noise, read_video, tone, write_song

FPS, RATE = Fraction(30), 48_000
FADED = {**SMALL, "duration": 1.4, "fade_in": 0.5, "fade_out": 0.4}


def part(fade_in: str, fade_out: str, duration: str = "2") -> Part:
    return Part(Fraction(0), Fraction(duration), Fraction(fade_in), Fraction(fade_out))


def test_picture_rises_from_black_and_falls_to_black() -> None:
    light = [part("0.5", "1").light(frame, FPS) for frame in range(60)]
    assert light[0] == light[59] == 0
    assert all(before < after for before, after in pairwise(light[:16]))
    assert set(light[15:30]) == {1.0}
    assert all(before > after for before, after in pairwise(light[29:]))
    assert light[5] == pytest.approx(np.sin(np.pi / 2 / 3) ** 2)
    assert light[59 - 10] == pytest.approx(np.sin(np.pi / 2 / 3) ** 2)


def test_without_fades_all_light_stays() -> None:
    assert {part("0", "0").light(frame, FPS) for frame in range(60)} == {1.0}


def test_overlapping_fades_multiply() -> None:
    both, rise, fall = (part(*fades) for fades in (("2", "1.5"), ("2", "0"), ("0", "1.5")))
    for frame in range(60):
        assert both.light(frame, FPS) == pytest.approx(rise.light(frame, FPS) * fall.light(frame, FPS), abs=1e-12)


def joined(faded: Part, samples: F32, cuts: list[int]) -> F32:
    blocks = (samples[:, first:last] for first, last in pairwise([0, *sorted(cuts), samples.shape[1]]))
    return np.concatenate([samples[:, :0], *faded.heard(blocks, 100)], axis=1)


SECONDS = st.fractions(0, 5, max_denominator=30)


@settings(max_examples=100, deadline=None)
@given(start=SECONDS, fades=st.tuples(SECONDS, SECONDS), cuts=st.lists(st.integers(0, 600), max_size=6))
def test_sound_does_not_depend_on_how_the_song_comes_in_blocks(
    start: Fraction, fades: tuple[Fraction, Fraction], cuts: list[int]
) -> None:
    samples = noise(6, rate=100)
    faded = Part(start, Fraction(3), *fades)
    assert joined(faded, samples, cuts).tobytes() == joined(faded, samples, []).tobytes()


def test_sound_fades_by_the_number_of_the_sample_and_without_a_click() -> None:
    faded, ones = part("0.5", "1"), np.ones((2, 2 * RATE), np.float32)
    [gains] = faded.heard([ones], RATE)
    assert gains.dtype == np.float32
    assert gains[0, 0] == gains[0, -1] == 0
    assert (gains[:, RATE // 2 : RATE] == 1).all()
    numbers = np.arange(RATE // 2)
    np.testing.assert_allclose(gains[1, : RATE // 2], np.sin(np.pi / 2 * numbers / (RATE // 2)) ** 2, atol=1e-7)
    np.testing.assert_allclose(gains[0, ::-1][:RATE], np.sin(np.pi / 2 * np.arange(RATE) / RATE) ** 2, atol=1e-7)
    # In steps of 1/100 of the fade, the slope changes by little everywhere, whereas a straight line has kinks of 0.01.
    steps = np.pad(gains[0, ::240].astype(np.float64), 2)
    assert np.abs(np.diff(steps, 2)).max() < 0.001


def test_samples_between_the_fades_are_passed_on_untouched() -> None:
    samples = noise(2)
    blocks = [samples[:, first : first + 4800] for first in range(0, 2 * RATE, 4800)]
    heard = list(part("0.5", "1").heard(blocks, RATE))
    assert [heard[n] is blocks[n] or np.shares_memory(heard[n], blocks[n]) for n in range(20)] == [
        5 <= n < 10 for n in range(20)
    ]


@pytest.fixture(scope="module")
def frames(demo_song: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return _hashes(demo_song, tmp_path_factory.mktemp("fades"), FADED, workers=1)


def _hashes(song: Path, folder: Path, config: dict[str, object], **options: float) -> tuple[str, ...]:
    result = render(Scene("snow", song, config), folder / "out.mp4", frame_hashes=True, **options)  # type: ignore[arg-type]
    return result.frame_hashes


def test_frames_between_the_fades_are_the_same_as_without(
    demo_song: Path, tmp_path: Path, frames: tuple[str, ...]
) -> None:
    plain = _hashes(demo_song, tmp_path, {**SMALL, "duration": 1.4}, workers=1)
    assert [one == other for one, other in zip(frames, plain, strict=True)] == [15 <= n <= 29 for n in range(42)]


def test_faded_frames_depend_on_no_worker_and_no_segment(
    demo_song: Path, tmp_path: Path, frames: tuple[str, ...]
) -> None:
    assert _hashes(demo_song, tmp_path, FADED, workers=3, segment_seconds=0.3) == frames
    for frame in (0, 7, 41):
        assert render_frame(Scene("snow", demo_song, FADED), frame / 30, tmp_path / "frame.png") == frames[frame]


def test_sound_of_the_video_rises_and_falls(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav", tone(4.0))
    fades = {"start": 1.0, "duration": 2.0, "fade_in": 1.0, "fade_out": 0.5}
    render(Scene("snow", song, {**SMALL, **fades}), tmp_path / "out.mp4", workers=1)
    video = read_video(tmp_path / "out.mp4")

    def loud(second: float) -> float:
        middle = round(second * video.rate)
        return float(np.sqrt(2 * (video.sound[0, middle - 441 : middle + 441] ** 2).mean())) / 0.4

    assert loud(0.02) < 0.02
    assert loud(0.5) == pytest.approx(0.5, abs=0.03)
    assert loud(1.2) == pytest.approx(1, abs=0.03)
    assert loud(1.75) == pytest.approx(0.5, abs=0.03)
    assert loud(1.98) < 0.03
