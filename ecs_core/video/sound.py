"""SoundTrack: the song as one AAC or Opus stream over the whole video, in sync with the picture."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Literal

import av

from ecs_core.heartbeat import beat
from ecs_core.video.aac import Packet


class SoundTrack:
    """A stream of ``container`` made of AAC or Opus packets, as ``codec`` says.

    Their time stamps count samples from the start of the video. ``packets`` are taken only as the picture proceeds, so
    they may be made meanwhile.
    """

    def __init__(
        self,
        container: av.container.OutputContainer,
        packets: Iterator[Packet],
        *,
        rate: int,
        channels: int,
        codec: Literal["aac", "libopus"] = "aac",
    ) -> None:
        # Its encoder never encodes: it only states the format in the header.
        stream = container.add_stream(codec, rate=rate, layout="mono" if channels == 1 else "stereo")
        assert isinstance(stream, av.audio.stream.AudioStream)
        stream.codec_context.time_base = Fraction(1, rate)
        self._container, self._stream = container, stream
        self._packets = packets
        self._next: Packet | None = None  # taken, but later than what was asked for
        self._next_at = Fraction(0)  # its second of the video

    def mux_until(self, seconds: Fraction | None = None) -> None:
        """Mux the packets up to ``seconds`` of the video, or all that are left."""
        while True:
            if self._next is None:
                if (packet := next(self._packets, None)) is None:
                    return
                self._next, self._next_at = packet, (packet.pts or 0) * packet.time_base
            if seconds is not None and self._next_at > seconds:
                return
            self._next.stream = self._stream
            self._container.mux_one(self._next)
            self._next = None
            beat()
