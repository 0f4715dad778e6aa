"""petals: cherry petals tumble through a breeze before paper and a low sun; kicks are gusts, a drop is a whirl."""

from collections.abc import Callable
from pathlib import Path

from ecs_core import Background, ParticleType, hookimpl
from plugins.petals.population import populate
from plugins.petals.settings import PetalsSettings
from plugins.petals.systems import Fly

motes_api_version = 2

PETALS = ParticleType(
    "petals",
    description="cherry petals fall, sway and tumble before a low sun; kicks are gusts, drops whirl them up",
    settings=PetalsSettings,
    populate=populate,
    systems=(Fly,),
    features=("audio-reactive", "textures", "depth", "bright"),
    # Paper: shown as about (246, 232, 212) at its edges and (253, 246, 234) in its middle.
    backdrop=Background(base=(2.95, 1.75, 0.98), glow=(10.0, 3.6, 1.55), centre=(0.5, 0.40), spread=(0.42, 0.40)),
    presets=Path(__file__).parent / "presets",
)


@hookimpl
def motes_particle_types(register: Callable[[ParticleType], None]) -> None:
    """Register ``petals``."""
    register(PETALS)
