"""Settings of the ``snow`` type."""

from ecs_core import Settings


class SnowSettings(Settings):
    """The shared settings: snow adds none."""

    ignored = ("speed_z", "bounce", "outer_movement_strength", "inner_movement_strength", *Settings.SPAWNING)
    usual_speed = 50.0
