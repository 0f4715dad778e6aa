"""Keys between real processes: a whole render under them, revoking one in the middle, and servers that require them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from ecs_core.audio import document
from services.cli.demo_song import write_wav
from services.database.models import new_id
from tests.fork_server import HANG, ForkServer
from tests.services.stack.api_calls import API, LONG, SMALL, another_api, create, rendered, submit
from tests.services.stack.conftest import Stack, running_stack, until

pytestmark = pytest.mark.debian("redis-server")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer, _redis: None) -> Iterator[Stack]:
    """Keys are required, and its client has one of alice's."""
    with running_stack(tmp_path_factory.mktemp("keys"), forks, MOTES_AUTH="required") as stack:
        stack.client.headers["Authorization"] = f"Bearer {key(stack, '--owner', 'alice')}"
        yield stack


def motes(stack: Stack, *arguments: str) -> str:
    """What a command says on standard output."""
    return stack.motes(*arguments).stdout


def key(stack: Stack, *arguments: str) -> str:
    """A new key, as an operator makes it."""
    return motes(stack, "keys", "create", *arguments).strip()


def as_owner(stack: Stack, owner: str) -> httpx.Client:
    """A client with a new key."""
    headers = {"X-API-Key": key(stack, "--owner", owner)}
    return httpx.Client(base_url=stack.client.base_url, headers=headers, timeout=HANG, trust_env=False)


@pytest.fixture(scope="module")
def video(stack: Stack) -> str:
    """A job of alice's that is completed."""
    return rendered(stack, create(stack, **SMALL, seed=901))


def test_finished_video_is_visible_only_to_its_owner(stack: Stack, video: str) -> None:
    path = f"/download/{video}"
    assert stack.client.get(path).content[4:8] == b"ftyp"
    with as_owner(stack, "bob") as bob:
        for options in ({}, {"headers": {"Range": "bytes=0-9"}}, {"headers": {"If-None-Match": "*"}}):
            foreign, unknown = bob.get(path, **options), bob.get(f"/download/{new_id()}", **options)
            assert (foreign.status_code, foreign.content) == (unknown.status_code, unknown.content)
            assert foreign.status_code == 404
            changing = {"date": "", "ratelimit": "", "x-request-id": ""}
            assert dict(foreign.headers) | changing == dict(unknown.headers) | changing


def test_shared_result_reveals_nothing_of_its_first_owner(stack: Stack, video: str) -> None:
    """Results are shared by content without revealing who rendered them first."""
    own = stack.client.get(f"/jobs/{video}").json()
    with as_owner(stack, "bob") as bob:
        body = {"particle_type": "enhanced", "config": {**SMALL, "seed": 901}}
        system = bob.post("/create", json=body).json()["system_id"]
        again = bob.post(f"/systems/{system}/render", json={}).json()["job_id"]
        told = bob.get(f"/jobs/{again}").json()
        for shown in (own, told):  # whose address is that of the job
            assert all(shown["job_id"] in each.pop("url") for each in shown["outputs"])
        differ = {name for name in own if own[name] != told[name]}
        assert differ <= {"job_id", "owner", "system_id", "created_at", "completed_at"}
        assert told["owner"] == "bob"
        assert bob.delete(f"/jobs/{again}").status_code == 200
    assert stack.client.get(f"/download/{video}").status_code == 200  # and it is not the other's to delete


def test_revoking_a_key_closes_its_streams(stack: Stack) -> None:
    secret = key(stack, "--owner", "alice", "--name", "to be revoked")
    system = create(stack, **LONG, seed=903)
    job = submit(stack, system)
    headers = {"Authorization": f"Bearer {secret}"}
    base = str(stack.client.base_url).rstrip("/")

    def follow(began: list[str]) -> None:
        with httpx.stream("GET", f"{base}/jobs/{job}/events", headers=headers, timeout=HANG, trust_env=False) as stream:
            for line in stream.iter_lines():
                began.append(line)

    def watch(began: list[str]) -> str:
        url = f"{base}/ws/{system}?key={secret}".replace("http", "ws", 1)
        with connect(url, proxy=None) as websocket:
            with contextlib.suppress(ConnectionClosed):
                for status in websocket:
                    began.append(str(status))
            assert websocket.close_code == 1008
            return str(websocket.close_reason)

    events: list[str] = []
    statuses: list[str] = []
    with ThreadPoolExecutor() as pool:
        following, watching = pool.submit(follow, events), pool.submit(watch, statuses)
        until(lambda: events and statuses, stack)
        motes(stack, "keys", "revoke", secret[6:14])
        until(lambda: httpx.get(f"{base}/systems", headers=headers, trust_env=False).status_code == 401, stack)
        reason = watching.result(HANG)
        following.result(HANG)  # the stream has ended
    assert reason.startswith("A valid API key is needed")
    assert stack.client.post(f"/jobs/{job}/cancel").json()["status"] == "cancelled"  # it had not ended by itself


