"""The sound track of a video is the song: in time to the sample, as loud, and as clean as AAC can be."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from bench.music.fidelity import as_motes, as_pyav, fidelity, heard_in, is_as_good
from bench.music.material import MATERIAL, RATE
from ecs_core.video.format import QUALITIES, Quality

# dB of noise and distortion; a coder that clips loud tones has −13.
CLEAN = {"tone 440 Hz": -50.0, "tone 1 kHz": -50.0, "808 sub bass": -40.0, "solo bass": -40.0, "clicks": -40.0}


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("name", CLEAN)
def test_sound_is_clean(name: str, quality: Quality) -> None:
    song = MATERIAL[name]()[:, : 2 * RATE]
    file = as_motes(song, quality)
    found = fidelity(song, heard_in(file)[0])
    assert found.delay == 0
    assert abs(found.level) < 0.05
    assert found.noise < CLEAN[name]
    with av.open(io.BytesIO(file)) as container:
        track = container.streams.audio[0]
        assert track.duration * track.time_base == 2


@pytest.mark.parametrize("name", ["two tones", "strings", "speech", "demo song"])
def test_no_sound_is_worse_than_by_ffmpegs_default(name: str) -> None:
    song = MATERIAL[name]()[:, : 2 * RATE]
    ours, default = (fidelity(song, heard_in(encode(song))[0]) for encode in (as_motes, as_pyav))
    assert is_as_good(ours, default)


def test_silence_stays_silent() -> None:
    assert not heard_in(as_motes(MATERIAL["silence"]()))[0].any()


def test_measure_finds_delay_level_and_noise() -> None:
    song = MATERIAL["demo song"]()
    late = np.pad(song, ((0, 0), (700, 0)))
    assert fidelity(song, late).delay == 700
    noise = np.random.Generator(np.random.Philox(1)).standard_normal(song.shape) * np.sqrt((song**2).mean()) / 100
    found = fidelity(song, (0.5 * (song + noise)).astype(np.float32))
    assert found.delay == 0
    assert found.level == pytest.approx(-6.02, abs=0.01)
    assert found.noise == pytest.approx(-46.02, abs=0.1)  # −40 dB of the song, halved with it
