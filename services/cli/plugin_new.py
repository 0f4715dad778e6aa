"""``motes plugin new NAME``: write a package from the templates in ``scaffold/``, completely or not at all."""

from __future__ import annotations

import re
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from string import Template

from ecs_core.errors import PluginError

_TEMPLATES = Path(__file__).parent / "scaffold"
_FILES = {
    "pyproject.toml.tmpl": "pyproject.toml",
    "module.py.tmpl": "motes_{name}.py",
    "test.py.tmpl": "test_{name}.py",
    "README.md.tmpl": "README.md",
    "ci.yml.tmpl": ".github/workflows/test.yml",
    "gitignore.tmpl": ".gitignore",
}
_LONGEST = 40


@dataclass(frozen=True)
class Written:
    """The folder written, and the name of the particle type."""

    folder: Path
    type: str


def write(folder: Path) -> Written:
    """Write a package into ``folder``, which must be empty or not exist; the package is named after the type.

    Raises:
        PluginError: the name is invalid or taken; the folder is not empty or cannot be written.
    """
    name = folder.name.lower().removeprefix("motes-").replace("-", "_")
    if len(name) > _LONGEST or not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise PluginError(
            f"{folder.name!r}: a plugin's name must be of letters, digits and single - or _ between them, begin with a "
            f"letter, and have at most {_LONGEST} characters"
        )
    from ecs_core.plugin_api import particle_types

    if name in particle_types().types:
        raise PluginError(f"{name!r}: there is a particle type of this name already; give another name")
    if name in {plugin.name for plugin in particle_types().plugins}:
        raise PluginError(f"{name!r}: there is a plugin of this name already; give another name")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PluginError(f"{folder}: exists and is not an empty folder")
    words = {
        "name": name,
        "dashed": name.replace("_", "-"),
        "title": name.replace("_", " ").capitalize(),
        "NAME": name.upper(),
        "camel": "".join(part.capitalize() for part in name.split("_")),
        "version": version("motes"),
    }
    try:
        with tempfile.TemporaryDirectory(prefix=".motes-", dir=folder.absolute().parent) as hidden:
            whole = Path(hidden) / "whole"
            for template, target in _FILES.items():
                path = whole / target.format(name=name)
                path.parent.mkdir(parents=True, exist_ok=True)
                text = (_TEMPLATES / template).read_text(encoding="utf-8")
                path.write_text(Template(text).substitute(words), encoding="utf-8")
            with suppress(FileNotFoundError):
                folder.rmdir()  # Windows does not replace even an empty one
            whole.replace(folder)
    except OSError as error:
        raise PluginError(f"cannot write {folder}: {error.strerror}") from None
    return Written(folder, name)
