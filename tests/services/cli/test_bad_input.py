"""Whatever is wrong: exit code 2, one line that names it and what is allowed, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.disk import disk_of
from tests.media import SIZE, noise, read_video, tone, write_float_wav, write_silent_video, write_song
from tests.services.cli.conftest import Run

RENDER = ("render", "--type", "snow", *SIZE, "--workers", "1")
Make = Callable[[Path], Path]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _file(name: str, content: bytes | str) -> Make:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def _folder(folder: Path) -> Path:
    (folder / "song.wav").mkdir()
    return folder / "song.wav"


def _png(folder: Path) -> Path:
    from ecs_core import Scene, render_frame

    render_frame(Scene("snow", config={"width": 64, "height": 64}), 0, folder / "song.png")
    return folder / "song.png"


def _png_named_mp3(folder: Path) -> Path:
    return _png(folder).rename(folder / "song.mp3")


def _concat(folder: Path) -> Path:
    write_song(folder / "real.wav", tone(1.0))
    return _file("song.wav", "ffconcat version 1.0\nfile real.wav\n")(folder)


def _hls(folder: Path) -> Path:
    write_song(folder / "real.mp3", tone(1.0))
    lines = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\nreal.mp3\n#EXT-X-ENDLIST\n"
    return _file("song.mp3", lines)(folder)


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "song.wav")
    return folder / "song.wav"


def _header_only(folder: Path) -> Path:
    write_song(folder / "full.wav", tone(0.1))
    head = (folder / "full.wav").read_bytes()
    (folder / "full.wav").unlink()
    return _file("song.wav", head[: head.index(b"data") + 4] + bytes(4))(folder)


BAD_SONGS: dict[str, tuple[Make, str]] = {
    "missing": (lambda folder: folder / "song.wav", "no such file"),
    "folder": (_folder, "is a folder"),
    "empty": (_file("song.wav", b""), "is empty"),
    "text": (_file("song.mp3", "Dear diary,\n" * 100), "not audio"),
    "zeros": (_file("song.mp3", bytes(5000)), "not audio"),
    "png": (_png, "not audio"),
    "png named mp3": (_png_named_mp3, "not audio"),
    "ffconcat": (_concat, "not audio"),
    "hls": (_hls, "not audio"),
    "named pipe": (_pipe, "not a regular file"),
    "video without sound": (lambda folder: write_silent_video(folder / "song.mp4"), "has no sound track"),
    "zero samples": (_header_only, ""),
}


@pytest.mark.parametrize("name", BAD_SONGS)
def test_bad_song(run: Run, tmp_path: Path, name: str) -> None:
    make, message = BAD_SONGS[name]
    song = make(tmp_path)
    before = names(tmp_path)
    outcome = run(*RENDER, song, "-o", tmp_path / "out.mp4")
    assert outcome.code == 2
    assert str(song) in outcome.error
    assert message in outcome.error
    if name != "missing":
        assert "WAV, FLAC, MP3" in outcome.error
    assert outcome.stdout == ""
    assert names(tmp_path) == before


def test_absurdly_loud_samples_are_silence_in_a_finite_analysis(run: Run, tmp_path: Path) -> None:
    samples = tone(1.0)
    samples[:, 1000:1100] = 1e30
    song = write_float_wav(tmp_path / "song.wav", samples)
    outcome = run("analyze", song, "-o", tmp_path / "out.json")
    assert (outcome.code, outcome.stdout) == (0, "")
    assert "samples were invalid and were replaced by silence" in outcome.stderr
    assert "NaN" not in (tmp_path / "out.json").read_text()


@pytest.mark.parametrize("command", ["render", "frame", "analyze"])
def test_impossible_file_name(run: Run, tmp_path: Path, command: str) -> None:
    long = tmp_path / ("a" * 300)
    song = write_song(tmp_path / "song.wav", tone(0.5))
    assert f"{long}: cannot be read: File name too long" in run(command, long, "-o", tmp_path / "out").error
    assert f"cannot write {long}: File name too long" in run(command, song, "-o", long).error
    assert names(tmp_path) == ["song.wav"]


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("render", ["--frame-hashes", "長" * 83 + ".jsonl", "--poster", "ö" * 125 + ".png"]),
        ("frame", []),
        ("analyze", ["--plot", "é" * 125 + ".png"]),
    ],
    ids=["render", "frame", "analyze"],
)
@pytest.mark.parametrize("letter", ["長", "🎵", "e"])
def test_names_as_long_as_the_file_system_allows_are_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, letter: str, command: str, options: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_song(tmp_path / "song.wav", tone(0.5))
    suffix = {"render": ".mp4", "frame": ".png", "analyze": ".json"}[command]
    name = letter * ((255 - len(suffix)) // len(letter.encode())) + suffix
    small = [] if command == "analyze" else ["--type", "snow", "--size", "16x16", "--set", "particle_count=3"]
    outcome = run(command, "song.wav", *small, *options, "-o", name)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert names(tmp_path) == sorted(["song.wav", name, *options[1::2]])


def test_path_with_no_room_for_a_temporary_name_is_refused_before_any_work(run: Run, tmp_path: Path) -> None:
    most = os.pathconf(tmp_path, "PC_PATH_MAX") - 1
    folder = tmp_path
    while (room := most - 20 - len(str(folder))) > 1:
        folder = folder / ("a" * min(200, room - 1))
    folder.mkdir(parents=True)
    output = folder / "out.mp4"
    assert f"cannot write {output}: File name too long" in run("render", "--type", "snow", "-o", output).error
    assert names(folder) == []


@pytest.mark.parametrize(
    ("command", "other"),
    [("render", "--frame-hashes"), ("render", "--poster"), ("analyze", "--plot")],
    ids=["hashes", "poster", "analyze"],
)
def test_output_files_must_differ(run: Run, tmp_path: Path, command: str, other: str) -> None:
    song = write_song(tmp_path / "song.wav", tone(0.5))
    out = tmp_path / "out.mp4"
    assert run(command, song, "-o", out, other, out).error == f"{out} is the name of two outputs; give two names"
    assert names(tmp_path) == ["song.wav"]


@pytest.mark.parametrize(
    ("command", "name", "form", "endings"),
    [
        ("render", "a.mkv", "videos", ".mp4, .mov, .webm, .zip, .webp, .gif"),
        ("render", "a.png", "videos", ".mp4, .mov, .webm, .zip, .webp, .gif"),
        ("frame", "a.jpg", "PNG", ".png"),
    ],
)
def test_name_of_another_format(run: Run, tmp_path: Path, command: str, name: str, form: str, endings: str) -> None:
    error = run(command, "-o", tmp_path / name).error
    assert error == f"{tmp_path / name}: Motes writes {form} here; give a name that ends in {endings}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--format", "mov", "-o", "a.gif"),
            "a.gif: its name is that of gif, and format = mov; give a name ending in .mov",
        ),
        (
            ("--set", "alpha=true", "-o", "a.mp4"),
            "alpha = true: mp4 has no alpha; formats that have it: mov, webm, png, webp",
        ),
        (
            ("--variant", "90x160", "--variant", "90:160", "-o", "a.mp4"),
            "variants.1.size = '90': must be WIDTHxHEIGHT, for example 1920x1080; variants.1.format = '160': must be "
            "'mp4', 'mov', 'webm', 'png', 'webp' or 'gif'",
        ),
        (
            ("--quality", "8M", "-o", "a.mov"),
            "quality '8M': mov has no bit rate; use draft, standard, high, or a format of mp4, webm",
        ),
        (
            ("--quality", "max_bytes=8k", "-o", "a.mp4"),
            "max_bytes = 8000: too few for 10 s of this size and frame rate; at least 196438",
        ),
        (
            ("-o", "a.gif", "--duration", "60"),
            "format = gif with 60 s of video: it is for at most 20 s; use mp4 or webm",
        ),
    ],
)
def test_what_a_format_cannot_hold(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("render", *arguments).error == said
    assert names(tmp_path) == []


def test_output_folder_that_is_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = run(*RENDER, "-o", tmp_path / "file" / "out.mp4").error
    assert error == f"cannot write {tmp_path / 'file' / 'out.mp4'}: {tmp_path / 'file'} is not a folder"


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 100_000], ids=["digits", "brackets"])
def test_too_large_json(run: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    assert "c.json: is not valid JSON" in run(*RENDER, "-o", tmp_path / "a.mp4", "--config", tmp_path / "c.json").error
    assert "particle_count = " in run(*RENDER, "-o", tmp_path / "a.mp4", "--set", f"particle_count={text}").error


@pytest.mark.parametrize("command", ["frame", "analyze"])
def test_bad_song_in_other_commands(run: Run, tmp_path: Path, command: str) -> None:
    song = _file("song.mp3", "Dear diary,\n" * 100)(tmp_path)
    outcome = run(command, song, "-o", tmp_path / "out")
    assert outcome.code == 2
    assert f"{song}: not audio" in outcome.error
    assert names(tmp_path) == ["song.mp3"]


def _truncated(suffix: str) -> Make:
    def make(folder: Path) -> Path:
        path = write_song(folder / f"song{suffix}", noise(3.0), rate=48_000)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        return path

    return make


def _corrupt_mp3(folder: Path) -> Path:
    path = write_song(folder / "song.mp3", noise(3.0), rate=48_000)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 6000] = b"\xff\x00\x55" * 2000
    path.write_bytes(data)
    return path


def _not_numbers(folder: Path) -> Path:
    samples = tone(1.0)
    samples[0, 1000:1100] = np.nan
    samples[1, 2000] = np.inf
    return write_float_wav(folder / "song.wav", samples)


DAMAGED_SONGS: dict[str, tuple[Make, str]] = {
    "truncated wav": (_truncated(".wav"), "truncated"),
    "truncated ogg": (_truncated(".ogg"), "truncated"),
    "truncated flac": (_truncated(".flac"), "truncated"),
    "truncated mp3": (_truncated(".mp3"), "truncated"),
    "corrupt mp3": (_corrupt_mp3, "damaged"),
    "not numbers": (_not_numbers, "101 samples were invalid"),
}


@pytest.mark.parametrize("name", DAMAGED_SONGS)
def test_damaged_song_is_rendered_with_a_warning(run: Run, tmp_path: Path, name: str) -> None:
    make, message = DAMAGED_SONGS[name]
    song = make(tmp_path)
    outcome = run(*RENDER, song, "-o", tmp_path / "out.mp4", "--json")
    assert outcome.code == 0
    warnings = outcome.stderr.splitlines()
    assert all(line.startswith(f"motes: warning: {song}: ") for line in warnings)
    assert any(message in line for line in warnings)
    assert json.loads(outcome.stdout)["warnings"] == [line.removeprefix("motes: warning: ") for line in warnings]
    assert len(read_video(tmp_path / "out.mp4").pts) == json.loads(outcome.stdout)["frames"]


def test_truncated_song_ends_where_its_sound_does(run: Run, tmp_path: Path) -> None:
    song = _truncated(".wav")(tmp_path)
    outcome = run(*RENDER, song, "-o", tmp_path / "out.mp4", "--json")
    assert json.loads(outcome.stdout)["frames"] == 45


@pytest.mark.parametrize("suffix", [".wav", ".ogg", ".flac", ".mp3", ".m4a"])
def test_whole_song_is_rendered_without_a_warning(run: Run, tmp_path: Path, suffix: str) -> None:
    song = write_song(tmp_path / f"song{suffix}", tone(1.0, rate=48_000), rate=48_000)
    outcome = run("analyze", song, "-o", tmp_path / "features.json")
    assert (outcome.code, outcome.stderr) == (0, "")


BAD_ARGUMENTS: list[tuple[list[str], list[str]]] = [
    (["--type", "rain"], ["rain", "enhanced", "snow"]),
    (["--preset", "aurora"], ["'snow' has no preset 'aurora'", "blizzard", "--type enhanced has it"]),
    (["--preset", "aurra"], ["'snow' has no preset 'aurra'; there are: blizzard, crystals, golden-hour, stardrift"]),
    (["--set", "colour=3"], ["colour", "particle_colors"]),
    (["--set", "enhanced_mode.faktor=3"], ["enhanced_mode.faktor", "active, threshold, factor"]),
    (["--set", "enhanced_mode.factor=99"], ["enhanced_mode.factor = 99", "10"]),
    (["--set", "bounce.up=1", "--set", "bounce=1.5"], ["bounce"]),
    (["--set", "seed=1", "--set", "seed.low=1"], ["seed"]),
    (["--set", "particle_count=-1"], ["particle_count = -1", "0"]),
    (["--set", "particle_count=many"], ["particle_count = 'many'", "whole number"]),
    (["--set", "particle_colors=[[1,2,999]]"], ["particle_colors", "999", "255"]),
    (["--set", "x_position=NaN"], ["x_position = nan", "finite"]),
    (["--set", "particle_count"], ["particle_count", "KEY=VALUE"]),
    (["--set", "=3"], ["=3", "KEY=VALUE"]),
    (["--set", "width.x=3", "--size", "320x180"], ["width = {'x': 3}", "between 16 and 7680"]),
    (["--set", "seed.low=3", "--seed", "1"], ["seed = {'low': 3}", "between 0 and"]),
    (["--size", "321x180"], ["width = 321", "even"]),
    (["--size", "320x181"], ["height = 181", "even"]),
    (["--size", "8x180"], ["width = 8", "16"]),
    (["--size", "10000x180"], ["width = 10000", "7680"]),
    (["--size", "huge"], ["huge", "1920x1080"]),
    (["--size", "320"], ["320", "1920x1080"]),
    (["--size", "1x2x3"], ["1x2x3", "1920x1080"]),
    (["--fps", "0"], ["fps", "1 and 240"]),
    (["--fps", "1000"], ["fps", "1 and 240"]),
    (["--fps", "abc"], ["fps", "abc", "30000/1001"]),
    (["--fps", "30/0"], ["fps", "30/0", "30000/1001"]),
    (["--fps", "nan"], ["fps", "nan"]),
    (["--duration", "0"], ["duration", "0", "86400"]),
    (["--duration", "-1"], ["duration", "-1", "86400"]),
    (["--duration", "nan"], ["duration = nan", "finite", "audio"]),
    (["--duration", "inf"], ["duration = inf", "finite", "audio"]),
    (["--duration", "abc"], ["--duration abc", "seconds", "audio"]),
    (["--duration", "0.01"], ["duration 0.01", "half a frame"]),
    (["--duration", "audio"], ["needs a song"]),
    (["--start", "-1"], ["start = -1", "0 and 86400", "drop"]),
    (["--start", "nan"], ["start = nan", "finite", "drop"]),
    (["--start", "chorus"], ["--start chorus", "seconds", "drop"]),
    (["--start", "2"], ["start = 2", "song"]),
    (["--fade-in", "-1"], ["fade_in = -1", "0 and 3600"]),
    (["--fade-out", "4000"], ["fade_out = 4000", "0 and 3600"]),
    (["--fade-out", "slow"], ["--fade-out", "slow"]),
    (["--seed", "-1"], ["seed = -1", "0"]),
    (["--seed", "abc"], ["--seed", "abc"]),
    (["--workers", "0"], ["workers = 0", "1 and 256"]),
    (["--workers", "x"], ["--workers", "x"]),
    (["--segment-seconds", "0"], ["segment_seconds = 0", "0.1 and 60"]),
    (["--segment-seconds", "nan"], ["segment_seconds = nan", "0.1 and 60"]),
    (["--quality", "best"], ["best", "draft", "standard", "high"]),
    (["--config", "missing.json"], ["missing.json", "No such file"]),
    (["--colour", "red"], ["--colour"]),
    (["--siz", "320x180"], ["--siz"]),
]


@pytest.mark.parametrize(("arguments", "named"), BAD_ARGUMENTS, ids=[" ".join(case[0]) for case in BAD_ARGUMENTS])
def test_bad_argument(run: Run, tmp_path: Path, arguments: list[str], named: list[str]) -> None:
    outcome = run("render", "--type", "snow", *arguments, "-o", tmp_path / "out.mp4")
    assert outcome.code == 2
    assert all(word in outcome.error for word in named), outcome.error
    assert outcome.stdout == ""
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("[1]", "must be a JSON object"),
        ('"a"', "must be a JSON object"),
        ("\xff", "is not valid JSON"),
    ],
)
def test_bad_config_file(run: Run, tmp_path: Path, content: str, message: str) -> None:
    config = tmp_path / "config.json"
    config.write_bytes(content.encode("latin-1"))
    outcome = run(*RENDER, "--config", config, "-o", tmp_path / "out.mp4")
    assert outcome.code == 2
    assert f"--config {config}" in outcome.error
    assert message in outcome.error


@pytest.mark.parametrize("at", ["-1", "99", "nan", "inf"])
def test_bad_time_of_a_frame(run: Run, tmp_path: Path, at: str) -> None:
    outcome = run("frame", "--type", "snow", *SIZE, "--duration", "2", f"--at={at}", "-o", tmp_path / "out.png")
    assert outcome.code == 2
    assert outcome.error == f"at = {at}: must be from 0 to 1.96667 seconds"
    assert names(tmp_path) == []


def _missing_folder(folder: Path) -> Path:
    return folder / "nowhere" / "out.mp4"


def _is_folder(folder: Path) -> Path:
    (folder / "out.mp4").mkdir()
    return folder / "out.mp4"


def _in_a_file(folder: Path) -> Path:
    (folder / "file").write_text("not a folder")
    return folder / "file" / "out.mp4"


BAD_OUTPUTS: dict[str, tuple[Make, str]] = {
    "missing folder": (_missing_folder, "does not exist"),
    "is a folder": (_is_folder, "is a folder"),
    "inside a file": (_in_a_file, "cannot write"),
    "proc": (lambda folder: Path("/proc/x.mp4"), "cannot write /proc/x.mp4"),
    # A device must be neither written to nor, being in a folder that root may write, replaced.
    "device": (lambda folder: Path("/dev/full"), "/dev/full is not a regular file"),
}


@pytest.mark.parametrize("command", [("render",), ("frame",), ("analyze",)], ids=lambda command: command[0])
@pytest.mark.parametrize("name", BAD_OUTPUTS)
def test_bad_output(run: Run, tmp_path: Path, name: str, command: tuple[str, ...], demo_song: Path) -> None:
    make, message = BAD_OUTPUTS[name]
    output = make(tmp_path)
    before = names(tmp_path)
    more = ("--type", "snow", *SIZE) if command != ("analyze",) else (demo_song,)
    outcome = run(*command, *more, "-o", output)
    assert outcome.code == 2
    assert message in outcome.error
    assert names(tmp_path) == before
    assert Path("/dev/full").is_char_device()


def test_unwritable_frame_hashes_are_reported_before_rendering(run: Run, tmp_path: Path) -> None:
    outcome = run(*RENDER, "-o", tmp_path / "out.mp4", "--frame-hashes", tmp_path / "nowhere" / "hashes.json")
    assert outcome.code == 2
    assert "nowhere" in outcome.error
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("poster", "message"), [("nowhere/poster.png", "nowhere"), ("poster.jpg", "Motes writes PNG here")]
)
def test_poster_that_cannot_be_written_is_reported_before_rendering(
    run: Run, tmp_path: Path, poster: str, message: str
) -> None:
    outcome = run(*RENDER, "-o", tmp_path / "out.mp4", "--poster", tmp_path / poster)
    assert outcome.code == 2
    assert message in outcome.error
    assert names(tmp_path) == []


def test_poster_outside_the_video_names_what_is_allowed(run: Run, tmp_path: Path) -> None:
    outcome = run(*RENDER, "-o", tmp_path / "out.mp4", "--set", "poster=99")
    assert outcome.code == 2
    assert "poster = 99: must be from 0 to " in outcome.error


@pytest.mark.parametrize("command", ["render", "frame", "analyze"])
def test_song_is_never_overwritten(run: Run, tmp_path: Path, command: str) -> None:
    song = write_song(tmp_path / "song.wav", tone(0.5))
    content = song.read_bytes()
    outcome = run(command, song, "-o", song)
    assert outcome.code == 2
    assert "is the song itself" in outcome.error
    assert song.read_bytes() == content


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(run: Run, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    outcome = run(*RENDER, "-o", tmp_path / "out.mp4")
    assert outcome.code == 2
    assert "Permission denied" in outcome.error


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A disk of a few kilobytes."""
    (tmp_path / "disk").mkdir()
    with disk_of(request.param << 10, tmp_path / "disk") as disk:
        yield disk


