"""Any song is decoded: every format, layout and rate; what is damaged, with a warning; what is no song, refused."""

from __future__ import annotations

import os
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ecs_core.errors import AudioError
from ecs_core.song_file.audio_file import AudioFile
from tests.ecs_core.audio.samples import read, sweep, write_vorbis
from tests.media import write_float_wav, write_silent_video, write_song

LOSSLESS = [
    ("song.wav", "pcm_s16le", 1e-4),
    ("song.wav", "pcm_s24le", 1e-6),
    ("song.wav", "pcm_f32le", 1e-7),
    ("song.flac", "flac", 1e-4),
]
LOSSY = [("song.mp3", "libmp3lame"), ("song.ogg", "libopus"), ("song.m4a", "aac"), ("song.aac", "aac")]


@pytest.mark.parametrize(("name", "codec", "close"), LOSSLESS, ids=["wav16", "wav24", "wavfloat", "flac"])
def test_lossless_song_is_decoded_exactly(tmp_path: Path, name: str, codec: str, close: float) -> None:
    song = sweep(0.7, rate=44_100, channels=2)
    samples, rate, warnings = read(write_song(tmp_path / name, song, codec=codec))
    assert (samples.shape, rate, warnings) == (song.shape, 44_100, [])
    np.testing.assert_allclose(samples, song, atol=close)


def _encoder_delay(samples: np.ndarray, song: np.ndarray) -> int:
    """Samples by which what was decoded comes late."""
    size = 1 << (samples.shape[1] + song.shape[1]).bit_length()
    product = np.fft.rfft(samples[0], size) * np.fft.rfft(song[0], size).conj()
    return int(np.argmax(np.fft.irfft(product)[: size // 2]))


@pytest.mark.parametrize(("name", "codec"), LOSSY, ids=["mp3", "opus", "m4a", "adts"])
def test_lossy_song_is_decoded_closely(tmp_path: Path, name: str, codec: str) -> None:
    song = np.random.Generator(np.random.Philox(2)).uniform(-0.3, 0.3, (1, 48_000)).astype(np.float32)
    song = np.convolve(song[0], np.ones(12) / 6, mode="same").astype(np.float32)[None].repeat(2, axis=0)
    samples, rate, warnings = read(write_song(tmp_path / name, song, rate=48_000, codec=codec))
    assert (len(samples), rate, warnings) == (2, 48_000, [])
    # ADTS has nowhere to say how long the encoder's delay is: it stays in, for the analysis and for the video alike.
    late = _encoder_delay(samples, song)
    assert late == (1024 if name.endswith("aac") else 0)
    assert 48_000 <= samples.shape[1] <= 48_000 + 2048 + late
    part = slice(4000, 44_000)
    assert np.corrcoef(samples[0, late:][part], song[0, part])[0, 1] > 0.95


def test_vorbis_is_decoded(tmp_path: Path) -> None:
    song = sweep(0.7, rate=44_100, channels=2)
    samples, rate, _ = read(write_vorbis(tmp_path / "song.ogg", song))
    assert (len(samples), rate) == (2, 44_100)
    assert abs(samples.shape[1] - song.shape[1]) < 2048
    assert np.abs(samples).max() == pytest.approx(0.3, abs=0.2)  # its encoder is experimental, and sounds so


def test_audio_track_of_a_video_is_decoded(tmp_path: Path) -> None:
    song = sweep(1.0, rate=44_100, channels=2)
    samples, rate, warnings = read(write_song(tmp_path / "clip.mp4", song, picture=True))
    assert (len(samples), rate, warnings) == (2, 44_100, [])
    assert abs(samples.shape[1] - song.shape[1]) < 2048


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_every_channel_is_decoded(tmp_path: Path, channels: int) -> None:
    song = sweep(0.3, rate=48_000, channels=channels)
    samples, _, _ = read(write_song(tmp_path / "song.flac", song, rate=48_000))
    np.testing.assert_allclose(samples, song, atol=1e-4)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000])
def test_every_sample_rate_is_kept(tmp_path: Path, rate: int) -> None:
    song = sweep(0.3, rate=rate, channels=2)
    samples, found, _ = read(write_song(tmp_path / "song.wav", song, rate=rate))
    assert found == rate
    np.testing.assert_allclose(samples, song, atol=1e-4)


@pytest.mark.parametrize("name", ["song.wav", "song.mp3", "song.m4a"])
def test_decoding_is_deterministic(tmp_path: Path, name: str) -> None:
    path = write_song(tmp_path / name, sweep(0.5, rate=44_100, channels=2))
    np.testing.assert_array_equal(read(path)[0], read(path)[0])


def test_blocks_are_small(tmp_path: Path) -> None:
    path = write_song(tmp_path / "song.wav", sweep(20.0, rate=44_100, channels=2))
    with AudioFile(path) as song:
        assert max(block.shape[1] for block in song.blocks()) < 44_100


def test_length_is_known_before_decoding(tmp_path: Path) -> None:
    with AudioFile(write_song(tmp_path / "song.flac", sweep(1.5, rate=44_100, channels=2))) as song:
        assert song.seconds == pytest.approx(1.5, abs=0.05)


def _directory(path: Path) -> None:
    path.mkdir()


def _playlist(path: Path) -> None:
    write_song(path.parent / "other.wav", sweep(0.2, rate=44_100, channels=1))
    path.write_text("ffconcat version 1.0\nfile other.wav\n")


def _hls(path: Path) -> None:
    write_song(path.parent / "other.aac", sweep(0.2, rate=44_100, channels=1))
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.aac\n#EXT-X-ENDLIST\n")


def _png(path: Path) -> None:
    import av

    frame = av.VideoFrame.from_ndarray(np.zeros((8, 8, 3), np.uint8), format="rgb24")
    codec = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt = 8, 8, "rgb24"
    codec.time_base = 1
    path.write_bytes(b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)]))


