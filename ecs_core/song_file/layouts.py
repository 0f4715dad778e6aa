"""Layouts: which loudspeaker each channel of a song is meant for, by FFmpeg's names.

A layout is a name such as "5.1(side)" or "3 channels (FL+FC+LFE)"; its channels have positions such as "FL" (front
left), "BC" (back centre) and "LFE" (low-frequency effects). A file that names no layout has FFmpeg's default for its
number of channels, where there is one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ecs_core.arrays import F32, F64

MOST_CHANNELS = 64  # FFmpeg converts no more
NOWHERE = "NONE"  # the position of a channel that has none
# By FFmpeg's name. Of layouts that it gained later, the positions in the file say what is meant.
LAYOUTS = {
    "mono": "FC",
    "stereo": "FL FR",
    "2.1": "FL FR LFE",
    "3.0": "FL FR FC",
    "3.0(back)": "FL FR BC",
    "4.0": "FL FR FC BC",
    "quad": "FL FR BL BR",
    "quad(side)": "FL FR SL SR",
    "3.1": "FL FR FC LFE",
    "5.0": "FL FR FC BL BR",
    "5.0(side)": "FL FR FC SL SR",
    "4.1": "FL FR FC LFE BC",
    "5.1": "FL FR FC LFE BL BR",
    "5.1(side)": "FL FR FC LFE SL SR",
    "6.0": "FL FR FC BC SL SR",
    "6.0(front)": "FL FR FLC FRC SL SR",
    "3.1.2": "FL FR FC LFE TFL TFR",
    "hexagonal": "FL FR FC BL BR BC",
    "6.1": "FL FR FC LFE BC SL SR",
    "6.1(back)": "FL FR FC LFE BL BR BC",
    "6.1(front)": "FL FR LFE FLC FRC SL SR",
    "7.0": "FL FR FC BL BR SL SR",
    "7.0(front)": "FL FR FC FLC FRC SL SR",
    "7.1": "FL FR FC LFE BL BR SL SR",
    "7.1(wide)": "FL FR FC LFE BL BR FLC FRC",
    "7.1(wide-side)": "FL FR FC LFE FLC FRC SL SR",
    "5.1.2": "FL FR FC LFE SL SR TFL TFR",
    "5.1.2(back)": "FL FR FC LFE BL BR TFL TFR",
    "octagonal": "FL FR FC BL BR BC SL SR",
    "cube": "FL FR BL BR TFL TFR TBL TBR",
    "5.1.4": "FL FR FC LFE SL SR TFL TFR TBL TBR",
    "7.1.2": "FL FR FC LFE BL BR SL SR TFL TFR",
    "7.1.4": "FL FR FC LFE BL BR SL SR TFL TFR TBL TBR",
    "7.2.3": "FL FR FC LFE BL BR SL SR TFL TFR TBC LFE2",
    "9.1.4": "FL FR FC LFE BL BR FLC FRC SL SR TFL TFR TBL TBR",
    "9.1.6": "FL FR FC LFE BL BR FLC FRC SL SR TFL TFR TBL TBR TSL TSR",
    "hexadecagonal": "FL FR FC BL BR BC SL SR TFL TFC TFR TBL TBC TBR WL WR",
    "binaural": "BIL BIR",
    "downmix": "DL DR",
    "22.2": "FL FR FC LFE BL BR FLC FRC BC SL SR TC TFL TFC TFR TBL TBC TBR LFE2 TSL TSR BFC BFL BFR",
}
_DEFAULTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_DEFAULTS |= {10: "5.1.4", 12: "7.1.4", 14: "9.1.4", 16: "9.1.6", 24: "22.2"}
_PLAIN = (("FC",), ("FL", "FR"), ("DL", "DR"), ("BIL", "BIR"), (NOWHERE,), (NOWHERE, NOWHERE))
_LOW = ("LFE", "LFE2")
_HALF = 0.5**0.5  # -3 dB
# To the left and to the right by ITU-R BS.775, which covers front, back and sides: the centre and each surround at
# -3 dB, a centre at the back at -6 dB. Speakers above and below are mixed like those at the same side of the back.
_FRONT = {"FL": (1.0, 0.0), "FR": (0.0, 1.0), "FC": (_HALF, _HALF)}
_FRONT |= {
    "FLC": (1.0, 0.0),
    "FRC": (0.0, 1.0),
    "DL": (1.0, 0.0),
    "DR": (0.0, 1.0),
    "BIL": (1.0, 0.0),
    "BIR": (0.0, 1.0),
}
_LEFT = ("BL", "SL", "TFL", "TBL", "TSL", "WL", "SDL", "BFL", "SSL", "TTL")
_RIGHT = ("BR", "SR", "TFR", "TBR", "TSR", "WR", "SDR", "BFR", "SSR", "TTR")
_MIDDLE = ("BC", "TC", "TFC", "TBC", "BFC")
_AMBISONIC = {"AMBI0": (0.5, 0.5), "AMBI1": (0.5, -0.5)}  # two cardioid microphones that point left and right
_WEIGHTS = (
    _FRONT
    | dict.fromkeys(_LEFT, (_HALF, 0.0))
    | dict.fromkeys(_RIGHT, (0.0, _HALF))
    | dict.fromkeys(_MIDDLE, (0.5, 0.5))
    | dict.fromkeys(_LOW, (0.0, 0.0))
    | _AMBISONIC
)
_SIDES = ("SL", "SR", "WL", "WR", "SDL", "SDR", "SSL", "SSR")


def default_layout(channels: int) -> str:
    """FFmpeg's default layout for a number of channels; "9 channels" where it has none."""
    return _DEFAULTS.get(channels, f"{channels} channels")


