"""Features: 0–1, the same for quiet and loud songs, without lag, at any frame rate."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ecs_core.audio import catalogue
from ecs_core.audio.analysis import Analysis
from ecs_core.audio.features import analyze, features_of
from ecs_core.audio.onsets import SECONDS_PER_HOP
from ecs_core.audio.spectrum import RMS, Spectrum
from ecs_core.audio.timeline import EVENTS, FEATURES, AudioFeature, FeatureTimeline
from services.cli.demo_song import RATE, compose
from tests.ecs_core.audio.samples import F32, heard, hits, spectrum
from tests.media import noise, tone, write_song

PHASES = {feature.name for feature in catalogue.FEATURES if feature.kind == "phase"}
RATES = [Fraction(24), Fraction(30), Fraction(60), Fraction(30_000, 1001)]


@pytest.fixture(scope="module")
def song() -> F32:
    return compose()


@pytest.fixture(scope="module")
def demo(song: F32) -> Analysis:
    return heard(song, rate=RATE)


def timeline(analysis: Analysis, fps: Fraction = Fraction(30)) -> FeatureTimeline:
    return analysis.timeline(fps, round(analysis.exact_duration * fps))


def check(analysis: Analysis) -> None:
    """Everything is a number in 0–1, and events ascend."""
    for fps in RATES:
        found = timeline(analysis, fps)
        assert set(found.features) == set(FEATURES)
        for name, values in found.features.items():
            assert values.dtype == np.float32
            assert np.isfinite(values).all(), name
            assert ((values >= 0) & (values <= 1)).all(), name
    assert set(analysis.events) == set(EVENTS)
    for times in analysis.events.values():
        assert np.isfinite(times).all()
        assert (np.diff(times) > 0).all()
        assert ((times >= 0) & (times <= analysis.exact_duration)).all()
    assert np.isfinite(analysis.tempo)


def same(one: Analysis, other: Analysis, *, within: float = 0.0) -> None:
    """Two analyses are equal, or nearly so."""
    assert one.exact_duration == other.exact_duration
    assert one.tempo == pytest.approx(other.tempo, abs=within)
    for name in EVENTS:
        np.testing.assert_allclose(one.events[name], other.events[name], rtol=0, atol=within)
    for name, curve in one.curves.items():
        close = max(within, 1e-3 * float(np.abs(curve).max()) if within else 0.0)  # in its own unit
        np.testing.assert_allclose(curve, other.curves[name], rtol=0, atol=close, err_msg=name)


def test_features_of_the_demo_song_are_valid(demo: Analysis) -> None:
    check(demo)


def test_every_feature_uses_its_range(demo: Analysis) -> None:
    for name, values in timeline(demo).features.items():
        if name in ("left", "right", "build", "bar_phase") or (
            name.startswith("chroma") and name.endswith("s")
        ):  # centred, and in A minor
            continue
        assert values.max() - values.min() > 0.4, name


@pytest.mark.parametrize("decibels", [-40, -20, 6])
def test_features_do_not_depend_on_loudness(demo: Analysis, song: F32, decibels: float) -> None:
    other = timeline(heard(song * np.float32(10 ** (decibels / 20)), rate=RATE))
    for name, values in timeline(demo).features.items():
        shares = [float((curve >= 0.3).mean()) for curve in (values, other.features[name])]
        assert shares[0] == pytest.approx(shares[1], abs=0.02), name
        assert np.abs(values - other.features[name]).max() < 0.02, name


def test_quiet_16_bit_song_has_the_features_of_the_loud_one(demo: Analysis, song: F32, tmp_path: Path) -> None:
    quiet = analyze(write_song(tmp_path / "quiet.wav", song * np.float32(0.01), rate=RATE))
    for name in ("sub", "bass", "low_mid", "mid", "high", "rms", "onset"):
        one, other = timeline(demo).features[name], timeline(quiet).features[name]
        assert (one >= 0.3).mean() == pytest.approx((other >= 0.3).mean(), abs=0.02), name
        assert np.abs(one - other).max() < 0.05, name


def test_intro_without_drums_has_less_bass_than_the_drop(demo: Analysis) -> None:
    bass = timeline(demo).features["bass"]
    assert bass[: 3 * 30].mean() < 0.5 * bass[8 * 30 : 18 * 30].mean()


def test_silence_has_no_events_and_zero_features() -> None:
    analysis = heard(np.zeros((2, 3 * 44_100), np.float32))
    check(analysis)
    assert analysis.tempo == 0.0
    assert all(times.size == 0 for times in analysis.events.values())
    assert all((values == 0).all() for values in timeline(analysis).features.values())


def test_last_bit_noise_is_silence() -> None:
    dither = np.random.Generator(np.random.Philox(7)).integers(-1, 2, (2, 3 * 44_100)) / 32_768
    analysis = heard(dither.astype(np.float32))
    assert all((values == 0).all() for values in timeline(analysis).features.values())
    assert all(times.size == 0 for times in analysis.events.values())


def test_pause_within_a_song_is_dark(song: F32) -> None:
    paused = song.copy()
    paused[:, 10 * RATE : 12 * RATE] = 0
    found = timeline(heard(paused, rate=RATE)).features
    for name in set(FEATURES) - PHASES:
        assert found[name][round(10.8 * 30) : round(11.9 * 30)].max() < 0.01, name


@pytest.mark.parametrize("samples", [1, 2, 50, 2205, 22_050])
def test_very_short_song_has_valid_features(samples: int) -> None:
    check(heard(noise(1.0, rate=44_100)[:, :samples]))


def test_dc_offset_has_valid_features() -> None:
    check(heard(np.full((2, 2 * 44_100), 0.7, np.float32)))


@pytest.mark.parametrize(
    ("hertz", "band"), [(100, "bass"), (600, "low_mid"), (2000, "mid"), (8000, "high"), (15_000, "air")]
)
def test_amplitudes_are_rms_in_every_band(hertz: int, band: str) -> None:
    sine = 0.5 * np.sin(2 * np.pi * hertz * np.arange(3 * 44_100) / 44_100)
    curves = heard(np.stack([sine, sine]).astype(np.float32), rate=44_100).curves
    assert float(np.median(curves[band])) == pytest.approx(0.5 / 2**0.5, rel=0.02)
    if band != "air":  # which lies above what rms is of
        assert float(np.median(curves["rms"])) == pytest.approx(0.5 / 2**0.5, rel=0.02)


def test_steady_tone_is_loud_and_has_no_beats() -> None:
    analysis = heard(tone(5.0))
    check(analysis)
    assert timeline(analysis).features["rms"][30:120].min() > 0.8
    assert timeline(analysis).features["bass"][30:120].min() > 0.8
    assert analysis.events["beats"].size == 0
    assert (analysis.events["onsets"] < 0.1).all()


def test_steady_noise_has_valid_features() -> None:
    check(heard(noise(4.0, rate=44_100)))


def test_clicks_have_valid_features() -> None:
    check(heard(hits(4.0, [0.3, 1.1, 1.9, 3.7])))


def test_full_scale_square_waves_have_valid_features() -> None:
    check(heard(np.sign(tone(2.0))))


def test_samples_far_beyond_full_scale_have_valid_features() -> None:
    check(heard(noise(1.0, rate=44_100) * np.float32(1e6)))


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("frames", [0, 1, 77, 900])
def test_timeline_has_as_many_rows_as_frames(demo: Analysis, fps: Fraction, frames: int) -> None:
    found = demo.timeline(fps, frames)
    assert found.frames == frames
    assert found.fps == fps
    assert all(len(values) == frames for values in found.features.values())


def test_features_are_zero_after_the_end_of_the_song(demo: Analysis) -> None:
    found = demo.timeline(Fraction(30), 1000).features
    for name in set(FEATURES) - PHASES:
        assert found[name][620:].max() == 0.0, name


@pytest.mark.parametrize("fps", RATES)
def test_onset_peak_survives_every_frame_rate(demo: Analysis, fps: Fraction) -> None:
    curve, found = demo.curves["onset"], timeline(demo, fps).features["onset"]
    for time in demo.events["onsets"]:
        hop = int(time / SECONDS_PER_HOP)
        peak = min(1.0, curve[max(0, hop - 1) : hop + 3].max())
        frame = int(time * fps)
        assert found[max(0, frame - 1) : frame + 2].max() >= 0.999 * peak


@pytest.mark.parametrize("fps", RATES)
def test_bass_rises_with_the_kick(fps: Fraction) -> None:
    times = np.array([0.513, 1.521, 2.034, 3.077, 3.708])
    bass = timeline(heard(hits(4.5, times.tolist(), kind="kick")), fps).features["bass"]
    crossings = 1 + np.flatnonzero((bass[1:] >= 0.5) & (bass[:-1] < 0.5))
    assert len(crossings) == len(times)
    assert np.abs(crossings - (times * float(fps)).astype(int)).max() <= 1


def test_hit_falls_in_a_fifth_of_a_second() -> None:
    onset = timeline(heard(hits(3.0, [1.0, 2.0])), Fraction(60)).features["onset"]
    peak = onset[55:66].max()
    assert onset[60 + 15] < 0.2 * peak
    assert onset[60 + 3] > 0.4 * peak


def test_each_band_responds_to_its_own_pitch() -> None:
    pitches = {"sub": 40, "low_mid": 500, "mid": 2000, "high": 8000}
    t = np.arange(RATE) / RATE
    song = np.concatenate([0.5 * np.sin(2 * np.pi * pitch * t) for pitch in pitches.values()])[None].astype(np.float32)
    found = timeline(heard(song)).features
    for second, name in enumerate(pitches):
        means = {band: float(found[band][second * 30 + 8 : second * 30 + 27].mean()) for band in pitches}
        assert max(means, key=lambda band: means[band]) == name
        assert means[name] > 0.8


def test_brightness_follows_the_pitch() -> None:
    t = np.arange(RATE) / RATE
    song = np.concatenate([0.5 * np.sin(2 * np.pi * pitch * t) for pitch in (200, 1000, 5000)])[None]
    centroid = timeline(heard(song.astype(np.float32))).features["centroid"]
    middles = centroid[[15, 45, 75]]
    np.testing.assert_allclose(middles, np.log(np.array([2, 10, 50])) / np.log(80), atol=0.03)


def test_analysis_is_deterministic(song: F32, demo: Analysis) -> None:
    same(demo, heard(song, rate=RATE))


@pytest.mark.parametrize("block", [700, 100_003])
def test_analysis_does_not_depend_on_block_size(song: F32, demo: Analysis, block: int) -> None:
    same(demo, features_of(spectrum(song, rate=RATE, block=block)), within=1e-5)


def test_mono_and_stereo_have_the_same_features(song: F32) -> None:
    mono = song.mean(axis=0, dtype=np.float32)[None]
    one, other = heard(mono, rate=RATE), heard(np.repeat(mono, 2, axis=0), rate=RATE)
    for name in ("momentary", "short_term"):  # two loudspeakers are twice as loud
        np.testing.assert_allclose(one.curves[name] + np.float32(10 * np.log10(2)), other.curves[name], atol=0.01)
    curves = {name: other.curves[name] for name in other.curves} | {
        n: one.curves[n] for n in ("momentary", "short_term")
    }
    same(one, replace(other, curves=curves), within=1e-3)


def test_features_do_not_depend_on_the_sample_rate(song: F32, demo: Analysis) -> None:
    import soxr

    at_48 = soxr.resample(song.T, RATE, 48_000).T.astype(np.float32)
    one, other = timeline(demo).features, timeline(heard(at_48, rate=48_000)).features
    for name in ("sub", "bass", "low_mid", "mid", "rms", "onset"):
        assert np.abs(one[name] - other[name]).max() < 0.05, name


def test_plugin_feature_cannot_change_other_features(song: F32, demo: Analysis) -> None:
    def louder(heard: Spectrum) -> F32:
        heard.rms[:] *= 3
        return heard.rms

    def airless(heard: Spectrum) -> F32:
        heard.measured.air[:] = 0
        return heard.rms

    def itself(heard: Spectrum) -> F32:
        return heard.rms

    more = [AudioFeature(each.__name__, "tries", each) for each in (louder, airless, itself)]
    analysis = features_of(spectrum(song, rate=RATE), more=more)
    for name, curve in demo.curves.items():
        np.testing.assert_array_equal(analysis.curves[name], curve)
    assert [warning.split(" is left")[0] for warning in analysis.warnings if "is read-only" in warning] == [
        "audio feature 'louder'",
        "audio feature 'airless'",
    ]
    np.testing.assert_array_equal(analysis.curves["itself"] * RMS, demo.curves["rms"])


def test_progress_rises_to_one(demo_song: Path) -> None:
    shares: list[float] = []
    analyze(demo_song, progress=shares.append)
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert shares == sorted(shares)
    assert len(shares) > 5


def test_duration_is_exact(tmp_path: Path) -> None:
    analysis = analyze(write_song(tmp_path / "song.wav", tone(1.2345)))
    assert analysis.exact_duration == Fraction(round(1.2345 * 44_100), 44_100)


def test_warnings_reach_the_analysis(tmp_path: Path) -> None:
    path = write_song(tmp_path / "song.wav", tone(2.0))
    path.write_bytes(path.read_bytes()[:200_000])
    assert any("truncated" in warning for warning in analyze(path).warnings)


@pytest.mark.parametrize(("right", "said"), [(-1.0, 1), (-0.97, 1), (-0.5, 0), (0.0, 0), (1.0, 0)])
def test_cancelling_channels_are_a_warning(right: float, said: int) -> None:
    """Their mix is silent although the song is loud."""
    left = hits(2.0, [0.5, 1.0, 1.5])[:1]
    analysis = heard(np.concatenate([left, right * left]).astype(np.float32))
    assert [warning.partition(":")[0] for warning in analysis.warnings] == ["left and right cancel"] * said


@pytest.mark.debian("neverball-data")
def test_real_song_has_valid_features(real_song: Path) -> None:
    analysis = analyze(real_song)
    check(analysis)
    assert 40 < analysis.tempo < 240
    assert len(analysis.events["onsets"]) > 50
    assert len(analysis.events["beats"]) > 50
    bass = timeline(analysis).features["bass"]
    assert 0.1 < (bass >= 0.3).mean() < 0.95
