"""snow: flakes drift from a distance past the camera; onsets with high bass throw some back and emit new ones."""

from collections.abc import Callable
from pathlib import Path

from ecs_core import Background, ParticleType, hookimpl
from plugins.snow.population import populate
from plugins.snow.settings import SnowSettings
from plugins.snow.systems import ScatterAtStart, SendMore, ThrowBack

motes_api_version = 2

SNOW = ParticleType(
    "snow",
    description="white flakes drift outward past the camera; bass speeds them up, sends more, makes them twinkle",
    settings=SnowSettings,
    populate=populate,
    systems=(SendMore, ScatterAtStart, ThrowBack),
    features=("audio-reactive", "depth", "twinkle"),
    backdrop=Background(base=(0.0035, 0.0042, 0.0085), glow=(0.010, 0.0155, 0.040), spread=(0.36, 0.42)),
    presets=Path(__file__).parent / "presets",
)


@hookimpl
def motes_particle_types(register: Callable[[ParticleType], None]) -> None:
    """Register ``snow``."""
    register(SNOW)