@lru_cache(64)
def positions(layout: str) -> tuple[str, ...]:
    """The positions of a layout's channels in order; of "9 channels", nine times NOWHERE.

    Raises:
        ValueError: there is no such layout.
    """
    if layout in LAYOUTS:
        return tuple(LAYOUTS[layout].split())
    listed = re.fullmatch(r"([1-9]\d?) channels(?: \((.+)\))?", layout)
    ambisonic = re.fullmatch(r"ambisonic ([0-7])", layout)
    if ambisonic is not None:
        return tuple(f"AMBI{number}" for number in range((int(ambisonic[1]) + 1) ** 2))
    if listed is None:
        raise ValueError(f"layout {layout!r}: there is none of that name")
    names = tuple(listed[2].split("+")) if listed[2] else (NOWHERE,) * int(listed[1])
    if not len(names) == int(listed[1]) <= MOST_CHANNELS:
        raise ValueError(f"layout {layout!r}: does not list 1 to {MOST_CHANNELS} channels")
    return names


def layout_of(name: str, channels: Sequence[str]) -> str:
    """A layout that :func:`positions` takes, for one that FFmpeg calls ``name`` and that has these channels."""
    if name in LAYOUTS:
        return name
    if set(channels) == {NOWHERE}:
        return default_layout(len(channels))
    return f"{len(channels)} channels ({'+'.join(channels)})"


def is_mixed(layout: str) -> bool:
    """Whether the layout is neither mono nor stereo, so that it has to be mixed down."""
    found = positions(layout)
    return len(found) > 1 and found not in _PLAIN


def stereo_weights(layout: str) -> F32:
    """The matrix (2, channels), float32, by which a layout is mixed to stereo; the left front has weight 1."""
    found = positions(layout)
    # Nobody knows where the others belong: their mean is heard in the middle.
    other = 1 / max(1, sum(each not in _WEIGHTS and not each.startswith("AMBI") for each in found))
    unknown = dict.fromkeys(found, (other, other)) | {each: (0.0, 0.0) for each in found if each.startswith("AMBI")}
    weights = unknown | _WEIGHTS
    return np.array([weights[each] for each in found], np.float32).T


def loudness_weights(layout: str) -> F64:
    """The weights of BS.1770-4 for the channels' mean squares, (channels,) float64.

    Loudspeakers at the sides count 1.41 times, low-frequency effects not at all. Those at the back count like sides
    where there are no others, as in "5.1", whose surrounds FFmpeg calls back.
    """
    found = positions(layout)
    surround = _SIDES if {"SL", "SR"} & {*found} else (*_SIDES, "BL", "BR")
    silent = {*_LOW, *(f"AMBI{number}" for number in range(1, MOST_CHANNELS))}
    return np.array([0.0 if each in silent else 1.41 if each in surround else 1.0 for each in found])
