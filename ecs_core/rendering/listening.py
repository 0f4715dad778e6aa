"""What a render hears of its song: analysed, read from a document, or both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ecs_core.errors import SceneError
from ecs_core.interrupts import undisturbed
from ecs_core.plugin_api import particle_types
from ecs_core.scene import Scene
from ecs_core.settings import Settings

if TYPE_CHECKING:
    from ecs_core.audio.analysis import Analysis

_NEAR = 0.5  # seconds by which the length that a file says it has may differ


def listen(scene: Scene, settings: Settings, progress: Callable[[float], None] = lambda share: None) -> Analysis | None:
    """The analysis of the scene's song, None where it has none; ``progress`` hears shares from 0 to 1.

    A document that has everything is taken as it is; of one that leaves something out, that is heard in the song.

    Raises:
        AudioError: the song cannot be read.
        SceneError: the document is none, has wrong values, or is of another song.
    """
    if scene.audio is None:
        if scene.analysis is not None:
            raise SceneError(f"{scene.analysis}: is the analysis of a song, and there is none; give its song too")
        return None
    with undisturbed():
        from ecs_core.audio import document  # noqa: PLC0415 - slow, and not needed where there is no song
        from ecs_core.audio.features import analyze  # noqa: PLC0415

    more = tuple(particle_types().features.values())
    given = None
    if scene.analysis is not None and scene.analysis.suffix == ".npz":
        whole = document.load(scene.analysis)
        _check_length(scene.audio, float(whole.exact_duration), scene.analysis)
        return whole
    if scene.analysis is not None:
        given = document.read(scene.analysis)
        complete = document.whole(given, [feature.name for feature in more])
        if complete is not None:
            _check_length(scene.audio, float(complete.exact_duration), scene.analysis)
            return complete
    heard = analyze(scene.audio, more=more, guidance=settings.guidance, progress=progress)
    return heard if given is None else document.corrected(heard, given)


def _check_length(song: Path, seconds: float, analysis: Path | None) -> None:
    from ecs_core.audio.decode import AudioFile  # noqa: PLC0415

    with AudioFile(song) as file:
        said = file.seconds
    if said is not None and abs(said - seconds) > max(_NEAR, 0.02 * seconds):
        raise SceneError(f"{analysis}: is the analysis of another song: of {seconds:g} s, and {song} has {said:g} s")
