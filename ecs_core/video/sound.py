"""SoundTrack: the song as one AAC stream over the whole video, in sync with the picture."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
import numpy as np

from ecs_core.arrays import F32

_BIT_RATE = 192_000
_AHEAD = 60  # seconds: 1.4 MB
_AAC_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000})


class SoundTrack:
    """Encodes blocks of samples (channels, n) float32 into a stream of ``container`` that lasts ``duration`` seconds.

    The samples are the ones that were analysed, so picture and sound are in sync. Blocks have one or two
    channels; rates that AAC lacks become 48 kHz; a song shorter than the video is followed by silence.
    """

    def __init__(
        self,
        container: av.container.OutputContainer,
        blocks: Iterable[F32],
        *,
        rate: int,
        channels: int,
        duration: Fraction,
    ) -> None:
        out_rate = rate if rate in _AAC_RATES else 48_000
        layout = "mono" if channels == 1 else "stereo"
        # The fast coder takes a third of the time and is as accurate at this bit rate.
        stream = container.add_stream("aac", rate=out_rate, layout=layout, options={"aac_coder": "fast"})
        assert isinstance(stream, av.audio.stream.AudioStream)
        stream.bit_rate = _BIT_RATE if channels > 1 else _BIT_RATE // 2
        stream.codec_context.time_base = Fraction(1, out_rate)
        self._container, self._stream = container, stream
        self._rate = rate
        self._layout = layout
        self._resampler = av.AudioResampler(format="fltp", layout=layout, rate=out_rate)
        self._samples = round(duration * rate)
        self._blocks = _exactly(blocks, channels, self._samples)
        self._read = 0
        self._open = True
        self._held: deque[av.Packet[av.AudioStream]] = deque()  # encoded, not yet muxed

    def encode_until(self, seconds: Fraction) -> None:
        """Encode and mux until the track reaches ``seconds`` of the video, or its end."""
        self._encode(seconds)
        while self._held and (self._held[0].pts or 0) * (self._held[0].time_base or 0) <= seconds:
            self._container.mux_one(self._held.popleft())

    def encode_ahead(self) -> bool:
        """Encode one second and hold it until it is needed; False if enough is held, or everything is encoded."""
        before = self._read
        if before < _AHEAD * self._rate:
            self._encode(Fraction(before, self._rate) + 1)
        return self._read > before

    def _encode(self, seconds: Fraction) -> None:
        end = min(self._samples, int(seconds * self._rate))
        while self._open and self._read < end:
            block = next(self._blocks)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=self._layout)
            frame.sample_rate = self._rate
            frame.time_base = Fraction(1, self._rate)
            frame.pts = self._read
            self._read += block.shape[1]
            self._hold(self._resampler.resample(frame))

    def finish(self) -> None:
        """Encode the rest and flush."""
        self.encode_until(Fraction(self._samples, self._rate))
        if self._open:
            self._open = False
            self._hold(self._resampler.resample(None))
            self._container.mux([*self._held, *self._stream.encode(None)])

    def _hold(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            self._held += self._stream.encode(frame)


def _exactly(blocks: Iterable[F32], channels: int, samples: int) -> Iterator[F32]:
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
