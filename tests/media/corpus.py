"""A corpus of songs by code: {container × codec × layout × rate × tags × damage}, decoded by Motes and by ffmpeg."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from ecs_core.errors import AudioError
from ecs_core.song_file.audio_file import AudioFile
from ecs_core.song_file.layouts import positions
from tests.media import F32, write_layout

SURROUND = ("mono", "stereo", "quad", "5.1")
FRONT = ("mono", "stereo")
ANY, USUAL = (22_050, 44_100, 48_000), (44_100, 48_000)
# Name's end, codec, layouts and rates.
FORMATS: tuple[tuple[str, str, tuple[str, ...], tuple[int, ...]], ...] = (
    *((".wav", codec, (*SURROUND, "3.0", "7.1"), ANY) for codec in ("pcm_s16le", "pcm_s24le", "pcm_f32le", "pcm_u8")),
    *((".wav", codec, FRONT, ANY) for codec in ("pcm_alaw", "adpcm_ms", "adpcm_ima_wav")),
    (".aiff", "pcm_s16be", SURROUND, ANY),
    (".au", "pcm_s16be", FRONT, ANY),
    (".caf", "alac", FRONT, ANY),
    (".w64", "pcm_s24le", SURROUND, ANY),
    (".flac", "flac", (*SURROUND, "3.0", "6.1", "7.1"), ANY),
    (".tta", "tta", FRONT, ANY),
    (".wv", "wavpack", SURROUND, ANY),
    (".ogg", "libvorbis", SURROUND, ANY),
    (".ogg", "flac", SURROUND, ANY),
    (".opus", "libopus", SURROUND, (48_000,)),
    (".mp3", "libmp3lame", FRONT, ANY),
    (".mp2", "mp2", FRONT, USUAL),
    (".m4a", "aac", ("mono", "stereo", "5.1"), ANY),
    (".m4a", "alac", ("mono", "stereo", "5.1"), ANY),
    (".aac", "aac", ("mono", "stereo", "5.1"), ANY),
    (".ac3", "ac3", SURROUND, USUAL),
    (".eac3", "eac3", ("stereo", "5.1"), USUAL),
    (".wma", "wmav2", FRONT, ANY),
    *((".mka", codec, ("stereo", "5.1"), USUAL) for codec in ("aac", "flac", "ac3", "pcm_s16le", "libvorbis")),
    (".webm", "libopus", SURROUND, (48_000,)),
    (".ts", "aac", ("stereo",), USUAL),
    (".ts", "mp2", ("stereo",), USUAL),
    (".mov", "pcm_s16le", ("stereo", "quad"), USUAL),
    (".flv", "libmp3lame", ("stereo",), (44_100,)),
    (".avi", "libmp3lame", ("stereo",), USUAL),
)
TAGS, DAMAGES = ("none", "texts", "id3"), ("none", "cut", "bytes")
TAGGED_IN_FRONT = (".mp3", ".mp2", ".aac", ".flac")
EXACT = ("pcm", "flac", "alac", "tta", "wavpack")


@dataclass(frozen=True)
class Case:
    """A file of the corpus."""

    end: str
    codec: str
    layout: str
    rate: int
    tags: str
    damage: str

    def __str__(self) -> str:
        return f"{self.codec}{self.end} {self.layout} {self.rate} tags={self.tags} damage={self.damage}"


@dataclass(frozen=True)
class Verdict:
    """What differs in a case, and why it may; both empty if nothing does."""

    case: Case
    difference: str = ""
    reason: str = ""


def cases() -> Iterator[Case]:
    """All cases, always in the same order."""
    for (end, codec, layouts, rates), tags, damage in product(FORMATS, TAGS, DAMAGES):
        if tags == "id3" and end not in TAGGED_IN_FRONT:
            continue
        for layout, rate in product(layouts, rates):
            yield Case(end, codec, layout, rate, tags, damage)


def make(case: Case, folder: Path) -> Path:
    """Write the file of a case."""
    count = len(positions(case.layout))
    generator = np.random.Generator(np.random.Philox(7))
    samples = np.cumsum(generator.uniform(-1, 1, (count, round(1.3 * case.rate))), axis=1)
    samples -= np.apply_along_axis(lambda x: np.convolve(x, np.ones(200) / 200, mode="same"), 1, samples)
    song = (0.5 * samples / np.abs(samples).max()).astype(np.float32)
    source = write_layout(folder / "source.wav", song, case.layout, rate=case.rate)
    path = folder / f"song{case.end}"
    texts = ("-metadata", "title=A song", "-metadata", "artist=長い") if case.tags == "texts" else ()
    codec = ("-c:a", case.codec, *(("-mapping_family", "1") if case.codec == "libopus" and count > 2 else ()))
    command = ("ffmpeg", "-v", "error", "-y", "-i", source, *texts, *codec, "-strict", "-2", path)
    subprocess.run(command, check=True, capture_output=True)
    data = bytearray(path.read_bytes())
    if case.damage == "cut":
        del data[int(0.55 * len(data)) :]
    elif case.damage == "bytes":
        middle = len(data) // 2
        data[middle : middle + 64] = generator.bytes(64)
    if case.tags == "id3":
        data[:0] = b"ID3\x04\0\0\0\x58\0\0" + bytes(0x58 << 14)
    path.write_bytes(data)
    return path


def by_ffmpeg(path: Path, channels: int, rate: int) -> F32:
    """The samples of a file as ffmpeg decodes them."""
    command = ("ffmpeg", "-v", "quiet", "-i", path, "-map", "0:a:0", "-ar", str(rate), "-f", "f32le", "-")
    data = subprocess.run(command, check=False, capture_output=True).stdout
    return np.frombuffer(data[: len(data) // (4 * channels) * 4 * channels], "<f4").reshape(-1, channels).T


def judge(case: Case, folder: Path) -> Verdict:
    """Decode a case by both, and compare samples, length, delay and warnings."""
    path = make(case, folder)
    try:
        with AudioFile(path) as song:
            ours = np.concatenate(list(song.blocks()), axis=1)
            layout, rate, warnings = song.layout, song.rate, song.warnings
    except AudioError as error:
        nothing = by_ffmpeg(path, 1, case.rate).size == 0
        return Verdict(case, "" if nothing else f"refused: {error}")
    theirs = by_ffmpeg(path, len(ours), rate)
    found = [*_shape(case, layout, rate), *_samples(case, ours, theirs)]
    if bool(warnings) != (case.damage != "none"):
        found.append(f"warnings {warnings}")
    difference = "; ".join(found)
    return Verdict(case, difference, _reason(case, difference) if difference else "")


def _shape(case: Case, layout: str, rate: int) -> list[str]:
    count = len(positions(case.layout))
    found = [] if rate == case.rate else [f"rate {rate}"]
    return found if len(positions(layout)) == count else [*found, f"layout {layout}"]


def _samples(case: Case, ours: F32, theirs: F32) -> list[str]:
    found = [] if abs(ours.shape[1] - theirs.shape[1]) <= 1 else [f"{ours.shape[1]} and {theirs.shape[1]} samples"]
    theirs = np.where(np.abs(theirs) <= 1e6, theirs, np.float32(0))  # as Motes has it
    size = min(ours.shape[1], theirs.shape[1])
    if not size:
        return [*found, "no samples"]
    error = float(np.sqrt(np.mean((ours[:, :size] - theirs[:, :size].astype(np.float64)) ** 2)))
    level = float(np.sqrt(np.mean(theirs[:, :size].astype(np.float64) ** 2))) + 1e-9
    limit = 1e-4 if case.codec.startswith(EXACT) else 0.01
    return found if error <= limit * level else [*found, f"samples differ by {error / level:.2g}"]


def _reason(case: Case, difference: str) -> str:
    """Why a case may differ from ffmpeg."""
    unchecked = (".aac", ".mp2", ".ac3", ".eac3", ".ts", ".flv", ".avi")
    raw = case.codec.startswith(("pcm", "adpcm")) or case.end in unchecked
    if case.damage != "none" and difference == "warnings []":
        if case.damage == "cut":
            return "the format does not say how long it is, or the end is within half a second of that"
        return (
            "the damage is in samples, or in what the decoder conceals: nothing in the format tells it"
            if raw
            else ("the damage fell into padding or is concealed by the decoder")
        )
    if case.damage == "bytes" and "flac" in case.codec:
        return "Motes skips frames whose checksum is wrong; ffmpeg plays them as noise"
    if case.damage != "none":
        return "decoders of FFmpeg 5 and 8 conceal damage in different ways"
    if case.codec == "adpcm_ima_wav" and difference.startswith("samples"):
        return "FFmpeg 5 and 8 round IMA ADPCM differently; Motes has what FFmpeg 8 has, bit for bit"
    return ""
