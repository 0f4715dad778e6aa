"""The analysis of a render's song: computed, read from a document, or both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ecs_core.errors import SceneError
from ecs_core.loading import loading
from ecs_core.plugin_api import particle_types
from ecs_core.plugin_api.layers import pictures_sound
from ecs_core.scene.scene import Scene
from ecs_core.scene.settings import Settings
from ecs_core.signals import signals_deferred

if TYPE_CHECKING:
    from ecs_core.audio.analysis import Analysis
    from ecs_core.audio.guidance import Guidance

_NEAR = 0.5  # seconds by which the length in a file's header may be off


def analyse_scene(
    scene: Scene, settings: Settings, progress: Callable[[float], None] = lambda share: None
) -> Analysis | None:
    """The analysis of the scene's song (see :func:`analyse_song`); None without a song."""
    if scene.audio is None:
        if scene.analysis is not None:
            raise SceneError(f"{scene.analysis}: is the analysis of a song, and there is none; give its song too")
        return None
    return analyse_song(
        scene.audio,
        scene.analysis,
        settings.guidance,
        track=settings.track,
        pictured=pictures_sound(settings),
        progress=progress,
    )


def analyse_song(
    song: Path,
    analysis: Path | None,
    guidance: Guidance,
    *,
    track: int | None = None,
    pictured: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> Analysis:
    """Analyse a ``track`` of a song with the given ``guidance``; ``progress`` is called with shares from 0 to 1.

    ``analysis`` is the path of an analysis document. A complete document is used as it is, and takes no guidance; what
    an incomplete one leaves out is analysed, and so is the song's sonogram if it is to be ``pictured``.

    Raises:
        AudioError: the song cannot be read.
        SceneError: the document is invalid or of another song, or is complete and guidance was given.
    """
    with signals_deferred(), loading():
        from ecs_core.audio import document  # noqa: PLC0415 - slow, and not needed without a song
        from ecs_core.audio.features import analyze  # noqa: PLC0415 - likewise
        from ecs_core.kernels import jit  # noqa: F401, PLC0415 - which it loads otherwise when it is called

    more = tuple(particle_types().features.values())
    given = None
    if analysis is not None:
        whole: Analysis | None
        if analysis.suffix == ".npz":
            whole = document.load(analysis)
        else:
            given = document.read(analysis)
            whole = document.whole(given, [feature.name for feature in more])
        if whole is not None:
            _check_length(song, track, float(whole.exact_duration), analysis)
            _check_guidance(guidance, analysis)
            if pictured and whole.sonogram is None:
                whole = replace(whole, sonogram=analyze(song, track=track, progress=progress).sonogram)
            return _with_peak(whole, song, track)
    heard = analyze(song, track=track, more=more, guidance=guidance, progress=progress)
    return heard if given is None else document.corrected(heard, given, guidance)


def _with_peak(analysis: Analysis, song: Path, track: int | None) -> Analysis:
    """The analysis with the peak of the song's mix, which documents of earlier versions lack."""
    from ecs_core.song_file.audio_file import AudioFile  # noqa: PLC0415 - slow, and not needed without a song
    from ecs_core.song_file.layouts import is_mixed  # noqa: PLC0415 - likewise
    from ecs_core.song_file.mixdown import cut_warning, peak_of  # noqa: PLC0415 - likewise

    with AudioFile(song, track=track) as file:
        if analysis.peak is not None or not is_mixed(file.layout):
            return analysis
        peak = peak_of(file.blocks(), file.layout)
    return replace(analysis, peak=peak, warnings=(*analysis.warnings, *cut_warning(file.layout, peak)))


def _check_guidance(guidance: Guidance, analysis: Path) -> None:
    given = ", ".join(f"{name} = {value}" for name, value in guidance.to_json().items())
    if given:
        raise SceneError(f"{given}: {analysis} has all its beats and bars; leave that out, or analyse the song with it")


def _check_length(song: Path, track: int | None, seconds: float, analysis: Path) -> None:
    from ecs_core.song_file.audio_file import AudioFile  # noqa: PLC0415 - likewise

    with AudioFile(song, track=track) as file:
        duration = file.seconds
    if duration is not None and abs(duration - seconds) > max(_NEAR, 0.02 * seconds):
        raise SceneError(
            f"{analysis}: is the analysis of another song: of {seconds:g} s, and {song} has {duration:g} s"
        )
