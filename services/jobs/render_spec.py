"""Render specs: what a job renders, as plain data, and the key under which equal scenes share their work."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ecs_core import Scene
from ecs_core.audio.filters import filter_banks_digest
from ecs_core.audio.guidance import Guidance
from ecs_core.errors import SceneError
from ecs_core.formats import FACTS, Form, check_length
from ecs_core.output_names import MAIN
from ecs_core.platforms import check_seconds
from ecs_core.plugin_api import ParticleType, particle_types
from ecs_core.plugin_api.layers import all_layers, settings_in_vain
from ecs_core.plugin_api.layers import written_out as layer_written_out
from ecs_core.plugin_api.registry import particle_type as find_type
from ecs_core.rendering.song_part import check_start
from ecs_core.scene.settings import Settings, validate
from ecs_core.scene.variants import VariantSettings
from ecs_core.video.format import SEGMENT_SECONDS, SOUND_SECONDS
from ecs_core.video.quality import QualityLike, check_form, rates_for, wanted
from services.auth.limits import variant_named
from services.storage.asset_references import in_its_shape, references_in, with_files, with_references

SONG = "song"  # stands for any song where only its presence matters
_FORMAT = 7  # of frames, plans, snapshots and tasks: raised by changes within a release
_HEARD = "sonogram"  # what came to analyses last within a release: those without it are made anew
# Settings that came within a release, and what they were before: so set, keys are those from before.
_SINCE: dict[str, Any] = {
    "color_by": None,
    "format": "mp4",
    "alpha": None,
    "platform": None,
    "safe_area": None,
    "shapes": {},
    "subtitles": None,
    "backdrop": None,
    "loop": False,
    "sound": True,
    "variants": [],
}
_LIBRARIES = (
    "motes", "numpy", "numba", "scipy", "soxr", "av", "pillow", "uharfbuzz", "icu4py", "pysubs2",
)  # fmt: skip
_FONTS = ("manimgx-fonts", "manimgx-fonts-cjk")  # of the extra "noto", with which letters are drawn that others lack
VERSION_LENGTH = 12  # characters of a spec key that identify the renderer version


def build_spec(
    particle_type: str,
    config: dict[str, Any],
    audio: str | None,
    quality: QualityLike,
    *,
    at: float | None = None,
    analysis: str | None = None,
    assets: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A scene as plain data with all defaults written out; without its variants, as a spec is of one output.

    ``audio`` is the song's sha256, ``analysis`` that of the owner's correction, ``at`` the time of a frame in seconds,
    ``assets`` the digests of the assets that the config refers to.

    Raises:
        SceneError: the type, the config or the quality is invalid.
    """
    plain = complete_config(particle_type, config, has_song=audio is not None)
    asked = wanted(quality)
    check_form(asked, plain["format"])
    scene = {"type": particle_type, "config": plain | {"variants": []}, "audio": audio, "quality": asked.to_json()}
    more = {"at": at, "analysis": analysis, "assets": dict(assets) if assets else None}
    return scene | {name: value for name, value in more.items() if value is not None}


def build_specs(
    particle_type: str,
    config: dict[str, Any],
    audio: str | None,
    quality: QualityLike,
    *,
    analysis: str | None = None,
    assets: Mapping[str, str] | None = None,
) -> dict[str, dict[str, Any]]:
    """The specs of all outputs of a scene, by name, the main one first; see :func:`build_spec`.

    Raises:
        SceneError: as above; names the variant.
    """
    specs = {}
    for number, (name, own) in enumerate(_configs_of_outputs(particle_type, config).items()):
        with variant_named(number):
            specs[name] = build_spec(particle_type, own, audio, quality, analysis=analysis, assets=assets)
    return specs


def _configs_of_outputs(
    particle_type: str, config: Mapping[str, Any], files: Mapping[str, Path] | None = None
) -> dict[str, dict[str, Any]]:
    """A client's configs for all outputs, by name, the main one first; each has its own shape.

    Raises:
        SceneError: the config is invalid, or names a file of this machine.
    """
    alone = {name: value for name, value in config.items() if name != "variants"}
    if not config.get("variants"):
        return {MAIN: alone}
    meant, references = in_its_shape(particle_type, config)
    plain = with_files(meant, references, files)
    settings = validate(find_type(particle_type).settings, plain, owner=f"particle type {particle_type!r}")
    variants = zip(settings.variant_names(), settings.variants, strict=True)
    return {MAIN: alone, **{name: alone | variant.config() for name, variant in variants}}


def complete_config(
    particle_type: str, config: dict[str, Any], *, has_song: bool, files: Mapping[str, Path] | None = None
) -> dict[str, Any]:
    """A client's config with all defaults written out, those of its layers, too. References to assets stay.

    ``files`` are those of the assets; without, the content of the assets is not checked.

    Raises:
        SceneError: the type or the config is invalid, or names a file of this machine.
    """
    whole: dict[str, Any] = {}
    for number, own in enumerate(_configs_of_outputs(particle_type, config, files).values()):
        meant, references = in_its_shape(particle_type, own)
        plain = with_files(meant, references, files)
        with variant_named(number):
            resolved = Scene(particle_type, audio=SONG if has_song else None, config=plain).resolve()
        whole = whole or with_references(written_out(*resolved), references)
    if config.get("variants"):
        variants = [VariantSettings.model_validate(each).model_dump(mode="json") for each in config["variants"]]
        whole["variants"] = variants
    return whole


