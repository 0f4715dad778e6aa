"""Analysis documents: write and read an analysis as JSON or as a compact binary.

Both formats name their schema and version. A document that was corrected by hand is validated; what it leaves out, such
as curves, is taken from the analysis of the song.
"""

from __future__ import annotations

import json
import struct
import weakref
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from ecs_core.audio.analysis import Analysis
from ecs_core.audio.bars import counted
from ecs_core.audio.beats import tempo_curve, tempo_of
from ecs_core.audio.catalogue import EVENTS, FEATURES
from ecs_core.audio.guidance import AS_HEARD, Guidance
from ecs_core.audio.onsets import SECONDS_PER_HOP
from ecs_core.audio.sonogram import TABLES, Sonogram
from ecs_core.audio.stored_rows import read_npy, write_npy
from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.errors import SceneError
from ecs_core.validation_messages import error_message

SCHEMA, VERSION = "motes-analysis", 1

Seconds = Annotated[float, Field(ge=0, le=86_400)]
Share = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[float, Field(ge=-1e6, le=1e6)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Events(_Model):
    """Events of one kind: ascending times in seconds, and how strong each is, 0–1."""

    times: tuple[Seconds, ...] = Field(max_length=1_000_000, description="seconds, ascending", examples=[[0.5, 1.0]])
    strengths: tuple[Share, ...] | None = Field(None, description="0–1, one for each time")

    @model_validator(mode="after")
    def _right(self) -> Events:
        if any(a >= b for a, b in zip(self.times, self.times[1:], strict=False)):
            at = next(
                number for number, (a, b) in enumerate(zip(self.times, self.times[1:], strict=False), 1) if a >= b
            )
            raise ValueError(f"times must ascend; times.{at} = {self.times[at]:g} comes after {self.times[at - 1]:g}")
        if self.strengths is not None and len(self.strengths) != len(self.times):
            raise ValueError(f"there are {len(self.times)} times but {len(self.strengths)} strengths")
        return self


def _shape(values: Any) -> str:
    """The shape of a curve from its first value, so that errors refer to that branch of the union only."""
    return "rows" if isinstance(values, list) and values and isinstance(values[0], list) else "numbers"


class Curve(_Model):
    """A curve on the analysis grid; ``values`` has rows where the curve has several columns."""

    unit: str = Field("", max_length=100)
    values: Annotated[
        Annotated[tuple[Number, ...], Field(max_length=20_000_000), Tag("numbers")]
        | Annotated[tuple[tuple[Number, ...], ...], Field(min_length=1, max_length=20_000_000), Tag("rows")],
        Discriminator(_shape),
    ] = Field(examples=[[0.1, 0.2]])
    kind: Literal["hit", "slow"] | None = Field(None, description="of a plugin's feature")


class Document(_Model):
    """What Motes heard in a song, or what somebody corrected of it."""

    schema_: Literal["motes-analysis"] = Field(alias="schema")
    version: Literal[1]
    duration: float = Field(gt=0, le=86_400, description="seconds of the song")
    exact_duration: str | None = Field(
        None, description="the same as an exact fraction", pattern=r"^\d{1,12}(/[1-9]\d{0,11})?$"
    )
    tempo: float = Field(0.0, ge=0, le=1000, description="beats a minute; 0: none")
    metre: int = Field(0, ge=0, le=32, description="beats a bar; 0: none")
    loudness: float = Field(-70.0, ge=-70, le=30, description="of the whole song by BS.1770, LUFS")
    key: str = Field("", max_length=20, description='a hint, such as "A minor"')
    peak: float | None = Field(
        None, ge=0, le=1e8, description="the highest sample of the song mixed to stereo; 1: full"
    )
    confidence: dict[str, Share] = Field(default_factory=dict, description="how far to trust what can be wrong")
    events: dict[str, Events] = Field(default_factory=dict, description="what happens when")
    labels: tuple[Annotated[str, Field(max_length=20)], ...] = Field(
        (), description="a letter for each section; the same: they are alike", examples=[["A", "B", "A"]]
    )
    step: float = Field(SECONDS_PER_HOP, description="seconds between values of curves")
    curves: dict[str, Curve] | None = Field(None, description="in natural units; left out: as Motes heard them")
    warnings: tuple[str, ...] = ()
    # What a video sees, for programs that want no more than that; not read back.
    fps: Any = Field(None, description="frames a second of ``features``")
    features: Any = Field(None, description="by name, a value of 0–1 for each video frame")
    onsets: Any = Field(None, description="the times of ``events``")
    beats: Any = Field(None, description="likewise")

    @property
    def seconds(self) -> Fraction:
        """The song's duration, exact if the document states it."""
        return Fraction(self.exact_duration or str(self.duration))

    @model_validator(mode="after")
    def _fits(self) -> Document:
        if self.exact_duration is not None:
            if abs(float(self.seconds) - self.duration) > 1e-3:
                raise ValueError("exact_duration must be the duration, as a fraction")
            if self.seconds.denominator > 1e7:
                raise ValueError("exact_duration must be a fraction of samples")
        for name, of_kind in self.events.items():
            if name not in EVENTS:
                raise ValueError(f"events.{name}: no such event; there are: {', '.join(EVENTS)}")
            if of_kind.times and of_kind.times[-1] > float(self.seconds) + 1e-6:
                raise ValueError(f"events.{name}: {of_kind.times[-1]:g} s is after the end of the song")
        if abs(self.step - SECONDS_PER_HOP) > 1e-6:
            raise ValueError(f"step = {self.step:g}: must be {SECONDS_PER_HOP:.6f}, which all curves have, or left out")
        if "sections" in self.events and len(self.labels) != len(self.events["sections"].times):
            raise ValueError(f"there are {len(self.events['sections'].times)} sections but {len(self.labels)} labels")
        return self


def _facts(analysis: Analysis) -> dict[str, Any]:
    """The document without curves as plain data; times to a microsecond."""
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "duration": float(analysis.exact_duration),
        "exact_duration": str(analysis.exact_duration),
        "tempo": round(analysis.tempo, 3),
        "metre": analysis.metre,
        "loudness": analysis.loudness,
        "key": analysis.key,
        "peak": analysis.peak,
        "confidence": {name: round(float(value), 4) for name, value in analysis.confidence.items()},
        "events": {name: _events(analysis, name) for name in analysis.events},
        "labels": list(analysis.labels),
        "step": SECONDS_PER_HOP,
        "warnings": list(analysis.warnings),
    }


