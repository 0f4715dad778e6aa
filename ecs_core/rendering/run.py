"""render(): render a scene into a video file. Imports nothing that is slow, so that the processes start at once."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ecs_core.cores import available_cores
from ecs_core.errors import SceneError
from ecs_core.loading import loading
from ecs_core.rendering.output_file import TEMPORARY, check_output, output_error
from ecs_core.rendering.output_format import with_format_of
from ecs_core.rendering.pool import Pool
from ecs_core.rendering.progress import Progress
from ecs_core.scene.scene import Scene
from ecs_core.video.format import SEGMENT_SECONDS
from ecs_core.video.quality import QualityLike, wanted

if TYPE_CHECKING:
    from ecs_core.scene.render_result import RenderResult


def render(
    scene: Scene,
    output: str | Path,
    *,
    workers: int | None = None,
    quality: QualityLike = "standard",
    segment_seconds: float = SEGMENT_SECONDS,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
    frame_hashes: bool = False,
    poster: str | Path | None = None,
) -> RenderResult:
    """Render ``scene`` into the file ``output``, which appears only when it is complete.

    Its ``variants`` are rendered after it, into files beside it: ``v-1080x1920.mp4`` beside ``v.mp4``, each as soon as
    it is done. The song is analysed once.

    It has the scene's ``format``; where the scene names none, that which the name of ``output`` ends in, or else MP4.
    ``quality`` is a preset (draft, standard, high), a bit rate of the picture, such as ``"8M"`` bits a second, or the
    largest size of the file, ``{"max_bytes": 8_000_000}``.

    ``workers`` processes (default: one per core) render segments of about ``segment_seconds``. ``progress`` is called
    several times a second; setting ``cancel`` stops the render within a fraction of a second. The video's poster, the
    frame that stands for it, is written as a PNG to ``poster``.

    Raises:
        SceneError: an unknown type, or a setting that is unknown or out of range.
        AudioError: the song cannot be read.
        OutputError: the output cannot be written, its name is that of another format, or the disk is full.
        RenderError: rendering failed.
        RenderCancelled: ``cancel`` was set; no file is left behind but those of outputs that were complete.
    """
    began = time.perf_counter()
    output, poster = Path(output), None if poster is None else Path(poster)
    scene = with_format_of(scene, output)
    wanted(quality)  # before any work is done
    if workers is not None and not 1 <= workers <= 256:
        raise SceneError(f"workers = {workers}: must be between 1 and 256")
    if not 0.1 <= segment_seconds <= 60:
        raise SceneError(f"segment_seconds = {segment_seconds:g}: must be between 0.1 and 60")
    for path in (output, *(() if poster is None else (poster,))):
        check_output(path, scene.audio)
    with _work_folder(output) as folder, Pool(workers or available_cores(), folder) as pool:
        with loading():  # as the processes do now
            from ecs_core.rendering.render_video import render_video  # noqa: PLC0415 - slow

        return render_video(
            scene,
            output,
            pool,
            folder,
            quality=quality,
            segment_seconds=segment_seconds,
            progress=progress,
            cancel=cancel or threading.Event(),
            frame_hashes=frame_hashes,
            poster=poster,
            began=began,
        )


@contextmanager
def _work_folder(output: Path) -> Iterator[Path]:
    """A temporary folder beside the output, so that the finished file can be renamed into place; removed at the end."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=output.absolute().parent))
    except OSError as error:
        raise output_error(output, error) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
