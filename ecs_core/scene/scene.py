"""Scene: a frozen, hashable, JSON-serialisable description of a render."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ecs_core.errors import SceneError


@dataclass(frozen=True)
class Scene:
    """What to render: a particle type, optionally a song, and the type's settings (see ``motes types``).

    ``analysis`` is an analysis document of the song, possibly corrected by hand (see ``motes analyze``).

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
        # Not of the JSON: 10 and 10.0 are equal, and written differently.
        return hash((self.type, self.audio, self.analysis, frozenset(self.config)))

    def to_json(self) -> str:
        """Canonical JSON: equal scenes give the same text."""
        audio = None if self.audio is None else str(self.audio)
        plain = {"type": self.type, "audio": audio, "config": dict(self.config)}
        return json.dumps(plain | ({"analysis": str(self.analysis)} if self.analysis else {}), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Scene:
        """The scene from the JSON of :meth:`to_json`."""
        return Scene(**json.loads(text))

    def resolve(self) -> Any:
        """The same as :func:`ecs_core.plugin_api.resolve`; kept for existing programs."""
        return import_module("ecs_core.plugin_api").resolve(self)
