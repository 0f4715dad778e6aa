"""zen: ambient; slow lights that wander and pulse, without reacting to the music."""

from collections.abc import Callable
from pathlib import Path

from ecs_core import Background, ParticleType, hookimpl
from plugins.zen.population import populate
from plugins.zen.settings import ZenSettings

motes_api_version = 2

ZEN = ParticleType(
    "zen",
    description="ambient: slow lights wander and pulse over soft discs that are out of focus",
    settings=ZenSettings,
    populate=populate,
    features=("calm", "depth", "bounce"),
    backdrop=Background(
        base=(0.0018, 0.0030, 0.0052), glow=(0.0080, 0.0260, 0.0330), centre=(0.5, 0.62), spread=(0.45, 0.38)
    ),
    presets=Path(__file__).parent / "presets",
)


@hookimpl
def motes_particle_types(register: Callable[[ParticleType], None]) -> None:
    """Register ``zen``."""
    register(ZEN)
