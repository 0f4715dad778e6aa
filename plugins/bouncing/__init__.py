"""bouncing: a fixed number of balls between four walls, kicked by the bass."""

from collections.abc import Callable
from pathlib import Path

from ecs_core import Background, ParticleType, hookimpl
from plugins.bouncing.population import populate
from plugins.bouncing.settings import BouncingSettings

motes_api_version = 2

BOUNCING = ParticleType(
    "bouncing",
    description="a fixed number of balls between four walls: the bass kicks them, and they can hit each other",
    settings=BouncingSettings,
    populate=populate,
    features=("audio-reactive", "bounce", "collide"),
    backdrop=Background(base=(0.0030, 0.0018, 0.0040), glow=(0.0120, 0.0045, 0.0130), spread=(0.42, 0.46)),
    presets=Path(__file__).parent / "presets",
)


@hookimpl
def motes_particle_types(register: Callable[[ParticleType], None]) -> None:
    """Register ``bouncing``."""
    register(BOUNCING)