# From no room for a segment to no room for the index at the front of a video that is all there. It takes about 240 kB.
@pytest.mark.parametrize("small_disk", [16, 100, 230, 300], indirect=True)
def test_full_disk(run: Run, small_disk: Path, demo_song: Path) -> None:
    size = ("--type", "enhanced", "--size", "640x360", "--quality", "high", "--set", "particle_count=400")
    outcome = run("render", *size, demo_song, "--duration", "2", "-o", small_disk / "out.mp4")
    if outcome.code == 0:
        assert len(read_video(small_disk / "out.mp4").pts) == 60
        assert names(small_disk) == ["out.mp4"]
    else:
        assert outcome.code == 2
        assert "the disk is full" in outcome.error
        assert names(small_disk) == []


@pytest.mark.parametrize("small_disk", [8], indirect=True)
@pytest.mark.parametrize("command", ["frame", "analyze"])
def test_full_disk_in_other_commands(run: Run, small_disk: Path, demo_song: Path, command: str) -> None:
    outcome = run(command, demo_song, "-o", small_disk / "out")
    assert outcome.code == 2
    assert "the disk is full" in outcome.error
    assert names(small_disk) == []


def test_debug_shows_the_traceback(motes: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    done = motes("render", tmp_path / "song.wav", "-o", tmp_path / "out.mp4", "--debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "no such file" in done.stderr


def test_real_process_prints_one_line(motes: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    done = motes("render", tmp_path / "song.wav", "-o", tmp_path / "out.mp4")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"motes: error: {tmp_path / 'song.wav'}: no such file")