def pieces(analysis: Analysis, *, curves: bool = True, seen: FeatureTimeline | None = None) -> Iterator[str]:
    """The document as JSON, one curve per piece, so that hours of music need little memory; curves to four digits.

    With ``seen``, it includes the timeline: {fps, features: {name: a value per frame}, onsets, beats}.
    """
    facts = _facts(analysis)
    if seen is not None:
        told = replace(seen, features={}).to_json()
        facts = {name: told[name] for name in ("fps", "onsets", "beats")} | facts
    yield json.dumps(facts, ensure_ascii=False).removesuffix("}")
    if seen is not None:
        yield from _members("features", seen.features, seen.values)
    if curves:
        yield from _members("curves", analysis.curves, lambda name: _curve(analysis, name))
    yield "}"


def _members(key: str, names: Iterable[str], value: Callable[[str], Any]) -> Iterator[str]:
    """An object as the next member of the enclosing object."""
    yield f', "{key}": '
    for number, name in enumerate(names):
        yield f"{', ' if number else '{'}{json.dumps(name)}: {json.dumps(value(name), ensure_ascii=False)}"
    yield "}"


def _curve(analysis: Analysis, name: str) -> dict[str, Any]:
    unit = next((feature.unit for feature in FEATURES if feature.curve == name), "0–1")
    found = {"unit": unit, "values": _digits(analysis.curves[name])}
    return found | ({"kind": analysis.added[name]} if name in analysis.added else {})


def _events(analysis: Analysis, name: str) -> dict[str, Any]:
    # Rounded down, so that the last event is not after the end of the song.
    found: dict[str, Any] = {"times": (np.floor(analysis.events[name] * 1e6) / 1e6).tolist()}
    if name in analysis.strengths:
        found["strengths"] = [round(float(value), 4) for value in analysis.strengths[name]]
    return found


def _digits(values: NDArray[np.float32]) -> list[Any]:
    """Values rounded to four significant digits."""
    exact = values.astype(np.float64)
    size = np.floor(np.log10(np.maximum(np.abs(exact), 1e-12)))
    scale = 10.0 ** (3 - size)
    rounded: list[Any] = (np.round(exact * scale) / scale).tolist()
    return rounded


