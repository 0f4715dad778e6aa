"""Assets as they are checked in the sandbox: what is stored of them, and in which line others are refused."""

from __future__ import annotations

import errno
import hashlib
import io
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from services.media.assets.checking import Cancellation, CheckedAsset, check_asset
from services.media.assets.kinds import ALLOWED, AssetError, AssetTooLargeError, found_in
from services.media.assets.limits import LONGEST_SIDE, MOST_BYTES
from services.media.assets.png_writer import PngWriter
from services.media.assets.video_writer import VideoWriter
from services.media.sandbox.decoding_processes import decoding_server
from tests.media.moving import numbered, write_video
from tests.services.media.asset_examples import (
    SRT,
    TYPEFACE,
    examples,
    moving,
    picture,
    pixels,
    song_only,
    video,
)

EXECUTE = "tests.services.media.trial_decoders:execute_rest"
PNG = b"\x89PNG\r\n\x1a\n"
ORIENTATION, TURNED = 0x0112, 6


@pytest.fixture(scope="module", autouse=True)
def _server() -> Iterator[None]:
    """It ends with the tests of this module."""
    yield
    decoding_server().close()


def checked(folder: Path, data: bytes, decoder: str | None = None) -> tuple[CheckedAsset, bytes]:
    """What is found in a file, and what is stored of it."""
    path, target = folder / "file", folder / "stored"
    path.write_bytes(data)
    target.unlink(missing_ok=True)
    found = check_asset(path, target, name="a.file", decoder=decoder)
    return found, target.read_bytes()


def refused(folder: Path, data: bytes, kind: type[AssetError] = AssetError) -> str:
    """The line in which a file is refused."""
    with pytest.raises(kind) as error:
        checked(folder, data)
    line = str(error.value)
    assert line.startswith("a.file: ")
    assert line.isprintable()
    assert str(folder) not in line
    return line.removeprefix("a.file: ")


def shown(data: bytes) -> Any:
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    return np.asarray(image)


@pytest.mark.parametrize("name", examples())
def test_kind_is_found_from_the_content(tmp_path: Path, name: str) -> None:
    found, stored = checked(tmp_path, examples()[name])
    kind, _, form = name.partition(".")
    assert found.kind == kind
    forms = {"jpg": "JPEG", "webm": "WebM"}
    assert found.facts["format"] == forms.get(form, form.upper())
    assert stored.startswith(b"\x89PNG") == (kind == "image")


