"""References to assets in configs: ``"picture": "asset:…"``, where the command line and the library have a path.

A service never looks at a path that a client sends. Where a config is checked, each reference stands for the asset's
file, or for one like it; where it is stored, it stays a reference.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecs_core import SceneError
from ecs_core.plugin_api import particle_types
from services.type_catalogue import REFERENCE, local_settings

_PREFIX = "asset:"
# What stands for any asset of a kind where only its presence matters.
_FOLDER = Path(__file__).parent / "placeholders"
PLACEHOLDERS: Mapping[str, Path] = {"image": _FOLDER / "image.png", "lyrics": _FOLDER / "lyrics.txt"}


@dataclass(frozen=True)
class AssetReference:
    """A setting of a config, or of its layer with this number, that refers to an asset of a kind by its sha256."""

    layer: int | None
    setting: str
    kind: str
    asset: str

    @property
    def where(self) -> str:
        """The setting as errors call it."""
        return self.setting if self.layer is None else f"layers.{self.layer}: {self.setting}"

    def text(self) -> str:
        """The reference as it stands in a config."""
        return f"{_PREFIX}{self.asset}"

    def put(self, config: dict[str, Any], value: str) -> None:
        """Give the setting a value in a config in which it exists."""
        own = config if self.layer is None else config["layers"][self.layer]["config"]
        own[self.setting] = value


def references_in(particle_type: str, config: Mapping[str, Any]) -> list[AssetReference]:
    """All references of a client's config, those of its layers, too.

    It comes before any other check, as those open what a setting names.

    Raises:
        SceneError: a setting names a file of this machine instead; names the setting.
    """
    layers = config.get("layers")
    parts: list[tuple[int | None, object, object]] = [(None, particle_type, config)]
    for number, layer in enumerate(layers if isinstance(layers, list) else ()):
        if isinstance(layer, dict):
            parts.append((number, layer.get("type"), layer.get("config")))
    types = particle_types().types
    found = []
    for where, name, own in parts:
        kind = types.get(name) if isinstance(name, str) else None
        if kind is None or not isinstance(own, Mapping):
            continue  # which the checks of the config report
        for setting, asset in local_settings(kind).items():
            if (given := own.get(setting)) is not None:
                found.append(_reference(AssetReference(where, setting, asset or "", ""), given))
    return found


def _reference(at: AssetReference, given: object) -> AssetReference:
    if at.kind and isinstance(given, str) and REFERENCE.fullmatch(given):
        return AssetReference(at.layer, at.setting, at.kind, given.removeprefix(_PREFIX))
    said = f"{at.where} = {repr(given)[:100]}"
    if at.kind:
        raise SceneError(
            f'{said}: is no uploaded {at.kind}; upload one with POST /particles/assets and give "asset:ID" (files of '
            "the machine that renders are for the command line and the library)"
        )
    raise SceneError(
        f"{said}: names a file of the machine that renders, which only the command line and the library may; leave it "
        "out"
    )


def with_files(
    config: Mapping[str, Any], references: Iterable[AssetReference], files: Mapping[str, Path] | None = None
) -> dict[str, Any]:
    """A copy of a config with paths instead of references: of ``files`` by asset, or of placeholders."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(config)))
    for each in references:
        each.put(plain, str(PLACEHOLDERS[each.kind] if files is None else files[each.asset]))
    return plain


def with_references(config: dict[str, Any], references: Iterable[AssetReference]) -> dict[str, Any]:
    """The completed config, which is changed, with its references again instead of paths."""
    for each in references:
        each.put(config, each.text())
    return config
