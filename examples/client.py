"""A client of a Motes service in one file: upload a song and a picture, render them, watch, download.

    python examples/client.py song.wav video.mp4 --type enhanced --url http://127.0.0.1:8000

It needs only httpx, so you can copy and change it. It survives lost connections: requests that create something carry
an Idempotency-Key, so a repeated request creates nothing twice, and an event stream resumes after the last event.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

Job = dict[str, Any]
OVER = ("completed", "failed", "cancelled")
TRIES = 5
PAUSE = 1.0  # seconds


class Motes:
    """A client of the Motes service at a URL. Use it as a context manager, which closes its connections."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=f"{url.rstrip('/')}/particles", timeout=30)

    def __enter__(self) -> Motes:
        return self

    def __exit__(self, *reason: object) -> None:
        self._http.close()

    def upload(self, song: Path) -> str:
        """Upload a song; returns its ``audio_path``."""
        with song.open("rb") as file:
            return str(_checked(self._http.post("/audio", files={"file": (song.name, file)}))["audio_path"])

    def upload_asset(self, file: Path) -> str:
        """Upload a picture, a video, a font or lyrics; returns its reference, for a config."""
        with file.open("rb") as content:
            return str(_checked(self._http.post("/assets", files={"file": (file.name, content)}))["reference"])

    def create(self, particle_type: str, config: dict[str, Any]) -> str:
        """Create a particle system; returns its id."""
        return str(self._make("/create", {"particle_type": particle_type, "config": config})["system_id"])

    def create_from_template(
        self, template: str, audio_path: str, slots: dict[str, Any], config: dict[str, Any]
    ) -> str:
        """Create a system with a template; the song's tags fill slots that are not given. Returns its id."""
        body = {"template": template, "audio_path": audio_path, "slots": slots, "config": config}
        return str(self._make("/create", body)["system_id"])

    def render(self, system: str, **options: Any) -> str:
        """Render a system with options such as ``audio_path`` and ``quality``; returns the job's id."""
        return str(self._make(f"/systems/{system}/render", options)["job_id"])

    def follow(self, job: str) -> Iterator[Job]:
        """The job whenever it changes, until it is over.

        Uses server-sent events, and polling where they do not get through, as behind some proxies.
        """
        seen, lost = "", 0
        while lost < TRIES:
            try:
                for number, now in self._events(job, after=seen):
                    seen, lost = number, 0
                    yield now
                    if now["status"] in OVER:
                        return
            except httpx.TransportError:
                pass
            lost += 1
            time.sleep(PAUSE)
        before: Job = {}
        while before.get("status") not in OVER:
            now = _checked(self._http.get(f"/jobs/{job}"))
            if now != before:
                yield now
            before = now
            time.sleep(PAUSE)

    def download(self, job: str, target: Path, *, output: str = "main") -> None:
        """Save an output of a job once that is completed; ``target`` appears only when it is complete."""
        part = target.with_name(f".{target.name}.part")
        with self._http.stream("GET", f"/jobs/{job}/outputs/{output}") as answer, part.open("wb") as file:
            if answer.is_error:
                answer.read()
                _checked(answer)
            for chunk in answer.iter_bytes():
                file.write(chunk)
        part.replace(target)

    def cancel(self, job: str) -> None:
        """Stop a job."""
        _checked(self._http.post(f"/jobs/{job}/cancel"))

    def _make(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST, repeated with the same key if the response is lost, so that it takes effect only once."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        for tries in range(TRIES):
            try:
                answer = self._http.post(path, json=body, headers=headers)
                if "Retry-After" not in answer.headers or tries == TRIES - 1:
                    return _checked(answer)
            except httpx.TransportError:
                if tries == TRIES - 1:
                    raise
            time.sleep(PAUSE)
        raise AssertionError

    def _events(self, job: str, *, after: str) -> Iterator[tuple[str, Job]]:
        """The events of a job after the event with the id ``after``: their ids and the job at that time."""
        with self._http.stream("GET", f"/jobs/{job}/events", headers={"Last-Event-ID": after}) as answer:
            if answer.is_error:
                answer.read()
                _checked(answer)
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    after = value
                elif name == "data":
                    yield after, json.loads(value)


def _checked(answer: httpx.Response) -> dict[str, Any]:
    """The body of a response; if it is an error, ends the program with the service's message."""
    if answer.is_error:
        kind = answer.headers.get("content-type", "")
        detail = answer.json()["detail"] if "json" in kind else answer.reason_phrase
        raise SystemExit(f"{answer.request.method} {answer.request.url.path}: {answer.status_code}: {detail}")
    body: dict[str, Any] = answer.json()
    return body


def show(job: Job, before: Job, width: int = 40) -> None:
    """Redraw a progress bar; without a terminal, print one line per stage."""
    if not sys.stderr.isatty():
        if job["stage"] != before.get("stage"):
            print(f"{job['stage']}: {job['progress']} %", file=sys.stderr)
        return
    bar = "█" * (width * job["progress"] // 100)
    line = f"{job['stage']:<10} {bar:░<{width}} {job['progress']:>3} %"
    if job["frames"]:
        line += f"  {job['frames_done']}/{job['frames']} frames"
    if job["seconds_left"]:
        line += f"  {job['seconds_left']:.0f} s left"
    print(f"\r\033[K{line}", end="\n" if job["status"] in OVER else "", file=sys.stderr, flush=True)


def main() -> None:
    """Render the video that the command line asks for."""
    parser = argparse.ArgumentParser(description="Render a video of a song with a Motes service.")
    parser.add_argument("song", type=Path, help="any audio file")
    parser.add_argument("video", type=Path, help="the video to write")
    parser.add_argument("--type", default="enhanced", help="particle type (default: %(default)s)")
    parser.add_argument("--template", help="a whole look instead, such as cover-ring, filled from the song's tags")
    parser.add_argument(
        "--config", type=json_object, default={}, help="""settings as JSON: '{"particle_count": 500}'"""
    )
    parser.add_argument("--picture", type=Path, help="an image, for types that show one, or the template's cover")
    parser.add_argument(
        "--variant", metavar="WxH", action="append", default=[], help="another size, beside the video; may be repeated"
    )
    parser.add_argument("--quality", choices=["draft", "standard", "high"], default="standard")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="default: %(default)s")
    arguments = parser.parse_args()
    if not arguments.video.parent.is_dir():  # better now than after the render
        parser.error(f"{arguments.video}: the folder {arguments.video.parent} does not exist")
    try:
        with Motes(arguments.url) as motes:
            make_video(motes, arguments)
    except OSError as error:
        raise SystemExit(str(error)) from None
    except httpx.TransportError as error:
        raise SystemExit(f"{arguments.url} does not answer: {error}") from None
    print(arguments.video)


def json_object(text: str) -> dict[str, Any]:
    """Parse a JSON object; argparse reports anything else."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(text)
    return value


def make_video(motes: Motes, arguments: argparse.Namespace) -> None:
    """Upload the song and the picture, render them, follow the job and download the video."""
    audio = motes.upload(arguments.song)
    picture = None if arguments.picture is None else motes.upload_asset(arguments.picture)
    if arguments.template is None:
        config = {"duration": "audio", **arguments.config, **({"picture": picture} if picture else {})}
        system = motes.create(arguments.type, config)
    else:
        slots = {"cover": picture} if picture else {}
        system = motes.create_from_template(arguments.template, audio, slots, arguments.config)
    variants = [{"size": size, "name": size} for size in arguments.variant]
    named = arguments.video.name
    job = motes.render(system, audio_path=audio, output_path=named, quality=arguments.quality, variants=variants)
    last: Job = {}
    try:
        for now in motes.follow(job):
            show(now, last)
            last = now
    except KeyboardInterrupt:
        motes.cancel(job)
        raise SystemExit("cancelled") from None
    if last["status"] != "completed":
        raise SystemExit(f"{last['status']}: {last['error'] or 'by another client'}")
    for each in last["outputs"]:
        name, video = each["name"], arguments.video
        target = video if name == "main" else video.with_name(f"{video.stem}-{name}{video.suffix}")
        motes.download(job, target, output=name)


if __name__ == "__main__":
    main()
