"""``make demo``: compose a song, start the service, and let it render the song's video and poster."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from ecs_core.errors import MotesError
from ecs_core.rendering.progress import Progress
from services.cli.demo_song import write_wav
from services.cli.progress_bar import progress_bar
from services.processes.parent_death import end_with_parent

SECONDS = 20.0
POSTER_AT = 12.4  # just after the drop
CONFIG = {"duration": SECONDS, "particle_count": 900}
_LOOK_EVERY = 0.2
_TAIL = 20  # log lines shown on failure


def main(folder: Path) -> int:
    """Write ``demo.wav``, ``demo.mp4`` and ``demo.png`` into ``folder``; returns the exit code."""
    log = folder / "demo.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        write_wav(folder / "demo.wav", SECONDS)
        print(f"song     {folder / 'demo.wav'}")
        with (
            tempfile.TemporaryDirectory(prefix=".demo-", dir=folder, ignore_cleanup_errors=True) as data,
            _service(Path(data), log) as url,
            httpx.Client(base_url=f"{url}/particles", timeout=90, trust_env=False) as client,
        ):
            print(f"service  {url}/docs, while it lasts", flush=True)
            _make(client, folder)
    except KeyboardInterrupt:
        print("motes: cancelled", file=sys.stderr)
        return 130
    except (MotesError, httpx.HTTPError, OSError) as error:
        print(f"motes: error: {str(error) or type(error).__name__}", file=sys.stderr)
        if log.is_file() and (lines := log.read_text(errors="replace").splitlines()):
            print(f"The end of {log}:", *lines[-_TAIL:], sep="\n", file=sys.stderr)
        return 2
    return 0


@contextmanager
def _service(data: Path, log: Path) -> Iterator[str]:
    """Run a service with default settings while the context lasts; yields its address."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MOTES_")}
    environment |= {"MOTES_LOG_LEVEL": "warning", "MOTES_LOG_FORMAT": "text"}  # the log is shown on failure
    command = (sys.executable, "-m", "services.cli.main", "serve", "--port", "0", "--data", data)
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            process_group=0,  # Ctrl-C is handled here
            preexec_fn=partial(end_with_parent, os.getpid(), signal.SIGTERM),  # noqa: PLW1509 - there are no threads yet
        ) as process,
    ):
        try:
            assert process.stdout is not None
            ready = re.search(r"http://\S+(?=/particles)", process.stdout.readline())
            if ready is None:
                raise MotesError("the service did not start")
            yield ready[0]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()  # Popen would not wait after Ctrl-C


def _make(client: httpx.Client, folder: Path) -> None:
    """Render the video and the poster, as any client would."""
    with (folder / "demo.wav").open("rb") as song:
        audio = _said(client.post("/audio", files={"file": ("demo.wav", song)})).json()["audio_path"]
    system = _said(client.post("/create", json={"particle_type": "enhanced", "config": CONFIG})).json()["system_id"]
    _said(client.post(f"/systems/{system}/load-audio", params={"audio_path": audio}))
    began = time.monotonic()
    accepted = _said(client.post(f"/systems/{system}/render", json={"output_path": "demo.mp4"})).json()
    job = _watch(client, accepted["job_id"])
    seconds = time.monotonic() - began
    _save(_said(client.get(f"/download/{job['job_id']}")), folder / "demo.mp4")
    print(f"video    {folder / 'demo.mp4'}  ({job['frames']} frames in {seconds:.1f} s)")
    _save(_said(client.get(f"/systems/{system}/frame", params={"t": POSTER_AT})), folder / "demo.png")
    print(f"poster   {folder / 'demo.png'}")


def _watch(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """Show the job's progress until it is completed."""
    began: float | None = None
    with progress_bar() as show:
        while True:
            job: dict[str, Any] = _said(client.get(f"/jobs/{job_id}")).json()
            if job["status"] == "completed":
                return job
            if job["status"] in ("failed", "cancelled"):
                raise MotesError(f"the render {job['status']}: {job['error']}")
            if began is None and job["frames_done"]:
                began = time.monotonic() - _LOOK_EVERY
            fps = 0.0 if began is None else job["frames_done"] / (time.monotonic() - began)
            share, left = job["progress"] / 100, job["seconds_left"]
            show(Progress(job["stage"], share, job["frames_done"], job["frames"], fps, left))
            time.sleep(_LOOK_EVERY)


def _said(answer: httpx.Response) -> httpx.Response:
    """The response, if it is not an error."""
    if answer.is_error:
        is_told = answer.headers.get("content-type") == "application/problem+json"
        raise MotesError(answer.json()["detail"] if is_told else f"the API answered {answer.status_code}")
    return answer


def _save(answer: httpx.Response, path: Path) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(answer.content)
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "out")))