def test_exposed_service_needs_keys_and_explains_how_to_create_one(stack: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    with another_api(stack, MOTES_AUTH="auto", MOTES_HOST="0.0.0.0", MOTES_DATA=str(folder)) as client:
        assert client.get("/systems").status_code == 401
        said = stack.log(API)
        assert f"no API keys yet, so nobody gets in: motes keys create --owner NAME --data '{folder}'" in said
        made = stack.motes("keys", "create", "--owner", "alice", "--data", str(folder)).stdout.strip()
        assert client.get("/systems", headers={"X-API-Key": made}).status_code == 200
        assert made not in stack.log(API)


# --- what is heard, and what an owner corrects of it ---


@pytest.fixture(scope="module")
def song(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The id of a song of four seconds that alice and bob have uploaded."""
    path = tmp_path_factory.mktemp("song") / "song.wav"
    write_wav(path, 4.0)
    with as_owner(stack, "bob") as bob:
        for client in (stack.client, bob):
            answer = client.post("/audio", files={"file": ("song.wav", path.read_bytes())})
            assert answer.status_code == 201, answer.text
    return str(answer.json()["audio_id"])


def frame_of(client: httpx.Client, song: str) -> bytes:
    """A frame that is bright where there is a kick."""
    config = {**SMALL, "bindings": [{"source": "kick", "target": "light", "gain": 30.0}]}
    system = client.post("/create", json={"particle_type": "zen", "config": config}).json()["system_id"]
    assert client.post(f"/systems/{system}/load-audio", params={"audio_path": f"uploads/{song}"}).status_code == 200
    answer = client.get(f"/systems/{system}/frame", params={"t": 1.5})
    assert answer.status_code == 200, answer.text
    return answer.content


def test_song_analysis_is_a_valid_document(stack: Stack, song: str) -> None:
    answer = stack.client.get(f"/audio/{song}/analysis")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    heard = document.check(answer.json(), where="it")
    assert heard.curves is None
    assert heard.events["onsets"].times is not None
    again = stack.client.get(f"/audio/{song}/analysis", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    whole = document.check(stack.client.get(f"/audio/{song}/analysis", params={"curves": True}).json(), where="it")
    assert document.whole(whole, []) is not None


def test_song_analysis_follows_the_given_tempo(stack: Stack, song: str) -> None:
    answer = stack.client.get(f"/audio/{song}/analysis", params={"bpm": 60, "beat_offset": 0.25})
    assert answer.json()["events"]["beats"]["times"] == [0.25, 1.25, 2.25, 3.25]


def test_correction_applies_only_to_its_owner(stack: Stack, song: str) -> None:
    with as_owner(stack, "bob") as bob:
        before = frame_of(stack.client, song)
        said = {"schema": "motes-analysis", "version": 1, "duration": 4, "events": {"kicks": {"times": [1.5]}}}
        assert stack.client.put(f"/audio/{song}/analysis", json=said).status_code == 200
        assert stack.client.get(f"/audio/{song}/analysis").json()["events"]["kicks"] == {"times": [1.5]}
        assert frame_of(stack.client, song) != before
        assert frame_of(bob, song) == before
        assert bob.get(f"/audio/{song}/analysis").json()["events"]["kicks"] != {"times": [1.5]}
        assert stack.client.delete(f"/audio/{song}/analysis").status_code == 200
        assert frame_of(stack.client, song) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 7}, "version 7"),
        ({"duration": 5}, "another song"),
        ({"events": {"kicks": {"times": [2, 1]}}}, "times must ascend"),
        ({"events": {"bells": {"times": []}}}, "events.bells: no such event"),
    ],
)
def test_invalid_correction_is_refused(stack: Stack, song: str, change: dict[str, Any], said: str) -> None:
    good = {"schema": "motes-analysis", "version": 1, "duration": 4}
    answer = stack.client.put(f"/audio/{song}/analysis", json=good | change)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


def test_analysis_of_a_song_of_others_is_not_found(stack: Stack, song: str) -> None:
    with as_owner(stack, "carol") as carol:
        for answer in (
            carol.get(f"/audio/{song}/analysis"),
            carol.delete(f"/audio/{song}/analysis"),
            carol.put(f"/audio/{song}/analysis", json={}),
            stack.client.get(f"/audio/{'0' * 64}/analysis"),
            stack.client.get("/audio/song/analysis"),
        ):
            assert answer.status_code == 404, answer.text
