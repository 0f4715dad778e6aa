"""Texts: titles, names, anything. A text is set once in each process, and enters and leaves letter by letter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import field_validator

from ecs_core.arrays import F64
from ecs_core.layers.kind import Drawer, LayerKind, Moment, Stage
from ecs_core.layers.lettering import LEAST, Ink, Lettered, Recent, density_of, inks, letters, style_of, under
from ecs_core.scene.model import option

if TYPE_CHECKING:
    from ecs_core.raster.marks import Mark, Pose
    from ecs_core.text.placed import Layout

TextEnter = Literal["none", "fade", "rise", "fall", "grow", "letters", "typewriter"]
_BY_LETTER = ("letters", "typewriter")
_LONGEST = 2000  # characters
_OF_ONE = 0.35  # of the whole time, that one letter takes to come
_SECONDS_OF_ONE = 0.35  # where letters come at a pace of their own
_BELOW = 0.35  # how far below letters come from, in their sizes
_RUNS, _LETTERS = 3, 48  # of letters that stand, and single ones, of which masks are kept


class TextSettings(Lettered):
    """A text, of as many lines as it has or as its box needs."""

    text: str = option(..., "the words; line breaks are kept", group="text", min_length=1, max_length=_LONGEST)
    height: float = option(
        0.86,
        "height of its box, into which it is made to fit, as a fraction of the picture's",
        group="place",
        gt=0,
        le=10,
    )
    place: Literal["top", "middle", "bottom"] = option("middle", "where it stands in the box", group="look")
    lines: int = option(0, "how many lines it may have; 0: any number", group="place", ge=0, le=100)
    enter: TextEnter = option("none", "how it appears", group="time")  # type: ignore[assignment]  # more of them
    leave: TextEnter = option("none", "how it goes", group="time")  # type: ignore[assignment]
    letter_delay: float | None = option(
        None,
        "from letter to letter, where they come or go one by one; null: so that all take the whole time",
        group="time",
        unit="s",
        ge=0,
        le=10,
    )

    @field_validator("text")
    @classmethod
    def _one_kind_of_line_break(cls, value: str) -> str:
        return "\n".join(line.expandtabs(1).rstrip() for line in value.splitlines())


def _fitted(settings: TextSettings, width: float, height: float, short: float, density: float = 1.0) -> Layout:
    """The text in its box, in a picture of so many pixels; of so many texels each."""
    from ecs_core.text.layout import fit  # noqa: PLC0415 - many scenes have no text

    size = settings.size * short
    return fit(
        settings.written(settings.text),
        style_of(settings, settings.place),
        width=settings.width * width * density,
        height=settings.height * height * density,
        least=min(LEAST * short, size) * density,
        most=size * density,
        lines=settings.lines,
    )


def _fits(settings: TextSettings, width: int, height: int) -> None:
    if not settings.is_awaited:
        _fitted(settings, width, height, min(width, height))


def _prepare(settings: TextSettings, stage: Stage) -> Drawer:
    density = density_of(settings, max(settings.width * stage.width, settings.height * stage.height))
    layout = _fitted(settings, stage.width, stage.height, stage.short, density)
    seen = [each for each in layout.letters if not each.letter.space]
    runs = Recent[tuple[int, int], tuple[Ink, ...]](lambda run: inks(layout, [run], density), _RUNS)
    single = Recent[tuple[int, int], tuple[Ink, ...]](lambda run: inks(layout, [run], density), _LETTERS)
    whole = inks(layout, [(0, len(layout.text))], density)
    end = float(stage.timeline.frames / stage.fps) if settings.end is None else settings.end
    below = _BELOW * layout.size / density
    held: list[tuple[object, list[Mark]]] = []

    def draw(now: TextSettings, moment: Moment, pose: Pose) -> Sequence[Mark]:
        come = _come(settings, settings.enter, len(seen), moment.t - settings.begin, settings.enter_seconds)
        gone = _come(settings, settings.leave, len(seen), end - moment.t, settings.leave_seconds, backwards=True)
        if come is None and gone is None:
            key = (pose, now.shadow, now.glow)
            if not held or held[0][0] != key:
                held[:] = [(key, _marks([(each, 1.0, 0.0) for each in whole], now, pose))]
            return held[0][1]
        shares = (1.0 if come is None else come) * (1.0 if gone is None else gone)
        shares = np.broadcast_to(shares, len(seen))
        parts: list[tuple[Ink, float, float]] = []
        for first, last, share in _standing(shares):
            kept = runs if last - first > 1 else single
            away = 0.0 if share >= 1 else below * (1 - share) * (-1 if come is None else 1)
            parts += [(each, share, away) for each in kept((seen[first].start, seen[last - 1].end))]
        return _marks(parts, now, pose)

    return draw


def _come(
    settings: TextSettings, how: TextEnter, count: int, seconds: float, whole: float, *, backwards: bool = False
) -> F64 | None:
    """How much of each letter is there, (count,), so long after the start, or before the end; None where all is."""
    if how not in _BY_LETTER:
        return None
    fading = how == "letters"
    if settings.letter_delay is not None:
        one = _SECONDS_OF_ONE if fading else 0.0
        delay = settings.letter_delay
        whole = delay * (count - 1 if fading else count) + one
    else:
        one = _OF_ONE * whole if fading else 0.0
        delay = (whole - one) / max(1, count - 1 if fading else count)
    if seconds >= whole:
        return None
    since = whole - seconds if backwards else seconds
    places = np.arange(count, dtype=np.float64) * delay
    if fading and one > 0:
        share = np.clip((since - places) / one, 0.0, 1.0)
        share = share * share * (3 - 2 * share)
    else:
        share = (since >= places).astype(np.float64)
    if backwards:  # written letters are taken back from the last one on
        return 1 - (share if fading else share[::-1])
    return share


def _standing(shares: F64) -> list[tuple[int, int, float]]:
    """Runs of letters that are all there, as one, and single ones that come or go: first, one after the last, share."""
    found = list[tuple[int, int, float]]()
    for number, share in enumerate(shares.tolist()):
        if share >= 1 and found and found[-1][1:] == (number, 1.0):
            found[-1] = (found[-1][0], number + 1, 1.0)
        elif share > 0:
            found.append((number, number + 1, share))
    return found


def _marks(parts: Sequence[tuple[Ink, float, float]], now: TextSettings, pose: Pose) -> list[Mark]:
    """Marks of inks with their opacities, each so many pixels below its place: first what lies under all of them."""
    lower: list[Mark] = []
    upper: list[Mark] = []
    for ink, opacity, away in parts:
        at = pose.moved(0.0, away) if away else pose
        lower += under(ink, now, at, opacity)
        upper.append(letters(ink, now, at, opacity, color=now.color))
    return [*lower, *upper]


TEXT = LayerKind("text", "words: a title, a name, anything", TextSettings, _prepare, fits=_fits)
