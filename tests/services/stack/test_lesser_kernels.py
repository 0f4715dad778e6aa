"""A service on a machine that cannot sandbox decoders: it refuses songs and assets, or decodes them and warns."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.media import tone, write_song
from tests.service import serving, wait_for
from tests.services.media.asset_examples import picture

SMALL = {"width": 64, "height": 36, "duration": 0.2, "fps": 10, "particle_count": 5}


def lesser(missing: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.services.media.lesser_kernel", missing)


def upload(client: httpx.Client, folder: Path) -> httpx.Response:
    return client.post(
        "/audio", files={"file": ("song.flac", write_song(folder / "song.flac", tone(0.5)).read_bytes())}
    )


def rendered(client: httpx.Client, audio_path: str) -> dict[str, Any]:
    """The job of a video with this song, once it is over."""
    system = client.post("/create", json={"particle_type": "snow", "config": SMALL}).raise_for_status().json()
    body = {"audio_path": audio_path}
    job = client.post(f"/systems/{system['system_id']}/render", json=body).raise_for_status().json()["job_id"]

    def over() -> dict[str, Any] | None:
        found: dict[str, Any] = client.get(f"/jobs/{job}").raise_for_status().json()
        return found if found["status"] in ("completed", "failed") else None

    return wait_for(over)


CAMPAIGN = [pytest.param(missing, marks=pytest.mark.campaign) for missing in ("seccomp", "libseccomp")]


@pytest.mark.parametrize("missing", ["landlock", *CAMPAIGN])
def test_required_sandbox_that_is_missing_refuses_songs(tmp_path: Path, missing: str) -> None:
    """Uploads by the API; and jobs by the worker, with a song of better days."""
    refusal = f"is not decoded, as this machine cannot sandbox the decoder: it lacks {missing}; install it, or set "
    with serving(tmp_path) as service, service.client() as client:
        song = upload(client, tmp_path).raise_for_status().json()["audio_path"]
        assert client.get("/health").json()["sandbox"] == {"required": False, "missing": []}
    setting = {"MOTES_SANDBOX": "required"}
    with serving(tmp_path, environment=setting, prefix=lesser(missing)) as service, service.client() as client:
        health = client.get("/health").json()
        assert (health["status"], health["sandbox"]) == ("degraded", {"required": True, "missing": [missing]})
        other = write_song(tmp_path / "other.flac", tone(0.7)).read_bytes()
        answer = client.post("/audio", files={"file": ("other.flac", other)})
        assert (answer.status_code, f"other.flac: {refusal}MOTES_SANDBOX" in answer.text) == (503, True), answer.text
        answer = client.post("/assets", files={"file": ("cover.png", picture())})
        assert (answer.status_code, f"cover.png: {refusal}MOTES_SANDBOX" in answer.text) == (503, True), answer.text
        job = rendered(client, song)
        assert (job["status"], f"the song: {refusal}MOTES_SANDBOX" in job["error"]) == ("failed", True), job
        assert service.log.count("songs are refused, as decoders cannot be sandboxed") == 2  # API and worker
        assert f"for lack of {missing}" in service.log


def test_best_effort_decodes_and_says_what_is_missing(tmp_path: Path) -> None:
    """As is the default of a service that only this machine reaches."""
    with serving(tmp_path, prefix=lesser("landlock")) as service, service.client() as client:
        health = client.get("/health").json()
        assert (health["status"], health["sandbox"]) == ("healthy", {"required": False, "missing": ["landlock"]})
        job = rendered(client, upload(client, tmp_path).raise_for_status().json()["audio_path"])
        assert job["status"] == "completed", job
        assert client.post("/assets", files={"file": ("cover.png", picture())}).status_code == 201
        assert service.log.count("decoders are not fully sandboxed, for lack of landlock") == 2  # API and worker
