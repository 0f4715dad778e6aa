"""What jobs are estimated to cost: more for more of anything, and a second for a second of what is usual."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ecs_core.plugin_api import particle_types
from services.jobs.cost import Cost, cost_of, rendered_seconds
from services.jobs.render_spec import build_spec

SECONDS = 10.0


def estimate(kind: str = "snow", config: dict[str, Any] | None = None, *, job: str = "video", **more: Any) -> Cost:
    quality, at = more.pop("quality", "standard"), more.pop("at", None)
    audio = "a" * 64 if more.get("heard") else None
    scene = build_spec(kind, {"duration": SECONDS, **(config or {})}, audio, quality, at=at)
    return cost_of(scene, job, seconds=more.pop("seconds", SECONDS), heard=more.pop("heard", 0.0))


def usual() -> list[tuple[str, dict[str, Any]]]:
    """Every built-in type as it is by default, and in each of its presets."""
    looks: list[tuple[str, dict[str, Any]]] = []
    for name, kind in particle_types().types.items():
        looks.append((name, {}))
        assert kind.presets is not None
        for file in sorted(kind.presets.glob("*.json")):
            looks.append((name, json.loads(file.read_text())))
    return looks


def test_second_of_what_is_usual_counts_as_one() -> None:
    looks = usual()
    assert len(looks) > len(particle_types().types)
    dear = {
        (name, str(config)[:80]): price
        for name, config in looks
        if (price := rendered_seconds(estimate(name, config, heard=240.0), SECONDS)) != SECONDS
    }
    assert not dear


@pytest.mark.parametrize(
    "more",
    [
        {"config": {"width": 3840, "height": 2160}},
        {"config": {"particle_count": 50_000}},
        {"config": {"fps": 60}},
        {"config": {"format": "webm"}},
        {"config": {"trail": 3.0}},
        {"config": {"dust": 50.0}},
        {"config": {"finish": {"bloom": 1.0}}},
        {"config": {"layers": [{"type": "flow"}]}},
        {"config": {"layers": [{"kind": "spectrum"}]}},
        {"config": {"backdrop": {"kind": "gradient", "colors": [[1, 2, 3], [4, 5, 6]]}}},
        {"config": {"flash_guard": "limit"}},
        {"config": {"loop": True}},
        {"quality": "high"},
        {"seconds": 11.0},
        {"heard": 60.0},
    ],
    ids=str,
)
def test_more_of_anything_costs_more(more: dict[str, Any]) -> None:
    assert estimate(**more).seconds > estimate().seconds


def test_second_of_8k_in_high_quality_counts_as_several() -> None:
    cost = estimate(config={"width": 7680, "height": 4320}, quality="high")
    assert 5 * SECONDS < rendered_seconds(cost, SECONDS) < 20 * SECONDS


def test_frame_costs_what_is_simulated_before_it() -> None:
    crowd = {"particle_count": 250_000, "duration": 3600.0}
    first, last = (estimate(config=crowd, job="frame", at=at) for at in (0.0, 3500.0))
    assert rendered_seconds(first, 0.0) < 1
    assert rendered_seconds(last, 0.0) > 200
    assert first.frames == last.frames == 1


def test_analysis_costs_by_the_length_of_its_song() -> None:
    short, long = (estimate(job="analysis", heard=heard) for heard in (10.0, 3600.0))
    assert short.seconds < 1 < long.seconds
    assert short.paint == short.encode == 0


def test_bytes_follow_what_is_asked_for() -> None:
    assert estimate(quality="8M").bytes == 8e6 * SECONDS / 8
    assert estimate(quality={"max_bytes": 50_000}).bytes <= 50_000
    assert estimate(config={"format": "mov"}).bytes > 10 * estimate().bytes


def test_parts_add_up() -> None:
    cost = estimate(heard=100.0)
    assert cost.seconds == pytest.approx(cost.plan + cost.segments + cost.sound + cost.join)
    assert cost.sound > 0 == estimate(heard=100.0, config={"sound": False}).sound == estimate().sound
    assert cost.frames == 300
