"""Settings of the ``snow`` type."""

from ecs_core import Settings


class SnowSettings(Settings):
    """The shared settings: snow adds none."""