class TestPictures:
    @pytest.mark.parametrize(("form", "channels"), [("PNG", 3), ("PNG", 4), ("WEBP", 3), ("WEBP", 4)])
    def test_pixels_are_those_of_the_file(self, tmp_path: Path, form: str, channels: int) -> None:
        found, stored = checked(tmp_path, picture(form, channels=channels))
        assert (shown(stored) == pixels(channels=channels)).all()
        assert (found.facts["width"], found.facts["height"], found.facts["warnings"]) == (40, 30, [])

    @pytest.mark.parametrize("form", ["JPEG", "AVIF"])
    def test_lossy_pixels_are_those_that_pillow_shows(self, tmp_path: Path, form: str) -> None:
        data = picture(form)
        assert (shown(checked(tmp_path, data)[1]) == np.asarray(Image.open(io.BytesIO(data)))).all()

    def test_digest_is_that_of_the_pixels(self, tmp_path: Path) -> None:
        png, webp, other = (checked(tmp_path, data)[0] for data in (picture(), picture("WEBP"), picture("JPEG")))
        assert png.digest == webp.digest != other.digest

    @pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
    def test_is_turned_the_right_way_up(self, tmp_path: Path, form: str) -> None:
        exif = Image.Exif()
        exif[ORIENTATION] = TURNED
        found, stored = checked(tmp_path, picture(form, exif=exif))
        assert (found.facts["width"], found.facts["height"]) == (30, 40)
        assert abs(shown(stored).astype(int) - np.rot90(pixels(), -1)).mean() < 8

    def test_colours_become_srgb_by_the_profile(self, tmp_path: Path) -> None:
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        assert "which it is not" in refused(tmp_path, picture("PNG", icc_profile=lab.tobytes()))
        own = _profile_with_gamma_one()
        found, stored = checked(tmp_path, picture("PNG", icc_profile=own))
        assert found.facts["warnings"] == ["its colours became sRGB"]
        lighter = 255 * np.where(pixels() / 255 > 0.0031308, 1.055 * (pixels() / 255) ** (1 / 2.4) - 0.055, 0)
        assert abs(shown(stored) - lighter).mean() < 2

    def test_srgb_profile_changes_nothing(self, tmp_path: Path) -> None:
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        found, stored = checked(tmp_path, picture("PNG", channels=4, icc_profile=srgb))
        assert (shown(stored) == pixels(channels=4)).all()
        assert found.facts["warnings"] == []

    def test_damaged_profile_is_refused(self, tmp_path: Path) -> None:
        assert "colour profile that cannot be read" in refused(tmp_path, picture("PNG", icc_profile=b"x" * 200))

    def test_print_colours_without_a_profile_are_refused(self, tmp_path: Path) -> None:
        made = io.BytesIO()
        Image.fromarray(pixels()).convert("CMYK").save(made, "JPEG")
        assert "(CMYK) and no colour profile; save it with sRGB" in refused(tmp_path, made.getvalue())

    def test_sixteen_bits_become_eight_with_a_warning(self, tmp_path: Path) -> None:
        made = io.BytesIO()
        Image.fromarray(np.full((2, 2), 40_000, np.uint16)).save(made, "PNG")
        found, stored = checked(tmp_path, made.getvalue())
        assert found.facts["warnings"] == ["16 bits became 8"]
        assert shown(stored).tolist() == [[[155, 155, 155]] * 2] * 2

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16"])
    def test_other_modes_become_rgb(self, tmp_path: Path, mode: str) -> None:
        grey = Image.fromarray(pixels()[:, :, 0])
        made, expected = io.BytesIO(), grey.convert("1") if mode == "1" else grey
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
        image.save(made, "PNG")
        seen = shown(checked(tmp_path, made.getvalue())[1])
        assert (seen == np.asarray(expected.convert("RGB"))).all()

    def test_transparent_colour_of_a_palette_becomes_alpha(self, tmp_path: Path) -> None:
        image = Image.new("P", (2, 1))
        image.putpalette([255, 0, 0, 0, 0, 255])
        image.putdata([0, 1])
        made = io.BytesIO()
        image.save(made, "PNG", transparency=0)
        assert shown(checked(tmp_path, made.getvalue())[1]).tolist() == [[[255, 0, 0, 0], [0, 0, 255, 255]]]

    def test_first_of_a_camera_s_pictures_is_taken(self, tmp_path: Path) -> None:
        first, second = (Image.fromarray(pixels(seed=seed)) for seed in (1, 2))
        made = io.BytesIO()
        first.save(made, "MPO", save_all=True, append_images=[second])
        assert (shown(checked(tmp_path, made.getvalue())[1]) == np.asarray(Image.open(made))).all()

    @pytest.mark.parametrize("form", ["PNG", "WEBP", "AVIF"])
    def test_that_move_are_refused(self, tmp_path: Path, form: str) -> None:
        assert refused(tmp_path, moving(form)) == "has 2 pictures, so it moves; allowed: one"

    @pytest.mark.parametrize(
        ("wide", "high"), [(LONGEST_SIDE + 1, 1), (1, LONGEST_SIDE + 1), (8000, 7000), (10**6, 10**6)]
    )
    def test_that_are_too_large_are_refused_before_they_are_decoded(self, tmp_path: Path, wide: int, high: int) -> None:
        line = refused(tmp_path, _png_that_claims(wide, high))
        assert line == f"has {wide} × {high} pixels; allowed: at most 8192 pixels a side and 50 megapixels"

    @pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
    @pytest.mark.parametrize("extra", [b"PK\x03\x04 an archive", b"<script>alert(1)</script>", b"\0\0x"])
    def test_that_are_two_files_at_once_are_refused(self, tmp_path: Path, form: str, extra: bytes) -> None:
        size = len(extra)
        assert refused(tmp_path, picture(form) + extra) == (
            f"goes on for {size} bytes after its end, as files do that are two at once"
        )

    @pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
    def test_zeros_may_follow(self, tmp_path: Path, form: str) -> None:
        assert checked(tmp_path, picture(form) + bytes(512))[0].kind == "image"

    @pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
    def test_that_are_cut_off_are_refused(self, tmp_path: Path, form: str) -> None:
        data = picture(form)
        for share in (0.3, 0.6, 0.9, 0.999):
            line = refused(tmp_path, data[: int(share * len(data))])
            assert "cut off" in line or "damaged" in line

    def test_hdr_is_refused(self, tmp_path: Path) -> None:
        cicp = _chunk(b"cICP", bytes((9, 16, 0, 1)))
        data = picture()
        assert "HDR" in refused(tmp_path, data[:33] + cicp + data[33:])

    def test_brightness_of_its_own_is_refused(self, tmp_path: Path) -> None:
        data = picture()
        gamma = _chunk(b"gAMA", struct.pack(">I", 100_000))
        assert "gamma 1)" in refused(tmp_path, data[:33] + gamma + data[33:])
        usual = _chunk(b"gAMA", struct.pack(">I", 45_455))
        assert checked(tmp_path, data[:33] + usual + data[33:])[0].kind == "image"


