"""Groups: the sprites of a frame between two marks, as they are drawn: windows and lines, and what each band shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32, I64
from ecs_core.raster.sprites import Sprites
from ecs_core.raster.turning import Textured


@dataclass(frozen=True, eq=False, slots=True)
class Group:
    """Sprites without the lines among them; ``windows`` (8, >= n) as ``kernels.raster.cut_windows`` writes them, and
    ``lines`` (10, m) as ``kernels.lines`` has them.

    ``softly`` are the windows that are drawn at half size, if any. Band b shows the windows ``listed[starts[b] :
    starts[b + 1]]``, and lines likewise. ``ahead`` is how many sprites, or windows where something ``covers``, come
    before each line. ``radii`` is the factor on the radii of sprites, ``scale`` the least of that and the lines'.
    """

    sprites: Sprites
    textured: Textured | None
    windows: F32
    covers: bool
    softly: NDArray[np.bool_] | None
    starts: Sequence[int]
    listed: I64
    lines: F32
    line_starts: Sequence[int]
    listed_lines: I64
    ahead: I64
    radii: float
    scale: float

    def is_in(self, band: int) -> bool:
        """Whether a band shows any of it."""
        starts, lines = self.starts, self.line_starts
        return starts[band] < starts[band + 1] or lines[band] < lines[band + 1]

    def in_band(self, band: int) -> tuple[I64, I64]:
        """The numbers of the windows and the lines that a band shows."""
        return (
            self.listed[self.starts[band] : self.starts[band + 1]],
            self.listed_lines[self.line_starts[band] : self.line_starts[band + 1]],
        )
