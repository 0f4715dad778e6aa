"""Files that vanish, are cut short or change under a service: it notices, and makes them again by itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service import Service, serving, wait_for

SMALL = {"width": 160, "height": 90, "duration": 4.0, "particle_count": 50}
DAMAGE: dict[str, Callable[[Path], object]] = {
    "gone": lambda path: path.unlink(),
    "short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
}


def flip(path: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("lost")) as service:
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


def create(client: httpx.Client, **config: Any) -> str:
    return str(client.post("/create", json={"particle_type": "enhanced", "config": SMALL | config}).json()["system_id"])


def submit(client: httpx.Client, system: str, **more: Any) -> str:
    answer = client.post(f"/systems/{system}/render", json={"quality": "draft", **more})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def over(client: httpx.Client, job: str) -> dict[str, Any]:
    found = {}

    def is_over() -> bool:
        found.update(client.get(f"/jobs/{job}").json())
        return found["status"] in ("completed", "failed", "cancelled")

    wait_for(is_over, why=lambda: found)
    return found


def rendered(client: httpx.Client, system: str, **more: Any) -> str:
    job = submit(client, system, **more)
    assert over(client, job)["status"] == "completed"
    return job


def query(service: Service, statement: str, *values: object) -> list[Any]:
    with closing(sqlite3.connect(service.folder / "data/motes.db", timeout=20)) as database, database:
        return database.execute(statement, values).fetchall()


def scene_of(service: Service, job: str) -> Path:
    [(key,)] = query(service, "SELECT scene_key FROM jobs WHERE id = ?", job)
    return service.folder / "data/storage/scenes" / key


def the_file(service: Service, job: str, pattern: str) -> Path:
    """The file of a job that counts."""
    [(key,)] = query(service, "SELECT scene_key FROM jobs WHERE id = ?", job)
    rows = query(service, "SELECT object FROM artefacts WHERE key = ?", f"scenes/{key}/{pattern}")
    assert len(rows) == 1, rows
    return service.folder / "data/storage" / rows[0][0]


def lose_video(service: Service, job: str, *, damaged: str, how: str) -> None:
    """Have a job's video joined again next time, of whose files one is damaged."""
    scene = scene_of(service, job)
    (DAMAGE | {"changed": flip})[how](the_file(service, job, damaged))
    gone = (f"scenes/{scene.name}/{name}" for name in ("video.mp4", "poster.png"))
    query(service, "DELETE FROM artefacts WHERE key IN (?, ?)", *gone)


def download(client: httpx.Client, path: str) -> httpx.Response:
    """The answer, as a library gets it that asks again when it is told to."""
    answers = list[httpx.Response]()

    def answered() -> bool:
        answers.append(client.get(path))
        return answers[-1].status_code != 503

    wait_for(answered, why=lambda: [(each.status_code, each.text) for each in answers[-2:]])
    return answers[-1]


class TestDownload:
    @pytest.mark.parametrize("how", DAMAGE)
    def test_of_a_lost_video_has_it_made_again(self, service: Service, client: httpx.Client, how: str) -> None:
        job = rendered(client, create(client, seed=list(DAMAGE).index(how)))
        before = client.get(f"/jobs/{job}").json()
        DAMAGE[how](the_file(service, job, "video.mp4"))
        answer = client.get(f"/download/{job}")
        assert (answer.status_code, "lost" in answer.json()["detail"]) == (503, True)
        assert int(answer.headers["Retry-After"]) >= 1
        assert client.get(f"/jobs/{job}").json()["status"] in ("queued", "rendering", "completed")
        answer = download(client, f"/download/{job}")
        assert answer.status_code == 200
        assert len(answer.content) == int(answer.headers["Content-Length"]) > 1000
        after = client.get(f"/jobs/{job}").json()
        same = ("status", "frames", "output_path", "created_at", "error", "warnings")
        assert [after[name] for name in same] == [before[name] for name in same]

    @pytest.mark.parametrize("method", ["HEAD", "GET"])
    def test_never_promises_more_than_there_is(self, service: Service, client: httpx.Client, method: str) -> None:
        job = rendered(client, create(client, seed=10 + len(method)))
        DAMAGE["empty"](the_file(service, job, "video.mp4"))
        assert client.request(method, f"/download/{job}").status_code == 503

    def test_of_a_changed_video_breaks_off_and_then_works(self, service: Service, client: httpx.Client) -> None:
        job = rendered(client, create(client, seed=20))
        flip(the_file(service, job, "video.mp4"))
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(f"/download/{job}")
        assert download(client, f"/download/{job}").status_code == 200

    def test_that_fails_does_not_count_as_use(self, service: Service, client: httpx.Client) -> None:
        job = rendered(client, create(client, seed=21))
        video = the_file(service, job, "video.mp4")
        query(service, "UPDATE artefacts SET used_at = '2026-01-01 00:00:00.000000' WHERE key LIKE ?", "%/video.mp4")
        video.rename(video.with_name("away"))
        client.get(f"/download/{job}")
        assert not query(
            service, "SELECT 1 FROM artefacts WHERE object LIKE ? AND used_at > '2026-01-02'", f"%{video.name}"
        )

    def test_of_a_lost_poster_keeps_the_video(self, service: Service, client: httpx.Client) -> None:
        job = rendered(client, create(client, seed=22))
        the_file(service, job, "poster.png").unlink()
        assert client.get(f"/jobs/{job}/poster").status_code == 503
        assert client.get(f"/download/{job}").status_code == 200
        assert download(client, f"/jobs/{job}/poster").content.startswith(b"\x89PNG")
        assert client.get(f"/download/{job}").status_code == 200

    def test_of_a_lost_output_has_that_made_again(self, service: Service, client: httpx.Client) -> None:
        system = create(client, seed=23, variants=[{"size": "90x160", "name": "tall"}])
        job = rendered(client, system)
        [(part,)] = query(service, "SELECT id FROM jobs WHERE whole_id = ? AND scene LIKE '%\"width\": 90,%'", job)
        the_file(service, part, "video.mp4").unlink()
        assert client.get(f"/download/{job}").status_code == 200
        assert client.get(f"/jobs/{job}/outputs/tall").status_code == 503
        assert client.get(f"/download/{job}").status_code in (200, 503)
        assert download(client, f"/jobs/{job}/outputs/tall").status_code == 200
        assert over(client, job)["status"] == "completed"

    def test_says_so_where_the_song_is_gone(self, service: Service, client: httpx.Client, demo_song: Path) -> None:
        song = client.post("/audio", files={"file": ("song.wav", demo_song.read_bytes())}).json()
        system = create(client, seed=24)
        client.post(f"/systems/{system}/load-audio", params={"audio_path": song["audio_path"]})
        job = rendered(client, system)
        client.delete(f"/audio/{song['audio_id']}")
        the_file(service, job, "video.mp4").unlink()
        answer = client.get(f"/download/{job}")
        assert answer.status_code == 400
        assert "cannot be made again: the song is gone; upload it again" in answer.json()["detail"]
        found = client.get(f"/jobs/{job}").json()
        assert (found["status"], "the song is gone" in found["error"]) == ("failed", True)

    def test_again_and_again_fails(self, service: Service, client: httpx.Client) -> None:
        job = rendered(client, create(client, seed=25))
        for _ in range(3):
            the_file(service, job, "video.mp4").unlink()
            assert download(client, f"/download/{job}").status_code == 200
        the_file(service, job, "video.mp4").unlink()
        answer = client.get(f"/download/{job}")
        assert (answer.status_code, "not sound" in answer.json()["detail"]) == (400, True)


