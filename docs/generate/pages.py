"""The pages of the documentation site that are made from the code whenever the site is built; none is committed.

Each function returns the Markdown of one page. ``PAGES`` is what ``docs/generate/hooks.py`` adds to the site.
"""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_METHODS = ("get", "post", "put", "patch", "delete", "head")


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table; what would end a cell is escaped."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def code(value: object) -> str:
    """A value as inline code, or nothing."""
    return f"`{value}`" if value not in (None, "") else ""


# --- the command line ---


def command_line() -> str:
    """Every command of ``motes`` with its help, from argparse."""
    from services.cli.main import build_parser

    parts = ["# Command line\n\nThe help of every command, as `motes COMMAND --help` prints it.\n"]
    for depth, parser in _parsers(build_parser()):
        formatter: Any = parser.formatter_class
        parser.formatter_class = partial(formatter, width=100)  # however wide the terminal is
        parts.append(f"{'#' * min(depth + 2, 4)} {parser.prog}\n\n```text\n{parser.format_help().rstrip()}\n```\n")
    return "\n".join(parts)


def _parsers(parser: argparse.ArgumentParser, depth: int = 0) -> Iterator[tuple[int, argparse.ArgumentParser]]:
    yield depth, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _parsers(each, depth + 1)


# --- the REST API ---


def openapi() -> str:
    """The OpenAPI document of the service, as the site offers it for download."""
    from services.api import create_app

    return json.dumps(create_app().openapi(), indent=1, ensure_ascii=False)


