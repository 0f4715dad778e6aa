"""add_song(): the sound track of a joined video, from an untrusted song."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from ecs_core.errors import AudioError
from ecs_core.rendering.plan import RenderPlan
from ecs_core.rendering.song_sound import copied_sound, encoded_sound, fits, mix_of
from ecs_core.scene.render_result import Sound
from ecs_core.video.aac import aac_rate
from ecs_core.video.join import VideoFile
from services.media.decoder import DecodedSong
from services.media.own_packets import OwnPackets


def add_song(video: VideoFile, plan: RenderPlan, path: Path, *, name: str, closing: ExitStack) -> Sound:
    """Add the song's own AAC to a video, or else encode the song; ``closing`` ends the process that decodes it.

    Raises:
        AudioError: the song cannot be decoded; the message calls it ``name``.
        ConnectionResetError: the decoding process was killed from outside; a retry may succeed.
    """
    if plan.plays_whole_song and (song := _own_packets(plan, path, name)) is not None:
        closing.enter_context(song)
        if song.own is not None and fits(plan, song.own):
            packets = copied_sound(plan, song.own, song.packets())
            video.add_sound(packets, rate=song.own.rate, channels=song.own.channels)
            return "copied"
    decoded = closing.enter_context(DecodedSong(path, name=name, track=plan.settings.track))
    mix = mix_of(plan, decoded)
    video.add_sound(encoded_sound(plan, decoded, mix), rate=aac_rate(decoded.rate), channels=mix.channels)
    return "encoded"


def _own_packets(plan: RenderPlan, path: Path, name: str) -> OwnPackets | None:
    try:
        return OwnPackets(path, name=name, track=plan.settings.track)
    except AudioError:  # comparing takes twice the time of decoding, which may be too much for a very long song
        return None
