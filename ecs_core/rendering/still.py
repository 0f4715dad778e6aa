"""render_frame(): one frame of a scene as a PNG, identical to the video's frame before encoding."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from ecs_core.errors import SceneError
from ecs_core.frame_times import frame_at
from ecs_core.plugin_api import resolve
from ecs_core.rendering.flash_limit import with_limited_flashes
from ecs_core.rendering.output_file import check_output, write_atomically
from ecs_core.rendering.plan import RenderPlan, make_plan
from ecs_core.rendering.preparation import prepare_kernels
from ecs_core.rendering.progress import Progress
from ecs_core.rendering.segment import SegmentRenderer
from ecs_core.rendering.simulation import Simulation
from ecs_core.rendering.song_analysis import analyse_scene
from ecs_core.scene.scene import Scene
from ecs_core.video.png import rgb_of, write_png


def render_frame(
    scene: Scene, at: float, output: str | Path, *, progress: Callable[[Progress], None] | None = None
) -> str:
    """Write the frame at ``at`` seconds as a PNG; earlier frames are simulated but not drawn.

    Returns the frame's hash, as in ``motes render --frame-hashes``. ``progress`` is called while kernels are compiled,
    once per machine.

    Raises:
        SceneError: an unknown type or setting, or a time outside the video.
        AudioError: the song cannot be read.
        OutputError: the PNG cannot be written.
    """
    output = Path(output)
    particle_type, settings = resolve(scene)
    check_output(output, scene.audio)
    prepare_kernels(particle_type, settings, song=scene.audio is not None, progress=progress)
    analysis = analyse_scene(scene, settings)
    return write_frame(make_plan(particle_type, settings, analysis), at, output)


def write_frame(
    plan: RenderPlan, at: float, output: Path, *, go_to: Callable[[Simulation, int], None] = Simulation.skip_to
) -> str:
    """Write the frame of a plan at ``at`` seconds as a PNG; returns its hash.

    ``go_to`` brings a new simulation to a frame, for instance from a snapshot.

    Raises:
        SceneError: a time outside the video.
        OutputError: the PNG cannot be written.
    """
    try:
        frame = frame_at("at", at, rate=plan.settings.rate, frames=plan.frames)
    except ValueError as error:
        raise SceneError(str(error)) from None
    if plan.gains is None:
        plan = with_limited_flashes(plan, frames=plan.shown(frame) + 1)
    renderer = SegmentRenderer(plan)
    with closing(renderer):
        go_to(renderer.simulation, plan.shown(frame))
        picture = renderer.picture(renderer.simulation.snapshot())
    write_atomically(output, lambda part: write_png(rgb_of(picture.frame), part))
    return picture.digest()