def check(plain: Any, *, where: str) -> Document:
    """Validate a document given as plain data.

    Raises:
        SceneError: not a document, of another version, or with an invalid value; the message says what is allowed.
    """
    if not isinstance(plain, dict) or plain.get("schema") != SCHEMA:
        raise SceneError(f'{where}: is not an analysis: "schema" must be "{SCHEMA}"; `motes analyze` writes one')
    if plain.get("version") != VERSION:
        raise SceneError(f"{where}: version {plain.get('version')!r:.40}: this Motes reads version {VERSION}")
    try:
        return Document.model_validate(plain)
    except ValidationError as error:
        raise SceneError(f"{where}: {error_message(error, Document, 'an analysis', kind='field')}") from None


def read(path: Path) -> Document:
    """Read a document from a JSON file.

    Raises:
        SceneError: as :func:`check`, or the file cannot be read.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SceneError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise SceneError(f"{path}: is not JSON: {error}") from None
    return check(plain, where=str(path))


def corrected(heard: Analysis, document: Document, guidance: Guidance = AS_HEARD) -> Analysis:
    """Apply a corrected document to the analysis of a song: whatever the document contains takes precedence.

    If beats were changed, the tempo, its curve and the downbeats are derived from them, and if the metre was changed,
    the downbeats, unless the document changes these too.

    Raises:
        SceneError: the document is of another song, or its labels do not match its sections.
    """
    if abs(float(document.seconds - heard.exact_duration)) > 1e-3:
        said, has = float(document.seconds), float(heard.exact_duration)
        raise SceneError(f"the analysis is of another song: duration {said:g} s, this one has {has:g} s")
    found = _with(heard, document)
    if len(found.labels) != len(found.events["sections"]):
        raise SceneError(f"there are {len(found.events['sections'])} sections but {len(found.labels)} labels")
    ignored = [
        f"{name} {value}: the analysis that was given has {what} of its own"
        for name, value in guidance.to_json().items()
        if (what := "downbeats" if name == "metre" else "beats") in document.events and not _same(found, heard, what)
    ]
    return replace(_consistent(found, heard), warnings=(*heard.warnings, *ignored))


def _with(heard: Analysis, document: Document) -> Analysis:
    given = document.model_fields_set
    events, strengths = dict(heard.events), dict(heard.strengths)
    for name, of_kind in document.events.items():
        events[name] = np.asarray(of_kind.times, np.float64)
        strengths.pop(name, None)
        if of_kind.strengths is not None:
            strengths[name] = np.asarray(of_kind.strengths, np.float32)
    hops = len(heard.curves["rms"])
    curves = dict(heard.curves)
    for name, curve in (document.curves or {}).items():
        values = np.asarray(curve.values, np.float32)
        if name not in curves:
            continue  # a plugin's that is not installed here
        if values.shape != curves[name].shape:
            raise SceneError(f"curves.{name}: has shape {values.shape}, not {curves[name].shape}: {hops} values")
        curves[name] = values
    facts = {name: getattr(document, name) for name in ("tempo", "metre", "loudness", "key", "labels") if name in given}
    confidence = {**heard.confidence, **document.confidence}
    return replace(heard, events=events, strengths=strengths, curves=curves, confidence=confidence, **facts)


def _consistent(found: Analysis, heard: Analysis) -> Analysis:
    """Update what depends on beats and metre if these were changed and it was not."""
    beats, other = found.events["beats"], not _same(found, heard, "beats")
    if other and abs(found.tempo - heard.tempo) < 1e-3:
        found = replace(found, tempo=tempo_of(beats))
    if other and np.allclose(found.curves["tempo"], heard.curves["tempo"], rtol=1e-3):
        found = replace(found, curves={**found.curves, "tempo": _tempo_curve(found)})
    if (other or found.metre != heard.metre) and _same(found, heard, "downbeats"):
        downbeats = counted(beats, found.metre, heard.events["downbeats"])
        found = replace(found, events={**found.events, "downbeats": downbeats})
    return found


def _tempo_curve(analysis: Analysis) -> NDArray[np.float32]:
    times: NDArray[np.float64] = np.arange(len(analysis.curves["tempo"]), dtype=np.float64) * SECONDS_PER_HOP
    return tempo_curve(analysis.events["beats"], times)


def _same(one: Analysis, other: Analysis, name: str) -> bool:
    """Whether events equal those of the other analysis, to a document's precision."""
    times, others = one.events[name], other.events[name]
    return len(times) == len(others) and bool((np.abs(times - others) < 2e-6).all())


