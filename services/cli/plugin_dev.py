"""``motes plugin dev PATH``: a short preview of a plugin that is not installed, again whenever a file is saved."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

from ecs_core.errors import PluginError

_QUICK = ("--size", "640x360", "--quality", "draft")


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
    """Render; then watch, unless --once."""
    folder: Path = arguments.path
    names = _entry_points(folder)
    output: Path = arguments.output or folder / "preview.mp4"
    environment = {**os.environ, "MOTES_PLUGIN_PATH": str(folder.absolute())}
    if arguments.once:
        if not _preview(arguments, names, output, environment):
            raise PluginError(f"{folder}: no preview was rendered")
        return
    from watchfiles import DefaultFilter, watch  # noqa: PLC0415

    ignored = DefaultFilter(ignore_paths=[output.absolute()], ignore_entity_patterns=(r"^\.", r"\.part$", r"\.pyc$"))
    changes = watch(folder, watch_filter=ignored, yield_on_timeout=True, rust_timeout=200)
    next(changes)  # watching from before the first preview on: what is saved while it is rendered counts
    _preview(arguments, names, output, environment)
    print(f"watching {folder}; Ctrl-C to leave", flush=True)
    for changed in changes:
        if changed:
            _preview(arguments, names, output, environment)


def _entry_points(folder: Path) -> set[str]:
    """The names of the plugins that a folder's pyproject.toml declares."""
    file = folder / "pyproject.toml"
    try:
        project = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PluginError(f"{file}: {getattr(error, 'strerror', None) or error}") from None
    names = set(project.get("project", {}).get("entry-points", {}).get("motes", {}))
    if not names:
        raise PluginError(f'{file}: declares no plugin; add [project.entry-points.motes] and name = "module"')
    return names


def _preview(arguments: argparse.Namespace, names: set[str], output: Path, environment: dict[str, str]) -> bool:
    """Render a preview in a process of its own, which sees the files as they are now; whether it worked."""
    motes = (sys.executable, "-m", "services.cli.main")
    listed = subprocess.run((*motes, "plugin", "list", "--json"), env=environment, capture_output=True, check=False)
    if listed.returncode != 0:
        print(listed.stderr.decode(errors="replace").strip(), file=sys.stderr)
        return False
    mine = [plugin for plugin in json.loads(listed.stdout) if plugin["name"] in names]
    for plugin in mine:
        if plugin["failure"]:
            print(f"motes: {plugin['name']}: {plugin['failure']}", file=sys.stderr)
            return False
    types = [name for plugin in mine for name in plugin["types"]]
    if not types or (arguments.type is not None and arguments.type not in types):
        print(
            f"motes: the plugin has no type {arguments.type or 'at all'}; it has: {', '.join(types) or 'none'}",
            file=sys.stderr,
        )
        return False
    song = () if arguments.song is None else (str(arguments.song),)
    chosen = ("--type", arguments.type or types[0], "--duration", str(arguments.seconds), "-o", str(output))
    preset = () if arguments.preset is None else ("--preset", arguments.preset)
    settings = [word for assignment in arguments.set for word in ("--set", assignment)]
    command = (*motes, "render", *song, *chosen, *_QUICK, *preset, *settings)
    return subprocess.run(command, env=environment, check=False).returncode == 0
