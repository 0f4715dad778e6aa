"""Settings of the ``enhanced`` type."""

from ecs_core import RGB, Settings, option


class EnhancedSettings(Settings):
    """The shared settings, with colours of its own."""

    ignored = Settings.SPAWNING
    usual_speed = 170.0
    particle_colors: tuple[RGB, ...] = option(
        ((255, 86, 52), (78, 156, 255), (255, 204, 92), (204, 84, 255)),
        "one is picked per particle",
        group="look",
        min_length=1,
        max_length=64,
    )
