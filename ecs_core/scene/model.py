"""Strict models, and their fields with what a form needs to show them."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, WithJsonSchema, field_validator
from pydantic_core import PydanticKnownError, to_jsonable_python

Byte = Annotated[int, Field(ge=0, le=255)]
RGB = tuple[Byte, Byte, Byte]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def _among(annotation: Any) -> set[Any]:
    """The types that an annotation allows, without those of elements of lists and objects."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _among(parts[0])
    return {each for part in parts for each in _among(part)} if origin in (Union, UnionType) else {annotation}


class Model(BaseModel):
    """A strict, frozen settings model that rejects unknown fields."""

    # Built when first used: a render needs only one of the types that are loaded.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False, defer_build=True)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool):
            numbers = _among(cls.model_fields[str(info.field_name)].annotation) & {int, float}
            if numbers:  # pydantic accepts booleans as numbers
                raise PydanticKnownError("float_type" if float in numbers else "int_type")
        return value


def limits_shown(low: float, high: float) -> WithJsonSchema:
    """Limits in the JSON schema of a number that a validator checks."""
    return WithJsonSchema({"type": "number", "minimum": low, "maximum": high})


def option(
    default: Any,
    description: str,
    *,
    group: str,
    unit: str | None = None,
    local: bool = False,
    asset: Literal["image", "video", "font", "lyrics"] | None = None,
    **limits: Any,
) -> Any:
    """A field of a settings model, with what a form needs to show it.

    ``group`` is its heading in forms; ``unit`` the unit of its numbers; ``limits`` are pydantic's (``ge``, ``le``,
    ``min_length`` …). A callable default is called for each new value. A ``local`` field names something on the machine
    that renders, such as a file: services refuse it, so its default must be None. One whose file is an ``asset`` of a
    kind is local, too, but clients of a service can upload such a file and refer to it; then the field gets the path
    of a copy: of an image, a PNG in sRGB.
    """
    extra: dict[str, Any] = {"group": group} | ({"unit": unit} if unit else {})
    extra |= ({"local": True} if local or asset else {}) | ({"asset": asset} if asset else {})
    if callable(default):

        def shown(schema: dict[str, Any]) -> None:
            schema |= extra | {"default": to_jsonable_python(default())}

        return Field(default_factory=default, description=description, json_schema_extra=shown, **limits)
    return Field(default, description=description, json_schema_extra=extra, **limits)
