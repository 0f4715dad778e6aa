"""Assets from upload to video, with real workers: with a folder, and with an object store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ecs_core import Scene, render_frame
from tests.services.media.asset_examples import picture
from tests.services.stack.api_calls import SMALL, create, rendered
from tests.services.stack.conftest import Stack

pytestmark = pytest.mark.debian("redis-server")
CONFIG: dict[str, Any] = SMALL | {"duration": 1.0, "particle_count": 300}


@pytest.fixture(params=["stack", "stack_on_servers"])
def either(request: pytest.FixtureRequest) -> Stack:
    """SQLite and a folder; PostgreSQL and an object store."""
    stack: Stack = request.getfixturevalue(request.param)
    return stack


def upload(stack: Stack, data: bytes) -> dict[str, Any]:
    answer = stack.client.post("/assets", files={"file": ("cover.jpg", data)})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_uploaded_picture_is_rendered_as_the_engine_renders_its_file(either: Stack, tmp_path: Path) -> None:
    asset = upload(either, picture("JPEG"))
    stored = either.client.get(f"/assets/{asset['asset_id']}/file")
    (tmp_path / "stored.png").write_bytes(stored.content)
    system = create(either, "portrait", **CONFIG, picture=asset["reference"])
    frame = either.client.get(f"/systems/{system}/frame", params={"t": 0.5})
    assert frame.status_code == 200, frame.text
    scene = Scene("portrait", config=CONFIG | {"picture": str(tmp_path / "stored.png")})
    render_frame(scene, 0.5, tmp_path / "frame.png")
    assert frame.content == (tmp_path / "frame.png").read_bytes()
    assert either.client.get(f"/systems/{system}/preview", params={"duration": 0.5}).status_code == 200
    job = rendered(either, system)
    assert either.client.get(f"/download/{job}").status_code == 200
    assert either.client.get(f"/jobs/{job}").json()["warnings"] == []


def test_uploaded_picture_in_a_layer_is_rendered_as_the_engine_renders_its_file(either: Stack, tmp_path: Path) -> None:
    asset = upload(either, picture("WEBP", channels=4))
    (tmp_path / "stored.png").write_bytes(either.client.get(f"/assets/{asset['asset_id']}/file").content)
    layer = {"kind": "image", "crop": "circle", "size": 0.6, "shadow": 0.5, "enter": "grow", "enter_seconds": 1.0}
    system = create(either, "snow", **CONFIG, layers=[layer | {"file": asset["reference"]}])
    frame = either.client.get(f"/systems/{system}/frame", params={"t": 0.5})
    assert frame.status_code == 200, frame.text
    config = CONFIG | {"layers": [layer | {"file": str(tmp_path / "stored.png")}]}
    render_frame(Scene("snow", config=config), 0.5, tmp_path / "frame.png")
    assert frame.content == (tmp_path / "frame.png").read_bytes()
    render_frame(Scene("snow", config=CONFIG), 0.5, tmp_path / "without.png")
    assert frame.content != (tmp_path / "without.png").read_bytes()
    job = rendered(either, system)
    assert either.client.get(f"/download/{job}").status_code == 200


def test_deleted_picture_cannot_be_referred_to(stack: Stack) -> None:
    asset = upload(stack, picture("PNG", channels=4))
    system = create(stack, "portrait", **CONFIG, seed=77, picture=asset["reference"])
    stack.client.put(f"/systems/{system}/config", json={"config": {"picture": None}})
    assert stack.client.delete(f"/assets/{asset['asset_id']}").status_code == 200
    refused = stack.client.put(f"/systems/{system}/config", json={"config": {"picture": asset["reference"]}})
    assert (refused.status_code, "there is no such asset" in refused.text) == (400, True)
