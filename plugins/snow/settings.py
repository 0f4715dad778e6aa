"""Settings of the ``snow`` type."""

from ecs_core import Settings, option


class SnowSettings(Settings):
    """The shared settings: snow adds none."""

    ignored = ("speed_z", "bounce", "outer_movement_strength", "inner_movement_strength", *Settings.SPAWNING)
    usual_speed = 50.0
    trails_of_few = True
    trail: float = option(
        0.6,
        "tail behind each particle; 0 unless set where particles are over 1000, are pictures or cover",
        group="look",
        unit="s",
        ge=0,
        le=10,
    )
