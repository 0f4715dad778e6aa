"""Pieces of a sound, each by an encoder of its own: nobody hears where they meet, whoever makes them."""

from __future__ import annotations

from fractions import Fraction
from itertools import chain

import av
import numpy as np
import pytest

from ecs_core.arrays import F32
from ecs_core.video import aac
from ecs_core.video import format as video_format
from ecs_core.video.format import pieces_of_sound

SECONDS, FRAME = 8, aac.FRAME


def song(rate: int, channels: int) -> F32:
    """Chords, noise and beats."""
    t = np.arange(SECONDS * rate) / rate
    chance = np.random.default_rng(3)
    chord = sum(0.1 * np.sin(2 * np.pi * f * t) for f in (220.0, 277.2, 329.6, 440.0))
    beats = 0.3 * chance.normal(size=t.size) * np.exp(-30 * (t % 0.37))
    sides = [chord + beats + 0.01 * chance.normal(size=t.size) for _ in range(channels)]
    return np.clip(np.stack(sides), -1, 1).astype(np.float32)


def encoded(samples: F32, rate: int, piece: int | None = None) -> list[tuple[int, bytes]]:
    blocks = [samples[:, first : first + 30_000] for first in range(0, samples.shape[1], 30_000)]
    how = {"rate": rate, "channels": len(samples), "piece": piece}
    made = aac.encoded(blocks, duration=Fraction(SECONDS), quality="standard", **how)  # type: ignore[arg-type]
    return [(packet.pts or 0, bytes(packet)) for packet in made]


def noise(samples: F32, rate: int, made: list[tuple[int, bytes]]) -> np.ndarray:
    """Of each packet's worth of the song: what is heard wrongly, in dB."""
    layout = "mono" if len(samples) == 1 else "stereo"
    writer = av.CodecContext.create("aac", "w")
    writer.sample_rate, writer.layout, writer.format = rate, layout, "fltp"  # type: ignore[attr-defined]
    writer.time_base = Fraction(1, rate)
    writer.open()
    reader = av.CodecContext.create("aac", "r")
    reader.extradata = writer.extradata
    frames = chain.from_iterable(reader.decode(av.Packet(data)) for _, data in made)  # type: ignore[var-annotated]
    heard = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)[:, FRAME:]
    count = min(heard.shape[1], samples.shape[1]) // FRAME
    wrong = heard[:, : count * FRAME] - samples[:, : count * FRAME]
    return np.asarray(10 * np.log10((wrong.reshape(len(samples), count, FRAME) ** 2).mean((0, 2)) + 1e-12))


def seams() -> list[int]:
    """The packets that pieces begin with, but the first."""
    count = -(-SECONDS * 44_100 // FRAME)
    number = pieces_of_sound(Fraction(SECONDS))
    return [count * each // number for each in range(1, number)]


@pytest.mark.parametrize("channels", [1, 2])
def test_nothing_is_heard_where_pieces_meet(monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    samples = song(44_100, channels)
    whole = encoded(samples, 44_100)
    monkeypatch.setattr(video_format, "SOUND_SECONDS", 2)
    pieces = encoded(samples, 44_100)
    assert len(seams()) == 3
    assert [at for at, _ in pieces] == [at for at, _ in whole]
    assert [data for _, data in pieces] != [data for _, data in whole]
    before, after = noise(samples, 44_100, whole), noise(samples, 44_100, pieces)
    near = [number for seam in seams() for number in range(seam - 3, seam + 3)]
    assert np.abs(after[near] - before[near]).max() < 3


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
def test_pieces_that_several_make_are_those_that_one_makes(monkeypatch: pytest.MonkeyPatch, rate: int) -> None:
    monkeypatch.setattr(video_format, "SOUND_SECONDS", 2)
    samples = song(rate, 2)
    each = [encoded(samples, rate, piece) for piece in range(pieces_of_sound(Fraction(SECONDS)))]
    assert len(each) == 4
    assert list(chain(*each)) == encoded(samples, rate)


def test_a_song_is_cut_into_pieces_of_about_90_seconds() -> None:
    assert [pieces_of_sound(Fraction(seconds)) for seconds in (1, 134, 136, 240, 3600)] == [1, 1, 2, 3, 40]
