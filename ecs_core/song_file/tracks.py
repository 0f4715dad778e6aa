"""Tracks: which sound track of a file is the song, and how it lies beside the picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TypeVar

import av
import av.error
from av.stream import Disposition

from ecs_core.errors import AudioError
from ecs_core.song_file.containers import ALLOWED, open_container, sound_decoders
from ecs_core.song_file.layouts import MOST_CHANNELS

_Packet = TypeVar("_Packet", bound="av.Packet[av.AudioStream] | av.Packet[av.stream.Stream]")
RATES = range(1_000, 768_001)  # samples per second; other values mean a damaged header, and would take hours
_FIRST_PICTURES = 32  # in any order
_TRIED = 200  # packets in which a track must have sound, if there are others


def choose_track(path: Path, container: av.container.InputContainer, track: int | None) -> tuple[int, tuple[str, ...]]:
    """The number of the sound track to read, from 0, and warnings about others that should have been.

    With no ``track`` asked for, it is the one that is marked as default, or else the first one that can be read.

    Raises:
        AudioError: there is none, or it cannot be read.
    """
    streams = container.streams.audio
    if not streams:
        raise AudioError(f"{path}: has no sound track; allowed: {ALLOWED}")
    if track is not None:
        if track >= len(streams):
            held = (
                "1 sound track, track 0"
                if len(streams) == 1
                else f"{len(streams)} sound tracks, 0 to {len(streams) - 1}"
            )
            raise AudioError(f"track {track}: {path} has {held}")
        if (problem := _problem(streams[track])) is not None:
            raise AudioError(f"{path}: {problem}")
        return track, ()
    numbers = sorted(range(len(streams)), key=lambda number: not streams[number].disposition & Disposition.default)
    problems: list[tuple[int, str]] = []
    for number in numbers:
        problem = _problem(streams[number])
        if problem is None and len(streams) > 1 and not _has_sound(path, number):
            problem = "its sound track cannot be decoded"
        if problem is None:
            return number, tuple(f"{path}: track {n}: {what}; track {number} is used" for n, what in problems)
        problems.append((number, problem))
    raise AudioError(f"{path}: {problems[0][1]}")


def _problem(stream: av.AudioStream) -> str | None:
    """Why a sound track cannot be read, as far as its header says."""
    codec = stream.codec_context
    if getattr(codec, "name", None) not in sound_decoders():  # None where FFmpeg has no decoder at all
        return f"its audio codec is not supported; allowed: {ALLOWED}"
    rate, channels = codec.sample_rate, codec.layout.nb_channels
    if not rate or not channels:
        return "its sound track is damaged: no sample rate or no channels"
    if rate not in RATES:
        return f"has a sample rate of {rate} Hz: damaged? allowed: {RATES[0]} to {RATES[-1]}"
    if channels > MOST_CHANNELS:
        return f"has {channels} channels; allowed: 1 to {MOST_CHANNELS}"
    return None


def _has_sound(path: Path, number: int) -> bool:
    """Whether the beginning of a track can be decoded."""
    with open_container(path) as container:
        packets = container.demux(container.streams.audio[number])
        return any(_decoded(packet) for packet in islice(_readable(packets), _TRIED))


def _readable(packets: Iterator[_Packet]) -> Iterator[_Packet]:
    try:
        yield from packets
    except av.error.FFmpegError:
        return


def _decoded(packet: av.Packet[av.AudioStream]) -> bool:
    try:
        return bool(packet.decode())
    except av.error.FFmpegError:
        return False


def pictures_of(container: av.container.InputContainer) -> list[av.VideoStream]:
    """The video streams, without covers."""
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def start_of_picture(path: Path, container: av.container.InputContainer) -> Fraction | None:
    """When the picture of an open file begins on its time line, in seconds; None if there is none, or it is damaged."""
    pictures = {stream.index for stream in pictures_of(container)}
    if not pictures:
        return None
    # Not stream.start_time, which is wrong as no decoder of pictures may run.
    with open_container(path) as other:
        packets = _readable(other.demux([stream for stream in other.streams if stream.index in pictures]))
        times = [
            packet.pts * packet.time_base
            for packet in islice(packets, _FIRST_PICTURES)
            if packet.pts is not None and packet.time_base is not None
        ]
    return min(times, default=None)


def said_seconds(container: av.container.InputContainer, stream: av.AudioStream) -> float | None:
    """How long the file says that a sound track is; None where it does not say."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    said = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", str(stream.metadata.get("DURATION", "")))  # Matroska
    if said is not None:
        start = 0.0 if stream.start_time is None else float(stream.start_time * (stream.time_base or 0))
        return max(0.0, 3600 * int(said[1]) + 60 * int(said[2]) + float(said[3]) - max(0.0, start))
    if container.duration is None or pictures_of(container) or len(container.streams.audio) > 1:
        return None  # the length of the whole is not that of the track
    return container.duration / av.time_base
