"""Settings of the ``orbits`` type."""

from ecs_core import RGB, Settings, option


class OrbitsSettings(Settings):
    """The shared settings, with trails and colours of its own, and how orbits lie."""

    ignored = (
        "speed_x",
        "speed_y",
        "speed_z",
        "bounce",
        "shutter",
        "dust",
        "inner_movement_strength",
        *Settings.SPAWNING,
    )
    usual_speed = 190.0

    particle_count: int = option(240, "bodies of all families", group="particles", ge=0, le=50_000)
    trail: float = option(2.2, "tail behind each body", group="look", unit="s", ge=0, le=10)
    particle_colors: tuple[RGB, ...] = option(
        ((255, 150, 60), (255, 64, 140), (70, 190, 255), (255, 204, 128)),
        "of the families of kick, snare and hi-hat, and of the sun; or the name of a palette",
        group="look",
        min_length=1,
        max_length=64,
    )
    tilt: float = option(68.0, "of the orbits: 0 shows circles", group="place", unit="degrees", ge=0, le=88)
    planes: float = option(
        26.0, "between the families' orbits; 0: all lie in one plane", group="place", unit="degrees", ge=0, le=90
    )
    rings: int = option(4, "orbits that a family shares", group="particles", ge=1, le=50)
    scatter: float = option(
        0.3,
        "how far bodies are from the orbits that they share: 0 exactly on them, 1 anywhere",
        group="place",
        ge=0,
        le=1,
    )
    guides: float = option(0.5, "light of the lines along orbits", group="look", ge=0, le=10)
    pace: float = option(1.0, "how fast bodies go round", group="motion", ge=0, le=20)
