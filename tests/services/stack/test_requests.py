"""What clients may ask for, and what they are told when they may not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.plugins.simulate import BUILT_IN
from tests.services.stack.conftest import Stack

pytestmark = pytest.mark.debian("redis-server")


@pytest.fixture
def system(stack: Stack) -> str:
    return str(stack.client.post("/create", json={"particle_type": "snow"}).json()["system_id"])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"particle_type": "rain"}, "Invalid particle type: rain. Available types: ["),
        ({"particle_type": "snow", "config": {"particle_count": -1}}, "particle_count = -1: must be between 0"),
        ({"particle_type": "snow", "config": {"colour": 1}}, "unknown setting 'colour'"),
        (
            {"particle_type": "portrait", "config": {"picture": "/etc/passwd"}},
            "picture = '/etc/passwd': is no uploaded",
        ),
    ],
)
def test_wrong_system_is_refused_with_400(stack: Stack, body: dict[str, Any], words: str) -> None:
    answer = stack.client.post("/create", json=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith(words) or words in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/systems/x", "/jobs/x", "/download/x", "/jobs/x/events"])
def test_unknown_id_is_404(stack: Stack, path: str) -> None:
    assert stack.client.get(path).status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "../up.mp4",
        "/tmp/x.mp4",
        "a/b.mp4",
        "x.avi",
        "",
        ".mp4",
        "nul.mp4",
        "CON.foo.mp4",
        "COM1.x.mp4",
        "x\u0000.mp4",
        "x" * 300 + ".mp4",
    ],
)
def test_output_path_must_be_a_plain_name(stack: Stack, system: str, name: str) -> None:
    answer = stack.client.post(f"/systems/{system}/render", json={"output_path": name})
    assert answer.status_code == 400
    assert "output_path" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *((path, 400) for path in ("../secret.wav", "a/../missing.wav", "/etc/passwd", "", ".", "a\u0000b", "aux.wav")),
        *((path, 404) for path in ("missing.wav", "missing/missing.wav", "uploads/" + "0" * 64)),
    ],
)
def test_audio_path_outside_the_root_or_missing_is_refused(stack: Stack, system: str, path: str, status: int) -> None:
    (stack.folder / "secret.wav").write_text("not yours")
    loaded = stack.client.post(f"/systems/{system}/load-audio", params={"audio_path": path})
    rendered = stack.client.post(f"/systems/{system}/render", json={"audio_path": path})
    assert [loaded.status_code, rendered.status_code] == [status, status]
    assert loaded.json() == rendered.json()
    assert "audio_path" in loaded.json()["detail"]


def test_upload_that_is_not_a_song_is_refused(stack: Stack) -> None:
    answer = stack.client.post("/audio", files={"file": ("song.wav", b"this is text")})
    assert answer.status_code == 415
    assert answer.json()["detail"].startswith("song.wav: ")


def test_type_of_a_system_can_change(stack: Stack, system: str) -> None:
    answer = stack.client.put(f"/systems/{system}/type/zen")
    assert answer.json()["status"]["particle_type"] == "zen"
    assert stack.client.put(f"/systems/{system}/type/rain").status_code == 400


def test_settings_unknown_to_the_new_type_are_dropped(stack: Stack) -> None:
    body = {"particle_type": "bouncing", "config": {"collide": True, "particle_count": 7}}
    system = stack.client.post("/create", json=body).json()["system_id"]
    changed = stack.client.put(f"/systems/{system}/type/snow").json()
    assert changed["message"] == "Particle type changed to snow; it has no collide, dropped"
    assert changed["status"]["config"]["particle_count"] == 7
    assert "collide" not in changed["status"]["config"]
    back = stack.client.put(f"/systems/{system}/type/bouncing").json()
    assert (back["message"], back["status"]["config"]["collide"]) == ("Particle type changed to bouncing", False)


def test_invalid_config_changes_nothing(stack: Stack, system: str) -> None:
    assert stack.client.put(f"/systems/{system}/config", json={"config": {"fps": 0}}).status_code == 400
    assert stack.client.get(f"/systems/{system}").json()["status"]["config"]["fps"] == 30


def test_part_of_a_setting_can_be_changed(stack: Stack, system: str) -> None:
    def told(config: dict[str, Any]) -> dict[str, Any]:
        answer = stack.client.put(f"/systems/{system}/config", json={"config": config})
        return dict(answer.json()["status"]["config"])

    told({"enhanced_mode": {"active": False, "threshold": 0.5}, "hearing": {"bass": {"full": 90}}, "bounce": True})
    now = told({"enhanced_mode": {"factor": 3}, "hearing": {"bass": {"threshold": 40}, "kicks": {}}})
    assert now["enhanced_mode"] == {"active": False, "threshold": 0.5, "factor": 3}
    assert now["hearing"] == {"bass": {"threshold": 40, "full": 90}, "kicks": {"threshold": None, "full": None}}
    assert now["bounce"] is True


def test_types_describe_their_settings(stack: Stack) -> None:
    types = {each["type"]: each for each in stack.client.get("/types").json()}
    assert set(types) == set(BUILT_IN)
    assert "particle_count" in types["snow"]["config_schema"]["properties"]


def test_deleted_system_is_not_found(stack: Stack, system: str) -> None:
    assert stack.client.delete(f"/systems/{system}").json() == {"message": "System deleted"}
    assert stack.client.get(f"/systems/{system}").status_code == 404
