"""Registry: everything that loaded plugins registered, and why the others failed to load.

Built-in types use the same ``motes`` entry-point group as third-party ones. A broken plugin is skipped and named; the
rest works. ``MOTES_PLUGINS`` limits which plugins are loaded; ``MOTES_PLUGIN_PATH`` is the folder of a plugin under
development that is not installed.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import functools
import importlib.util
import json
import logging
import os
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any

import pluggy
from pydantic import PydanticUserError

from ecs_core.audio.timeline import AudioFeature
from ecs_core.errors import PluginError, SceneError, in_a_line
from ecs_core.layers.built_in import KINDS
from ecs_core.layers.kind import LayerKind
from ecs_core.plugin_api import hooks
from ecs_core.plugin_api.particle_type import API_VERSION, SUPPORTED, ParticleType
from ecs_core.scene.layer_settings import PARTICLES
from ecs_core.scene.render_result import RenderResult
from ecs_core.scene.scene import Scene
from ecs_core.scene.settings import validate

GROUP = "motes"
_OWN = "motes"  # our own distribution
_log = logging.getLogger("motes.plugins")
_log.addHandler(logging.NullHandler())  # the command line reports failures in its own way
_CALLED = {ParticleType: "particle type", AudioFeature: "audio feature", LayerKind: "layer kind"}
_ONLY, _PATH = "MOTES_PLUGINS", "MOTES_PLUGIN_PATH"


@dataclass(frozen=True)
class Plugin:
    """An entry point of the group: its distribution, what it registered, or why it was skipped."""

    name: str
    module: str
    distribution: str
    version: str
    types: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    failure: str | None = None


@dataclass(frozen=True)
class Registry:
    """``types``, audio ``features`` and kinds of ``layers`` by name, and every plugin that was found."""

    types: Mapping[str, ParticleType]
    features: Mapping[str, AudioFeature]
    layers: Mapping[str, LayerKind]
    plugins: tuple[Plugin, ...]
    _manager: pluggy.PluginManager = field(repr=False)

    @property
    def failures(self) -> tuple[str, ...]:
        """One line per skipped plugin."""
        return tuple(
            f"{plugin.distribution}: plugin {plugin.name!r} ({plugin.module}) is left out: {plugin.failure}"
            for plugin in self.plugins
            if plugin.failure is not None
        )

    def before_render(self, scene: Scene) -> tuple[str, ...]:
        """Call the hook before a render; returns a warning for each plugin that raised."""
        return self._call_hook("motes_before_render", scene=scene)

    def after_render(self, scene: Scene, stats: RenderResult) -> tuple[str, ...]:
        """Call the hook after a render; returns a warning for each plugin that raised."""
        return self._call_hook("motes_after_render", scene=scene, stats=stats)

    def _call_hook(self, hook: str, **arguments: object) -> tuple[str, ...]:
        warnings = []
        for name, module in self._manager.list_name_plugin():
            # One by one, so that an exception in one plugin does not stop the others, and each with its own copy of the
            # arguments, as hooks may only observe.
            caller = self._manager.subset_hook_caller(
                hook, [other for _, other in self._manager.list_name_plugin() if other is not module]
            )
            try:
                caller(**copy.deepcopy(arguments))
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                warnings.append(f"plugin {name!r}: {hook} failed: {in_a_line(error)}")
        return tuple(warnings)


@functools.cache
def particle_types() -> Registry:
    """Everything that installed plugins registered; loaded once per process."""
    points, failed = _found()
    chosen, missing = _wanted(points)
    with contextlib.redirect_stdout(sys.stderr):  # a plugin's prints must not mix with a command's output
        return load(chosen, [*failed, *missing])


def particle_type(name: str) -> ParticleType:
    """The particle type of that name.

    Raises:
        SceneError: there is none; says which there are, and which plugins failed to load.
    """
    registry = particle_types()
    types = registry.types
    if name not in types:
        available = f"Invalid particle type: {name}. Available types: {sorted(types)}"
        raise SceneError("; ".join((available, *registry.failures)))
    return types[name]


def layer_kind(name: str) -> LayerKind:
    """The kind of layers of that name, which is not that of particles.

    Raises:
        SceneError: there is none; says which there are, and which plugins failed to load.
    """
    registry = particle_types()
    if name not in registry.layers:
        there_are = ", ".join(sorted((PARTICLES, *registry.layers)))
        unknown = f"kind = {name!r}: no such kind of layer; there are: {there_are}"
        raise SceneError("; ".join((unknown, *registry.failures)))
    return registry.layers[name]


def load(points: Sequence[EntryPoint], failed: Sequence[Plugin] = ()) -> Registry:
    """Load the given entry points, each on its own, so that none can break another."""
    types: dict[str, ParticleType] = {}
    features: dict[str, AudioFeature] = {}
    layers: dict[str, LayerKind] = {kind.name: kind for kind in KINDS}
    plugins = list(failed)
    shared = _manager()
    for point in points:
        owner, version = _described(point.dist) if point.dist else ("not installed", "")
        plugin = functools.partial(Plugin, point.name, point.value, owner, version)
        try:
            module = _load(point)
            isolated = _manager()
            isolated.register(module, name=point.name)
            _check_hooks(module)
            isolated.check_pending()  # pluggy's own checks of hooks
            new_types = _collect(isolated.hook.motes_particle_types, ParticleType, types)
            stated = getattr(module, "motes_api_version", API_VERSION)
            new_types = {name: replace(kind, api_version=stated) for name, kind in new_types.items()}
            new_features = _collect(isolated.hook.motes_audio_features, AudioFeature, features)
            new_layers = _collect(isolated.hook.motes_layers, LayerKind, layers)
            if not _is_own(point):  # tests cover ours, and trying takes as long as loading
                for each in new_types.values():
                    _try(each, {*features, *new_features})
            shared.register(module, name=f"{owner}:{point.name}")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # including SystemExit, pytest's Skipped, and panics in Rust
            plugins.append(plugin(failure=in_a_line(error)))
            _log.warning("%s: plugin %r (%s) is left out: %s", owner, point.name, point.value, in_a_line(error))
            continue
        types |= new_types  # all of a plugin, or nothing
        features |= new_features
        layers |= new_layers
        plugins.append(plugin(types=tuple(new_types), features=tuple(new_features), layers=tuple(new_layers)))
    in_order = MappingProxyType(dict(sorted(types.items())))
    return Registry(in_order, MappingProxyType(features), MappingProxyType(layers), tuple(plugins), shared)


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hooks)
    return manager


def _load(point: EntryPoint) -> ModuleType:
    if EntryPoint.pattern.match(point.value) is None:
        raise PluginError(f"{point.value!r} does not name a module")
    try:
        module: ModuleType = point.load()
    except ImportError:
        _check(_declared_version(point.module))  # another API version explains a missing name
        raise
    _check(getattr(module, "motes_api_version", API_VERSION))
    for name, value in vars(module).items():
        own = isinstance(value, FunctionType) and value.__module__ == module.__name__
        if own and name.startswith("motes_") and not hasattr(value, f"{GROUP}_impl"):
            raise PluginError(f"{name} is not marked with @hookimpl, so it would never be called")
    return module


def _check_hooks(module: ModuleType) -> None:
    """A misspelt hook is an error; otherwise it would never be called."""
    known = [name for name in vars(hooks) if name.startswith("motes_")]
    for name, value in vars(module).items():
        if hasattr(value, f"{GROUP}_impl") and name not in known:
            raise PluginError(f"there is no hook {name!r}; there are: {', '.join(known)}")


def _check(version: object) -> None:
    if version not in SUPPORTED:
        known = " and ".join(map(str, SUPPORTED))
        raise PluginError(f"is written for plugin API {version!r}; this Motes has API {known}")


def _declared_version(module: str) -> object:
    """The ``motes_api_version`` in the source of a module that cannot be imported; ours if it cannot be read."""
    with contextlib.suppress(Exception):
        spec = importlib.util.find_spec(module)
        source = Path(str(spec and spec.origin)).read_text(encoding="utf-8")
        for statement in ast.parse(source).body:
            match statement:
                case ast.Assign([ast.Name("motes_api_version")], ast.Constant(version)) | ast.AnnAssign(
                    ast.Name("motes_api_version"), _, ast.Constant(version)
                ):
                    return version
    return API_VERSION


def _try(kind: ParticleType, features: Iterable[str]) -> None:
    """Run a type through everything that the service needs of it, so that a broken type cannot stop the service."""
    from ecs_core.scene.bindings import check_bindings  # noqa: PLC0415 - only where there are others' types

    try:
        check_bindings(kind, validate(kind.settings, {}, owner=f"particle type {kind.name!r}"), features)
        json.dumps(kind.settings.model_json_schema())
    except PydanticUserError as error:
        raise PluginError(f"particle type {kind.name!r}: settings: {error.message}") from None
    for name in kind.preset_names():
        kind.preset(name)


def _collect(hook: Callable[..., Any], kind: type[Any], taken: Mapping[str, Any]) -> dict[str, Any]:
    """The objects that a plugin registers through a hook, by name."""
    registered: list[Any] = []
    hook(register=registered.append)
    found: dict[str, Any] = {}
    what = _CALLED[kind]
    for each in registered:
        if not isinstance(each, kind):
            raise PluginError(
                f"registered {each!r}, which is not a{'n' if kind is AudioFeature else ''} {kind.__name__}"
            )
        if each.name in taken or each.name in found:
            raise PluginError(f"{what} {each.name!r} is registered already")
        found[each.name] = each
    return found


def declared(folder: Path) -> dict[str, str]:
    """The plugins that a folder's pyproject.toml declares, as names and modules.

    Raises:
        PluginError: the file cannot be read, or declares no plugin.
    """
    file = folder / "pyproject.toml"
    try:
        project: Any = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PluginError(f"{file}: {getattr(error, 'strerror', None) or error}") from None
    for key in ("project", "entry-points", GROUP):
        project = project.get(key) if isinstance(project, dict) else None
    if not project or not isinstance(project, dict):
        raise PluginError(f'{file}: declares no plugin; add [project.entry-points.{GROUP}] and name = "module"')
    return {name: str(module) for name, module in project.items()}


def _found() -> tuple[list[EntryPoint], list[Plugin]]:
    """The entry points of installed distributions and of the plugin under development, and the latter's failure."""
    points = sorted(entry_points(group=GROUP), key=lambda point: (not _is_own(point), point.value, point.name))
    folder = os.environ.get(_PATH)
    if not folder:
        return points, []
    try:
        own = declared(Path(folder))
    except PluginError as error:
        _log.warning("%s: %s", _PATH, error)
        return points, [Plugin(Path(folder).name, "", _PATH, "", failure=in_a_line(error))]
    for place in (Path(folder) / "src", Path(folder)):
        if str(place) not in sys.path:
            sys.path.insert(0, str(place))
    importlib.invalidate_caches()
    points = [point for point in points if point.name not in own]
    return [*points, *(EntryPoint(name, module, GROUP) for name, module in own.items())], []


def _is_own(point: EntryPoint) -> bool:
    """Whether an entry point is our own; ours come first, so that nobody can take their names."""
    return point.dist is not None and _described(point.dist)[0] == _OWN


@functools.cache
def _described(distribution: Distribution) -> tuple[str, str]:
    """The name and version of a distribution, whose metadata is parsed whenever it is asked."""
    return distribution.name, distribution.version


def _wanted(points: list[EntryPoint]) -> tuple[list[EntryPoint], list[Plugin]]:
    """The entry points that ``MOTES_PLUGINS`` names, by entry point or distribution, and a failure per unknown name."""
    only = os.environ.get(_ONLY)
    if only is None:
        return points, []
    names = {name.strip() for name in only.split(",") if name.strip()}
    chosen = [point for point in points if names & _names(point)]
    missing = sorted(names - {name for point in chosen for name in _names(point)})
    failed = [Plugin(name, "", _ONLY, "", failure="no installed plugin has this name") for name in missing]
    return chosen, failed


def _names(point: EntryPoint) -> set[str]:
    return {point.name} | ({_described(point.dist)[0]} if point.dist else set())
