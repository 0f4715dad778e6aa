"""Opus packets of a sound track, encoded from samples, for containers that hold no AAC."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import av

from ecs_core.arrays import F32
from ecs_core.video.aac import Packet, exactly, packets
from ecs_core.video.format import Quality

RATE = 48_000  # samples a second, of all Opus
_BIT_RATES: dict[Quality, tuple[int, int]] = {  # bits a second of mono and of stereo
    "draft": (64_000, 96_000),
    "standard": (96_000, 192_000),
    "high": (128_000, 256_000),
}


def encoded_opus(
    blocks: Iterable[F32],
    *,
    rate: int,
    channels: int,
    duration: Fraction,
    quality: Quality,
    bit_rate: int | None = None,
) -> Iterator[Packet]:
    """Encode blocks of samples (1 or 2, n) float32 as a track of exactly ``duration`` seconds.

    Time stamps count samples of ``RATE``; the first packet is earlier than 0 by the encoder's delay. A song shorter
    than the track is followed by silence.
    """
    layout = "mono" if channels == 1 else "stereo"
    codec = av.CodecContext.create("libopus", "w")
    assert isinstance(codec, av.AudioCodecContext)
    codec.sample_rate, codec.layout, codec.format = RATE, layout, "flt"
    codec.bit_rate = bit_rate or _BIT_RATES[quality][channels > 1]
    codec.time_base = Fraction(1, RATE)
    resampler = av.AudioResampler(format="flt", layout=layout, rate=RATE, frame_size=RATE // 50)
    yield from packets(codec, resampler, exactly(blocks, channels, round(duration * rate)), rate=rate)
