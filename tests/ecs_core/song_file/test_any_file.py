"""What decodes elsewhere decodes here: every codec, tracks, chains and changes, lengths, large tags, delays."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ecs_core.errors import AudioError
from ecs_core.song_file.audio_file import AudioFile
from ecs_core.song_file.containers import sound_decoders
from tests.ecs_core.audio.samples import read
from tests.media import F32, tone, write_float_wav, write_song

pytestmark = pytest.mark.debian("ffmpeg")
Ffmpeg = Callable[..., Path]


@pytest.fixture
def ffmpeg(tmp_path: Path) -> Ffmpeg:
    """Runs ffmpeg with these arguments, the last of which is the name of a file in the test's folder."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")

    def run(*arguments: str) -> Path:
        command = ("ffmpeg", "-v", "error", "-y", *arguments)
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        return tmp_path / arguments[-1]

    return run


def source(frequency: int, *, seconds: int = 1, rate: int = 48_000) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"sine={frequency}:d={seconds}:r={rate}")


LESS_USUAL = ["song.mp2", "dvb.ts", "song.wma", "song.ac3", "song.dts", "song.tta", "song.wv", "song.spx"]
CHANGES = [((44_100, 2), (48_000, 2)), ((48_000, 2), (48_000, 1)), ((48_000, 1), (44_100, 2))]
PICTURE = ("-f", "lavfi", "-i", "testsrc=s=64x64:r=25:d=3")


def pitch(samples: F32, rate: int) -> float:
    """The frequency of a tone."""
    spectrum = np.abs(np.fft.rfft(samples[0] * np.hanning(samples.shape[1])))
    return float(np.argmax(spectrum)) * rate / samples.shape[1]


def test_decoders_of_sound_are_allowed_and_no_others() -> None:
    assert {"mp2", "mp2float", "mp3float", "aac", "cook", "adpcm_ima_wav", "dsd_lsbf", "tak"} <= sound_decoders()
    assert not {"h264", "png", "mjpeg", "ass", "subrip", "gif", "anull", "wavesynth"} & sound_decoders()


@pytest.mark.parametrize(
    "name", ["song.mp2", "dvb.ts", "song.wma", "song.ac3", "song.dts", "song.tta", "song.wv", "song.spx"]
)
def test_less_usual_codec_is_decoded(ffmpeg: Ffmpeg, name: str) -> None:
    more = {"song.dts": ("-c:a", "dca", "-strict", "-2"), "dvb.ts": ("-c:a", "mp2")}.get(name, ())
    try:
        path = ffmpeg(*source(440), *more, name)
    except subprocess.CalledProcessError:
        path = ffmpeg(*source(440), "-c:a", "libspeex", "-ar", "16000", "song.spx")
    samples, rate, warnings = read(path)
    assert pitch(samples, rate) == pytest.approx(440, abs=3)
    assert samples.shape[1] / rate == pytest.approx(1.0, abs=0.1)
    assert warnings == []


@pytest.mark.parametrize(("first", "second"), CHANGES)
@pytest.mark.parametrize("codec", ["libvorbis", "libopus", "flac"])
def test_chained_ogg_that_changes_is_read_to_its_end(
    ffmpeg: Ffmpeg, tmp_path: Path, codec: str, first: tuple[int, int], second: tuple[int, int]
) -> None:
    links = b""
    for number, (rate, channels) in enumerate((first, second)):
        made = (*source(440 + 220 * number, rate=rate), "-ac", str(channels), "-c:a", codec, "link.ogg")
        links += ffmpeg(*made).read_bytes()
    path = tmp_path / "chain.ogg"
    path.write_bytes(links)
    samples, rate, warnings = read(path)
    assert samples.shape[1] == pytest.approx(2 * rate, abs=300)  # Vorbis, as ffmpeg has it, lacks its first 128
    assert pitch(samples[:, : rate - 2000], rate) == pytest.approx(440, abs=2)
    assert pitch(samples[:, rate + 2000 : 2 * rate], rate) == pytest.approx(660, abs=2)
    if codec != "libopus" or first[1] != second[1]:
        assert len(warnings) == 1
        assert "changes at 1.00 s from" in warnings[0]


def test_aac_whose_rate_and_channels_change_is_read_to_its_end(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    one = ffmpeg(*source(440, rate=44_100), "-ac", "2", "one.aac").read_bytes()
    path = tmp_path / "song.aac"
    path.write_bytes(one + ffmpeg(*source(660), "-ac", "1", "other.aac").read_bytes())
    samples, rate, warnings = read(path)
    assert (len(samples), rate) == (2, 44_100)
    assert samples.shape[1] / rate == pytest.approx(2.0, abs=0.1)
    assert pitch(samples[:, 50_000:85_000], rate) == pytest.approx(660, abs=2)
    assert len(warnings) == 1
    assert "to mono at 48000 Hz: converted to stereo at 44100 Hz" in warnings[0]


def test_default_track_goes_first(ffmpeg: Ffmpeg) -> None:
    both = (*source(440), *source(660), "-map", "0", "-map", "1", "-c:a", "aac")
    path = ffmpeg(*both, "-disposition:a:0", "0", "-disposition:a:1", "default", "song.mkv")
    samples, rate, warnings = read(path)
    assert pitch(samples, rate) == pytest.approx(660, abs=2)
    assert warnings == []


def test_track_is_chosen(ffmpeg: Ffmpeg) -> None:
    path = ffmpeg(*source(440), *source(660), "-map", "0", "-map", "1", "-c:a", "aac", "song.mp4")
    for track, expected in ((None, 440), (0, 440), (1, 660)):
        with AudioFile(path, track=track) as song:
            samples = np.concatenate(list(song.blocks()), axis=1)
            assert pitch(samples, song.rate) == pytest.approx(expected, abs=2)
    with pytest.raises(AudioError, match=r"^track 2: .*song.mp4 has 2 sound tracks, 0 to 1$"):
        AudioFile(path, track=2)


def test_track_that_cannot_be_read_is_passed_over_with_a_warning(ffmpeg: Ffmpeg) -> None:
    path = ffmpeg(*source(440), *source(660), "-map", "0", "-map", "1", "-c:a:0", "ac3", "-c:a:1", "aac", "song.mkv")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"A_AC3", b"A_ZZZ"))
    samples, rate, warnings = read(path)
    assert pitch(samples, rate) == pytest.approx(660, abs=2)
    assert len(warnings) == 1
    assert "track 0: its audio codec is not supported" in warnings[0]
    assert warnings[0].endswith("track 1 is used")


