"""Settings of the ``bouncing`` type."""

from ecs_core import RGB, Settings, option


class BouncingSettings(Settings):
    """The shared settings, with colours of its own, and whether the balls hit each other."""

    ignored = (
        "x_position",
        "y_position",
        "bounce",
        "outer_movement_strength",
        "inner_movement_strength",
        *Settings.SPAWNING,
    )
    usual_speed = 130.0
    trails_of_few = True
    trail: float = option(
        0.5,
        "tail behind each particle; 0 unless set where particles are over 1000, are pictures or cover",
        group="look",
        unit="s",
        ge=0,
        le=10,
    )
    particle_colors: tuple[RGB, ...] = option(
        ((255, 70, 120), (255, 160, 60), (90, 220, 200), (120, 120, 255)),
        "one is picked per particle",
        group="look",
        min_length=1,
        max_length=64,
    )
    collide: bool = option(False, "whether particles bounce off each other", group="motion")
