"""Limits on JSON from clients: standard JSON only, and no more than a client can need."""

from __future__ import annotations

import json
import math
from typing import Any

MAX_BYTES = 500_000  # bytes; the largest sensible config has a third of it
MAX_VALUES = 20_000
_MAX_DEPTH = 32


def parse(text: bytes | str, *, values: int = MAX_VALUES) -> Any:
    """Parse JSON with at most this many ``values``.

    Raises:
        ValueError: it is not JSON, is too large, or has non-finite numbers or lone surrogates.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error}") from None
    except UnicodeDecodeError:
        raise ValueError("is not JSON: not UTF-8") from None
    except ValueError:
        raise ValueError("has a number with thousands of digits") from None
    except RecursionError:
        raise ValueError(f"is nested more than {_MAX_DEPTH} deep") from None
    _check(value, values)
    return value


def _check(value: Any, values: int) -> None:
    level, count = [value], 0
    for _ in range(_MAX_DEPTH):
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below.extend(each)
                below.extend(each.values())
            elif isinstance(each, list):
                below.extend(each)
            elif isinstance(each, float) and not math.isfinite(each):
                raise ValueError("has a number that is not finite")
            elif isinstance(each, str) and not _is_unicode(each):
                raise ValueError("has text with a lone surrogate")
        count += len(below)
        if count > values:
            raise ValueError(f"has more than {values} values")
        if not below:
            return
        level = below
    raise ValueError(f"is nested more than {_MAX_DEPTH} deep")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
