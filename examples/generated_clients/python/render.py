"""Render a video of a song with the client that openapi-python-client generates.

    python render.py http://127.0.0.1:8000 song.wav video.mp4 enhanced

See README.md in the folder above for how to generate ``motes_client``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import httpx
from motes_client import AuthenticatedClient
from motes_client.api.audio import upload_audio
from motes_client.api.jobs import download, render_system
from motes_client.api.systems import create_system
from motes_client.models import (
    CreateSystem,
    CreateSystemConfig,
    Job,
    JobStatus,
    Problem,
    Quality,
    RenderRequest,
    UploadAudioBody,
)
from motes_client.types import File

T = TypeVar("T")


def checked(answer: T | Problem | None) -> T:
    """The answer; ends the program if it is an error."""
    if isinstance(answer, Problem):
        raise SystemExit(f"{answer.status} {answer.title}: {answer.detail}")
    if answer is None:
        raise SystemExit("the service sent no answer")
    return answer


def follow(client: AuthenticatedClient, job_id: str) -> Iterator[Job]:
    """The job whenever it changes, until it is over."""
    with client.get_httpx_client().stream("GET", f"/particles/jobs/{job_id}/events") as events:
        if events.is_error:
            checked(Problem.from_dict(json.loads(events.read())))
        for line in events.iter_lines():
            name, _, value = line.partition(": ")
            if name == "data":
                yield Job.from_dict(json.loads(value))


def render(client: AuthenticatedClient, song: Path, video: Path, particle_type: str) -> None:
    """Upload the song, render it, follow the job and download the video."""
    with song.open("rb") as file:
        audio = checked(upload_audio.sync(client=client, body=UploadAudioBody(File(file, song.name))))
    config = CreateSystemConfig.from_dict({"width": 320, "height": 180, "duration": "audio"})
    system = checked(create_system.sync(client=client, body=CreateSystem(particle_type, config)))
    request = RenderRequest(audio_path=audio.audio_path, output_path=video.name, quality=Quality.DRAFT)
    accepted = checked(render_system.sync(system.system_id, client=client, body=request))
    for job in follow(client, accepted.job_id):
        print(f"{job.stage}: {job.progress} %")
    if job.status != JobStatus.COMPLETED:
        raise SystemExit(f"{job.status}: {job.error}")
    result = checked(download.sync(accepted.job_id, client=client))
    assert isinstance(result, File)
    video.write_bytes(result.payload.read())


if __name__ == "__main__":
    url, song, video, particle_type = sys.argv[1:]
    key = os.environ.get("MOTES_API_KEY") or "none"  # the service ignores it where no keys are required
    with AuthenticatedClient(url, token=key, timeout=httpx.Timeout(60)) as motes:
        render(motes, Path(song), Path(video), particle_type)
