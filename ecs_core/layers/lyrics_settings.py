"""Settings of layers of lyrics, and the lines with their times that they stand for."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from ecs_core.errors import SceneError
from ecs_core.layers.lettering import Lettered
from ecs_core.layers.sung import together
from ecs_core.scene.model import RGB, Share, option

if TYPE_CHECKING:
    from ecs_core.layers.kind import Stage
    from ecs_core.text.lyrics import Line


class LyricsSettings(Lettered):
    """Words as they are sung; ``x`` and ``y`` are the middle of the line that is sung."""

    size: float = option(
        0.07,
        "size of the letters as a share of the picture's shorter side; less where they would not fit",
        group="place",
        ge=0.005,
        le=4,
    )
    file: str | None = option(
        None,
        "lyrics as LRC, SRT or WebVTT, or lines without times, which follow the song's sections and beats; in the API "
        "uploaded lyrics",
        group="text",
        asset="lyrics",
        min_length=1,
        max_length=4096,
    )
    text: str | None = option(
        None,
        "the same in the config itself: lines of LRC, or lines without times",
        group="text",
        min_length=1,
        max_length=100_000,
    )
    offset: float = option(0.0, "how much later the words come", group="time", unit="s", ge=-3600, le=3600)
    rows: int = option(2, "rows into which a line may break", group="place", ge=1, le=8)
    before: int = option(1, "lines that are seen before the one that is sung", group="look", ge=0, le=4)
    after: int = option(1, "lines that are seen after it", group="look", ge=0, le=4)
    others: Share = option(0.5, "opacity of those lines", group="look")
    others_scale: float = option(0.75, "their size, to that of the line that is sung", group="look", ge=0.1, le=2)
    karaoke: Literal["words", "evenly", "off"] = option(
        "words",
        "words light up as they are sung, by their times; a line without lights up at once, or evenly; or nothing does",
        group="look",
    )
    waiting_color: RGB = option((170, 176, 192), "colour of words that are still to be sung", group="look")
    change: Literal["scroll", "fade"] = option("scroll", "how lines follow one another", group="time")
    change_seconds: float = option(0.5, "how long that takes", group="time", unit="s", ge=0, le=10)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (self.text is None):
            raise ValueError("lyrics need one of file and text")
        return self


def _words(settings: LyricsSettings) -> str:
    from ecs_core.text.lyrics import load_text  # noqa: PLC0415 - many scenes have no text

    return settings.text if settings.file is None else load_text(Path(settings.file))  # type: ignore[return-value]


def read_lines(settings: LyricsSettings, stage: Stage | None = None) -> tuple[Line, ...]:
    """The lines as they are set, with their times in the song; without a ``stage`` those that have none begin at 0.

    Raises:
        SceneError: they cannot be read, or there is none.
    """
    from ecs_core.song_file.lyrics_in_tags import are_timed  # noqa: PLC0415 - as above
    from ecs_core.text.lyrics import Lyrics, read_lyrics, shifted  # noqa: PLC0415 - as above
    from ecs_core.text.untimed import check_words, set_times, words_of  # noqa: PLC0415 - as above

    text, name = _words(settings), "text" if settings.file is None else Path(settings.file).name
    duration = None if stage is None else stage.timeline.duration
    try:
        if "-->" in text or are_timed(text):
            found = read_lyrics(text, name, duration=duration)
        elif stage is None:
            check_words(text)
            found = Lyrics(words_of(text))
        else:
            events = stage.timeline.events
            sections, beats = ([float(each) for each in events[kind]] for kind in ("sections", "beats"))
            found = set_times(text, sections=sections, beats=beats, duration=stage.timeline.duration)
    except SceneError as error:
        if settings.file is None:
            raise
        said = str(error).removeprefix("lyrics: ").removeprefix(f"{name}: ")
        raise SceneError(f"lyrics: {settings.file}: {said}") from None
    if stage is not None:
        found = shifted(found, settings.offset)
    seen = [_written(line, settings) for line in found.lines if any(map(_is_seen, line.text))]
    if not seen and stage is None:
        raise SceneError("lyrics: there is no line; one line of text at least")
    return tuple(seen) if stage is None else together(seen)


def _is_seen(letter: str) -> bool:
    """Whether a letter leaves ink: it is no space, no control, and no mark of direction or joining."""
    return unicodedata.category(letter)[0] not in "CZ"


def _written(line: Line, settings: LyricsSettings) -> Line:
    """A line in the letters in which it is set; words may become longer, as ß does."""
    if not settings.uppercase:
        return line
    words = (
        replace(word, text=settings.written(word.text), at=len(settings.written(line.text[: word.at])))
        for word in line.words
    )
    return replace(line, text=settings.written(line.text), words=tuple(words))