def _header_only(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44_100)


BAD: dict[str, tuple[str, Callable[[Path], object]]] = {
    "missing": ("song.wav", lambda path: None),
    "directory": ("song.wav", _directory),
    "empty": ("song.wav", lambda path: path.touch()),
    "text": ("song.mp3", lambda path: path.write_text("not a song at all\n" * 50)),
    "zeros": ("song.mp3", lambda path: path.write_bytes(bytes(20_000))),
    "png": ("song.png", _png),
    "png-as-wav": ("song.wav", _png),
    "playlist": ("song.wav", _playlist),
    "hls": ("song.mp3", _hls),
    "no-sound": ("song.mp4", write_silent_video),
    "no-samples": ("song.wav", _header_only),
    "fifo": ("song.wav", os.mkfifo),
    "through-a-file": ("song.wav/inner.wav", lambda path: path.parent.write_text("x")),
}


@pytest.mark.parametrize("case", BAD)
def test_file_that_is_not_a_song_is_named(tmp_path: Path, case: str) -> None:
    name, make = BAD[case]
    path = tmp_path / name
    make(path)
    with pytest.raises(AudioError) as caught, AudioFile(path) as song:
        list(song.blocks())
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_song(tmp_path / "song.wav", sweep(0.2, rate=44_100, channels=1))

    def refuse(*_: object, **__: object) -> None:  # root may read everything, so permissions cannot be used here
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AudioError, match=r"cannot be read: Permission denied"):
        AudioFile(path)


@pytest.mark.parametrize("name", ["song.wav", "song.flac", "song.mp3", "song.ogg"])
def test_truncated_song_is_decoded_to_its_end_with_a_warning(tmp_path: Path, name: str) -> None:
    song = np.random.Generator(np.random.Philox(3)).uniform(-0.5, 0.5, (2, 4 * 48_000)).astype(np.float32)
    path = write_song(tmp_path / name, song, rate=48_000)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2 + 11])
    samples, rate, warnings = read(path)
    assert samples.shape[1] / rate == pytest.approx(2.0, abs=1.1)
    assert warnings
    assert all(warning.startswith(f"{path}: ") for warning in warnings)


def test_truncated_vorbis_song_is_decoded_to_its_end_with_a_warning(tmp_path: Path) -> None:
    song = np.random.Generator(np.random.Philox(3)).uniform(-0.5, 0.5, (2, 4 * 44_100)).astype(np.float32)
    path = write_vorbis(tmp_path / "song.ogg", song)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2 + 11])
    samples, rate, warnings = read(path)
    assert 0.5 < samples.shape[1] / rate < 3.5
    assert warnings


@pytest.mark.parametrize("name", ["song.flac", "song.mp3", "song.ogg", "song.m4a"])
def test_intact_parts_of_a_damaged_song_are_decoded(tmp_path: Path, name: str) -> None:
    song = np.random.Generator(np.random.Philox(4)).uniform(-0.5, 0.5, (2, 4 * 48_000)).astype(np.float32)
    path = write_song(tmp_path / name, song, rate=48_000)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = np.random.Generator(np.random.Philox(5)).bytes(600)
    path.write_bytes(data)
    samples, rate, warnings = read(path)
    assert samples.shape[1] / rate == pytest.approx(4.0, abs=1.05)  # a page of Ogg is a second
    assert warnings
    assert np.isfinite(samples).all()


def test_intact_song_has_no_warnings(tmp_path: Path) -> None:
    for name in ("song.wav", "song.flac", "song.mp3", "song.ogg", "song.m4a", "song.aac", "song.mp4"):
        path = write_song(tmp_path / name, sweep(3.0, rate=48_000, channels=2), rate=48_000)
        assert read(path)[2] == [], name


def test_invalid_samples_become_silence_with_a_warning(tmp_path: Path) -> None:
    song = sweep(0.5, rate=44_100, channels=2)
    song[0, 100], song[1, 200], song[0, 300] = np.nan, np.inf, -np.inf
    path = write_float_wav(tmp_path / "song.wav", song)
    samples, _, warnings = read(path)
    assert samples[0, 100] == samples[1, 200] == samples[0, 300] == 0
    assert np.isfinite(samples).all()
    assert warnings == [f"{path}: 3 samples were invalid and were replaced by silence"]
