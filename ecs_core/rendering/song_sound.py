"""SongSound: the sound track of a video, made from its song while the picture is rendered."""

from __future__ import annotations

from pathlib import Path

from ecs_core.ahead import Ahead
from ecs_core.audio.mixdown import Mixdown, gain_for
from ecs_core.rendering.plan import RenderPlan
from ecs_core.video.aac import FRAME, aac_rate, encoded

_AHEAD = 60  # seconds: 1.4 MB


class SongSound:
    """AAC ``packets`` of a plan's song, at ``rate`` and with ``channels``, made by a thread up to a minute ahead.

    A core is idle while render processes load and while the last segments are rendered; encoding in the thread that
    joins would keep render processes waiting for work.

    Raises:
        AudioError: the song cannot be read.
    """

    def __init__(self, path: Path, plan: RenderPlan) -> None:
        from ecs_core.audio.decode import AudioFile  # noqa: PLC0415 - slow, and not needed without a song

        self._song = song = AudioFile(path, track=plan.settings.track)
        mix = Mixdown(song.layout, gain=gain_for(plan.peak))
        self.rate, self.channels = aac_rate(song.rate), mix.channels
        packets = encoded(
            plan.part.heard(mix.blocks(song.blocks()), song.rate),
            rate=song.rate,
            channels=mix.channels,
            duration=plan.part.duration,
            quality=plan.video.quality,
        )
        self.packets = Ahead(packets, limit=_AHEAD * self.rate // FRAME)

    def close(self) -> None:
        """Stop making packets, and close the song."""
        self.packets.stop()
        self._song.close()