class TestLyrics:
    def test_are_stored_as_plain_lines(self, tmp_path: Path) -> None:
        found, stored = checked(tmp_path, b"\xef\xbb\xbf" + SRT.replace("\n", "\r\n").encode())
        assert stored == SRT.encode()
        assert found.facts == {"format": "SRT", "lines": 2}

    @pytest.mark.parametrize(
        ("data", "line"),
        [
            (b"just words\n", f"is text without times; allowed: {ALLOWED['lyrics']}"),
            ("[00:01.00]Grüße".encode("latin-1"), f"is not UTF-8 (at byte 12); allowed: {ALLOWED['lyrics']}"),
            ("[00:01.00]Grüße".encode("utf-16"), f"is text in UTF-16; allowed: lyrics in UTF-8 ({ALLOWED['lyrics']})"),
            (b"[00:01.00]\x1b[2J", "line 1 holds control characters; allowed: text alone"),
            (b"[00:01.00]a\n" + b"x" * 1001, "line 2 has 1001 letters; allowed: at most 1000"),
            (b"[00:01.00]a\n" * 10_001, "has 10001 lines; allowed: at most 10000"),
        ],
    )
    def test_that_cannot_be_read_are_refused(self, tmp_path: Path, data: bytes, line: str) -> None:
        assert refused(tmp_path, data) == line


class TestFonts:
    def test_family_and_style_are_found(self, tmp_path: Path) -> None:
        found, stored = checked(tmp_path, TYPEFACE.read_bytes())
        assert found.facts == {"format": "TTF", "family": "DejaVu Sans", "style": "Bold"}
        assert stored == TYPEFACE.read_bytes()

    def test_that_are_cut_off_or_go_on_are_refused(self, tmp_path: Path) -> None:
        data = TYPEFACE.read_bytes()
        assert refused(tmp_path, data[:-500]) == "is cut off: its end is missing"
        assert refused(tmp_path, data + b"PK").endswith("as files do that are two at once")

    def test_without_outlines_is_refused(self, tmp_path: Path) -> None:
        data = TYPEFACE.read_bytes().replace(b"glyf", b"gnot", 1)
        assert refused(tmp_path, data) == "is no font with outlines: it lacks glyf or CFF"


def encoded(folder: Path, data: bytes) -> tuple[CheckedAsset, list[av.VideoFrame]]:
    """What is found in a video, and the frames of what is stored of it, which is H.264 in BT.709 and nothing else."""
    found, stored = checked(folder, data)
    with av.open(io.BytesIO(stored), "r") as container:
        assert [stream.type for stream in container.streams] == ["video"]
        frames = list(container.decode(video=0))
        assert container.streams.video[0].codec_context.name == "h264"
    assert all((frame.format.name, frame.colorspace, frame.color_range) == ("yuv420p", 1, 1) for frame in frames)
    return found, frames