def rest_api() -> str:
    """Every route of the REST API and every schema, from the OpenAPI document."""
    document = json.loads(openapi())
    shared = document["components"]["responses"]
    parts = [
        "# REST API\n\nEvery route, from the OpenAPI document of this version ([openapi.json](openapi.json)). A running"
        " service has the same at `/openapi.json`, and forms to try it at `/docs`. How the parts work together:"
        " [the service](../service.md).\n"
    ]
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                operation = methods[method]
                answers = operation["responses"]
                operation["responses"] = {
                    status: shared[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
                    for status, answer in answers.items()
                }
                groups.setdefault(operation.get("tags", ["other"])[0], []).append(_operation(method, path, operation))
    parts += [f"## {tag.replace('_', ' ').capitalize()}\n\n" + "\n".join(each) for tag, each in groups.items()]
    parts.append("## Schemas\n")
    for name, schema in sorted(document.get("components", {}).get("schemas", {}).items()):
        parts.append(f"### {name}\n\n{schema.get('description', '')}\n\n{_fields(schema)}")
    return "\n".join(parts)


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    lines = [f"### {method.upper()} {path}\n", operation.get("description") or operation.get("summary", ""), ""]
    if parameters := operation.get("parameters"):
        rows = [
            (f"`{each['name']}`", each["in"], _type(each["schema"]), each.get("description", "")) for each in parameters
        ]
        lines += [table(("Parameter", "In", "Type", "Meaning"), rows)]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        lines += [f"Body: `{kind}`, {_type(content.get('schema', {}))}\n"]
    answers = []
    for status, answer in operation["responses"].items():
        kinds = [
            f"`{kind}`" + (f" {_type(content['schema'])}" if "$ref" in content.get("schema", {}) else "")
            for kind, content in answer.get("content", {}).items()
        ]
        answers.append((status, answer.get("description", ""), ", ".join(kinds)))
    lines += [table(("Status", "Meaning", "Content"), answers)]
    return "\n".join(lines)


def _type(schema: dict[str, Any]) -> str:
    """A JSON schema in a few words, with a link to one that has a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(each) for each in several))
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(each)}`" for each in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"array of {_type(schema.get('items', {}))}"
    limits = [f"{sign} {schema[key]}" for key, sign in (("minimum", "≥"), ("maximum", "≤")) if key in schema]
    limits += [f"> {schema['exclusiveMinimum']}"] if "exclusiveMinimum" in schema else []
    limits += [f"≤ {schema['maxLength']} characters"] if "maxLength" in schema else []
    return f"{kind} ({', '.join(limits)})" if limits else str(kind)


def _fields(schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    rows = [
        (f"`{name}`" + ("" if name in required else "?"), _type(each), each.get("description", ""))
        for name, each in schema.get("properties", {}).items()
    ]
    return table(("Field", "Type", "Meaning"), rows) if rows else f"{_type(schema)}\n"


# --- settings, metrics, particle types ---


def settings() -> str:
    """Every setting of the service, from ``ServiceSettings``."""
    from services.cli.service_settings import shown, variable
    from services.settings import ServiceSettings

    rows = []
    for name, field in ServiceSettings.model_fields.items():
        default = shown(name, field.get_default(call_default_factory=True))
        rows.append((f"`{variable(name)}`", code(default) or "–", field.description or ""))
    return (
        "# Settings of the service\n\nEnvironment variables, the same for every process of an installation."
        " `motes config` lists them with the values in force and hides secrets; `motes config --json` is for scripts."
        " It and `motes serve` warn of a variable whose name is almost one of these. Times of `MOTES_KEEP_…` may have a"
        " unit, such as `30d`, `12h`, `30m` or `45s`.\n\n"
        + table(("Variable", "Default", "Meaning"), rows)
        + "\nBesides these, `MOTES_PLUGINS` selects [plugins](../plugins.md#when-something-is-wrong).\n"
    )


def metrics() -> str:
    """Every Prometheus metric, from the catalogue in ``services.observability.metrics``."""
    import services.api.routes.metrics  # noqa: F401 - registers the API's metrics
    from services.observability import metrics as registered

    rows = [
        (
            f"`{each.name}`",
            each.type,
            ", ".join(f"`{label}`" for label in each.labels) or "–",
            " and ".join(each.by),
            each.help,
        )
        for each in registered.catalogue()
    ]
    return (
        "# Metrics\n\nEvery Prometheus metric. What the labels mean, how Prometheus finds the processes, and"
        " expressions that answer common questions: [Metrics, logs and traces](../metrics.md).\n\n"
        + table(("Metric", "Type", "Labels", "Exported by", "Meaning"), rows)
    )


def particle_types() -> str:
    """Every built-in particle type: picture, presets, and the settings that it adds or changes."""
    from ecs_core.plugin_api import particle_types as installed
    from ecs_core.scene.settings import Settings

    common = Settings.model_json_schema()["properties"]
    parts = [
        "# Particle types\n\nThe types that come with Motes. `motes types` lists these and those of your plugins.\n"
    ]
    kinds = [kind for kind in installed().types.values() if kind.presets and kind.presets.is_relative_to(ROOT)]
    for kind in kinds:
        assert kind.presets is not None
        folder = kind.presets.parent.relative_to(ROOT).as_posix()
        schema = kind.settings.model_json_schema()["properties"]
        own = {name: each for name, each in schema.items() if each != common.get(name)}
        parts.append(
            f"## {kind.name}\n\n![A frame of {kind.name}](../../{folder}/picture.webp)\n\n{kind.description}."
            f" [More about it](../../{folder}/README.md).\n\nPresets: "
            + ", ".join(f"`{name}`" for name in kind.preset_names())
            + ".\n\n"
            + (f"Its own settings and defaults:\n\n{_options(own)}" if own else "It has the common settings only.\n")
        )
    parts.append(f"## Common settings\n\nEvery type has these.\n\n{_options(common)}")
    return "\n".join(parts)


def layers() -> str:
    """Every kind of layers, and the settings that it adds to those that all have."""
    from ecs_core.scene.layer_settings import PARTICLES, PlacedLayer
    from services.type_catalogue import describe_layers

    common = PlacedLayer.model_json_schema()["properties"]
    parts = [
        "# Layers\n\nThe kinds of `layers` that come with Motes. `motes layers` lists these and those of plugins.\n"
    ]
    for kind in describe_layers():
        schema: Any = kind["config_schema"]
        of_all = {} if kind["kind"] == PARTICLES else common
        own = {name: each for name, each in schema["properties"].items() if name != "kind" and each != of_all.get(name)}
        parts.append(f"## {kind['kind']}\n\n{kind['description']}\n\n{_options(own, schema.get('required', ()))}")
    shared = {name: each for name, each in common.items() if name != "kind"}
    parts.append(f"## What all kinds but particles have\n\n{_options(shared)}")
    return "\n".join(parts)


def _options(properties: dict[str, Any], required: Sequence[str] = ()) -> str:
    rows = [
        (
            f"`{name}`",
            "needed" if name in required else code(json.dumps(each.get("default"), ensure_ascii=False)),
            each.get("description", ""),
        )
        for name, each in properties.items()
    ]
    return table(("Setting", "Default", "Meaning"), rows)


# --- the library and the modules ---


def library() -> str:
    """The public names of ``ecs_core``, each as a directive for mkdocstrings."""
    import ecs_core

    parts = [
        "# Library\n\nEverything that a program or a plugin imports: `from ecs_core import …`. Each name is loaded when"
        " it is first used, so `import ecs_core` costs next to nothing.\n"
    ]
    groups = {
        "Rendering": ("rendering.", "scene.scene"),
        "Errors": ("errors",),
        "Particle types and settings": ("plugin_api.", "scene.settings"),
        "Components and values": ("ecs.components", "ecs.values", "systems.audio_reaction"),
        "Systems and the world": ("ecs.",),
        "Audio and colour": ("",),
    }
    left = dict(sorted(ecs_core._HOME.items()))
    for title, prefixes in groups.items():
        names = [name for name, module in left.items() if module.startswith(prefixes)]
        names.sort(key=lambda name: (name.isupper(), name.lower()))
        parts.append(f"## {title}\n")
        parts += [f"::: ecs_core.{left.pop(name)}.{name}\n" for name in names]
    return "\n".join(parts)


def modules() -> str:
    """Every package and module with the first line of its docstring."""
    parts = [
        "# Modules\n\nEvery module with the first line of its docstring. The table of packages:"
        " [Architecture](../../ARCHITECTURE.md).\n"
    ]
    folders = sorted(
        {path.parent for top in ("ecs_core", "plugins", "services") for path in ROOT.glob(f"{top}/**/*.py")}
    )
    for folder in folders:
        files = sorted(folder.glob("*.py"))
        name = folder.relative_to(ROOT).as_posix().replace("/", ".")
        init = folder / "__init__.py"
        parts.append(f"## {name}\n\n{summary(init) if init in files else ''}\n")
        if rows := [(f"`{path.stem}`", summary(path)) for path in files if path != init]:
            parts.append(table(("Module", "Contents"), rows))
    return "\n".join(parts)


def summary(path: Path) -> str:
    """The first paragraph of a module's docstring, on one line; empty if it has none."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.partition("\n\n")[0].split())


PAGES: dict[str, Callable[[], str]] = {
    "reference/library.md": library,
    "reference/command-line.md": command_line,
    "reference/rest-api.md": rest_api,
    "reference/openapi.json": openapi,
    "reference/settings.md": settings,
    "reference/metrics.md": metrics,
    "reference/particle-types.md": particle_types,
    "reference/layers.md": layers,
    "reference/modules.md": modules,
}
