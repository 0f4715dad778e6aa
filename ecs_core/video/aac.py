"""AAC packets of a sound track: encoded from samples, or copied from the song.

The settings are measured, not guessed: ``bench/sound.py`` prints noise and distortion of each kind of sound beside
FFmpeg's default (ADR 36).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TypeAlias

import av
import numpy as np

from ecs_core.arrays import F32
from ecs_core.video.format import Quality, pieces_of_sound

Packet: TypeAlias = "av.Packet[av.AudioStream]"

FRAME = 1024  # samples per packet
_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000})
_MOST_BITS = 6  # per sample and channel, in AAC
# Bits a second of mono and of stereo. Below 320 kbit/s the encoder distorts the beginnings of loud tones, but it takes
# half of the time.
_BIT_RATES: dict[Quality, tuple[int, int]] = {
    "draft": (160_000, 192_000),
    "standard": (160_000, 320_000),
    "high": (160_000, 320_000),
}
# FFmpeg's default coder: the fast one clips loud tones. Noise substitution saves bits that are not short here, and adds
# 7 dB to the noise of speech. More bandwidth than 20 kHz adds 3 dB to that of chords. global_quality is where the rate
# control starts from; its default spoils the first packets of a song.
_CLEAN = {"aac_pns": "0", "cutoff": "20000", "global_quality": "480"}
_OPTIONS: dict[Quality, dict[str, str]] = {"draft": {}, "standard": _CLEAN, "high": _CLEAN}
_BEFORE = 64  # packets, 1.5 s at 44.1 kHz
_FULL_RATE = 44_100  # samples a second; below, the encoder chooses the bandwidth


def aac_rate(rate: int) -> int:
    """The sample rate of the sound track of a song with this one: the same, or 48 kHz where AAC players lack it."""
    return rate if rate in _RATES else 48_000


def encoded(
    blocks: Iterable[F32],
    *,
    rate: int,
    channels: int,
    duration: Fraction,
    quality: Quality,
    bit_rate: int | None = None,
    piece: int | None = None,
) -> Iterator[Packet]:
    """Encode blocks of samples (1 or 2, n) float32 as a track of exactly ``duration`` seconds.

    Time stamps count samples of :func:`aac_rate`; the first packet is earlier than 0 by the encoder's delay, so that
    what is heard at 0 is the first sample. A song shorter than the track is followed by silence. ``bit_rate`` (bits a
    second) counts instead of that of the quality.

    Each of its pieces (:func:`ecs_core.video.format.pieces_of_sound`) has an encoder of its own, so several processes
    can make those of one track: ``piece`` is the one that is made, or None for all. The packets are the same either
    way.
    """
    out_rate, layout = aac_rate(rate), "mono" if channels == 1 else "stereo"

    def codec() -> av.AudioCodecContext:
        codec = av.CodecContext.create("aac", "w")
        assert isinstance(codec, av.AudioCodecContext)
        codec.sample_rate, codec.layout, codec.format = out_rate, layout, "fltp"
        codec.bit_rate = min(bit_rate or _BIT_RATES[quality][channels > 1], _MOST_BITS * out_rate * channels)
        codec.time_base = Fraction(1, out_rate)
        codec.options = dict(_OPTIONS[quality]) if out_rate >= _FULL_RATE else {}
        return codec

    number, packets = pieces_of_sound(duration), math.ceil(duration * out_rate / FRAME)
    bounds = [packets * each // number for each in range(number)]
    wanted = range(number) if piece is None else (piece,)
    made = [_Piece(codec(), bounds[each], bounds[each + 1] if each + 1 < number else None) for each in wanted]
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=out_rate)
    for part in _resampled(resampler, exactly(blocks, channels, round(duration * rate)), rate=rate):
        for each in made:
            yield from each.encode(part)
        if all(each.is_done for each in made):
            return
    for each in made:
        yield from each.encode(None)


class _Piece:
    """An encoder of the packets from ``first`` up to ``stop``; None: up to the end.

    What is heard over a cut is right, as each packet holds what it overlaps with of its neighbours. Those before the
    first are encoded, too, until the encoder has forgotten that it did not begin at the start.
    """

    def __init__(self, codec: av.AudioCodecContext, first: int, stop: int | None) -> None:
        self._codec, self._first, self._stop = codec, first, stop
        self._from, self._read = max(0, first - _BEFORE) * FRAME, 0  # samples: where it begins, and how many there were
        self.is_done = False

    def encode(self, frame: av.AudioFrame | None) -> Iterator[Packet]:
        """The packets of the piece that the next samples of the track complete; None: the track ends."""
        at = self._read
        self._read += 0 if frame is None else frame.samples
        if self.is_done or (frame is not None and self._read <= self._from):
            return
        if frame is not None and at < self._from:
            samples: F32 = np.ascontiguousarray(frame.to_ndarray()[:, self._from - at :], np.float32)
            rest = av.AudioFrame.from_ndarray(samples, format="fltp", layout=frame.layout.name)
            rest.sample_rate, rest.time_base, rest.pts = frame.sample_rate, frame.time_base, self._from
            frame = rest
        for packet in self._codec.encode(frame):
            number = (packet.pts or 0) // FRAME + 1  # the first is earlier than 0 by the encoder's delay
            self.is_done = self._stop is not None and number >= self._stop
            if self.is_done:
                return
            if number >= self._first:
                yield packet


def packets(
    codec: av.AudioCodecContext, resampler: av.AudioResampler, blocks: Iterable[F32], *, rate: int
) -> Iterator[Packet]:
    """What a codec makes of blocks of samples (1 or 2, n) at ``rate``, which it gets through a resampler."""
    for part in _resampled(resampler, blocks, rate=rate):
        yield from codec.encode(part)
    yield from codec.encode(None)


def _resampled(resampler: av.AudioResampler, blocks: Iterable[F32], *, rate: int) -> Iterator[av.AudioFrame]:
    read = 0
    for block in blocks:
        layout = "mono" if len(block) == 1 else "stereo"
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=layout)
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), read
        read += block.shape[1]
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


def copied(packets: Iterable[bytes], *, rate: int, skip: int, samples: int) -> Iterator[Packet]:
    """A song's own AAC packets as a track of ``samples`` samples, which begins after the first ``skip`` ones.

    Nothing looks into the packets, so they may come from strangers.
    """
    for number, data in enumerate(packets):
        start = number * FRAME - skip
        if start >= samples:
            return
        packet: Packet = av.Packet(data)  # type: ignore[assignment]  # of no stream yet
        packet.pts = packet.dts = start
        packet.duration = min(FRAME, samples - start)
        packet.time_base = Fraction(1, rate)
        packet.is_keyframe = True
        yield packet


def exactly(blocks: Iterable[F32], channels: int, samples: int) -> Iterator[F32]:
    """The blocks, cut or padded with silence to exactly ``samples`` and clipped to ±1."""
    left = samples
    for block in blocks:
        if left <= 0:
            return
        part = np.clip(block[:, :left], -1.0, 1.0)
        left -= part.shape[1]
        if part.shape[1]:
            yield part
    while left > 0:
        n = min(left, 48_000)
        left -= n
        yield np.zeros((channels, n), np.float32)
