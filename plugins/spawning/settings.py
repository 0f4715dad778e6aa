"""Settings of the ``continuous_spawning`` type."""

from ecs_core import RGB, Settings, option


class ContinuousSpawningSettings(Settings):
    """The shared settings, with colours of its own."""

    ignored = (
        "x_position",
        "y_position",
        "particle_count",
        "bounce",
        "outer_movement_strength",
        "inner_movement_strength",
    )
    usual_speed = 170.0
    trails_of_few = True
    trail: float = option(
        0.3,
        "tail behind each particle; 0 unless set where particles are over 1000, are pictures or cover",
        group="look",
        unit="s",
        ge=0,
        le=10,
    )
    particle_colors: tuple[RGB, ...] = option(
        ((255, 120, 40), (255, 190, 80), (255, 70, 70), (120, 170, 255)),
        "one is picked per particle",
        group="look",
        min_length=1,
        max_length=64,
    )
