"""Settings of the ``constellation`` type."""

from ecs_core import RGB, Settings, option


class ConstellationSettings(Settings):
    """The shared settings, and those of the globe and its links."""

    ignored = ("speed_x", "speed_y", "speed_z", "bounce", "inner_movement_strength", *Settings.SPAWNING)

    particle_count: int = option(300, "stars", group="particles", ge=0, le=2000)
    particle_colors: tuple[RGB, ...] = option(
        ((72, 226, 240), (176, 184, 255), (244, 92, 178)),
        "from the top of the globe to its bottom",
        group="look",
        min_length=1,
        max_length=64,
    )
    usual_speed = 40.0
    outer_movement_strength: float = option(1.0, "how far the bass swells the globe", group="music", ge=0, le=100)
    radius: float = option(420.0, "of the globe", group="place", unit="units", ge=10, le=2000)
    spin: float = option(7.0, "how fast the globe turns", group="motion", unit="degrees/s", ge=-360, le=360)
    wander: float = option(16.0, "how far stars stray from their places", group="motion", unit="units", ge=0, le=300)
    reach: float = option(165.0, "longest line between two stars", group="look", unit="units", ge=0, le=1000)
    links: int = option(5, "most lines of a star", group="look", ge=0, le=12)
    pulse: float = option(1.0, "light that kicks send through the globe", group="music", unit="times", ge=0, le=20)
