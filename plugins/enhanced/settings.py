"""Settings of the ``enhanced`` type."""

from ecs_core import RGB, Settings, option


class EnhancedSettings(Settings):
    """The shared settings, with colours of its own."""

    ignored = Settings.SPAWNING
    usual_speed = 170.0
    trails_of_few = True
    trail: float = option(
        0.6,
        "tail behind each particle; 0 unless set where particles are over 1000, are pictures or cover",
        group="look",
        unit="s",
        ge=0,
        le=10,
    )
    particle_colors: tuple[RGB, ...] = option(
        ((255, 86, 52), (78, 156, 255), (255, 204, 92), (204, 84, 255)),
        "one is picked per particle",
        group="look",
        min_length=1,
        max_length=64,
    )
