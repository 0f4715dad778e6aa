"""embers: sparks that rise from a fire at the lower edge, fanned by the bass, crackling with the highest notes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ecs_core import (
    RGB,
    AudioFeature,
    AudioFrame,
    Background,
    Binding,
    Bounds,
    Canvas,
    Color,
    ColorOverLife,
    Curve,
    Drag,
    Emission,
    Gravity,
    Lifetime,
    LightOverLife,
    Look,
    Pareto,
    ParticleType,
    Phase,
    Position,
    Pulse,
    Range,
    Reactive,
    Settings,
    Size,
    Spectrum,
    Sprite,
    System,
    Turbulence,
    Twinkle,
    Velocity,
    World,
    hookimpl,
    option,
)

motes_api_version = 2


class EmbersSettings(Settings):
    """What embers can be told, besides what every type can."""

    fire_width: float = option(0.7, "width of the fire, as a fraction of the picture's", group="place", ge=0.0, le=1.0)
    wind: float = option(12.0, "sideways, positive to the right", group="motion", unit="units/s²", ge=-300, le=300)
    particle_colors: tuple[RGB, ...] = option(
        ((255, 199, 124), (255, 161, 69), (255, 120, 44), (255, 89, 63)),
        "what embers glow like, from birth to death",
        group="look",
        min_length=1,
        max_length=64,
    )


def populate(world: World, settings: EmbersSettings) -> None:
    """One population of embers. Lengths are units, of which the shorter side has 1080; rates are per second."""
    canvas = world.get(Canvas)
    world.populate(
        (Position, Velocity, Lifetime, Size, Color, Look, Pulse),
        (
            Emission(
                x=settings.x_position * canvas.width,
                y=canvas.height + 15.0,
                shape="area",
                width=settings.fire_width * canvas.width,
                height=20.0,
                direction=-np.pi / 2,
                spread=0.35,
                speed=Range(90.0, 330.0),
                rate=0.35 * settings.particle_count,
                event="beats",
                per_event=settings.particle_count // 5,
                limit=4 * settings.particle_count,
                span=Range(2.5, 6.0),
                size=Pareto(0.9, 7.0, 1.8),
                pulse=Range(2.0, 6.0),
            ),
            Gravity(x=settings.wind, y=-45.0),
            Drag.keeping(0.985),
            Turbulence(strength=130.0, scale=210.0, speed=0.35),
            Bounds(margin=60.0),
            ColorOverLife(settings.palette),
            LightOverLife(Curve(((0.0, 0.0), (0.04, 5.8), (0.33, 3.4), (0.67, 0.9), (1.0, 0.0)))),  # embers cool down
            Twinkle(low=0.55, high=1.0),
            Sprite("glow"),
            Reactive(
                (
                    Binding("bass", Emission, "rate", gain=5.0),
                    Binding("bass", Emission, "speed", gain=0.8),
                    Binding("bass", Look, "light", gain=1.0),
                    Binding("crackle", Twinkle, "pace", gain=3.0),
                )
            ),
        ),
    )


class Crackle(System):
    """Bursts some embers sideways at onsets, which components cannot do."""

    phase = Phase.FORCE
    writes = (Velocity,)

    def process(self) -> None:
        """Push a tenth of all embers."""
        if not self.world.get(AudioFrame).count("onsets"):
            return
        for entity, (emission, velocity) in self.world.query(Emission, Velocity):
            del emission
            rng = self.world.rng(self, entity)
            hit = rng.uniform(size=len(velocity.x)) < 0.1
            velocity.x[hit] += rng.uniform(-220.0, 220.0, int(hit.sum())).astype(np.float32)


def crackle(spectrum: Spectrum) -> np.ndarray[Any, np.dtype[Any]]:
    """Sharpness of the highest notes: the upper eighth of the mel bands, relative to their 98th percentile."""
    highest = spectrum.mel[:, -spectrum.mel.shape[1] // 8 :].mean(axis=1)
    return np.clip(highest / max(float(np.percentile(highest, 98)), 1e-6), 0, 1)


EMBERS = ParticleType(
    "embers",
    description="sparks rise from a fire at the lower edge; the bass fans it, every beat stirs it",
    settings=EmbersSettings,
    populate=populate,
    systems=(Crackle,),
    features=("audio-reactive", "beats"),
    backdrop=Background(
        base=(0.0025, 0.0012, 0.0012), glow=(0.07, 0.016, 0.003), centre=(0.5, 1.1), spread=(0.42, 0.3)
    ),
    presets=Path(__file__).parent / "presets",
)


@hookimpl
def motes_particle_types(register: Callable[[ParticleType], None]) -> None:
    """Register ``embers``."""
    register(EMBERS)


@hookimpl
def motes_audio_features(register: Callable[[AudioFeature], None]) -> None:
    """Register ``crackle``, which any type's bindings can use."""
    register(AudioFeature("crackle", "how sharp the highest notes are", crackle, kind="hit"))
