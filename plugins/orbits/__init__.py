"""orbits: bodies of light on ellipses round a common centre, a family for each drum."""

from collections.abc import Callable
from pathlib import Path

from ecs_core import Background, ParticleType, hookimpl
from plugins.orbits.population import populate
from plugins.orbits.settings import OrbitsSettings
from plugins.orbits.systems import Arcs, Depth, Guides, Pace, Place, Revolve, Sunlight

motes_api_version = 2

ORBITS = ParticleType(
    "orbits",
    description="an orrery of light: kick, snare and hi-hat each push a family of bodies, loud parts open their orbits",
    settings=OrbitsSettings,
    populate=populate,
    systems=(Place, Revolve, Depth, Pace, Guides, Arcs, Sunlight),
    features=("audio-reactive", "drums", "trails", "depth"),
    backdrop=Background(base=(0.0010, 0.0012, 0.0026), glow=(0.0085, 0.0065, 0.0120), spread=(0.26, 0.30)),
    presets=Path(__file__).parent / "presets",
)


@hookimpl
def motes_particle_types(register: Callable[[ParticleType], None]) -> None:
    """Register ``orbits``."""
    register(ORBITS)
