"""Where the whole sandbox is required, and where it may lack something."""

from __future__ import annotations

import pytest

from services.settings import ServiceSettings


@pytest.mark.parametrize(
    ("settings", "owner", "required"),
    [
        ({}, "", False),
        ({"host": "localhost"}, "", False),
        ({}, "alice", True),  # a key was required, whatever this process's own settings say
        ({"host": "0.0.0.0"}, "", True),
        ({"host": "0.0.0.0", "auth": "off"}, "", True),
        ({"auth": "required"}, "", True),
        ({"auth": "required", "sandbox": "best-effort"}, "alice", False),
        ({"host": "0.0.0.0", "sandbox": "best-effort"}, "", False),
        ({"sandbox": "required"}, "", True),
    ],
)
def test_sandbox_is_required_wherever_others_can_send_files(
    settings: dict[str, str], owner: str, required: bool
) -> None:
    assert ServiceSettings(**settings).sandbox_required(owner) is required  # type: ignore[arg-type]
