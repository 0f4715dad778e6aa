"""Settings of the ``zen`` type."""

from ecs_core import RGB, Settings, option


class ZenSettings(Settings):
    """The shared settings, with colours of its own."""

    ignored = ("outer_movement_strength", "inner_movement_strength", *Settings.SPAWNING)
    particle_colors: tuple[RGB, ...] = option(
        ((96, 214, 192), (166, 136, 248), (255, 196, 128), (96, 146, 240)),
        "one is picked per particle",
        group="look",
        min_length=1,
        max_length=64,
    )
    usual_speed = 22.0