class TestRender:
    def test_of_what_was_lost_renders_it(self, service: Service, client: httpx.Client) -> None:
        system = create(client, seed=30)
        first = rendered(client, system)
        the_file(service, first, "video.mp4").unlink()
        again = rendered(client, system)
        assert client.get(f"/download/{again}").status_code == 200
        assert client.get(f"/download/{first}").status_code == 200

    @pytest.mark.parametrize("how", [*DAMAGE, "changed"])
    def test_makes_a_lost_segment_again(self, service: Service, client: httpx.Client, how: str) -> None:
        system = create(client, seed=40 + [*DAMAGE, "changed"].index(how))
        first = rendered(client, system)
        lose_video(service, first, damaged="segments/0.mp4", how=how)
        again = rendered(client, system)
        assert client.get(f"/download/{again}").status_code == 200

    @pytest.mark.parametrize("how", [*DAMAGE, "changed"])
    def test_makes_a_lost_sound_again(self, service: Service, client: httpx.Client, demo_song: Path, how: str) -> None:
        song = client.post("/audio", files={"file": ("song.wav", demo_song.read_bytes())}).json()
        system = create(client, seed=70 + [*DAMAGE, "changed"].index(how))
        client.post(f"/systems/{system}/load-audio", params={"audio_path": song["audio_path"]})
        first = rendered(client, system)
        sound = client.get(f"/download/{first}").content
        lose_video(service, first, damaged="segments/sound-0.zip", how=how)
        again = rendered(client, system)
        assert client.get(f"/download/{again}").content == sound

    def test_plans_again_where_plan_and_snapshots_are_lost(self, service: Service, client: httpx.Client) -> None:
        job = submit(client, create(client, seed=50, width=960, height=540, duration=20.0, particle_count=3000))
        wait_for(lambda: client.get(f"/jobs/{job}").json()["frames_done"] > 60)
        [(done,)] = query(service, "SELECT count(*) FROM tasks WHERE job_id = ? AND status = 'done'", job)
        for path in (scene_of(service, job) / "plans").rglob("*.npz"):
            path.unlink()
        assert done >= 1
        assert over(client, job)["status"] == "completed"
        assert query(service, "SELECT remade FROM jobs WHERE id = ?", job) == [(1,)]

    @pytest.mark.parametrize("path", ["frame", "preview"])
    def test_of_a_lost_look(self, service: Service, client: httpx.Client, path: str) -> None:
        system = create(client, seed=60 + len(path))
        assert client.get(f"/systems/{system}/{path}").status_code == 200
        [(key,)] = query(
            service,
            "SELECT object FROM artefacts WHERE key LIKE '%/frame.png' OR key LIKE "
            "'%/video.mp4' ORDER BY created_at DESC LIMIT 1",
        )
        (service.folder / "data/storage" / key).unlink()
        assert client.get(f"/systems/{system}/{path}").status_code == 200
