"""SongSound: the sound track of a video, made from its song while the picture is rendered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ecs_core.ahead import Ahead
from ecs_core.rendering.plan import RenderPlan
from ecs_core.song_file.mixdown import Mixdown, gain_for
from ecs_core.video.aac import FRAME, Packet, aac_rate, copied, encoded
from ecs_core.video.format import pieces_of_sound
from ecs_core.video.opus import RATE, encoded_opus

if TYPE_CHECKING:
    from ecs_core.song_file.audio_file import AudioFile, Song
    from ecs_core.song_file.own_aac import OwnAac

_AHEAD = 60  # seconds: 2.4 MB


class _ClosedError(Exception):
    """No packets are wanted any more."""


class SongSound:
    """AAC ``packets`` of a plan's song, at ``rate`` and with ``channels``, made by a thread up to a minute ahead.

    Those of a WebM are Opus.

    A core is idle while render processes load and while the last segments are rendered; encoding in the thread that
    joins would keep render processes waiting for work. ``is_copied`` says, once a packet was taken, whether the packets
    are the song's own.

    Raises:
        AudioError: the song cannot be read.
    """

    def __init__(self, path: Path, plan: RenderPlan) -> None:
        self._path, self._plan = path, plan
        self._song = song = self._open()
        self._mix = mix_of(plan, song)
        self.rate, self.channels = sound_rate(plan, song), self._mix.channels
        self.is_copied = self._closed = False
        self.packets = Ahead(self._packets(), limit=_AHEAD * self.rate // FRAME)

    def _open(self) -> AudioFile:
        from ecs_core.song_file.audio_file import AudioFile  # noqa: PLC0415 - slow, and not needed without a song

        return AudioFile(self._path, track=self._plan.settings.track)

    def _packets(self) -> Iterator[Packet]:
        from ecs_core.song_file.own_aac import find_own_aac, own_packets  # noqa: PLC0415 - likewise

        own = find_own_aac(self._open, heed=self._heed) if may_be_copied(self._plan) else None
        if own is not None and fits(self._plan, own):
            self.is_copied = True
            with self._open() as song:
                yield from copied_sound(self._plan, own, own_packets(song))
        else:
            yield from encoded_sound(self._plan, self._song, self._mix)

    def _heed(self) -> None:
        if self._closed:
            raise _ClosedError

    def close(self) -> None:
        """Stop making packets, and close the song."""
        self._closed = True
        self.packets.stop()
        self._song.close()


def may_be_copied(plan: RenderPlan) -> bool:
    """Whether the song's own AAC could be the sound track of a plan: it is whole, and its size does not matter."""
    return plan.plays_whole_song and plan.video.form != "webm" and plan.video.rates.sound is None


def sound_rate(plan: RenderPlan, song: Song) -> int:
    """The sample rate of a plan's encoded sound."""
    return RATE if plan.video.form == "webm" else aac_rate(song.rate)


def fits(plan: RenderPlan, own: OwnAac) -> bool:
    """Whether a song's own AAC can be the whole sound track of a plan that plays the whole song."""
    apart = abs(own.samples / own.rate - float(plan.part.duration))
    return aac_rate(own.rate) == own.rate and apart <= float(1 / plan.video.fps)


def copied_sound(plan: RenderPlan, own: OwnAac, packets: Iterable[bytes]) -> Iterator[Packet]:
    """The sound track of a plan made of the song's own packets, up to the end of the picture."""
    samples = min(own.samples, round(plan.part.duration * own.rate))
    return copied(packets, rate=own.rate, skip=own.skip, samples=samples)


def mix_of(plan: RenderPlan, song: Song) -> Mixdown:
    """How the song of a plan is mixed for its sound track."""
    return Mixdown(song.layout, gain=gain_for(plan.peak))


def sound_pieces(plan: RenderPlan) -> int:
    """How many pieces a plan's sound is encoded in."""
    return 1 if plan.video.form == "webm" else pieces_of_sound(plan.part.duration)


def encoded_sound(plan: RenderPlan, song: Song, mix: Mixdown, *, piece: int | None = None) -> Iterator[Packet]:
    """The sound track of a plan encoded from the song's samples: the part that the video plays, with its fades.

    Of it ``piece``, one of as many as :func:`sound_pieces` says; None: all.
    """
    blocks = plan.part.heard(mix.blocks(song.blocks()), song.rate)
    encode = encoded_opus if plan.video.form == "webm" else partial(encoded, piece=piece)
    return encode(
        blocks,
        rate=song.rate,
        channels=mix.channels,
        duration=plan.part.duration,
        quality=plan.video.quality,
        bit_rate=plan.video.rates.sound,
    )
