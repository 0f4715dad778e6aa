"""Settings of the ``petals`` type."""

from ecs_core import RGB, Settings, option


class PetalsSettings(Settings):
    """The shared settings, with colours and a place of its own, the sun, and how strong wind and whirl are."""

    ignored = (
        *("speed_z", "bounce", "outer_movement_strength", "inner_movement_strength"),
        *Settings.SPAWNING,
    )
    usual_speed = 120.0

    particle_count: int = option(240, "petals, far and near", group="particles", ge=0, le=1_000_000)
    particle_colors: tuple[RGB, ...] = option(
        ((255, 214, 222), (252, 178, 196), (246, 150, 174), (255, 232, 234), (232, 104, 138)),
        "one is picked per petal; or the name of a palette",
        group="look",
        min_length=1,
        max_length=64,
    )
    texture_scale: float = option(1.0, "how large petals are", group="look", ge=0.1, le=100)
    gusts: float = option(1.0, "how strongly kicks blow", group="music", ge=0, le=10)
    whirl: float = option(1.0, "how strongly a drop whirls petals up", group="music", ge=0, le=10)
    sun: float = option(
        0.6, "diameter of the sun, as a share of the picture's shorter side; 0: none", group="look", ge=0, le=2
    )
    sun_color: RGB = option((238, 106, 84), "colour of the sun", group="look")
