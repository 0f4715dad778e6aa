"""Schemathesis tries the whole OpenAPI document: no 5xx, no answer outside its schema, none across owners.

A few requests of each kind in ``make test``, some in ``make campaigns``, more than 5,000 in ``make nightly``.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from services.auth.api_keys import ApiKeys
from services.database.engine import Sessions, open_database
from services.database.migrations import upgrade
from services.jobs.tasks import Tasks
from tests.services.api.world import changed, picture, served, song

HERE = Path(__file__).parent / "contract"
ROOT = Path(__file__).parents[3]
MARKER = "somebody-elses-4f1c"
SMALL = {"width": 160, "height": 90, "duration": 1.0, "particle_count": 20}


async def _two_keys(keys: ApiKeys, sessions: Sessions) -> list[str]:
    return [(await keys.create(owner=owner, scopes=("read", "render")))[1] for owner in ("mine", MARKER)]


def _made(client: httpx.Client, name: str) -> dict[str, str]:
    """A system and a job."""
    system = client.post("/particles/create", json={"particle_type": "snow", "config": SMALL}).json()["system_id"]
    job = client.post(f"/particles/systems/{system}/render", json={"output_path": f"{name}.mp4"}).json()["job_id"]
    level = len(name)  # another content, so another id
    asset = client.post("/particles/assets", files={"file": (f"{name}.png", picture(level=level))}).json()["asset_id"]
    audio = client.post("/particles/audio", files={"file": (f"{name}.wav", song(level=level))}).json()["audio_id"]
    body = {"particle_type": "snow", "config": SMALL, "songs": [{"audio_path": audio, "output_path": f"{name}.mp4"}]}
    batch = client.post("/particles/batches", json=body).json()["batch_id"]
    given = {"kind": "song", "filename": name}
    about = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in given.items())
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "100", "Upload-Metadata": about}
    upload = client.post("/particles/uploads", headers=headers).headers["location"].rpartition("/")[2]
    return {"SYSTEM": system, "JOB": job, "ASSET": asset, "BATCH": batch, "UPLOAD": upload}


@contextmanager
def _failing_everything(database: str) -> Iterator[None]:
    """A worker that can do nothing; without any, whoever follows a job would wait for ever."""
    stop = threading.Event()

    async def work() -> None:
        engine, sessions = open_database(database)
        tasks = Tasks(sessions, lease=15)
        while not stop.is_set():
            claim = await tasks.claim("none")
            if claim is None:
                await asyncio.sleep(0.1)
            else:
                await tasks.fail(claim, "there is no worker")
        await engine.dispose()

    thread = threading.Thread(target=asyncio.run, args=(work(),))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    ("auth", "examples", "at_least"),
    [
        pytest.param("off", 1, 300, id="off"),
        pytest.param("off", 3, 500, id="off-3", marks=pytest.mark.campaign),
        pytest.param("required", 3, 500, id="required-3", marks=pytest.mark.campaign),
        pytest.param("off", 100, 2500, id="off-100", marks=pytest.mark.nightly),
        pytest.param("required", 100, 2500, id="required-100", marks=pytest.mark.nightly),
    ],
)
def test_every_response_conforms_to_openapi(
    auth: str,
    examples: int,  # made up for each operation
    at_least: int,  # requests in all
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'motes.db'}"
    asyncio.run(upgrade(database))
    mine, theirs = changed(database, _two_keys)
    for name, value in {
        "DATA": str(tmp_path),
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "AUTH": auth,
        "LIMIT_REQUESTS_PER_MINUTE": "1000000",
        "WRONG_KEYS_PER_MINUTE": "1000000",
        "LIMIT_OPEN_JOBS": "1000000",
        "LIMIT_QUEUED_JOBS": "1000000",
        "LIMIT_RENDERED_SECONDS_PER_DAY": "1000000000",
        "WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    }.items():
        monkeypatch.setenv(f"MOTES_{name}", value)
    with (
        _failing_everything(database),
        served() as url,
        httpx.Client(base_url=url, trust_env=False, timeout=300) as client,
    ):
        client.headers["Authorization"] = f"Bearer {theirs}"
        there = _made(client, MARKER)
        client.headers["Authorization"] = f"Bearer {mine}"
        here = _made(client, "mine")
        environment = {
            **os.environ,
            **{f"MY_{name}": value for name, value in here.items()},
            **{f"THEIR_{name}": value for name, value in there.items()},
            "MARKER": MARKER if auth == "required" else "nothing is anybody's",
            "EVERYBODY": "" if auth == "required" else "yes",
            "PYTHONPATH": str(ROOT),
        }
        report = tmp_path / "report.json"
        key = ("-H", f"Authorization: Bearer {mine}") if auth == "required" else ("--exclude-checks", "ignored_auth")
        done = subprocess.run(
            (
                *(str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(HERE / "schemathesis.toml")),
                *("run", f"{url}/openapi.json", "--checks", "all", "--max-examples", str(examples), *key),
                *("--report-json-path", str(report), "--no-color", "--generation-database", "none", "--no-shrink"),
            ),
            cwd=tmp_path_factory.mktemp("schemathesis"),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert client.get("/particles/health").status_code == 200
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    tried = json.loads(report.read_text())
    assert tried["operations"]["tested"] == tried["operations"]["selected"] > 20
    assert tried["test_cases"]["generated"] >= at_least
    print(f"\n{auth}: {tried['test_cases']['generated']} requests")
