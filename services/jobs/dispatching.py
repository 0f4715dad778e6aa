"""What the dispatcher says of itself, so that no other process need ask the database whether it lives."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Dispatching:
    """What the dispatcher says of itself: who it is, and the schema revision of the database.

    The revision is None while nobody dispatches and another process is about to.
    """

    holder: str
    schema: str | None

    def to_text(self) -> str:
        """As it is stored."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_text(text: str | bytes) -> Dispatching:
        """What was stored.

        Raises:
            ValueError, TypeError, KeyError: it is something else.
        """
        found = json.loads(text)
        return Dispatching(found["holder"], found["schema"])
