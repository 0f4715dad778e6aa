"""Generated songs whose beats, bars, onsets and drums are known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import instruments as play

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
RATE = play.RATE


@dataclass(frozen=True)
class Style:
    """A groove: beats per bar, steps per beat, tempi, and patterns of one bar for each drum.

    In a pattern x is loud, o softer, g a ghost note, and ? an optional note. ``chords`` is when keys are struck, and
    ``walk`` a bass on every beat.
    """

    metre: int
    steps: int
    tempi: tuple[float, float]
    kick: Sequence[str] = ()
    snare: Sequence[str] = ()
    hat: Sequence[str] = ()
    open_hat: Sequence[str] = ()
    rim: Sequence[str] = ()
    chords: Sequence[str] = ("x",)
    swing: tuple[float, float] = (0.5, 0.5)  # where the second of two steps lies
    walk: bool = False
    claps: bool = False
    rides: bool = False


BACKBEAT = ("....x.......x...",)
STYLES = {
    "rock": Style(
        4,
        4,
        (85, 170),
        kick=("x.......x.......", "x.....x.x.......", "x.......x.x.....", "x..x....x......."),
        snare=BACKBEAT,
        hat=("x.o.x.o.x.o.x.o.",),
        chords=("x.......x.......", "x..x..x.x..x..x.", "x.x.x.x.x.x.x.x."),
    ),
    "house": Style(
        4,
        4,
        (116, 134),
        kick=("x...x...x...x...",),
        snare=BACKBEAT,
        claps=True,
        open_hat=("..x...x...x...x.",),
        hat=("o?.?o?.?o?.?o?.?", "................"),
        chords=("..x...x...x...x.", "x..x..x...x..x..", "x..............."),
    ),
    "disco": Style(
        4,
        4,
        (105, 130),
        kick=("x...x...x...x...",),
        snare=BACKBEAT,
        hat=("xoxoxoxoxoxoxoxo", "xo.oxo.oxo.oxo.o"),
        open_hat=("..x...x...x...x.",),
        chords=("..x...x...x...x.", "x...x.x...x.x..."),
    ),
    "hiphop": Style(
        4,
        4,
        (78, 104),
        kick=("x..x......x.....", "x......x..x.....", "x.x.......x..x.."),
        snare=BACKBEAT,
        hat=("x.x?x.x?x.x?x.x?",),
        chords=("x...............", "x.....x.........", "x...x...x...x..."),
        swing=(0.5, 0.62),
    ),
    "breakbeat": Style(
        4,
        4,
        (155, 178),
        kick=("x.x.......xx....", "x.........x....."),
        snare=("....x..g.g..x..g", "....x..g....x..."),
        hat=("x.x.x.x.x.x.x.x.",),
        chords=("x...............",),
    ),
    "funk": Style(
        4,
        4,
        (92, 116),
        kick=("x..x..x...x..x..", "x.x.......x..x..", "x..x......x....."),
        snare=("....x..g.g..x..g", "....x.......x..g"),
        hat=("xoxoxoxoxoxoxoxo",),
        chords=("...x..x....x..x.", "x.....x....x...."),
    ),
    "trap": Style(
        4,
        4,
        (130, 150),
        kick=("x.....x...x.....", "x.........x..x.."),
        snare=("........x.......",),
        claps=True,
        hat=("x.x.x.xxx.x.xxx.", "x.x.x.x.x.x.xxxx"),
        chords=("x...............", "x.......x......."),
    ),
    "latin": Style(
        4,
        4,
        (95, 130),
        kick=("x.....x.x.....x.", "x..x....x..x...."),
        rim=("x..x..x...x.x...", "..x.x...x..x..x."),
        hat=("xoxoxoxoxoxoxoxo", "x.x.x.x.x.x.x.x."),
        chords=("x..x..x...x..x..", "..x..x....x..x.."),
    ),
    "reggae": Style(
        4,
        4,
        (70, 92),
        kick=("........x.......", "x.......x......."),
        snare=("........x.......",),
        hat=("x.x.x.x.x.x.x.x.",),
        chords=("....x.......x...", "..x...x...x...x."),
    ),
    "ballad": Style(
        4,
        4,
        (62, 84),
        kick=("x.......x.......", "x.......x.x....."),
        snare=BACKBEAT,
        hat=("x.o.x.o.x.o.x.o.",),
        chords=("x.......x.......", "x...x...x...x..."),
    ),
    "waltz": Style(
        3,
        4,
        (96, 180),
        kick=("x...........",),
        snare=("....o...o...", "............"),
        hat=("x...x...x...",),
        chords=("....x...x...", "x...x...x..."),
    ),
    "rock in 3": Style(
        3,
        4,
        (85, 140),
        kick=("x...........", "x.....x....."),
        snare=("....x...x...", "........x..."),
        hat=("x.o.x.o.x.o.",),
        chords=("x...........", "x...x...x..."),
    ),
    "6/8": Style(
        2,
        3,
        (56, 84),
        kick=("x....o", "x....."),
        snare=("...x..",),
        hat=("xooxoo",),
        chords=("x.....", "x..x..", "xxxxxx"),
    ),
    "shuffle": Style(
        4,
        3,
        (92, 150),
        kick=("x.....x.....", "x....ox....."),
        snare=("...x.....x..",),
        hat=("x.ox.ox.ox.o",),
        chords=("x.....x.....", "x..x..x..x.."),
        walk=True,
    ),
    "jazz": Style(
        4,
        3,
        (110, 190),
        kick=("g..g..g..g..", "............"),
        snare=(".....?......", "............"),
        hat=("...o.....o..",),
        open_hat=("x..x.ox..x.o",),
        rides=True,
        chords=("x....x......", "..x.....x..."),
        walk=True,
    ),
    "no drums": Style(
        4,
        4,
        (80, 140),
        chords=("x.x.x.x.x.x.x.x.", "x...x...x...x...", "x..x..x.x..x..x."),
    ),
}
# What else can happen to a song; each is done to one of some styles.
TROUBLES = ("ramp", "step", "gap", "quiet intro", "noise", "loose")
_TROUBLED = ("rock", "house", "disco", "funk", "hiphop", "rock in 3", "shuffle")
KINDS = (*STYLES, *TROUBLES)


@dataclass(frozen=True)
class Song:
    """Sound, (samples,) at RATE, and its events in seconds. Beats go on through rests; ghost notes are drums, too."""

    name: str
    kind: str
    sound: F32
    beats: F64
    downbeats: F64
    metre: int
    onsets: F64
    drums: dict[str, F64]  # kicks, snares, hats


def compose(kind: str, seed: int, *, seconds: float = 30.0) -> Song:
    """Compose a song of a kind (one of KINDS) from a seed."""
    rng = np.random.Generator(np.random.Philox([seed, KINDS.index(kind)]))
    style = STYLES[kind if kind in STYLES else str(rng.choice(_TROUBLED))]
    tempo = float(rng.uniform(*style.tempi))
    start = float(rng.uniform(0.0, 0.6))
    grid = _tempo_map(kind, rng, tempo, start, seconds, style)
    bars = (len(grid) - 1) // style.metre
    score = Score(style, rng, bars)
    onsets: list[tuple[float, float]] = []  # time, level
    drums: dict[str, list[float]] = {"kicks": [], "snares": [], "hats": []}
    beats = grid[: bars * style.metre]
    dry, wet = np.zeros((2, round(seconds * RATE) + RATE))
    gap = _gap(rng, beats, style) if kind == "gap" else (0.0, 0.0)
    drums_from = beats[min(4, bars // 3) * style.metre] if kind == "quiet intro" else 0.0
    loose = rng.uniform(0.006, 0.012) if kind == "loose" else rng.uniform(0, 0.003)
    swing = rng.uniform(*style.swing)
    positions = np.arange(len(grid))
    for part, step, level, sound in score.events:
        beat = step / style.steps
        if style.steps == 4 and round(step * 2) % 4 in (2, 3):  # the second and fourth of four steps swing
            beat += (swing - 0.5) / 2
        time = float(np.interp(beat, positions, grid)) + float(rng.normal(0, loose))
        drum = part not in ("chords", "bass", "lead", "pad")
        if time < 0 or (gap[0] <= time < gap[1] and part != "pad") or (drum and time < drums_from - 0.05):
            continue
        first = round(time * RATE)
        used = sound[: len(dry) - first]
        loud = level * (0.4 if kind == "quiet intro" and time < drums_from - 0.05 else 1.0)
        dry[first : first + len(used)] += loud * used
        if part not in {"kicks", "bass"}:
            wet[first : first + len(used)] += loud * used
        if part != "pad":
            onsets.append((time, level))
        if part in drums:
            drums[part].append(time)
    song = mixed(rng, dry, wet, hiss=(18, 28) if kind == "noise" else (55, 80))[: round(seconds * RATE)]
    return Song(
        f"{kind} {seed} {tempo:.0f}",
        kind,
        song,
        beats,
        beats[:: style.metre],
        style.metre,
        _merged(onsets),
        {name: np.asarray(sorted(times)) for name, times in drums.items()},
    )


def mixed(rng: np.random.Generator, dry: F64, wet: F64, *, hiss: tuple[float, float]) -> F32:
    """The dry signal with reverb of the wet one, and noise at ``hiss`` dB below it."""
    mix = dry + rng.uniform(0.05, 0.3) * play.reverb(rng, wet, float(rng.uniform(0.3, 1.2)))
    mix = np.tanh(rng.uniform(1.0, 2.2) * mix / np.percentile(np.abs(mix), 99.9))
    level = 10 ** (-rng.uniform(*hiss) / 20)
    mix = mix + level * mix.std() * rng.standard_normal(len(mix))
    return np.asarray(mix * rng.uniform(0.3, 0.9) / np.abs(mix).max(), np.float32)


class Score:
    """The arrangement: events (part, step from the first beat, level, sound), bar by bar."""

    def __init__(self, style: Style, rng: np.random.Generator, bars: int, *, everybody: bool = False) -> None:
        self.style, self.rng, self.everybody = style, rng, everybody
        self.events: list[tuple[str, float, float, F64]] = []
        self.length = style.metre * style.steps
        kit = self._kit()
        self.levels = {
            "kicks": rng.uniform(0.7, 1.0),
            "snares": rng.uniform(0.45, 0.8),
            "hats": rng.uniform(0.12, 0.35),
        }
        patterns = {name: self._pick(getattr(style, name)) for name in ("kick", "snare", "hat", "open_hat", "rim")}
        names = {"kick": "kicks", "snare": "snares", "hat": "hats", "open_hat": "hats", "rim": "rim"}
        fills = bool(rng.random() < 0.5) and bool(style.snare)
        for bar in range(bars):
            fill = fills and bar % 4 == 3 and bool(rng.random() < 0.7)
            for name, pattern in patterns.items():
                for step, mark in enumerate(pattern):
                    if mark == "." or (mark == "?" and rng.random() < 0.6):
                        continue
                    if fill and name != "kick" and step >= self.length * 3 // 4:
                        continue
                    loud = {"x": 1.0, "o": 0.65, "g": 0.3, "?": 0.6}[mark] * rng.uniform(0.85, 1.1)
                    part = names[name]
                    level = self.levels.get(part, 0.4) * loud * (0.85 if name == "open_hat" else 1.0)
                    self._add(part, bar, step, level, kit[name])
            if fill:
                self._fill(bar, kit)
            if bar % 8 == 0 and style.snare and rng.random() < 0.5:
                self._add("crash", bar, 0, 0.3, kit["crash"])
        self._harmony(bars)

    def _kit(self) -> dict[str, F64]:
        rng, style = self.rng, self.style
        return {
            "kick": play.kick(rng),
            "snare": play.clap(rng) if style.claps and rng.random() < 0.6 else play.snare(rng),
            "hat": play.hat(rng, float(rng.uniform(0.015, 0.05))),
            "open_hat": play.ride(rng) if style.rides else play.hat(rng, float(rng.uniform(0.08, 0.16))),
            "rim": play.rim(rng),
            "crash": play.crash(rng),
            "high tom": play.tom(rng, 150),
            "low tom": play.tom(rng, 95),
        }

    def _pick(self, patterns: Sequence[str]) -> str:
        return str(self.rng.choice(patterns)) if patterns else ""

    def _add(self, part: str, bar: int, step: float, level: float, sound: F64) -> None:
        self.events.append((part, bar * self.length + step, level, sound))

    def _fill(self, bar: int, kit: dict[str, F64]) -> None:
        first = self.length * 3 // 4
        toms = self.rng.random() < 0.5
        for step in range(first, self.length):
            if toms:
                self._add("tom", bar, step, 0.55, kit["high tom" if step < (first + self.length) / 2 else "low tom"])
            else:
                self._add("snares", bar, step, self.levels["snares"] * self.rng.uniform(0.5, 1.0), kit["snare"])

    def _harmony(self, bars: int) -> None:
        """Chords of one or two bars, keys, a bass, and sometimes a melody and strings."""
        rng, style = self.rng, self.style
        key, minor = int(rng.integers(0, 12)), bool(rng.random() < 0.5)
        scale = np.array([0, 2, 3, 5, 7, 8, 10] if minor else [0, 2, 4, 5, 7, 9, 11])
        degrees = [[0, 5, 2, 6], [0, 3, 4, 0], [0, 4, 5, 3], [0, 0, 3, 4], [0, 6, 5, 6]][int(rng.integers(5))]
        keys, low, tune, strings = play.keys(rng), play.bass(rng), play.lead(rng), play.pad(rng)
        chords = self._pick(style.chords).ljust(self.length, ".")[: self.length]
        every = 1 if rng.random() < 0.7 else 2
        has = {"keys": rng.random() < 0.85 or not style.kick, "lead": rng.random() < 0.5, "pad": rng.random() < 0.5}
        has = dict.fromkeys(has, True) if self.everybody else has
        level = {"keys": rng.uniform(0.08, 0.2), "bass": rng.uniform(0.3, 0.55), "lead": rng.uniform(0.12, 0.3)}
        bass_steps = self._bass_steps()
        sounds: dict[tuple[str, int, int], F64] = {}
        step_seconds = 60 / float(np.mean(style.tempi)) / style.steps

        def note(part: str, voice: play.Voice, midi: int, steps: int) -> F64:
            length = min(3.0 if part == "pad" else 1.5, steps * step_seconds)
            if (part, midi, steps) not in sounds:
                sounds[part, midi, steps] = voice.note(midi, length)
            return sounds[part, midi, steps]

        for bar in range(bars):
            degree = degrees[(bar // every) % len(degrees)]
            root = 36 + (key + int(scale[degree])) % 12
            triad = [48 + (key + int(scale[(degree + third) % 7])) % 12 + 12 * (third == 4) for third in (0, 2, 4)]
            struck = [step for step, mark in enumerate(chords) if mark != "."]
            for step, until in zip(struck, [*struck[1:], self.length], strict=True):
                if has["keys"]:
                    chord = np.asarray(sum(note("keys", keys, midi, self.length)[: RATE * 2] for midi in triad))
                    cut = round((until - step) * step_seconds * RATE)
                    chord = chord[: max(cut, RATE // 8)].copy()
                    fade = min(len(chord), RATE // 40)
                    chord[-fade:] *= np.linspace(1, 0, fade)
                    self._add("chords", bar, step, level["keys"] * rng.uniform(0.85, 1.15), chord)
            for step in bass_steps:
                fifth = 7 if style.walk and step % (2 * style.steps) else 0
                self._add("bass", bar, step, level["bass"], note("bass", low, root + fifth, 2 * style.steps))
            if has["pad"]:
                swell = np.asarray(sum(note("pad", strings, midi, self.length) for midi in triad))
                self._add("pad", bar, 0, 0.06, swell)
            if has["lead"] and bar % 4 != 3:
                for step in range(0, self.length, style.steps if style.steps == 3 else 2):
                    if rng.random() < 0.5:
                        midi = 60 + key + int(scale[int(rng.integers(7))])
                        self._add("lead", bar, step, level["lead"], note("lead", tune, midi, style.steps))

    def _bass_steps(self) -> list[int]:
        """The steps of a bar on which the bass plays: with the kick, on every beat, or at the bar and its middle."""
        style, rng = self.style, self.rng
        if style.walk:
            return list(range(0, self.length, style.steps))
        if style.kick and rng.random() < 0.6:
            return sorted({0, *(step for step, mark in enumerate(self._pick(style.kick)) if mark != ".")})
        half = self.length // 2 if style.metre % 2 == 0 else self.length
        return list(range(0, self.length, style.steps if rng.random() < 0.3 else half))


def _tempo_map(kind: str, rng: np.random.Generator, tempo: float, start: float, seconds: float, style: Style) -> F64:
    """The times of all beats, and of one more."""
    change = float(rng.choice([rng.uniform(0.75, 0.9), rng.uniform(1.12, 1.3)]))
    step_at = seconds * rng.uniform(0.4, 0.6)
    times, drift = [start], 0.0
    while times[-1] < seconds - 0.3:
        here = tempo
        if kind == "ramp":
            here = tempo * change ** (times[-1] / seconds)
        elif kind == "step" and len(times) > 1:
            begun = times[-1] >= step_at and (len(times) - 1) % style.metre == 0
            if begun:
                tempo, step_at = tempo * change, np.inf
            here = tempo
        elif kind == "loose":
            drift = 0.9 * drift + float(rng.normal(0, 0.006))
            here = tempo * (1 + drift)
        times.append(times[-1] + 60 / here)
    return np.asarray(times)


def _gap(rng: np.random.Generator, beats: F64, style: Style) -> tuple[float, float]:
    """A few bars of silence, or of strings alone."""
    bars = len(beats) // style.metre
    first = bars // 2
    length = max(1, round(rng.uniform(3, 6) / (beats[style.metre] - beats[0])))
    return float(beats[first * style.metre]) - 0.02, float(beats[min(bars - 1, first + length) * style.metre]) - 0.02


def _merged(onsets: list[tuple[float, float]]) -> F64:
    """Merge onsets within 30 ms into one, at the time of the loudest."""
    times: list[float] = []
    group: list[tuple[float, float]] = []
    for time, level in sorted(onsets):
        if group and time - group[0][0] > 0.03:
            times.append(max(group, key=lambda each: each[1])[0])
            group = []
        group.append((time, level))
    if group:
        times.append(max(group, key=lambda each: each[1])[0])
    return np.asarray(times)
