"""References to assets in configs: ``"picture": "asset:…"``, where the command line and the library have a path.

A service never looks at a path that a client sends. Where a config is checked, each reference stands for the asset's
file, or for one like it; where it is stored, it stays a reference.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecs_core import SceneError
from ecs_core.layers.kind import LayerKind
from ecs_core.plugin_api import ParticleType, particle_types
from ecs_core.scene.layer_settings import PARTICLES
from ecs_core.scene.model import Model
from ecs_core.scene.shapes import SHAPES, in_shape
from services.type_catalogue import REFERENCE, Place, local_values

_PREFIX = "asset:"
_FOLDER = Path(__file__).parent / "placeholders"
# What stands for any asset of a kind where only its presence matters. The font is empty, which texts know; and
# backdrops know that of videos, as an API loads no FFmpeg.
PLACEHOLDERS: Mapping[str, Path] = {
    "image": _FOLDER / "image.png",
    "font": _FOLDER / "font.ttf",
    "lyrics": _FOLDER / "lyrics.txt",
    "video": _FOLDER / "video.txt",
}


@dataclass(frozen=True)
class AssetReference:
    """A setting at this place of a config that refers to an asset of a kind by its sha256."""

    place: Place
    kind: str
    asset: str

    @property
    def where(self) -> str:
        """The setting as errors call it."""
        if self.place[0] == "layers":
            own = self.place[3 if self.place[2] == "config" else 2 :]
            return f"layers.{self.place[1]}: {_joined(own)}"
        return _joined(self.place)

    def text(self) -> str:
        """The reference as it stands in a config."""
        return f"{_PREFIX}{self.asset}"

    @property
    def is_plain(self) -> bool:
        """Whether the API may open the asset: what is stored of it was written by us, and is no video, for FFmpeg."""
        return self.kind in ("image", "lyrics")

    def put(self, config: dict[str, Any], value: str) -> None:
        """Give the setting a value in a config in which it exists."""
        own: Any = config
        for part in self.place[:-1]:
            own = own[part]
        own[self.place[-1]] = value


def _joined(place: Place) -> str:
    return ".".join(map(str, place))[:100]


def references_in(particle_type: str, config: Mapping[str, Any]) -> list[AssetReference]:
    """All references of a client's config, those of its layers and of other shapes of the picture, too.

    It comes before any other check, as those open what a setting names.

    Raises:
        SceneError: a setting names a file of this machine instead; names the setting.
    """
    found = dict.fromkeys(_references(particle_type, config))
    if _has_shapes(config):
        for shape in SHAPES:
            with suppress(ValueError):  # which the checks of the config report
                found |= dict.fromkeys(_references(particle_type, in_shape(config, shape)))
    return list(found)


def _has_shapes(config: Mapping[str, Any]) -> bool:
    layers = config.get("layers")
    parts = [config, config.get("backdrop"), *(layers if isinstance(layers, list) else ())]
    return any(isinstance(part, Mapping) and part.get("shapes") for part in parts)


def in_its_shape(particle_type: str, config: Mapping[str, Any]) -> tuple[dict[str, Any], list[AssetReference]]:
    """A client's config without what it says of other shapes of the picture, and its references.

    Raises:
        SceneError: a setting of any shape names a file of this machine; names the setting.
    """
    references_in(particle_type, config)
    kind, meant = particle_types().types.get(particle_type), dict(config)
    with suppress(ValueError):  # which the checks of the config report
        meant = meant if kind is None else kind.settings.in_its_shape(meant)
    return meant, list(_references(particle_type, meant))


def _references(particle_type: str, config: Mapping[str, Any]) -> Iterator[AssetReference]:
    for at, settings, own in _parts(particle_type, config):
        for place, asset, given in local_values(settings, own):
            yield _reference(AssetReference((*at, *place), asset or "", ""), given)


def _parts(particle_type: str, config: Mapping[str, Any]) -> Iterator[tuple[Place, type[Model], Mapping[str, Any]]]:
    """The places of a config that have models of their own: its settings, and those of each layer. What is wrong in
    them is left out, which the checks of the config report.
    """
    registry, layers = particle_types(), config.get("layers")
    parts: list[tuple[Place, object, object]] = [((), registry.types.get(particle_type), config)]
    for number, layer in enumerate(layers if isinstance(layers, list) else ()):
        if not isinstance(layer, Mapping):
            continue
        name, kind = layer.get("type"), layer.get("kind", PARTICLES)
        if kind != PARTICLES:
            parts.append((("layers", number), registry.layers.get(kind) if isinstance(kind, str) else None, layer))
        elif isinstance(name, str):
            parts.append((("layers", number, "config"), registry.types.get(name), layer.get("config")))
    for at, kind, own in parts:
        if isinstance(kind, ParticleType | LayerKind) and isinstance(own, Mapping):
            yield at, kind.settings, own


def stand_ins(references: Iterable[AssetReference]) -> dict[str, Path]:
    """What stands for each asset, by its sha256."""
    return {each.asset: PLACEHOLDERS[each.kind] for each in references}


def _reference(at: AssetReference, given: object) -> AssetReference:
    if at.kind and isinstance(given, str) and REFERENCE.fullmatch(given):
        return AssetReference(at.place, at.kind, given.removeprefix(_PREFIX))
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
