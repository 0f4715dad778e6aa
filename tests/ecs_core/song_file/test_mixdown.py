"""Layouts: every one that FFmpeg names is decoded, weighted and mixed down by its positions, as ffmpeg mixes it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from ecs_core.audio.features import analyze
from ecs_core.song_file.audio_file import AudioFile
from ecs_core.song_file.layouts import LAYOUTS, default_layout, layout_of, loudness_weights, positions, stereo_weights
from ecs_core.song_file.mixdown import Mixdown, conversion, cut_warning, gain_for, peak_of
from tests.ecs_core.audio.samples import read
from tests.media import F32, noise, write_layout

# Speakers that swresample leaves out of a stereo mix, so that what they play would be lost; Motes mixes them like the
# other ones of their side.
LEFT_OUT = {"TBL", "TBR", "TSL", "TSR", "WL", "WR", "TC", "TFC", "TBC", "BFC", "BFL", "BFR"}
# So are the sides of 22.2. The FFmpeg of Debian 12 leaves these out too; later ones have them in.
LEFT_OUT_BEFORE = {"TFL", "TFR"}
NAMED = [name for name, names in LAYOUTS.items() if len(names.split()) > 2]


def by_ffmpeg(layout: str) -> F32:
    """The matrix of ffmpeg's own mix to stereo, relative to the left front: each channel in turn is 0.25."""
    channels = positions(layout)
    song = np.kron(np.eye(len(channels), dtype=np.float32), np.full(100, 0.25, np.float32))
    source = ("-f", "f32le", "-ar", "48000", "-ch_layout", "+".join(channels), "-i", "-")
    command = ("ffmpeg", "-v", "error", *source, "-ac", "2", "-f", "f32le", "-")
    done = subprocess.run(command, input=song.T.tobytes(), capture_output=True, check=True)
    mixed = np.frombuffer(done.stdout, "<f4").reshape(-1, 2).T
    matrix = mixed[:, 50::100]
    return matrix / matrix[0, channels.index("FL")]


@pytest.mark.debian("ffmpeg")
@pytest.mark.parametrize("layout", NAMED)
def test_mix_is_that_of_ffmpeg_channel_by_channel(layout: str) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")
    theirs, ours = by_ffmpeg(layout), stereo_weights(layout)
    for number, position in enumerate(positions(layout)):
        if (
            position in LEFT_OUT | LEFT_OUT_BEFORE | ({"SL", "SR"} if layout == "22.2" else set())
            and not theirs[:, number].any()
        ):
            assert 0.7 < np.hypot(*ours[:, number]) < 0.71, position
        else:
            np.testing.assert_allclose(ours[:, number], theirs[:, number], atol=1e-4, err_msg=position)


def test_layouts_are_those_of_ffmpeg() -> None:
    for name in LAYOUTS:
        layout = av.AudioLayout(name)
        assert (layout.name, tuple(each.name for each in layout.channels)) == (name, positions(name))
    for channels in range(1, 25):
        try:
            expected = av.AudioLayout(f"{channels}c").name
        except ValueError:
            expected = f"{channels} channels"
        assert default_layout(channels) == expected


def test_every_speaker_of_every_layout_is_heard_but_low_frequency_effects() -> None:
    for name in NAMED:
        for position, weights in zip(positions(name), stereo_weights(name).T, strict=True):
            assert weights.any() == (position not in ("LFE", "LFE2")), (name, position)


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("stereo", [1, 1]),
        ("3.0", [1, 1, 1]),
        ("3.1", [1, 1, 1, 0]),
        ("4.1", [1, 1, 1, 0, 1]),
        ("quad", [1, 1, 1.41, 1.41]),
        ("5.1", [1, 1, 1, 0, 1.41, 1.41]),
        ("5.1(side)", [1, 1, 1, 0, 1.41, 1.41]),
        ("6.1", [1, 1, 1, 0, 1, 1.41, 1.41]),
        ("7.1", [1, 1, 1, 0, 1, 1, 1.41, 1.41]),
        ("6.1(front)", [1, 1, 0, 1, 1, 1.41, 1.41]),
    ],
)
def test_loudness_weights_go_by_position(layout: str, expected: list[float]) -> None:
    assert loudness_weights(layout).tolist() == expected


