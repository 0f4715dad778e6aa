"""``make demo``: compose the demo song, render its video, draw its poster, and say where they are."""

from __future__ import annotations

import sys
from pathlib import Path

from ecs_core.rendering.run import render
from ecs_core.rendering.still import render_frame
from ecs_core.scene import Scene
from services.cli.demo_song import write_wav
from services.cli.progress_bar import progress_bar

SECONDS = 20.0
POSTER_AT = 12.4  # shortly after the drop


def main(folder: Path) -> None:
    """Write ``demo.wav``, ``demo.mp4`` and ``demo.png`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    song, video, poster = folder / "demo.wav", folder / "demo.mp4", folder / "demo.png"
    write_wav(song, SECONDS)
    scene = Scene("enhanced", audio=song, config={"duration": SECONDS, "particle_count": 900})
    with progress_bar() as show:
        result = render(scene, video, progress=show)
    render_frame(scene, POSTER_AT, poster)
    print(f"song    {song}")
    print(f"video   {video}  ({result.frames} frames in {result.seconds['total']:.1f} s)")
    print(f"poster  {poster}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