@pytest.mark.parametrize("name", ["film.mkv", "film.webm", "film.mp4", "film.ts", "film.flv", "film.avi"])
def test_film_whose_picture_outlasts_its_sound_is_whole(ffmpeg: Ffmpeg, name: str) -> None:
    codec = ("-c:v", "libvpx", "-c:a", "libopus") if name.endswith("webm") else ("-c:v", "mpeg4", "-c:a", "mp3")
    codec = ("-c:v", "flv", "-c:a", "mp3", "-ar", "44100") if name.endswith("flv") else codec
    samples, rate, warnings = read(ffmpeg(*PICTURE, *source(440), "-map", "0", "-map", "1", *codec, name))
    assert samples.shape[1] / rate == pytest.approx(1.0, abs=0.1)
    assert warnings == []


@pytest.mark.parametrize("metadata", [(), ("-metadata:s:a", "DURATION=")])
def test_film_that_breaks_off_is_not_whole(ffmpeg: Ffmpeg, metadata: tuple[str, ...]) -> None:
    path = ffmpeg(*PICTURE, *source(440, seconds=3), "-c:v", "mpeg4", "-c:a", "aac", *metadata, "film.mkv")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert any("damaged or truncated?" in warning for warning in read(path)[2])


@pytest.mark.parametrize("name", ["film.mkv", "film.mp4", "film.mov", "film.ts", "film.flv"])
def test_sound_that_begins_after_the_picture_keeps_its_delay(ffmpeg: Ffmpeg, name: str) -> None:
    made = (*PICTURE, "-itsoffset", "1", *source(440, rate=44_100), "-map", "0", "-map", "1", "-c:v", "libx264")
    samples, rate, warnings = read(ffmpeg(*made, "-c:a", "aac", name))
    loud = np.flatnonzero(np.abs(samples[0]) > 0.02)
    assert loud[0] / rate == pytest.approx(1.0, abs=0.03)  # a frame of AAC, where a container cannot name its priming
    assert samples.shape[1] / rate == pytest.approx(2.0, abs=0.08)
    assert warnings == []


def test_sound_that_begins_before_the_picture_is_not_moved(ffmpeg: Ffmpeg) -> None:
    made = (
        "-itsoffset",
        "1",
        *PICTURE,
        *source(440),
        "-map",
        "0",
        "-map",
        "1",
        "-c:v",
        "mpeg4",
        "-c:a",
        "flac",
        "film.mkv",
    )
    samples, rate, _ = read(ffmpeg(*made))
    assert samples.shape[1] == rate
    assert np.abs(samples[0, :1000]).max() > 0.02


def id3(size: int) -> bytes:
    """An ID3 tag with this many bytes of padding."""
    return b"ID3\x04\0\0" + bytes((size >> shift) & 127 for shift in (21, 14, 7, 0)) + bytes(size)


@pytest.mark.parametrize("codec", ["flac", "mp3", "aac"])
@pytest.mark.parametrize("size", [3 << 20, 200_000])
def test_song_behind_large_tags_is_found_whatever_its_name(
    ffmpeg: Ffmpeg, tmp_path: Path, codec: str, size: int
) -> None:
    plain = ffmpeg(*source(440), f"song.{codec}")
    path = tmp_path / "song"  # as a service stores it
    path.write_bytes(id3(size) + plain.read_bytes())
    np.testing.assert_array_equal(read(path)[0], read(plain)[0])


def test_two_tags_in_front_of_a_song_are_passed_over(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    plain = ffmpeg(*source(440), "song.flac")
    path = tmp_path / "song"
    path.write_bytes(id3(1 << 20) + id3(2 << 20) + plain.read_bytes())
    np.testing.assert_array_equal(read(path)[0], read(plain)[0])


def test_ordinary_song_has_one_link_and_no_delay(tmp_path: Path) -> None:
    path = write_song(tmp_path / "song.ogg", tone(1.0, rate=48_000), rate=48_000)
    assert read(path)[2] == []
    wav = write_float_wav(tmp_path / "song.wav", tone(1.0))
    np.testing.assert_array_equal(read(wav)[0], tone(1.0))


def test_w64_that_breaks_off_is_not_whole(ffmpeg: Ffmpeg) -> None:
    path = ffmpeg(*source(440), "-metadata", "title=A song", "song.w64")
    assert read(path)[2] == []
    path.write_bytes(path.read_bytes()[:-20_000])
    assert any("breaks off after" in warning for warning in read(path)[2])
