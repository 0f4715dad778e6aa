"""flow: ribbons of light that follow a slow, swirling flow; snares turn it, the bass widens them."""

from collections.abc import Callable
from pathlib import Path

from ecs_core import Background, ParticleType, hookimpl
from plugins.flow.population import populate
from plugins.flow.settings import FlowSettings
from plugins.flow.systems import BeginInMidstream, DimOutside, Follow, Paint, WrapAround

motes_api_version = 2

FLOW = ParticleType(
    "flow",
    description="ribbons of light in a swirling flow: snares turn it, the bass widens them, loudness speeds it up",
    settings=FlowSettings,
    populate=populate,
    systems=(WrapAround, BeginInMidstream, Paint, Follow, DimOutside),
    features=("audio-reactive", "trails", "colours"),
    backdrop=Background(base=(0.0012, 0.0010, 0.0030), glow=(0.0075, 0.0030, 0.0170), spread=(0.38, 0.40)),
    presets=Path(__file__).parent / "presets",
)


@hookimpl
def motes_particle_types(register: Callable[[ParticleType], None]) -> None:
    """Register ``flow``."""
    register(FLOW)
