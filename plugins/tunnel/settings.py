"""Settings of the ``tunnel`` type."""

from ecs_core import RGB, Settings, option


class TunnelSettings(Settings):
    """The shared settings, and those of the tunnel."""

    ignored = ("speed_x", "speed_y", "speed_z", "bounce", "inner_movement_strength", *Settings.SPAWNING)

    particle_count: int = option(1800, "stars", group="particles", ge=0, le=20_000)
    particle_colors: tuple[RGB, ...] = option(
        ((86, 120, 255), (190, 90, 255), (255, 96, 168), (255, 196, 120), (96, 214, 255)),
        "round the tunnel",
        group="look",
        min_length=1,
        max_length=64,
    )
    usual_speed = 1700.0
    shutter: float = option(
        1.8,
        "motion blur: how long the shutter is open, so that stars are streaks as long as they are fast",
        group="look",
        unit="1/30 s",
        ge=0,
        le=30,
    )
    outer_movement_strength: float = option(1.0, "how much faster drops make it", group="music", ge=0, le=100)
    pace: float = option(1.0, "how fast stars come", group="motion", unit="times", ge=0, le=10)
    radius: float = option(560.0, "of the tunnel", group="place", unit="units", ge=50, le=3000)
    arms: int = option(3, "arms that wind round the tunnel; 0: none", group="look", ge=0, le=12)
    bend: float = option(300.0, "how far the tunnel winds", group="motion", unit="units", ge=0, le=2000)
    roll: float = option(5.0, "how fast the tunnel turns", group="motion", unit="degrees/s", ge=-180, le=180)
