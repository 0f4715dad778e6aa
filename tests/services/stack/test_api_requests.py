"""What clients ask for over HTTP: refused in words where it is wrong, listed in pages, done once though asked twice."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from sqlalchemy import delete, null, update

from services.database.engine import open_database
from services.database.models import DeliveryRow, IdempotencyRow, JobRow, new_id
from tests.media import tone, write_tracks
from tests.services.api.world import song
from tests.services.moments import now
from tests.services.stack.api_calls import LONG, PROBLEM, SMALL, another_api, create, submit
from tests.services.stack.conftest import Stack

pytestmark = pytest.mark.debian("redis-server")


def store(stack: Stack, *statements: Any) -> None:
    """Rows or statements, straight into the database."""

    async def run() -> None:
        engine, sessions = open_database(stack.database)
        async with sessions.begin() as session:
            for each in statements:
                if isinstance(each, JobRow | DeliveryRow):
                    session.add(each)
                    await session.flush()
                else:
                    await session.execute(each)
        await engine.dispose()

    asyncio.run(run())


def assert_refused(answer: httpx.Response, status: int, *words: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    problem = answer.json()
    assert problem["status"] == status
    assert all(word in problem["detail"] for word in words), problem


# --- what is wrong ---

BODIES = {
    "not JSON": b"{",
    "not UTF-8": b'{"particle_type": "\xff"}',
    "NaN": b'{"particle_type": "snow", "config": {"x_position": NaN}}',
    "infinite": b'{"particle_type": "snow", "config": {"x_position": 1e999}}',
    "half a character": b'{"particle_type": "\\ud800"}',
    "half a character as a name": b'{"particle_type": "snow", "config": {"\\udfff": 1}}',
    "a number of 5000 digits": b'{"particle_type": "snow", "config": {"seed": 1' + b"0" * 5000 + b"}}",
    "deep": b'{"particle_type": "snow", "config": {"bindings": ' + b"[" * 5000 + b"]" * 5000 + b"}}",
    "many values": json.dumps({"particle_type": "snow", "config": {f"k{n}": n for n in range(20_000)}}).encode(),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_malformed_body_is_refused_with_422(stack: Stack, body: bytes) -> None:
    answer = stack.client.post("/create", content=body, headers={"Content-Type": "application/json"})
    assert_refused(answer, 422)


WRONG = {
    "empty": (b"", "The body is missing"),
    "null": (b"null", "The body = None: must be an object"),
    "no object": (b"[]", "The body = []: must be an object"),
    "no type": (b"{}", "particle_type is missing"),
    "type that is no text": (b'{"particle_type": 5}', "particle_type = 5: must be a text"),
    "config that is no object": (b'{"particle_type": "snow", "config": "x"}', "config = 'x': must be an object"),
    "config that is null": (b'{"particle_type": "snow", "config": null}', "config = None: must be an object"),
    "unknown field": (b'{"colour": 1}', "unknown field 'colour'; there are: particle_type, config"),
    "much of it": (json.dumps({"particle_type": "snow", "config": [1] * 5000}).encode(), "config = [1, 1"),
}


@pytest.mark.parametrize(("body", "words"), WRONG.values(), ids=WRONG)
def test_body_with_a_wrong_value_is_refused_with_400(stack: Stack, body: bytes, words: str) -> None:
    answer = stack.client.post("/create", content=body, headers={"Content-Type": "application/json"})
    assert_refused(answer, 400, words)
    assert len(answer.content) < 500


CONFIGS = {
    "unknown setting": ({"colour": 1}, "unknown setting 'colour'"),
    "huge number": ({"particle_count": 10**300}, "particle_count"),
    "rate with an exponent": ({"fps": "1e999999999"}, "fps"),
    "rate too long": ({"fps": "1" * 400 + "/7"}, "fps"),
    "text with a zero byte": ({"duration": "a\0b"}, "duration"),
    "wrong shape": ({"particle_colors": {"r": 1}}, "particle_colors"),
    "thousands of colours": ({"particle_colors": [["x"]] * 5000}, "particle_colors"),
    "unknown feature": ({"bindings": [{"source": "a\0", "target": "size"}]}, "bindings.0.source"),
}


@pytest.mark.parametrize(("config", "words"), CONFIGS.values(), ids=CONFIGS)
def test_wrong_config_is_refused_with_400(stack: Stack, config: dict[str, Any], words: str) -> None:
    answer = stack.client.post("/create", json={"particle_type": "snow", "config": config})
    assert_refused(answer, 400, words)
    assert len(answer.content) < 5000


def test_unknown_type_is_refused_as_documented(stack: Stack) -> None:
    words = "Invalid particle type: rain. Available types: ['bouncing', "
    assert_refused(stack.client.post("/create", json={"particle_type": "rain"}), 400, words)
    assert_refused(stack.client.put(f"/systems/{create(stack)}/type/rain"), 400, words)
    assert_refused(stack.client.put(f"/systems/{create(stack)}/type/%00%ff"), 400, "Invalid particle type")


def test_body_of_another_kind_is_refused_with_415(stack: Stack) -> None:
    body = json.dumps({"particle_type": "snow"}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        assert_refused(stack.client.post("/create", content=body, headers={"Content-Type": kind}), 415)
    accepted = {"Content-Type": "application/vnd.motes+json; charset=utf-8"}
    assert stack.client.post("/create", content=body, headers=accepted).status_code == 200


def test_body_that_is_too_large_is_refused_with_413(stack: Stack) -> None:
    body = b'{"particle_type": "snow", "config": {' + b" " * 600_000 + b"}}"
    headers = {"Content-Type": "application/json"}
    assert_refused(stack.client.post("/create", content=body, headers=headers), 413)
    parts = (body[at : at + 10_000] for at in range(0, len(body), 10_000))
    assert_refused(stack.client.post("/create", content=parts, headers=headers), 413)  # of unknown length


@pytest.mark.parametrize(
    "path",
    ["/jobs?limit=0", "/jobs?limit=99999999999999999999", "/systems?limit=x", "/jobs?status=done", "/jobs?cursor=%00"],
)
def test_wrong_query_is_refused_with_400(stack: Stack, path: str) -> None:
    assert_refused(stack.client.get(path), 400, path.partition("?")[2].partition("=")[0])


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/systems/{}/frame?at=12.5", "unknown query parameter 'at'; there are: t"),
        ("/systems/{}/preview?seconds=2", "unknown query parameter 'seconds'; there are: duration"),
        ("/jobs?stauts=failed&limit=1", "parameter 'stauts'; there are: status, system_id, fields, limit, cursor"),
        ("/systems/{}?key=mine", "unknown query parameter 'key'; there are none here"),
        ("/jobs/x/events?from=3", "unknown query parameter 'from'; there are none here"),
    ],
)
def test_unknown_query_parameter_is_refused(stack: Stack, path: str, there: str) -> None:
    """A misspelled parameter would otherwise return another frame or an unfiltered list."""
    system = create(stack, **SMALL)
    assert_refused(stack.client.get(path.format(system)), 400, there)
    assert stack.client.get("/health?nocache=1").status_code == 200  # who asks whether we live is let do as it likes


ODD = ["x", "%00", "%ff%fe", "..%2f..%2fetc", "a" * 3000, "00000000-0000-0000-0000-000000000000", "'; DROP", "\u00e9"]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_unknown_or_malformed_id_is_404(stack: Stack, odd: str) -> None:
    calls = [
        ("GET", "/systems/{}"),
        ("DELETE", "/systems/{}"),
        ("GET", "/systems/{}/frame"),
        ("GET", "/systems/{}/preview"),
        ("PUT", "/systems/{}/type/snow"),
        ("POST", "/systems/{}/load-audio?audio_path=x"),
        ("GET", "/jobs/{}"),
        ("GET", "/jobs/{}/events"),
        ("GET", "/jobs/{}/deliveries"),
        ("POST", "/jobs/{}/cancel"),
        ("DELETE", "/jobs/{}"),
        ("GET", "/download/{}"),
    ]
    for method, path in calls:
        assert_refused(stack.client.request(method, path.format(odd)), 404)
    assert_refused(stack.client.post(f"/systems/{odd}/render", json={}), 404)
    assert_refused(stack.client.put(f"/systems/{odd}/config", json={"config": {}}), 404)
    assert stack.client.get("/jobs", params={"system_id": odd}).json() == []


def test_load_audio_needs_the_path_in_the_query(stack: Stack) -> None:
    answer = stack.client.post(f"/systems/{create(stack)}/load-audio", json={"audio_path": "uploads/x.wav"})
    assert_refused(answer, 400, "audio_path is missing in the query: ?audio_path=…")


def test_unknown_path_and_method_are_problems_too(stack: Stack) -> None:
    assert_refused(stack.client.get("/nothing"), 404)
    assert_refused(stack.client.delete("/types"), 405, "DELETE: must be GET")
    assert_refused(stack.client.patch(f"/systems/{create(stack)}"), 405, "PATCH: must be DELETE or GET")


# --- lists ---


def pages(stack: Stack, path: str, **query: Any) -> list[list[dict[str, Any]]]:
    found = []
    answer = stack.client.get(path, params=query)
    while True:
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        if "next" not in answer.links:
            return found
        answer = stack.client.get(str(stack.client.base_url.join(answer.links["next"]["url"])))


def test_lists_are_paged_newest_first(stack: Stack) -> None:
    made = [create(stack, **SMALL) for _ in range(5)]
    found = pages(stack, "/systems", limit=2)
    assert [len(page) for page in found[:-1]] == [2] * (len(found) - 1)
    ids = [each["system_id"] for page in found for each in page]
    assert ids[:5] == made[::-1]
    assert len(set(ids)) == len(ids)


def test_new_rows_do_not_shift_pages(stack: Stack) -> None:
    made = [create(stack, **SMALL) for _ in range(4)]
    first = stack.client.get("/systems", params={"limit": 2})
    create(stack, **SMALL)
    stack.client.delete(f"/systems/{made[2]}")  # the last of the first page
    second = stack.client.get(str(stack.client.base_url.join(first.links["next"]["url"])))
    assert [each["system_id"] for each in (*first.json(), *second.json())] == made[::-1]


def test_rows_with_equal_times_are_listed_once(stack: Stack) -> None:
    system, moment = new_id(), now()
    rows = [job_row(system, created_at=moment) for _ in range(5)]
    store(stack, *rows)
    found = [each["job_id"] for page in pages(stack, "/jobs", limit=2, system_id=system) for each in page]
    assert sorted(found) == sorted(row.id for row in rows)


def job_row(system: str, **values: Any) -> JobRow:
    own = {"status": "completed", "stage": "completed", "output_path": "x.mp4", "scene": {}, "scene_key": new_id()}
    return JobRow(**{"id": new_id(), "fairness_key": system, "system_id": system} | own | values)


def test_jobs_are_listed_by_status_and_system(stack: Stack) -> None:
    mine, other = new_id(), new_id()
    rows = [job_row(system, status=status) for system in (mine, other) for status in ("failed", "completed", "queued")]
    store(stack, *rows, job_row(mine, kind="preview"), job_row(mine, kind="frame"))
    found = stack.client.get("/jobs", params={"system_id": mine, "status": ["failed", "queued"]}).json()
    assert [each["job_id"] for each in found] == [rows[2].id, rows[0].id]
    assert len(stack.client.get("/jobs", params={"system_id": mine}).json()) == 3  # no previews, no frames
    store(stack, delete(JobRow).where(JobRow.system_id.in_((mine, other))))  # no worker could do them


@pytest.mark.parametrize("cursor", ["x", "%", "MjAyNg", "AAAA", "\u00e9", "MDAwMS0wMS0wMVQwMDowMDowMCsxNDowMCB4"])
def test_invalid_cursor_is_refused(stack: Stack, cursor: str) -> None:
    for path in ("/systems", "/jobs"):
        assert_refused(stack.client.get(path, params={"cursor": cursor}), 400, "cursor")


# --- asked twice ---


def key() -> dict[str, str]:
    return {"Idempotency-Key": new_id()}


def test_repeated_request_is_executed_once(stack: Stack) -> None:
    headers, body = key(), {"particle_type": "snow", "config": SMALL}
    first = stack.client.post("/create", json=body, headers=headers)
    stack.client.put(f"/systems/{first.json()['system_id']}/config", json={"config": {"particle_count": 7}})
    again = stack.client.post("/create", json=dict(reversed(body.items())), headers=headers)
    assert (again.status_code, again.content) == (200, first.content)


def test_repeated_render_is_one_job(stack: Stack) -> None:
    system, headers = create(stack, **SMALL), key()
    answers = [stack.client.post(f"/systems/{system}/render", json={}, headers=headers) for _ in range(3)]
    assert [each.status_code for each in answers] == [202] * 3
    assert len({each.content for each in answers}) == len({each.headers["Location"] for each in answers}) == 1
    assert len(stack.client.get("/jobs", params={"system_id": system}).json()) == 1


def test_output_name_is_limited_by_bytes(stack: Stack) -> None:
    path = f"/systems/{create(stack, **SMALL)}/render"
    for name in ("長" * 83 + ".mp4", "🎵" * 62 + ".mp4", "e" * 251 + ".mp4"):
        assert stack.client.post(path, json={"output_path": name}).json()["output_path"] == name


def test_render_accepts_an_empty_body(stack: Stack) -> None:
    path, headers = f"/systems/{create(stack, **SMALL)}/render", key()
    assert stack.client.post(path).json()["output_path"] == "video.mp4"
    first = stack.client.post(path, headers=headers)
    assert (first.status_code, stack.client.post(path, headers=headers).content) == (202, first.content)


def test_key_of_another_request_is_refused_with_422(stack: Stack) -> None:
    headers = key()
    system = stack.client.post("/create", json={"particle_type": "snow"}, headers=headers).json()["system_id"]
    assert_refused(stack.client.post("/create", json={"particle_type": "zen"}, headers=headers), 422, "Idempotency-Key")
    assert_refused(stack.client.post(f"/systems/{system}/render", json={}, headers=headers), 422, "Idempotency-Key")


def test_key_of_a_refused_request_can_be_reused(stack: Stack) -> None:
    headers = key()
    assert stack.client.post("/create", json={"particle_type": "rain"}, headers=headers).status_code == 400
    assert stack.client.post("/create", json={"particle_type": "snow"}, headers=headers).status_code == 200


@pytest.mark.parametrize("odd", ["", "x" * 256, "with space", "\u00e9"])
def test_invalid_key_is_refused_with_400(stack: Stack, odd: str) -> None:
    answer = stack.client.post("/create", json={"particle_type": "snow"}, headers={b"Idempotency-Key": odd.encode()})
    assert_refused(answer, 400, "dempotency-")


def test_concurrent_repeat_of_a_request_is_refused(stack: Stack) -> None:
    system, headers = create(stack, **SMALL), key()

    def ask(_: int) -> httpx.Response:
        return stack.client.post(f"/systems/{system}/render", json={}, headers=headers)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(24)))
    assert {each.status_code for each in answers} <= {202, 409}
    assert len({each.content for each in answers if each.status_code == 202}) == 1
    assert len(stack.client.get("/jobs", params={"system_id": system}).json()) == 1


@pytest.mark.parametrize("made", [True, False], ids=["after it was made", "before it was made"])
def test_request_of_a_killed_process_can_be_repeated(stack: Stack, made: bool) -> None:
    system, headers = create(stack, **SMALL), key()
    path = f"/systems/{system}/render"
    first = stack.client.post(path, json={}, headers=headers).json()["job_id"]
    if not made:
        assert stack.wait_for(first, "completed")
        stack.client.delete(f"/jobs/{first}")
    row = IdempotencyRow.key == headers["Idempotency-Key"]
    store(stack, update(IdempotencyRow).where(row).values(answer=null(), holder="another", created_at=now()))
    assert_refused(stack.client.post(path, json={}, headers=headers), 409, "Idempotency-Key")
    store(stack, update(IdempotencyRow).where(row).values(created_at=now() - timedelta(seconds=11)))
    assert stack.client.post(path, json={}, headers=headers).json()["job_id"] == first
    assert len(stack.client.get("/jobs", params={"system_id": system}).json()) == 1


# --- what is done ---


def test_render_settings_override_those_of_the_system(stack: Stack) -> None:
    system = create(stack, **SMALL)
    over = {"width": 320, "height": 180, "fps": "24000/1001", "duration": 1.0, "seed": 5, "quality": "draft"}
    job = submit(stack, system, **over, format="mp4", priority="high", system_id=system)
    done = stack.wait_for(job, "completed", "failed")
    assert (done["status"], done["frames"], done["priority"]) == ("completed", 24, "high")
    assert stack.client.get(f"/systems/{system}").json()["status"]["config"]["width"] == 160


def test_render_accepts_a_size_and_the_length_of_the_song(stack: Stack) -> None:
    system = create(stack, **SMALL)
    audio = stack.client.post("/audio", files={"file": ("song.wav", song(0.5))}).json()["audio_path"]
    done = stack.wait_for(submit(stack, system, size="320x180", duration=None, audio_path=audio), "completed", "failed")
    assert (done["status"], done["frames"]) == ("completed", 15)
    with av.open(io.BytesIO(stack.client.get(f"/download/{done['job_id']}").content)) as video:
        assert (video.streams.video[0].width, video.streams.video[0].height) == (320, 180)


def test_render_of_a_part_tells_where_it_begins(stack: Stack) -> None:
    audio = stack.client.post("/audio", files={"file": ("song.wav", song(2.0))}).json()["audio_path"]
    system = create(stack, **SMALL, start=0.2, fade_in=0.1)
    accepted = submit(stack, system, start=1.5, fade_out=0.2, duration="audio", audio_path=audio)
    assert stack.client.get(f"/jobs/{accepted}").json()["start"] == 1.5  # at once
    done = stack.wait_for(accepted, "completed", "failed")
    assert (done["status"], done["frames"], done["start"]) == ("completed", 15, 1.5)
    system_says = stack.client.get(f"/systems/{system}").json()["status"]["config"]
    assert [system_says[name] for name in ("start", "fade_in", "fade_out")] == [0.2, 0.1, 0.0]
    late = {"start": 2, "audio_path": audio}
    refused = stack.client.post(f"/systems/{system}/render", json=late)
    assert_refused(refused, 400, "start = 2: must be under 2 seconds, the length of the song")


def test_track_is_the_chosen_one(stack: Stack, tmp_path: Path) -> None:
    song = write_tracks(tmp_path / "song.mka", tone(1.0), tone(0.5))
    audio = stack.client.post("/audio", files={"file": ("song.mka", song.read_bytes())}).json()
    assert audio["duration"] == pytest.approx(1.0)
    system = create(stack, **SMALL)
    body = {"duration": "audio", "audio_path": audio["audio_path"]}
    frames = [
        stack.wait_for(submit(stack, system, **body, **track), "completed", "failed")["frames"]
        for track in ({}, {"track": 0}, {"track": 1})
    ]
    assert frames == [30, 30, 15]
    missing = stack.wait_for(submit(stack, system, **body, track=2), "completed", "failed")
    assert missing["status"] == "failed"
    assert "track 2" in missing["error"]


def test_render_from_the_drop_tells_where_that_is(stack: Stack) -> None:
    # Four quiet seconds and six loud ones: the loudest section, or a drop, and two seconds before it, or a bar.
    samples = np.concatenate([np.full((1, 8000 * 4), 0.01), np.full((1, 8000 * 6), 0.9)], axis=1)
    hum = (samples * np.sin(2 * np.pi * 60 / 8000 * np.arange(80_000))).astype(np.float32)
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes((hum * 32767).astype("<i2").tobytes())
    audio = stack.client.post("/audio", files={"file": ("song.wav", made.getvalue())}).json()["audio_path"]
    system = create(stack, **SMALL)
    jobs = [submit(stack, system, start="drop", duration="audio", audio_path=audio) for _ in range(2)]
    done = [stack.wait_for(job, "completed", "failed") for job in jobs]
    assert [job["status"] for job in done] == ["completed"] * 2
    start = done[0]["start"]
    assert 0 < start < 4.5
    assert done[0]["frames"] == int((10 - start) * 30 + 0.5)
    assert done[1]["start"] == start  # wherever its result comes from
    [charged] = stack.rows("SELECT seconds FROM jobs WHERE id = :id", id=jobs[0])
    assert charged["seconds"] == pytest.approx(done[0]["frames"] / 30)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"size": "wide"}, "size = 'wide': must be WIDTHxHEIGHT, for example 1920x1080"),
        ({"size": "161x90"}, "width = 161: must be even"),
        ({"size": "320x180", "width": 320}, "size '320x180': give that, or width and height, not both"),
        ({"duration": None}, "needs a song"),
        ({"width": 161}, "width = 161: must be even"),
        ({"width": "wide"}, "width = 'wide'"),
        ({"duration": "audio"}, "needs a song"),
        ({"start": 1}, "start = 1: is a moment of a song"),
        ({"start": "drop"}, "start = drop: is a moment of a song"),
        ({"start": "chorus"}, "start = 'chorus': must be a number between 0 and 86400, or 'drop'"),
        ({"fade_in": -1}, "fade_in = -1: must be between 0 and 3600"),
        ({"fade_out": "slow"}, "fade_out = 'slow': must be a number"),
        ({"fps": [30]}, "fps"),
        ({"seed": 2**70}, "seed"),
        ({"system_id": "another"}, "system_id"),
        ({"audio_path": "../x.wav"}, "audio_path"),
        ({"output_path": "a\u007fb.mp4"}, "output_path"),
        ({"output_path": 5}, "output_path = 5: must be a text"),
        ({"output_path": "長" * 84 + ".mp4"}, "output_path: has 256 bytes in UTF-8; allowed: at most 255"),
        ({"format": "avi"}, "format = 'avi': must be 'mp4', 'mov', 'webm', 'png', 'webp' or 'gif'"),
        ({"format": "webm", "output_path": "x.mp4"}, "its name is that of mp4, and format = webm"),
        ({"format": "gif", "duration": 30}, "format = gif with 30 s of video: it is for at most 20 s"),
        ({"format": "mov", "quality": "8M"}, "quality '8M': mov has no bit rate"),
        ({"quality": "ultra"}, "quality = 'ultra': must be draft, standard, high, a bit rate such as"),
        ({"quality": {"max_bytes": 100}}, "max_bytes = 100: too few for"),
        ({"priority": 1}, "priority = 1: must be 'low', 'normal' or 'high'"),
        ({"colour": 1}, "unknown field 'colour'; there are: size, width"),
    ],
)
def test_impossible_render_is_refused(stack: Stack, body: dict[str, Any], words: str) -> None:
    assert_refused(stack.client.post(f"/systems/{create(stack, **SMALL)}/render", json=body), 400, words)


def test_finished_job_cannot_be_cancelled(stack: Stack) -> None:
    job = submit(stack, create(stack, **SMALL))
    stack.wait_for(job, "completed")
    assert_refused(stack.client.post(f"/jobs/{job}/cancel"), 409, "Job is completed already")


def test_deleting_a_job_stops_it_and_removes_its_video(stack: Stack) -> None:
    done, running = submit(stack, create(stack, **SMALL)), submit(stack, create(stack, **LONG, seed=203))
    stack.wait_for(done, "completed")
    for job in (done, running):
        assert stack.client.delete(f"/jobs/{job}").json() == {"message": "Job deleted"}
        assert_refused(stack.client.get(f"/jobs/{job}"), 404)
        assert_refused(stack.client.get(f"/download/{job}"), 404)


def test_deliveries_of_a_job_are_listed(stack: Stack) -> None:
    job = job_row(new_id())
    attempt = {"at": now().isoformat(), "status": 500, "error": None, "seconds": 0.1}
    url = "https://example.com/hook"
    row = DeliveryRow(job_id=job.id, url=url, event="job.completed", payload={}, attempts=[attempt], status="failed")
    store(stack, job, row)
    (told,) = stack.client.get(f"/jobs/{job.id}/deliveries").json()
    assert (told["url"], told["event"], told["status"]) == (url, "job.completed", "failed")
    assert told["attempts"][0]["status"] == 500
    assert set(told) == {"delivery_id", "event", "url", "status", "attempts", "created_at", "next_at"}


def test_forbidden_webhook_is_refused(stack: Stack) -> None:
    with with_webhooks(stack, MOTES_WEBHOOK_PRIVATE_TARGETS="false") as client:
        system = create(stack, **SMALL)
        for url in ("http://127.0.0.1:1/x", "http://localhost/", "file:///etc/passwd", "", "x" * 3000, "http://a\0b/"):
            answer = client.post(f"/systems/{system}/render", json={"webhook_url": url})
            assert_refused(answer, 400, "webhook_url")
        assert client.get("/jobs", params={"system_id": system}).json() == []


def test_webhook_delivery_is_listed_after_the_job(stack: Stack) -> None:
    with with_webhooks(stack, MOTES_WEBHOOK_PRIVATE_TARGETS="true") as client:
        url = "http://127.0.0.1:1/hook"
        answer = client.post(f"/systems/{create(stack, **SMALL)}/render", json={"webhook_url": url})
        job = answer.json()["job_id"]
        stack.wait_for(job, "completed")
        (told,) = client.get(f"/jobs/{job}/deliveries").json()
        assert (told["url"], told["event"]) == (url, "job.completed")


@contextmanager
def with_webhooks(stack: Stack, **environment: str) -> Iterator[httpx.Client]:
    """An API that sends webhooks."""
    secret = f"whsec_{b64encode(bytes(24)).decode()}"
    with another_api(stack, **environment, MOTES_WEBHOOK_SECRET=secret) as client:
        yield client


def test_concurrent_changes_of_a_system_are_all_kept(stack: Stack) -> None:
    system = create(stack, **SMALL)
    fields = ["x_position", "y_position", "spawn_center_x", "spawn_center_y", "bass_threshold", "spawn_area_width"]

    def change(name: str) -> int:
        return stack.client.put(f"/systems/{system}/config", json={"config": {name: 0.125}}).status_code

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(change, fields)) == [200] * 6
    config = stack.client.get(f"/systems/{system}").json()["status"]["config"]
    assert {name: config[name] for name in fields} == dict.fromkeys(fields, 0.125)


def test_every_setting_can_change(stack: Stack) -> None:
    system = create(stack)
    default = stack.client.get(f"/systems/{system}").json()["status"]["config"]
    changed = stack.client.put(f"/systems/{system}/config", json={"config": default | {"fps": 25, "hud": True}})
    assert changed.json()["message"] == "Configuration updated"
    assert changed.json()["status"]["config"] == default | {"fps": 25, "hud": True}
    config = {"duration": "audio"}  # may wait for its song
    assert stack.client.put(f"/systems/{system}/config", json={"config": config}).status_code == 200
    assert_refused(stack.client.post(f"/systems/{system}/render", json={}), 400, "needs a song")


def test_metrics_add_up(stack: Stack) -> None:
    counts = stack.client.get("/metrics").json()
    listed = {
        status: len(stack.client.get("/jobs", params={"limit": 500, "status": status}).json())
        for status in ("completed", "failed")
    }
    assert counts["active_systems"] == sum(len(page) for page in pages(stack, "/systems", limit=100))
    assert (counts["completed_jobs"], counts["failed_jobs"]) == (listed["completed"], listed["failed"])
    health = stack.client.get("/health").json()
    assert (health["status"], health["database"], health["redis"]) == ("healthy", True, True)
    assert "snow" in health["available_types"]
