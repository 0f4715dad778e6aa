"""The arguments that describe a scene, shared by ``render`` and ``frame``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecs_core.errors import SceneError
from ecs_core.formats import FORMS
from ecs_core.platforms import FACTS, PLATFORMS
from services.cli.slots import Slots, add_template_arguments

if TYPE_CHECKING:
    from ecs_core.scene.scene import Scene


_USUAL = "enhanced"  # particle type


def add_scene_arguments(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add SONG, and options for the type and its settings, a template and its slots, the output, and the part of the
    song. With ``several``, songs are a list, ``songs``.
    """
    if several:
        help = "any audio or video file; several: a video of each, into the folder OUT; none: silence"
        parser.add_argument("songs", nargs="*", metavar="SONG", type=Path, help=help)
    else:
        parser.add_argument("song", nargs="?", metavar="SONG", type=Path, help="any audio or video file; none: silence")
    parser.add_argument("--type", help=f"particle type, see `motes types` (default: {_USUAL})")
    parser.add_argument("--preset", metavar="NAME", help="a look that comes with the type, see `motes types`")
    add_template_arguments(parser)
    parser.add_argument("--config", metavar="FILE.json", type=Path, help="settings of the type, as JSON")
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="one setting, over --config; may be repeated"
    )
    parser.add_argument(
        "--platform", choices=PLATFORMS, help="where it is posted: size, safe area, and limits that are checked"
    )
    parser.add_argument("--size", metavar="WxH", help="picture size (default: the platform's, or 1920x1080)")
    parser.add_argument(
        "--format", choices=FORMS, help="what is written (default: what the output's name ends in, or mp4)"
    )
    parser.add_argument("--fps", help="frames a second: 30, 29.97, 30000/1001 (default: 30)")
    parser.add_argument(
        "--duration", metavar="SECONDS|audio", help="length (default: the song's, or 10 s where there is no song)"
    )
    parser.add_argument("--track", metavar="N", type=int, help="sound track of a file that has several, from 0")
    parser.add_argument(
        "--start",
        metavar="SECONDS|drop",
        help="where in the song the video begins; drop: a bar before the strongest one (default: 0)",
    )
    parser.add_argument("--fade-in", metavar="SECONDS", type=float, help="from black and silence (default: 0)")
    parser.add_argument("--fade-out", metavar="SECONDS", type=float, help="to black and silence (default: 0)")
    parser.add_argument(
        "--analysis", metavar="FILE.json", type=Path, help="what is heard in the song, from `motes analyze`, corrected"
    )
    parser.add_argument("--seed", type=int, help="another seed, another video (default: 0)")


def scene_from(arguments: argparse.Namespace, folder: Path | None = None) -> Scene:
    """Build the scene: --config overrides --template or --preset, --set overrides all of them, named options override
    everything. Of several songs it is that of the first.

    ``folder`` is where the cover and the lyrics that a song holds are written, for as long as the scene is used; None:
    they are left out.

    Raises:
        SceneError: names the invalid argument.
        AudioError: a template needs the song's tags, and it cannot be read.
    """
    from ecs_core.scene.scene import Scene

    song: Path | None = arguments.song if "song" in arguments else next(iter(arguments.songs), None)
    slots = Slots(arguments, song, folder)
    if arguments.template is None:
        kind, config = arguments.type or _USUAL, {}
        if arguments.preset is not None:
            config = dict(_preset(kind, arguments.preset))
    else:
        for name in ("type", "preset"):
            if getattr(arguments, name) is not None:
                raise SceneError(f"--{name} {getattr(arguments, name)}: a template has a type of its own; give one")
        kind, config = slots.filled()
    if arguments.config is not None:
        config |= _read_config(arguments.config)
    for assignment in arguments.set:
        _assign(config, assignment)
    config = slots.with_cover_colours(config)
    named: dict[str, Any] = {}
    if arguments.size is not None:
        named["width"], named["height"] = _size(arguments.size)
    if arguments.fps is not None:
        named["fps"] = arguments.fps
    if arguments.platform is not None:
        named["platform"] = arguments.platform
    platform = named.get("platform", config.get("platform"))
    if arguments.duration is not None:
        named["duration"] = _duration(arguments.duration)
    elif song is not None and not (platform in PLATFORMS and FACTS[platform].seconds):
        config.setdefault("duration", "audio")
    if arguments.start is not None:
        named["start"] = _start(arguments.start)
    for name in ("format", "fade_in", "fade_out", "track", "seed"):
        if (value := getattr(arguments, name)) is not None:
            named[name] = value
    # These have no parts; an object (from --set width.x=3, say) is kept so that it is refused.
    config |= {name: value for name, value in named.items() if not isinstance(config.get(name), dict)}
    return Scene(kind, audio=song, config=config, analysis=arguments.analysis)


def _preset(kind: str, name: str) -> Mapping[str, Any]:
    """The config of a preset; errors name the type that has it."""
    from ecs_core.plugin_api import particle_type, particle_types

    try:
        return particle_type(kind).preset(name)
    except SceneError as error:
        having = [other for other, each in particle_types().types.items() if name in each.preset_names()]
        if not having or kind in having or kind not in particle_types().types:
            raise
        raise SceneError(f"{error}; --type {' or '.join(having)} has it") from None


def _read_config(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SceneError(f"--config {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # invalid bytes or syntax, a number too long, or brackets too deep
        raise SceneError(f"--config {path}: is not valid JSON: {error}") from None
    if not isinstance(values, dict):
        raise SceneError(f'--config {path}: must be a JSON object such as {{"particle_count": 500}}')
    return values


def _assign(config: dict[str, Any], assignment: str) -> None:
    key, equals, text = assignment.partition("=")
    if not equals or not key:
        raise SceneError(f"--set {assignment}: must be KEY=VALUE, for example particle_count=500")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # also a number with thousands of digits
        value = text
    *parents, last = key.split(".")
    for parent in parents:
        config = config.setdefault(parent, {})
        if not isinstance(config, dict):
            raise SceneError(f"--set {assignment}: {parent} has no parts")
    config[last] = value


def _size(text: str) -> tuple[int, int]:
    from ecs_core.scene.variants import picture_size

    try:
        return picture_size(text)
    except ValueError as error:
        raise SceneError(f"--size {text}: {error}") from None


def _start(text: str) -> float | str:
    try:
        return text if text == "drop" else float(text)
    except ValueError:
        raise SceneError(f'--start {text}: must be seconds, or "drop" for a bar before the strongest drop') from None


def _duration(text: str) -> float | str:
    if text == "audio":
        return text
    try:
        return float(text)
    except ValueError:
        raise SceneError(f'--duration {text}: must be seconds, or "audio" for the song\'s own length') from None
