"""Generated songs of known form: which instruments play in each section, which sections are alike, and the drops."""

from __future__ import annotations

from dataclasses import dataclass

import mir_eval
import numpy as np
from numpy.typing import NDArray

from . import instruments as play
from .compositions import RATE, STYLES, Score, mixed

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

DRUMS = frozenset({"kicks", "snares", "hats", "rim", "tom"})
PLAYS = {  # the instruments of each section
    "intro": frozenset({"chords", "pad"}),
    "verse": DRUMS | {"bass", "chords"},
    "chorus": DRUMS | {"crash", "bass", "chords", "pad", "lead"},
    "break": frozenset({"pad", "lead"}),
    "outro": frozenset({"chords", "hats"}),
}
LEVEL = {"intro": 0.7, "verse": 0.75, "chorus": 1.0, "break": 0.8, "outro": 0.6}
FORMS = {  # sections and their bars; a riser fills the second half of a break
    "pop": (("intro", 4), ("verse", 8), ("chorus", 8), ("verse", 8), ("chorus", 8), ("break", 8), ("chorus", 8)),
    "club": (("intro", 8), ("chorus", 8), ("break", 8), ("chorus", 8), ("outro", 8)),
    "ballad": (("intro", 4), ("verse", 8), ("chorus", 8), ("break", 4), ("verse", 8), ("chorus", 8), ("outro", 4)),
}
GROOVES = ("rock", "house", "disco", "hiphop", "funk", "latin")


@dataclass(frozen=True)
class Formed:
    """Sound, (samples,) at RATE; the start and label of each section, and the drops: where kick and bass return after a
    section without them.
    """

    name: str
    sound: F32
    sections: F64
    labels: tuple[str, ...]
    drops: F64


def arrange(form: str, seed: int) -> Formed:
    """Compose a song of a form (one of FORMS) from a seed."""
    rng = np.random.Generator(np.random.Philox([seed, list(FORMS).index(form), 77]))
    groove = str(rng.choice(GROOVES))
    style = STYLES[groove]
    step = 60 / float(rng.uniform(*style.tempi)) / style.steps
    start = float(rng.uniform(0.0, 0.3))
    form_of = [name for name, bars in FORMS[form] for _ in range(bars)]
    score = Score(style, rng, len(form_of), everybody=True)
    bar = score.length * step
    end = start + len(form_of) * bar
    dry, wet = np.zeros((2, round((end + 4) * RATE)))
    for part, at, level, sound in score.events:
        section = form_of[min(len(form_of) - 1, int(at // score.length))]
        if part not in PLAYS[section]:
            continue
        first = round(max(0.0, start + at * step + float(rng.normal(0, 0.002))) * RATE)
        loud = level * LEVEL[section] * (3.0 if part == "pad" else 1.0)
        dry[first : first + len(sound)] += loud * sound[: len(dry) - first]
        if part not in {"kicks", "bass"}:
            wet[first : first + len(sound)] += loud * sound[: len(dry) - first]
    starts = start + bar * np.cumsum([0, *(bars for _, bars in FORMS[form])])[:-1]
    names = tuple(name for name, _ in FORMS[form])
    for at, (name, bars) in zip(starts, FORMS[form], strict=True):
        if name == "break":
            rise = _riser(rng, bars * bar / 2)
            first = round((at + bars * bar / 2) * RATE)
            dry[first : first + len(rise)] += rise
    low = ["bass" in PLAYS[name] for name in names]
    drops = [at for at, now, before in zip(starts[1:], low[1:], low, strict=False) if now and not before]
    song = mixed(rng, dry, wet, hiss=(55, 80))[: round(end * RATE)]
    return Formed(f"{form} {seed} {groove}", song, np.asarray([0.0, *starts[1:]]), names, np.asarray(drops))


def score(song: Formed, sections: F64, labels: tuple[str, ...], drops: F64) -> dict[str, float]:
    """Scores of a detected form: F of section starts within 0.5 and 3 s, F of pairs of similar moments, and precision
    and recall of drops within 0.1 s.
    """
    end = len(song.sound) / RATE
    true, found = (np.stack([times, [*times[1:], end]], axis=1) for times in (song.sections, sections))
    matched = len(mir_eval.util.match_events(song.drops, drops, 0.1))
    return {
        "begin 0.5 s": mir_eval.segment.detection(true, found, window=0.5, trim=True)[2],
        "3 s": mir_eval.segment.detection(true, found, window=3, trim=True)[2],
        "alike": mir_eval.segment.pairwise(true, list(song.labels), found, list(labels))[2],
        "drops true": matched / len(drops) if len(drops) else 0.0,
        "found": matched / len(song.drops),
    }


def _riser(rng: np.random.Generator, seconds: float) -> F64:
    """Swelling noise and an accelerating snare roll."""
    count = round(seconds * RATE)
    rising = np.linspace(0, 1, count)
    sound = rng.uniform(0.1, 0.3) * rising**2 * play.filtered(rng.standard_normal(count), 600, 14_000, 1)
    snare = play.snare(rng)
    for share in 1 - 0.5 ** np.linspace(0, 4, 48):
        first = round(share * count)
        sound[first : first + len(snare)] += (0.1 + 0.25 * share) * snare[: count - first]
    return np.asarray(sound)
