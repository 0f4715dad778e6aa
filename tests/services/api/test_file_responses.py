"""A file is answered as its own media type, or as plain bytes to whoever asks for those, as generated clients do."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from starlette.datastructures import Headers

from services.api.file_responses import file_content, stored_file
from services.jobs.artefacts import Artefact
from services.storage.object_store import Storage

BYTES = "application/octet-stream"


async def headers_of_answer(folder: Path, media_type: str, method: str, accept: str | None) -> Headers:
    """What is answered to a request for a stored file."""
    storage = Storage(f"file://{folder / 'storage'}")
    (folder / "file").write_bytes(b"content")
    made = Artefact("key", "folder/file", storage.put("folder/file", folder / "file"))
    headers = [] if accept is None else [(b"accept", accept.encode())]
    scope = {"type": "http", "method": method, "headers": headers, "asgi": {"spec_version": "2.4"}}
    answer = await stored_file(Request(scope), storage, made, cache="no-cache", media_type=media_type)
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await answer(scope, asyncio.Event().wait, send)  # type: ignore[arg-type]  # a client that stays connected
    assert b"".join(each["body"] for each in sent[1:]) == (b"" if method == "HEAD" else b"content")
    return Headers(raw=sent[0]["headers"])


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [(None, "video/mp4"), ("*/*", "video/mp4"), (f"video/mp4, {BYTES}", "video/mp4"), (BYTES, BYTES)],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_media_type_follows_the_accept_header(accept: str | None, media_type: str, method: str, tmp_path: Path) -> None:
    headers = asyncio.run(headers_of_answer(tmp_path, "video/mp4", method, accept))
    assert (headers["content-type"], headers["vary"]) == (media_type, "Accept")
    assert media_type in file_content("video/mp4")["content"]


def test_json_is_always_json(tmp_path: Path) -> None:
    headers = asyncio.run(headers_of_answer(tmp_path, "application/json", "GET", BYTES))
    assert headers["content-type"] == "application/json"
    assert "vary" not in headers