def whole(document: Document, more: Sequence[str]) -> Analysis | None:
    """The analysis in a complete document, including the plugin features named ``more``.

    None if something is missing, or if beats were changed but not what depends on them.
    """
    curves = document.curves or {}
    if not (document.events.keys() >= EVENTS.keys() and document.model_fields_set >= {"tempo", "metre", "labels"}):
        return None
    if not {*(feature.curve for feature in FEATURES if feature.curve), *more} <= curves.keys():
        return None
    found = {name: np.asarray(curve.values, np.float32) for name, curve in curves.items()}
    hops = len(found["rms"])
    for name, values in found.items():
        shape = (hops, 12) if name == "chroma" else (hops,)
        if values.shape != shape:
            raise SceneError(f"curves.{name}: has shape {values.shape}, not {shape}")
    nothing = Analysis(
        document.seconds,
        0.0,
        found,
        {name: np.zeros(0) for name in EVENTS},
        peak=document.peak,
        added={name: curve.kind for name, curve in curves.items() if curve.kind is not None},
    )
    given = _with(nothing, document)
    beats, downbeats = given.events["beats"], given.events["downbeats"]
    follows = np.allclose(given.curves["tempo"], _tempo_curve(given), rtol=2e-3)
    return given if follows and np.isin(downbeats, beats).all() else None


def save(analysis: Analysis, path: Path) -> None:
    """Write the compact binary: arrays and JSON in an ``.npz``, without pickle; lossless.

    Raises:
        OSError: the file cannot be written.
    """
    facts = _facts(analysis) | {"tempo": analysis.tempo, "added": dict(analysis.added)}
    facts |= {"confidence": dict(analysis.confidence), "events": list(analysis.events)}
    arrays: dict[str, Any] = {f"curve:{name}": values for name, values in analysis.curves.items()}
    arrays |= {f"event:{name}": values for name, values in analysis.events.items()}
    arrays |= {f"strength:{name}": values for name, values in analysis.strengths.items()}
    if analysis.sonogram is not None:
        arrays["loudest"] = analysis.sonogram.loudest
        facts["wave_peak"] = analysis.sonogram.peak
    with path.open("wb") as file:  # numpy would add its own suffix to a name
        np.savez(file, facts=np.array(json.dumps(facts)), **arrays)
    if analysis.sonogram is not None:
        _add_sonogram(analysis.sonogram, path)


def _add_sonogram(sonogram: Sonogram, path: Path) -> None:
    with zipfile.ZipFile(path, "a") as kept:
        for name in TABLES:
            with kept.open(f"sonogram:{name}.npy", "w", force_zip64=True) as file:
                write_npy(file, getattr(sonogram, name))


def _sonogram_in(path: Path, loudest: NDArray[np.uint8], peak: int) -> Sonogram:
    """The sonogram of a file, which is read from it when it is looked at, and which may be deleted then."""
    with zipfile.ZipFile(path) as kept:
        begins = {name: kept.getinfo(f"sonogram:{name}.npy").header_offset for name in TABLES}
    tables: dict[str, Any] = {}
    for name, header in begins.items():
        file = path.open("rb")
        file.seek(header + 26)  # where the lengths are of what is before the data
        file.seek(header + 30 + sum(struct.unpack("<HH", file.read(4))))
        tables[name] = read_npy(file)
        weakref.finalize(tables[name], file.close)
    return Sonogram(**tables, loudest=loudest, peak=peak)


def load(path: Path) -> Analysis:
    """Read a file of :func:`save`. Its sonogram is read when it is looked at; the file may be deleted then.

    Raises:
        SceneError: not such a file, or of another version.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            facts = json.loads(str(kept["facts"]))
            if facts.get("schema") != SCHEMA or facts.get("version") != VERSION:
                raise SceneError(f"{path}: version {facts.get('version')!r}: this Motes reads version {VERSION}")
            curves, events, strengths = (
                {name.removeprefix(kind): kept[name] for name in kept.files if name.startswith(kind)}
                for kind in ("curve:", "event:", "strength:")
            )
            loudest = kept["loudest"] if "loudest" in kept.files else None
        sonogram = None if loudest is None else _sonogram_in(path, loudest, facts["wave_peak"])
    except OSError as error:
        raise SceneError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise SceneError(f"{path}: is not an analysis: {error}") from None
    return Analysis(
        Fraction(facts["exact_duration"]),
        facts["tempo"],
        curves,
        {name: events[name] for name in facts["events"]},
        tuple(facts["warnings"]),
        strengths,
        tuple(facts["labels"]),
        facts["metre"],
        facts["loudness"],
        facts["key"],
        facts["confidence"],
        facts["added"],
        facts.get("peak"),
        sonogram,
    )
