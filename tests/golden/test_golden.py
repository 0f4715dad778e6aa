"""Golden pictures: what each particle type looks like at its defaults, kept beside this file.

A picture that differs is written to tests/golden/failed, beside the difference. When the change was meant, look at the
new pictures and renew the kept ones: ``pytest tests/golden --renew-golden``.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from ecs_core import Scene, render_frame

HERE = Path(__file__).parent
WORDS = """[00:00.50]<00:00.50>Under <00:00.90>the <00:01.10>neon <00:01.90>lights <00:02.40>we drive<00:03.20>
[00:03.30]<00:03.30>every <00:03.60>street <00:04.00>a <00:04.20>song<00:05.00>
[00:05.00]oh, hold on
[00:05.60]tonight"""
CASES = {
    "enhanced-start": ("enhanced", {}, 0.0),
    "enhanced-beat": ("enhanced", {"particle_count": 400}, 5.1),
    "snow-start": ("snow", {}, 0.0),
    "snow-beat": ("snow", {"particle_count": 400}, 5.1),
    "zen": ("zen", {}, 4.0),
    "flow": ("flow", {}, 5.1),
    "flow-upright": ("flow", {"width": 270, "height": 480, "particle_count": 600}, 5.1),
    "orbits": ("orbits", {}, 5.1),
    "orbits-upright": ("orbits", {"width": 270, "height": 480}, 0.0),
    "bouncing": ("bouncing", {"collide": True}, 5.1),
    "continuous_spawning": ("continuous_spawning", {}, 5.1),
    "no_music": ("no_music", {}, 5.1),
    "portrait-start": ("portrait", {}, 0.0),
    "portrait-kick": ("portrait", {"text": "Là\nΩ", "particle_count": 3000}, 5.1),
    "upright": ("enhanced", {"width": 270, "height": 480}, 0.0),
    "covering": (
        "enhanced",
        {
            "blend": "over",
            "background": [250, 244, 230],
            "particle_colors": [[220, 60, 90], [250, 160, 60], [60, 110, 180]],
            "particle_count": 400,
        },
        5.1,
    ),
    "by-speed": ("flow", {"color_by": "speed", "particle_colors": "sunset"}, 5.1),
    "by-birth": ("continuous_spawning", {"color_by": "birth", "particle_colors": "neon", "max_particles": 1500}, 5.1),
    "petals": ("petals", {}, 5.1),
    "petals-night": ("petals", {"texture": "flake", "background": [20, 30, 62], "particle_count": 300}, 5.4),
    "flakes": ("snow", {"texture": "flake", "particle_count": 300}, 5.1),
    "trails": ("no_music", {"trail": 0.8, "particle_count": 400}, 5.1),
    "streaks": ("enhanced", {"trail": 0.0, "shutter": 3.0, "particle_count": 400}, 5.1),
    "finish": (
        "zen",
        {
            "finish": {
                "bloom": 3.0,
                "contrast": 1.3,
                "shadows": [110, 140, 190],
                "lights": [255, 225, 190],
                "vignette": 0.5,
                "aberration": 12.0,
                "grain": 0.15,
            }
        },
        4.0,
    ),
    "texts": (
        "snow",
        {
            "particle_count": 120,
            "layers": [
                {
                    "kind": "text",
                    "text": "Night Drive",
                    "font": "Anton",
                    "uppercase": True,
                    "size": 0.28,
                    "y": 0.34,
                    "shadow": 0.7,
                    "enter": "letters",
                    "enter_seconds": 6,
                },
                {
                    "kind": "text",
                    "text": "The Lanterns · Φανάρια · Фонари",
                    "font": "Literata",
                    "weight": 600,
                    "size": 0.1,
                    "y": 0.66,
                    "color": [255, 214, 120],
                    "glow": 0.8,
                    "letter_spacing": 0.06,
                },
                {
                    "kind": "text",
                    "text": "שלום עולם\nlive",
                    "font": "Rubik",
                    "size": 0.08,
                    "y": 0.86,
                    "x": 0.2,
                    "width": 0.3,
                    "align": "start",
                    "outline": 0.08,
                    "outline_color": [190, 40, 80],
                    "rotation": -6,
                },
            ],
        },
        5.1,
    ),
    "lyrics": (
        "zen",
        {
            "layers": [
                {
                    "kind": "lyrics",
                    "text": WORDS,
                    "font": "Manrope",
                    "weight": 800,
                    "size": 0.12,
                    "glow": 0.5,
                    "shadow": 0.5,
                    "color": [255, 220, 120],
                }
            ]
        },
        2.1,
    ),
    "lyrics-upright": (
        "zen",
        {
            "width": 270,
            "height": 480,
            "layers": [
                {
                    "kind": "lyrics",
                    "text": WORDS,
                    "font": "Unbounded",
                    "weight": 900,
                    "size": 0.1,
                    "align": "left",
                    "rows": 4,
                    "after": 2,
                    "uppercase": True,
                    "y": 0.4,
                }
            ],
        },
        5.1,
    ),
    "constellation": ("constellation", {}, 5.1),
    "tunnel": ("tunnel", {}, 5.1),
    "tunnel-trails": ("tunnel", {"trail": 0.3, "shutter": 0.0, "particle_count": 900}, 5.1),
    "space": (
        "constellation",
        {"shutter": 4.0, "camera": {"orbit": 60, "tilt": 25, "shake": 20, "drift": 60, "roll": 10}, "blend": "over"},
        2.0,
    ),
    "backdrop-gradient": (
        "enhanced",
        {
            "backdrop": {
                "kind": "gradient",
                "shape": "radial",
                "colors": [[255, 196, 120], [196, 58, 92], [24, 18, 52]],
                "y": 0.9,
            }
        },
        5.1,
    ),
    "backdrop-image": (
        "zen",
        {"backdrop": {"kind": "image", "file": str(HERE / "petals.png"), "zoom": 1.4, "dim": 0.3, "drift": 0.05}},
        5.1,
    ),
    "backdrop-blur": (
        "snow",
        {"backdrop": {"kind": "image", "file": str(HERE / "petals.png"), "blur": 40, "saturation": 1.5, "dim": 0.5}},
        5.1,
    ),
    "spectrum-ring": ("zen", {"layers": [{"kind": "spectrum"}]}, 5.1),
    "spectrum-bars": (
        "zen",
        {
            "background": [250, 244, 230],
            "layers": [
                {"kind": "spectrum", "style": "bars", "size": 1.5, "y": 0.9, "height": 0.3, "glow": 0},
                {"kind": "spectrum", "style": "mirrored", "name": "m", "size": 1.5, "y": 0.3, "symmetric": True},
            ],
        },
        5.1,
    ),
    "spectrum-lines": (
        "zen",
        {
            "layers": [
                {"kind": "spectrum", "style": "filled", "size": 1.7, "y": 0.95, "height": 0.4, "colors": "ocean"},
                {"kind": "spectrum", "style": "ring-line", "name": "ring", "size": 0.4, "bands": 40, "opacity": 0.7},
                {"kind": "spectrum", "style": "line", "name": "line", "y": 0.2, "rotation": -10, "colors": "neon"},
            ]
        },
        5.1,
    ),
    "waves": (
        "zen",
        {
            "layers": [
                {"kind": "waveform", "size": 1.6, "y": 0.25, "colors": "neon"},
                {"kind": "waveform", "style": "ring", "name": "ring", "size": 0.3, "y": 0.55, "height": 0.06},
                {"kind": "progress", "size": 1.4, "y": 0.8, "colors": "sunset"},
                {"kind": "progress", "style": "line", "name": "line", "size": 1.4, "y": 0.93},
            ]
        },
        5.1,
    ),
    "colours": (
        "enhanced",
        {"particle_colors": [[255, 0, 0], [0, 255, 0], [0, 0, 255]], "background": [30, 30, 30], "trail": 0.0},
        1.0,
    ),
}


def read_png(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def write_png(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = picture.shape[1], picture.shape[0], "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("name", CASES)
def test_picture_is_the_golden_one(name: str, demo_song: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    kind, config, at = CASES[name]
    size = {"width": 480, "height": 270, "duration": "audio"}
    render_frame(Scene(kind, audio=demo_song, config={**size, **config}), at, tmp_path / "frame.png")
    picture, golden = read_png(tmp_path / "frame.png"), HERE / f"{name}.png"
    if request.config.getoption("--renew-golden"):
        write_png(golden, picture)
        return
    expected = read_png(golden)
    difference = np.abs(picture.astype(int) - expected.astype(int))
    # A few values may differ by rounding between processors; a look may not.
    is_golden = difference.mean() <= 0.05 and (difference > 8).mean() <= 0.001
    if not is_golden:
        stretched = np.clip(difference * 8, 0, 255).astype(np.uint8)
        write_png(HERE / "failed" / f"{name}.png", np.concatenate([expected, picture, stretched], axis=1))
    assert is_golden, f"{name} changed: see tests/golden/failed/{name}.png (golden, new, difference × 8)"
