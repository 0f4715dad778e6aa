"""Every format: the frames that were painted, in the file, whoever painted them; and what a format cannot hold."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from ecs_core import OutputError, Scene, SceneError, render, render_frame
from ecs_core.formats import FACTS, FORMS, Form
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.segment import SegmentRenderer
from tests.media import SMALL, read_video, tone, write_song

SECONDS, FRAMES = 1.4, 42
NAMES = {form: f"out{FACTS[form].suffix}" for form in FORMS}
ENCODED = {
    "mp4": "H.264 High, level 1.3",
    "mov": "ProRes 4444 with alpha",
    "webm": "VP9 with alpha",
    "png": "PNG with alpha",
    "webp": "WebP",
    "gif": "GIF",
}
# What covers and what shines, with a fade and a finish.
LAYERS = {
    "layers": [{"type": "snow", "config": {"blend": "over", "texture": "leaf", "particle_count": 30}}],
    "fade_in": 0.3,
    "finish": {"bloom": 0.5},
}
# Rows of planes, as (height, width) or (height, width, values of a pixel).
Planes = list[np.ndarray]


def painted(config: dict[str, Any]) -> list[Planes]:
    """The raw frames of zen without a song."""
    particle_type, settings = Scene("zen", config=config).resolve()
    plan = make_plan(particle_type, settings, None)
    renderer = SegmentRenderer(plan)
    frames = []
    with renderer.simulation as simulation:
        while simulation.world.frame < plan.frames:
            frames.append(planes_of(renderer.picture(simulation.snapshot()).frame))
    return frames


def planes_of(frame: av.VideoFrame) -> Planes:
    kind = np.uint16 if frame.format.name.endswith("le") else np.uint8
    values = 4 if frame.format.name == "rgba" else 1
    rows = [np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : values * plane.width] for plane in frame.planes]
    return [each.copy() for each in rows]


def decoded(path: Path) -> Iterator[av.VideoFrame]:
    """The frames of a video, VP9 with its alpha."""
    with av.open(str(path)) as source:
        track = source.streams.video[0]
        if track.codec_context.name != "vp9":
            yield from source.decode(track)
            return
        codec = av.CodecContext.create("libvpx-vp9", "r")
        for packet in source.demux(track):
            yield from codec.decode(packet if packet.size else None)


@pytest.mark.parametrize("form", FORMS)
def test_frames_are_the_same_for_any_workers_and_segments(tmp_path: Path, form: Form) -> None:
    scene = Scene("zen", config={**SMALL, **LAYERS, "duration": SECONDS})
    result = render(scene, tmp_path / NAMES[form], frame_hashes=True, workers=1)
    alone = result.frame_hashes
    assert len(set(alone)) == FRAMES
    others = render(scene, tmp_path / NAMES[form], frame_hashes=True, workers=3, segment_seconds=0.4)
    assert others.frame_hashes == alone
    assert (result.format, result.picture) == (form, ENCODED[form])
    of_form = Scene("zen", config={**SMALL, **LAYERS, "duration": SECONDS, "format": form})
    assert render_frame(of_form, 1.0, tmp_path / "frame.png") == alone[30]


def test_quality_does_not_change_raw_frames(tmp_path: Path) -> None:
    scene = Scene("zen", config={**SMALL, "duration": 0.3})
    for form in ("webm", "png"):
        hashes = {
            render(scene, tmp_path / NAMES[form], workers=1, quality=quality, frame_hashes=True).frame_hashes
            for quality in ("draft", "high")
        }
        assert len(hashes) == 1


class TestAlpha:
    """Alpha and colour, read back from files and compared with what was painted."""

    def test_mov(self, tmp_path: Path) -> None:
        config = {**SMALL, **LAYERS, "duration": SECONDS, "format": "mov"}
        render(Scene("zen", config=config), tmp_path / "out.mov", workers=2, segment_seconds=0.5)
        frames, raw = [*decoded(tmp_path / "out.mov")], painted(config)
        assert len(frames) == len(raw) == FRAMES
        assert frames[0].format.name == "yuva444p12le"
        for frame, planes in zip(frames, raw, strict=True):
            *colours, alpha = planes_of(frame)
            np.testing.assert_array_equal(alpha >> 2, planes[3])  # which ProRes keeps as it is
            seen = planes[3] > 512
            for colour, wanted in zip(colours, planes, strict=False):
                assert np.abs((colour[seen] / 4) - wanted[seen]).sum() <= 12 * seen.sum()  # of 1023

    def test_webm(self, tmp_path: Path) -> None:
        config = {**SMALL, **LAYERS, "duration": SECONDS, "format": "webm"}
        render(Scene("zen", config=config), tmp_path / "out.webm", workers=2, segment_seconds=0.5, quality="high")
        frames, raw = [*decoded(tmp_path / "out.webm")], painted(config)
        assert len(frames) == len(raw) == FRAMES
        assert frames[0].format.name == "yuva420p"
        for frame, planes in zip(frames, raw, strict=True):
            luma, _, _, alpha = (plane.astype(float) for plane in planes_of(frame))
            assert np.abs(alpha - planes[3]).mean() < 2
            seen = planes[3] > 128
            assert np.abs(luma[seen] - planes[0][seen]).sum() <= 8 * seen.sum()

    def test_png(self, tmp_path: Path) -> None:
        config = {**SMALL, **LAYERS, "duration": SECONDS, "format": "png"}
        render(Scene("zen", config=config), tmp_path / "out.zip", workers=2, segment_seconds=0.5)
        with zipfile.ZipFile(tmp_path / "out.zip") as held:
            assert held.namelist() == [f"{number:06d}.png" for number in range(FRAMES)]
            pictures = [np.asarray(Image.open(io.BytesIO(held.read(name)))) for name in held.namelist()]
        for picture, (rgba,) in zip(pictures, painted(config), strict=True):
            np.testing.assert_array_equal(picture, rgba.reshape(*picture.shape))

    def test_webp_where_it_is_asked_for(self, tmp_path: Path) -> None:
        config = {**SMALL, **LAYERS, "duration": SECONDS, "format": "webp", "alpha": True}
        render(Scene("zen", config=config), tmp_path / "out.webp", workers=2, segment_seconds=0.5)
        with Image.open(tmp_path / "out.webp") as picture:
            assert picture.n_frames == FRAMES  # type: ignore[attr-defined]
            for number, (rgba,) in enumerate(painted(config)):
                picture.seek(number)
                alpha = np.asarray(picture.convert("RGBA"))[..., 3].astype(float)
                assert np.abs(alpha - rgba.reshape(*alpha.shape, 4)[..., 3]).mean() < 2


class TestWhoHasAlpha:
    def of(self, kind: str, **config: Any) -> bool:
        return make_plan(*Scene(kind, config={**SMALL, "duration": 1.0, **config}).resolve(), None).video.alpha

    @pytest.mark.parametrize(("form", "alpha"), [(form, FACTS[form].is_for_overlays) for form in FORMS])
    def test_formats_for_overlays(self, form: Form, alpha: bool) -> None:
        assert self.of("snow", format=form) is alpha

    def test_not_with_a_background(self) -> None:
        assert not self.of("snow", format="mov", background=[0, 0, 0])

    def test_not_on_a_bright_ground_unless_asked(self) -> None:
        assert not self.of("petals", format="mov")
        assert self.of("petals", format="mov", alpha=True)

    def test_not_if_it_is_refused(self) -> None:
        assert not self.of("snow", format="mov", alpha=False)


@pytest.mark.parametrize("form", [form for form in FORMS if form not in ("mp4", "webm")])
def test_opaque_pictures_show_what_video_shows(tmp_path: Path, form: Form) -> None:
    config = {**SMALL, "duration": 0.3, "alpha": False}
    shown = {}
    for each in (form, "mp4"):
        picture = tmp_path / f"{each}.png"
        render_frame(Scene("snow", config={**config, "format": each}), 0.2, picture)
        shown[each] = np.asarray(Image.open(picture).convert("RGB")).astype(float)
    assert np.abs(shown[form] - shown["mp4"]).mean() < 2


def test_webp_and_gif_last_as_long_as_the_video(tmp_path: Path) -> None:
    for form, fps in (("webp", 30), ("gif", 25), ("gif", 30)):
        path = tmp_path / NAMES[form]
        render(Scene("snow", config={**SMALL, "fps": fps, "duration": SECONDS}), path, workers=2, segment_seconds=0.5)
        with Image.open(path) as picture:
            durations = []
            for number in range(picture.n_frames):  # type: ignore[attr-defined]
                picture.seek(number)
                picture.load()
                durations.append(picture.info["duration"])
        assert len(durations) == round(fps * SECONDS)
        assert abs(sum(durations) - 1000 * SECONDS) <= 20
        assert picture.info["loop"] == 0  # for ever


def test_gif_has_the_colours_of_the_frames(tmp_path: Path) -> None:
    config = {**SMALL, "duration": 0.4, "format": "gif"}
    render(Scene("zen", config=config), tmp_path / "out.gif", workers=1)
    with Image.open(tmp_path / "out.gif") as picture:
        for number, (rgba,) in enumerate(painted(config)):
            picture.seek(number)
            shown = np.asarray(picture.convert("RGB")).astype(float)
            assert np.abs(shown - rgba.reshape(*shown.shape[:2], 4)[..., :3]).mean() < 6


@pytest.mark.parametrize(("form", "codecs"), [("mov", {"prores", "aac"}), ("webm", {"vp9", "opus"})])
def test_sound_is_as_long_as_the_picture(tmp_path: Path, form: Form, codecs: set[str]) -> None:
    song = write_song(tmp_path / "song.wav", tone(SECONDS))
    path = tmp_path / NAMES[form]
    result = render(Scene("snow", song, {**SMALL, "duration": SECONDS}), path, workers=2, segment_seconds=0.5)
    video = read_video(path)
    assert (result.format, result.sound) == (form, "encoded")
    assert {codec.removeprefix("lib") for codec in video.codecs} == codecs
    assert video.pts == pytest.approx([frame / Fraction(30) for frame in range(FRAMES)], abs=0.001)
    assert abs(video.sound.shape[1] / video.rate - SECONDS) < 0.03


@pytest.mark.parametrize("form", ["mp4", "mov", "webm"])
def test_tags_of_the_song_are_tags_of_the_file(tmp_path: Path, form: Form) -> None:
    song = write_song(tmp_path / "song.mp3", tone(SECONDS), tags={"title": "Lanterns", "artist": "Ada"})
    render(Scene("snow", song, {**SMALL, "duration": 0.5}), tmp_path / NAMES[form], workers=1)
    with av.open(str(tmp_path / NAMES[form])) as video:
        tags = {name.lower(): text for name, text in video.metadata.items()}
    assert (tags["title"], tags["artist"]) == ("Lanterns", "Ada")


@pytest.mark.parametrize("form", FORMS)
def test_poster_is_of_the_picture(tmp_path: Path, form: Form) -> None:
    config = {**SMALL, "duration": SECONDS, "poster": 1.0, "format": form}
    render(Scene("snow", config=config), tmp_path / NAMES[form], workers=2, poster=tmp_path / "poster.png")
    render_frame(Scene("snow", config=config), 1.0, tmp_path / "frame.png")
    poster, frame = (Image.open(tmp_path / f"{name}.png") for name in ("poster", "frame"))
    assert poster.mode == ("RGBA" if FACTS[form].is_for_overlays else "RGB")
    assert np.abs(np.asarray(poster.convert("RGB")).astype(float) - np.asarray(frame.convert("RGB"))).mean() < 12


class TestWhatIsSaid:
    def test_the_level_of_h264(self, tmp_path: Path) -> None:
        scene = Scene("snow", config={**SMALL, "width": 1920, "height": 1080, "duration": 0.1})
        assert render(scene, tmp_path / "out.mp4", workers=1).picture == "H.264 High, level 4"

    @pytest.mark.parametrize(
        ("config", "said"),
        [
            ({"alpha": True}, "alpha = true: mp4 has no alpha; formats that have it: mov, webm, png, webp"),
            ({"alpha": True, "format": "gif"}, "alpha = true: gif has no alpha"),
            (
                {"alpha": True, "format": "mov", "background": [1, 2, 3]},
                r"alpha = true with background = \[1, 2, 3\]: give one of them",
            ),
            ({"format": "gif", "fps": 60}, "fps = 60 with format = gif: it shows at most 50 frames per second"),
            ({"format": "gif", "duration": 20.5}, "format = gif with 20.5 s of video: it is for at most 20 s"),
            ({"format": "avi"}, "format"),
        ],
    )
    def test_what_a_format_cannot_hold(self, tmp_path: Path, config: dict[str, Any], said: str) -> None:
        with pytest.raises(SceneError, match=said):
            render(Scene("snow", config={**SMALL, **config}), tmp_path / "out")

    def test_a_song_too_long_for_a_gif(self, tmp_path: Path) -> None:
        song = write_song(tmp_path / "song.wav", tone(21.0))
        with pytest.raises(SceneError, match="format = gif with 21 s of video: it is for at most 20 s"):
            render(Scene("snow", song, {**SMALL, "duration": "audio"}), tmp_path / "out.gif", workers=1)
        assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]

    def test_a_name_of_another_format(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=r"its name is that of gif, and format = mov; give a name .* \.mov"):
            render(Scene("snow", config={**SMALL, "format": "mov"}), tmp_path / "out.gif")
