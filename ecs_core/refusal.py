"""What a wrong setting is told: its name, its value, and all that is allowed there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

_TOLD = 20  # wrong settings; somebody may send thousands
_NUMBERS = ("int", "float", "finite")
_LIMITS = ("greater_than_equal", "less_than_equal", "greater_than", "less_than")


def refusal(error: ValidationError, model: type[BaseModel], owner: str) -> str:
    """One line for whatever ``model`` refused; ``owner`` says whose settings these are."""
    schema = model.model_json_schema()
    details = error.errors(include_url=False)
    said: dict[str, tuple[str, list[str]]] = {}  # what is wrong by path; of a union every branch says something
    for detail in details:
        path = ".".join(_steps(detail["loc"]))
        if detail["type"] == "extra_forbidden":
            inside = _resolved(_at(schema, _steps(detail["loc"])[:-1], schema) or schema, schema)
            said[path] = f"unknown setting {path!r} for {owner}; it has: {', '.join(inside['properties'])}", []
            continue
        if detail["type"] == "missing":
            said[path] = f"{path} is missing", []
            continue
        beginning = f"{path} = {detail['input']!r}: " if path else ""
        words = _words(detail, _at(schema, _steps(detail["loc"]), schema) or {}, schema)
        kept = said.setdefault(path, (beginning, []))[1]
        if words not in kept:
            kept.append(words)
    lines = [
        beginning + ", or ".join([words[0], *(each.removeprefix("must be ") for each in words[1:])] if words else [])
        for path, (beginning, words) in said.items()
        if not any(other.startswith(f"{path}.") for other in said)  # what is wrong within says more
    ]
    more = [f"and {len(lines) - _TOLD} more"] if len(lines) > _TOLD else []
    return "; ".join(lines[:_TOLD] + more)


def _steps(location: Sequence[int | str]) -> list[str]:
    """The way to a setting. pydantic also names the branch of a union that it tried."""
    parts = [str(part) for part in location]
    return [part for part in parts if part not in ("float", "str", "int") and "[" not in part]


def _resolved(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _branches(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    schema = _resolved(schema, whole)
    return [each for part in schema["anyOf"] for each in _branches(part, whole)] if "anyOf" in schema else [schema]


def _at(schema: Mapping[str, Any], steps: Sequence[str], whole: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The part of a JSON schema that is about the setting to which ``steps`` lead."""
    if not steps:
        return schema
    for branch in _branches(schema, whole):
        inside = branch.get("properties", {}).get(steps[0]) or branch.get("items")
        if inside is None and steps[0].isdigit() and int(steps[0]) < len(branch.get("prefixItems", [])):
            inside = branch["prefixItems"][int(steps[0])]
        if inside is None and isinstance(branch.get("additionalProperties"), dict):
            inside = branch["additionalProperties"]
        if inside is not None and (found := _at(inside, steps[1:], whole)) is not None:
            return found
    return None


def _words(detail: Any, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    kind, branches = detail["type"], _branches(schema, whole)
    if kind in _LIMITS or kind.startswith(_NUMBERS):
        is_whole = kind.startswith("int") or any(branch.get("type") == "integer" for branch in branches)
        of_range = limits(schema, whole)
        a_number = "a whole number" if is_whole else "a finite number" if kind == "finite_number" else "a number"
        if of_range and kind in _LIMITS:
            return f"must be {of_range}"
        return f"must be {a_number}" + (f" {of_range}" if of_range else "")
    if kind in ("tuple_type", "list_type", "too_short", "too_long"):
        return f"must be a list{_size(branches)}, such as {_example(schema, whole, 'array')}"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return f"must be an object, such as {_example(schema, whole, 'object')}"
    if kind.startswith("bool"):
        return "must be true or false"
    if kind == "string_type":
        return "must be a text"
    message = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return message.replace("should be ", "must be ", 1) if message.startswith("should be ") else message


def limits(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    """The range of numbers that a JSON schema allows, in words; empty where it names none."""
    for branch in _branches(schema, whole):
        low, high = branch.get("minimum"), branch.get("maximum")
        if low is not None and high is not None:
            return f"between {_number(low)} and {_number(high)}"
        if low is not None:
            return f"at least {_number(low)}"
        if high is not None:
            return f"at most {_number(high)}"
    return ""


def _number(value: float) -> str:
    return str(int(value) if value == int(value) else value)


def _size(branches: Sequence[Mapping[str, Any]]) -> str:
    for branch in branches:
        low, high = branch.get("minItems"), branch.get("maxItems")
        if high is not None:
            return f" of {high}" if low == high else f" of {low or 0} to {high}"
    return ""


def _example(schema: Mapping[str, Any], whole: Mapping[str, Any], kind: str) -> str:
    """Something of this JSON type that would be allowed."""
    branch = next((each for each in _branches(schema, whole) if each.get("type") == kind), schema)
    known = [*schema.get("examples", []), schema.get("default")]
    fit = [each for each in known if each and isinstance(each, list if kind == "array" else dict)]
    return json.dumps(fit[0] if fit else _sample(branch, whole))


def _sample(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Any:
    if schema.get("examples") or schema.get("default"):
        return schema["examples"][0] if schema.get("examples") else schema["default"]
    branch = next((each for each in _branches(schema, whole) if each.get("type") != "null"), {})
    if branch.get("type") == "array":
        inside = branch.get("prefixItems") or [branch.get("items", {})] * max(1, branch.get("minItems", 1))
        return [_sample(each, whole) for each in inside]
    if branch.get("type") == "object":
        inside = branch.get("properties", {})
        asked = branch.get("required") or list(inside)[:1]
        return {name: _sample(inside[name], whole) for name in asked}
    if "enum" in branch:
        return branch["enum"][0]
    return branch.get("maximum", branch.get("minimum", 1)) if branch.get("type") in ("integer", "number") else None