def written_out(kind: ParticleType, settings: Settings) -> dict[str, Any]:
    """Settings as a config with all defaults, those of its layers, too.

    Raises:
        SceneError: a layer is invalid.
    """
    plain: dict[str, Any] = settings.model_dump(mode="json")
    all_layers(kind, settings)  # names are those of one layer each
    plain["layers"] = [layer_written_out(layer, number, settings) for number, layer in enumerate(settings.layers)]
    return plain


def warnings_of(scene: dict[str, Any]) -> list[str]:
    """What was set in a valid spec in vain, a line each."""
    config = with_files(scene["config"], references_in(scene["type"], scene["config"]))
    return settings_in_vain(*Scene(scene["type"], audio=SONG if scene["audio"] else None, config=config).resolve())


def migrate_spec(scene: dict[str, Any]) -> dict[str, Any]:
    """A spec of another version, as this version would have built it.

    Raises:
        SceneError: this version cannot render it.
    """
    return build_spec(
        scene["type"],
        scene["config"],
        scene["audio"],
        scene["quality"],
        at=scene.get("at"),
        analysis=scene.get("analysis"),
        assets=scene.get("assets"),
    )


def spec_key(scene: dict[str, Any]) -> str:
    """The key of a spec, 64 characters: its renderer version, then the sha256 of spec and version."""
    version = renderer_version(scene["type"], *_types_of_layers(scene["config"]))
    pieces = SEGMENT_SECONDS, SOUND_SECONDS  # which say what a segment and a piece of the sound are
    return version[:VERSION_LENGTH] + _digest([_as_before(scene), version, *pieces])[VERSION_LENGTH:]


def _types_of_layers(config: Mapping[str, Any]) -> list[str]:
    return [layer["type"] for layer in config.get("layers", ()) if "type" in layer]


def _as_before(scene: dict[str, Any]) -> dict[str, Any]:
    """A spec without settings that are as they were before they could be set, when others like it had their keys."""

    def known(config: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in config.items() if name not in _SINCE or value != _SINCE[name]}

    config = known(scene["config"])
    if "layers" in config:
        config["layers"] = [
            layer | {"config": known(layer["config"])} if "config" in layer else layer for layer in config["layers"]
        ]
    return scene | {"config": config}


def renderable_versions() -> frozenset[str]:
    """Prefixes of the spec keys that this process can render."""
    types = particle_types().types
    return frozenset(
        renderer_version(*names)[:VERSION_LENGTH] for names in (*((name,) for name in types), tuple(types))
    )


def video_seconds(scene: dict[str, Any], seconds: float) -> float:
    """Duration of the video; ``seconds`` is the duration of the song.

    If it lasts from the strongest drop to the end of the song, that is known only after the analysis; then this is the
    duration of the song, and the video is shorter.

    Raises:
        SceneError: the video would begin after the end of the song.
    """
    duration = scene["config"]["duration"]
    start = known_start(scene) or 0.0
    if start and seconds:
        check_start(Fraction(str(start)), Fraction(seconds))
    return seconds - start if duration in (None, "audio") else float(duration)


def check_video(scene: dict[str, Any], seconds: float) -> None:
    """Refuse a video of so many seconds that its format, or the size that is asked for, cannot hold.

    Raises:
        SceneError: as above.
    """
    config = scene["config"]
    form: Form = config.get("format", "mp4")
    try:
        check_length(form, seconds)
        if config.get("platform") is not None:
            check_seconds(config["platform"], seconds)
    except ValueError as error:
        raise SceneError(str(error)) from None
    rates_for(
        wanted(scene["quality"]),
        form,
        pixels=config["width"] * config["height"],
        fps=float(Fraction(str(config["fps"]))),
        seconds=seconds,
        has_sound=scene["audio"] is not None and config.get("sound", True) and FACTS[form].has_sound,
    )


def known_start(scene: dict[str, Any]) -> float | None:
    """The second of the song at which the video begins; None if only the analysis can tell."""
    start = scene["config"].get("start", 0.0)
    return None if start == "drop" else float(start)


@functools.cache  # what is installed later is not loaded in this process
def renderer_version(*types: str) -> str:
    """The sha256 of the versions of everything that affects analysis and frames of scenes of these types.

    Where they come from several plugins, it is that of all that are loaded: there would be too many combinations.
    """
    plugins = particle_types().plugins
    all_of_them = len({plugin.distribution for plugin in plugins if set(plugin.types) & set(types)}) > 1
    versions = {name: version(name) for name in _LIBRARIES} | {name: _version_if_any(name) for name in _FONTS}
    versions |= {"format": str(_FORMAT), "filter banks": filter_banks_digest()}
    for plugin in plugins:
        used = plugin.types if all_of_them else set(plugin.types) & set(types)
        if plugin.failure is None and (plugin.features or used):
            versions[plugin.distribution] = plugin.version
    return _digest(versions)


def _version_if_any(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def analysis_version(guidance: Guidance, track: int | None) -> str:
    """The sha256 of everything that affects the analysis of a song: versions, guidance and track."""
    return _digest([renderer_version(), guidance.to_json(), track, _HEARD])


def _digest(data: object) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
