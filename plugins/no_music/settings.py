"""Settings of the ``no_music`` type."""

from ecs_core import RGB, Settings, option


class NoMusicSettings(Settings):
    """The shared settings, with colours of its own."""

    ignored = ("bounce", "outer_movement_strength", *Settings.SPAWNING)
    particle_colors: tuple[RGB, ...] = option(
        ((90, 170, 255), (190, 110, 255), (90, 230, 210), (255, 240, 210)),
        "one is picked per particle",
        group="look",
        min_length=1,
        max_length=64,
    )
    usual_speed = 170.0
    trails_of_few = True
    trail: float = option(
        1.0,
        "tail behind each particle; 0 unless set where particles are over 1000, are pictures or cover",
        group="look",
        unit="s",
        ge=0,
        le=10,
    )
