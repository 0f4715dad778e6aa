"""How often particles cover the picture."""

from __future__ import annotations

from collections.abc import Iterator

from ecs_core.raster.rasteriser import MOST_LINES, MOST_OVERDRAW, Planes, Rasteriser
from ecs_core.testing import songs
from ecs_core.testing.report import Problem
from ecs_core.testing.simulate import staged
from ecs_core.testing.subject import Subject

_WIDTH, _HEIGHT = 160, 90  # pixels: how often a picture is covered does not depend on its size
_EVERY = 10  # frames


def overdraw(subject: Subject) -> Iterator[Problem]:
    """Nothing has to be drawn smaller in loud music, as it would cover the picture too often."""
    settings = subject.settings(width=_WIDTH, height=_HEIGHT, duration=2.0)
    rasteriser, planes = Rasteriser(_WIDTH, _HEIGHT), Planes.empty(_WIDTH, _HEIGHT)
    with staged(subject.particle_type, settings, songs.loud) as stage:
        for frame in range(_EVERY - 1, int(2 * settings.rate), _EVERY):
            stage.skip_to(frame)
            smaller = rasteriser.paint(stage.frame(), planes)
            if smaller < 1:
                yield Problem(
                    "overdraw",
                    f"in frame {frame} of loud music particles would cover the picture more than {MOST_OVERDRAW} "
                    f"times, or lines {MOST_LINES}: they are drawn with {smaller:.2g} of their radii.",
                    "Draw fewer or smaller ones; limit what bindings add to sizes.",
                )
                return
