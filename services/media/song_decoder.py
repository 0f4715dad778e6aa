"""Decoders of songs, for the sandboxed process: nothing else in the service loads FFmpeg for a client's file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from ecs_core.song_file.audio_file import AudioFile
from ecs_core.song_file.mixdown import Mixdown, cut_warning
from ecs_core.song_file.own_aac import find_own_aac, own_packets
from services.media import pyav_modules  # noqa: F401 - loaded before the process is confined
from services.media.decoding_limits import CHUNK_SAMPLES, MAX_SONG_SECONDS
from services.media.sandbox.messages import Channel


def decode(path: Path, channel: Channel, track: int | None = None) -> None:
    """Send {rate, channels, layout, seconds}, then samples as little-endian float32 (channels, n), then {warnings}."""
    with AudioFile(path, track=track) as song:
        seconds = None if song.seconds is None else max(0.0, song.seconds)
        channel.say(rate=song.rate, channels=song.channels, layout=song.layout, seconds=seconds)
        for block in song.blocks():
            for at in range(0, block.shape[1], CHUNK_SAMPLES):
                channel.send(np.ascontiguousarray(block[:, at : at + CHUNK_SAMPLES], "<f4").data)
        channel.say(warnings=song.warnings)


def copy(path: Path, channel: Channel, track: int | None = None) -> None:
    """Send {own: {rate, channels, skip, samples}} and the song's AAC packets; {own: null} if they cannot be copied."""
    own = find_own_aac(lambda: AudioFile(path, track=track))
    channel.say(own=None if own is None else asdict(own))
    if own is not None:
        with AudioFile(path, track=track) as song:
            for packet in own_packets(song):
                channel.send(packet)


def describe(path: Path, channel: Channel) -> None:
    """Send {texts, artwork, lyrics, warnings}.

    Then ``artwork`` bytes of a JPEG or PNG file, and ``lyrics`` bytes of text in UTF-8, if they are not 0.
    """
    with AudioFile(path) as song:
        tags = song.tags()
    artwork, lyrics = tags.artwork or b"", tags.lyrics.encode()
    channel.say(texts=dict(tags.texts), artwork=len(artwork), lyrics=len(lyrics), warnings=tags.warnings)
    for data in (artwork, lyrics):
        if data:
            channel.send(data)


def measure(path: Path, channel: Channel) -> None:
    """Send {duration, sample_rate, channels, warnings}; of a song that is too long, they are of its beginning."""
    with AudioFile(path) as song:
        samples, peak, mixdown = 0, 0.0, Mixdown(song.layout)
        for block in song.blocks():
            samples += block.shape[1]
            peak = max(peak, float(np.abs(mixdown(block)).max(initial=0)))
            if samples > MAX_SONG_SECONDS * song.rate:
                break
        warnings = [*song.warnings, *cut_warning(song.layout, peak)]
        channel.say(duration=samples / song.rate, sample_rate=song.rate, channels=song.channels, warnings=warnings)
