"""The sound of a video as a file: packets that one task makes of an untrusted song, and that the join copies.

It is a zip file of all packets, a table of what each is, and what is true of all of them. Never pickled.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import NamedTuple, cast
from zipfile import ZipFile

import av
import numpy as np
from av.packet import PacketSideData, packet_sidedata_type_from_literal

from ecs_core.errors import AudioError
from ecs_core.rendering.plan import RenderPlan
from ecs_core.rendering.song_sound import copied_sound, encoded_sound, fits, may_be_copied, mix_of, sound_rate
from ecs_core.scene.render_result import Sound
from ecs_core.video.aac import Packet
from ecs_core.video.join import VideoFile
from services.media.decoder import DecodedSong
from services.media.own_packets import OwnPackets

_PACKETS, _TABLE, _FACTS = "packets", "table.npy", "facts.json"
_COLUMNS = 4  # of the table: pts, dts, duration, size


class _Made(NamedTuple):
    """Packets, and what is true of all of them."""

    packets: Iterator[Packet]
    rate: int
    channels: int
    how: Sound


def save_sound(
    plan: RenderPlan,
    song: Path,
    target: Path,
    *,
    piece: int,
    name: str,
    required: bool,
    on_progress: Callable[[int], object],
) -> None:
    """Save a piece of the sound of a plan, one of as many as ``sound_pieces`` says. Progress is in percent.

    It is the song's own AAC, of which the first piece is all, or else the encoded song.

    Raises:
        MissingSandboxError: it is not decoded, as the sandbox is ``required`` and lacks something.
        AudioError: the song cannot be decoded; the message calls it ``name``.
        ConnectionResetError: the decoding process was killed from outside; a retry may succeed.
    """
    table, skipped, told = array("q"), dict[int, str](), 0  # an hour has 150,000 packets
    with ExitStack() as closing, ZipFile(target, "w") as file:
        made = _made_of(plan, song, piece, name=name, required=required, closing=closing)
        with file.open(_PACKETS, "w", force_zip64=True) as packets:
            for packet in made.packets:
                packets.write(packet)
                if packet.has_sidedata("skip_samples"):  # the end of an Opus packet that is not to be heard
                    skipped[len(table) // _COLUMNS] = bytes(packet.get_sidedata("skip_samples")).hex()
                table.extend((packet.pts or 0, packet.dts or 0, packet.duration or 0, packet.size))
                done = int(100 * (packet.pts or 0) / made.rate / plan.part.duration)
                if done > told:
                    on_progress(told := done)
        with file.open(_TABLE, "w") as rows:
            np.save(rows, np.array(table, np.int64).reshape(-1, _COLUMNS))
        facts = {"rate": made.rate, "channels": made.channels, "how": made.how, "skipped": skipped}
        file.writestr(_FACTS, json.dumps(facts))


def add_sound(video: VideoFile, pieces: Sequence[Path], *, closing: ExitStack) -> Sound:
    """Add a sound that is saved in pieces to a video, which reads them while segments are appended; ``closing`` closes
    the files.
    """
    files = [closing.enter_context(ZipFile(path)) for path in pieces]
    facts = [json.loads(file.read(_FACTS)) for file in files]
    video.add_sound(chain(*map(_packets_of, files, facts)), rate=facts[0]["rate"], channels=facts[0]["channels"])
    return cast("Sound", facts[0]["how"])


def _made_of(plan: RenderPlan, path: Path, piece: int, *, name: str, required: bool, closing: ExitStack) -> _Made:
    """A piece of the sound of a plan; ``closing`` ends the process that decodes the song."""
    track = plan.settings.track
    if may_be_copied(plan):
        with suppress(AudioError):  # comparing takes twice the time of decoding: too much for a very long song
            song = closing.enter_context(OwnPackets(path, name=name, track=track, required=required))
            if song.own is not None and fits(plan, song.own):
                copied = iter(()) if piece else copied_sound(plan, song.own, song.packets())
                return _Made(copied, song.own.rate, song.own.channels, "copied")
    decoded = closing.enter_context(DecodedSong(path, name=name, track=track, required=required))
    mix = mix_of(plan, decoded)
    return _Made(encoded_sound(plan, decoded, mix, piece=piece), sound_rate(plan, decoded), mix.channels, "encoded")


def _packets_of(file: ZipFile, facts: dict[str, object]) -> Iterator[Packet]:
    with file.open(_TABLE) as rows:
        table = np.load(rows, allow_pickle=False)
    skipped = cast("dict[str, str]", facts["skipped"])
    with file.open(_PACKETS) as packets:
        for number, row in enumerate(table):
            pts, dts, duration, size = map(int, row)
            packet: Packet = av.Packet(packets.read(size))  # type: ignore[assignment]  # of no stream yet
            packet.pts, packet.dts, packet.duration = pts, dts, duration
            packet.time_base, packet.is_keyframe = Fraction(1, cast("int", facts["rate"])), True
            if (data := skipped.get(str(number))) is not None:
                packet.set_sidedata(_skip_samples(bytes.fromhex(data)))
            yield packet


def _skip_samples(data: bytes) -> PacketSideData:
    kind = packet_sidedata_type_from_literal("skip_samples")
    side = PacketSideData(kind, len(data))  # type: ignore[call-arg]  # PyAV's stub lacks it
    side.update(data)
    return side
