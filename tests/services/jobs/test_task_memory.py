"""Estimates of what tasks take, from specs alone; ``bench/memory_estimate.py`` compares them with real processes."""

from __future__ import annotations

from typing import Any

import pytest

from services.auth.limits import LimitError
from services.jobs.render_spec import build_spec
from services.jobs.task_memory import check_memory, estimate_memory, largest_need
from services.settings import ServiceSettings

MB = 10**6
MANY = {"particle_count": 250_000, "max_particles": 250_000}
# What was measured on x86-64, in MB: type, config, quality, kind of task, seconds of song or video.
MEASURED: list[tuple[int, str, dict[str, Any], str, str, float]] = [
    (137, "snow", {"width": 320, "height": 180}, "draft", "segment", 4),
    (187, "snow", {"width": 1920, "height": 1080}, "draft", "segment", 3),
    (326, "snow", {"width": 1920, "height": 1080}, "standard", "segment", 3),
    (408, "snow", {"width": 1920, "height": 1080}, "high", "segment", 3),
    (436, "snow", {"width": 2560, "height": 1440, "fps": 60}, "standard", "segment", 1.2),
    (301, "snow", {"width": 3840, "height": 2160}, "draft", "segment", 2.2),
    (787, "snow", {"width": 3840, "height": 2160}, "standard", "segment", 2.2),
    (887, "snow", {"width": 3840, "height": 2160}, "high", "segment", 2.2),
    (766, "snow", {"width": 7680, "height": 4320}, "draft", "segment", 1),
    (2654, "snow", {"width": 7680, "height": 4320}, "standard", "segment", 2),
    (2900, "snow", {"width": 7680, "height": 4320}, "high", "segment", 2),
    (202, "snow", {"width": 3840, "height": 2160}, "standard", "frame", 2),
    (407, "snow", {"width": 7680, "height": 4320}, "standard", "frame", 1),
    (721, "snow", {"width": 1920, "height": 1080, "format": "webm"}, "standard", "segment", 1.5),
    (426, "snow", {"width": 1920, "height": 1080, "format": "webm", "alpha": False}, "standard", "segment", 1.5),
    (1170, "snow", {"width": 3840, "height": 2160, "format": "webm", "alpha": False}, "high", "segment", 1),
    (345, "snow", {"width": 3840, "height": 2160, "format": "mov"}, "standard", "segment", 1),
    (204, "snow", {"width": 3840, "height": 2160, "format": "png"}, "standard", "segment", 1),
    (145, "snow", {"width": 1280, "height": 720, "format": "gif", "fps": 25}, "standard", "segment", 1),
    (160, "snow", {"width": 1920, "height": 1080, "format": "webp", "fps": 25}, "standard", "segment", 1),
    (165, "snow", {"width": 1280, "height": 720, **MANY}, "draft", "plan", 1),
    (252, "snow", {"width": 1280, "height": 720, **MANY}, "draft", "segment", 1),
    (181, "snow", {"width": 1280, "height": 720, "particle_count": 20_000, "trail": 0.5}, "draft", "segment", 1),
    (162, "constellation", {"width": 1280, "height": 720, "particle_count": 2000}, "draft", "segment", 1),
    (418, "snow", {"width": 3840, "height": 2160, "loop": True}, "draft", "segment", 2),
    (130, "snow", {"width": 1920, "height": 1080, "flash_guard": "limit"}, "draft", "plan", 4),
    (143, "snow", {"width": 320, "height": 180}, "draft", "plan", 3600),
]  # fmt: skip


def spec(particle_type: str = "snow", quality: str = "standard", **config: Any) -> dict[str, Any]:
    return build_spec(particle_type, {"duration": 3.0, "particle_count": 200, **config}, None, quality)  # type: ignore[arg-type]


@pytest.mark.parametrize(("peak", "kind_of", "config", "quality", "kind", "seconds"), MEASURED)
def test_estimates_are_near_what_was_measured(
    peak: int, kind_of: str, config: dict[str, Any], quality: str, kind: str, seconds: float
) -> None:
    estimate = estimate_memory(spec(kind_of, quality, **config), kind, seconds=seconds)
    assert 0.9 * peak * MB <= estimate <= 1.6 * peak * MB


def records(number: int, size: float) -> dict[str, Any]:
    return {"layers": [{"kind": "record", "name": f"r{n}", "size": size} for n in range(number)]}


def test_texels_of_all_layers_count() -> None:
    many = estimate_memory(spec(quality="draft", width=1920, height=1080, **records(10, 10)), "segment")
    assert 1676 * MB * 0.9 <= many <= 1676 * MB * 1.6
    assert estimate_memory(spec(width=1920, height=1080, **records(10, 10)), "plan") < 200 * MB  # it draws nothing


def test_texts_that_come_letter_by_letter_keep_more_of_them() -> None:
    text = {"kind": "text", "text": "ABCDEFGHIJ", "size": 1.0}
    at_once, by_letter = (
        estimate_memory(spec(layers=[text | {"enter": how}]), "segment") for how in ("fade", "letters")
    )
    assert by_letter > at_once


def test_scene_of_which_nothing_is_known_takes_what_it_takes() -> None:
    assert estimate_memory({"type": "snow"}, "plan") == 0


def settings(**given: int) -> ServiceSettings:
    return ServiceSettings(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("config", "kind", "what"),
    [
        ({"width": 7680, "height": 4320}, "video", "width × height = 7680 × 4320 in mp4 at quality standard"),
        ({"width": 7680, "height": 4320}, "output", "width × height = 7680 × 4320 in mp4 at quality standard"),
        ({"width": 7680, "height": 4320, "at": 1.0}, "frame", "width × height = 7680 × 4320"),
        ({"width": 1920, "height": 1080, **records(3, 5)}, "preview", "layers.0: size = 5, while it is made"),
    ],
)
def test_what_fits_nowhere_is_refused_and_said_why(config: dict[str, Any], kind: str, what: str) -> None:
    at = config.pop("at", None)
    scene = build_spec("snow", {"duration": 3.0, "particle_count": 200, **config}, None, "standard", at=at)
    needed, found = largest_need(scene, ("frame",) if kind == "frame" else ("plan", "segment", "join"))
    assert found == what
    check_memory(settings(), scene, kind, seconds=0)  # nobody knows the workers
    check_memory(settings(max_task_memory=needed), scene, kind, seconds=0)
    check_memory(settings(worker_memory=1, max_task_memory=needed), scene, kind, seconds=0)
    for given in ({"max_task_memory": needed - 1}, {"worker_memory": needed - 1}):
        with pytest.raises(LimitError) as refused:
            check_memory(settings(**given), scene, kind, seconds=0)
        assert str(refused.value) == (
            f"{what}: takes about {needed // MB} MB of memory; lower it, in bytes: at most {needed - 1} here "
            "(limit max_task_memory)"
        )
