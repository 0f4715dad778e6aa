"""continuous_spawning: sparks pour into an empty picture at a rate that follows the bass."""

from collections.abc import Callable
from pathlib import Path

from ecs_core import Background, ParticleType, hookimpl
from plugins.spawning.population import populate
from plugins.spawning.settings import ContinuousSpawningSettings

motes_api_version = 2

CONTINUOUS_SPAWNING = ParticleType(
    "continuous_spawning",
    description="sparks pour out of a point or an area into an empty frame, as many and as fast as the bass is loud",
    settings=ContinuousSpawningSettings,
    populate=populate,
    features=("audio-reactive", "spawning"),
    backdrop=Background(base=(0.0018, 0.0012, 0.0022), glow=(0.0150, 0.0048, 0.0030), spread=(0.30, 0.40)),
    presets=Path(__file__).parent / "presets",
)


@hookimpl
def motes_particle_types(register: Callable[[ParticleType], None]) -> None:
    """Register ``continuous_spawning``."""
    register(CONTINUOUS_SPAWNING)
