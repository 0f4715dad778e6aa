"""Settings of the ``flow`` type."""

from ecs_core import RGB, Settings, option


class FlowSettings(Settings):
    """The shared settings, with more particles, trails and colours of its own, and what the flow is like."""

    ignored = (
        "x_position",
        "y_position",
        "speed_x",
        "speed_y",
        "speed_z",
        "bounce",
        "outer_movement_strength",
        "inner_movement_strength",
        *Settings.SPAWNING,
    )
    usual_speed = 200.0
    particle_count: int = option(1200, "ribbons", group="particles", ge=0, le=50_000)
    ribbon_width: float = option(1.0, "how wide ribbons are", group="look", ge=0.1, le=20)
    trail: float = option(1.6, "length of the ribbons; 0: points alone", group="look", unit="s", ge=0, le=10)
    particle_colors: tuple[RGB, ...] = option(
        ((52, 120, 255), (255, 58, 130), (255, 190, 84), (84, 226, 200), (160, 84, 255)),
        "spread over the picture, one beside the other; or the name of a palette",
        group="look",
        min_length=1,
        max_length=64,
    )
    eddies: float = option(560.0, "size of the eddies", group="motion", unit="units", ge=120, le=4000)
    pace: float = option(1.0, "how fast the flow is", group="motion", ge=0, le=10)
    current: float = option(
        0.55,
        "how much of the flow goes in one direction, as a share of that of the eddies",
        group="motion",
        ge=0,
        le=10,
    )
    heading: float = option(
        25.0, "where the current goes at first, clockwise; 0: right", group="motion", unit="degrees", ge=-180, le=180
    )
    turn: float = option(
        20.0, "by how much a snare turns the current, clockwise", group="music", unit="degrees", ge=-180, le=180
    )
