"""Scene: the frozen, hashable, JSON-serialisable description of a render."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ecs_core.errors import SceneError
from ecs_core.scene.settings import Settings, validate

if TYPE_CHECKING:
    from ecs_core.plugin_api import ParticleType


@dataclass(frozen=True)
class Scene:
    """What to render: a particle type, a song or none, and settings of the type (see ``motes types``).

    ``analysis`` is a document of what is heard in the song, perhaps corrected (see ``motes analyze``).

    >>> Scene("snow", audio="song.ogg", config={"particle_count": 500, "duration": "audio"}).type
    'snow'
    """

    type: str
    audio: Path | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    analysis: Path | None = None

    def __init__(
        self,
        type: str,
        audio: str | Path | None = None,
        config: Mapping[str, Any] | None = None,
        analysis: str | Path | None = None,
    ) -> None:
        object.__setattr__(self, "type", type)
        object.__setattr__(self, "audio", None if audio is None else Path(audio))
        object.__setattr__(self, "analysis", None if analysis is None else Path(analysis))
        try:
            plain = json.loads(json.dumps(dict(config or {})))
        except (TypeError, ValueError) as error:
            raise SceneError(f"config is not plain JSON: {error}") from None
        object.__setattr__(self, "config", MappingProxyType(plain))

    def __deepcopy__(self, memo: object) -> Scene:
        return Scene.from_json(self.to_json())  # a MappingProxyType cannot be copied

    def __hash__(self) -> int:
        return hash(self.to_json())

    def to_json(self) -> str:
        """The scene as canonical JSON: the same text for equal scenes."""
        audio = None if self.audio is None else str(self.audio)
        plain = {"type": self.type, "audio": audio, "config": dict(self.config)}
        return json.dumps(plain | ({"analysis": str(self.analysis)} if self.analysis else {}), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Scene:
        """The scene that :meth:`to_json` wrote."""
        return Scene(**json.loads(text))

    def resolve(self) -> tuple[ParticleType, Settings]:
        """The particle type, and the settings checked by its model.

        Raises:
            SceneError: no such type, or a setting that is unknown or out of range.
        """
        kind = particle_type(self.type)
        settings = validate(kind.settings, self.config, owner=f"particle type {self.type!r}")
        if self.audio is None and settings.takes_length_of_song:
            raise SceneError('duration "audio" needs a song; give one, or a duration in seconds')
        if settings.bindings:
            from ecs_core.plugin_api import particle_types  # noqa: PLC0415 - plugins import this package
            from ecs_core.scene.bindings import rehearse  # noqa: PLC0415 - slow, and not needed where there are no bindings

            rehearse(kind, settings, particle_types().features)
        return kind, settings


def particle_type(name: str) -> ParticleType:
    """The particle type of that name.

    Raises:
        SceneError: there is none; says which there are, and which plugins are left out.
    """
    from ecs_core.plugin_api import particle_types  # noqa: PLC0415 - plugins import this package

    registry = particle_types()
    types = registry.types
    if name not in types:
        available = f"Invalid particle type: {name}. Available types: {sorted(types)}"
        raise SceneError("; ".join((available, *registry.failures)))
    return types[name]