@pytest.mark.parametrize(
    "layout", ["2.1", "3.0", "quad", "4.1", "5.1(side)", "hexagonal", "7.1(wide)", "7.1.4", "22.2"]
)
def test_layout_of_a_file_is_kept(tmp_path: Path, layout: str) -> None:
    song = noise(0.1, channels=len(positions(layout)))
    path = write_layout(tmp_path / "song.wav", song, layout)
    with AudioFile(path) as file:
        assert (file.layout, file.channels) == (layout, len(song))
    np.testing.assert_array_equal(read(path)[0], song)


@pytest.mark.parametrize(("channels", "layout"), [(3, "2.1"), (4, "4.0"), (6, "5.1"), (8, "7.1"), (9, "9 channels")])
def test_file_without_a_layout_has_the_default_for_its_channels(tmp_path: Path, channels: int, layout: str) -> None:
    song = noise(0.1, channels=channels)
    path = write_layout(tmp_path / "song.wav", song, f"{channels} channels")
    with AudioFile(path) as file:
        assert (file.layout, file.channels) == (layout, channels)
    np.testing.assert_array_equal(read(path)[0], song)


def test_channels_without_positions_are_heard_on_both_sides() -> None:
    mixed = Mixdown("9 channels")(np.eye(9, dtype=np.float32))
    np.testing.assert_allclose(mixed, 1 / 9, rtol=1e-6)


def test_ambisonic_sound_is_mixed_to_its_sides() -> None:
    mixed = Mixdown("ambisonic 1")(np.float32([[1], [1], [0], [0]]))  # from the left
    assert mixed.tolist() == [[1], [0]]


def test_more_channels_than_ffmpeg_converts_are_refused(tmp_path: Path) -> None:
    path = write_layout(tmp_path / "song.wav", noise(0.01, channels=65), "65 channels")
    with pytest.raises(Exception, match="has 65 channels; allowed: 1 to 64"):
        AudioFile(path)


@pytest.mark.parametrize("name", ["", "nonsense", "3 channels (FL+FR)", "0 channels", "65 channels", "ambisonic 8"])
def test_unknown_layout_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="layout"):
        positions(name)


def test_custom_layout_is_named_by_its_positions() -> None:
    name = layout_of("3 channels (FL+FC@Voice+LFE)", ["FL", "FC", "LFE"])
    assert positions(name) == ("FL", "FC", "LFE")


def test_mono_and_stereo_are_not_touched() -> None:
    for layout in ("mono", "stereo", "binaural", "downmix", "2 channels"):
        block = np.full((len(positions(layout)), 4), 3, np.float32)
        assert Mixdown(layout, gain=0.5)(block) is block
        assert cut_warning(layout, 3.0) == ()


def test_loud_mix_is_cut_as_little_as_it_takes(tmp_path: Path) -> None:
    song = np.full((6, 4800), 0.5, np.float32)
    song[:, 2400:] = 0.9
    with AudioFile(write_layout(tmp_path / "song.flac", song, "5.1")) as file:
        peak = peak_of(file.blocks(), file.layout)
    assert peak == pytest.approx(0.9 * (1 + 2**0.5), abs=1e-4)
    mixed = Mixdown("5.1", gain=gain_for(peak))(song)
    assert np.abs(mixed).max() == pytest.approx(1.0, abs=1e-4)
    analysis = analyze(tmp_path / "song.flac")
    assert analysis.peak == pytest.approx(peak)
    assert "mixed from 5.1 to stereo, the song would clip: it is 6.7 dB quieter" in analysis.warnings


def test_quiet_mix_is_not_cut() -> None:
    assert gain_for(0.99) == gain_for(None) == 1
    assert cut_warning("5.1", 0.99) == ()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("mono", "stereo", [[1], [1]]),
        ("stereo", "mono", [[0.5, 0.5]]),
        ("stereo", "5.1", [[1, 0], [0, 1], [0, 0], [0, 0], [0, 0], [0, 0]]),
        ("mono", "5.1", [[0], [0], [1], [0], [0], [0]]),
        ("3.0", "stereo", [[1, 0, 2**-0.5], [0, 1, 2**-0.5]]),
        ("5.1", "5.1(side)", np.eye(6).tolist()),
        ("5.1", "quad", [[1, 0, 2**-0.5, 0, 0, 0], [0, 1, 2**-0.5, 0, 0, 0], [0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1]]),
    ],
)
def test_layout_that_changes_midway_is_converted(before: str, after: str, expected: list[list[float]]) -> None:
    np.testing.assert_allclose(conversion(before, after), expected, atol=1e-6)
