"""no_music: a whirl of lights that ignores the music and wraps around the edges of the picture."""

from collections.abc import Callable
from pathlib import Path

from ecs_core import Background, ParticleType, hookimpl
from plugins.no_music.population import populate
from plugins.no_music.settings import NoMusicSettings

motes_api_version = 2

NO_MUSIC = ParticleType(
    "no_music",
    description="ambient: a whirl of coloured lights that turns at its own pace",
    settings=NoMusicSettings,
    populate=populate,
    features=("calm", "colours", "wrap"),
    backdrop=Background(base=(0.0016, 0.0018, 0.0036), glow=(0.0030, 0.0050, 0.0140), spread=(0.30, 0.36)),
    presets=Path(__file__).parent / "presets",
)


@hookimpl
def motes_particle_types(register: Callable[[ParticleType], None]) -> None:
    """Register ``no_music``."""
    register(NO_MUSIC)
