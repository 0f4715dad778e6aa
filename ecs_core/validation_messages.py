"""Messages for invalid values: the name of the field, its value, and everything that is allowed.

pydantic reports one limit at a time in its own words; the model's JSON schema supplies the others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError

_Schema: TypeAlias = Mapping[str, Any]

_MOST_ERRORS = 20  # invalid values per message
_MOST_GROUPED = 5000  # of them at most, grouped by path: a client may send a million
_LONGEST_VALUE = 100  # characters of a value
# A limit of numbers as JSON schemas call it, as pydantic does, and in words.
_LIMITS = (
    ("minimum", "ge", "at least"),
    ("exclusiveMinimum", "gt", "over"),
    ("maximum", "le", "at most"),
    ("exclusiveMaximum", "lt", "under"),
)


def error_message(error: ValidationError, model: type[BaseModel], owner: str, *, kind: str = "setting") -> str:
    """One line about everything that ``model`` rejected; ``kind`` is what its fields are called, ``owner`` whose."""
    whole = model.model_json_schema()
    wrong: dict[tuple[str, ...], list[Any]] = {}  # by path; each branch of a union reports its own
    details = error.errors(include_url=False)
    for detail in details[:_MOST_GROUPED]:
        wrong.setdefault(_place(detail, whole)[0], []).append(detail)
    above = {path[:length] for path in wrong for length in range(1, len(path))}
    innermost = [path for path in wrong if path not in above]  # the innermost error says most
    lines = []
    for path in innermost[:_MOST_ERRORS]:
        name, first = ".".join(path), wrong[path][0]
        if first["type"] == "extra_forbidden":
            around = _branches(_place(first, whole)[1], whole)
            known = dict.fromkeys(each for branch in around for each in branch.get("properties", ()))
            lines.append(f"unknown {kind} {name!r} for {owner}; it has: {', '.join(known)}")
        else:
            lines.append(field_message(name, *wrong[path], schema=whole))
    more = len(innermost[_MOST_ERRORS:]) + len(details[_MOST_GROUPED:])
    return "; ".join(lines + ([f"and {more} more"] if more else []))


def field_message(name: str, *details: Any, schema: _Schema | None = None) -> str:
    """``NAME = VALUE: must be …`` from pydantic's errors for one value; ``schema`` is that of the whole model."""
    first = details[0]
    if first["type"] == "missing":
        return f"{name} is missing"
    words = list(dict.fromkeys(what_is_allowed(detail, schema) for detail in details))
    said = ", or ".join([words[0], *(each.removeprefix("must be ") for each in words[1:])])
    if first["type"] == "value_error" and isinstance(first["input"], dict):  # it names what is wrong within
        return f"{name}: {said}" if name else said
    value = repr(first["input"])
    return f"{name} = {value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + '…'}: {said}"


def what_is_allowed(detail: Any, schema: _Schema | None = None) -> str:
    """What is allowed where pydantic rejected a value, without the value: ``must be …``."""
    whole = schema or {}
    part = _place(detail, whole)[1] if whole else {}
    kind, branches, about = detail["type"], _branches(part, whole), detail.get("ctx", {})
    passed = {name: about[short] for name, short, _ in _LIMITS if short in about}
    of_range = limits(part, whole) or limits(passed, whole)
    if passed:
        return f"must be {of_range}"
    if kind.startswith(("int_", "float_", "finite_")):
        is_whole = kind.startswith("int_") or any(branch.get("type") == "integer" for branch in branches)
        a_number = "a whole number" if is_whole else "a finite number" if kind == "finite_number" else "a number"
        return f"must be {a_number} {of_range}".rstrip()
    if kind in ("tuple_type", "list_type") or (part and kind in ("too_short", "too_long")):
        return f"must be a list{_size(branches)}{_such_as(part, whole, 'array')}"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return f"must be an object{_such_as(part, whole, 'object')}"
    if kind.startswith("bool_"):
        return "must be true or false"
    if kind == "string_type":
        return "must be a text"
    return re.sub(r"^\w+ should ", "must ", str(detail["msg"]).removeprefix("Value error, "))


def limits(schema: _Schema, whole: _Schema) -> str:
    """The range of numbers that a JSON schema allows, in words; empty if it has none."""
    for branch in _branches(schema, whole):
        if "minimum" in branch and "maximum" in branch:
            return f"between {_number(branch['minimum'])} and {_number(branch['maximum'])}"
        if edges := [f"{words} {_number(branch[name])}" for name, _, words in _LIMITS if name in branch]:
            return " and ".join(edges)
    return ""


def _place(detail: Any, whole: _Schema) -> tuple[tuple[str, ...], _Schema]:
    """The path to a value and its part of the JSON schema; for an unknown field, the schema of its parent."""
    way = [str(step) for step in detail["loc"]]
    unknown = [way.pop()] if detail["type"] == "extra_forbidden" else []
    path, part = [], whole
    for step in way:
        inside = _inside(part, step, whole)
        if inside is not None:
            path.append(step)
            part = inside
        else:  # it is the name of the branch of a union that pydantic tried
            part = _branch_called(part, step, whole)
    return (*path, *unknown), part


def _inside(schema: _Schema, step: str, whole: _Schema) -> _Schema | None:
    found = []
    for branch in _branches(schema, whole):
        inside = branch.get("properties", {}).get(step)
        if inside is None and step.isdecimal():
            places = branch.get("prefixItems", [])
            inside = places[int(step)] if int(step) < len(places) else branch.get("items")
        if inside is None and isinstance(branch.get("additionalProperties"), dict):
            inside = branch["additionalProperties"]
        if inside is not None:
            found.append(inside)
    return found[0] if len(found) == 1 else {"anyOf": found} if found else None


def _branch_called(schema: _Schema, name: str, whole: _Schema) -> _Schema:
    """The branch of a union whose ``kind`` is that of ``<kind>``; all of it where there is none."""
    for branch in _branches(schema, whole):
        if f"<{branch.get('properties', {}).get('kind', {}).get('const')}>" == name:
            return branch
    return schema


def _branches(schema: _Schema, whole: _Schema) -> list[_Schema]:
    while "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
    parts = schema.get("anyOf", schema.get("oneOf"))
    return [schema] if parts is None else [each for part in parts for each in _branches(part, whole)]


def _number(value: float) -> str:
    return str(int(value) if value == int(value) else value)


def _size(branches: Sequence[_Schema]) -> str:
    for branch in branches:
        low, high = branch.get("minItems"), branch.get("maxItems")
        if high is not None:
            return f" of {high}" if low == high else f" of {low} to {high}" if low else f" of up to {high}"
    return ""


def _such_as(schema: _Schema, whole: _Schema, kind: str) -> str:
    """An example of this JSON type that would be allowed, if the schema provides one."""
    branch = next((each for each in _branches(schema, whole) if each.get("type") == kind), schema)
    known = [*schema.get("examples", []), schema.get("default")]
    fit = [each for each in known if each and isinstance(each, list if kind == "array" else dict)]
    example = fit[0] if fit else _sample(branch, whole)
    return f", such as {json.dumps(example)}" if example else ""


def _sample(schema: _Schema, whole: _Schema) -> Any:
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
    if branch.get("type") in ("integer", "number"):
        return branch.get("maximum", branch.get("minimum", 1))
    return "text" if branch.get("type") == "string" else None
