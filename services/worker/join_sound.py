"""add_song(): the sound track of a joined video, from an untrusted song."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path

from ecs_core.errors import AudioError
from ecs_core.rendering.plan import RenderPlan
from ecs_core.rendering.song_sound import copied_sound, encoded_sound, fits, may_be_copied, mix_of, sound_rate
from ecs_core.scene.render_result import Sound
from ecs_core.video.join import VideoFile
from services.media.decoder import DecodedSong
from services.media.own_packets import OwnPackets


def add_song(video: VideoFile, plan: RenderPlan, path: Path, *, name: str, required: bool, closing: ExitStack) -> Sound:
    """Add the song's own AAC to a video, or else encode the song; ``closing`` ends the process that decodes it.

    Raises:
        MissingSandboxError: it is not decoded, as the sandbox is ``required`` and lacks something.
        AudioError: the song cannot be decoded; the message calls it ``name``.
        ConnectionResetError: the decoding process was killed from outside; a retry may succeed.
    """
    track = plan.settings.track
    if may_be_copied(plan):
        with suppress(AudioError):  # comparing takes twice the time of decoding: too much for a very long song
            song = closing.enter_context(OwnPackets(path, name=name, track=track, required=required))
            if song.own is not None and fits(plan, song.own):
                packets = copied_sound(plan, song.own, song.packets())
                video.add_sound(packets, rate=song.own.rate, channels=song.own.channels)
                return "copied"
    decoded = closing.enter_context(DecodedSong(path, name=name, track=track, required=required))
    mix = mix_of(plan, decoded)
    video.add_sound(encoded_sound(plan, decoded, mix), rate=sound_rate(plan, decoded), channels=mix.channels)
    return "encoded"
