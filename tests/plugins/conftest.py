"""Renders of plugins' types start at once."""

from __future__ import annotations

import pytest

from tests.render_children import fork_children


@pytest.fixture(autouse=True)
def _render_children_are_forked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    start = fork_children(lambda: request.getfixturevalue("forks"))
    monkeypatch.setattr("ecs_core.rendering.pool._start", start)
