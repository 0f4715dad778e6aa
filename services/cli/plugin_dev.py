"""``motes plugin dev PATH``: preview a plugin that is not installed, again whenever a file is saved."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ecs_core.errors import PluginError

_SIZE = ("--size", "640x360")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("path", metavar="PATH", type=Path, help="the plugin's folder, with its pyproject.toml")
    parser.add_argument("--song", type=Path, help="any audio or video file; none: silence")
    parser.add_argument("--type", help="which of the plugin's types (default: the first)")
    parser.add_argument("--preset", help="a preset of the type")
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="a setting, as for motes render"
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="length of the preview (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, help="the preview (default: PATH/preview.mp4)")
    parser.add_argument("--once", action="store_true", help="render once and leave")


def run(arguments: argparse.Namespace) -> None:
    """Render; then watch for changes, unless --once is given."""
    folder: Path = arguments.path.resolve()
    output: Path = arguments.output or arguments.path / "preview.mp4"
    from ecs_core.plugin_api.registry import declared

    declared(folder)  # fails at once if there is no plugin
    if arguments.once:
        if code := _preview(arguments, folder, output):
            raise SystemExit(code)  # the render has printed why
        return
    from watchfiles import watch

    changes = watch(folder, watch_filter=_ours(folder, output.resolve()), yield_on_timeout=True, rust_timeout=200)
    next(changes)  # watching starts before the first preview, so no change is missed
    _try(arguments, folder, output)
    print(f"watching {arguments.path}; Ctrl-C to leave", flush=True)
    for changed in changes:
        if changed:
            _try(arguments, folder, output)


def _ours(folder: Path, output: Path) -> Callable[[object, str], bool]:
    """Whether a change is the author's: not the preview, hidden files or caches."""
    from watchfiles import Change, DefaultFilter

    usual = DefaultFilter()

    def ours(change: object, path: str) -> bool:
        parts = Path(path).relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts)
        return Path(path) != output and not hidden and usual(Change.modified, str(Path(*parts)))

    return ours


def _try(arguments: argparse.Namespace, folder: Path, output: Path) -> None:
    """Render a preview; an error is printed, and watching goes on."""
    try:
        _preview(arguments, folder, output)
    except PluginError as error:
        print(f"motes: error: {error}", file=sys.stderr, flush=True)


def _preview(arguments: argparse.Namespace, folder: Path, output: Path) -> int:
    """Render a preview in a new process, which loads the current files; returns its exit code.

    Raises:
        PluginError: the plugin does not load, or has no such type.
    """
    from ecs_core.plugin_api.registry import declared

    names = declared(folder)
    environment = {**os.environ, "MOTES_PLUGIN_PATH": str(folder)}
    environment.pop("MOTES_PLUGINS", None)  # it would have to name this plugin
    motes = (sys.executable, "-P", "-m", "services.cli.main")  # -P keeps the author's folder off the import path
    listing = (*motes, "plugin", "list", "--json")
    listed = subprocess.run(listing, env=environment, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        raise PluginError(f"{folder}: {(listed.stderr.splitlines() or ['no plugin could be listed'])[-1]}")
    # The last line, as the plugin's modules may print.
    mine = [plugin for plugin in json.loads(listed.stdout.splitlines()[-1]) if plugin["name"] in names]
    for plugin in mine:
        if plugin["failure"]:
            raise PluginError(f"{plugin['name']}: {plugin['failure']}")
    types = [name for plugin in mine for name in plugin["types"]]
    if not types:
        raise PluginError("the plugin has no particle type: its motes_particle_types registers none")
    if arguments.type is not None and arguments.type not in types:
        raise PluginError(f"the plugin has no type {arguments.type}; it has: {', '.join(types)}")
    song = () if arguments.song is None else (str(arguments.song),)
    chosen = ("--type", arguments.type or types[0], "--quality", "draft", "-o", str(output))
    given = {assignment.partition("=")[0].strip() for assignment in arguments.set}
    size = () if given & {"width", "height"} else _SIZE
    length = () if "duration" in given else ("--duration", str(arguments.seconds))
    preset = () if arguments.preset is None else ("--preset", arguments.preset)
    settings = [word for assignment in arguments.set for word in ("--set", assignment)]
    command = (*motes, "render", *song, *chosen, *size, *length, *preset, *settings)
    return subprocess.run(command, env=environment, check=False).returncode
