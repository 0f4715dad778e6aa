"""tunnel: a winding tunnel of stars rushes past the viewer, as fast as the song; drops draw long streaks."""

from collections.abc import Callable
from pathlib import Path

from ecs_core import Background, ParticleType, hookimpl
from plugins.tunnel.population import populate
from plugins.tunnel.settings import TunnelSettings
from plugins.tunnel.systems import LineTunnel, PlaceOnWall, SendRings

motes_api_version = 2

TUNNEL = ParticleType(
    "tunnel",
    description="a winding tunnel of stars rushes by, as fast as the song; drops draw it out to long streaks",
    settings=TunnelSettings,
    populate=populate,
    systems=(PlaceOnWall, LineTunnel, SendRings),
    features=("audio-reactive", "depth", "streaks"),
    backdrop=Background(base=(0.0012, 0.0012, 0.0040), glow=(0.0130, 0.0070, 0.0340), spread=(0.16, 0.20)),
    presets=Path(__file__).parent / "presets",
)


@hookimpl
def motes_particle_types(register: Callable[[ParticleType], None]) -> None:
    """Register ``tunnel``."""
    register(TUNNEL)
