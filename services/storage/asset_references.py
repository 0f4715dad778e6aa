"""References to assets in configs: ``"picture": "asset:…"``, where the command line and the library have a path.

A service never looks at a path that a client sends. Where a config is checked, each reference stands for the asset's
file, or for one like it; where it is stored, it stays a reference.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecs_core import SceneError
from ecs_core.layers.kind import LayerKind
from ecs_core.plugin_api import ParticleType, particle_types
from ecs_core.scene.layer_settings import PARTICLES
from services.type_catalogue import REFERENCE, Place, local_values

_PREFIX = "asset:"
_PLACEHOLDERS = Path(__file__).parent / "placeholders"
# What stands for any asset of a kind where only its presence matters.
PLACEHOLDERS: Mapping[str, Path] = {
    "image": _PLACEHOLDERS / "image.png",
    "video": _PLACEHOLDERS / "video.mp4",
    "font": _PLACEHOLDERS / "font.ttf",
    "lyrics": _PLACEHOLDERS / "lyrics.lrc",
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
        """Whether any process may open the asset: what is stored of it was written by us, not by the client."""
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
    """All references of a client's config, those of its layers, too.

    It comes before any other check, as those open what a setting names.

    Raises:
        SceneError: a setting names a file of this machine instead; names the setting.
    """
    found: dict[Place, AssetReference] = {}
    for at, settings, own in _parts(particle_type, config):
        for place, asset, given in local_values(settings, own):
            if not (asset == "font" and _is_family(given)):
                found[(*at, *place)] = _reference(AssetReference((*at, *place), asset or "", ""), given)
    return list(found.values())


def _is_family(given: object) -> bool:
    """Whether it is the name of a family of typefaces that Motes comes with."""
    from ecs_core.text.typefaces import families  # noqa: PLC0415 - slow, and many scenes have no text

    return isinstance(given, str) and given.strip().casefold() in {name.casefold() for name in families()}


def stand_ins(references: Iterable[AssetReference]) -> dict[str, Path]:
    """What stands for each asset, by its sha256."""
    return {each.asset: PLACEHOLDERS[each.kind] for each in references}


def _parts(particle_type: str, config: Mapping[str, Any]) -> Iterator[tuple[Place, Any, Mapping[str, Any]]]:
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
    references = list(references)
    paths = stand_ins(references) if files is None else files
    for each in references:
        each.put(plain, str(paths[each.asset]))
    return plain


def with_references(config: dict[str, Any], references: Iterable[AssetReference]) -> dict[str, Any]:
    """The completed config, which is changed, with its references again instead of paths."""
    for each in references:
        each.put(config, each.text())
    return config
