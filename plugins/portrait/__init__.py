"""portrait: a word, or a picture, made of particles that kicks scatter and a spring brings home."""

from collections.abc import Callable
from pathlib import Path

from ecs_core import Background, ParticleType, hookimpl
from plugins.portrait.population import populate
from plugins.portrait.settings import PortraitSettings
from plugins.portrait.systems import Return, Settle

motes_api_version = 2

PORTRAIT = ParticleType(
    "portrait",
    description="a word or a picture made of particles: kicks scatter them, drops blow it apart, they come home",
    settings=PortraitSettings,
    populate=populate,
    systems=(Settle, Return),
    features=("audio-reactive", "text", "pictures", "colours"),
    backdrop=Background(base=(0.0016, 0.0013, 0.0034), glow=(0.0075, 0.0030, 0.0190), spread=(0.36, 0.40)),
    presets=Path(__file__).parent / "presets",
)


@hookimpl
def motes_particle_types(register: Callable[[ParticleType], None]) -> None:
    """Register ``portrait``."""
    register(PORTRAIT)
