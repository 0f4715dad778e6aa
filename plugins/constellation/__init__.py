"""constellation: a globe of stars in space, joined by lines, that turns slowly; kicks send light through it."""

from collections.abc import Callable
from pathlib import Path

from ecs_core import Background, ParticleType, hookimpl
from plugins.constellation.population import populate
from plugins.constellation.settings import ConstellationSettings
from plugins.constellation.systems import PlaceOnGlobe, SendLight, TurnGlobe

motes_api_version = 2

CONSTELLATION = ParticleType(
    "constellation",
    description="a turning globe of stars joined by lines; kicks send light through it, the bass makes it breathe",
    settings=ConstellationSettings,
    populate=populate,
    systems=(PlaceOnGlobe, TurnGlobe, SendLight),
    features=("audio-reactive", "depth", "links", "twinkle"),
    backdrop=Background(base=(0.0018, 0.0030, 0.0085), glow=(0.0050, 0.0220, 0.0620), spread=(0.30, 0.42)),
    presets=Path(__file__).parent / "presets",
)


@hookimpl
def motes_particle_types(register: Callable[[ParticleType], None]) -> None:
    """Register ``constellation``."""
    register(CONSTELLATION)
