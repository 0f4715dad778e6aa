"""enhanced: coloured sparks on a ring, pushed outward by the bass and drawn back in without it."""

from collections.abc import Callable
from pathlib import Path

from ecs_core import Background, ParticleType, hookimpl
from plugins.enhanced.population import populate
from plugins.enhanced.settings import EnhancedSettings

motes_api_version = 2

ENHANCED = ParticleType(
    "enhanced",
    description="coloured sparks: the bass throws them outward and makes them flare, silence draws them in",
    settings=EnhancedSettings,
    populate=populate,
    features=("audio-reactive", "colours", "bounce"),
    backdrop=Background(base=(0.0015, 0.0016, 0.0030), glow=(0.0042, 0.0034, 0.0120), spread=(0.34, 0.42)),
    presets=Path(__file__).parent / "presets",
)


@hookimpl
def motes_particle_types(register: Callable[[ParticleType], None]) -> None:
    """Register ``enhanced``."""
    register(ENHANCED)
