"""enhanced: coloured sparks round a ring, thrown outward by the bass and drawn back in when it rests."""

from collections.abc import Callable

from ecs_core import Background, ParticleType, hookimpl
from plugins.enhanced.settings import EnhancedSettings
from plugins.enhanced.systems import EmitSparks, PulseSparks, PushAndPull, populate

ENHANCED = ParticleType(
    "enhanced",
    description="coloured sparks: the bass throws them outward and makes them flare, silence draws them in",
    settings=EnhancedSettings,
    populate=populate,
    systems=(EmitSparks, PushAndPull, PulseSparks),
    features=("audio-reactive", "colours", "bounce"),
    backdrop=Background(base=(0.0015, 0.0016, 0.0030), glow=(0.0042, 0.0034, 0.0120), spread=(0.34, 0.42)),
)


@hookimpl
def motes_particle_types(register: Callable[[ParticleType], None]) -> None:
    """Register ``enhanced``."""
    register(ENHANCED)
