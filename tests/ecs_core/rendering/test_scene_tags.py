"""The title, the artist and the cover that a scene shows are in its file's tags."""

from __future__ import annotations

from pathlib import Path

import av
from PIL import Image

from ecs_core import Scene, render
from ecs_core.song_file.audio_file import AudioFile
from tests.media import SMALL


def test_tags_are_those_that_the_scene_shows(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (250, 20, 20)).save(tmp_path / "cover.webp")
    layers = [
        {"kind": "text", "name": "title", "text": "Low\nSun", "size": 0.2},
        {"kind": "text", "name": "artist", "text": "The Motes Quartet", "y": 0.9, "size": 0.1},
        {"kind": "text", "name": "other", "text": "not this", "y": 0.2, "size": 0.1},
        {"kind": "image", "name": "cover", "file": str(tmp_path / "cover.webp")},
    ]
    render(Scene("zen", None, {**SMALL, "duration": 0.2, "layers": layers}), tmp_path / "video.mp4")
    with av.open(str(tmp_path / "video.mp4")) as container:
        assert container.metadata["title"] == "Low Sun"
        assert container.metadata["artist"] == "The Motes Quartet"
        attached = [each for each in container.streams.video if each.codec_context.name == "mjpeg"]
        picture = next(container.decode(attached[0])).to_ndarray(format="rgb24")
    assert picture.shape == (30, 40, 3)
    assert picture[15, 20, 0] > 200 > picture[15, 20, 1]


def test_tags_of_the_song_stay_where_the_scene_shows_none(tmp_path: Path, demo_song: Path) -> None:
    with av.open(str(tmp_path / "song.flac"), "w") as out, AudioFile(demo_song) as song:
        out.metadata["title"], out.metadata["artist"] = "Of the song", "Somebody"
        stream = out.add_stream("flac", rate=song.rate, layout="mono")
        for block in song.blocks():
            frame = av.AudioFrame.from_ndarray((block[:1] * 32767).astype("int16"), format="s16", layout="mono")
            frame.sample_rate = song.rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    layers = [{"kind": "text", "name": "title", "text": "Shown", "size": 0.2}]
    scene = Scene("zen", tmp_path / "song.flac", {**SMALL, "duration": 0.2, "layers": layers})
    render(scene, tmp_path / "video.mp4")
    with av.open(str(tmp_path / "video.mp4")) as container:
        assert (container.metadata["title"], container.metadata["artist"]) == ("Shown", "Somebody")
