"""The service's settings for commands: from environment and arguments, printed without secrets."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecs_core.errors import MotesError
from ecs_core.portability import POSIX
from services.observability.masking import HIDDEN, SECRET_NAME, masked_value

if TYPE_CHECKING:
    from services.settings import ServiceSettings


def add_data_argument(parser: argparse.ArgumentParser) -> None:
    """Add --data."""
    parser.add_argument(
        "--data", metavar="DIR", type=Path, help="folder of everything that is kept (default: $MOTES_DATA)"
    )


@contextmanager
def require_service() -> Iterator[None]:
    """For imports of the service, which is an optional part of Motes."""
    if sys.platform != "linux" or not POSIX:
        raise MotesError("the service runs on Linux only")
    try:
        yield
    except ImportError as error:
        raise MotesError(
            f"the service is not installed ({error.name} is missing): in the folder of Motes' sources, "
            "pip install '.[service]'"
        ) from None


def settings_from(arguments: argparse.Namespace, *names: str) -> ServiceSettings:
    """The settings from the environment, overridden by these arguments if given.

    Raises:
        MotesError: names the invalid variable or argument.
    """
    with require_service():
        from pydantic import ValidationError
        from pydantic_settings import SettingsError

        from ecs_core.validation_messages import what_is_allowed
        from services.settings import ServiceSettings
    over = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    try:
        return ServiceSettings(**over)
    except ValidationError as error:
        wrong = error.errors()[0]
        name = str(wrong["loc"][0]) if wrong["loc"] else ""
        given = HIDDEN if SECRET_NAME.search(name) else masked_value(str(wrong["input"]))
        where = f"--{name.replace('_', '-')}" if name in over else variable(name)
        words = what_is_allowed(wrong, ServiceSettings.model_json_schema())
        raise MotesError(f"{where} = {given}: {words}; motes config --help tells more") from None
    except SettingsError as error:
        raise MotesError(f"{error}; motes config --help tells more") from None


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"MOTES_{name.upper()}"


def warn_of_misspelt() -> None:
    """Warn about environment variables that look like misspelt settings."""
    with require_service():
        from services.settings import ServiceSettings
    known = [variable(name) for name in ServiceSettings.model_fields]
    for name in sorted(os.environ.keys() - known):
        if name.startswith("MOTES_") and (meant := get_close_matches(name, known, n=1, cutoff=0.85)):
            print(f"motes: warning: {name} is not a setting; did you mean {meant[0]}?", file=sys.stderr)


def shown(name: str, value: Any) -> str:
    """A setting's value without secrets."""
    if value is None or value == "":
        return ""
    if SECRET_NAME.search(name) or type(value).__name__.startswith("Secret"):
        return HIDDEN
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(shown(name, each) for each in value)
    return masked_value(str(value))