def middles(frames: list[av.VideoFrame]) -> list[int]:
    """The luma of each frame right of and below its middle."""
    return [int(frame.to_ndarray()[frame.height * 3 // 4, frame.width * 3 // 4]) for frame in frames]


class TestVideos:
    def test_size_rate_and_length_are_found(self, tmp_path: Path) -> None:
        found, frames = encoded(tmp_path, video())
        assert found.facts == {
            "format": "MP4",
            "codec": "h264",
            "width": 64,
            "height": 48,
            "fps": 25.0,
            "duration": pytest.approx(1.2),
            "warnings": [],
        }
        assert len(frames) == 30

    def test_same_file_becomes_the_same_bytes(self, tmp_path: Path) -> None:
        (first, stored), (again, other) = (checked(tmp_path, video()) for _ in range(2))
        assert (stored, first) == (other, again)
        assert first.digest == hashlib.sha256(stored).hexdigest()

    @pytest.mark.parametrize(("ending", "bt709"), [*product((".mp4", ".mov", ".webm"), (True, False)), (".mkv", False)])
    def test_frames_are_those_of_the_file(self, tmp_path: Path, ending: str, bt709: bool) -> None:
        pictures = numbered(12, 96, 64)
        _, frames = encoded(tmp_path, write_video(tmp_path / f"a{ending}", pictures, bt709=bt709).read_bytes())
        assert len(frames) == len(pictures)
        for frame, given_one in zip(frames, pictures, strict=True):
            shown = frame.reformat(format="rgb24", src_colorspace=1, src_color_range=1, dst_color_range=2).to_ndarray()
            for place in ((8, 12), (56, 84)):
                assert abs(shown[place].astype(int) - given_one[place]).max() <= 8

    def test_frames_are_shown_when_they_were(self, tmp_path: Path) -> None:
        """Its frame rate varies, so some are sent twice, and a long one often."""
        times = [0, 40, 80, 120, 320, 360]
        path = write_video(tmp_path / "a.mp4", numbered(6), fps=25, times=times)
        found, frames = encoded(tmp_path, path.read_bytes())
        rate = found.facts["fps"]
        lumas = sorted(set(middles(frames)))
        expected = [sum(time / 1000 <= number / rate + 1e-3 for time in times) - 1 for number in range(len(frames))]
        assert [min(range(6), key=lambda n: abs(n * 172 / 5 + 30 - luma)) for luma in middles(frames)] == expected
        assert len(lumas) >= 5

    def test_that_are_large_or_fast_become_smaller_and_slower_with_a_warning(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4", numbered(8, 2560, 64), fps=60)
        found, frames = encoded(tmp_path, path.read_bytes())
        assert (frames[0].width, frames[0].height, len(frames)) == (1920, 48, 4)
        assert found.facts["warnings"] == [
            "2560 × 64 pixels became 1920 × 48",
            "60 frames per second became 30",
        ]
        assert (found.facts["width"], found.facts["height"], found.facts["fps"]) == (1920, 48, 30)

    def test_smallest_is_stored_with_even_sides(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mkv", numbered(3, 5, 3))
        _, frames = encoded(tmp_path, path.read_bytes())
        assert (frames[0].width, frames[0].height) == (4, 4)

    def test_is_turned_the_right_way_up(self, tmp_path: Path) -> None:
        data = bytearray(write_video(tmp_path / "a.mp4", numbered(4, 64, 48)).read_bytes())
        one, none = struct.pack(">i", 1 << 16), bytes(4)
        at = data.index(one + none * 3 + one + none * 3 + struct.pack(">i", 1 << 30), data.index(b"tkhd"))
        data[at : at + 36] = none + one + none + struct.pack(">i", -1 << 16) + none * 4 + struct.pack(">i", 1 << 30)
        _, frames = encoded(tmp_path, bytes(data))
        assert (frames[0].width, frames[0].height) == (48, 64)
        shown = frames[0].to_ndarray(format="rgb24").astype(int)
        assert abs(shown[8, 40] - [220, 20, 20]).max() < 12
        assert abs(shown[8, 8] - 16).max() < 12

    def test_that_hold_no_picture_are_refused(self, tmp_path: Path) -> None:
        assert refused(tmp_path, song_only()) == f"holds no moving picture; allowed: {ALLOWED['video']}"

    @pytest.mark.parametrize(("form", "codec"), [("mp4", "libx264"), ("webm", "libvpx-vp9")])
    def test_that_are_cut_off_or_go_on_are_refused(self, tmp_path: Path, form: str, codec: str) -> None:
        data = video(form, codec)
        assert refused(tmp_path, data[: len(data) // 2])
        assert refused(tmp_path, data + b"PK\x03\x04").endswith("as files do that are two at once")

    def test_of_other_codecs_are_refused_by_name(self, tmp_path: Path) -> None:
        line = refused(tmp_path, video("matroska", "mpeg2video"))
        assert line.startswith("has the codec mpeg2video; allowed: H.264, ")

    def test_of_quicktime_from_before_mp4_are_videos(self, tmp_path: Path) -> None:
        assert checked(tmp_path, video().replace(b"ftyp", b"free", 1))[0].kind == "video"

    def test_that_are_too_long_are_refused(self, tmp_path: Path) -> None:
        assert refused(tmp_path, video(frames=3, apart=1000)) == "has 80.0 s; allowed: at most 60 s"

    def test_that_are_too_large_are_refused(self, tmp_path: Path) -> None:
        line = refused(tmp_path, video(frames=1, wide=5000, high=16))
        assert line == "has 5000 × 16 pixels; allowed: at most 4096 pixels a side and 9.4 megapixels"

    def test_that_are_too_fast_are_refused(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4", numbered(8), fps=240)
        assert refused(tmp_path, path.read_bytes()) == "has 240 frames per second; allowed: at most 120"

    def test_with_hdr_are_refused(self, tmp_path: Path) -> None:
        made = io.BytesIO()
        with av.open(made, "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.codec_context.color_trc = 16
            frame = av.VideoFrame.from_ndarray(pixels(64, 48), format="rgb24")
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        assert refused(tmp_path, made.getvalue()) == (
            "has colours for bright screens (HDR); save it with those of BT.709"
        )

    @pytest.mark.parametrize(
        "lines", ["raise SystemExit(3)", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"]
    )
    def test_encoder_that_ends_early_is_told_in_one_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str
    ) -> None:
        (tmp_path / "encoder.py").write_text(lines)
        monkeypatch.setattr("services.media.assets.video_writer.ENCODER", "encoder")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        assert refused(tmp_path, video()) == "the decoder was killed; try again"

    def test_full_disk_is_told_as_such(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "encoder.py").write_text(f"raise SystemExit({errno.ENOSPC})")
        monkeypatch.setattr("services.media.assets.video_writer.ENCODER", "encoder")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        with pytest.raises(OSError, match="No space left") as told:
            checked(tmp_path, video())
        assert told.value.errno == errno.ENOSPC

    def test_encoder_that_gets_too_few_frames_does_not_end_well(self, tmp_path: Path) -> None:
        with VideoWriter(tmp_path / "a.mp4", width=16, height=16, rate=Fraction(25), frames=3) as writer:
            writer.write(bytes(16 * 16 * 3 // 2))
            with pytest.raises(ConnectionResetError):
                writer.close()


class TestRefusals:
    @pytest.mark.parametrize(
        ("data", "what"),
        [
            (b"", "is empty"),
            (b"GIF89a\x01\0\x01\0", "is a GIF file"),
            (b"%PDF-1.7", "is a PDF file"),
            (b"PK\x03\x04", "is a ZIP file"),
            (b"wOFF\0\0", "is a WOFF file"),
            (b"ttcf\0\x01", "is a font collection file"),
            (b"\0\0\0\x18ftypheic", "is a HEIF picture"),
            (b"<!doctype html><svg>", "is HTML or XML"),
            (bytes(range(200)), "is of no known kind"),
            (b"RIFF\x10\0\0\0WAVEfmt ", "is a RIFF file"),
        ],
    )
    def test_line_names_what_it_is_and_what_is_allowed(self, tmp_path: Path, data: bytes, what: str) -> None:
        line = refused(tmp_path, data)
        assert line.startswith(f"{what}; allowed: an image (JPEG, PNG, WebP or AVIF), a video (")

    @pytest.mark.parametrize(
        "text",
        ["<svg xmlns='http://www.w3.org/2000/svg'/>", "\ufeff<?xml version='1.0'?>\n<!-- a -->\n<svg/>", "<SVG>"],
    )
    def test_svg_is_refused_by_name(self, tmp_path: Path, text: str) -> None:
        assert refused(tmp_path, text.encode()) == "is an SVG, which can hold programs and links; save it as PNG"

    @pytest.mark.parametrize(
        ("kind", "head"), [("image", b"\x89PNG\r\n\x1a\n"), ("font", b"OTTO"), ("lyrics", b"[00:")]
    )
    def test_each_kind_has_its_limit_of_bytes(self, tmp_path: Path, kind: str, head: bytes) -> None:
        with (tmp_path / "big").open("wb") as file:
            file.write(head)
            file.write(b"a" * 1000)
            file.truncate(MOST_BYTES[kind] + 1)
        with pytest.raises(AssetTooLargeError, match=f"too many bytes for .*; allowed: at most {MOST_BYTES[kind]}$"):
            check_asset(tmp_path / "big", tmp_path / "stored", name="a.file")

    @given(st.binary(max_size=64))
    def test_any_beginning_is_a_kind_or_refused_in_a_line(self, head: bytes) -> None:
        try:
            said = f"a.file: {found_in(head, 'a.file').kind}"
        except AssetError as error:
            said = str(error)
        assert said.startswith("a.file: ")
        assert said.isprintable()


@pytest.mark.parametrize(
    ("head", "lie"),
    [
        ("PNG", "channel.send(b'pixels')"),
        ("PNG", "channel.say(format='PNG', width=1, height=1, channels=3)"),
        ("PNG", "channel.say(format='GIF', width=1, height=1, channels=3, warnings=[]); channel.send(bytes(3))"),
        ("PNG", "channel.say(format='PNG', width=8192, height=8192, channels=3, warnings=[])"),
        ("PNG", "channel.say(format='PNG', width=9000, height=1, channels=3, warnings=[])"),
        ("PNG", "channel.say(format='PNG', width=1, height=1, channels=2, warnings=[]); channel.send(bytes(2))"),
        ("PNG", "channel.say(format='PNG', width=1, height=1, channels=3, warnings=[]); channel.send(bytes(4))"),
        ("PNG", "channel.say(format='PNG', width=1, height=1, channels=3, warnings=[]); channel.send(b'')"),
        ("PNG", "channel.say(format='PNG', width=1, height=1, channels=3, warnings=['\\x1b[2J'])"),
        ("PNG", "channel.say(format='PNG', width=9, height=9, channels=3, warnings=[]); channel.say(width=1)"),
        ("LRC", "channel.say(format='LRC', lines=1); channel.send(b'\\xff')"),
        ("LRC", "channel.say(format='LRC', lines=1); channel.say(lines=1)"),
        ("LRC", "channel.say(format='PDF', lines=1); channel.send(b'a')"),
        ("OTF", "channel.say(format='OTF', family='\\x07', style='')"),
        *(
            ("MP4", f"channel.say(format='MP4', codec='h264', warnings=[], width={said}")
            for said in (
                "2, height=2, rate=[0, 1], frames=1)",
                "2, height=2, rate=[1, 0], frames=1)",
                "2, height=2, rate=[31, 1], frames=1)",
                "2, height=2, rate=[1, 1], frames=9**9)",
                "2, height=2, rate=[30, 1], frames=1831)",
                "3, height=2, rate=[30, 1], frames=1)",
                "2000, height=2, rate=[30, 1], frames=1)",
                "2, height=2, rate=[30, 1], frames=1); channel.send(bytes(5))",
                "2, height=2, rate=[30, 1], frames=1); channel.send(bytes(7))",
                "2, height=2, rate=[30, 1], frames=2); channel.send(bytes(6)); channel.say(frames=1)",
            )
        ),
    ],
)
def test_nonsense_from_a_compromised_decoder_of_assets_is_refused(tmp_path: Path, head: str, lie: str) -> None:
    heads = {"PNG": PNG, "LRC": b"[00:01]", "OTF": b"OTTO", "MP4": b"\0\0\0\x18ftypisom"}
    with pytest.raises(AssetError, match=r"a\.file: the decoder sent invalid data"):
        checked(tmp_path, heads[head] + b"\n#EXECUTE\n" + lie.encode(), EXECUTE)


def test_cancelled_check_ends_at_once(tmp_path: Path) -> None:
    """Whether it is cancelled before or while it waits."""
    (tmp_path / "file").write_bytes(PNG + b"\n#EXECUTE\nwhile True: pass")
    cancellation = Cancellation()
    timer = threading.Timer(0.2, cancellation.cancel)
    timer.start()
    for _ in range(2):
        with pytest.raises(AssetError, match="the decoder was killed; try again"):
            check_asset(tmp_path / "file", tmp_path / "out", name="a", decoder=EXECUTE, cancellation=cancellation)
    timer.join()


def test_cancelled_check_of_a_video_ends_its_encoder(tmp_path: Path) -> None:
    code = "channel.say(format='MP4', codec='h264', warnings=[], width=2, height=2, rate=[1, 1], frames=9)"
    code += "\nchannel.send(bytes(6)); channel._stream.flush()\nwhile True: pass"
    (tmp_path / "file").write_bytes(b"\0\0\0\x18ftypisom\n#EXECUTE\n" + code.encode())
    target, cancellation = tmp_path / "out", Cancellation()

    def encoders() -> list[bytes]:
        found = []
        for each in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # it has ended
                found.append(each.read_bytes())
        return [each for each in found if bytes(target) in each]

    seen: list[bytes] = []

    def cancel_once_it_encodes() -> None:
        while not seen:
            seen.extend(encoders())
        cancellation.cancel()

    watcher = threading.Thread(target=cancel_once_it_encodes)
    watcher.start()
    with pytest.raises(AssetError, match="the decoder was killed; try again"):
        check_asset(tmp_path / "file", target, name="a", decoder=EXECUTE, cancellation=cancellation)
    watcher.join()
    assert encoders() == []


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from((3, 4)), st.data())
def test_png_holds_the_pixels_that_were_written(wide: int, high: int, channels: int, draw: st.DataObject) -> None:
    rows = np.random.default_rng(wide * high).integers(0, 256, (high, wide, channels), np.uint8)
    data, at, made = rows.tobytes(), 0, io.BytesIO()
    writer = PngWriter(made, wide, high, channels)
    while at < len(data):
        size = draw.draw(st.integers(1, len(data) - at))
        writer.write(data[at : at + size])
        at += size
    writer.close()
    assert (shown(made.getvalue()) == rows).all()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png_that_claims(wide: int, high: int) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0))
    return PNG + header + _chunk(b"IDAT", zlib.compress(bytes(10))) + _chunk(b"IEND", b"")


def _profile_with_gamma_one() -> bytes:
    """The profile of sRGB with its curves replaced by straight lines."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", data, 128)[0]
    for number in range(count):
        name, offset, size = struct.unpack_from(">4sII", data, 132 + 12 * number)
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            data[offset : offset + size] = (b"curv" + bytes(8)).ljust(size, b"\0")
        if name == b"desc":
            at = data.find("sRGB".encode("utf-16-be"), offset, offset + size)
            if at >= 0:
                data[at : at + 8] = "mine".encode("utf-16-be")
    return bytes(data)
