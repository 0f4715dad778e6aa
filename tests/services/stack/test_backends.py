"""The same journeys as in ``test_render_jobs``, but with PostgreSQL for a database and S3 for storage."""

from __future__ import annotations

import pytest

from tests.services.stack.api_calls import SMALL, create, rendered
from tests.services.stack.conftest import Stack
from tests.services.stack.test_render_jobs import (
    test_cancelled_job_stops,
    test_documented_steps_from_upload_to_download,
    test_same_scene_again_is_not_rendered_again,
)

__all__ = [
    "test_cancelled_job_stops",
    "test_documented_steps_from_upload_to_download",
    "test_same_scene_again_is_not_rendered_again",
]

pytestmark = pytest.mark.debian("redis-server")


@pytest.fixture(scope="module")
def stack(stack_on_servers: Stack) -> Stack:
    return stack_on_servers


def test_files_and_rows_are_on_the_servers(stack: Stack) -> None:
    rendered(stack, create(stack, **SMALL, seed=12))
    assert any(key.startswith("scenes/") and key.endswith(".mp4") for key in stack.files())
    assert not (stack.folder / "data" / "motes.db").exists()
    assert not (stack.folder / "data" / "storage").exists()


def test_deleted_job_leaves_nothing_in_storage(stack: Stack) -> None:
    job = rendered(stack, create(stack, **SMALL, seed=13))
    (scene,) = {row["scene_key"] for row in stack.rows("SELECT scene_key FROM jobs WHERE id = :job", job=job)}
    assert any(scene in key for key in stack.files())
    assert stack.client.delete(f"/jobs/{job}").status_code == 200
    assert not any(scene in key for key in stack.files())
