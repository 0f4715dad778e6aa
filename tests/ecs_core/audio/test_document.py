"""The analysis as a document: there and back, checked value by value, corrected by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecs_core.audio import document
from ecs_core.audio.analysis import Analysis
from ecs_core.audio.catalogue import EVENTS, FEATURES
from ecs_core.audio.features import features_of
from ecs_core.audio.guidance import Guidance, Hearing
from ecs_core.errors import SceneError
from services.cli.demo_song import compose
from tests.ecs_core.audio.samples import spectrum


@pytest.fixture(scope="module")
def heard() -> Analysis:
    return features_of(spectrum(compose(10.0)))


@pytest.fixture
def plain(heard: Analysis) -> dict[str, Any]:
    found: dict[str, Any] = json.loads("".join(document.pieces(heard)))
    return found


def test_pieces_hold_the_document_and_the_timeline(heard: Analysis, plain: dict[str, Any]) -> None:
    assert plain["curves"].keys() == heard.curves.keys()
    np.testing.assert_allclose(plain["curves"]["bass"]["values"], heard.curves["bass"], rtol=1e-3)
    facts = {name: value for name, value in plain.items() if name != "curves"}
    assert json.loads("".join(document.pieces(heard, curves=False))) == facts
    seen = heard.timeline(Fraction(30), 300)
    found = json.loads("".join(document.pieces(heard, seen=seen)))
    told = {name: value for name, value in seen.to_json().items() if name in ("fps", "features", "onsets", "beats")}
    assert found == told | plain
    assert max(map(len, document.pieces(heard, seen=seen))) < 0.4 * sum(map(len, document.pieces(heard, seen=seen)))


def test_binary_round_trip_is_exact(heard: Analysis, tmp_path: Path) -> None:
    document.save(heard, tmp_path / "song.npz")
    back = document.load(tmp_path / "song.npz")
    assert (back.exact_duration, back.tempo, back.labels, back.key) == (
        heard.exact_duration,
        heard.tempo,
        heard.labels,
        heard.key,
    )
    assert back.curves.keys() == heard.curves.keys()
    for name, values in heard.curves.items():
        np.testing.assert_array_equal(back.curves[name], values)
    for name, values in heard.events.items():
        np.testing.assert_array_equal(back.events[name], values)
    for name, strong in heard.strengths.items():
        np.testing.assert_array_equal(back.strengths[name], strong)


def test_json_has_its_schema_and_all_data(plain: dict[str, Any], heard: Analysis) -> None:
    assert (plain["schema"], plain["version"]) == ("motes-analysis", 1)
    assert set(plain["events"]) == set(EVENTS)
    assert set(plain["curves"]) == {feature.curve for feature in FEATURES if feature.curve}
    assert Fraction(plain["exact_duration"]) == heard.exact_duration
    assert all(curve["unit"] for curve in plain["curves"].values())


def test_complete_document_restores_the_analysis(plain: dict[str, Any], heard: Analysis) -> None:
    back = document.whole(document.check(plain, where="it"), [])
    assert back is not None
    for name, values in heard.curves.items():
        np.testing.assert_allclose(back.curves[name], values, rtol=1e-3, atol=1e-9)
    for name, times in heard.events.items():
        np.testing.assert_allclose(back.events[name], times, atol=1e-6)
    one, other = (each.timeline(Fraction(30), 300).features for each in (heard, back))
    for name in one:
        assert np.abs(one[name] - other[name]).max() < 0.01, name


def test_document_without_curves_is_a_correction(plain: dict[str, Any], heard: Analysis) -> None:
    del plain["curves"]
    plain["events"] = {"beats": {"times": [1.0, 2.0, 3.0]}}
    plain["tempo"] = 60
    given = document.check(plain, where="it")
    assert document.whole(given, []) is None
    mended = document.corrected(heard, given)
    assert mended.events["beats"].tolist() == [1, 2, 3]
    assert mended.tempo == 60
    np.testing.assert_array_equal(mended.events["onsets"], heard.events["onsets"])
    np.testing.assert_array_equal(mended.curves["bass"], heard.curves["bass"])


def test_fields_missing_in_a_correction_are_unchanged(heard: Analysis) -> None:
    least = {"schema": "motes-analysis", "version": 1, "duration": 10}
    mended = document.corrected(heard, document.check(least, where="it"))
    assert (mended.tempo, mended.key, mended.labels) == (heard.tempo, heard.key, heard.labels)


def said(**said: Any) -> document.Document:
    return document.check({"schema": "motes-analysis", "version": 1, "duration": 10, **said}, where="it")


SLOW = {"beats": {"times": (0.25 + 0.75 * np.arange(13)).tolist()}}


@pytest.mark.parametrize("full", [False, True])
def test_corrected_beats_update_derived_values(plain: dict[str, Any], heard: Analysis, full: bool) -> None:
    del plain["curves"]
    events = {**plain["events"], **SLOW} if full else SLOW
    mended = document.corrected(
        heard, document.check(plain | {"events": events}, where="it") if full else said(events=SLOW)
    )
    assert mended.tempo == pytest.approx(80)
    np.testing.assert_allclose(mended.curves["tempo"], 80, rtol=1e-5)
    beats, downbeats = mended.events["beats"], mended.events["downbeats"]
    np.testing.assert_array_equal(downbeats, beats[np.searchsorted(beats, downbeats[0]) :: heard.metre])
    assert heard.tempo == pytest.approx(120, rel=0.01)


def test_corrected_metre_is_counted_from_a_detected_bar(heard: Analysis) -> None:
    mended = document.corrected(heard, said(metre=2))
    at = np.searchsorted(mended.events["beats"], mended.events["downbeats"])
    assert (np.diff(at) == 2).all()
    assert np.isin(heard.events["downbeats"], mended.events["downbeats"]).mean() > 0.9


def test_explicit_values_override_derived_ones(heard: Analysis) -> None:
    events = {**SLOW, "downbeats": {"times": [1.0, 4.0]}}
    mended = document.corrected(heard, said(events=events, tempo=40))
    assert (mended.tempo, mended.events["downbeats"].tolist()) == (40, [1, 4])


def test_corrected_beats_make_a_complete_document_a_correction(plain: dict[str, Any]) -> None:
    assert document.whole(document.check(plain, where="it"), []) is not None
    assert document.whole(document.check(plain | {"events": {**plain["events"], **SLOW}}, where="it"), []) is None
    del plain["events"]["hats"]
    assert document.whole(document.check(plain, where="it"), []) is None


def test_tempo_beside_corrected_beats_is_a_warning(heard: Analysis) -> None:
    mended = document.corrected(heard, said(events=SLOW), Guidance(bpm=60.0, metre=3))
    assert mended.warnings == ("bpm 60.0: the analysis that was given has beats of its own",)
    assert document.corrected(heard, said(), Guidance(bpm=60.0)).warnings == ()


def test_number_of_labels_must_match_the_sections(heard: Analysis) -> None:
    right = ["A", "B", "C", "D", "E"][: len(heard.labels)]
    assert document.corrected(heard, said(labels=right)).labels == tuple(right)
    with pytest.raises(SceneError, match=f"there are {len(right)} sections but {len(right) - 1} labels"):
        document.corrected(heard, said(labels=right[1:]))


def test_document_of_another_song_is_refused(heard: Analysis) -> None:
    other = document.check({"schema": "motes-analysis", "version": 1, "duration": 12}, where="it")
    with pytest.raises(SceneError, match=r"another song: duration 12 s, this one has 10 s"):
        document.corrected(heard, other)


BAD: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "version": (lambda plain: plain.update(version=2), r"it: version 2: this Motes reads version 1"),
    "no version": (lambda plain: plain.pop("version"), r"version None"),
    "schema": (lambda plain: plain.update(schema="x"), r'"schema" must be "motes-analysis"'),
    "tempo": (lambda plain: plain.update(tempo=-1), r"tempo = -1: must be between 0 and 1000$"),
    "unknown": (
        lambda plain: plain.update(swing=1),
        r"unknown field 'swing' for an analysis; it has: schema, vers",
    ),
    "event": (
        lambda plain: plain["events"].update(claps={"times": []}),
        r"events\.claps: no such event; there are: on",
    ),
    "order": (
        lambda plain: plain["events"]["beats"].update(times=[2, 1]),
        r"times must ascend; times\.1 = 1 comes aft",
    ),
    "late": (lambda plain: plain["events"]["beats"].update(times=[11]), r"events\.beats: 11 s is after the end"),
    "negative": (lambda plain: plain["events"]["beats"].update(times=[-1]), r"events\.beats\.times\.0 = -1"),
    "infinite": (lambda plain: plain["events"]["beats"].update(times=[float("inf")]), r"finite"),
    "strengths": (lambda plain: plain["events"]["beats"].update(strengths=[1.0]), r"strengths"),
    "labels": (lambda plain: plain.update(labels=["A"] * 99), r"99 labels"),
    "step": (lambda plain: plain.update(step=0.5), r"step = 0\.5: must be 0\.011610"),
    "duration": (lambda plain: plain.update(duration=0), r"duration = 0: must be over 0 and at most 86400$"),
    "curve": (
        lambda plain: plain.update(curves={"rms": {"values": [0.5, "x", 0.5]}}),
        r"it: curves\.rms\.values\.1 = 'x': must be a number between -1000000 and 1000000$",
    ),
    "curve of several columns": (
        lambda plain: plain.update(curves={"chroma": {"values": [[0.5, 0.5], [0.5, "x"]]}}),
        r"it: curves\.chroma\.values\.1\.1 = 'x': must be a number between -1000000 and 1000000$",
    ),
    "exact duration": (lambda plain: plain.update(exact_duration="1/0"), r"exact_duration"),
    "two durations": (lambda plain: plain.update(exact_duration="7"), r"exact_duration must be the duration"),
    "text": (lambda plain: plain.update(tempo="fast"), r"tempo = 'fast': must be a number between 0 and 1000$"),
}


@pytest.mark.parametrize("case", BAD)
def test_invalid_value_is_named_with_what_is_allowed(plain: dict[str, Any], case: str) -> None:
    spoil, said = BAD[case]
    del plain["curves"]
    spoil(plain)
    with pytest.raises(SceneError, match=said) as caught:
        document.check(plain, where="it")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"a": 1}', b"\xff\xfe", b"[" * 100_000, None])
def test_invalid_json_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "song.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SceneError, match=r"^\S*song\.json: "):
        document.read(path)


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_invalid_binary_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "song.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SceneError, match=r"^\S*song\.npz: "):
        document.load(path)


# --- what a user says of a song ---


def counted(**said: Any) -> Analysis:
    return features_of(spectrum(compose(10.0)), guidance=Guidance(**said))


def test_tempo_and_beat_offset_make_an_even_grid() -> None:
    analysis = counted(bpm=100.0, beat_offset=1.3)
    np.testing.assert_allclose(analysis.events["beats"], np.arange(0.1, 10, 0.6))
    assert analysis.tempo == 100


def test_given_beat_offset_is_a_beat() -> None:
    beats = counted(beat_offset=5.2).events["beats"]
    assert np.abs(beats - 5.2).min() < 1e-6


@pytest.mark.parametrize(("octave", "tempo"), [("half", 60), ("double", 240)])
def test_beat_octave_halves_and_doubles_the_tempo(octave: Any, tempo: float) -> None:
    assert counted(beat_octave=octave).tempo == pytest.approx(tempo, rel=0.03)


# --- how it is heard ---


def test_percentiles_set_the_range_of_a_feature(heard: Analysis) -> None:
    plain = heard.timeline(Fraction(30), 300).features["bass"]
    strict = heard.timeline(Fraction(30), 300, {"bass": Hearing(threshold=80)}).features["bass"]
    eager = heard.timeline(Fraction(30), 300, {"bass": Hearing(full=50)}).features["bass"]
    assert strict.mean() < plain.mean() < eager.mean()
    assert (strict <= plain + 1e-6).all()


def test_percentile_threshold_drops_weak_events(heard: Analysis) -> None:
    line = heard.timeline(Fraction(30), 300, {"onsets": Hearing(threshold=50)})
    assert len(line.events["onsets"]) == pytest.approx(len(heard.events["onsets"]) / 2, abs=1)
    assert line.strengths["onsets"].min() >= np.median(heard.strengths["onsets"])
