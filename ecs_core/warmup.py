"""``python -m ecs_core.warmup``: compile every kernel once, so that no first render waits for a compiler.

Part of setting Motes up. Kernels are cached beside their source files, or in ``NUMBA_CACHE_DIR``.
"""

from __future__ import annotations

import tempfile
import time
import wave
from pathlib import Path

import numpy as np

from ecs_core.plugin_api import particle_types
from ecs_core.rendering.still import render_frame
from ecs_core.scene.scene import Scene


def warm_up() -> list[str]:
    """Draw a frame of every particle type, to a second of noise; returns the types' names."""
    names = list(particle_types().types)
    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder, "noise.wav")
        noise = np.random.Generator(np.random.Philox(1)).integers(-9000, 9000, 2 * 44_100 * 3, np.int16)
        with wave.open(str(song), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(44_100)
            file.writeframes(noise.tobytes())
        for name in names:
            scene = Scene(name, audio=song, config={"width": 320, "height": 180, "duration": 3, "particle_count": 300})
            render_frame(scene, 1.5, Path(folder, "frame.png"))
    return names


def rehearse() -> None:
    """Load the kernels into this process, by drawing two silent frames as small as a stamp."""
    scene = Scene("enhanced", config={"width": 64, "height": 64, "duration": 0.1, "particle_count": 50, "bounce": True})
    with tempfile.TemporaryDirectory() as folder:
        render_frame(scene, 0.05, Path(folder, "frame.png"))


if __name__ == "__main__":
    began = time.perf_counter()
    warmed = warm_up()
    print(f"kernels ready for {', '.join(warmed)} ({time.perf_counter() - began:.1f} s)")
