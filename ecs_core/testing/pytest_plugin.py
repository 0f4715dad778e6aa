"""Motes' pytest plugin: fixtures for authors of particle types. Loads nothing of Motes until a fixture is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecs_core.testing import Report


@pytest.fixture(scope="session")
def check_particle_type() -> Callable[..., Report]:
    """``ecs_core.testing.check_particle_type``: call it with a ParticleType or the name of a registered one."""
    from ecs_core.testing import check_particle_type as check  # noqa: PLC0415 - pytest loads this module in every run

    return check
