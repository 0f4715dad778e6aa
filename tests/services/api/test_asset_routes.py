"""Assets over HTTP: uploads, lists, files, deletion; who sees them; and systems that refer to them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from services.auth.api_keys import ApiKeys
from services.database.engine import Sessions
from services.database.models import AssetRow
from services.settings import ServiceSettings
from services.storage.object_store import Storage
from tests.services.api.world import SMALL, World, picture, world_of
from tests.services.media.asset_examples import examples, video

NOBODYS = "asset:" + "0" * 64


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    async def make(keys: ApiKeys, sessions: Sessions) -> dict[str, str]:
        made = {name: (await keys.create(owner=name, scopes=("read", "render")))[1] for name in ("alice", "bob")}
        made["admin"] = (await keys.create(owner="admin", scopes=("admin",)))[1]
        poor = await keys.create(owner="poor", scopes=("read", "render"), limits={"stored_bytes": 1000})
        return made | {"poor": poor[1]}

    with world_of(tmp_path_factory.mktemp("assets"), make, upload_limit=3_000_000) as world:
        yield world


def create(world: World, who: str, picture: object, **more: Any) -> httpx.Response:
    config = SMALL | {"picture": picture} | more
    return world.call(who, "POST", "/create", json={"particle_type": "portrait", "config": config})


def created(world: World, who: str, picture: object) -> str:
    answer = create(world, who, picture)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["system_id"])


@pytest.mark.parametrize("name", examples())
def test_asset_of_each_format_is_stored_shown_and_deleted(world: World, name: str) -> None:
    made = world.asset("alice", examples()[name], name)
    kind = name.partition(".")[0]
    assert (made["kind"], made["name"], made["owner"]) == (kind, name, "alice")
    assert made["reference"] == f"asset:{made['asset_id']}"
    assert world.call("alice", "GET", f"/assets/{made['asset_id']}").json() == made
    file = world.call("alice", "GET", f"/assets/{made['asset_id']}/file")
    assert (file.status_code, len(file.content)) == (200, made["size"])
    assert file.headers["content-type"] == ("image/png" if kind == "image" else "application/octet-stream")
    assert ("content-disposition" in file.headers) == (kind != "image")
    assert world.call("alice", "DELETE", f"/assets/{made['asset_id']}").json() == {"message": "Asset deleted"}
    assert world.call("alice", "GET", f"/assets/{made['asset_id']}").status_code == 404
    assert stored(world, made["asset_id"]) == []


def stored(world: World, asset_id: str) -> list[str]:
    storage = Storage(ServiceSettings().storage)
    return [each.key for batch in storage.list(f"assets/{asset_id}") for each in batch]


def test_same_file_is_stored_once_for_all_owners(world: World) -> None:
    data = picture(level=3)
    first, again, bobs = (world.asset(who, data, f"{who}.png") for who in ("alice", "alice", "bob"))
    assert first == again
    assert (bobs["asset_id"], bobs["name"], bobs["owner"]) == (first["asset_id"], "bob.png", "bob")
    assert len(stored(world, first["asset_id"])) == 1
    world.call("alice", "DELETE", f"/assets/{first['asset_id']}")
    assert world.call("bob", "GET", f"/assets/{first['asset_id']}/file").status_code == 200
    world.call("bob", "DELETE", f"/assets/{first['asset_id']}")
    assert stored(world, first["asset_id"]) == []


def test_lost_file_is_stored_again(world: World) -> None:
    made = world.asset("alice", picture(level=4))
    Storage(ServiceSettings().storage).delete(stored(world, made["asset_id"]))
    lost = world.call("alice", "GET", f"/assets/{made['asset_id']}/file")
    assert (lost.status_code, lost.json()["detail"]) == (404, "The asset's file was lost; upload it again")
    assert world.asset("alice", picture(level=4)) == made
    assert world.call("alice", "GET", f"/assets/{made['asset_id']}/file").status_code == 200


@pytest.mark.parametrize(
    ("data", "status", "line"),
    [
        (b"<svg/>", 415, "a.png: is an SVG, which can hold programs and links; save it as PNG"),
        (b"GIF89a", 415, "a.png: is a GIF file; allowed: an image (JPEG, PNG, WebP or AVIF), a video"),
        (b"[00:01.00]a\n" * 100_000, 413, "a.png: has too many bytes for lyrics; allowed: at most 1000000"),
        (
            b"\x1a\x45\xdf\xa3" + b"x" * 3_000_000,
            413,
            "the upload has too many bytes: at most 3000000 here (limit upload_limit)",
        ),
        (picture()[:-20], 415, "a.png: is cut off: its end is missing"),
    ],
)
def test_wrong_file_is_refused_in_one_line(world: World, data: bytes, status: int, line: str) -> None:
    answer = world.call("alice", "POST", "/assets", files={"file": ("a.png", data)})
    assert answer.status_code == status
    assert answer.json()["detail"].startswith(line)
    assert answer.json()["detail"].isprintable()


@pytest.mark.parametrize(("head", "status"), [(b"GIF89a", 415), (b"[00:01.00]", 413)])
def test_upload_of_a_wrong_file_is_refused_before_it_is_whole(world: World, head: bytes, status: int) -> None:
    sent = []

    def body() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + head
        while len(sent) < 10_000:
            sent.append(1)
            yield b"x" * 10_000

    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    try:
        answer = world.call("alice", "POST", "/assets", content=body(), headers=kind)
        assert (answer.status_code, answer.headers["connection"]) == (status, "close")
        assert answer.json()["detail"].startswith("a: ")
    except (httpx.WriteError, httpx.ReadError):  # told while it was still talking
        pass
    assert len(sent) < 10_000


def test_list_is_of_own_assets_by_kind_in_pages(world: World) -> None:
    mine = [world.asset("bob", picture(level=level))["asset_id"] for level in range(50, 53)]
    words = world.asset("bob", examples()["lyrics.vtt"], "a.vtt")["asset_id"]
    world.asset("alice", picture(level=60))
    assert [each["asset_id"] for each in world.call("bob", "GET", "/assets").json()] == [words, *reversed(mine)]
    assert [each["asset_id"] for each in world.call("bob", "GET", "/assets?kind=lyrics&kind=font").json()] == [words]
    page = world.call("bob", "GET", "/assets?kind=image&limit=2")
    assert [each["asset_id"] for each in page.json()] == [mine[2], mine[1]]
    rest = world.call("bob", "GET", page.links["next"]["url"].removeprefix("/particles"))
    assert [each["asset_id"] for each in rest.json()] == [mine[0]]
    assert {each["owner"] for each in world.call("admin", "GET", "/assets").json()} >= {"alice", "bob"}


def test_quota_of_bytes_counts_assets(world: World) -> None:
    refused = world.call("poor", "POST", "/assets", files={"file": ("a.lrc", b"[00:01.00]" + b"a" * 990 + b"\n")})
    assert (refused.status_code, refused.json()["limit"]) == (429, "stored_bytes")
    world.asset("poor", b"[00:01.00]" + b"a" * 700 + b"\n", "a.lrc")
    refused = world.call("poor", "POST", "/assets", files={"file": ("b.lrc", b"[00:01.00]" + b"b" * 700)})
    assert (refused.status_code, refused.json()["limit"]) == (429, "stored_bytes")


class TestReferences:
    def test_system_keeps_the_reference(self, world: World) -> None:
        made = world.asset("alice", picture(level=10))
        system = created(world, "alice", made["reference"])
        shown = world.call("alice", "GET", f"/systems/{system}").json()
        assert shown["status"]["config"]["picture"] == made["reference"]
        assert shown["status"]["config"]["fill"] == 0.82  # all settings, defaults too

    def test_in_a_layer_counts_too(self, world: World) -> None:
        made = world.asset("alice", picture(level=11))
        layers = [{"type": "portrait", "name": "p", "config": {"picture": made["reference"]}}]
        body = {"particle_type": "zen", "config": SMALL | {"layers": layers}}
        answer = world.call("alice", "POST", "/create", json=body)
        assert answer.json()["status"]["config"]["layers"][0]["config"]["picture"] == made["reference"]
        assert world.call("alice", "DELETE", f"/assets/{made['asset_id']}").status_code == 409
        layers[0]["config"]["picture"] = NOBODYS  # type: ignore[index]
        refused = world.call("alice", "POST", "/create", json=body)
        assert refused.json()["detail"].startswith(f"layers.0: picture = '{NOBODYS}': there is no such asset")

    def test_in_a_layer_of_another_kind_counts_too(self, world: World) -> None:
        made = world.asset("alice", picture(level=17))
        layers: list[dict[str, object]] = [{"kind": "image", "file": made["reference"]}]
        body = {"particle_type": "zen", "config": SMALL | {"layers": layers}}
        answer = world.call("alice", "POST", "/create", json=body)
        shown = answer.json()["status"]["config"]["layers"][0]
        assert (shown["file"], shown["size"]) == (made["reference"], 0.5)
        assert world.call("bob", "POST", "/create", json=body).status_code == 400
        system, path = answer.json()["system_id"], f"/assets/{made['asset_id']}"
        job = world.call("alice", "POST", f"/systems/{system}/render", json={}).json()["job_id"]
        assert world.call("alice", "DELETE", f"/systems/{system}").status_code == 200
        assert world.call("alice", "DELETE", path).status_code == 409  # the job has it
        world.call("alice", "POST", f"/jobs/{job}/cancel")
        assert world.call("alice", "DELETE", path).status_code == 200
        layers[0]["file"] = "/etc/passwd"
        refused = world.call("alice", "POST", "/create", json=body)
        assert refused.json()["detail"].startswith("layers.0: file = '/etc/passwd': is no uploaded image")

    @pytest.mark.parametrize(
        ("given", "line"),
        [
            (NOBODYS, "there is no such asset; upload it with POST /particles/assets"),
            ("/etc/passwd", "is no uploaded image; upload one with POST /particles/assets"),
            ("asset:../../etc", "is no uploaded image"),
            ("asset:" + "A" * 64, "is no uploaded image"),
            (["asset:"], "is no uploaded image"),
            (7, "is no uploaded image"),
        ],
    )
    def test_to_nothing_are_refused(self, world: World, given: object, line: str) -> None:
        refused = create(world, "alice", given)
        assert refused.status_code == 400
        assert refused.json()["detail"].startswith(f"picture = {given!r}: {line}")

    def test_to_those_of_others_are_refused(self, world: World) -> None:
        made = world.asset("alice", picture(level=12))
        assert "there is no such asset" in create(world, "bob", made["reference"]).json()["detail"]
        system = created(world, "bob", None)
        body = {"config": {"picture": made["reference"]}}
        assert world.call("bob", "PUT", f"/systems/{system}/config", json=body).status_code == 400
        assert world.call("admin", "PUT", f"/systems/{system}/config", json=body).status_code == 400  # it is bob's

    def test_to_another_kind_are_refused(self, world: World) -> None:
        made = world.asset("alice", examples()["lyrics.lrc"], "a.lrc")
        line = f"picture = '{made['reference']}': is of the kind lyrics; allowed: image"
        assert create(world, "alice", made["reference"]).json()["detail"] == line

    def test_picture_that_the_type_cannot_show_is_refused_without_a_path(self, world: World) -> None:
        from PIL import Image

        with pytest.MonkeyPatch.context():
            import io

            black = io.BytesIO()
            Image.new("RGB", (9, 9)).save(black, "PNG")
        made = world.asset("alice", black.getvalue())
        line = f"picture = '{made['reference']}': is black or transparent all over; nothing would be seen"
        assert create(world, "alice", made["reference"]).json()["detail"] == line

    def test_asset_in_use_is_not_deleted(self, world: World) -> None:
        made = world.asset("alice", picture(level=13))
        path = f"/assets/{made['asset_id']}"
        system = created(world, "alice", made["reference"])
        in_use = "The asset is in use by systems and open jobs (1): change or end them first"
        refused = world.call("alice", "DELETE", path)
        assert (refused.status_code, refused.json()["detail"]) == (409, in_use)
        job = world.call("alice", "POST", f"/systems/{system}/render", json={}).json()["job_id"]
        world.call("alice", "PUT", f"/systems/{system}/config", json={"config": {"picture": None}})
        assert world.call("alice", "DELETE", path).status_code == 409  # the job has it as it was
        world.call("alice", "POST", f"/jobs/{job}/cancel")
        assert world.call("alice", "DELETE", path).status_code == 200

    def test_deleted_system_lets_its_assets_go(self, world: World) -> None:
        made = world.asset("alice", picture(level=14))
        system = created(world, "alice", made["reference"])
        assert world.call("alice", "DELETE", f"/systems/{system}").status_code == 200
        assert world.call("alice", "DELETE", f"/assets/{made['asset_id']}").status_code == 200

    def test_change_of_type_lets_them_go(self, world: World) -> None:
        made = world.asset("alice", picture(level=15))
        system = created(world, "alice", made["reference"])
        assert world.call("alice", "PUT", f"/systems/{system}/type/zen").status_code == 200
        assert world.call("alice", "DELETE", f"/assets/{made['asset_id']}").status_code == 200

    def test_one_owner_s_use_does_not_keep_another_from_deleting(self, world: World) -> None:
        made = [world.asset(who, picture(level=16)) for who in ("alice", "bob")]
        system = created(world, "bob", made[1]["reference"])
        assert world.call("alice", "DELETE", f"/assets/{made[0]['asset_id']}").status_code == 200
        assert world.call("bob", "GET", f"/assets/{made[0]['asset_id']}/file").status_code == 200
        assert world.call("bob", "POST", f"/systems/{system}/render", json={}).status_code == 202


class TestVideos:
    """Videos as backdrops."""

    @staticmethod
    def create(world: World, who: str, reference: str, **more: Any) -> httpx.Response:
        config = SMALL | {"backdrop": {"kind": "video", "file": reference} | more}
        return world.call(who, "POST", "/create", json={"particle_type": "snow", "config": config})

    def test_system_keeps_the_reference(self, world: World) -> None:
        made = world.asset("alice", video(), "waves.mp4")
        answer = self.create(world, "alice", made["reference"], start=1.1)
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"]["config"]["backdrop"]["file"] == made["reference"]
        assert world.call("alice", "DELETE", f"/assets/{made['asset_id']}").status_code == 409

    @pytest.mark.parametrize(
        ("more", "line"),
        [
            ({"start": 1.2}, "start = 1.2: must be before the video's end, 1.2 s"),
            ({"file": "/etc/passwd"}, "backdrop.file = '/etc/passwd': is no uploaded video"),
            ({"kind": "image"}, "is of the kind video; allowed: image"),
            ({"file": NOBODYS}, "there is no such asset; upload it with POST /particles/assets"),
        ],
    )
    def test_that_cannot_be_used_is_refused_in_one_line(self, world: World, more: dict[str, Any], line: str) -> None:
        made = world.asset("alice", video(), "waves.mp4")
        refused = self.create(world, "alice", made["reference"], **more)
        assert refused.status_code == 400
        assert line in refused.json()["detail"]
        assert refused.json()["detail"].isprintable()

    def test_broken_one_is_refused_and_leaves_nothing(self, world: World) -> None:
        data = video(wide=96)
        answer = world.call("alice", "POST", "/assets", files={"file": ("a.mp4", data[: len(data) // 2])})
        assert (answer.status_code, answer.json()["detail"][:7]) == (415, "a.mp4: ")
        assert stored(world, hashlib.sha256(data[: len(data) // 2]).hexdigest()) == []

    def test_quota_counts_what_is_stored(self, world: World) -> None:
        made = world.asset("alice", video(frames=20), "waves.mp4")
        file = world.call("alice", "GET", f"/assets/{made['asset_id']}/file")
        assert (made["size"], file.headers["content-type"]) == (len(file.content), "application/octet-stream")
        assert file.content != video(frames=20)
        refused = world.call("poor", "POST", "/assets", files={"file": ("a.mp4", video(frames=20))})
        assert (refused.status_code, refused.json()["limit"]) == (429, "stored_bytes")

    def test_that_was_stored_as_it_came_is_refused_until_it_is_uploaded_again(self, world: World) -> None:
        """As by earlier versions."""
        made = world.asset("alice", video(frames=21), "waves.mp4")
        sha256 = made["asset_id"]

        async def store_as_before(_: ApiKeys, sessions: Sessions) -> None:
            async with sessions.begin() as session:
                await session.execute(update(AssetRow).where(AssetRow.sha256 == sha256).values(digest=sha256))

        world.change(store_as_before)
        refused = self.create(world, "alice", made["reference"])
        assert refused.status_code == 400
        assert "was uploaded before videos could be used; upload it again" in refused.json()["detail"]
        assert world.asset("alice", video(frames=21), "waves.mp4") == made
        assert self.create(world, "alice", made["reference"]).status_code == 200
