"""ParticleType: a name, a settings model, and how to populate a world."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecs_core.ecs.components import Color, Look, Size, Sprite
from ecs_core.ecs.table import Column
from ecs_core.errors import MotesError, PluginError, SceneError, in_a_line
from ecs_core.raster.background import Background
from ecs_core.scene.settings import Settings

if TYPE_CHECKING:
    from ecs_core.ecs.world import System, World

API_VERSION = 2  # incremented by changes that break existing plugins
SUPPORTED = (1, 2)
_OF_MOTES = (
    "layers",
    "camera",
    "finish",
    "format",
    "alpha",
    "warnings",
    "ignored",
    "SPAWNING",
    "usual_speed",
)  # what no plugin may make a setting of its own


@dataclass(frozen=True, slots=True)
class ParticleType:
    """What a plugin registers.

    ``settings`` validates a scene's config; ``populate(world, settings)`` creates the populations of a new world. For a
    single population, give its ``archetype`` and ``components`` instead; missing columns and the sprite needed to draw
    it are added. ``systems`` run in this order after the built-in ones. ``features`` are a few words on what the type
    can do. ``backdrop`` is the background unless the settings name one. ``presets`` is a folder of JSON files, each a
    config named after its file. ``api_version`` is set to what the plugin's module states.

    Raises:
        PluginError: an argument is invalid; the message names it.
    """

    name: str
    description: str = ""
    settings: type[Settings] = Settings
    populate: Callable[[World, Any], None] | None = None
    systems: tuple[type[System], ...] = ()
    features: tuple[str, ...] = ()
    backdrop: Background = Background()
    archetype: tuple[type[Column], ...] = ()
    components: tuple[object, ...] = ()
    presets: Path | None = None
    api_version: int = API_VERSION

    def __post_init__(self) -> None:
        from ecs_core.ecs.world import System  # noqa: PLC0415 - esper is not needed to read this module

        def refuse(what: str) -> None:
            raise PluginError(f"particle type {self.name!r}: {what}")

        if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", str(self.name)):
            refuse("its name must be of small letters, digits and _, and begin with a letter")
        if not _is_class(self.settings, Settings):
            refuse(f"settings must be a class that inherits from Settings, not {_short(self.settings)}")
        for name, setting in self.settings.model_fields.items():
            if setting.is_required():
                refuse(f"its setting {name!r} has no default; every setting needs one")
        for name in _taken(self.settings):
            refuse(f"its setting {name!r} must have another name: Motes has one of this name")
        ignored: object = self.settings.ignored
        unknown = set(ignored) - self.settings.model_fields.keys() if isinstance(ignored, tuple) else {str(ignored)}
        if unknown:
            refuse(f"ignored must be a tuple of names of its settings, not {min(unknown)!r}")
        for name in ("systems", "features", "archetype", "components"):
            if not isinstance(getattr(self, name), tuple | list):
                refuse(f"{name} must be a tuple, not {_short(getattr(self, name))}")
        for text in (self.description, *self.features):
            if not isinstance(text, str):
                refuse(f"description and features must be text, not {text!r}")
        for system in self.systems:
            if not _is_class(system, System) or not hasattr(system, "phase"):
                refuse(f"systems must be classes that inherit from System and have a phase, not {system!r}")
        for column in self.archetype:
            if not _is_class(column, Column):
                refuse(f"archetype must be classes that inherit from Column, not {column!r}")
        if (self.populate is None) == (not self.archetype):
            refuse("give either populate or an archetype")

    def fill(self, world: World, settings: Settings) -> None:
        """Create the populations of a new world.

        Raises:
            PluginError: ``populate`` raised.
        """
        if self.populate is not None:
            try:
                self.populate(world, settings)
            except (KeyboardInterrupt, MotesError):
                raise
            except BaseException as error:
                raise PluginError(f"particle type {self.name!r}: populate failed: {in_a_line(error)}") from error
            return
        archetype = [*self.archetype, *(kind for kind in (Size, Color, Look) if kind not in self.archetype)]
        seen = any(component is Sprite or isinstance(component, Sprite) for component in self.components)
        world.populate(archetype, (*self.components, *(() if seen else (Sprite(),))))

    def preset_names(self) -> list[str]:
        """The names of the presets."""
        return [] if self.presets is None else sorted(path.stem for path in Path(self.presets).glob("*.json"))

    def preset(self, name: str) -> Mapping[str, Any]:
        """The config of a preset.

        Raises:
            SceneError: no preset of that name (the message lists them), or its file is not a JSON object.
        """
        known = self.preset_names()
        if name not in known or self.presets is None:
            there_are = ", ".join(known) or "none"
            raise SceneError(f"particle type {self.name!r} has no preset {name!r}; there are: {there_are}")
        file = Path(self.presets) / f"{name}.json"
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SceneError(f"preset {name!r} of {self.name!r}: {file}: not JSON: {error}") from None
        if not isinstance(config, dict):
            raise SceneError(f"preset {name!r} of {self.name!r}: {file}: must be a JSON object, a config")
        return config


def _taken(settings: type[Settings]) -> list[str]:
    """The names of settings that would hide what Motes needs."""
    own = [vars(each).get("__annotations__", {}) for each in settings.__mro__ if each not in Settings.__mro__]
    return [name for name in _OF_MOTES if name in settings.model_fields and any(name in each for each in own)]


def _short(value: object) -> str:
    """A value's repr, or its type if that is long."""
    return repr(value) if len(repr(value)) <= 80 else f"one {type(value).__name__}"


def _is_class(value: object, base: type) -> bool:
    return isinstance(value, type) and issubclass(value, base)
