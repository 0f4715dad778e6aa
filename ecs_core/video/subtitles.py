"""SubtitleTrack: words that players can show over the picture, as timed text of MP4 (3GPP TS 26.245).

A sample is the length of its text in two bytes, then the text in UTF-8. FFmpeg's muxer fills what lies between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import av

from ecs_core.errors import SceneError

_SECOND = 1000  # of time stamps
_LONGEST = 65_535  # bytes of a sample's text
# From this FFmpeg makes the description that the track begins with: where and how its text is shown.
_DESCRIPTION = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


@dataclass(frozen=True, slots=True)
class Cue:
    """A text that is shown from ``start`` to ``end``, in milliseconds of the video."""

    start: int
    end: int
    text: str


def cues_of(lines: Iterable[tuple[float, float, str]], duration: Fraction) -> tuple[Cue, ...]:
    """Cues in order from lines with a start and an end in seconds, as far as they lie in a video of that length.

    Lines at the same time are one cue with several lines of text.

    Raises:
        SceneError: a text is too long.
    """
    last = int(duration * _SECOND)
    timed = [(max(0, round(start * _SECOND)), min(last, round(end * _SECOND)), text) for start, end, text in lines]
    timed = [each for each in timed if each[0] < each[1]]
    edges = sorted({edge for start, end, _ in timed for edge in (start, end)})
    first, found = 0, list[Cue]()
    timed.sort(key=lambda each: each[0])
    for start, end in pairwise(edges):
        while first < len(timed) and timed[first][1] <= start:
            first += 1
        shown = []
        for begin, until, text in timed[first:]:
            if begin >= end:
                break
            if until > start:
                shown.append(text)
        text = "\n".join(shown)
        if len(text.encode()) > _LONGEST:
            raise SceneError(f"subtitles: {len(text.encode())} bytes at {start / _SECOND:g} s; allowed: {_LONGEST}")
        if shown:
            found.append(Cue(start, end, text))
    return tuple(found)


class SubtitleTrack:
    """A track of ``container`` that shows cues, which are in order and do not overlap."""

    def __init__(self, container: av.container.OutputContainer, cues: Sequence[Cue]) -> None:
        stream = container.add_stream("mov_text")
        assert isinstance(stream, av.subtitles.stream.SubtitleStream)
        stream.codec_context.subtitle_header = _DESCRIPTION
        stream.time_base = Fraction(1, _SECOND)
        stream.metadata["language"] = "und"
        self._container, self._stream, self._left = container, stream, list(reversed(cues))

    def mux_until(self, seconds: Fraction | None = None) -> None:
        """Mux the cues that begin up to ``seconds`` of the video, or all that are left."""
        while self._left and (seconds is None or self._left[-1].start <= seconds * _SECOND):
            cue = self._left.pop()
            text = cue.text.encode()
            packet = av.Packet(len(text).to_bytes(2, "big") + text)
            packet.stream, packet.time_base = self._stream, Fraction(1, _SECOND)
            packet.pts = packet.dts = cue.start
            packet.duration = cue.end - cue.start
            packet.is_keyframe = True
            self._container.mux_one(packet)
